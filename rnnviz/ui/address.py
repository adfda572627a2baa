"""The settings of the page shown: read from the address, held by the widgets, written back.

The address is the single source of truth. It is read when it is not the one that the page has
written: at the first run, after a link, after Back or Forward. Then all fields of the page are as
the address says; a bare address asks for the page's defaults. Only the menu is different: it opens
a page with a bare address, and the page keeps what the session holds.
"""

from typing import Any, TypeVar

import streamlit as st

from rnnviz.experiment import LanguageName, PageSettings
from rnnviz.experiment.settings import TextInput
from rnnviz.ui.pages import PAGES, default_values
from rnnviz.ui.session import session

Settings = TypeVar("Settings", bound=PageSettings)


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
    """Gives the widgets the values of the address, unless the page itself has written it."""
    query, last_page = _query(), session.page
    session.page = page
    if last_page is not None and not _is_new(query, page, last_page):
        return
    kind = PAGES[page].settings
    settings, problems = kind.from_query(query, _browser_language())
    for name, value in settings:
        st.session_state[name] = value
    if isinstance(settings, TextInput):
        session.last_text = settings.text
    session.address, session.address_was_read = query, True
    session.problems, session.as_read = tuple(problems), current(kind)


def _is_new(query: dict[str, str], page: str, last_page: str) -> bool:
    """Whether the address asks for something, and is not one that the page has written."""
    if page != last_page:
        session.address, session.problems = query, ()
        return bool(query)  # the menu opens a page with a bare address
    if query == session.address:
        return False
    # A change that is sent before the browser has the last address comes with the one before it.
    is_stale = query == session.previous_address and _has_moved(page)
    return not is_stale


def _has_moved(page: str) -> bool:
    """Whether the reader has changed a setting since the last run."""
    before = session.kept
    now = current(PAGES[page].settings)
    return any(before.get(name) not in (None, value) for name, value in now)


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
    query = query_of(settings)
    if query != session.address:
        session.previous_address, session.address = session.address, query
    # After a link to the same page the query of the run is new but the browser's address is old.
    if _query() != query or session.address_was_read:
        session.address_was_read = False
        st.query_params.from_dict(query)


def query_of(settings: PageSettings) -> dict[str, str]:
    """The query of a link to these settings, for this reader's browser."""
    return settings.to_query(_browser_language())


def _query() -> dict[str, str]:
    return st.query_params.to_dict()


def _browser_language() -> LanguageName:
    return "ko" if (st.context.locale or "").split("-")[0] == "ko" else "en"
