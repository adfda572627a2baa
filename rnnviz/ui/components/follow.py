"""What follows a slider or a weight under the hand: asked for beside the page, not through it."""

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import plotly.graph_objects as go
import streamlit as st

from rnnviz.errors import RnnvizError
from rnnviz.plots.drawing import Drawing
from rnnviz.ui.components.chart import written
from rnnviz.ui.session import component_key

HERE = Path(__file__).parent
SERVER = (HERE / "server.js").read_text(encoding="utf-8")
SCRIPT = SERVER + (HERE / "follow.js").read_text(encoding="utf-8")


class Live(NamedTuple):
    """Whose figures follow, and how its reader sees them; the address says the rest.

    run: the number of the page's run. alone: the settings by which nothing changes on the page but
    what follows them by itself. keep: takes over the setting of this name, all that follows
    it having followed; whether the page need not be run for it.
    """

    page: str
    language: str
    dark: bool
    run: int
    alone: Collection[str]
    keep: Callable[[str], bool]

    def told(self) -> dict[str, object]:
        """What the browser is to say when it asks."""
        return {"page": self.page, "language": self.language, "dark": self.dark}


@st.fragment
def draw_moved(key: str, live: Live, draw: Callable[[], None]) -> None:
    """Draws by itself what is moved, and runs the page when the hand rests and it has to."""
    draw()
    followed = st.session_state.pop(_rest(key), None)
    if followed is not None and not (followed and live.keep(key)):
        st.rerun()


def take_rest(key: str, message: Mapping[str, Any]) -> None:
    """Takes from a message of what is moved whether all that is in sight has followed."""
    st.session_state[_rest(key)] = message.get("followed") is True


def _rest(key: str) -> str:
    return component_key(key, "rests")


class Followed(NamedTuple):
    """What follows on a page, each part made from settings.

    figures: by the key of their charts. words: HTML by the key of ``show_words``. None stands for
    what cannot be had that fast.
    """

    figures: Mapping[str, Callable[[], go.Figure | Drawing | None]]
    words: Mapping[str, Callable[[], str | None]]

    def parts(self, seen: list[str]) -> Iterator[str]:
        """A line for each that is in sight, as soon as it is made: its key, and what it now is.

        That is a figure's JSON, or words as JSON; nothing for what cannot be had, the reason of
        which the page itself says.
        """
        for name in dict.fromkeys(seen):
            made = ""
            if name in self.words:
                with suppress(RnnvizError):
                    said = self.words[name]()
                    made = "" if said is None else json.dumps(said)
            elif name in self.figures:
                with suppress(RnnvizError):
                    figure = self.figures[name]()
                    made = "" if figure is None else written(figure)
            else:
                continue
            yield f"{name} {made}\n"
