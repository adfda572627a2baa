"""How the hidden states change when a cell's convention is switched."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnviz.array_likes import read_array
from rnnviz.cells import GATE_NAMES, Form
from rnnviz.conventions.arrays import read_packed
from rnnviz.conventions.evaluation import run_packed
from rnnviz.conventions.packing import check_symmetric, merge_biases, moves
from rnnviz.conventions.table import PROJECT, Convention

ROUNDING = 1e-12  # |Δh| below which only rounding differs


@dataclass(frozen=True, eq=False)
class Difference:
    """Change of the hidden states: largest |Δh|, overall and by step, (time,)."""

    largest: float
    by_step: NDArray[np.float64]

    @property
    def stays(self) -> bool:
        """Whether only rounding differs."""
        return self.largest < ROUNDING


def switched(
    form: Form, parameters: Mapping[str, NDArray[Any]], *, flip_update: bool, one_bias: bool
) -> dict[str, NDArray[Any]]:
    """The weights with the switches set: z's rows negated, biases merged.

    >>> own = {"weight_ih": np.array([[1.0], [2.0], [3.0]])}
    >>> found = switched(Form("gru"), own, flip_update=True, one_bias=False)
    >>> found["weight_ih"].ravel().tolist()
    [1.0, -2.0, 3.0]
    """
    found = {n: np.array(read_array(n, v), dtype=np.float64) for n, v in parameters.items()}
    if one_bias:
        found = merge_biases(found)
    if flip_update and form.cell == "gru":
        check_symmetric(form)
        units = len(next(iter(found.values()))) // 3
        z = GATE_NAMES["gru"].index("update_gate")
        for values in found.values():
            values[z * units : (z + 1) * units] *= -1
    return found


def difference(
    form: Form,
    parameters: Mapping[str, NDArray[Any]],
    x: NDArray[Any],
    *,
    flip_update: bool = False,
    reset_after: bool = True,
    one_bias: bool = False,
) -> Difference:
    """Change of the hidden states when the switches are set.

    parameters: torch's names without suffix, this project's layout. x: (time, batch, input).
    flip_update: z replaces instead of keeps, and its rows change sign: exact.
    reset_after: the new position of the reset, same weights; ``form`` has the original one.
    one_bias: b_ih + b_hh as one, exact except for the candidate of a GRU with reset after.
    A switch without meaning for the cell has no effect.

    >>> own = {"weight_ih": np.ones((3, 1)), "weight_hh": np.ones((3, 1))}
    >>> own |= {"bias_ih": np.zeros(3), "bias_hh": np.ones(3)}
    >>> found = difference(Form("gru"), own, np.ones((2, 1, 1)), one_bias=True)
    >>> found.by_step.round(4).tolist(), found.stays
    ([0.0011, 0.0017], False)
    """
    as_written = run_packed(parameters, x, form, PROJECT)
    weights = switched(form, parameters, flip_update=flip_update, one_bias=one_bias)
    convention = replace(PROJECT, update_keeps=not flip_update)
    now = run_packed(weights, x, replace(form, reset_after=reset_after), convention)
    by_step = np.abs(now - as_written).max(axis=(1, 2))
    return Difference(float(by_step.max()), by_step)


@dataclass(frozen=True, eq=False)
class Rows:
    """Packed weights as one table: W, U and the biases, one row per gate and unit.

    gates: in their order. values: (gate · unit, column). columns: what each column multiplies:
    "x 1", …, "h 1", …, and "b" or "b_ih" and "b_hh".
    """

    gates: tuple[str, ...]
    values: NDArray[np.float64]
    columns: tuple[str, ...]


def lay_out(
    form: Form,
    parameters: Mapping[str, NDArray[Any]],
    convention: Convention = PROJECT,
    *,
    flip_update: bool = False,
    one_bias: bool = False,
) -> Rows:
    """The weights in the convention's order of gates, with the switches set.

    Rows are units in every convention; Keras stores the transpose. Biases are merged if a switch or
    the convention merges them, even if that changes the result.

    >>> own = {"weight_ih": np.array([[1.0], [2.0], [3.0]]), "weight_hh": np.zeros((3, 1))}
    >>> from rnnviz.conventions import ONNX
    >>> found = lay_out(Form("gru"), own, ONNX, flip_update=True)
    >>> found.columns, found.values[:, 0].tolist()
    (('x 1', 'h 1'), [-2.0, 1.0, 3.0])
    """
    read_packed(parameters, form, PROJECT)
    merged = one_bias or convention.bias_vectors(form) == 1
    weights = switched(form, parameters, flip_update=flip_update, one_bias=merged)
    w, u = weights["weight_ih"], weights["weight_hh"]
    columns = [f"x {k + 1}" for k in range(w.shape[1])] + [f"h {k + 1}" for k in range(u.shape[1])]
    parts = [w, u]
    if "bias_ih" in weights:
        names = ("bias_ih",) if merged else ("bias_ih", "bias_hh")
        parts += [weights[name][:, None] for name in names]
        columns += ["b"] if merged else ["b_ih", "b_hh"]
    rows = np.concatenate(parts, axis=1)
    places = moves(form, PROJECT, convention)
    blocks = np.split(rows, len(PROJECT.order(form)))
    signed = [-blocks[m.before] if m.negated else blocks[m.before] for m in places]
    return Rows(convention.order(form), np.concatenate(signed), tuple(columns))
