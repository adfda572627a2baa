"""Links to the scenes of the gradients page, and the text of the scene shown."""

from collections.abc import Collection
from functools import cache
from html import escape

import streamlit as st

from rnnviz.experiment import MOST_EDITED, SCENES, GradientsPage, NetworkSettings
from rnnviz.glossary import TermMarks
from rnnviz.locale import Labels
from rnnviz.ui.address import LINK, query_of, write_address
from rnnviz.ui.components.live_text import show_words

LIVE_FIELDS = ("gain", "forget_bias", "clip")  # the marks on the gain slider depend on others


def write_view(settings: GradientsPage) -> None:
    """Writes the address of this page, without the gate that it shows by default."""
    write_address(settings.without_default_gate())


def show_scenes(settings: GradientsPage, words: Labels) -> None:
    """Draws a link per scene, and the text of the scene shown."""
    with st.container(horizontal=True, gap="xxsmall", key="scenes"):
        for name in SCENES:
            with st.container(key=f"scene_{name}", width="content"):
                st.page_link(
                    "pages/gradients.py",
                    label=words[f"scene.{name}"],
                    query_params=scene_query(name, settings),
                )
    show_words(_scene_text(settings, words), key="scene_words")


def _scene_text(settings: GradientsPage, words: Labels) -> str:
    """The text of the scene shown and the mark on its link, or a text for other settings."""
    shown = scene_of(settings)
    if shown is None:
        return f"<p class='rnnviz-scene'>{escape(words['scenes.own'])}</p>"
    mark = f"<style>.st-key-scene_{shown} a {{--on: var(--rnnviz-selected)}}</style>"
    text = TermMarks(words.language).html(words[f"scene.{shown}_words"])
    return f"{mark}<p class='rnnviz-scene'>{text}</p>"


def live_fields(settings: GradientsPage) -> Collection[str]:
    """The fields on which only live figures and texts depend."""
    return () if settings.claim or settings.hidden <= MOST_EDITED else LIVE_FIELDS


def scene_query(name: str, settings: GradientsPage) -> dict[str, str]:
    """The query of a link to a scene, in the reader's language."""
    scene = SCENES[name].model_copy(update={"language": settings.language})
    return {**query_of(scene), LINK: name}


def scene_of(settings: GradientsPage) -> str | None:
    """The scene that these settings are, or None."""
    shown = settings.network(), settings.claim
    return next((name for name, scene in _scenes().items() if scene == shown), None)


@cache
def _scenes() -> dict[str, tuple[NetworkSettings, bool]]:
    """What distinguishes the scenes: their networks, and whether the claim is measured."""
    return {name: (scene.network(), scene.claim) for name, scene in SCENES.items()}


LIVE_TEXTS = {"scene_words": _scene_text}
