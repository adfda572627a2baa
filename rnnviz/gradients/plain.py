"""What a plain backward pass in float32 makes of the gradient, beside what it is."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from rnnviz.gradients.backpropagation import (
    own_order,
    parameter,
    recurse,
    valid_lengths,
)
from rnnviz.gradients.diagnosis import Lost, check_part
from rnnviz.gradients.norms import hidden_norms
from rnnviz.trace import Trace

if TYPE_CHECKING:
    import xarray

Array = NDArray[Any]

APART = 0.05  # decades, 12 %, from which a number is wrong and not only rounded


@dataclass(frozen=True)
class PlainPass:
    """‖∂L/∂h_t‖ as backpropagation without rescaling gives it, and where it goes wrong.

    log10_norms: (time,) in the order of the input, −inf where every entry is 0, inf and NaN where
    one is; NaN also where padded. wrong_from: the first step met going back at which it is more
    than 12 % off; lost: the first at which it shows 0, inf or NaN and the gradient is not so. None
    where there is none. Numbers near the end of the range are rounded so much that they can be off
    for long, or for ever, without being lost.
    """

    log10_norms: NDArray[np.float64] = field(repr=False)
    wrong_from: int | None
    lost: Lost | None


def plain_pass(
    trace: Trace,
    *,
    dtype: Literal["float32", "float64"] = "float32",
    norms: xarray.Dataset | None = None,
    layer: int = 0,
    direction: str = "forward",
    batch: int = 0,
) -> PlainPass:
    """The backward pass that a network trained in this type would run, from the recorded states.

    Each step's gradient is rounded to the type, and its norm taken in float64, since squares would
    leave the range at half as many steps. norms and errors as of ``diagnose``.

    >>> module = torch.nn.RNN(1, 1, nonlinearity="relu", bias=False)
    >>> with torch.no_grad(): _ = module.weight_hh_l0.fill_(0.5), module.weight_ih_l0.fill_(1)
    >>> plain_pass(rnnviz.trace(module, torch.ones(200, 1), loss="last"))
    PlainPass(wrong_from=49, lost=Lost(time=49, shows='0'))
    """
    from rnnviz.engine.kernels import log_norms

    number = check_part(trace, layer, direction, batch)
    exact = hidden_norms(trace, layer, number, batch, norms)
    with np.errstate(all="ignore"):  # that it leaves the range is what is to be seen
        d_h = _hidden_gradients(trace, np.dtype(dtype), layer)[number][:, [batch]]
        plain = np.empty((len(d_h), 1))
        every = 0.0, math.inf  # sizes
        log_norms(d_h, np.zeros(plain.shape, int), np.array([len(d_h)]), False, True, *every, plain)
        plain = plain[:, 0]
        alike = (plain == exact) | np.isnan(exact) | (np.abs(plain - exact) <= APART)
    steps = np.arange(int(valid_lengths(trace)[batch]))
    steps = steps if number else steps[::-1]
    off = steps[~alike[steps]]
    gone = off[~np.isfinite(plain[off])]
    plain[len(steps) :] = np.nan
    return PlainPass(
        plain,
        int(off[0]) if len(off) else None,
        Lost(int(gone[0]), _shows(float(plain[gone[0]]))) if len(gone) else None,
    )


def _shows(norm: float) -> Literal["0", "inf", "NaN"]:
    if np.isnan(norm):
        return "NaN"
    return "inf" if norm > 0 else "0"


def _hidden_gradients(trace: Trace, dtype: np.dtype[Any], layer: int) -> list[Array]:
    """δh of one layer by direction, (time, batch, unit), in the order of the input."""
    assert trace.output_grad is not None
    layers, directions, *_, width = trace.array("hidden_state").shape
    output_grad = trace.output_grad.astype(dtype)
    found: list[Array] = []
    for at in reversed(range(layer, layers)):
        by_x: list[Array] = []
        found = []
        for direction in range(directions):
            g = output_grad[..., direction * width : (direction + 1) * width]
            d = recurse(trace, at, direction, g, dtype)
            found.append(own_order(trace, d["hidden_state"], direction, dtype))
            if at > layer:
                w = parameter(trace, "weight_ih", at, direction)
                assert w is not None
                by_x.append(
                    own_order(trace, d["preactivation"], direction, dtype) @ w.astype(dtype)
                )
        if by_x:
            output_grad = np.sum(by_x, axis=0, dtype=dtype)
    return found
