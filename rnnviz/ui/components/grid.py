"""A grid of numbers that are dragged or typed over, and sends no more than Python has answered."""

import math
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from streamlit.components.v2 import component

from rnnviz.locale import Labels
from rnnviz.plots.style import palette
from rnnviz.ui.components.follow import SCRIPT, Live
from rnnviz.ui.components.packing import packed
from rnnviz.ui.components.tcp_nodelay import send_promptly
from rnnviz.ui.session import component_key

HERE = Path(__file__).parent

Changed = Callable[[str, int, int, float | None], None]


class Numbers(NamedTuple):
    """What a grid shows: values, (rows, columns), finite; whose they are; the places marked."""

    values: NDArray[np.float64]
    of: str
    changed: Collection[tuple[int, int]]


_grid = component(
    "rnnviz_grid",
    css=(HERE / "grid.css").read_text(encoding="utf-8"),
    js=SCRIPT + "".join((HERE / f"{name}.js").read_text("utf-8") for name in ("grid", "numbers")),
)


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
    """Draws the numbers on signed colours; each can be dragged, typed over and put back.

    on_change: called before the script runs with what ``of`` was
    when the hand was there, row, column and the new number, or None to put the first one back; a
    visitor can send any ``of``. live: what follows while a number is dragged, as far as it is in
    sight; the rest of the page waits until the hand leaves.
    """
    send_promptly()
    colours = palette(dark=dark)
    header = {
        "label": label,
        "values": numbers.values.tolist(),
        "of": numbers.of,
        "changed": [f"{row} {column}" for row, column in numbers.changed],
        "answered": st.session_state.get(_answered(key), 0),
        "live": live and live.told(),
        "scale": colours.signed,
        "ink": colours.ink,
        "selected": colours.selected,
        "hint": words["grid.hint"],
        "marked": words["grid.marked"],
        "refused": words["grid.refused"],
        "emptied": words["grid.emptied"],
    }
    with st.container(key=key):
        _grid(
            key=f"{key}_grid",
            data=packed(header),
            on_changed_change=partial(_take, key, numbers.values.shape, on_change),
        )


def _take(key: str, shape: tuple[int, int], on_change: Changed) -> None:
    """Takes what the browser sent, if it is what this grid sends: anyone can send anything."""
    message = st.session_state[f"{key}_grid"].get("changed")
    if not isinstance(message, dict):
        return
    of, number, value = message.get("of"), message.get("number"), message.get("value", math.nan)
    row, column = message.get("row"), message.get("column")
    if type(number) is int:
        st.session_state[_answered(key)] = number
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
    except OverflowError:  # a whole number beyond every float
        return False


def _answered(key: str) -> str:
    """Where the number of the last message stands that Python has read."""
    return component_key(key, "answered")
