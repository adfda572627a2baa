"""What is left of every input in every later state, of networks side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from rnnviz.counting import Size, count_by_gate
from rnnviz.errors import RnnvizError
from rnnviz.stability import sensitivity_norms
from rnnviz.trace import Trace

if TYPE_CHECKING:
    import xarray

MOST_SOURCES, FEWEST_SOURCES = 250, 24  # inputs whose effects are followed
SPEED = 2e10  # multiplications that go through in a second, about
MOST_SECONDS = 3.0


def sensitivities_of(traces: Mapping[str, Trace]) -> dict[str, xarray.DataArray]:
    """``sensitivity_norms`` of each network's last layer, by label.

    Of a long input those of every n-th step alone. RnnvizError where even so few take too long.
    """
    sources = sources_of(traces.values())
    return {label: sensitivity_norms(record, sources=sources) for label, record in traces.items()}


def sources_of(traces: Iterable[Trace]) -> range:
    """The steps, from 0, of the inputs whose effects are followed.

    >>> traces = [rnnviz.trace(torch.nn.RNN(1, 2), torch.ones(n, 1)) for n in (500, 20)]
    >>> sources_of(traces[:1]), sources_of(traces[1:])
    (range(0, 500, 2), range(0, 20))
    """
    each, steps = 0.0, 0
    for record in traces:
        inputs, steps = record.features, record.steps
        size = Size(record.form, inputs, record.output_units, record.layers, record.directions)
        # the input itself is not followed through W, what a lower layer gives is
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
