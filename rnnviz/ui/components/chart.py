"""Any Plotly figure on a div of its own: an update changes the drawing and never replaces it."""

import json
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit
from plotly.offline import get_plotlyjs
from streamlit.components.v2 import component

from rnnviz.instrument.modules import join_modules
from rnnviz.plots.drawing import Drawing
from rnnviz.ui.components.packing import packed

HERE = Path(__file__).parent
INTEGERS = ("u1", "i1", "u2", "i2", "u4", "i4")  # what plotly.js takes as bytes; none of 64 bits
HEIGHT = 450  # pixels, where neither the figure nor the caller says

# Streamlit ships Plotly in a chunk that its own charts load; to import it puts it on the page.
SCRIPTS = Path(streamlit.__file__).parent / "static" / "static" / "js"
CHUNK = next((path.name for path in SCRIPTS.glob("PlotlyChart.*.js")), "")

# Not in a shadow: the cursor through all figures looks for them in the page itself.
_chart = component(
    "rnnviz_chart",
    css=(HERE / "chart.css").read_text(encoding="utf-8"),
    js=join_modules(HERE / "chart.js"),
    isolate_styles=False,
)


def show_chart(
    figure: go.Figure | Drawing,
    *,
    key: str,
    alt: str,
    failed: str | None = None,
    height: int | None = None,
    on_click: Callable[[], None] | None = None,
) -> None:
    """Draws the figure as wide as its place; a click on a point calls ``on_click``.

    What was clicked is in ``st.session_state[key].picked``: {"curve": …, "x": …, "y": …,
    "customdata": …}; a visitor can send anything there. Zoom, and lines hidden in the legend, stay
    over updates, those lines by their ``meta`` or else their names, until ``layout.uirevision``
    changes.

    The figure names its own colours: in Streamlit plotly's default template holds none.
    alt: the alternative text. failed: what to show where it cannot be drawn, else
    alt. height: in pixels, else the figure's own.
    """
    header = {
        "key": key,
        "alt": alt,
        "failed": failed or alt,
        "height": height or _height(figure) or HEIGHT,
        "clicks": on_click is not None,
        "chunk": CHUNK,
    }
    result = _chart(
        key=key,
        data=packed(header, written(figure)),
        on_picked_change=on_click,
        on_missing_change=_do_nothing,
    )
    if result.missing:
        # A Streamlit without such a chunk: the page asks once for plotly's own copy.
        _chart(key=f"{key}_plotly", data=packed({"library": True}, get_plotlyjs()))


def _height(figure: go.Figure | Drawing) -> Any:
    drawn: Any = figure.layout
    return drawn.get("height") if isinstance(figure, Drawing) else drawn.height


def written(figure: go.Figure | Drawing) -> str:
    """The figure as the browser takes it: JSON in one line, its arrays as bytes."""
    if not isinstance(figure, Drawing):
        return str(figure.to_json(validate=False))
    # the browser has no default template to be turned off
    layout = {name: part for name, part in figure.layout.items() if name != "template"}
    parts = {"data": figure.data, "layout": layout}
    try:
        return json.dumps(parts, default=_plain, allow_nan=False, separators=(",", ":"))
    except ValueError:  # a number outside an array that JSON cannot hold
        return written(go.Figure(*figure))


def _plain(value: Any) -> Any:
    """NumPy's numbers and arrays in a form that JSON can hold and plotly.js reads."""
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
    """A trigger is known by its callback; this one is answered by the run that it starts."""
