"""What follows a slider or a weight under the hand, before the whole page does."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import plotly.graph_objects as go
import streamlit as st

from rnnviz.errors import RnnvizError
from rnnviz.plots.drawing import Drawing
from rnnviz.ui.live.chart import written

SCRIPT = Path(__file__).with_name("follow.js").read_text(encoding="utf-8")
RESTS = "rests"


class Live(NamedTuple):
    """What follows, each part made from the session's state when it is asked for.

    figures: by the key of their charts. words: HTML by the key of ``show_words``. None stands for
    what cannot be had that fast. What raises RnnvizError stays until the page itself says why.
    """

    figures: Mapping[str, Callable[[], go.Figure | Drawing | None]]
    words: Mapping[str, Callable[[], str | None]]


class Made(NamedTuple):
    """The figures and words that are in sight, as they are sent; "" for one that cannot be had."""

    figures: Mapping[str, str]
    words: Mapping[str, str]


def take_hand(key: str, message: Mapping[str, Any]) -> None:
    """Takes from a message what is in sight while the hand moves; nothing: the hand rests."""
    seen = message.get("seen")
    st.session_state[_hand(key)] = seen if isinstance(seen, list) else RESTS


@st.fragment
def draw_followed(key: str, live: Live, draw: Callable[[Made], None]) -> None:
    """Draws by itself what is moved, with what follows it; and the whole page when the hand rests.

    draw: from the session's state; what it holds itself is as old as the page.
    """
    hand = st.session_state.pop(_hand(key), ())
    if hand == RESTS:
        st.rerun()
    try:
        draw(_made(live, hand))
    except RnnvizError:
        if not hand:
            raise
        st.rerun()  # the page says it in its place


def _made(live: Live, seen: Sequence[Any]) -> Made:
    figures: dict[str, str] = {}
    words: dict[str, str] = {}
    for name in [name for name in live.words if name in seen]:
        with suppress(RnnvizError):
            if (said := live.words[name]()) is not None:
                words[name] = said
    for name in [name for name in live.figures if name in seen]:
        figures[name] = ""
        with suppress(RnnvizError):
            if (figure := live.figures[name]()) is not None:
                figures[name] = written(figure)
    return Made(figures, words)


def _hand(key: str) -> str:
    """Where it stands what was in sight when the hand moved it, or that the hand rests."""
    return f"{key}_hand"
