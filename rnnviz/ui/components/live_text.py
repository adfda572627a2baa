"""HTML with live updates."""

from rnnviz.ui.components.script import served


def show_words(html: str, *, key: str) -> None:
    """Shows HTML; the caller must have escaped everything in it that a visitor has entered."""
    served("live_text")(key=key, data={"key": key, "html": html})
