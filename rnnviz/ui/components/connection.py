"""What every page needs of the browser.

It reruns the page after a reconnect, takes over pending values before a page is left, says when
live updates do not arrive, puts Streamlit's own texts into the reader's language, and has the list
of keys.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from rnnviz.locale import Labels
from rnnviz.ui.components.chart import CHUNK
from rnnviz.ui.components.courier import answered, take
from rnnviz.ui.components.script import served

KEY = "connection"
LEAVING = "rnnviz.leaving"
KEYS = {  # what is written on them, by the ends of the keys of their texts
    "space": "Space",
    "arrows": "← →",
    "ends": "Home, End",
    "escape": "Esc",
    "enter": "Enter",
    "heatmap": "↑ ↓",
    "slider": "← →, Page Up, Page Down",
    "question": "?",
}
STREAMLIT = "streamlit."  # starts the keys of texts in place of Streamlit's own


def connect(
    run: int, names: Sequence[str], first: Sequence[Mapping[str, str]], words: Labels
) -> None:
    """Mounts the component that every page needs, and answers the message of ``take_leaving``.

    run: the number of the page's run. names: all settings, in the order of the address.
    first: ``PageSettings.first_texts``.
    """
    data = {"run": run, "names": list(names), "chunk": CHUNK, "answered": answered(KEY)}
    data |= {"first": list(first), "unavailable": words["live.unavailable"]}
    data |= {"language": words.language, "words": _streamlit_words(words)}
    data |= {"keys": _key_words(words)}
    served("connection")(key=KEY, data=data, on_leaving_change=_leave)


def _streamlit_words(words: Labels) -> dict[str, str]:
    """Texts in place of Streamlit's own, by the keys of ``streamlit_words.js``."""
    return {
        key.removeprefix(STREAMLIT): text
        for key, text in words.items()
        if key.startswith(STREAMLIT)
    }


def _key_words(words: Labels) -> dict[str, Any]:
    """The list of keys: its title, and a name and an effect for each."""
    keys = [(written, words[f"keys.{name}"]) for name, written in KEYS.items()]
    return {"title": words["keys.title"], "close": words["keys.close"], "keys": keys}


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
