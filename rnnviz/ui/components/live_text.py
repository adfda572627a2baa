"""A piece of HTML with live updates."""

from pathlib import Path

from streamlit.components.v2 import component

from rnnviz.instrument.modules import join_modules

# Not in a shadow: the page's own styles are to hold.
_text = component(
    "rnnviz_live_text",
    js=join_modules(Path(__file__).with_name("live_text.js")),
    isolate_styles=False,
)


def show_words(html: str, *, key: str) -> None:
    """Shows HTML that is the caller's own: whatever came from a visitor is escaped in it."""
    _text(key=key, data={"key": key, "html": html})
