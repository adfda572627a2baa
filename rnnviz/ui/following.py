"""What follows a slider while it is dragged: all figures of a page and their words."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeVar

import plotly.graph_objects as go

from rnnviz.experiment import Settings
from rnnviz.locale import Labels
from rnnviz.plots.drawing import Drawing
from rnnviz.ui import stability, through_time, weights
from rnnviz.ui.frame import current
from rnnviz.ui.live.follow import Live

Made = TypeVar("Made")


def follow(words: Labels) -> Live:
    """Those of the gradients page."""
    figures = through_time.FIGURES | weights.FIGURES | stability.FIGURES
    said = through_time.WORDS | weights.WORDS | stability.WORDS
    return followed_by(figures, said, words)


def followed_by(
    figures: Mapping[str, Callable[[Settings, Labels], go.Figure | Drawing | None]],
    said: Mapping[str, Callable[[Settings, Labels], str | None]],
    words: Labels,
) -> Live:
    """Figures and words as the session's settings have them when they are asked for."""
    return Live(
        {f"figure_{name}": partial(_now, make, words) for name, make in figures.items()},
        {name: partial(_now, make, words) for name, make in said.items()},
    )


def _now(make: Callable[[Settings, Labels], Made], words: Labels) -> Made:
    return make(current(), words)
