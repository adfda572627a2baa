"""How often every unit's gates are saturated, all networks in one heatmap."""

from collections.abc import Collection, Mapping

import numpy as np

from rnnviz.cells import GATES_AS_READ
from rnnviz.errors import RnnvizError
from rnnviz.gradients import Diagnosis, diagnose
from rnnviz.locale import labels
from rnnviz.plots.drawing import Drawing, as_figure
from rnnviz.plots.networks import Traces, by_label, results_by_label
from rnnviz.plots.style import axis, layout, palette, titled
from rnnviz.trace import Trace
from rnnviz.trace_part import TracePart


@as_figure
def plot_saturation(
    traces: Traces,
    *,
    diagnoses: Diagnosis | Mapping[str, Diagnosis] | None = None,
    layer: int = 0,
    direction: str = "forward",
    batch: int = 0,
    height: int = 300,
    language: str = "en",
    dark: bool = False,
) -> Drawing:
    """Share of time steps at which a gate is saturated, by gate and unit, most saturated first.

    Saturated: a sigmoid below 0.05 or above 0.95, a tanh beyond ±0.9, a relu at 0, where the
    derivative is small or 0; see ``Diagnosis``. traces: one, or several by label, each made with a
    loss. diagnoses: results of ``diagnose`` for this layer, direction and sequence, to reuse, one
    for one trace, or by label.

    >>> module = torch.nn.RNN(1, 2, nonlinearity="relu", bias=False)
    >>> with torch.no_grad(): _ = module.weight_hh_l0.fill_(0), module.weight_ih_l0.fill_(-1)
    >>> trace = rnnviz.trace(module, torch.ones(3, 1), loss="last")
    >>> rnnviz.plot_saturation({"RNN": trace}).data[0].z.tolist()
    [[1.0, 1.0]]
    """
    traces = by_label(traces)
    words, colours = labels(language), palette(dark=dark)
    known = results_by_label("diagnoses", diagnoses, traces, "Diagnosis")
    names: list[str] = []
    shares: list[str] = []
    rows: list[np.ndarray] = []
    for label, trace in traces.items():
        TracePart(trace, layer, direction, batch)  # an error where there is none
        found = known.get(label)
        if found is None:
            found = diagnose(trace, layer=layer, direction=direction, batch=batch)
        saturated = found.saturated
        for gate in _gates(trace, label, saturated):
            share = 100 * float(saturated[gate].mean())
            name = f"{label}, {words.get(f'gate.{gate}', gate)}"
            names.append(name)
            shares.append(f"{name}  <b>{share:.0f}%</b>")
            rows.append(np.sort(saturated[gate])[::-1])
    if not rows:
        modules = ", ".join(trace.module_repr.partition("(")[0] for trace in traces.values())
        raise RnnvizError("error.own_no_gates", module=modules)
    width = max(map(len, rows))
    z = np.full((len(rows), width), np.nan)
    for row, values in zip(z, rows, strict=True):
        row[: len(values)] = values
    heatmap = {
        "type": "heatmap",
        "z": z,
        "y": names,
        "x": np.arange(1, width + 1),
        "zmin": 0,
        "zmax": 1,
        "colorscale": colours.gate,
        "xgap": 1 if width <= 64 else 0,
        "ygap": 3,
        "hovertemplate": words["plot.hover_saturated"],
        "colorbar": {
            "thickness": 8,
            "outlinewidth": 0,
            "xpad": 6,
            "tickvals": [0, 1],
            "ticktext": ["0%", "100%"],
            "tickfont": {"size": 10, "color": colours.muted},
        },
    }
    down = axis(colours, autorange="reversed", tickvals=names, ticktext=shares)
    figure = layout(
        colours,
        height=height,
        margin={"l": 176, "r": 8, "t": 8, "b": 44},
        xaxis=axis(colours, title=titled(words["plot.units_sorted"], colours)),
        yaxis=down | {"tickfont": {"size": 11, "color": colours.ink}, "automargin": True},
    )
    # a visible background in the gaps: otherwise a row of zeros would look empty
    return Drawing([heatmap], figure | {"plot_bgcolor": colours.line})


def _gates(trace: Trace, label: str, saturated: Collection[str]) -> list[str]:
    """The gates of a result in the order they are read; RnnvizError if it is of another cell."""
    own = [name for name in saturated if f"{name}_preactivation" in trace]
    expected = own if trace.own_step else GATES_AS_READ[trace.cell]
    if set(saturated) != set(expected):
        given = {"came": ", ".join(saturated), "expected": ", ".join(expected)}
        raise RnnvizError("error.plot_result", name="diagnoses", label=label, **given)
    usual = [gate for gate in GATES_AS_READ[trace.cell] if gate in saturated]
    return [*usual, *(gate for gate in saturated if gate not in usual)]
