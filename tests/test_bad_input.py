"""Invalid input raises an error with what came, what was expected and what to do."""

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

import rnnviz
from rnnviz.cells import LSTMCell

X = torch.ones(5, 2, 3)  # (time, batch, feature)
RNN, LSTM = nn.RNN(3, 4), nn.LSTM(3, 4, 2, bidirectional=True)
TAKEN = (
    "Pass a torch.nn.RNN, LSTM or GRU, one of their cells, a cell of rnnviz.cells or an "
    "rnnviz.Recurrent."
)


def trace(*arguments: Any, **options: Any) -> Callable[[], rnnviz.Trace]:
    return lambda: rnnviz.trace(*arguments, **options)


def changed(values: Tensor, places: dict[Any, float]) -> Tensor:
    copy = values.detach().clone()
    for place, value in places.items():
        copy[place] = value
    return copy


def with_weight(name: str, places: dict[Any, float]) -> nn.Module:
    module = nn.GRU(3, 4, 2, bidirectional=True)
    with torch.no_grad():
        getattr(module, name).copy_(changed(getattr(module, name), places))
    return module


def with_integer_weights() -> nn.Module:
    module = nn.RNN(3, 4)
    for name, parameter in list(module.named_parameters()):
        setattr(module, name, nn.Parameter(parameter.detach().long(), requires_grad=False))
    return module


class Wrapped(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(5, 3)
        self.encoder = nn.ModuleDict({"text": nn.LSTM(3, 4)})


class Shifted(nn.RNN):
    """A module whose output differs from what its weights compute."""

    def forward(self, *arguments: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]  # torch's is overloaded
        output, state = super().forward(*arguments)
        return output + 1, state


def shifted() -> nn.Module:
    module = Shifted(3, 4).double()
    for parameter in module.parameters():
        nn.init.zeros_(parameter)
    return module


def packed(batch: int = 2, features: int = 3) -> PackedSequence:
    return pack_padded_sequence(torch.ones(5, batch, features), torch.tensor([5] * batch))


DTYPE = "{0} has dtype {1}; the module computes in {2}. Convert {0} to {2}."
TOKENS = (
    "inputs has dtype {0}; the module computes in {1}. If they are codes of tokens or characters, "
    "pass them through the embedding, or one_hot of rnnviz.inputs.Vocabulary, and pass the result; "
    "else convert inputs to {1}."
)
SHAPE = (
    "inputs has shape {}; the module takes one of {}. Rearrange the axes, or choose a module of "
    "that input size."
)
STATE = (
    "{} has shape {}; expected {} for this module and these inputs. Pass a state of that shape, "
    "or None for zeros."
)
FINITE = (
    "{} has {} values that are NaN or infinite, the first at index {}; a trace needs finite "
    "numbers. Correct them or leave them out."
)
WEIGHTS = (
    "{2} of the {0} values of {1} are NaN or infinite, the first at index {3}; a trace needs "
    "finite weights. Load the weights of an earlier training step, or train again with a smaller "
    "learning rate or with gradient clipping."
)
PAIR = "Got {} as the state of an LSTM; expected the pair (h_0, c_0). Pass both, or None for zeros."
LENGTHS = (
    "lengths has dtype {} and shape {}; expected one integer per sequence, 2 in all. Pass them as "
    "a list or a one-dimensional array."
)
RANGE = (
    "lengths[{}] is {}; it must be between 1 and 5, the number of time steps of the inputs. "
    "Correct it, or leave out a sequence without steps."
)
LOSS_SHAPE = (
    "The loss function returned {}; expected a tensor with one number. Return the sum or the mean "
    "of what it computes."
)
INDEPENDENT = (
    "The loss does not depend on the output that the function received, so it has no gradients; "
    "expected a loss that PyTorch can differentiate. Compute it from the function's argument, "
    "without detach(), item() or NumPy."
)

MODULES: dict[str, tuple[Callable[[], Any], str]] = {
    "no module": (
        trace("lstm", X),
        f"Got a value of type str; expected a recurrent module. {TAKEN}",
    ),
    "another module": (
        trace(nn.Sequential(nn.Linear(3, 4)), X),
        "Got a module of type torch.nn.modules.container.Sequential, which contains no recurrent "
        f"module that can be traced. {TAKEN}",
    ),
    "a module inside": (
        trace(Wrapped(), X),
        "Got a module of type tests.test_bad_input.Wrapped, which is not recurrent itself; "
        "expected the recurrent module inside it. Pass "
        'module.get_submodule("encoder.text") and the inputs that it '
        "receives.",
    ),
    "no values": (
        trace(nn.GRU(3, 4, device="meta"), X),
        'The module is on the device "meta", where weights have no values; a trace needs values. '
        'Create the module on a real device, such as "cpu", and load its weights.',
    ),
    "integer weights": (
        trace(with_integer_weights(), X),
        "The weights have dtype int64; expected floating-point weights. Convert the module, for "
        "example with module.float().",
    ),
    "complex weights": (
        trace(nn.RNN(3, 4, dtype=torch.complex64), X),
        "The weights have dtype complex64; expected floating-point weights. Convert the module, "
        "for example with module.float().",
    ),
    "weights not finite": (
        trace(with_weight("weight_hh_l1_reverse", {(7, 2): math.nan, (9, 0): -math.inf}), X),
        WEIGHTS.format(48, "weight_hh_l1_reverse", 2, (7, 2)),
    ),
    "one bias not finite": (
        trace(with_weight("bias_ih_l0", {3: math.inf}), X),
        WEIGHTS.format(12, "bias_ih_l0", 1, "(3,)"),
    ),
    "not what its weights say": (
        trace(shifted(), torch.ones(1, 3).double()),
        "The output computed from the gates differs from the module's own output by 1, and "
        "rounding explains at most 1.3e-307. These are not the gates that the module computes, so "
        "there is no trace. Check whether its forward method or its weights are replaced, and "
        "trace a standard torch.nn module with the same weights.",
    ),
}
INPUTS: dict[str, tuple[Callable[[], Any], str]] = {
    "features": (trace(RNN, X[..., :2]), SHAPE.format((5, 2, 2), "(time, 3), (time, batch, 3)")),
    "one dimension": (trace(RNN, X[0, 0]), SHAPE.format("(3,)", "(time, 3), (time, batch, 3)")),
    "four dimensions": (
        trace(nn.GRU(3, 4, batch_first=True), X[None]),
        SHAPE.format((1, 5, 2, 3), "(time, 3), (batch, time, 3)"),
    ),
    "a number": (trace(RNN, 1.0), SHAPE.format("()", "(time, 3), (time, batch, 3)")),
    "packed features": (
        trace(RNN, packed(features=2)),
        SHAPE.format((5, 2, 2), "(time, 3), (time, batch, 3)"),
    ),
    "packed without features": (
        trace(RNN, pack_padded_sequence(torch.ones(5, 3), torch.tensor([5, 5, 5]))),
        SHAPE.format((5, 3), "(time, 3), (time, batch, 3)"),
    ),
    "no time steps": (
        trace(nn.RNN(3, 4, batch_first=True), torch.ones(2, 0, 3)),
        "inputs has shape (2, 0, 3) and is empty; expected at least one time step of one "
        "sequence. Pass a longer sequence.",
    ),
    "no sequences": (
        trace(RNN, torch.ones(5, 0, 3)),
        "inputs has shape (5, 0, 3) and is empty; expected at least one time step of one "
        "sequence. Pass a longer sequence.",
    ),
    "integers": (trace(RNN, np.ones((5, 3), int)), TOKENS.format("int64", "float32")),
    "an integer tensor": (trace(RNN, X.long()), TOKENS.format("int64", "float32")),
    "booleans": (trace(RNN, np.ones((5, 3), bool)), DTYPE.format("inputs", "bool", "float32")),
    "words": (trace(RNN, "text"), DTYPE.format("inputs", "<U4", "float32")),
    "nothing": (trace(RNN, None), DTYPE.format("inputs", "object", "float32")),
    "rows unlike": (
        trace(RNN, [[1.0], [1.0, 2.0]]),
        "inputs has rows of different lengths; expected a rectangular array. Pad the rows to one "
        "length, and pass the true lengths as lengths.",
    ),
    "another float": (trace(RNN, X.double()), DTYPE.format("inputs", "float64", "float32")),
    "float32 into float64": (
        trace(nn.RNN(3, 4).double(), X),
        DTYPE.format("inputs", "float32", "float64"),
    ),
    "packed floats": (
        trace(nn.RNN(3, 4).double(), packed()),
        DTYPE.format("inputs", "float32", "float64"),
    ),
    "another device": (
        trace(RNN, X.to("meta")),
        "inputs is on the device meta; the module is on cpu. Move one to the other.",
    ),
    "not finite": (
        trace(RNN, changed(X, {(3, 1, 2): math.nan, (4, 0, 0): math.inf})),
        FINITE.format("inputs", 2, (3, 1, 2)),
    ),
    "not finite, batch first": (
        trace(nn.RNN(3, 4, batch_first=True), changed(X, {(4, 1, 2): math.inf})),
        FINITE.format("inputs", 1, (4, 1, 2)),
    ),
    "not finite, no batch": (
        trace(RNN, changed(X[:, 0], {(3, 1): -math.inf})),
        FINITE.format("inputs", 1, (3, 1)),
    ),
    "not finite, packed": (
        trace(RNN, pack_padded_sequence(changed(X, {(2, 1, 0): math.nan}), torch.tensor([5, 3]))),
        FINITE.format("inputs", 1, (2, 1, 0)),
    ),
    "too large for float32": (
        trace(RNN, np.full((5, 3), 1e300)),
        FINITE.format("inputs", 15, (0, 0)),
    ),
    "packed for a cell": (
        trace(LSTMCell(3, 4), packed()),
        "Got a packed sequence for a single cell; a cell takes padded inputs. Unpack it with "
        "torch.nn.utils.rnn.pad_packed_sequence and pass its two results as inputs and lengths.",
    ),
}
STATES: dict[str, tuple[Callable[[], Any], str]] = {
    "layers": (
        trace(LSTM, X, (torch.zeros(2, 2, 4), torch.zeros(4, 2, 4))),
        STATE.format("h_0", (2, 2, 4), (4, 2, 4)),
    ),
    "units": (
        trace(nn.LSTM(3, 4, proj_size=2), X, (torch.zeros(1, 2, 2), torch.zeros(1, 2, 2))),
        STATE.format("c_0", (1, 2, 2), (1, 2, 4)),
    ),
    "no batch": (trace(RNN, X[:, 0], torch.zeros(1, 1, 4)), STATE.format("h_0", (1, 1, 4), (1, 4))),
    "a cell": (
        trace(nn.GRUCell(3, 4), X, torch.zeros(1, 2, 4)),
        STATE.format("h_0", (1, 2, 4), (2, 4)),
    ),
    "a pair for one": (
        trace(RNN, X, (torch.zeros(1, 2, 4), torch.zeros(1, 2, 4))),
        STATE.format("h_0", (2, 1, 2, 4), (1, 2, 4)),
    ),
    "one for a pair": (trace(LSTM, X, torch.zeros(4, 2, 4)), PAIR.format("Tensor")),
    "three for a pair": (trace(LSTM, X, [X, X, X]), PAIR.format("list (3)")),
    "floats": (
        trace(RNN, X, torch.zeros(1, 2, 4).double()),
        DTYPE.format("h_0", "float64", "float32"),
    ),
    "not finite": (
        trace(
            LSTM, X, (torch.zeros(4, 2, 4), changed(torch.zeros(4, 2, 4), {(3, 0, 1): math.nan}))
        ),
        FINITE.format("c_0", 1, (3, 0, 1)),
    ),
}
LENGTHS_GIVEN: dict[str, tuple[Callable[[], Any], str]] = {
    "too many": (trace(RNN, X, lengths=[5, 4, 3]), LENGTHS.format("int64", "(3,)")),
    "one number": (trace(RNN, X, lengths=5), LENGTHS.format("int64", "()")),
    "two rows": (trace(RNN, X, lengths=torch.ones(2, 1).int()), LENGTHS.format("int32", (2, 1))),
    "floats": (trace(RNN, X, lengths=torch.tensor([5.0, 4.0])), LENGTHS.format("float32", "(2,)")),
    "booleans": (trace(RNN, X, lengths=[True, True]), LENGTHS.format("bool", "(2,)")),
    "zero": (trace(RNN, X, lengths=[5, 0]), RANGE.format(1, 0)),
    "negative": (trace(nn.GRUCell(3, 4), X, lengths=[-1, 9]), RANGE.format(0, -1)),
    "longer than the inputs": (trace(LSTM, X, lengths=[5, 6]), RANGE.format(1, 6)),
    "beside packed inputs": (
        trace(RNN, packed(), lengths=[5, 5]),
        "Got lengths together with packed inputs, which hold their own; expected one of the two. "
        "Leave lengths out.",
    ),
    "without a batch": (
        trace(RNN, X[:, 0], lengths=[5]),
        "Got lengths for a single sequence without a batch dimension, of which all time steps "
        "count. Leave lengths out and cut the sequence, or add a batch dimension.",
    ),
}
LOSSES: dict[str, tuple[Callable[[], Any], str]] = {
    "name": (
        trace(RNN, X, loss="first"),
        "loss is 'first'; expected one of last, all, final, a function of the output (or of the "
        "output and the final state), or None. Choose "
        "one of these.",
    ),
    "number": (
        trace(RNN, X, loss=1),
        "loss is 1; expected one of last, all, final, a function of the output (or of the output "
        "and the final state), or None. Choose one of "
        "these.",
    ),
    "shape": (trace(RNN, X, loss=lambda y: y[-1]), LOSS_SHAPE.format("Tensor (2, 4)")),
    "item": (trace(RNN, X, loss=lambda y: y.sum().item()), LOSS_SHAPE.format("float")),
    "detached": (trace(RNN, X, loss=lambda y: y.detach().sum()), INDEPENDENT),
    "independent": (
        trace(RNN, X, loss=lambda _: RNN.get_parameter("bias_ih_l0").sum()),
        INDEPENDENT,
    ),
}
DERIVATIVE = (
    "{1} of the {0} derivatives of the loss with respect to the output or the final state are NaN "
    "or infinite; "
    "expected finite ones, because every gradient starts from them. Check the loss for a root, a "
    'logarithm or a quotient, or trace with loss="last".'
)
LOSSES |= {
    "infinite": (trace(RNN, X, loss=lambda y: (0 * y[-1]).sqrt().sum()), DERIVATIVE.format(40, 8)),
    "root of 0": (
        trace(RNN, X, loss=lambda y: (y[:2] - y[:2].detach()).sqrt().sum()),
        DERIVATIVE.format(40, 16),
    ),
    "NaN": (trace(RNN, X, loss=lambda y: y.sum() * float("nan")), DERIVATIVE.format(40, 40)),
    "padded": (
        trace(
            RNN,
            X,
            lengths=[5, 3],
            loss=lambda y: (y - y.detach()).sqrt().sum(),
        ),
        DERIVATIVE.format(32, 32),
    ),
}
TABLES = {
    "module": MODULES,
    "inputs": INPUTS,
    "state": STATES,
    "lengths": LENGTHS_GIVEN,
    "loss": LOSSES,
}


def assert_raises_text(act: Callable[[], Any], text: str) -> None:
    with pytest.raises(rnnviz.RnnvizError) as caught:
        act()
    assert str(caught.value) == text
    korean = caught.value.message("ko")
    assert re.search("[가-힣]", korean), korean
    assert not re.search("[{}]", korean), korean


@pytest.mark.parametrize(
    ("act", "text"),
    [
        pytest.param(act, text, id=f"{table}: {name}")
        for table, rows in TABLES.items()
        for name, (act, text) in rows.items()
    ],
)
def test_invalid_input_raises(act: Callable[[], Any], text: str):
    assert_raises_text(act, text)


def test_an_infinite_derivative_at_padded_steps_only_is_ignored():
    """√(y − y₀) has an infinite derivative only at the padded step, where y = y₀ = 0."""
    shift = torch.ones(5, 2, 1)
    shift[4, 1] = 0

    def loss(y: Tensor) -> Tensor:
        return (y - y.detach() + shift).sqrt().sum()

    found = rnnviz.trace(RNN, X, lengths=[5, 4], loss=loss)
    gradient = found["grad_hidden_state"].values[0, 0]
    assert (gradient[4, 0] == 0.5).all()
    assert (gradient[3, 1] == 0.5).all()
    assert np.isnan(gradient[4, 1]).all()


def test_an_unknown_trace_name_raises():
    found = rnnviz.trace(nn.GRU(3, 4), X)
    assert_raises_text(
        lambda: found["forget_gate"],
        'The trace has nothing named "forget_gate"; it has input, reset_gate, update_gate, '
        "hidden_candidate, reset_gate_preactivation, update_gate_preactivation, "
        "hidden_candidate_preactivation, hidden_state. Choose one of these; names with grad_ "
        "exist only if a loss was passed.",
    )


@pytest.mark.parametrize("name", ["trace.txt", "trace", "trace.NC"])
def test_an_unknown_file_ending_raises(name: str, tmp_path: Path):
    found = rnnviz.trace(RNN, X)
    text = (
        'The file name "{}" has an unknown extension; it must end in one of {}. Use one of these '
        "extensions."
    )
    assert_raises_text(lambda: found.save(tmp_path / name), text.format(name, ".nc, .npz, .csv"))
    assert_raises_text(lambda: rnnviz.load_trace(tmp_path / name), text.format(name, ".nc, .npz"))
    assert list(tmp_path.iterdir()) == []


def test_loading_csv_raises(tmp_path: Path):
    rnnviz.trace(RNN, X).save(tmp_path / "trace.csv")
    assert_raises_text(
        lambda: rnnviz.load_trace(tmp_path / "trace.csv"),
        (
            'The file name "trace.csv" has an unknown extension; it must end in one of .nc, .npz. '
            "Use one of these extensions."
        ),
    )


@pytest.mark.parametrize("name", ["missing.nc", "missing.npz"])
def test_loading_a_missing_file_raises(name: str, tmp_path: Path):
    text = f'There is no file "{name}". Check its name and folder.'
    assert_raises_text(lambda: rnnviz.load_trace(tmp_path / name), text)
    (tmp_path / name).mkdir()
    text = (
        f'"{tmp_path / name}" is a folder; expected the path of a file. Add a file name, such as '
        f'"{tmp_path / name}/run.nc", or choose another one.'
    )
    assert_raises_text(lambda: rnnviz.load_trace(str(tmp_path / name)), text)


class Trap:
    """A pickle that creates a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


def write_damaged(kind: str, path: Path) -> None:
    good = rnnviz.trace(RNN, X, loss="last")
    if kind == "empty":
        path.touch()
    elif kind == "garbage":
        path.write_bytes(bytes(range(256)) * 4)
    elif kind == "a zip cut short":
        path.write_bytes(b"PK\x03\x04" + bytes(100))
    elif kind == "cut short":
        good.save(path)
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])
    elif kind == "other data" and path.suffix == ".npz":
        np.savez(path, hidden_state=np.ones(3))
    elif kind == "other data":
        good.to_xarray().drop_vars("hidden_state").to_netcdf(path, engine="h5netcdf")
    elif kind == "no attributes":
        dataset = good.to_xarray().drop_attrs()
        dataset.to_netcdf(path.with_suffix(".nc"), engine="h5netcdf")
        if path.suffix == ".npz":
            np.savez(path, _layout=np.array('{"dims": {}, "coords": [], "attrs": {}}'))
    elif kind == "one array":
        with path.open("wb") as file:
            np.save(file, np.ones(3))
    elif kind == "a pickle":
        with path.open("wb") as file:
            np.save(file, np.array([Trap(path.with_name("mark"))]), allow_pickle=True)
    elif kind == "pickles inside":
        np.savez(path, _layout=np.array([Trap(path.with_name("mark"))]))


@pytest.mark.parametrize("ending", [".nc", ".npz"])
@pytest.mark.parametrize(
    "kind",
    [
        "empty",
        "garbage",
        "a zip cut short",
        "cut short",
        "other data",
        "no attributes",
        "one array",
        "a pickle",
        "pickles inside",
    ],
)
def test_loading_a_damaged_file_raises(kind: str, ending: str, tmp_path: Path):
    path = tmp_path / f"damaged{ending}"
    write_damaged(kind, path)
    if not path.exists():  # np.savez adds its own ending
        path.with_suffix(".nc.npz").rename(path)
    assert_raises_text(
        lambda: rnnviz.load_trace(path),
        f'"damaged{ending}" is not a trace, or it is damaged; expected a file written by '
        "Trace.save. Save the trace again.",
    )
    assert not (tmp_path / "mark").exists(), "code from the file was run"
