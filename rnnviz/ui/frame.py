"""What every page stands in: its title, the look, the language, and what the address asked for."""

import re
from html import escape
from pathlib import Path

import streamlit as st

from rnnviz.errors import RnnvizError
from rnnviz.experiment import LanguageName, Settings
from rnnviz.locale import LANGUAGES, Labels, labels
from rnnviz.plots.style import palette
from rnnviz.ui.cache import ASSETS

CSS = Path(__file__).with_name("frame.css").read_text(encoding="utf-8")


PAGES = {"step": ":material/skip_next:"}  # in the order of the menu, the first is /


def navigate() -> None:
    """The whole of app.py: the menu, and the page that was asked for."""
    _read_address()
    words = labels(st.session_state.language)
    st.set_page_config(page_title="rnnviz", page_icon=str(ASSETS / "icon.svg"), layout="wide")
    st.logo(ASSETS / f"logo_{'dark' if is_dark() else 'light'}.svg", size="large")
    pages = [
        st.Page(
            f"pages/{name}.py",
            title=words[f"page.{name}.menu"],
            icon=icon,
            default=name == next(iter(PAGES)),
        )
        for name, icon in PAGES.items()
    ]
    st.session_state.framed = True
    st.navigation(pages).run()


def open_page(page: str) -> Labels:
    """The page's frame; returns the words of the reader's language."""
    if "framed" not in st.session_state:
        # A fresh server runs a page's file without app.py at the first request to its address.
        st.switch_page("app.py", query_params=st.query_params.to_dict())
    language = st.session_state.language
    words = labels(language)
    st.html(f"<style>{_colours()}{CSS}</style>")
    st.html(f"<h1 class='rnnviz-title'>{escape(words[f'page.{page}.title'])}</h1>")
    # What the address got wrong stands there until the reader changes something.
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
        f" --rnnviz-muted: {colours.muted};}}"
    )


def _read_address() -> None:
    """Once a session the address's settings become the widgets' values; then these are kept.

    A widget that comes back with other labels or limits forgets what it held; a value that the
    script has set itself it takes over.
    """
    state = st.session_state
    if "problems" in state:
        for name in Settings.model_fields:
            state[name] = state[name]
        return
    settings, problems = Settings.from_query(st.query_params.to_dict(), _spoken())
    state.problems, state.first = problems, settings
    state.read_text = settings.text
    for name, value in settings:
        state[name] = value


def _spoken() -> LanguageName:
    """The language that the reader's browser asks for, of those there are."""
    return "ko" if (st.context.locale or "").split("-")[0] == "ko" else "en"


def current() -> Settings:
    """The settings as the widgets hold them, with the last text that could be read."""
    values = {name: st.session_state[name] for name in Settings.model_fields}
    return Settings.model_validate(values | {"text": st.session_state.read_text})


def write_address(settings: Settings) -> None:
    """The address of this view; written only where it changes."""
    query = settings.to_query(_spoken())
    if st.query_params.to_dict() != query:
        st.query_params.from_dict(query)


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


def is_dark() -> bool:
    """Whether the reader's theme is dark."""
    return st.context.theme.type == "dark"
