"""Growth rates of small changes of the state in every direction, one line per network."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from rnnviz.locale import labels
from rnnviz.plots.drawing import Drawing, as_figure
from rnnviz.plots.lines import Drawn, dashes_of, scatter
from rnnviz.plots.networks import Traces, by_label, check_shape, results_by_label
from rnnviz.plots.style import (
    axis,
    ends_of_axis,
    layout,
    legend_above,
    palette,
    titled,
)
from rnnviz.stability import JacobianBlocks, lyapunov_exponents
from rnnviz.trace_part import TracePart


@as_figure
def plot_lyapunov(
    traces: Traces,
    *,
    exponents: NDArray[np.float64] | Mapping[str, NDArray[np.float64]] | None = None,
    layer: int = 0,
    direction: str = "forward",
    batch: int = 0,
    height: int = 360,
    language: str = "en",
    dark: bool = False,
) -> Drawing:
    """The Lyapunov spectrum: exponents in nats per time step, largest first, beside 0.

    traces: one, or several by label. exponents: results of ``lyapunov_exponents`` to reuse, one for
    one trace, or by label. A direction that vanishes at once, −∞, is a cross at the bottom.

    >>> module = torch.nn.RNN(1, 2, nonlinearity="relu", bias=False)
    >>> with torch.no_grad(): _ = module.weight_hh_l0.copy_(torch.diag(torch.tensor([2.0, 0.5])))
    >>> with torch.no_grad(): _ = module.weight_ih_l0.fill_(1)
    >>> trace = rnnviz.trace(module, torch.ones(9, 1))
    >>> rnnviz.plot_lyapunov({"RNN": trace}).data[0].y.round(4)
    array([ 0.6931, -0.6931])
    """
    traces = by_label(traces)
    words, colours = labels(language), palette(dark=dark)
    known = results_by_label("exponents", exponents, traces, "ndarray")
    spectra: dict[str, NDArray[np.float64]] = {}
    for label, trace in traces.items():
        TracePart(trace, layer, direction, batch)  # an error where there is none
        values = known.get(label)
        if values is None:
            blocks = JacobianBlocks(trace, layer=layer, direction=direction, batch=batch)
            values = lyapunov_exponents(blocks)
        check_shape("exponents", label, values, (values.size,))
        spectra[label] = values
    finite = np.concatenate([values[np.isfinite(values)] for values in spectra.values()])
    top, bottom = float(finite.max(initial=0.0)), float(finite.min(initial=-0.1))
    room = 0.04 * (top - bottom)
    low, high = ends_of_axis(bottom - room, top + room)
    drawn: list[Drawn] = []
    dashes = dashes_of({label: trace.cell for label, trace in traces.items()})
    for label, values in spectra.items():
        colour = colours.cells[traces[label].cell]
        dead = np.isneginf(values)
        number = np.arange(1, len(values) + 1)
        look = {"color": colour, "dash": dashes[label], "width": 1.5}
        drawn.append(
            scatter(
                x=number,
                y=np.where(dead, np.nan, values),
                name=label,
                mode="lines+markers",
                line=look,
                marker={"color": colour, "size": 4},
                hovertemplate=f"{label}<br>{words['plot.hover_exponent']}<extra></extra>",
            )
        )
        if dead.any():
            name = words("plot.dies_at_once", label=label)
            drawn.append(
                scatter(
                    x=number[dead],
                    y=np.full(int(dead.sum()), low),
                    name=name,
                    mode="markers",
                    marker={"symbol": "x", "size": 6, "color": colour},
                    cliponaxis=False,
                    hovertemplate=f"{name}<extra></extra>",
                )
            )
    y = axis(
        colours,
        title=titled(words["plot.exponent"], colours),
        range=[low, high],
        hoverformat=".4f",
        showgrid=True,
        gridcolor=colours.line,
        zeroline=True,
    )
    figure = layout(
        colours,
        height=height,
        margin={"l": 64, "r": 24, "t": 8, "b": 44},
        xaxis=axis(colours, title=titled(words["plot.exponent_number"], colours)),
        yaxis=y | {"zerolinecolor": colours.muted, "zerolinewidth": 1.5},
    )
    return Drawing(drawn, figure | legend_above())
