"""Imports, a first computation and compilation, before the first visitor."""

import sys
from collections.abc import Iterator
from importlib import import_module

from rnnviz.experiment import SCENES, ComparePage, NetworkSettings, PageSettings
from rnnviz.locale import labels
from rnnviz.ui.cache import measured
from rnnviz.ui.lighter_runs import read_theme_once, send_in_batches

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


def make_ready() -> None:
    """Imports the pages' modules, and loads compiled code by computing the first view."""
    sys.setswitchinterval(SWITCH_INTERVAL)
    read_theme_once()
    send_in_batches()
    for part in MODULES:
        import_module(f"rnnviz.ui.{part}")
    measured(NetworkSettings())


def compile_ahead() -> None:
    """Compiles everything that the pages use into the disk cache; ``make app`` runs it once."""
    from rnnviz.ui.live_server import LIVE_PARTS
    from rnnviz.ui.theme import seen_by

    with seen_by(dark=False):
        for page, settings in _views():
            makers = LIVE_PARTS[page].of(settings, labels("en"))
            for _ in makers.lines([*makers.figures, *makers.texts]):
                pass


def _views() -> Iterator[tuple[str, PageSettings]]:
    """Pages with settings that together use all compiled code."""
    for scene in SCENES.values():
        for loss in ("last", "all"):
            yield "gradients", scene.model_copy(update={"loss": loss})
    for query in COMPARED:
        yield "compare", ComparePage.from_query(query)[0]


if __name__ == "__main__":
    compile_ahead()
