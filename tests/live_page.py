"""A page with charts and sliders, for tests/test_live.py; served by tests/live_app.py."""

import time
from functools import partial
from html import escape

import numpy as np
import plotly.graph_objects as go
import streamlit as st
from numpy.typing import NDArray

from rnnviz.experiment import GradientsPage
from rnnviz.plots.style import layout, legend_above, palette
from rnnviz.ui.components import chart
from rnnviz.ui.components.chart import show_chart
from rnnviz.ui.components.live_text import show_words
from rnnviz.ui.components.live_updates import Live
from rnnviz.ui.components.slider import input_slider
from rnnviz.ui.theme import is_dark

STEPS = np.arange(1, 101)
UNITS = np.arange(16)
NOTCHES = (None, -2.5, 0.001, 1.0, 10.0)
FAILED = "This figure cannot be drawn here."


def waves(gain: float) -> dict[str, NDArray[np.float64]]:
    """The lines by name; one of them exists only for a small gain."""
    found = {
        "sine": gain * np.sin(STEPS / 8),
        "between": gain * np.sin(STEPS / 8) / 2,
        "cosine": gain * np.cos(STEPS / 8),
    }
    if gain > 2:
        del found["between"]
    return found


def grid(gain: float) -> NDArray[np.float32]:
    return (gain * np.sin(STEPS / 8 + UNITS[:, None])).astype(np.float32)


def lines(gain: float, kind: str = "scatter") -> go.Figure:
    reach = max(1.0, 1.2 * gain)
    drawn = [
        {"type": kind, "mode": "lines", "x": STEPS, "y": y, "name": name}
        for name, y in waves(gain).items()
    ]
    rest = legend_above() | {"yaxis": {"range": [-reach, reach]}, "margin": {"l": 40, "r": 10}}
    return go.Figure(drawn, layout(palette(dark=is_dark()), height=300, **rest))


def heatmap(gain: float) -> go.Figure:
    names = [str(unit) for unit in UNITS]
    rows = {"type": "category", "autorange": "reversed"}
    drawn = go.Heatmap(z=grid(gain), x=[str(t) for t in STEPS], y=names, zmin=-3, zmax=3)
    return go.Figure(drawn, layout(palette(dark=is_dark()), yaxis=rows))


def reset(gain: float) -> None:
    st.session_state.gain = gain


def _followed() -> Live:
    """Live updates; with ?live=alone the page need not run for the slider."""
    alone = st.query_params["live"] == "alone"
    names = ("gain",) if alone else ()
    runs, write = st.session_state.runs, GradientsPage.field_text
    return Live("waves", "en", is_dark(), runs, names, names.__contains__, write)


def main() -> None:
    st.set_page_config(layout="wide")
    state, asked = st.session_state, st.query_params
    if asked.get("chunk") is not None:
        chart.CHUNK = asked["chunk"]
    state.setdefault("gain", 1.0)
    state.runs = state.get("runs", 0) + 1
    with st.sidebar:
        input_slider(
            "Gain",
            key="gain",
            low=0.0,
            high=3.0,
            step=0.01,
            format="{:.2f}".format,
            help="What the lines are multiplied by.",
            live=_followed() if "live" in asked else None,
        )
        input_slider(
            "Clip",
            key="clip",
            options=NOTCHES,
            format=lambda value: "none" if value is None else f"{value:g}",
        )
        st.button("One", key="one", on_click=partial(reset, 1.0))
        st.button("Between", key="between", on_click=partial(reset, 0.505))
        st.toggle("Heatmap", True, key="with_heatmap")
    time.sleep(float(asked.get("slow", 0)))
    show_chart(
        lines(state.gain, asked.get("trace", "scatter")),
        key="figure_lines",
        alt="Waves.",
        failed=FAILED,
        on_click=lambda: None,
    )
    if state.with_heatmap:
        show_chart(heatmap(state.gain), key="figure_map", alt="A grid.", height=200)
    show_words(f"<b>{state.gain!r}</b>", key="said")
    output = f"{state.gain!r} {state.clip!r} {state.figure_lines.picked} run {state.runs}"
    st.html(f"<p class='rnnviz-count'>{escape(output)}</p>")


if __name__ == "__main__":
    main()
