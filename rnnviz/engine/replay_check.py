"""Whether the recorded gates give the module's own output back."""

import math

import torch
from torch import Tensor

from rnnviz.cells import Form
from rnnviz.engine.layers import DirectionRun
from rnnviz.engine.rounding import largest_terms, rounding
from rnnviz.engine.sequences import Sequence
from rnnviz.errors import RnnvizError

# Float spacings of the largest state, too few to be seen, that need no closer look.
CLOSE, CLOSE_IN_HALF = 16.0, 1.5


def check_replay(form: Form, run: DirectionRun, sequence: Sequence) -> float:
    """Largest |h recomputed from the gates − h|; RnnvizError if rounding does not explain it."""
    dtype, valid = sequence.x.dtype, sequence.valid
    hidden, replayed = run.steps.hidden, torch.from_numpy(run.steps.replayed)
    difference = replayed - hidden
    if valid is not None:
        difference = difference.where(valid[:, :, None], 0.0)
    largest = _largest(difference)
    if largest == 0 or _is_close(largest, hidden, dtype):
        return largest
    difference.abs_()
    if not math.isfinite(largest):  # states that overflowed: inf − inf is no difference
        same = (replayed == hidden) | (replayed.isnan() & hidden.isnan())
        difference = difference.where(~same, 0.0)
    tolerance = rounding(form, run, dtype)
    wrong = ~(difference <= tolerance)
    if bool(wrong.any()):
        raise _refusal(run, difference, tolerance, wrong, dtype)
    return float(difference.max())


def _largest(values: Tensor) -> float:
    """The largest absolute value; NaN if any value is."""
    low, high = torch.aminmax(values)  # several times as fast as a norm
    return max(abs(float(low)), abs(float(high)))


def _is_close(largest: float, hidden: Tensor, dtype: torch.dtype) -> bool:
    """Whether a difference is rounding at first sight."""
    eps = torch.finfo(dtype).eps
    spacings = CLOSE if eps <= torch.finfo(torch.float32).eps else CLOSE_IN_HALF
    size = _largest(hidden)
    return math.isfinite(size) and largest <= spacings * eps * size


def _refusal(
    run: DirectionRun, difference: Tensor, tolerance: Tensor, wrong: Tensor, dtype: torch.dtype
) -> RnnvizError:
    beyond = ~(largest_terms(run) <= torch.finfo(dtype).max)
    if bool((wrong.any(-1) & beyond).any()):
        name = str(dtype).removeprefix("torch.")
        largest = f"{torch.finfo(dtype).max:.2g}"
        return RnnvizError("error.overflow", dtype=name, largest=largest)
    excess = (difference / tolerance).nan_to_num(math.inf, math.inf).where(wrong, -1.0)
    worst = excess.flatten().argmax()
    error, allowed = (float(v.expand_as(wrong).flatten()[worst]) for v in (difference, tolerance))
    return RnnvizError("error.replay", error=f"{error:.2g}", tolerance=f"{allowed:.2g}")
