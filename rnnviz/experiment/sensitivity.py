"""The norm of ∂(state)/∂(input) for every pair of steps, within a time limit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from rnnviz.counting import Size, count_by_gate
from rnnviz.errors import RnnvizError
from rnnviz.stability import sensitivity_norms
from rnnviz.trace import Trace

if TYPE_CHECKING:
    import xarray

MOST_SOURCES, FEWEST_SOURCES = 250, 24  # input steps that are differentiated by
SPEED = 2e10  # multiplications per second, roughly
MOST_SECONDS = 3.0


def sensitivities_of(traces: Mapping[str, Trace]) -> dict[str, xarray.DataArray]:
    """``sensitivity_norms`` of each network's last layer, by label.

    For a long input only every n-th input step. RnnvizError where the fewest steps exceed the
    time limit.
    """
    sources = sources_of(traces.values())
    return {label: sensitivity_norms(trace, sources=sources) for label, trace in traces.items()}


def sources_of(traces: Iterable[Trace]) -> range:
    """The input steps to differentiate by, counted from 0.

    >>> traces = [rnnviz.trace(torch.nn.RNN(1, 2), torch.ones(n, 1)) for n in (500, 20)]
    >>> sources_of(traces[:1]), sources_of(traces[1:])
    (range(0, 500, 2), range(0, 20))
    """
    each, steps = 0.0, 0
    for trace in traces:
        inputs, steps = trace.features, trace.steps
        size = Size(trace.form, inputs, trace.output_units, trace.layers, trace.directions)
        # W is applied only to the outputs of the layer below, not to the input itself
        products = sum(
            gate.recurrent_weights + (gate.input_weights if gate.layer > 0 else 0)
            for gate in count_by_gate(size)
        )
        each += steps / 2 * products * inputs
    fitting = int(MOST_SECONDS * SPEED / each)
    if fitting < min(FEWEST_SOURCES, steps):
        seconds = min(FEWEST_SOURCES, steps) * each / SPEED
        raise RnnvizError("error.sensitivity_limit", seconds=seconds, most=MOST_SECONDS)
    return range(0, steps, -(-steps // min(MOST_SOURCES, fitting)))
