"""Any Plotly figure on a permanent element: an update redraws in place."""

import json
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit
from plotly.offline import get_plotlyjs

from rnnviz.plots.drawing import Drawing
from rnnviz.ui.components.message import message_bytes
from rnnviz.ui.components.script import served

INTEGERS = ("u1", "i1", "u2", "i2", "u4", "i4")  # dtypes that plotly.js takes as bytes
HEIGHT = 450  # pixels, if neither the figure nor the caller gives a height

# Streamlit ships Plotly in a chunk that its own charts load; importing it defines window.Plotly.
SCRIPTS = Path(streamlit.__file__).parent / "static" / "static" / "js"
CHUNK = next((path.name for path in SCRIPTS.glob("PlotlyChart.*.js")), "")


def show_chart(
    figure: go.Figure | Drawing,
    *,
    key: str,
    alt: str,
    failed: str | None = None,
    save: str = "",
    height: int | None = None,
    on_click: Callable[[], None] | None = None,
) -> None:
    """Draws the figure over the full width; a click on a point calls ``on_click``.

    The clicked point is in ``st.session_state[key].picked``: {"curve": …, "x": …, "y": …,
    "customdata": …}; a browser can send anything there. Updates keep the zoom and the lines hidden
    in the legend, identified by their ``meta`` or else their names, until ``layout.uirevision``
    changes.

    The figure must set its colours: Streamlit's default template for plotly has none.
    alt: the alternative text. failed: the text shown if the figure cannot be drawn; by default alt.
    save: the name of a button that saves an image; without one, there is no button.
    height: in pixels, by default the figure's own.
    """
    header = {
        "key": key,
        "alt": alt,
        "failed": failed or alt,
        "save": save,
        "height": height or _height(figure) or HEIGHT,
        "clicks": on_click is not None,
        "chunk": CHUNK,
    }
    draw = served("chart")
    result = draw(
        key=key,
        data=message_bytes(header, figure_json(figure)),
        on_picked_change=on_click,
        on_missing_change=_do_nothing,
    )
    if result.missing:
        # This Streamlit has no such chunk: the page has requested plotly's own copy.
        draw(key=f"{key}_plotly", data=message_bytes({"library": True}, get_plotlyjs()))


def _height(figure: go.Figure | Drawing) -> Any:
    drawn: Any = figure.layout
    return drawn.get("height") if isinstance(figure, Drawing) else drawn.height


def figure_json(figure: go.Figure | Drawing) -> str:
    """The figure as JSON in one line, with arrays in base64."""
    if not isinstance(figure, Drawing):
        return str(figure.to_json(validate=False))
    # plotly.js has no default template that must be turned off
    layout = {name: part for name, part in figure.layout.items() if name != "template"}
    parts = {"data": figure.data, "layout": layout}
    try:
        return json.dumps(parts, default=_json_value, allow_nan=False, separators=(",", ":"))
    except ValueError:  # a non-finite number outside an array
        return figure_json(go.Figure(*figure))


def _json_value(value: Any) -> Any:
    """NumPy's scalars and arrays as JSON values that plotly.js reads."""
    if isinstance(value, np.generic):
        return value.item()
    kind = value.dtype.str[1:]
    if value.dtype.kind in "iu" and value.size:
        low, high = value.min(), value.max()
        holds = (np.iinfo(name) for name in INTEGERS)
        kind = next(
            (k for k, i in zip(INTEGERS, holds, strict=True) if i.min <= low and high <= i.max),
            kind,
        )
        value = value.astype(kind)
    if kind not in (*INTEGERS, "f4", "f8"):
        return value.tolist()
    found = {"dtype": kind, "bdata": b64encode(value.tobytes()).decode()}
    return found if value.ndim == 1 else found | {"shape": ", ".join(map(str, value.shape))}


def _do_nothing() -> None:
    """Registers the trigger, which needs a callback; the rerun itself is the answer."""
