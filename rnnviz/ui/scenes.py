"""Where to start from: a link each, and what it shows."""

from collections.abc import Collection
from functools import cache
from html import escape

import streamlit as st

from rnnviz.experiment import MOST_EDITED, SCENES, NetworkSettings, Settings
from rnnviz.locale import Labels

ALONE = ("gain", "spectral_radius", "forget_bias", "input_scale", "clip")


def show_scenes(settings: Settings, words: Labels) -> None:
    """All scenes as links, and the words of the one that is on."""
    on = scene_of(settings)
    with st.container(horizontal=True, gap="xxsmall", key="scenes"):
        for name in SCENES:
            with st.container(key=f"scene_{'on_' * (name == on)}{name}", width="content"):
                st.page_link(
                    "pages/gradients.py",
                    label=words[f"scene.{name}"],
                    query_params=scene_query(name, settings),
                )
    # there also when it says nothing: what stands below keeps its place, and so its drawing
    said = "" if on is None else words[f"scene.{on}_words"]
    st.html(f"<p class='rnnviz-scene'>{escape(said)}</p>")


def moved_alone(settings: Settings) -> Collection[str]:
    """The settings by which nothing changes on the page but figures and words that follow them."""
    if settings.claim or settings.hidden <= MOST_EDITED or scene_of(settings):
        return ()
    return ALONE


def scene_query(name: str, settings: Settings) -> dict[str, str]:
    """The address of a scene; never a bare one, which would mean: as it was."""
    scene = SCENES[name]
    changed = settings.model_copy(update=dict(scene))
    query = changed.to_query(settings.language, NetworkSettings.model_fields)
    return query or {"init": scene.init}


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
