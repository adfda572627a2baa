"""How far back ‖∂L/∂s_t‖ stays above a fraction of its last value."""

import numpy as np

from rnnviz.errors import RnnvizError, described, real_number
from rnnviz.gradients.backpropagation import backpropagate
from rnnviz.trace import Trace
from rnnviz.trace_part import TracePart


def remembered_steps(
    trace: Trace,
    *,
    fraction: float = 0.01,
    layer: int = 0,
    direction: str = "forward",
    batch: int = 0,
) -> int:
    """Steps back until ‖∂L/∂s_t‖ first falls below a fraction of its value at the last step.

    s = h, for an LSTM s = (h, c). The norms are those of the whole gradient. With loss="last" that
    is what the last step still depends on. With loss="all" every step has a loss term of its own,
    whose gradient does not fall: even a network with U = 0, which remembers nothing, then gives the
    sequence's length. If the norm never falls so far, the result is the sequence's length, a lower
    bound. 0 if the gradient at the last step is 0 or not finite.
    RnnvizError for a trace without a loss, for a layer, direction or sequence that it lacks, and
    for a fraction that is not above 0 and at most 1.

    >>> module = torch.nn.RNN(1, 1, nonlinearity="relu", bias=False)
    >>> with torch.no_grad(): _ = module.weight_hh_l0.fill_(0.5), module.weight_ih_l0.fill_(1)
    >>> remembered_steps(rnnviz.trace(module, torch.ones(200, 1), loss="last"))
    7
    >>> remembered_steps(rnnviz.trace(module, torch.ones(200, 1), loss="all"))
    200
    """
    if not 0 < real_number(fraction) <= 1:
        expected = "0 < x ≤ 1"
        raise RnnvizError(
            "error.initialise_number", name="fraction", came=described(fraction), expected=expected
        )
    part = TracePart(trace, layer, direction, batch)
    found = backpropagate(trace)[part.layer][part.direction_number].norms
    norms = [found[n][part.times, part.batch] for n in ("hidden_state", "cell_state") if n in found]
    # log₁₀ √(a² + b²) from log₁₀ a and log₁₀ b, far beyond the float range
    whole = np.logaddexp.reduce([2 * np.log(10) * row for row in norms]) / (2 * np.log(10))
    back = whole[::-1]
    if not np.isfinite(back[0]):
        return 0
    fallen = np.flatnonzero(back < back[0] + np.log10(fraction))
    return int(fallen[0]) if len(fallen) else part.length
