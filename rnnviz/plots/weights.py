"""One gate's recurrent weights as a heatmap."""

import numpy as np

from rnnviz.errors import RnnvizError
from rnnviz.gradients.backpropagation import parameter
from rnnviz.gradients.diagnosis import check_part
from rnnviz.locale import labels
from rnnviz.plots.drawing import Drawing, as_figure
from rnnviz.plots.style import axis, end_of_scale, layout, palette, titled
from rnnviz.trace import Trace


@as_figure
def plot_recurrent_weights(
    trace: Trace,
    *,
    gate: str | None = None,
    layer: int = 0,
    direction: str = "forward",
    height: int = 300,
    language: str = "en",
    dark: bool = False,
) -> Drawing:
    """U of one gate, signed colours centred on 0: how unit (column) enters unit (row).

    The colours end at a handy number, so that they can be compared while weights are changed.
    gate: by its name; the first of the packed weights where none is given. RnnvizError for a gate,
    layer or direction that there is not.

    >>> module = torch.nn.RNN(1, 2)
    >>> with torch.no_grad(): _ = module.weight_hh_l0.copy_(torch.tensor([[0.5, 2.0], [0.0, 0.5]]))
    >>> rnnviz.plot_recurrent_weights(rnnviz.trace(module, torch.ones(1, 1))).data[0].z.tolist()
    [[0.5, 2.0], [0.0, 0.5]]
    """
    words, colours = labels(language), palette(dark=dark)
    names = trace.form.gates
    if gate is not None and gate not in names:
        raise RnnvizError("error.gate", came=gate, cell=trace.cell, expected=", ".join(names))
    packed = parameter(trace, "weight_hh", layer, check_part(trace, layer, direction, 0))
    assert packed is not None
    u = np.split(packed, len(names))[names.index(gate or names[0])]
    most = end_of_scale(float(np.abs(u).max()))
    heatmap = {
        "type": "heatmap",
        "z": u,
        "zmin": -most,
        "zmax": most,
        "colorscale": colours.signed,
        "xgap": 1 if len(u) <= 32 else 0,
        "ygap": 1 if len(u) <= 32 else 0,
        "zhoverformat": ".4f",
        "hovertemplate": words["plot.hover_weight"],
        "colorbar": {
            "thickness": 8,
            "outlinewidth": 0,
            "xpad": 6,
            "tickvals": [-most, 0, most],
            "ticktext": [f"{v:.2g}".replace("-", "−") for v in (-most, 0, most)],
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
