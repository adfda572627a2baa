"""A figure as plain dicts, without the slow validation of plotly's own class."""

from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import Any, NamedTuple, ParamSpec, Protocol, cast

import plotly.graph_objects as go

P = ParamSpec("P")


class Drawing(NamedTuple):
    """A figure's traces and layout, as plotly.Figure accepts them, with NumPy arrays."""

    data: list[dict[str, Any]]
    layout: dict[str, Any]


class Plot(Protocol[P]):
    """A function that returns a Figure; its attribute ``drawn`` returns the Drawing."""

    drawn: Callable[P, Drawing]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> go.Figure: ...


def as_figure(draw: Callable[P, Drawing]) -> Plot[P]:
    """Turns a function that returns a Drawing into one that returns a Figure."""

    @wraps(draw)
    def plot(*args: P.args, **kwargs: P.kwargs) -> go.Figure:
        return go.Figure(*draw(*args, **kwargs))

    made = cast("Any", plot)
    made.__signature__ = signature(draw).replace(return_annotation=go.Figure)
    made.drawn = draw
    return cast("Plot[P]", plot)
