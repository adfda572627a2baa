"""HTML with live updates."""

from pathlib import Path

from streamlit.components.v2 import component

from rnnviz.instrument.modules import join_modules

# Not in a shadow root, so that the page's styles apply.
_text = component(
    "rnnviz_live_text",
    js=join_modules(Path(__file__).with_name("live_text.js")),
    isolate_styles=False,
)


def show_words(html: str, *, key: str) -> None:
    """Shows HTML; the caller must have escaped everything in it that a visitor has entered."""
    _text(key=key, data={"key": key, "html": html})
