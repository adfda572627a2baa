"""What follows a slider of the gradients page while it is dragged: all figures and their words."""

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from rnnviz.experiment import Settings
from rnnviz.locale import Labels
from rnnviz.ui import stability, through_time, weights
from rnnviz.ui.frame import current
from rnnviz.ui.live.follow import Live

Made = TypeVar("Made")


def follow(words: Labels) -> Live:
    """Figures and words as the session's settings have them when they are asked for."""
    figures = through_time.FIGURES | weights.FIGURES | stability.FIGURES
    said = through_time.WORDS | weights.WORDS | stability.WORDS
    return Live(
        {f"figure_{name}": partial(_now, make, words) for name, make in figures.items()},
        {name: partial(_now, make, words) for name, make in said.items()},
    )


def _now(make: Callable[[Settings, Labels], Made], words: Labels) -> Made:
    return make(current(), words)
