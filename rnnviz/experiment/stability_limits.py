"""Norms of Jacobian products and Lyapunov exponents: exact up to a cost, bounds beyond it."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnviz.stability import (
    JacobianBlocks,
    backward_norms,
    bound_backward_norms,
    lyapunov_exponents,
)
from rnnviz.stability.products import Progress
from rnnviz.trace import Trace

LEADING = 16  # exponents computed where all of them cost too much
EXACT = 2e10  # S³ T up to which norms and exponents are exact
# Per second, roughly: S³ T of exact norms and exponents, S² T of bounds.
EXACT_SPEED, BOUNDS_SPEED = 1.2e9, 6e7


class Stability(NamedTuple):
    """log₁₀ ‖∂s_T/∂s_t‖₂, (T + 1,), and Lyapunov exponents, (S,) or the largest of them.

    apart: the largest distance in decades from these norms, which are lower bounds, to upper
    bounds; 0 where the norms are exact. states: S.
    """

    norms: NDArray[np.float64]
    exponents: NDArray[np.float64]
    apart: float
    states: int


def cost_of(trace: Trace) -> float:
    """S³ T, roughly the multiplications of all steps."""
    states = trace.output_units * (2 if trace.cell == "lstm" else 1)
    return float(states) ** 3 * trace.steps


def seconds_of(trace: Trace) -> float:
    """Roughly the time that ``measure_stability`` takes on two cores."""
    cost = cost_of(trace)
    if cost <= EXACT:
        return cost / EXACT_SPEED
    return np.cbrt(cost * cost * trace.steps) / BOUNDS_SPEED


def measure_stability(trace: Trace, *, progress: Progress | None = None) -> Stability:
    """Norms and exponents, exact up to S³ T = 2·10¹⁰; beyond it bounds and 16 exponents.

    progress: as in ``backward_norms``; RnnvizError when cancelled.

    >>> module = torch.nn.RNN(1, 1, nonlinearity="relu", bias=False)
    >>> with torch.no_grad(): _ = module.weight_hh_l0.fill_(0.5), module.weight_ih_l0.fill_(1)
    >>> found = measure_stability(rnnviz.trace(module, torch.ones(3, 1)))
    >>> found.norms.round(4), found.exponents.round(4), found.apart
    (array([-0.9031, -0.6021, -0.301 ,  0.    ]), array([-0.6931]), 0.0)
    """
    blocks = JacobianBlocks(trace)
    if cost_of(trace) <= EXACT:
        norms = backward_norms(blocks, progress=_part_of(progress, 0, 0.5))
        exponents = lyapunov_exponents(blocks, progress=_part_of(progress, 0.5, 0.5))
        return Stability(norms, exponents, 0.0, blocks.shape[1])
    bounds = bound_backward_norms(blocks, progress=_part_of(progress, 0, 0.8))
    warmup = len(blocks) // 10
    leading = _part_of(progress, 0.8, 0.2)
    exponents = lyapunov_exponents(blocks, warmup=warmup, leading=LEADING, progress=leading)
    alive = bounds.upper > -np.inf  # elsewhere both bounds are −∞, which is exact
    apart = float((bounds.upper[alive] - bounds.lower[alive]).max())
    return Stability(bounds.lower, exponents, apart, blocks.shape[1])


def _part_of(progress: Progress | None, first: float, share: float) -> Progress | None:
    """Progress of a part of the work, as percentages of the whole."""
    return progress and (lambda done, of: progress(int(100 * (first + share * done / of)), 100))
