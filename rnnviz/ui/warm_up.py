"""Imports, a first computation and compilation, before the first visitor.

On the first start on a machine everything that the pages use is compiled in the background, by this
process and by a helper: their processes share the work (``engine.kernels.compiling``), and while
this one imports the pages, the helper compiles. ``make app`` does it before the server starts.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from threading import Thread

from rnnviz.cells import GATE_NAMES
from rnnviz.engine.kernels import gru_gradients, gru_reset_before_gradients, lstm_gradients
from rnnviz.engine.kernels.compiling import can_keep, is_kept
from rnnviz.experiment import SCENES, ComparePage, GradientsPage, NetworkSettings, PageSettings
from rnnviz.experiment.networks import build_network, make_inputs
from rnnviz.gradients import diagnose, gradient_norms, plain_pass
from rnnviz.locale import labels
from rnnviz.stability.kernels import factorise, log_spectral_norms
from rnnviz.trace import trace_equations
from rnnviz.ui.compiling import compilation
from rnnviz.ui.lighter_runs import read_theme_once, send_in_batches, share_the_lock

MODULES = (
    "frame",
    "live_server",
    "step.cards",
    "step.controls",
    "gradients.controls",
    "compare.sections",
)

# The interpreter's thread switch interval, in seconds. With Python's 5 ms, the thread that handles
# messages waits that long for every busy thread: 30 visitors waited 25 times longer.
SWITCH_INTERVAL = 0.0005

# Queries of the comparison page that use all forms, layers, directions, and a hold.
COMPARED: tuple[dict[str, str], ...] = (
    {},
    {"selected": "gru"},
    {"selected": "rnn"},
    {"input_source": "signal", "hold_name": "hidden_state"},
    {"input_source": "signal", "networks": "lstm_peephole,lstm_coupled"},
    {"input_source": "signal", "networks": "gru_reset_before,gru.2.both,lstm.2.both,rnn.2.both"},
)

# Kernels of every kind of view; on the first start some of them are not kept yet.
KERNELS = (
    lstm_gradients,
    gru_gradients,
    gru_reset_before_gradients,
    log_spectral_norms,
    factorise,
)

Stage = partial[None]

# Its input ends with the server's process, and then it ends.
HELPER = """
import os, sys, threading
threading.Thread(target=lambda: os._exit(len(sys.stdin.read())), daemon=True).start()
sys.path.append(sys.argv[1])
from rnnviz.ui.warm_up import compile_ahead
compile_ahead()
"""


def make_ready() -> None:
    """Imports the pages' modules and computes the first view; compiles on the first start."""
    import torch

    sys.setswitchinterval(SWITCH_INTERVAL)
    # Visitors share the cores; a second thread of torch's would only wait, at a core's full speed,
    # after every operation.
    torch.set_num_threads(1)
    read_theme_once()
    send_in_batches()
    share_the_lock()
    is_first = not all(map(is_kept, KERNELS))
    groups = _groups() if is_first else []
    if is_first:
        _begin(groups)
    for part in MODULES:
        import_module(f"rnnviz.ui.{part}")
    try:
        for number, stage in enumerate(stage for group in groups for stage in group):
            stage()
            compilation.finish(number)
    finally:
        compilation.begin(0, {}, is_kept=True)
    from rnnviz.ui.cache import marks_of_gain, measured, watched

    first = GradientsPage.first().network()
    measured(first)
    marks_of_gain(first)
    for cell in GATE_NAMES:
        watched(cell)


def _begin(groups: list[list[Stage]]) -> None:
    cells, views, _ = groups
    ends = len(cells), len(cells) + len(views)
    needed = {"gradients": range(ends[0]), "compare": range(ends[1])}
    can_share = all(map(can_keep, KERNELS))
    compilation.begin(sum(map(len, groups)), needed, is_kept=can_share)
    if can_share:
        Thread(target=_follow_helper, daemon=True).start()


def _follow_helper() -> None:
    """Starts the helper and notes what it has done; without it, this process does everything."""
    command = [sys.executable, "-c", HELPER, str(Path(__file__).parents[2])]
    with suppress(OSError, ValueError):  # no such process can be started; no number was printed
        helper = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        with helper:
            for line in helper.stdout or ():
                compilation.done.add(int(line))


def compile_ahead() -> None:
    """Compiles everything that the pages use into the disk cache, and prints the stages done.

    The helper has the order of ``make_ready`` backwards within each group, so that the two meet.
    """
    numbers = iter(range(sys.maxsize))
    for group in [[(next(numbers), stage) for stage in group] for group in _groups()]:
        for number, stage in reversed(group):
            stage()
            print(number, flush=True)


def _groups() -> list[list[Stage]]:
    """Stages that together use all compiled code: of the gradients' first view, of both, others."""
    cells: list[Stage] = [partial(_first_view, cell) for cell in ("rnn", "gru", "lstm")]
    gradients: list[Stage] = [partial(_draw, "gradients", view) for view in _gradients()]
    compared = [ComparePage.from_query(query)[0] for query in COMPARED]
    compare: list[Stage] = [partial(_draw, "compare", view) for view in compared]
    return [cells, [gradients[0], compare[0]], [*gradients[1:], *compare[1:]]]


def _first_view(cell: str) -> None:
    """Computes what the gradients page shows of one network at first."""
    settings = NetworkSettings()
    module = build_network(settings, cell)
    trace = trace_equations(module, inputs=make_inputs(settings), loss=settings.loss)
    norms = gradient_norms(trace)
    diagnose(trace, norms=norms)
    plain_pass(trace, norms=norms)


def _draw(page: str, settings: PageSettings) -> None:
    """Makes all figures and texts of a page."""
    from rnnviz.ui.live_server import LIVE_PARTS
    from rnnviz.ui.theme import seen_by

    with seen_by(dark=False):
        makers = LIVE_PARTS[page].of(settings, labels("en"))
        for _ in makers.lines([*makers.figures, *makers.texts]):
            pass


def _gradients() -> Iterator[PageSettings]:
    for scene in SCENES.values():
        for loss in ("last", "all"):
            yield scene.model_copy(update={"loss": loss})


if __name__ == "__main__":
    compile_ahead()
