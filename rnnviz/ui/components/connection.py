"""What every page needs of the browser.

It reruns the page after a reconnect, takes over pending values before a page is left, and says when
live updates do not arrive.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.components.v2 import component

from rnnviz.instrument.modules import join_modules
from rnnviz.ui.components.chart import CHUNK
from rnnviz.ui.components.courier import answered, take

KEY = "connection"
LEAVING = "rnnviz.leaving"

HERE = Path(__file__).parent

_connection = component(
    "rnnviz_connection",
    css=(HERE / "connection.css").read_text(encoding="utf-8"),
    js=join_modules(HERE / "connection.js"),
)


def connect(run: int, names: Sequence[str], unavailable: str) -> None:
    """Mounts the component that every page needs, and answers the message of ``take_leaving``.

    run: the number of the page's run. names: all settings, in the order of the address.
    unavailable: the text shown while live updates do not arrive.
    """
    data = {"run": run, "names": list(names), "chunk": CHUNK, "answered": answered(KEY)}
    data |= {"unavailable": unavailable}
    _connection(key=KEY, data=data, on_leaving_change=_leave)


def take_leaving() -> Mapping[str, str] | None:
    """The pending values by setting, as texts of the address, if the page is about to be left.

    The current run only stores them; the next message requests the other page.
    """
    return st.session_state.pop(LEAVING, None)


def _leave() -> None:
    message = take(KEY, "leaving") or {}
    values: Any = message.get("values")
    if isinstance(values, dict) and all(isinstance(value, str) for value in values.values()):
        st.session_state[LEAVING] = values
