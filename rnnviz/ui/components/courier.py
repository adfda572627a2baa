"""The server side of courier.js: numbered messages from a component, which must be answered.

A message is a mapping with a ``number``, counted up by the browser. The number of the last message
read is sent back with the component's data as ``answered``. Until then the browser sends no other
message, and retries an unanswered one. A browser can send anything.
"""

from collections.abc import Mapping
from typing import Any

import streamlit as st


def take(key: str, event: str) -> Mapping[str, Any] | None:
    """The last message of the component with this key; stores its number as answered.

    Call it in the event's callback. None if it is not a mapping, or the component was removed.
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
    """The number of the last message read, or 0."""
    return st.session_state.get(_answered(key), 0)


def _answered(key: str) -> str:
    return f"rnnviz.answered.{key}"
