"""The server's end of courier.js: messages from a component, each with a number to be answered.

A message is a mapping with a ``number``, counted up by the browser. The number of the last one read
goes back with the component's data as ``answered``; until then the browser sends nothing more, and
what is not answered it sends again. A visitor can send anything.
"""

from collections.abc import Mapping
from typing import Any

import streamlit as st


def take(key: str, event: str) -> Mapping[str, Any] | None:
    """The message that the component of this key has sent; notes its number as read.

    To be called in the event's callback. None where it is no mapping, or the component is gone.
    """
    sent = st.session_state.get(key)
    message = sent.get(event) if sent else None
    if not isinstance(message, dict):
        return None
    number = message.get("number")
    if type(number) is int:  # not isinstance: true is an int, too
        st.session_state[_answered(key)] = number
    return message


def answered(key: str) -> int:
    """The number of the last message that was read; 0 for none."""
    return st.session_state.get(_answered(key), 0)


def _answered(key: str) -> str:
    return f"rnnviz.answered.{key}"
