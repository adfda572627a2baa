"""What every page stands in: its title, the look, the language, and what the address asked for."""

import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from html import escape
from pathlib import Path
from urllib.parse import urlsplit

import streamlit as st
from pydantic import BaseModel
from streamlit.runtime.scriptrunner import get_script_run_ctx

from rnnviz.cells import GATES_AS_READ
from rnnviz.errors import RnnvizError
from rnnviz.experiment import (
    MOST_CHARACTERS,
    ComparisonSettings,
    LanguageName,
    NetworkSettings,
    ReadingSettings,
    Settings,
)
from rnnviz.locale import LANGUAGES, Labels, labels
from rnnviz.plots.style import palette
from rnnviz.ui.cache import ASSETS
from rnnviz.ui.components.live_updates import Live
from rnnviz.ui.components.reconnect import connect, take_leaving

CSS = Path(__file__).with_name("frame.css").read_text(encoding="utf-8")
_dark: ContextVar[bool | None] = ContextVar("dark", default=None)


MAY_BE_NONE = [name for name, value in Settings() if value is None]
# In the order of the menu, the first is /.
PAGES = {
    "step": ":material/skip_next:",
    "gradients": ":material/trending_down:",
    "compare": ":material/view_column:",
}
LINK = "scene"  # in the query of a link within the app
# The settings in each page's address.
FIELDS = {
    "step": ReadingSettings.model_fields,
    "gradients": NetworkSettings.model_fields,
    "compare": ComparisonSettings.model_fields,
}


def navigate() -> None:
    """The whole of app.py: the menu, and the page that was asked for."""
    _read_address()
    _read_leaving()
    connect(st.session_state.run, list(Settings.model_fields))
    words = labels(st.session_state.language)
    st.set_page_config(page_title="rnnviz", page_icon=str(ASSETS / "icon.svg"), layout="wide")
    st.logo(ASSETS / f"logo_{'dark' if is_dark() else 'light'}.svg", size="large")
    pages = {
        name: st.Page(
            f"pages/{name}.py",
            title=words[f"page.{name}.menu"],
            icon=icon,
            default=name == next(iter(PAGES)),
        )
        for name, icon in PAGES.items()
    }
    st.session_state.framed = True
    page = st.navigation(list(pages.values()))
    wanted = pages.get(st.session_state.pop("wanted", ""), page)
    if wanted.url_path != page.url_path:
        st.switch_page(wanted, query_params=st.query_params.to_dict())
    page.run()


def open_page(page: str) -> Labels:
    """The page's frame; returns the words of the reader's language."""
    if "framed" not in st.session_state:
        # A fresh server runs a page's file without app.py at the first request to its address.
        st.session_state.wanted = page
        st.switch_page("app.py", query_params=st.query_params.to_dict())
    # in a run without app.py, as in a test, nothing else brings back what widgets took with them
    for name, before in st.session_state.kept:
        st.session_state.setdefault(name, before)
    language = st.session_state.language
    words = labels(language)
    st.html(f"<style>{_colours()}{CSS}</style>")
    st.html(f"<h1 class='rnnviz-title'>{escape(words[f'page.{page}.title'])}</h1>")
    # What the address got wrong stands there until the reader changes something.
    with st.container(key="problems"):  # in any case: fragments are known by what comes before them
        for problem in () if _has_changed() else st.session_state.problems:
            st.warning(_as_it_stands(problem.message(language)), icon=":material/link_off:")
    return words


def _has_changed() -> bool:
    """Whether the reader has changed anything since the address was read."""
    # what the address left open, a unit or a gate, the page has filled in by itself
    now, first = current(), st.session_state.first
    return any(value not in (None, getattr(now, name)) for name, value in first)


def _as_it_stands(message: str) -> str:
    """A message with what Markdown would take for its own escaped: it repeats an address."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", message)


def _colours() -> str:
    colours = palette(dark=is_dark())
    return (
        f":root {{--rnnviz-card: {colours.ground}; --rnnviz-line: {colours.line};"
        f" --rnnviz-muted: {colours.muted}; --rnnviz-selected: {colours.selected};}}"
    )


def _read_address() -> None:
    """The address becomes the widgets' values where it was asked for; then these are kept.

    That is at the first run, after a link to a scene, and after Back or Forward. With any other
    message Streamlit sends an address that it has had before, or none. A widget that comes back
    with other labels or limits forgets what it held; a value set by the script it takes over.
    """
    state, query = st.session_state, st.query_params.to_dict()
    state.run = state.get("run", 0) + 1
    known, went_back = "problems" in state, _is_history_navigation()
    if known:
        for name, before in state.kept:
            # Streamlit may drop a widget's value between pages, or in a run that is cut short
            now = state.get(name, before)
            state[name] = now if now is not None or name in MAY_BE_NONE else before
    if not known:
        read = set(Settings.model_fields)
    elif went_back:  # to all that the page showed
        read = {*query, *FIELDS[_page_in_address()], "language"}
    elif LINK in query:  # which is about networks; text and language stay as they are
        read = {*query, *NetworkSettings.model_fields}
    else:
        return
    settings, problems = Settings.from_query(query, _spoken())
    for name, value in settings:
        if name in read:
            state[name] = value
    state.address, state.problems = None, problems
    state.read_text = state.text if known else settings.text
    state.first = current()


def _read_leaving() -> None:
    """Takes what the browser delivers before a page is left, whose address stays as it is."""
    state, pending = st.session_state, take_leaving()
    state.leaving = pending is not None
    if pending is None:
        return
    settings, problems = Settings.from_query({**current().to_query(), **pending})
    for name in pending if not problems else ():
        if name in Settings.model_fields:
            state[name] = getattr(settings, name)
    if state.text and len(state.text) <= MOST_CHARACTERS:
        state.read_text = state.text
    current()


def _is_history_navigation() -> bool:
    """Whether the reader has gone back or forward in the browser's history."""
    context = get_script_run_ctx()
    return context is not None and context.is_history_navigation


def _page_in_address() -> str:
    """The page that the browser's address names."""
    name = urlsplit(st.context.url or "").path.rstrip("/").rpartition("/")[2]
    return name if name in PAGES else next(iter(PAGES))


def _spoken() -> LanguageName:
    """The language that the reader's browser asks for, of those there are."""
    return "ko" if (st.context.locale or "").split("-")[0] == "ko" else "en"


def current() -> Settings:
    """The settings as the widgets hold them, with the last text that could be read."""
    state = st.session_state
    # a widget that is not drawn any more takes its value with it
    values = dict(state.kept) if "kept" in state else {}
    values |= {name: state[name] for name in Settings.model_fields if name in state}
    state.kept = Settings.model_validate(values | {"text": state.read_text})
    return state.kept


def write_address(settings: Settings, page: type[BaseModel]) -> None:
    """The address of this view, of the fields that the page has; written only where it changes."""
    if st.session_state.get("leaving"):
        return
    if settings.gate == GATES_AS_READ[settings.cell][0]:  # what the page shows by itself
        settings = settings.model_copy(update={"gate": None})
    query = settings.to_query(_spoken(), page.model_fields)
    state = st.session_state
    # What Streamlit sends as the address may be an earlier one, or that of a link, which the
    # browser does not have: what was written last counts.
    if st.query_params.to_dict() != query or state.address != query:
        st.query_params.from_dict(query)
    state.address = query


def input_language(words: Labels) -> None:
    """The one switch of language, at the foot of the sidebar."""
    with st.sidebar:
        st.segmented_control(
            words["control.language"],
            list(LANGUAGES),
            format_func=LANGUAGES.__getitem__,
            key="language",
            required=True,
        )


def show_error(error: RnnvizError, words: Labels) -> None:
    """An error in the reader's words, where the thing itself would stand."""
    st.error(_as_it_stands(error.message(words.language)), icon=":material/error:")


def show_part(part: Callable[[Settings, Labels], None], settings: Settings, words: Labels) -> None:
    """A part of a page, or in its place the error that kept it from being shown."""
    try:
        part(settings, words)
    except RnnvizError as error:
        show_error(error, words)


def is_dark() -> bool:
    """Whether the reader's theme is dark."""
    known = _dark.get()
    return st.context.theme.type == "dark" if known is None else known


@contextmanager
def seen_by(*, dark: bool) -> Iterator[None]:
    """Makes figures for a reader whose page is not run meanwhile."""
    before = _dark.set(dark)
    try:
        yield
    finally:
        _dark.reset(before)


def live(
    page: str,
    write: Callable[[Settings], None],
    alone: Callable[[Settings], Collection[str]] = lambda _: (),
) -> Live:
    """What inputs need for live updates of a page; ``write``: writes that page's address.

    alone: the settings that change nothing on the page but live figures and texts.
    """
    ran = current()
    before = alone(ran) if not st.session_state.problems else ()

    def keep(name: str) -> bool:
        settings = current()
        if name not in before or name not in alone(settings):
            return False
        # Streamlit sends what changes at one moment in one message, for one fragment or the page.
        # What was None the page has filled in by itself.
        others = ((other, was) for other, was in ran if other not in before)
        if any(was not in (None, getattr(settings, other)) for other, was in others):
            return False
        write(settings)
        return True

    state = st.session_state
    return Live(page, state.language, is_dark(), state.get("run", 0), before, keep)
