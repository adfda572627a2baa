"""The settings of the page shown: read from the address, held by the widgets, written back.

The address is read when the reader asks for it: at the first run, after Back or Forward, and after
a link that has ``LINK`` in its query. Then all fields of the page are as the address says; a bare
address asks for the page's defaults. With any other message Streamlit sends an address that it has
had before, or none, and the page keeps what the session holds. The browser writes a change into the
address at once (``components/pending.js``), so that a reload or a link has it.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, TypeVar

import streamlit as st
from pydantic import ValidationError
from streamlit.runtime.scriptrunner import get_script_run_ctx

from rnnviz.experiment import LanguageName, PageSettings
from rnnviz.experiment.settings import TextInput, check_text
from rnnviz.ui.components.connection import take_leaving
from rnnviz.ui.pages import PAGES, default_values
from rnnviz.ui.session import session

Settings = TypeVar("Settings", bound=PageSettings)

LINK = "scene"  # in the query of a link within the app


def restore_widgets() -> None:
    """Gives every field a value that the script has set.

    Streamlit drops the value of a widget that is not drawn, as on another page or in a run cut
    short, and resets a widget whose labels or limits change unless the script has set its value.
    """
    state, defaults = st.session_state, default_values()
    for name, default in defaults.items():
        before = session.kept.get(name, default)
        value = state.get(name, before)
        state[name] = value if value is not None or default is None else before


def reader_language() -> LanguageName:
    """The language of the page; before its address is read, the one that the address asks for."""
    if session.page is not None:
        return st.session_state.language
    settings, _ = PageSettings.from_query(_query(), _browser_language())
    return settings.language


def read_address(page: str) -> None:
    """Gives the widgets the values of the address, if the reader asks for it."""
    query, last_page = _query(), session.page
    session.page = page
    if not (last_page is None or _is_new_link(query) or _is_history_navigation()):
        if page != last_page:
            session.problems = ()
        return
    kind = PAGES[page].settings
    settings, problems = kind.from_query(query, _browser_language())
    for name, value in settings:
        st.session_state[name] = value
    if isinstance(settings, TextInput):
        session.last_text = settings.text
    session.address, session.read_query = None, query
    session.problems, session.as_read = tuple(problems), current(kind)


def take_pending(page: str) -> None:
    """Takes the values that the browser delivers before the page is left.

    The address is that of the next page already, or stays as it is: it is not written.
    """
    pending = take_leaving()
    session.is_leaving = pending is not None
    if pending is None:
        return
    kind = PAGES[page].settings
    for name, text in pending.items():
        if name in kind.model_fields:
            with suppress(ValidationError):  # a visitor can send anything
                st.session_state[name] = kind.read_field(name, text)
    if issubclass(kind, TextInput) and check_text(st.session_state.text) is None:
        session.last_text = st.session_state.text
    current(kind)


def _is_new_link(query: Mapping[str, str]) -> bool:
    """Whether the address is a link's, and not one that was read and is still to be rewritten."""
    return LINK in query and (session.address is not None or query != session.read_query)


def _is_history_navigation() -> bool:
    """Whether the reader has gone back or forward in the browser's history."""
    context = get_script_run_ctx()
    return context is not None and context.is_history_navigation


def current(page: type[Settings]) -> Settings:
    """The page's settings as the widgets hold them, with the last text that could be read."""
    values: dict[str, Any] = {}
    for name, field in page.model_fields.items():
        # Streamlit drops the value of a widget that is not drawn
        before = session.kept.get(name, field.default)
        values[name] = st.session_state.get(name, before)
    if issubclass(page, TextInput):
        values["text"] = session.last_text
    settings = page(**values)
    session.kept = {**session.kept, **dict(settings)}
    return settings


def has_changed() -> bool:
    """Whether the reader has changed a setting since the address was read."""
    read = session.as_read
    if read is None:
        return False
    # the page fills in what the address leaves open, such as a unit or a gate
    now = current(type(read))
    return any(value not in (None, getattr(now, name)) for name, value in read)


def write_address(settings: PageSettings) -> None:
    """Writes the address of this view where it differs from the browser's."""
    if session.is_leaving:
        return
    query = query_of(settings)
    # The address that Streamlit has may be an earlier one, or that of a link, which the browser
    # does not show: the one written last counts, or the one that has just been read.
    shown = session.read_query if session.address is None else session.address
    if _query() != query or shown != query:
        st.query_params.from_dict(query)
    session.address = query


def query_of(settings: PageSettings) -> dict[str, str]:
    """The query of a link to these settings, for this reader's browser."""
    return settings.to_query(_browser_language())


def _query() -> dict[str, str]:
    return st.query_params.to_dict()


def _browser_language() -> LanguageName:
    return "ko" if (st.context.locale or "").split("-")[0] == "ko" else "en"
