"""A page runs again when its server comes back."""

from pathlib import Path

from streamlit.components.v2 import component

from rnnviz.instrument.modules import join_modules
from rnnviz.ui.components.chart import CHUNK

HERE = Path(__file__).parent
_wake = component(
    "rnnviz_wake",
    js=join_modules(*(HERE / f"{name}.js" for name in ("library", "follow", "reconnect"))),
)


def wake_up(run: int) -> None:
    """Has the page run anew, from its address, when a server that was away is there again.

    run: the number of the page's run, by which what was moved knows that the page has followed.

    Streamlit connects again by itself, to a new session if the server is a new one, and waits for
    the next change; that of a fragment means nothing to a session which has not run its page.
    Plotly is loaded meanwhile, before there is anything to draw.
    """
    _wake(key="wake", data={"run": run, "chunk": CHUNK}, on_woken_change=_do_nothing)


def _do_nothing() -> None:
    """A trigger is known by its callback; the answer to this one is the run that follows."""
