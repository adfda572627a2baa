"""What a fresh server does before its first visitor asks for it."""

import sys
from collections.abc import Iterator
from importlib import import_module

from rnnviz.experiment import SCENES, ComparePage, NetworkSettings, PageSettings
from rnnviz.locale import labels
from rnnviz.ui.cache import measured

PARTS = (
    "frame",
    "live_figures",
    "step.cards",
    "step.controls",
    "gradients.controls",
    "compare.sections",
)

# Seconds until a thread lets another have its turn. With Python's 5 ms, what takes messages in and
# out waits that long, many times over, for whatever is at work: 30 visitors waited 25 times longer.
TURN = 0.0005

# Side by side, beside what the page shows at first: all forms, layers, directions, and a hold.
COMPARED: tuple[dict[str, str], ...] = (
    {},
    {"selected": "gru"},
    {"selected": "rnn"},
    {"input_source": "signal", "hold_name": "hidden_state"},
    {"input_source": "signal", "networks": "lstm_peephole,lstm_coupled"},
    {"input_source": "signal", "networks": "gru_reset_before,gru.2.both,lstm.2.both,rnn.2.both"},
)


def make_ready() -> None:
    """Loads what the pages are made of, and compiled code by using it."""
    sys.setswitchinterval(TURN)
    for part in PARTS:
        import_module(f"rnnviz.ui.{part}")
    measured(NetworkSettings())


def compile_ahead() -> None:
    """Has all compiled that the pages use, which is kept: ``make app`` does so once a machine."""
    from rnnviz.ui.live_figures import PAGES
    from rnnviz.ui.theme import seen_by

    with seen_by(dark=False):
        for page, settings in _views():
            makers = PAGES[page].of(settings, labels("en"))
            for _ in makers.lines([*makers.figures, *makers.texts]):
                pass


def _views() -> Iterator[tuple[str, PageSettings]]:
    """Pages, and settings under which they use all there is."""
    for scene in SCENES.values():
        for loss in ("last", "all"):
            yield "gradients", scene.model_copy(update={"loss": loss})
    for query in COMPARED:
        yield "compare", ComparePage.from_query(query)[0]


if __name__ == "__main__":
    compile_ahead()
