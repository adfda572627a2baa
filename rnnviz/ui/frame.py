"""The frame of every page: menu, style, title, language, and the problems of the address."""

import re
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import TypeVar

import streamlit as st

from rnnviz.errors import RnnvizError
from rnnviz.experiment import PageSettings
from rnnviz.locale import LANGUAGES, Labels, labels
from rnnviz.plots.style import palette
from rnnviz.ui.address import (
    has_changed,
    read_address,
    reader_language,
    restore_widgets,
    take_pending,
)
from rnnviz.ui.cache import ASSETS
from rnnviz.ui.compiling import show_compilation, wait_for_code
from rnnviz.ui.components.connection import connect
from rnnviz.ui.pages import PAGES
from rnnviz.ui.session import session
from rnnviz.ui.theme import is_dark

Settings = TypeVar("Settings", bound=PageSettings)

CSS = Path(__file__).with_name("frame.css").read_text(encoding="utf-8")


def navigate() -> None:
    """Runs the app: shows the menu, reads the address and runs the requested page."""
    session.run += 1
    restore_widgets()
    language = reader_language()
    words = labels(language)
    st.set_page_config(page_title="rnnviz", page_icon=str(ASSETS / "icon.svg"), layout="wide")
    st.logo(ASSETS / f"logo_{'dark' if is_dark() else 'light'}.svg", size="large")
    pages = {
        name: st.Page(
            f"pages/{name}.py",
            title=words[f"page.{name}.menu"],
            icon=page.icon,
            default=name == next(iter(PAGES)),
        )
        for name, page in PAGES.items()
    }
    opened = st.navigation(list(pages.values()))
    requested, session.requested_page = session.requested_page, None
    if requested is not None and pages[requested].url_path != opened.url_path:
        st.switch_page(pages[requested], query_params=st.query_params.to_dict())
    name = next(name for name, page in pages.items() if page.url_path == opened.url_path)
    read_address(name)
    take_pending(name)
    connect(session.run, list(PAGES[name].settings.model_fields))
    if st.session_state.language != language:
        st.rerun()  # the menu is in the language of the address before
    opened.run()


def open_page(page: str) -> Labels:
    """Draws the page's frame; returns the texts of the reader's language."""
    if session.page is None:
        # A fresh server runs a page's script without app.py at the first request to its address.
        session.requested_page = page
        st.switch_page("app.py", query_params=st.query_params.to_dict())
    # a run of this script alone, as in a test, has not restored what Streamlit dropped
    for name, before in session.kept.items():
        st.session_state.setdefault(name, before)
    language = st.session_state.language
    words = labels(language)
    st.html(f"<style>{page_colours()}{CSS}</style>")
    st.html(f"<h1 class='rnnviz-title'>{escape(words[f'page.{page}.title'])}</h1>")
    # in a container with or without problems: Streamlit identifies a fragment by what precedes it
    with st.container(key="problems"):
        for problem in () if has_changed() else session.problems:  # until the reader changes one
            st.warning(_literal(problem.message(language)), icon=":material/link_off:")
        show_compilation(page, words)
    return words


def page_colours() -> str:
    """The CSS variables of the page's colours."""
    colours = palette(dark=is_dark())
    return (
        f":root {{--rnnviz-card: {colours.ground}; --rnnviz-line: {colours.line};"
        f" --rnnviz-muted: {colours.muted}; --rnnviz-selected: {colours.selected};}}"
    )


def input_language(words: Labels) -> None:
    """The language switch at the bottom of the sidebar."""
    with st.sidebar:
        st.segmented_control(
            words["control.language"],
            list(LANGUAGES),
            format_func=LANGUAGES.__getitem__,
            key="language",
            required=True,
        )


def show_error(error: RnnvizError, words: Labels) -> None:
    """Shows an error in the reader's language, in place of what it prevents."""
    st.error(_literal(error.message(words.language)), icon=":material/error:")


def show_part(part: Callable[[Settings, Labels], None], settings: Settings, words: Labels) -> None:
    """Shows a part of a page, or the error that prevents it."""
    wait_for_code(session.page or "", words)
    try:
        part(settings, words)
    except RnnvizError as error:
        show_error(error, words)


def _literal(message: str) -> str:
    """The message with all Markdown escaped: it may repeat text of an address."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", message)
