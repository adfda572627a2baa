"""A grid of numbers that can be dragged or typed over; changes come one message at a time."""

import math
from collections.abc import Callable, Collection
from functools import partial
from typing import Any, NamedTuple, TypeGuard

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from rnnviz.locale import Labels
from rnnviz.plots.style import palette
from rnnviz.ui.components import courier
from rnnviz.ui.components.live_updates import Live
from rnnviz.ui.components.message import message_bytes
from rnnviz.ui.components.script import served

Changed = Callable[[str, int, int, float | None], None]


class Numbers(NamedTuple):
    """The content of a grid.

    values: (rows, columns), finite. of: the name of the matrix. changed: the marked entries.
    template: the format of an entry in the address, with {row}, {column} and {value}; "" if it is
    not in the address.
    """

    values: NDArray[np.float64]
    of: str
    changed: Collection[tuple[int, int]]
    template: str = ""


def input_grid(
    label: str,
    numbers: Numbers,
    words: Labels,
    *,
    key: str,
    on_change: Changed,
    live: Live | None = None,
    dark: bool = False,
) -> None:
    """Draws the numbers on signed colours; each can be dragged, typed over and reset.

    on_change: called before the script runs, with the ``of`` of the changed grid, row, column and
    the new number, or None for a reset; a browser can send any ``of``.
    live: the page whose figures in sight are updated during a drag; the script runs at the release.
    """
    colours = palette(dark=dark)
    header = {
        "label": label,
        "values": numbers.values.tolist(),
        "of": numbers.of,
        "template": numbers.template,
        "changed": [f"{row} {column}" for row, column in numbers.changed],
        "answered": courier.answered(_place(key)),
        "live": live and live.reader(),
        "scale": colours.signed,
        "ink": colours.ink,
        "selected": colours.selected,
        "hint": words["grid.hint"],
        "marked": words["grid.marked"],
        "refused": words["grid.refused"],
        "emptied": words["grid.emptied"],
    }
    with st.container(key=key):
        served("grid")(
            key=_place(key),
            data=message_bytes(header),
            on_changed_change=partial(_take, key, numbers.values.shape, on_change),
        )


def _take(key: str, shape: tuple[int, int], on_change: Changed) -> None:
    message = courier.take(_place(key), "changed")
    if message is None:
        return
    of, value = message.get("of"), message.get("value", math.nan)
    row, column = message.get("row"), message.get("column")
    if not (isinstance(of, str) and (value is None or _is_finite(value))):
        return
    if _is_place(row, shape[0]) and _is_place(column, shape[1]):
        on_change(of, row, column, None if value is None else float(value))


def _is_place(came: Any, count: int) -> TypeGuard[int]:
    # not isinstance: true is an int, too
    return type(came) is int and 0 <= came < count


def _is_finite(came: Any) -> bool:
    try:
        return type(came) in (int, float) and math.isfinite(came)
    except OverflowError:  # an integer beyond the float range
        return False


def _place(key: str) -> str:
    """The key of the component itself."""
    return f"{key}_grid"
