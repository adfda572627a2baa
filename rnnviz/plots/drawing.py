"""A figure as plain dicts; plotly's own class checks every one of them, which takes longest."""

from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import Any, NamedTuple, ParamSpec, Protocol, cast

import plotly.graph_objects as go

P = ParamSpec("P")


class Drawing(NamedTuple):
    """A figure's traces and layout, as plotly.Figure takes them in; arrays are numpy's."""

    data: list[dict[str, Any]]
    layout: dict[str, Any]


class Plot(Protocol[P]):
    """A function that returns a Figure, and as ``drawn`` the one that returns its Drawing."""

    drawn: Callable[P, Drawing]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> go.Figure: ...


def as_figure(draw: Callable[P, Drawing]) -> Plot[P]:
    """The function that returns the Figure of a drawing."""

    @wraps(draw)
    def plot(*args: P.args, **kwargs: P.kwargs) -> go.Figure:
        return go.Figure(*draw(*args, **kwargs))

    made = cast("Any", plot)
    made.__signature__ = signature(draw).replace(return_annotation=go.Figure)
    made.drawn = draw
    return cast("Plot[P]", plot)
