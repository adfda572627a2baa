"""The frame of every page: menu, style, title, language, and the problems of the address."""

import logging
import re
from base64 import b64encode
from collections.abc import Callable
from functools import cache, wraps
from html import escape
from pathlib import Path
from typing import ParamSpec, TypeVar

import streamlit as st

from rnnviz.errors import RnnvizError
from rnnviz.experiment import PageSettings
from rnnviz.locale import LANGUAGES, Labels, labels
from rnnviz.plots.style import palette
from rnnviz.shipped import read_shipped
from rnnviz.ui.address import (
    LINK,
    has_changed,
    query_of,
    read_address,
    reader_language,
    restore_widgets,
    take_pending,
)
from rnnviz.ui.cache import ASSETS
from rnnviz.ui.cards import apply_styles
from rnnviz.ui.compiling import show_compilation, wait_for_code
from rnnviz.ui.components.connection import connect
from rnnviz.ui.components.glossary import offer_glossary
from rnnviz.ui.pages import PAGES
from rnnviz.ui.session import session
from rnnviz.ui.theme import is_dark
from rnnviz.ui.unknown_page import report_unknown_page, take_unknown_page

Settings = TypeVar("Settings", bound=PageSettings)
P = ParamSpec("P")

STYLES = Path(__file__).with_name("frame.css")


def navigate() -> None:
    """Runs the app: shows the menu, reads the address and runs the requested page.

    An error that the page does not show itself, as of a damaged file of rnnviz, ends it.
    """
    session.run += 1
    restore_widgets()
    words = labels(reader_language())
    st.set_page_config(_title(session.page, words), page_icon=drawing("icon"), layout="wide")
    if logo := drawing(f"logo_{'dark' if is_dark() else 'light'}"):
        st.logo(logo, size="large")
    try:
        _run_page(words)
    except RnnvizError as error:
        show_error(error, words)


@cache
def drawing(name: str) -> str | None:
    """The address of one of the app's drawings, with its content.

    None, and a line in the server's log, if its file is damaged: the pages do without it.
    """
    try:
        content = read_shipped(ASSETS / f"{name}.svg").encode()
    except RnnvizError as error:
        logging.getLogger(__name__).warning(error.message())
        return None
    return f"data:image/svg+xml;base64,{b64encode(content).decode()}"


def _run_page(words: Labels) -> None:
    pages = {
        name: st.Page(
            f"pages/{name}.py",
            title=words[f"page.{name}.menu"],
            icon=page.icon,
            default=name == next(iter(PAGES)),
        )
        for name, page in PAGES.items()
    }
    unknown = take_unknown_page()
    opened = st.navigation(list(pages.values()))
    requested, session.requested_page = session.requested_page, None
    if requested is not None and pages[requested].url_path != opened.url_path:
        st.switch_page(pages[requested], query_params=st.query_params.to_dict())
    name = next(name for name, page in pages.items() if page.url_path == opened.url_path)
    if name != session.page:
        st.set_page_config(_title(name, words))
        session.nearest_page = None
    read_address(name)
    if unknown is not None:
        report_unknown_page(unknown, name, words)
    take_pending(name)
    kind = PAGES[name].settings
    connect(session.run, list(kind.model_fields), kind.first_texts(), words)
    if st.session_state.language != words.language:
        st.rerun()  # the menu is in the language of the address before
    opened.run()


def _title(page: str | None, words: Labels) -> str:
    """The title of the browser's window: the page's name in the menu, and the app's."""
    return "rnnviz" if page is None else f"{words[f'page.{page}.menu']} · rnnviz"


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
    apply_styles(STYLES, page_colours())
    offer_glossary(language)
    session.marked_terms = frozenset()  # no card has begun
    with st.container(horizontal=True, gap="small", key="title"):
        st.html(f"<h1 class='rnnviz-title'>{escape(words[f'page.{page}.title'])}</h1>")
        with st.container(key="reset", width="content"):
            st.page_link(
                f"pages/{page}.py",
                label=words["page.reset"],
                icon=":material/restart_alt:",
                query_params=first_query(page),
            )
    _input_language(words)
    # in a container with or without problems: Streamlit identifies a fragment by what precedes it
    with st.container(key="problems"):
        if session.problems and not has_changed():  # until the reader changes one
            for problem in session.problems:
                st.warning(literal(problem.message(language)), icon=":material/link_off:")
            if nearest := session.nearest_page:
                label = words("address.nearest_page", page=words[f"page.{nearest}.menu"])
                st.page_link(f"pages/{nearest}.py", label=label, icon=PAGES[nearest].icon)
        show_compilation(page, words)
    return words


def first_query(page: str) -> dict[str, str]:
    """The query of a link to a page's first view, in the reader's language."""
    language = st.session_state.language
    first = PAGES[page].settings.first().model_copy(update={"language": language})
    return {**query_of(first), LINK: "first"}


def page_colours() -> str:
    """The CSS variables of the page's colours."""
    colours = palette(dark=is_dark())
    return (
        f":root {{--rnnviz-card: {colours.ground}; --rnnviz-line: {colours.line};"
        f" --rnnviz-muted: {colours.muted}; --rnnviz-selected: {colours.selected};"
        f" --rnnviz-accent: {colours.accent};}}"
    )


def _input_language(words: Labels) -> None:
    """The language switch at the top of the sidebar."""
    with st.sidebar:
        st.segmented_control(
            words["control.language"],
            list(LANGUAGES),
            format_func=LANGUAGES.__getitem__,
            key="language",
            required=True,
            label_visibility="collapsed",
        )


def show_error(error: RnnvizError, words: Labels) -> None:
    """Shows an error in the reader's language, in place of what it prevents."""
    st.error(literal(error.message(words.language)), icon=":material/error:")


def show_part(part: Callable[[Settings, Labels], None], settings: Settings, words: Labels) -> None:
    """Shows a part of a page, or the error that prevents it."""
    wait_for_code(session.page or "", words)
    try:
        part(settings, words)
    except RnnvizError as error:
        show_error(error, words)


def as_fragment(draw: Callable[P, None]) -> Callable[P, None]:
    """``draw`` as a fragment, which shows an error that prevents it: Streamlit lets none out."""

    @st.fragment
    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            draw(*args, **kwargs)
        except RnnvizError as error:
            show_error(error, labels(st.session_state.language))

    return drawn


def literal(message: str) -> str:
    """Markdown that shows the message character by character: it may repeat text of an address.

    Each line is a code span, and ``frame.css`` gives it the box's own font. Escaped Markdown would
    not do: after parsing, Streamlit still turns addresses into links and <- into an arrow.

    >>> literal("a `b`")
    '`` a `b` ``'
    """
    return "\\\n".join(map(_code, re.split(r"\r\n|\r|\n", message)))


def _code(line: str) -> str:
    """Code spans; an empty directive splits :material/, which Streamlit rewrites before parsing."""
    spans: list[str] = []
    for part in re.split(r"(?<=:material)(?=/)", line):
        ticks = "`" * (1 + max(map(len, re.findall("`+", part)), default=0))
        spans.append(f"{ticks} {part} {ticks}")
    return ":small[]".join(spans)
