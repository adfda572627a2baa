"""The theme that Streamlit sends at the start of every run, read once."""

import pytest
from streamlit import config
from streamlit.proto.NewSession_pb2 import CustomThemeConfig, NewSession
from streamlit.runtime import app_session

from rnnviz.ui.theme_message import read_theme_once


def sections(message: NewSession) -> dict[str, CustomThemeConfig]:
    theme = message.custom_theme
    return {
        "theme": theme,
        "theme.light": theme.light,
        "theme.dark": theme.dark,
        "theme.sidebar": theme.sidebar,
        "theme.light.sidebar": theme.light.sidebar,
        "theme.dark.sidebar": theme.dark.sidebar,
    }


def sent() -> NewSession:
    message = NewSession()
    for name, section in sections(message).items():
        app_session._populate_theme_msg(section, name)
    return message


def test_the_theme_is_the_same_and_read_once(monkeypatch: pytest.MonkeyPatch):
    written = app_session._populate_theme_msg
    monkeypatch.setattr(app_session, "_populate_theme_msg", written)  # restored at the end
    expected = sent()
    assert expected.custom_theme.light.primary_color == "#005f73"
    assert expected.custom_theme.dark.sidebar.background_color == "#161b22"
    read_theme_once()
    read = config.get_options_for_section
    asked: list[str] = []
    monkeypatch.setattr(config, "get_options_for_section", lambda n: asked.append(n) or read(n))
    assert [sent(), sent()] == [expected, expected]
    assert sorted(asked) == sorted(sections(NewSession()))


def test_another_streamlit_is_left_alone(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delattr(app_session, "_populate_theme_msg")
    read_theme_once()
    assert not hasattr(app_session, "_populate_theme_msg")
