"""Ways past the files by which shapes of another's choice could reach compiled code."""

import pickle
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence

import rnnviz
from rnnviz.cells import ElmanCell, Form, GRUCell, LSTMCell
from rnnviz.conventions import KERAS, unpack
from rnnviz.trace import trace_equations
from tests.forging import honest

X = torch.ones(6, 2, 3)


def with_weight(module: nn.Module, name: str, *shape: int) -> nn.Module:
    setattr(module, name, nn.Parameter(torch.zeros(shape)))
    return module


def with_attribute(module: nn.Module, **changes: Any) -> nn.Module:
    for name, value in changes.items():
        setattr(module, name, value)
    return module


def swapped() -> nn.Module:
    stack = rnnviz.Recurrent([[ElmanCell(3, 4)]])
    stack.layers[0] = nn.ModuleList([GRUCell(3, 5), GRUCell(3, 4)])
    return stack


MODULES: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "few rows": (lambda: with_weight(nn.LSTM(3, 4), "weight_hh_l0", 3, 3), "parameter_shape"),
    "many rows": (lambda: with_weight(nn.LSTM(3, 4), "weight_hh_l0", 40, 4), "parameter_shape"),
    "few columns": (lambda: with_weight(nn.GRU(3, 4), "weight_hh_l0", 12, 2), "parameter_shape"),
    "one axis": (lambda: with_weight(nn.GRU(3, 4), "weight_hh_l0", 12), "parameter_shape"),
    "no axis": (lambda: with_weight(nn.RNN(3, 4), "weight_hh_l0"), "parameter_shape"),
    "short bias": (lambda: with_weight(nn.RNN(3, 4), "bias_hh_l0", 1), "parameter_shape"),
    "wide projection": (
        lambda: with_weight(nn.LSTM(3, 4, proj_size=2), "weight_hr_l0", 4, 4),
        "parameter_shape",
    ),
    "torch's cell": (lambda: with_weight(nn.GRUCell(3, 4), "weight_hh", 3, 4), "parameter_shape"),
    "cell of one axis": (lambda: with_weight(ElmanCell(3, 4), "weight_hh", 4), "parameter_shape"),
    "short peephole": (
        lambda: with_weight(LSTMCell(3, 4, peephole=True), "weight_peephole", 1, 4),
        "parameter_shape",
    ),
    "no peephole": (
        lambda: with_attribute(LSTMCell(3, 4), form=Form("lstm", peephole=True)),
        "parameter_missing",
    ),
    "another size": (lambda: with_attribute(nn.LSTM(3, 4), hidden_size=40), "parameter_shape"),
    "another projection": (lambda: with_attribute(nn.LSTM(3, 4), hidden_size=2), "parameter_shape"),
    "another cell inside": (swapped, "layers"),
    "a cell of another width": (
        lambda: with_attribute(GRUCell(3, 4), output_size=40),
        "parameter_missing",
    ),
}


def modules(_folder: Path) -> dict[str, Callable[[], Any]]:
    """Each module traced by itself, by its equations, and with something held."""
    calls: dict[str, Callable[[], Any]] = {}
    for name, (make, _) in MODULES.items():
        calls[name] = lambda make=make: rnnviz.trace(make(), X, loss="last")
        calls[f"{name}, by equations"] = lambda make=make: trace_equations(make(), X, loss="last")
        hold = {"hidden_state": 0.5}
        calls[f"{name}, held"] = lambda make=make, hold=hold: rnnviz.trace(make(), X, hold=hold)
    return calls


def use(trace: rnnviz.Trace) -> None:
    rnnviz.gradient_norms(trace)
    rnnviz.plain_pass(trace)
    rnnviz.jacobians(trace)


def unpickled(**changes: Any) -> rnnviz.Trace:
    """A trace from a pickle in which fields were changed."""
    state = honest().__getstate__() | changes
    made = object.__new__(rnnviz.Trace)
    made.__setstate__(pickle.loads(pickle.dumps(state)))
    return made


def fields() -> dict[str, tuple[dict[str, Any], str]]:
    """Fields of a trace of an LSTM(2, 8) over 6 steps of 2 sequences, changed, and the error."""
    good = honest()
    short = {**good._arrays, "forget_gate": good.array("forget_gate")[:, :, :2]}
    listed = {**good._arrays, "forget_gate": good.array("forget_gate").tolist()}
    weights = {**good.parameters, "weight_hh_l0": np.zeros((3, 3))}
    initial = {**good._initial, "cell_state": np.zeros((1, 1, 2, 1))}
    return {
        "short gate": ({"_arrays": short}, "trace_shape"),
        "list": ({"_arrays": listed}, "trace_shape"),
        "nothing": ({"_arrays": {}}, "trace_lacks"),
        "weights": ({"parameters": weights}, "parameter_shape"),
        "initial state": ({"_initial": initial}, "trace_shape"),
        "lengths": ({"lengths": np.array([60, 3])}, "trace_lengths"),
        "output": ({"output_grad": np.zeros((2, 2, 8))}, "trace_shape"),
        "held": ({"held": {"forget_gate": np.ones((1, 1, 2, 8))}}, "trace_shape"),
        "form": ({"form": Form("gru")}, "trace_extra"),
        "cell": ({"form": Form("gpt")}, "trace_attribute"),
    }


def traces(_folder: Path) -> dict[str, Callable[[], Any]]:
    calls: dict[str, Callable[[], Any]] = {}
    for name, (changes, _) in fields().items():
        calls[name] = lambda changes=changes: use(replace(honest(), **changes))
        calls[f"{name}, unpickled"] = lambda changes=changes: use(unpickled(**changes))
    return calls


class Shrinking:
    """Says one shape and gives another."""

    shape = (50, 8, 8)

    def __getitem__(self, _: Any) -> Any:
        return np.ones((2, 3, 3))


STACKS: dict[str, Any] = {
    "not square": np.ones((5, 3, 4)),
    "two axes": np.ones((5, 3)),
    "no steps": np.ones((0, 3, 3)),
    "no states": np.ones((5, 0, 0)),
}
BY_STACKS: dict[str, Callable[[Any], Any]] = {
    "backward_norms": rnnviz.backward_norms,
    "bound_backward_norms": rnnviz.bound_backward_norms,
    "transient_growth": rnnviz.transient_growth,
    "lyapunov_exponents": rnnviz.lyapunov_exponents,
    "log_singular_values": rnnviz.log_singular_values,
}


def arrays(_folder: Path) -> dict[str, Callable[[], Any]]:
    """Functions that take arrays of anyone's making."""
    calls: dict[str, Callable[[], Any]] = {}
    for function, call in BY_STACKS.items():
        for name, stack in STACKS.items():
            calls[f"{function}: {name}"] = partial(call, stack)
    for function in ("backward_norms", "lyapunov_exponents", "log_singular_values"):
        calls[f"{function}: shrinking"] = partial(BY_STACKS[function], Shrinking())
    trace = honest()
    other = rnnviz.gradient_norms(rnnviz.trace(nn.LSTM(2, 8), torch.ones(3, 1, 2), loss="last"))
    calls["diagnose: norms"] = lambda: rnnviz.diagnose(trace, norms=other)
    calls["plain_pass: norms"] = lambda: rnnviz.plain_pass(trace, norms=other)
    return calls


def others(_folder: Path) -> dict[str, Callable[[], Any]]:
    """What need not be refused by name, but must not crash."""
    form = Form("lstm")
    kernels = {"kernel": np.ones((3, 12)), "recurrent_kernel": np.ones((7, 5))}
    odd = PackedSequence(torch.ones(7, 3), torch.tensor([1, 4, 2]))
    empty = PackedSequence(torch.ones(3, 3), torch.tensor([3, 0]))
    return {
        "unpack": lambda: unpack(kernels, form, KERAS),
        "packed sequence": lambda: rnnviz.trace(nn.LSTM(3, 4), odd, loss="last"),
        "packed sequence that ends": lambda: rnnviz.trace(nn.LSTM(3, 4), empty, loss="last"),
        "packed sequence, held": lambda: rnnviz.trace(nn.GRU(3, 4), odd, hold={"reset_gate": 1.0}),
        "figure of norms": lambda: rnnviz.plot_jacobian_norms(
            {"LSTM": honest()}, norms={"LSTM": np.ones((3, 3))}
        ),
    }
