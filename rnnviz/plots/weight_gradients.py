"""What every step adds to the gradient of the recurrent weights, one line a network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from rnnviz.gradients import weight_gradient_norms
from rnnviz.gradients.backpropagation import valid_lengths
from rnnviz.gradients.diagnosis import check_part
from rnnviz.locale import labels
from rnnviz.plots.drawing import Drawing, as_figure
from rnnviz.plots.lines import Line, draw_lines
from rnnviz.plots.style import check_shown
from rnnviz.trace import Trace

if TYPE_CHECKING:
    import xarray


@as_figure
def plot_weight_gradients(
    traces: Mapping[str, Trace],
    *,
    norms: Mapping[str, xarray.Dataset] | None = None,
    layer: int = 0,
    direction: str = "forward",
    batch: int = 0,
    height: int = 360,
    language: str = "en",
    dark: bool = False,
) -> Drawing:
    """log₁₀ ‖δa_t h_{t−1}ᵀ‖ over time: which steps ∂L/∂U is made of.

    traces: by the label of their lines, each made with a loss. norms: by label, where
    ``weight_gradient_norms`` have been worked out before.

    >>> trace = rnnviz.trace(torch.nn.GRU(1, 2), torch.ones(4, 1), loss="all")
    >>> [line.name for line in rnnviz.plot_weight_gradients({"GRU": trace}).data]
    ['GRU', 'GRU: exactly 0']
    """
    check_shown(traces)
    words = labels(language)
    lines: dict[str, Line] = {}
    for label, trace in traces.items():
        number = check_part(trace, layer, direction, batch)
        found = (norms or {}).get(label)
        found = weight_gradient_norms(trace) if found is None else found
        steps = int(valid_lengths(trace)[batch])
        values = found["log10_contribution"].values[layer, number, :steps, batch].astype(np.float64)
        lines[label] = Line(trace.cell, np.arange(1, len(values) + 1), values)
    return draw_lines(
        lines,
        x_title=words["plot.time"],
        y_title=words["plot.log_contribution"],
        height=height,
        language=language,
        dark=dark,
    )
