"""A slider that sends its value while it is dragged, one message at a time."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np
import streamlit as st
from streamlit.components.v2.types import ComponentRenderer

from rnnviz.ui.components import courier
from rnnviz.ui.components.live_updates import Live, draw_live, take_updated
from rnnviz.ui.components.message import message_bytes
from rnnviz.ui.components.notches import fold
from rnnviz.ui.components.script import served


class Marks(NamedTuple):
    """Values with names under a slider's track.

    follow: the settings, beside those of the slider's own drag, that leave them where they are;
    they are hidden while any other one changes.
    """

    names: Mapping[float, str]
    follow: Sequence[str] = ()


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
    marks: Marks | None = None,
) -> None:
    """Draws the slider; its value is ``st.session_state[key]``, which Python may set as well.

    It has one notch per option, in ascending order, the first of which may be None; or else the
    notches low, low + step … high. A value between two notches, as from the address, is shown
    between them until the visitor moves the slider.

    format: the text of a value. help: a plain text. live: the page whose figures and texts in sight
    are updated during a drag, where ``key`` is the setting's name; the script runs once the value
    has stopped changing. Without it every value runs the script.
    """
    notches = tick(low, high, step) if options is None else options
    st.session_state.setdefault(key, notches[0])
    texts = _texts(tuple(notches), format)
    look = {"key": key, "label": label, "help": help or "", "texts": texts}
    if live is not None:
        look |= {"live": live.reader(), "alone": key in live.alone, "run": live.run}
        look["values"] = _values(tuple(notches), key, live.write)
    mount = served("slider")  # not in the fragment, which would let no error out
    if marks is not None:
        places = [[place(value, notches), name] for value, name in marks.names.items()]
        look["marks"] = {"places": places, "follow": [key, *marks.follow]}
    draw = partial(_draw, mount, key, notches, format, look)
    with st.container(key=key):
        if live is None:
            draw()
        else:
            draw_live(key, live, draw)


def _draw(
    mount: ComponentRenderer,
    key: str,
    notches: Sequence[Any],
    format: Callable[[Any], str],
    look: Mapping[str, object],
) -> None:
    value = st.session_state[key]
    header = {
        **look,
        "at": place(value, notches),
        "text": _with_minus(format(value)),
        "answered": courier.answered(_place(key)),
    }
    mount(
        key=_place(key),
        data=message_bytes(header),
        on_moved_change=partial(_take, key, notches),
    )


@lru_cache(maxsize=64)
def _texts(notches: tuple[Any, ...], format: Callable[[Any], str]) -> Mapping[str, object]:
    return fold([_with_minus(format(value)) for value in notches])


@lru_cache(maxsize=64)
def _values(
    notches: tuple[Any, ...], key: str, write: Callable[[str, Any], str]
) -> Mapping[str, object]:
    return fold([write(key, value) for value in notches])


def tick(low: float, high: float, step: float) -> Sequence[float]:
    """low, low + step, …, always ending with high; integers if all three are.

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
    """The number of decimals."""
    _, _, after = np.format_float_positional(number, trim="-").partition(".")
    return len(after)


def place(value: Any, notches: Sequence[Any]) -> float:
    """The index of a value's notch, from 0; fractional if the value is between two.

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
    message = courier.take(_place(key), "moved")
    if message is None:
        return
    at = message.get("at")
    # not isinstance: true is an int, too
    if type(at) is int and 0 <= at < len(notches):
        st.session_state[key] = notches[at]
    take_updated(key, message)


def _place(key: str) -> str:
    """The key of the component itself."""
    return f"{key}_slider"


def _with_minus(text: str) -> str:
    """The text with a minus sign for a hyphen before a number."""
    return re.sub(r"-(?=[\d.])", "−", text)
