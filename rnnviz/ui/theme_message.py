"""Streamlit's theme, which it sends at the start of every run, read from its configuration once.

Streamlit searches all its options for each of the theme's six sections at every run of a page,
which takes a fifth of the server's time. They do not change while the server runs.
"""

from functools import cache

from streamlit.proto.NewSession_pb2 import CustomThemeConfig
from streamlit.runtime import app_session


def read_theme_once() -> None:
    """Replaces Streamlit's function that writes a section into a message, if there is one."""
    write = getattr(app_session, "_populate_theme_msg", None)
    if write is None:  # another version of Streamlit
        return

    @cache
    def section_of(name: str) -> CustomThemeConfig:
        message = CustomThemeConfig()
        write(message, name)
        return message

    def write_kept(message: CustomThemeConfig, section: str = "theme") -> None:
        kept = section_of(section)
        if kept.ListFields():
            message.MergeFrom(kept)

    app_session._populate_theme_msg = write_kept
