"""The first start on a machine: how far the compilation has come, and the line that tells of it."""

import time
from collections.abc import Iterable, Mapping
from html import escape

import streamlit as st

from rnnviz.locale import Labels

EVERY = 1.0  # seconds between two looks


class Compilation:
    """A compilation in the background, by stages; without stages on a later start.

    Stages are known by their numbers. A stage is done once its code is kept, by this process or a
    helper, and ready once this process has loaded it.
    """

    def __init__(self) -> None:
        self.begin(0, {}, is_kept=True)

    def begin(self, count: int, needed: Mapping[str, Iterable[int]], *, is_kept: bool) -> None:
        """Starts with this many stages.

        needed: those that the first view of a page waits for, by page. is_kept: whether the code is
        kept for the next start.
        """
        self.count, self.needed, self.is_kept = count, needed, is_kept
        self.done, self.ready = set[int](), set[int]()

    def finish(self, stage: int) -> None:
        """This process has the code of a stage."""
        self.done.add(stage)
        self.ready.add(stage)

    def is_running(self) -> bool:
        return len(self.ready) < self.count

    def is_awaited(self, page: str) -> bool:
        """Whether the first view of the page needs code that is not ready."""
        return self.is_running() and not self.ready.issuperset(self.needed.get(page, ()))

    def line(self, words: Labels) -> str:
        """Which stage it is at, and whether there will be a next time, as HTML."""
        at = min(len(self.done) + 1, self.count)
        text = words("compiling.progress", at=at, count=self.count)
        after = words["compiling.once" if self.is_kept else "compiling.not_kept"]
        return f"<p class='rnnviz-note' role='status'>{escape(f'{text} {after}')}</p>"


compilation = Compilation()


def show_compilation(page: str, words: Labels) -> None:
    """Draws a line while code is compiled; it updates itself, and is gone at the end.

    A page that waits for code draws it later, in ``wait_for_code``.
    """
    if compilation.is_running() and not compilation.is_awaited(page):
        _show_line(words)


def wait_for_code(page: str, words: Labels) -> None:
    """Waits for the code that the first view of a page needs, and shows how far it has come."""
    if not compilation.is_awaited(page):
        return
    place = st.empty()
    while compilation.is_awaited(page):
        place.html(compilation.line(words))
        time.sleep(EVERY / 4)
    place.empty()
    show_compilation(page, words)


@st.fragment(run_every=EVERY)
def _show_line(words: Labels) -> None:
    if not compilation.is_running():
        st.rerun()
    st.html(compilation.line(words))
