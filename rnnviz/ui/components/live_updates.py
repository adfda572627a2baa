"""Live updates: figures and texts that change while a slider or a weight is dragged.

They are asked for over a WebSocket beside Streamlit's own; the page runs once the value rests.
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import plotly.graph_objects as go
import streamlit as st

from rnnviz.errors import RnnvizError
from rnnviz.plots.drawing import Drawing
from rnnviz.ui.components.chart import written


class Live(NamedTuple):
    """A page with live updates, and how its reader sees it; the address holds the rest.

    run: the number of the page's run. alone: the settings that change nothing on the page but live
    figures and texts. keep: takes over the setting of this name once all of them have been updated;
    whether the page need not be run for it. write: the text of a setting's value in the address, ""
    for its default.
    """

    page: str
    language: str
    dark: bool
    run: int
    alone: Collection[str]
    keep: Callable[[str], bool]
    write: Callable[[str, Any], str]

    def reader(self) -> dict[str, object]:
        """What the browser sends with every question."""
        return {"page": self.page, "language": self.language, "dark": self.dark}


@st.fragment
def draw_live(key: str, live: Live, draw: Callable[[], None]) -> None:
    """Draws an input as a fragment; runs the page where live updates were not all it takes."""
    draw()
    updated = st.session_state.pop(_updated(key), None)
    if updated is not None and not (updated and live.keep(key)):
        st.rerun()


def take_updated(key: str, message: Mapping[str, Any]) -> None:
    """Notes whether everything in sight was updated live for this message."""
    st.session_state[_updated(key)] = message.get("updated") is True


def _updated(key: str) -> str:
    return f"rnnviz.updated.{key}"


class LiveParts(NamedTuple):
    """The live parts of a page, each made from settings.

    figures: by the key of their charts. texts: HTML by the key of ``show_words``. A part that takes
    too long for a live update is None.
    """

    figures: Mapping[str, Callable[[], go.Figure | Drawing | None]]
    texts: Mapping[str, Callable[[], str | None]]

    def lines(self, seen: list[str]) -> Iterator[str]:
        """A line for each part in sight, as soon as it is made: its key, and its content as JSON.

        The content is empty for a part that cannot be updated; the page's next run shows why.
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
                    made = "" if figure is None else written(figure)
            else:
                continue
            yield f"{name} {made}\n"
