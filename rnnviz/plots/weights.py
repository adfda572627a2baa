"""One gate's recurrent weights as a heatmap."""

import numpy as np

from rnnviz.errors import RnnvizError
from rnnviz.locale import labels
from rnnviz.locale.numbers import write_number
from rnnviz.plots.drawing import Drawing, as_figure
from rnnviz.plots.networks import Traces, only_one
from rnnviz.plots.style import axis, end_of_scale, layout, palette, titled
from rnnviz.trace_part import TracePart


@as_figure
def plot_recurrent_weights(
    trace: Traces,
    *,
    gate: str | None = None,
    layer: int = 0,
    direction: str = "forward",
    height: int = 300,
    language: str = "en",
    dark: bool = False,
) -> Drawing:
    """U of one gate, signed colours centred on 0: the weight from unit (column) to unit (row).

    The colour scale ends at a round number, so that it seldom changes while weights are edited.
    trace: one, or a mapping with one. gate: its name; None for the first in torch's order.
    RnnvizError for a gate, layer or direction that the trace lacks, and for several traces.

    >>> module = torch.nn.RNN(1, 2)
    >>> with torch.no_grad(): _ = module.weight_hh_l0.copy_(torch.tensor([[0.5, 2.0], [0.0, 0.5]]))
    >>> rnnviz.plot_recurrent_weights(rnnviz.trace(module, torch.ones(1, 1))).data[0].z.tolist()
    [[0.5, 2.0], [0.0, 0.5]]
    """
    trace = only_one(trace)
    words, colours = labels(language), palette(dark=dark)
    names = trace.form.gates
    if gate is not None and gate not in names:
        raise RnnvizError("error.gate", came=gate, cell=trace.cell, expected=", ".join(names))
    u = TracePart(trace, layer, direction).recurrent_weights(gate or names[0])
    maximum = end_of_scale(float(np.abs(u).max()))
    heatmap = {
        "type": "heatmap",
        "z": u,
        "zmin": -maximum,
        "zmax": maximum,
        "colorscale": colours.signed,
        "xgap": 1 if len(u) <= 32 else 0,
        "ygap": 1 if len(u) <= 32 else 0,
        "zhoverformat": ".4f",
        "hovertemplate": words["plot.hover_weight"],
        "colorbar": {
            "thickness": 8,
            "outlinewidth": 0,
            "xpad": 6,
            "tickvals": [-maximum, 0, maximum],
            "ticktext": [write_number(v, ".2g") for v in (-maximum, 0.0, maximum)],
            "tickfont": {"size": 10, "color": colours.muted},
        },
    }
    whole = {"tickmode": "linear", "tick0": 0, "dtick": max(1, 2 ** int(np.log2(len(u)) - 2))}
    down = axis(colours, autorange="reversed", title=titled(words["plot.row"], colours), **whole)
    figure = layout(
        colours,
        height=height,
        margin={"l": 52, "r": 8, "t": 8, "b": 44},
        xaxis=axis(colours, title=titled(words["plot.column"], colours), **whole)
        | {"constrain": "domain"},
        yaxis=down | {"scaleanchor": "x", "constrain": "domain"},
    )
    return Drawing([heatmap], figure)
