"""Numbers as a module takes them → tensors of its dtype on its device."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rnnviz.array_likes import check_dense, read_array, unmasked
from rnnviz.errors import RnnvizError
from rnnviz.recurrent import Network
from rnnviz.torch_names import dtype_name


def read_tensor(network: Network, values: Any, what: str) -> Tensor:
    """Given values in the network's dtype and on its device, detached.

    A float array is converted; a tensor must have both. RnnvizError for what does not fit.
    """
    values = unmasked(what, values)
    expected = dtype_name(network.dtype)
    if not isinstance(values, Tensor):
        array = read_array(what, values)
        _check_dtype(array.dtype.kind, str(array.dtype), expected, what)
        doubles = array.astype(np.float64, order="C")  # a copy: torch warns of read-only arrays
        values = torch.from_numpy(doubles).to(network.device, network.dtype)
    check_dense(values, what)
    if values.dtype != network.dtype:
        whole = not (
            values.is_floating_point() or values.is_complex() or values.dtype == torch.bool
        )
        _check_dtype("i" if whole else "", dtype_name(values.dtype), expected, what)
    if values.device != network.device:
        raise RnnvizError(
            "error.device", what=what, came=str(values.device), expected=str(network.device)
        )
    return values.detach()


def _check_dtype(kind: str, came: str, expected: str, what: str) -> None:
    """RnnvizError unless kind is that of floats; whole numbers may be the codes of tokens."""
    if kind == "f":
        return
    tokens = kind in ("i", "u") and what == "inputs"
    key = "error.dtype_tokens" if tokens else "error.dtype"
    raise RnnvizError(key, what=what, came=came, expected=expected)


def check_finite(values: Tensor, what: str) -> None:
    """RnnvizError unless all values are finite."""
    # Fast check: a sum is finite only if all terms are. It may overflow, so check each entry then.
    if math.isfinite(values.sum()):
        return
    bad = ~torch.isfinite(values)
    if bad.any():
        raise RnnvizError(
            "error.not_finite",
            what=what,
            bad=int(bad.sum()),
            first=tuple(bad.nonzero()[0].tolist()),
        )
