"""Nothing depends on torch's default device or dtype: only on the module's own."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import rnnviz
from rnnviz import initialise
from rnnviz.cells import LSTMCell
from tests.cases import plain_case
from tests.ends import EndCase
from tests.own_cells import NormedLSTM, own_of

pytestmark = pytest.mark.slow

FORMS = ["tanh", "lstm", "gru"]
WAYS = ["stack", "torch cell", "own cell", "recurrent"]


@contextmanager
def default_dtype() -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def default_device() -> Iterator[None]:
    torch.set_default_device("meta")
    try:
        yield
    finally:
        torch.set_default_device(None)


DEFAULTS: dict[str, Callable[[], Any]] = {
    "within a device": lambda: torch.device("meta"),
    "a device": default_device,
    "a dtype": default_dtype,
}
WITH_DEFAULTS = pytest.mark.parametrize("default", DEFAULTS)


@WITH_DEFAULTS
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("form", FORMS)
def test_a_trace_does_not_depend_on_torchs_defaults(form: str, way: str, default: str):
    layers = 1 if "cell" in way else 2
    hold = {"hidden_state": rnnviz.Hold(0.5, start=3)}
    cases: list[tuple[dict[str, Any], Any]] = [
        ({"padding": "lengths", "loss": "last"}, None),
        ({"batch": 0, "loss": "all", "given_state": False}, hold),
    ]
    for changed, held in cases:
        case = plain_case(form, way, layers=layers, dtype=torch.float32, **changed)
        module, x, state = case.module, case.laid_out(case.x), case.state
        lengths = case.lengths if case.padding == "lengths" else None
        given: dict[str, Any] = {"lengths": lengths, "loss": case.loss, "hold": held}
        expected = rnnviz.trace(module, x, state, **given)
        with DEFAULTS[default]():
            found = rnnviz.trace(module, x, state, **given)
        assert found == expected


@WITH_DEFAULTS
@pytest.mark.parametrize("own", [False, True])
def test_masks_and_final_states_do_not_depend_on_torchs_defaults(own: bool, default: str):
    case = EndCase("lstm", mask="wholly")
    if own:
        case.__dict__["module"] = own_of(case.module)
    batch = int(np.argmax(case.valid.any(0)))
    given = case.laid_out(case.x.detach()), case.state_of(case.initial)
    measures: list[Callable[[rnnviz.Trace], Any]] = [
        lambda trace: [row.numpy() for part in trace.final_state for row in part],
        rnnviz.parameter_gradients,
        lambda trace: rnnviz.plain_pass(trace, dtype="float16", batch=batch).log10_norms,
        lambda trace: rnnviz.sensitivity_norms(trace, batch=batch).to_dict(),
    ]
    expected = rnnviz.trace(case.module, *given, mask=case.read, loss="final")
    results = [measure(expected) for measure in measures]
    with DEFAULTS[default]():
        found = rnnviz.trace(case.module, *given, mask=case.read, loss="final")
        np.testing.assert_equal([measure(found) for measure in measures], results)
    assert found == expected


@WITH_DEFAULTS
def test_analysis_does_not_depend_on_torchs_defaults(default: str):
    torch.manual_seed(0)
    module = nn.LSTM(3, 4, 2, bidirectional=True)
    trace = rnnviz.trace(module, torch.randn(5, 2, 3), lengths=[5, 3], loss="all")
    measures: list[Callable[[], Any]] = [
        lambda: rnnviz.gradient_norms(trace).to_dict(),
        lambda: rnnviz.weight_gradient_norms(trace).to_dict(),
        lambda: rnnviz.split_cell_gradient(trace).to_dict(),
        lambda: rnnviz.sensitivity_norms(trace).to_dict(),
        lambda: rnnviz.parameter_gradients(trace),
        lambda: rnnviz.plain_pass(trace).log10_norms,
        lambda: rnnviz.plain_pass(trace, dtype="bfloat16").log10_norms,
        lambda: rnnviz.diagnose(trace).saturated,
        lambda: rnnviz.jacobians(trace),
        lambda: rnnviz.lyapunov_exponents(rnnviz.jacobians(trace)),
        lambda: rnnviz.clip_by_norm(rnnviz.parameter_gradients(trace), 0.1).gradients,
        lambda: rnnviz.clip_by_norm({}, 0.1),
    ]
    for measure in measures:
        expected = measure()
        with DEFAULTS[default]():
            found = measure()
        np.testing.assert_equal(found, expected)


@WITH_DEFAULTS
def test_analysis_of_own_steps_does_not_depend_on_torchs_defaults(default: str):
    torch.manual_seed(0)
    module = rnnviz.Recurrent([[NormedLSTM(3, 4)], [NormedLSTM(4, 4)]])
    x = torch.randn(5, 2, 3)
    measures: list[Callable[[rnnviz.Trace], Any]] = [
        lambda trace: rnnviz.gradient_norms(trace).to_dict(),
        rnnviz.parameter_gradients,
        lambda trace: rnnviz.weight_gradient_norms(trace).to_dict(),
        lambda trace: rnnviz.plain_pass(trace).log10_norms,
        lambda trace: rnnviz.sensitivity_norms(trace).to_dict(),
        rnnviz.jacobians,
    ]
    trace = rnnviz.trace(module, x, lengths=[5, 3], loss="all")
    with DEFAULTS[default]():
        assert rnnviz.trace(module, x, lengths=[5, 3], loss="all") == trace
    for measure in measures:
        expected = measure(trace)
        with DEFAULTS[default]():
            found = measure(trace)
        np.testing.assert_equal(found, expected)


@WITH_DEFAULTS
def test_initialisation_does_not_depend_on_torchs_defaults(default: str):
    acts: list[Callable[[nn.Module], None]] = [
        lambda m: initialise.torch_default(m, seed=1),
        lambda m: initialise.xavier(m, seed=1),
        lambda m: initialise.orthogonal(m, seed=1),
        lambda m: initialise.identity(m),
        lambda m: initialise.chrono(m, 10, seed=1),
        lambda m: initialise.forget_bias(m, 1.0),
        lambda m: initialise.spectral_radius(m, 0.9),
    ]
    for act in acts:
        found, expected = (LSTMCell(3, 4, peephole=True) for _ in range(2))
        for module in (found, expected):
            initialise.torch_default(module, seed=0)
        act(expected)
        with DEFAULTS[default]():
            act(found)
        for name, values in expected.state_dict().items():
            assert torch.equal(found.state_dict()[name], values), name


@WITH_DEFAULTS
def test_recurrent_takes_packed_sequences_whatever_the_defaults(default: str):
    torch.manual_seed(0)
    stock, x = nn.GRU(3, 4), torch.randn(5, 2, 3)
    packed = nn.utils.rnn.pack_padded_sequence(x, torch.tensor([5, 3]))
    own = rnnviz.Recurrent.of(stock)
    expected = own(packed)[0].data
    with DEFAULTS[default]():
        assert torch.equal(own(packed)[0].data, expected)
        assert torch.equal(rnnviz.Recurrent.of(stock)(packed)[0].data, expected)
        assert rnnviz.trace(own, packed) == rnnviz.trace(own, packed)
