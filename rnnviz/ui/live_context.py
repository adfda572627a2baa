"""The context of a page's live updates: the figures that change while a control is dragged."""

from collections.abc import Callable, Collection
from typing import TypeVar

import streamlit as st

from rnnviz.experiment import PageSettings
from rnnviz.ui.address import current
from rnnviz.ui.components.live_updates import Live
from rnnviz.ui.session import session
from rnnviz.ui.theme import is_dark

Settings = TypeVar("Settings", bound=PageSettings)


def live(
    page: str,
    settings: Settings,
    write: Callable[[Settings], None],
    live_only: Callable[[Settings], Collection[str]] = lambda _: (),
) -> Live:
    """What the sliders of a page need for live updates.

    write: writes the page's address. live_only: the fields of which only live figures and texts
    depend, so that a change of them needs no run of the page.
    """
    fields = live_only(settings) if not session.problems else ()

    def keep(name: str) -> bool:
        now = current(type(settings))
        if name not in fields or name not in live_only(now):
            return False
        # Streamlit merges simultaneous changes into one message, so another field may have changed
        # too. The page itself fills in fields that were None.
        others = ((other, before) for other, before in settings if other not in fields)
        if any(before not in (None, getattr(now, other)) for other, before in others):
            return False
        write(now)
        return True

    field_text = type(settings).field_text
    return Live(page, st.session_state.language, is_dark(), session.run, fields, keep, field_text)
