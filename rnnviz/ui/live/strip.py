"""The text as a strip to click, with one cursor through the strip and every heatmap."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from plotly.colors import hex_to_rgb
from streamlit.components.v2 import component

from rnnviz.inputs.vocabulary import Vocabulary, picture
from rnnviz.locale import Labels
from rnnviz.plots.style import palette

HERE = Path(__file__).parent

_strip = component(
    "rnnviz_strip",
    css=(HERE / "strip.css").read_text(encoding="utf-8"),
    js=(HERE / "strip.js").read_text(encoding="utf-8"),
)


def input_step(
    text: str,
    vocabulary: Vocabulary,
    shades: NDArray[Any],
    *,
    t: int,
    first_step: int,
    unit: int,
    playing: bool,
    speed: int,
    words: Labels,
    dark: bool,
    on_pick: Callable[[], None],
    key: str,
) -> None:
    """Draws the strip; a click, in it or in a heatmap, calls ``on_pick``.

    What was picked stands in ``st.session_state[key].picked``: {"t": …} or {"t": …, "unit": …}.
    shades: (time,) in −1 … 1, the colour of each character. t: the step now, from 1.
    first_step: the first step that the heatmaps show, from 0.
    """
    colours = palette(dark=dark)
    unknown = [i for i, character in enumerate(text) if character not in vocabulary]
    shown = [picture(character) for character in text]
    titles = [words("strip.step", t=i + 1, character=name) for i, name in enumerate(shown)]
    for i in unknown:
        titles[i] = words("strip.unknown", t=i + 1, character=shown[i])
    _strip(
        key=key,
        data={
            "text": text,
            "label": words["strip.label"],
            "shown": shown,
            "titles": titles,
            "unknown": unknown,
            "breaks": [i for i, character in enumerate(text) if character == "\n"],
            "shades": " ".join(f"{value:.3f}" for value in np.nan_to_num(shades)),
            "scale": [hex_to_rgb(colour) for _, colour in colours.signed],
            "ink": colours.ink,
            "amber": colours.selected,
            "t": t,
            "first": first_step,
            "unit": unit,
            "playing": playing,
            "speed": speed,
        },
        on_picked_change=on_pick,
    )
