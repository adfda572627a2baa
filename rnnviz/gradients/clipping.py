"""Gradient clipping as in torch.nn.utils; non-finite gradients raise."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from rnnviz.array_likes import check_dense, read_array
from rnnviz.errors import RnnvizError, described, real_number

Array = NDArray[Any]


class Clipped(NamedTuple):
    """The gradients after clipping, their norm before it, and what they were multiplied by."""

    gradients: dict[str, Array]
    norm: float
    coefficient: float


def clip_by_norm(gradients: Mapping[str, Any], threshold: float) -> Clipped:
    """All gradients times min(1, threshold / (‖g‖₂ + 1e−6)), ‖g‖₂ over all of them together.

    As torch.nn.utils.clip_grad_norm_, in the gradients' own dtype; integers are returned in
    float64, bfloat16 in float32. One gradient under several names counts once, as a shared
    parameter does. Parameters without a gradient (None) are left out, as in torch.
    RnnvizError if a gradient is not finite, or if the norm overflows when squared: torch would
    turn all gradients into NaN or 0.

    >>> clipped = clip_by_norm({"weight_hh": np.array([3.0, -4.0])}, 1.0)
    >>> clipped.gradients["weight_hh"].round(6), clipped.norm, round(clipped.coefficient, 6)
    (array([ 0.6, -0.8]), 5.0, 0.2)
    """
    given = _read(gradients, threshold)
    distinct = {id(gradients[name]): g for name, g in given.items()}
    norms = [torch.linalg.vector_norm(g) for g in distinct.values()]
    norm = torch.linalg.vector_norm(torch.stack(norms)) if norms else torch.zeros((), device="cpu")
    if not math.isfinite(norm):
        dtype = str(norm.dtype).removeprefix("torch.")
        raise RnnvizError("error.clip_norm", dtype=dtype)
    coefficient = (threshold / (norm + 1e-6)).clamp(max=1.0)
    clipped = {name: _array(g * coefficient.to(g.dtype)) for name, g in given.items()}
    return Clipped(clipped, float(norm), float(coefficient))


def clip_by_value(gradients: Mapping[str, Any], threshold: float) -> dict[str, Array]:
    """All gradients, each entry clipped to ±threshold, as torch.nn.utils.clip_grad_value_.

    None is left out. RnnvizError if a gradient is not finite: torch would clip inf to ±threshold
    and keep NaN.

    >>> clip_by_value({"weight_hh": np.array([3.0, -0.5])}, 1.0)["weight_hh"]
    array([ 1. , -0.5])
    """
    given = _read(gradients, threshold)
    clipped: dict[str, Array] = {}
    for name, g in given.items():
        if g.is_complex():
            raise RnnvizError("error.no_array", what=name, came=str(g.dtype))
        bound = min(real_number(threshold), torch.finfo(g.dtype).max)
        clipped[name] = _array(g.clamp(-bound, bound))
    return clipped


def _read(gradients: Mapping[str, Any], threshold: float) -> dict[str, torch.Tensor]:
    if not 0 < real_number(threshold) < math.inf:
        raise RnnvizError("error.clip_threshold", came=described(threshold))
    given = {name: _tensor(name, g) for name, g in gradients.items() if g is not None}
    for name, g in given.items():
        bad = int((~torch.isfinite(g)).sum())
        if bad:
            raise RnnvizError("error.clip_infinite", name=name, bad=bad, of=g.numel())
    return given


def _tensor(name: str, gradient: Any) -> torch.Tensor:
    """On the CPU, integers in float64; RnnvizError for what holds no numbers."""
    if isinstance(gradient, torch.Tensor) and not gradient.is_meta:
        check_dense(gradient, name)
        g = gradient.detach().cpu()
    else:
        array = read_array(name, gradient)
        if array.dtype.kind not in "fiubc":
            raise RnnvizError("error.no_array", what=name, came=str(array.dtype))
        g = torch.from_numpy(np.array(array, array.dtype.newbyteorder("=")))
    return g if g.is_floating_point() or g.is_complex() else g.double()


def _array(values: torch.Tensor) -> Array:
    return (values.float() if values.dtype == torch.bfloat16 else values).numpy()
