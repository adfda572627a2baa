"""A character model's probabilities of the next character, and the one that came."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rnnviz.locale import labels
from rnnviz.plots.drawing import Drawing, as_figure
from rnnviz.plots.style import MONOSPACE, axis, layout, palette


@as_figure
def plot_next_character(
    probabilities: NDArray[np.float64],
    characters: Sequence[str],
    *,
    actual: int | None,
    maximum: int = 8,
    height: int = 300,
    language: str = "en",
    dark: bool = False,
) -> Drawing:
    """Bars of the most likely next characters; the actual one is outlined.

    probabilities: (code,), sum 1. characters: the text of each code. actual: the code of the next
    character, None at the end of the text; it has a bar even if it was unlikely.
    """
    words, colours = labels(language), palette(dark=dark)
    order = list(np.argsort(-probabilities, kind="stable")[:maximum])
    if actual is not None and actual not in order:
        order[-1] = actual
    values = probabilities[order]
    came = [code == actual for code in order]
    bar = {
        "type": "bar",
        "x": values,
        "y": [f" {characters[code]} " for code in order],
        "orientation": "h",
        "marker": {
            "color": [colours.gate[-1][1] if hit else colours.gate[2][1] for hit in came],
            "line": {"color": colours.selected, "width": [2 if hit else 0 for hit in came]},
        },
        "text": [
            f"{value:.1%}" + (f"  ← {words['plot.came']}" if hit else "")
            for value, hit in zip(values, came, strict=True)
        ],
        "textposition": "outside",
        "textfont": {"family": MONOSPACE, "size": 12, "color": colours.ink},
        "cliponaxis": False,
        "hovertemplate": words["plot.hover_next"],
    }
    across = axis(colours, range=[0, 1.45 * float(values.max())], visible=False)
    down = axis(colours, autorange="reversed", type="category")
    down["tickfont"] = {"family": MONOSPACE, "size": 14, "color": colours.ink}
    margin = {"l": 56, "r": 8, "t": 4, "b": 4}
    rest = {"height": height, "bargap": 0.35, "margin": margin, "xaxis": across, "yaxis": down}
    return Drawing([bar], layout(colours, **rest))
