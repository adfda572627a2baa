"""Backpropagation in float16 and bfloat16, one time step at a time by torch's autograd.

The compiled kernels have neither type. Every product, sum and nonlinearity is torch's own in that
type, at the recorded states.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnviz.cells import Cell, make_cell
from rnnviz.engine.autograd_step import differentiate
from rnnviz.engine.device import few_threads, full_precision
from rnnviz.engine.steps import Gradients, RNNStates, Steps
from rnnviz.gradients.backpropagation import output_slice
from rnnviz.trace_part import TracePart, parts_by_layer

Array = NDArray[np.float64]

HALVES = {"float16": torch.float16, "bfloat16": torch.bfloat16}
PARAMETERS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr", "weight_peephole")


def half_gradients(wanted: TracePart, dtype: str) -> Array:
    """δh of a layer and direction, (time, batch, unit) in the order of the input.

    dtype: a key of HALVES, whose values float64 holds exactly.
    """
    half = HALVES[dtype]
    output_grad = wanted.trace.output_grad
    assert output_grad is not None
    multiplications = wanted.trace.batch * wanted.weight_hh.size
    with full_precision(torch.device("cpu")), few_threads(multiplications):
        for parts in reversed(parts_by_layer(wanted.trace)[wanted.layer + 1 :]):
            found = [
                _differentiate(part, output_grad[..., output_slice(part)], half) for part in parts
            ]
            by_x = [part.reorder(_array(g.x)) for part, g in zip(parts, found, strict=True)]
            output_grad = torch.from_numpy(np.array(by_x)).to(half).sum(0).double().numpy()
        own = _differentiate(wanted.of_all, output_grad[..., output_slice(wanted)], half)
    return wanted.reorder(own.arrays["hidden_state"])


def _differentiate(part: TracePart, output_grad: Array, dtype: torch.dtype) -> Gradients:
    def tensor(values: Any) -> Tensor:
        return torch.from_numpy(
            np.array(values, np.float64)
        )  # a copy: torch takes no read-only one

    h = np.array(part.in_order("hidden_state"))
    is_lstm = part.trace.cell == "lstm"
    return differentiate(
        _cell(part),
        tensor(part.reorder(part.inputs())),
        tensor(part.initial("hidden_state")),
        tensor(part.initial("cell_state")) if is_lstm else None,
        Steps(
            {"cell_state": np.array(part.in_order("cell_state"))} if is_lstm else {},
            h,
            RNNStates(h),
        ),
        tensor(part.reorder(output_grad)),
        part.held(),
        dtype,
    )


def _cell(part: TracePart) -> Cell[Any]:
    """The cell of this part, with the recorded weights in float64."""
    trace = part.trace
    given = {name: part.parameter(name) for name in PARAMETERS}
    weights = {name: torch.from_numpy(w) for name, w in given.items() if w is not None}
    with torch.device("meta"):  # draws no random numbers
        cell = make_cell(
            trace.form,
            weights["weight_ih"].shape[1],
            trace.units,
            bias="bias_ih" in weights,
            proj_size=trace.output_units if "weight_hr" in weights else 0,
        )
    cell.load_state_dict(weights, assign=True)
    return cell


def _array(x: Tensor | None) -> Array:
    assert x is not None
    return x.numpy()
