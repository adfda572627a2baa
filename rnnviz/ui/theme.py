"""Whether figures are drawn for a dark theme."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import streamlit as st

_dark: ContextVar[bool | None] = ContextVar("dark", default=None)


def is_dark() -> bool:
    """Whether the reader's theme is dark."""
    dark = _dark.get()
    return st.context.theme.type == "dark" if dark is None else dark


@contextmanager
def seen_by(*, dark: bool) -> Iterator[None]:
    """A context for figures that are made outside a run of the reader's page."""
    token = _dark.set(dark)
    try:
        yield
    finally:
        _dark.reset(token)
