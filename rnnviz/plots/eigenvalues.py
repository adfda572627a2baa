"""Eigenvalues of the recurrent weights in the complex plane, with the unit circle."""

import numpy as np

from rnnviz.locale import labels
from rnnviz.plots.drawing import Drawing, as_figure
from rnnviz.plots.lines import Drawn, scatter
from rnnviz.plots.networks import Traces, by_label
from rnnviz.plots.style import (
    axis,
    ends_of_axis,
    layout,
    legend_above,
    palette,
    titled,
)
from rnnviz.stability import recurrent_spectra

SYMBOLS = ("circle", "diamond", "square", "triangle-up")


@as_figure
def plot_eigenvalues(
    traces: Traces,
    *,
    layer: int = 0,
    direction: str = "forward",
    height: int = 360,
    language: str = "en",
    dark: bool = False,
) -> Drawing:
    """Eigenvalues of every gate's U: colour by cell, symbol by gate, with the unit circle.

    traces: one, or several by label. Eigenvalues determine whether gradients vanish only in a
    linear network; the bound for others is the largest singular value, given in the legend.

    >>> module = torch.nn.RNN(1, 2)
    >>> with torch.no_grad(): _ = module.weight_hh_l0.copy_(0.5 * torch.eye(2))
    >>> figure = rnnviz.plot_eigenvalues({"RNN": rnnviz.trace(module, torch.ones(2, 1))})
    >>> figure.data[0].x.tolist()
    [0.5, 0.5]
    """
    traces = by_label(traces)
    words, colours = labels(language), palette(dark=dark)
    points: list[Drawn] = []
    reach = 1.0
    for label, trace in traces.items():
        spectra = recurrent_spectra(trace, layer=layer, direction=direction)
        for gate, symbol in zip(trace.form.gates_as_read, SYMBOLS, strict=False):
            values = spectra[gate].eigenvalues
            reach = max(reach, float(np.abs(values).max()))
            name = words(
                "plot.spectrum",
                label=label,
                gate=words[f"gate.{gate}"],
                radius=spectra[gate].radius,
                norm=float(spectra[gate].singular_values[0]),
            )
            marker = {"color": colours.cells[trace.cell], "symbol": symbol, "size": 7}
            points.append(
                scatter(
                    x=values.real,
                    y=values.imag,
                    name=name,
                    meta=f"{label} {gate}",  # its identity; the name has numbers
                    mode="markers",
                    marker=marker | {"opacity": 0.75},
                    hovertemplate="%{x} %{y}i<extra></extra>",
                )
            )
    circle = {"type": "circle", "x0": -1, "x1": 1, "y0": -1, "y1": 1}
    line = {"color": colours.muted, "width": 1.5}
    ends = {
        "range": ends_of_axis(-1.05 * reach, 1.05 * reach, parts=16),
        "hoverformat": "+.4f",
        "zeroline": True,
        "constrain": "domain",
    }
    figure = layout(
        colours,
        height=height,
        margin={"l": 56, "r": 12, "t": 8, "b": 44},
        xaxis=axis(colours, title=titled(words["plot.real"], colours), **ends),
        yaxis=axis(colours, title=titled(words["plot.imaginary"], colours), **ends)
        | {"scaleanchor": "x"},
        shapes=[circle | {"line": line}],
    )
    return Drawing(points, figure | legend_above())
