"""Where to start from: a link each, and what it shows."""

from collections.abc import Collection
from functools import cache
from html import escape

import streamlit as st

from rnnviz.experiment import MOST_EDITED, SCENES, NetworkSettings, Settings
from rnnviz.locale import Labels
from rnnviz.ui.components.live_text import show_words
from rnnviz.ui.frame import LINK

ALONE = ("gain", "spectral_radius", "forget_bias", "input_scale", "clip")


def show_scenes(settings: Settings, words: Labels) -> None:
    """All scenes as links, and the words of the one that is on."""
    with st.container(horizontal=True, gap="xxsmall", key="scenes"):
        for name in SCENES:
            with st.container(key=f"scene_{name}", width="content"):
                st.page_link(
                    "pages/gradients.py",
                    label=words[f"scene.{name}"],
                    query_params=scene_query(name, settings),
                )
    show_words(_said(settings, words), key="scene_words")


def _said(settings: Settings, words: Labels) -> str:
    """What the scene shows that is on, and the mark on its link; settings may leave it by hand."""
    on = scene_of(settings)
    if on is None:
        return f"<p class='rnnviz-scene'>{escape(words['scenes.own'])}</p>"
    mark = f"<style>.st-key-scene_{on} a {{--on: var(--rnnviz-selected)}}</style>"
    return f"{mark}<p class='rnnviz-scene'>{escape(words[f'scene.{on}_words'])}</p>"


def moved_alone(settings: Settings) -> Collection[str]:
    """The settings that change nothing on the page but live figures and texts."""
    return () if settings.claim or settings.hidden <= MOST_EDITED else ALONE


def scene_query(name: str, settings: Settings) -> dict[str, str]:
    """The query of a link to a scene; by the scene's name it is known to be one."""
    changed = settings.model_copy(update=dict(SCENES[name]))
    return {**changed.to_query(settings.language, NetworkSettings.model_fields), LINK: name}


def scene_of(settings: Settings) -> str | None:
    """The scene that these settings are, or None."""
    now = settings.network(), settings.claim
    return next((name for name, scene in _scenes().items() if scene == now), None)


@cache
def _scenes() -> dict[str, tuple[NetworkSettings, bool]]:
    """What a scene is known by: its networks, and whether they are measured."""
    return {
        name: (Settings.model_validate(dict(scene)).network(), scene.claim)
        for name, scene in SCENES.items()
    }


WORDS = {"scene_words": _said}
