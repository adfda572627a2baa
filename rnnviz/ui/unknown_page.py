"""Addresses that are no page of the app: the first page answers and names the nearest one."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from streamlit.runtime.scriptrunner import get_script_run_ctx

from rnnviz.errors import RnnvizError
from rnnviz.locale import Labels
from rnnviz.ui.pages import PAGES
from rnnviz.ui.session import session

LONGEST = 60  # characters of an address that a message repeats


def take_unknown_page() -> str | None:
    """The name in an address that is no page, or None; the first page answers in its place.

    Streamlit would open a dialog, in English. The first page's own name leads to it without a word.
    """
    context = get_script_run_ctx()
    if context is None:
        return None
    pages = context.pages_manager
    asked, first = pages.intended_page_name or "", next(iter(PAGES))
    if not asked or pages.intended_page_script_hash or asked in set(PAGES) - {first}:
        return None
    pages.set_script_intent("", "")
    return None if asked == first else asked


def report_unknown_page(asked: str, shown: str, words: Labels) -> None:
    """Adds a message to the problems of the address, and keeps the page with the nearest name."""
    name = words[f"page.{shown}.menu"]
    values: Mapping[str, Any] = {"asked": f"/{asked[:LONGEST]}", "shown": name}
    session.problems = (RnnvizError("address.no_page", **values), *session.problems)
    session.nearest_page = nearest_page(asked)


def nearest_page(asked: str) -> str | None:
    """The page whose name is most like the one asked for, if any is.

    >>> nearest_page("Gradient"), nearest_page("train")
    ('gradients', None)
    """
    return next(iter(get_close_matches(asked.casefold(), PAGES, 1)), None)
