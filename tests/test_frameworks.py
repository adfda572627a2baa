"""This project's cells against independent programs: Keras, ONNX's reference, onnxruntime."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from rnnviz.cells import Form, make_cell
from rnnviz.conventions import (
    KERAS,
    KERAS_RESET_BEFORE,
    ONNX,
    PROJECT,
    Convention,
    pack,
    run_packed,
    unpack,
)
from rnnviz.counting import Size, count_parameters
from rnnviz.explain.keras_outputs import select_outputs
from rnnviz.recurrent import Recurrent
from rnnviz.trace import trace
from tests.frameworks import in_float64, keras_layer, run_keras, run_onnx

pytestmark = pytest.mark.slow  # Keras alone takes seconds to import

Array = NDArray[Any]
SIZES = ((1, 1), (3, 4), (7, 10))  # inputs, hidden units
STEPS, BATCH = 6, 3

RNNS = [Form("rnn", name) for name in ("tanh", "relu", "sigmoid", "identity")]
GRUS = [Form("gru"), Form("gru", reset_after=False)]
LSTM, PEEPHOLE = Form("lstm"), Form("lstm", peephole=True)
COUPLED = [Form("lstm", coupled=True), Form("lstm", coupled=True, peephole=True)]


def named(value: Form | Convention) -> str:
    """A short name of a form or a convention, for test ids."""
    if isinstance(value, Convention):
        return value.name
    plain = Form(value.cell)
    own = [str(f) for name, f in vars(value).items() if f != getattr(plain, name)]
    apart = [n for n, f in vars(value).items() if isinstance(f, bool) and f != getattr(plain, n)]
    return " ".join([value.cell, *(apart or own)])


class Case:
    """A network of one layer with random weights, input and states, and its output."""

    def __init__(
        self, form: Form, inputs: int, units: int, directions: int, *, bias: bool = True
    ) -> None:
        random = torch.Generator().manual_seed(7 * inputs + units + directions)
        cells = [make_cell(form, inputs, units, bias=bias).double() for _ in range(directions)]
        for cell in cells:
            for parameter in cell.parameters():
                parameter.data = torch.randn(parameter.shape, generator=random).double() * 0.6
        shape = (len(form.states), directions, BATCH, units)
        self.form = form
        self.x = torch.randn(STEPS, BATCH, inputs, generator=random).double()
        self.state = torch.randn(shape, generator=random).double()
        self.module = Recurrent([cells])
        state = tuple(self.state) if form.cell == "lstm" else self.state[0]
        with torch.no_grad():
            output, final = self.module(self.x, state)
        finals = final if form.cell == "lstm" else (final,)
        self.output = output.numpy()  # (time, batch, direction · unit)
        self.final = [s.numpy() for s in finals]
        self.trace = trace(self.module, self.x, state)
        self.parameters = [
            {name: p.detach().numpy() for name, p in cell.named_parameters()} for cell in cells
        ]

    def for_keras(self) -> tuple[Array, list[Array]]:
        """Input and states in Keras's layout: batch first, h and c of each direction."""
        directions = self.state.shape[1]
        states = [s[d].numpy() for d in range(directions) for s in self.state]
        return self.x.numpy().swapaxes(0, 1), states

    def check_onnx(self, by: str, *, input_forget: int = 0) -> None:
        """Asserts that Y and the last states of an ONNX node are this network's."""
        dtype = np.float64 if by == "reference" else np.float32
        states = [s.numpy() for s in self.state]
        x = self.x.numpy().astype(dtype)
        y, *finals = run_onnx(
            self.form, self.parameters, x, states, by=by, input_forget=input_forget
        )
        # (time, direction, batch, unit) → units of both directions side by side
        side_by_side = y.swapaxes(1, 2).reshape(self.output.shape)
        scale = max(1.0, float(np.abs(self.output).max()))  # a linear network grows
        limit = scale * (1e-12 if by == "reference" else 1e-6)
        for came, expected in zip([side_by_side, *finals], [self.output, *self.final], strict=True):
            max_diff = np.abs(came - expected).max()
            assert max_diff < limit, f"{by}: {max_diff=:.1e}"


@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize(("inputs", "units"), SIZES)
@pytest.mark.parametrize("form", [*RNNS, *GRUS, LSTM, *COUPLED[:1]], ids=named)
def test_keras_computes_the_same(form: Form, inputs: int, units: int, directions: int):
    case = Case(form, inputs, units, directions)
    x, states = case.for_keras()
    for sequences in (False, True):
        came = run_keras(
            form, case.parameters, x, states, return_sequences=sequences, return_state=True
        )
        own = select_outputs(case.trace, return_sequences=sequences, return_state=True)
        assert len(came) == len(own)
        for array, part in zip(came, own, strict=True):
            assert array.shape == part.values.shape
            max_diff = np.abs(array - part.values).max()
            scale = max(1.0, float(np.abs(array).max()))
            assert max_diff < 1e-12 * scale, f"{part.name}: {max_diff=:.1e}"


@pytest.mark.parametrize("form", [Form("rnn"), *GRUS, LSTM], ids=named)
def test_keras_without_biases_and_states(form: Form):
    case = Case(form, 3, 4, 2, bias=False)
    case.trace = trace(case.module, case.x)
    (came,) = run_keras(form, case.parameters, case.for_keras()[0], [])
    (own,) = select_outputs(case.trace)
    max_diff = np.abs(came - own.values).max()
    assert max_diff < 1e-12, f"{max_diff=:.1e}"


@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize(("inputs", "units"), SIZES)
@pytest.mark.parametrize("form", [Form("rnn"), RNNS[3], *GRUS, LSTM, PEEPHOLE, *COUPLED], ids=named)
def test_the_onnx_reference_computes_the_same(form: Form, inputs: int, units: int, directions: int):
    Case(form, inputs, units, directions).check_onnx("reference")


@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize(("inputs", "units"), SIZES)
@pytest.mark.parametrize("form", [*RNNS, *GRUS, LSTM, PEEPHOLE, *COUPLED], ids=named)
def test_onnxruntime_computes_the_same(form: Form, inputs: int, units: int, directions: int):
    Case(form, inputs, units, directions).check_onnx("runtime")


@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize(("inputs", "units"), SIZES)
@pytest.mark.parametrize("form", COUPLED, ids=named)
def test_onnxruntime_couples_the_forget_gate_as_one_minus_i(
    form: Form, inputs: int, units: int, directions: int
):
    """It sets f = 1 − i and ignores f's block; for i = 1 − f, i's rows are f's negated."""
    Case(form, inputs, units, directions).check_onnx("runtime", input_forget=1)


@pytest.mark.parametrize(
    ("form", "convention"),
    [
        *((form, KERAS) for form in (*RNNS, GRUS[0], LSTM)),
        (GRUS[1], KERAS_RESET_BEFORE),
        *((form, ONNX) for form in (Form("rnn"), RNNS[3], *GRUS, LSTM, PEEPHOLE, *COUPLED)),
    ],
    ids=named,
)
def test_run_packed_computes_the_same_as_the_frameworks(form: Form, convention: Convention):
    """``run_packed`` on the packed weights, the framework's run and this project's cells."""
    case = Case(form, 3, 4, 1)
    packed = pack(case.parameters[0], form, convention)
    states = [s[0].numpy() for s in case.state]
    own = run_packed(
        packed, case.x.numpy(), form, convention, states if form.cell == "lstm" else states[0]
    )
    if convention is ONNX:
        y = run_onnx(
            form, case.parameters, case.x.numpy(), [s.numpy() for s in case.state], by="reference"
        )[0][:, 0]
    else:
        x, started = case.for_keras()
        y = run_keras(form, case.parameters, x, started, return_sequences=True)[0].swapaxes(0, 1)
    scale = max(1.0, float(np.abs(y).max()))
    assert np.abs(own - y).max() < 1e-12 * scale
    assert np.abs(own - case.output).max() < 1e-12 * scale
    back = unpack(packed, form, convention)
    again = pack(back, form, convention)
    assert all(np.array_equal(packed[name], again[name]) for name in packed)
    again_run = run_packed(
        back, case.x.numpy(), form, PROJECT, states if form.cell == "lstm" else states[0]
    )
    assert np.abs(again_run - case.output).max() < 1e-12 * scale


@pytest.mark.parametrize("form", [Form("rnn"), *GRUS, LSTM], ids=named)
@pytest.mark.parametrize("directions", [1, 2])
def test_keras_has_the_same_number_of_parameters(form: Form, directions: int):
    case = Case(form, 3, 4, directions)
    biases = 2 if form == GRUS[0] else 1
    size = Size(form, 3, 4, directions=directions, biases=biases)
    assert keras_layer(form, case.parameters).count_params() == count_parameters(size)


@pytest.mark.parametrize("form", GRUS, ids=named)
def test_two_bidirectional_layers_in_keras(form: Form):
    """The upper layer reads the concatenated outputs of both directions."""
    random = torch.Generator().manual_seed(1)
    cells = [[make_cell(form, d, 4).double() for _ in "fb"] for d in (3, 8)]
    x = torch.randn(STEPS, BATCH, 3, generator=random).double()
    with torch.no_grad():
        output, _ = Recurrent(cells)(x)
    came = x.numpy().swapaxes(0, 1)
    for layer in cells:
        weights = [{n: p.detach().numpy() for n, p in c.named_parameters()} for c in layer]
        came = run_keras(form, weights, came, [], return_sequences=True)[0]
    max_diff = np.abs(came.swapaxes(0, 1) - output.numpy()).max()
    assert max_diff < 1e-12, f"{max_diff=:.1e}"


def test_keras_gives_the_last_valid_step_of_a_padded_sequence():
    """Keras with a mask agrees with ``select_outputs`` with lengths, in both directions."""
    case = Case(LSTM, 3, 4, 2)
    lengths = np.array([6, 2, 4])
    padded = trace(case.module, case.x, tuple(case.state), lengths=lengths)
    x, states = case.for_keras()
    mask = np.arange(STEPS) < lengths[:, None]
    came = run_keras(LSTM, case.parameters, x, states, mask=mask, return_state=True)
    own = select_outputs(padded, return_state=True)
    for array, part in zip(came, own, strict=True):
        max_diff = np.abs(array - part.values).max()
        assert max_diff < 1e-12, f"{part.name}: {max_diff=:.1e}"


# Gaps, left padding, right padding and a sequence without a step, (time, batch).
MASK = np.array(
    [[1, 0, 1, 0], [0, 0, 1, 0], [1, 1, 0, 0], [0, 1, 1, 0], [1, 1, 0, 0], [0, 1, 0, 0]]
)


@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("form", [*RNNS[:1], *GRUS, LSTM], ids=named)
def test_keras_masks_the_same_steps(form: Form, directions: int):
    """Its last outputs, its states, and the output sequence that a loss receives."""
    case, random = Case(form, 3, 4, directions), torch.Generator().manual_seed(2)
    x = torch.randn(STEPS, 4, 3, generator=random).double()
    state = torch.randn(len(form.states), directions, 4, 4, generator=random).double()
    mask, seen = MASK.astype(bool), list[torch.Tensor]()

    def loss(y: torch.Tensor) -> torch.Tensor:
        seen.append(y.detach())
        return y.sum()

    given = tuple(state) if form.cell == "lstm" else state[0]
    own = trace(case.module, x, given, mask=mask, loss=loss)
    states = [s[d].numpy() for d in range(directions) for s in state]
    arguments = case.parameters, x.numpy().swapaxes(0, 1), states
    came = run_keras(form, *arguments, mask=mask.T, return_state=True)
    for array, part in zip(came, select_outputs(own, return_state=True), strict=True):
        max_diff = np.abs(array - part.values).max()
        assert max_diff < 1e-12, f"{part.name}: {max_diff=:.1e}"
    whole = run_keras(form, *arguments, mask=mask.T, return_sequences=True)[0]
    max_diff = np.abs(whole.swapaxes(0, 1) - seen[0].numpy()).max()
    assert max_diff < 1e-12, f"output sequence: {max_diff=:.1e}"


@pytest.mark.parametrize("form", [GRUS[1], LSTM], ids=named)
def test_layers_of_unequal_width_with_a_mask_in_keras(form: Form):
    """States of a stack 5 → 3 → 4, and the gradient of its last outputs by the inputs."""
    random = torch.Generator().manual_seed(3)
    widths = ((3, 5), (10, 3), (6, 4))
    cells = [[make_cell(form, d, n).double() for _ in "fb"] for d, n in widths]
    x, mask = torch.randn(STEPS, 4, 3, generator=random).double(), MASK.astype(bool)

    def loss(_y: torch.Tensor, state: Any) -> torch.Tensor:
        h = state[0] if form.cell == "lstm" else state
        return h[-2].sum() + h[-1].sum()

    own = trace(Recurrent(cells), x, mask=mask, loss=loss)
    leaf = x.transpose(0, 1).clone().requires_grad_()
    came: Any = leaf
    with in_float64():
        for number, layer in enumerate(cells):
            weights = [{n: p.detach().numpy() for n, p in c.named_parameters()} for c in layer]
            last = number == len(cells) - 1
            made = keras_layer(form, weights, return_sequences=not last, return_state=True)
            came, *states = made(came, mask=torch.tensor(mask.T))
            for k, state in enumerate(states):
                name = form.states[k % len(form.states)]
                array = own.final_state[k % 2] if form.cell == "lstm" else own.final_state
                direction = k // len(form.states)
                found = array[2 * number + direction].numpy()
                max_diff = np.abs(found - state.detach().numpy()).max()
                assert max_diff < 1e-12, f"{name} of layer {number}: {max_diff=:.1e}"
        (gradient,) = torch.autograd.grad(came.sum(), leaf)
    found, expected = own["grad_input"].values, gradient.numpy().swapaxes(0, 1)
    assert np.isnan(found[~mask]).all()
    max_diff = np.abs(found[mask] - expected[mask]).max()
    assert max_diff < 1e-12, f"grad_input: {max_diff=:.1e}"
    assert not expected[~mask].any()
