"""Converts weights from this project's layout to another convention's, and back.

A convention's arrays are split into one block per gate; the blocks are reordered, some negated,
and written under the other convention's names.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnviz.activations import read_name
from rnnviz.array_likes import read_array
from rnnviz.cells import Form
from rnnviz.conventions.arrays import array_names, check_pair, read_packed
from rnnviz.conventions.table import PROJECT, Convention
from rnnviz.errors import RnnvizError

Array = NDArray[Any]


class Move(NamedTuple):
    """Position of one gate's block of rows before and after, counted in blocks from 0.

    negated: its rows change sign: σ(−a) = 1 − σ(a), which few other activations of gates share.
    """

    gate: str
    before: int
    after: int
    negated: bool


class Blocks(NamedTuple):
    """One layer in one direction, split by gate.

    w: (gate, unit, input). u: (gate, unit, output). b: (1 or 2, gate, unit), None without biases.
    p: (peephole, unit). v: the projection, (output, unit). Gates in the convention's order.
    """

    w: Array
    u: Array
    b: Array | None
    p: Array | None = None
    v: Array | None = None


def moves(form: Form, source: Convention, target: Convention) -> tuple[Move, ...]:
    """Old and new position of each gate's block of rows, in the target's order.

    RnnvizError if either convention does not have this cell, or not with this activation of gates.

    >>> from rnnviz.conventions import CHUNG, ONNX, TORCH
    >>> [(move.gate, move.before, move.after) for move in moves(Form("lstm"), TORCH, ONNX)][1:]
    [('output_gate', 3, 1), ('forget_gate', 1, 2), ('cell_candidate', 2, 3)]
    >>> [move.negated for move in moves(Form("gru", reset_after=False), PROJECT, CHUNG)]
    [False, True, False]
    """
    flips = source.update_keeps != target.update_keeps
    found = _moved(source.order(form), target.order(form), flips=flips)
    if any(move.negated for move in found):
        check_symmetric(form)
    return found


def check_symmetric(form: Form) -> None:
    """RnnvizError unless φ(−a) = 1 − φ(a) for the gates, so that negated rows give 1 − gate."""
    read = read_name(form.gate_activation)
    symmetric = read is not None and (
        read[0] == "sigmoid" or (read[0] == "hard_sigmoid" and read[1][1] == 0.5)
    )
    if not symmetric:
        raise RnnvizError("error.not_symmetric", came=form.gate_activation)


def _moved(
    before: tuple[str, ...], after: tuple[str, ...], *, flips: bool = False
) -> tuple[Move, ...]:
    found: list[Move] = []
    for place, gate in enumerate(after):
        own, negated = gate, flips and gate == "update_gate"
        # Coupled LSTM: i's rows are f's negated; where f = 1 − i, f's rows may be unset.
        if gate == "input_gate" and gate not in before:
            own, negated = "forget_gate", True
        elif gate == "forget_gate" and "input_gate" in before and "input_gate" not in after:
            own, negated = "input_gate", True
        found.append(Move(gate, before.index(own), place, negated))
    return tuple(found)


def pack(parameters: Mapping[str, Array], form: Form, convention: Convention) -> dict[str, Array]:
    """One layer in one direction as the convention packs it, by its own names.

    parameters: torch's names without suffix (weight_ih, weight_hh, bias_ih, bias_hh, and of an
    LSTM weight_hr, weight_peephole). torch: the same names. Keras: kernel, recurrent_kernel, bias.
    ONNX: W, R, B, P, with the axis of the direction. The papers: weight_ih, weight_hh, bias.
    RnnvizError if the parameters are not those of the form, if the convention cannot represent the
    form, or if merging the biases of a GRU's candidate would change the result.

    >>> from rnnviz.conventions import KERAS
    >>> own = {"weight_ih": np.array([[1.0], [2.0], [3.0]]), "weight_hh": np.zeros((3, 1))}
    >>> pack(own, Form("gru"), KERAS)["kernel"].tolist()
    [[2.0, 1.0, 3.0]]
    """
    check_pair(form, convention)
    if "weight_hr" in parameters and not convention.projection:
        raise RnnvizError("error.no_projection", convention=convention.title)
    blocks = _reordered(read_blocks(parameters, form, PROJECT), form, PROJECT, convention)
    if blocks.b is not None and len(blocks.b) > convention.bias_vectors(form):
        _check_merge(blocks.b, form, convention)
        blocks = blocks._replace(b=blocks.b.sum(0, keepdims=True))
    return _write(blocks, convention)


def unpack(packed: Mapping[str, Array], form: Form, convention: Convention) -> dict[str, Array]:
    """The same weights by torch's names, in this project's layout: the inverse of ``pack``.

    packed: arrays or tensors by the convention's names, of one layer in one direction. A merged
    bias goes into bias_ih; bias_hh is 0.
    RnnvizError for arrays that this form cannot have in this convention. Shapes do not tell kernels
    that are swapped where there are as many inputs as units, an RNN's square recurrent weights from
    their transpose, and gates in another order.

    >>> from rnnviz.conventions import KERAS
    >>> packed = {"kernel": np.array([[2.0, 1.0, 3.0]]), "recurrent_kernel": np.zeros((1, 3))}
    >>> unpack(packed, Form("gru"), KERAS)["weight_ih"].ravel().tolist()
    [1.0, 2.0, 3.0]
    """
    check_pair(form, convention)
    blocks = _reordered(read_blocks(packed, form, convention), form, convention, PROJECT)
    if blocks.b is not None and len(blocks.b) == 1:
        blocks = blocks._replace(b=np.concatenate([blocks.b, np.zeros_like(blocks.b)]))
    return _write(blocks, PROJECT)


def merge_biases(parameters: Mapping[str, Array]) -> dict[str, Array]:
    """The parameters with one bias: the sum in bias_ih, 0 in bias_hh.

    Exact except for a GRU with reset after the product, whose b_hn is multiplied by the reset gate.

    >>> found = merge_biases({"bias_ih": np.ones(2), "bias_hh": np.ones(2)})
    >>> found["bias_ih"].tolist(), found["bias_hh"].tolist()
    ([2.0, 2.0], [0.0, 0.0])
    """
    if "bias_ih" not in parameters or "bias_hh" not in parameters:
        return dict(parameters)
    first, other = (read_array(name, parameters[name]) for name in ("bias_ih", "bias_hh"))
    if first.shape != other.shape:
        raise RnnvizError("error.bias_shapes", first=first.shape, other=other.shape)
    merged = first + other
    return {**parameters, "bias_ih": merged, "bias_hh": np.zeros_like(merged)}


def read_blocks(packed: Mapping[str, Array], form: Form, convention: Convention) -> Blocks:
    """A convention's arrays split by gate, in its own order.

    RnnvizError unless they can be the weights of this form in this convention (``read_packed``).
    """
    arrays = read_packed(packed, form, convention)
    if convention.layout == "onnx":
        arrays = {name: values[0] for name, values in arrays.items()}
    gates, names = len(convention.order(form)), array_names(convention)
    w, u = (arrays[name] for name in names[:2])
    if convention.layout == "keras":
        w, u = w.T, u.T
    biases = [arrays[name] for name in names[2:] if name in arrays]
    p, v = arrays.get("P", arrays.get("weight_peephole")), arrays.get("weight_hr")
    units = len(w) // gates
    return Blocks(
        w.reshape(gates, units, -1),
        u.reshape(gates, units, -1),
        np.concatenate([b.reshape(-1, gates, units) for b in biases]) if biases else None,
        None if p is None else p.reshape(-1, units),
        v,
    )


def _reordered(blocks: Blocks, form: Form, source: Convention, target: Convention) -> Blocks:
    w, u, b, p, v = blocks
    places = moves(form, source, target)
    peepholes = _moved(source.peephole_order(form), target.peephole_order(form))
    return Blocks(
        _taken(w, places),
        _taken(u, places),
        None if b is None else np.stack([_taken(half, places) for half in b]),
        None if p is None else _taken(p, peepholes),
        v,
    )


def _taken(blocks: Array, places: tuple[Move, ...]) -> Array:
    return np.stack([-blocks[m.before] if m.negated else blocks[m.before] for m in places])


def _check_merge(b: Array, form: Form, convention: Convention) -> None:
    if form.cell != "gru" or not form.reset_after:
        return
    largest = float(np.abs(b[1, convention.gru.index("hidden_candidate")]).max())
    if largest > 0:
        raise RnnvizError("error.merge_biases", convention=convention.title, largest=largest)


def _write(blocks: Blocks, convention: Convention) -> dict[str, Array]:
    w, u = (part.reshape(-1, part.shape[-1]) for part in (blocks.w, blocks.u))
    names, layout = array_names(convention), convention.layout
    found: dict[str, Array] = dict(
        zip(names[:2], (w.T, u.T) if layout == "keras" else (w, u), strict=True)
    )
    if blocks.b is not None:
        vectors = blocks.b.reshape(len(blocks.b), -1)
        if layout == "onnx":
            found["B"] = vectors.ravel()
        elif len(names) == 4:
            found |= dict(zip(names[2:], vectors, strict=True))
        else:
            found["bias"] = vectors[0] if len(vectors) == 1 else vectors
    if blocks.p is not None:
        found |= {"P": blocks.p.ravel()} if layout == "onnx" else {"weight_peephole": blocks.p}
    if blocks.v is not None:
        found["weight_hr"] = blocks.v
    if layout == "onnx":
        return {name: np.ascontiguousarray(array[None]) for name, array in found.items()}
    return {name: np.ascontiguousarray(array) for name, array in found.items()}
