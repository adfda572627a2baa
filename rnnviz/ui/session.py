"""What a session holds beside its widgets.

A widget's key is a query parameter, such as ``hidden``. All other state has a key that starts with
``rnnviz.``, so that no widget can have the same one.
"""

from collections.abc import Mapping
from typing import Any, Generic, TypeVar, overload

import streamlit as st

from rnnviz.errors import RnnvizError
from rnnviz.experiment import FIRST_TEXT, NetworkSpec, PageSettings

Value = TypeVar("Value")


class Entry(Generic[Value]):
    """An attribute that is kept in ``st.session_state``."""

    def __init__(self, default: Value) -> None:
        self.default = default

    def __set_name__(self, owner: type, name: str) -> None:
        self.key = f"rnnviz.{name}"

    @overload
    def __get__(self, instance: None, owner: type) -> "Entry[Value]": ...
    @overload
    def __get__(self, instance: object, owner: type) -> Value: ...
    def __get__(self, instance: object | None, owner: type) -> "Entry[Value] | Value":
        return self if instance is None else st.session_state.get(self.key, self.default)

    def __set__(self, instance: object, value: Value) -> None:
        st.session_state[self.key] = value


class Session:
    """The state of the present session. Values are replaced, never changed: all share a default."""

    page = Entry[str | None](None)  # the page that has read its address last
    requested_page = Entry[str | None](None)  # a page whose script ran without app.py
    run = Entry(0)  # counts the runs of pages
    kept = Entry[Mapping[str, Any]]({})  # the last values of the fields of pages that have run
    last_text = Entry(FIRST_TEXT)  # the last text that could be read
    address = Entry[Mapping[str, str] | None](None)  # the query last written; None after reading
    read_query = Entry[Mapping[str, str] | None](None)  # the query read last
    is_leaving = Entry(False)  # whether this run only takes what is pending before a page is left
    as_read = Entry[PageSettings | None](None)  # the settings of the address
    problems = Entry[tuple[RnnvizError, ...]](())  # of the address
    nearest_page = Entry[str | None](None)  # to an address that is no page
    refused_seed = Entry[int | None](None)  # a number that the reader gave and that is no seed
    place = Entry[tuple[str, int] | None](None)  # of a run that waits for a turn, and in which line
    plays = Entry(0)  # counts what was written, which is then played
    marked_terms = Entry[frozenset[str]](frozenset())  # of the glossary, in the card being drawn
    refresh = Entry(False)  # whether a fragment needs the whole page to run
    untrained_networks = Entry[tuple[NetworkSpec, ...]](())  # for when a signal is read again


session = Session()
