"""Backpropagation without rescaling, in one float type, compared with the exact gradient."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from rnnviz.errors import RnnvizError
from rnnviz.gradients.backpropagation import output_slice, recurse
from rnnviz.gradients.by_step import StepwiseGradients, differentiate_steps
from rnnviz.gradients.diagnosis import RANGES, Lost
from rnnviz.gradients.norms import state_norms
from rnnviz.trace import Trace
from rnnviz.trace_part import TracePart, parts_by_layer

if TYPE_CHECKING:
    import xarray

Array = NDArray[Any]

HALVES = {"float16": torch.float16, "bfloat16": torch.bfloat16}  # without kernels
FLOATS = {**HALVES, "float32": torch.float32, "float64": torch.float64}
APART = 0.05  # decades, 12 %, from which a number counts as wrong and not only as rounded


@dataclass(frozen=True)
class PlainPass:
    """‖∂L/∂h_t‖ from backpropagation without rescaling, and where it is wrong.

    log10_norms: (time,) in the order of the input, −inf if every entry is 0, inf or NaN if one
    is; NaN also where padded. Going back in time, wrong_from is the first step at which the norm
    is more than 12 % off, and lost the first at which it is 0, inf or NaN and the exact gradient
    is not; None if there is no such step. Subnormal numbers are rounded so coarsely that a norm
    can stay wrong without ever being lost.
    """

    log10_norms: NDArray[np.float64] = field(repr=False)
    wrong_from: int | None
    lost: Lost | None


def plain_pass(
    trace: Trace,
    *,
    dtype: Literal["float16", "bfloat16", "float32", "float64"] = "float32",
    norms: xarray.Dataset | None = None,
    layer: int = 0,
    direction: str = "forward",
    batch: int = 0,
) -> PlainPass:
    """The backward pass of a network trained in this dtype, from the recorded states.

    Each step's gradient is rounded to the dtype; its norm is computed in float64, where squares do
    not leave the range. In float16 and bfloat16 torch's autograd goes back one step at a time, with
    states, weights and gates in that type, much more slowly than the kernels of the other two.
    norms and errors: as in ``diagnose``; also RnnvizError for another dtype.

    >>> module = torch.nn.RNN(1, 1, nonlinearity="relu", bias=False)
    >>> with torch.no_grad(): _ = module.weight_hh_l0.fill_(0.5), module.weight_ih_l0.fill_(1)
    >>> plain_pass(rnnviz.trace(module, torch.ones(200, 1), loss="last"))
    PlainPass(wrong_from=49, lost=Lost(time=49, shows='0'))
    """
    from rnnviz.engine.kernels import log_norms

    if not isinstance(dtype, str) or dtype not in RANGES:  # pyright: ignore[reportUnnecessaryIsInstance]  # a user may pass anything
        expected = ", ".join(RANGES)
        raise RnnvizError("error.plain_dtype", came=repr(dtype), expected=expected)
    part = TracePart(trace, layer, direction, batch)
    exact = state_norms(part, norms)["hidden_state"]
    with np.errstate(all="ignore"):  # under- and overflow are what this measures
        d_h = _hidden_gradients(part, dtype)[:, part.batch]
        plain = np.empty((len(d_h), 1))
        any_size = 0.0, math.inf
        scale, lengths = np.zeros(plain.shape, int), np.array([len(d_h)])
        row = np.ascontiguousarray(d_h[:, None])
        log_norms(row, scale, lengths, False, True, *any_size, plain)
        plain = plain[:, 0]
        alike = (plain == exact) | np.isnan(exact) | (np.abs(plain - exact) <= APART)
    steps = part.times[::-1]
    off = steps[~alike[steps]]
    gone = off[~np.isfinite(plain[off])]
    plain[~trace.valid[:, part.batch]] = np.nan
    return PlainPass(
        plain,
        int(off[0]) if len(off) else None,
        Lost(int(gone[0]), _shows(float(plain[gone[0]]))) if len(gone) else None,
    )


def _shows(norm: float) -> Literal["0", "inf", "NaN"]:
    if np.isnan(norm):
        return "NaN"
    return "inf" if norm > 0 else "0"


def _hidden_gradients(wanted: TracePart, dtype: str) -> Array:
    """δh of a layer and direction, (time, batch, unit), in the order of the input."""
    output_grad = wanted.trace.output_grad
    assert output_grad is not None
    output_grad = _rounded(output_grad, dtype)
    for parts in reversed(parts_by_layer(wanted.trace)[wanted.layer + 1 :]):
        by_x = [_by_input(part, output_grad[..., output_slice(part)], dtype) for part in parts]
        output_grad = _rounded(np.sum(by_x, axis=0), dtype)
    own = output_grad[..., output_slice(wanted)]
    found = _by_steps(wanted.of_all, own, dtype)
    if found is not None:
        return found.arrays["hidden_state"]
    return wanted.restore(recurse(wanted.of_all, own, dtype)["hidden_state"], dtype)


def _by_input(part: TracePart, output_grad: Array, dtype: str) -> Array:
    """∂L/∂x of a layer and direction, (time, batch, unit), in the order of the input."""
    found = _by_steps(part, output_grad, dtype)
    if found is not None:
        return found.by_x
    d_a = recurse(part, output_grad, dtype)["preactivation"]
    return part.restore(d_a, dtype) @ part.weight_ih.astype(dtype)


def _by_steps(part: TracePart, output_grad: Array, dtype: str) -> StepwiseGradients | None:
    """By autograd, one step at a time; None where kernels have the cell and the dtype."""
    points = part.step_points(FLOATS[dtype], by_kernels=dtype not in HALVES)
    if points is None:
        return None
    return differentiate_steps(part, points, output_grad, as_trained=True)


def _rounded(values: Array, dtype: str) -> Array:
    """In the dtype; NumPy has no bfloat16, whose numbers float32 holds exactly."""
    if dtype not in HALVES:
        return values.astype(dtype)
    return torch.from_numpy(np.array(values, np.float32)).to(FLOATS[dtype]).float().numpy()
