"""A page run takes a turn before it computes, and says so in words while it waits."""

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st
from streamlit import runtime
from streamlit.delta_generator import DeltaGenerator
from streamlit.runtime.scriptrunner import get_script_run_ctx

from rnnviz.experiment import PageSettings
from rnnviz.locale import Labels
from rnnviz.ui.session import session
from rnnviz.ui.turns import LARGE, LOOK_EVERY, SMALL, is_large, stopped_by

SAY_AFTER = 1.0  # seconds of waiting


@contextmanager
def page_turn(settings: PageSettings, words: Labels) -> Iterator[None]:
    """Computes and draws the figures of a page in its block, in turn with the other visitors.

    Draw the controls before. A run that is stopped while it waits, because the visitor has changed
    something, leaves its place to the next run of the session.
    """
    turns = LARGE if is_large(settings) else SMALL
    kind, place = session.place or (None, 0)
    if kind != _name(turns):
        place = turns.place()
    session.place = _name(turns), place
    # in a container with or without a text: Streamlit identifies a fragment by what precedes it
    notice = _Notice(st.container(key="turn"), words)
    with turns.hold(notice.show, place), stopped_by(_stop_if_left):
        session.place = None
        notice.clear()
        yield


class _Notice:
    """The text of a run that waits."""

    def __init__(self, box: DeltaGenerator, words: Labels) -> None:
        self.box, self.words = box, words
        self.waited = 0.0
        self.shown: DeltaGenerator | None = None

    def show(self, ahead: int) -> None:
        """Says how many are ahead. Streamlit ends the run here if another one is requested."""
        _stop_if_left()
        self.waited += LOOK_EVERY
        if self.waited < SAY_AFTER:
            return
        self.shown = self.shown or self.box.empty()
        text = self.words("turn.waiting", ahead=ahead)
        self.shown.info(text, icon=":material/hourglass_top:")

    def clear(self) -> None:
        if self.shown is not None:
            self.shown.empty()


def _stop_if_left() -> None:
    """Ends the run if the visitor's connection has closed; the browser runs the page when back."""
    context = get_script_run_ctx()
    if context is None or not runtime.exists():  # as in a test of a page
        return
    if not runtime.get_instance().is_active_session(context.session_id):
        st.stop()


def _name(turns: object) -> str:
    return "large" if turns is LARGE else "small"
