"""A slider that sends while it is dragged, and never more than Python has answered."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from streamlit.components.v2 import component

from rnnviz.experiment.settings import write_value
from rnnviz.ui.components.follow import SCRIPT, Live, draw_moved, take_rest
from rnnviz.ui.components.packing import packed
from rnnviz.ui.components.tcp_nodelay import send_promptly
from rnnviz.ui.session import component_key

HERE = Path(__file__).parent

_slider = component(
    "rnnviz_slider",
    css=(HERE / "slider.css").read_text(encoding="utf-8"),
    js=SCRIPT + (HERE / "slider.js").read_text(encoding="utf-8"),
)


def input_slider(
    label: str,
    *,
    key: str,
    format: Callable[[Any], str],
    options: Sequence[Any] | None = None,
    low: float = 0,
    high: float = 1,
    step: float = 0.01,
    help: str | None = None,
    live: Live | None = None,
) -> None:
    """Draws the slider; its value is ``st.session_state[key]``, which Python may set as well.

    It has a notch for each of the options, which ascend and of which the first may be None, or
    else for low, low + step … high. A value from elsewhere that is between two notches stands
    between them, until the visitor moves it.

    format: the text of a value. help: a plain text. live: whose figures and words follow while the
    slider is dragged, as far as they are in sight, ``key`` being the setting's name; the page waits
    until the hand rests. Without it every value runs the script.
    """
    send_promptly()
    notches = tick(low, high, step) if options is None else options
    st.session_state.setdefault(key, notches[0])
    texts = _with_minus("\n".join(map(format, notches)))
    look = {"key": key, "label": label, "help": help or "", "texts": texts}
    if live is not None:
        values = "\n".join(map(write_value, notches))
        look |= {"live": live.told(), "alone": key in live.alone}
        look |= {"run": live.run, "values": values}
    draw = partial(_draw, key, notches, format, look)
    with st.container(key=key):
        if live is None:
            draw()
        else:
            draw_moved(key, live, draw)


def _draw(
    key: str, notches: Sequence[Any], format: Callable[[Any], str], look: Mapping[str, object]
) -> None:
    value = st.session_state[key]
    header = {
        **look,
        "at": place(value, notches),
        "text": _with_minus(format(value)),
        "answered": st.session_state.get(_answered(key), 0),
    }
    _slider(
        key=f"{key}_slider",
        data=packed(header),
        on_moved_change=partial(_take, key, notches),
    )


def tick(low: float, high: float, step: float) -> Sequence[float]:
    """low, low + step, …, and high in any case; whole numbers where all three are.

    >>> tick(0.0, 0.3, 0.1), list(tick(2, 8, 3))
    ([0.0, 0.1, 0.2, 0.3], [2, 5, 8])
    """
    if isinstance(low, int) and isinstance(high, int) and isinstance(step, int):
        found: Sequence[float] = range(low, high + 1, step)
        return found if found[-1] == high else [*found, high]
    digits = max(_decimals(low), _decimals(step))
    count = math.floor((high - low) / step + 1e-9)
    found = [round(low + k * step, digits) for k in range(count + 1)]
    return found if found[-1] == high else [*found, float(high)]


def _decimals(number: float) -> int:
    """How many digits it has behind the point."""
    _, _, after = np.format_float_positional(number, trim="-").partition(".")
    return len(after)


def place(value: Any, notches: Sequence[Any]) -> float:
    """The number of the notch, from 0; with a fraction where the value is between two.

    >>> place(None, [None, 1, 2]), place(1.5, [None, 1, 2]), place(9, [None, 1, 2])
    (0, 1.5, 2.0)
    """
    if value in notches:
        return notches.index(value)
    if value is None or math.isnan(value):
        return 0
    numbers = [number for number in notches if number is not None]
    first = len(notches) - len(numbers)
    return float(np.interp(value, numbers, np.arange(first, len(notches))))


def _take(key: str, notches: Sequence[Any]) -> None:
    """Takes what the browser sent, if it is what this slider sends: anyone can send anything."""
    sent = st.session_state.get(f"{key}_slider")  # gone where the reader has left for another page
    message = sent and sent.get("moved")
    if not isinstance(message, dict):
        return
    at, number = message.get("at"), message.get("number")
    # not isinstance: true is an int, too
    if type(at) is int and 0 <= at < len(notches):
        st.session_state[key] = notches[at]
    if type(number) is int:
        st.session_state[_answered(key)] = number
    take_rest(key, message)


def _answered(key: str) -> str:
    """Where the number of the last message stands that Python has read."""
    return component_key(key, "answered")


def _with_minus(text: str) -> str:
    """The text with a minus sign for a hyphen before a number."""
    return re.sub(r"-(?=[\d.])", "−", text)
