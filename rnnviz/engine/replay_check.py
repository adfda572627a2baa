"""Whether the recorded gates give the module's own output back."""

import math

import torch
from torch import Tensor

from rnnviz.engine.layers import DirectionRun
from rnnviz.engine.sequences import Sequence
from rnnviz.errors import RnnvizError


def replay_error(run: DirectionRun, sequence: Sequence) -> float:
    """Largest |h recomputed from the gates − h|; RnnvizError if rounding does not explain it."""
    eps = torch.finfo(sequence.x.dtype).eps
    hidden, replayed = run.steps.hidden, torch.from_numpy(run.steps.replayed)
    difference = (replayed - hidden).abs_()
    if sequence.valid is not None:
        difference = difference.where(sequence.valid[:, :, None], 0.0)
    largest = float(difference.max())
    if largest <= 64 * eps:
        return largest
    if not math.isfinite(largest):  # states that overflowed: inf − inf is no difference
        same = (replayed == hidden) | (replayed.isnan() & hidden.isnan())
        difference = difference.where(~same, 0.0)
        largest = float(difference.max())
    by_step, tolerance = difference.amax(-1).flatten(), (eps * _amplification(run)).flatten()
    if not bool((by_step <= tolerance).all()):
        worst = (by_step / tolerance).nan_to_num(math.inf, math.inf).argmax()
        error, allowed = float(by_step[worst]), float(tolerance[worst])
        raise RnnvizError("error.replay", error=f"{error:.2g}", tolerance=f"{allowed:.2g}")
    return largest


def _amplification(run: DirectionRun) -> Tensor:
    """How many times the float spacing rounding may reach, (time, batch).

    A sum of products is accurate to the spacing of its largest terms, and a cell state accumulates
    the errors of all steps before it.
    """
    hidden, w = run.steps.hidden, run.weights
    before = torch.cat((run.h_0[None], hidden[:-1])).abs().amax(-1)
    terms = run.x.abs().amax(-1) * w.ih.abs().sum(1).max() + before * w.hh.abs().sum(1).max()
    for bias in (w.bias_ih, w.bias_hh):
        terms = terms + (0 if bias is None else bias.abs().max())
    out = 1.0 if w.hr is None else float(w.hr.abs().sum(1).max())
    terms = terms.nan_to_num(math.inf)  # nothing can be predicted beyond the float range
    return 64 * (1 + out) * (1 + terms).cummax(0).values * len(hidden) ** 0.5
