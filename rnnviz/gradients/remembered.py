"""How many steps back a network still hears its loss."""

import numpy as np

from rnnviz.errors import RnnvizError
from rnnviz.gradients.backpropagation import backpropagate, own_order, valid_lengths
from rnnviz.gradients.diagnosis import check_part
from rnnviz.trace import Trace


def remembered_steps(
    trace: Trace,
    *,
    fraction: float = 0.01,
    layer: int = 0,
    direction: str = "forward",
    batch: int = 0,
) -> int:
    """Steps back until ‖∂L/∂s_t‖ first falls below a fraction of what it is at the last step.

    s = h, for an LSTM s = (h, c). A sequence over which it never does gives its length: it is
    remembered for as long at least. 0 where the gradient at the last step is 0 or not finite.
    RnnvizError for a trace without a loss, for a layer, direction or sequence that it lacks, and
    for a fraction that is not above 0 and at most 1.

    >>> module = torch.nn.RNN(1, 1, nonlinearity="relu", bias=False)
    >>> with torch.no_grad(): _ = module.weight_hh_l0.fill_(0.5), module.weight_ih_l0.fill_(1)
    >>> remembered_steps(rnnviz.trace(module, torch.ones(200, 1), loss="last"))
    7
    """
    if not 0 < fraction <= 1:
        expected = "0 < x ≤ 1"
        raise RnnvizError(
            "error.initialise_number", name="fraction", came=fraction, expected=expected
        )
    number = check_part(trace, layer, direction, batch)
    part = backpropagate(trace)[layer][number]
    length = int(valid_lengths(trace)[batch])
    rows = [part.norms[name] for name in ("hidden_state", "cell_state") if name in part.norms]
    norms = [own_order(trace, row[..., None], number)[:length, batch, 0] for row in rows]
    # log₁₀ √(a² + b²) from log₁₀ a and log₁₀ b, far beyond the float range
    whole = np.logaddexp.reduce([2 * np.log(10) * row for row in norms]) / (2 * np.log(10))
    back = whole[::-1]
    if not np.isfinite(back[0]):
        return 0
    fallen = np.flatnonzero(back < back[0] + np.log10(fraction))
    return int(fallen[0]) if len(fallen) else length
