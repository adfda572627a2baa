"""Live updates: figures and texts that change while a slider or a weight is dragged.

They are requested over a separate WebSocket; the page runs once the value has stopped changing.
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import plotly.graph_objects as go
import streamlit as st

from rnnviz.errors import RnnvizError
from rnnviz.plots.drawing import Drawing
from rnnviz.ui.components.chart import figure_json


class Live(NamedTuple):
    """A page with live updates, its language and theme; the address has its settings.

    run: the number of the page's run. alone: the settings on which only live figures and texts
    depend. keep: called with a setting's name once all live parts have been updated; stores the
    setting, and returns whether the page need not run for it. write: the text of a setting's value
    in the address, "" for its default.
    """

    page: str
    language: str
    dark: bool
    run: int
    alone: Collection[str]
    keep: Callable[[str], bool]
    write: Callable[[str, Any], str]

    def reader(self) -> dict[str, object]:
        """The fields that the browser sends with every question."""
        return {"page": self.page, "language": self.language, "dark": self.dark}


@st.fragment
def draw_live(key: str, live: Live, draw: Callable[[], None]) -> None:
    """Draws an input as a fragment; reruns the page if live updates were not enough."""
    draw()
    updated = st.session_state.pop(_updated(key), None)
    if updated is not None and not (updated and live.keep(key)):
        st.rerun()


def take_updated(key: str, message: Mapping[str, Any]) -> None:
    """Stores whether everything in sight was updated live for this message."""
    st.session_state[_updated(key)] = message.get("updated") is True


def _updated(key: str) -> str:
    return f"rnnviz.updated.{key}"


class LiveParts(NamedTuple):
    """Functions that make the live parts of a page.

    figures: by the key of their charts. texts: HTML by the key of ``show_words``. They return None
    for a part that is too slow for a live update.
    """

    figures: Mapping[str, Callable[[], go.Figure | Drawing | None]]
    texts: Mapping[str, Callable[[], str | None]]

    def lines(self, seen: list[str]) -> Iterator[str]:
        """One line per part in sight, as soon as it is made: its key and its content as JSON.

        The content is empty for a part that is not available; the page itself shows the reason.
        """
        for name in dict.fromkeys(seen):
            made = ""
            if name in self.texts:
                with suppress(RnnvizError):
                    text = self.texts[name]()
                    made = "" if text is None else json.dumps(text)
            elif name in self.figures:
                with suppress(RnnvizError):
                    figure = self.figures[name]()
                    made = "" if figure is None else figure_json(figure)
            else:
                continue
            yield f"{name} {made}\n"
