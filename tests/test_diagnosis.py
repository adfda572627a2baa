"""Verdicts where most steps have no gradient: what can be measured, and what cannot."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import rnnviz
from rnnviz.gradients import Diagnosis

X = torch.linspace(-1, 1, 200, dtype=torch.float64)[:, None]
KINDS: dict[str, Any] = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


def made(kind: str, **options: Any) -> Any:
    return KINDS[kind](1, 3, dtype=torch.float64, **options)


def scalar(w: float, steps: int, loss: Any = "last", **options: Any) -> rnnviz.Trace:
    """h_t = relu(w h_{t−1} + x_t) with x = 1: ∂h_s/∂h_t = w^(s−t)."""
    module = nn.RNN(1, 1, nonlinearity="relu", bias=False, dtype=torch.float64)
    for p, value in zip(module.parameters(), (1.0, w), strict=True):
        p.data.fill_(value)
    return rnnviz.trace(module, torch.ones(steps, 1, dtype=torch.float64), loss=loss, **options)


def rates(found: Diagnosis) -> list[float]:
    return [found.decay, found.half_life, found.doubling_time]


@pytest.mark.parametrize("kind", KINDS)
def test_a_direction_whose_last_output_alone_is_read(kind: str):
    """The backward direction reads the last step first: nothing it read before can have decayed."""
    trace = rnnviz.trace(made(kind, bidirectional=True), X, loss="last")
    found = rnnviz.diagnose(trace, direction="backward")
    norms = rnnviz.gradient_norms(trace)["hidden_state"].values[0, 1, :, 0]
    assert np.isneginf(norms[:-1]).all()
    assert (found.verdict, found.state) == ("one_step", "hidden_state")
    assert np.isnan(rates(found)).all()
    assert rnnviz.diagnose(trace).verdict == "vanishing"


@pytest.mark.parametrize("kind", KINDS)
def test_both_directions_of_the_layer_below_have_a_decay(kind: str):
    trace = rnnviz.trace(made(kind, bidirectional=True, num_layers=2), X, loss="last")
    for direction in ("forward", "backward"):
        found = rnnviz.diagnose(trace, layer=0, direction=direction)
        assert np.isfinite(found.decay), direction


@pytest.mark.parametrize(
    ("read", "verdict", "decay"),
    [
        ([0], "one_step", math.nan),
        ([1], "healthy", math.log10(2)),
        ([7], "vanishing", math.log10(2)),
        ([0, 7], "vanishing", None),
        ([], "no_gradient", math.nan),
    ],
)
def test_a_loss_that_reads_some_steps(read: list[int], verdict: str, decay: float | None):
    found = rnnviz.diagnose(scalar(0.5, 9, loss=lambda y: y[read].sum() + 0 * y.sum()))
    assert found.verdict == verdict
    if decay is not None:
        assert np.isclose(found.decay, decay, rtol=0, atol=1e-12, equal_nan=True)
        assert math.isnan(decay) or math.isclose(found.half_life, 1.0, abs_tol=1e-12)


@pytest.mark.parametrize(
    ("w", "steps", "verdict", "decay"),
    [
        (0.5, 1, "one_step", math.nan),
        (0.5, 2, "healthy", math.log10(2)),
        (1e-3, 2, "vanishing", 3.0),
        (1e3, 2, "exploding", -3.0),
        (0.0, 1, "one_step", math.nan),
        (0.0, 2, "vanishing", math.inf),
        (0.0, 9, "vanishing", math.inf),
        (1.0, 2, "healthy", 0.0),
    ],
)
def test_few_steps_and_no_recurrence(w: float, steps: int, verdict: str, decay: float):
    found = rnnviz.diagnose(scalar(w, steps))
    assert found.verdict == verdict
    assert np.isclose(found.decay, decay, rtol=0, atol=1e-12, equal_nan=True)
    if decay == math.inf:
        assert (found.half_life, found.doubling_time) == (0.0, math.inf)


def test_a_gradient_that_never_survives_a_step_vanishes_at_once():
    """U = 0 and a loss at every third step: no two steps with a gradient follow one another."""
    found = rnnviz.diagnose(scalar(0.0, 9, loss=lambda y: y[2::3].sum()))
    assert (found.verdict, rates(found)) == ("vanishing", [math.inf, 0.0, math.inf])


def without_recurrence(steps: int, forget: float) -> rnnviz.Trace:
    """An LSTM with U = 0 and the forget gate σ(b_f) = forget."""
    module = made("lstm")
    with torch.no_grad():
        module.weight_hh_l0.zero_()
        module.weight_ih_l0[3:6] = 0
        module.bias_hh_l0[3:6] = 0
        module.bias_ih_l0[3:6] = math.log(forget / (1 - forget))
    return rnnviz.trace(module, X[:steps], loss="last")


@pytest.mark.parametrize(("steps", "verdict"), [(10, "healthy"), (200, "vanishing")])
def test_an_lstm_without_recurrence_is_judged_by_its_cell_state(steps: int, verdict: str):
    """Then ∂L/∂h is exactly 0 before the last step, and ∂c_T/∂c_t = Π f (facts of the cell)."""
    trace = without_recurrence(steps, 0.9)
    norms = rnnviz.gradient_norms(trace)
    found = rnnviz.diagnose(trace, norms=norms)
    assert np.isneginf(norms["hidden_state"].values[0, 0, :-1, 0]).all()
    assert (found.verdict, found.state) == (verdict, "cell_state")
    assert abs(found.decay + math.log10(0.9)) < 1e-12
    assert abs(found.half_life - math.log(0.5) / math.log(0.9)) < 1e-9
    assert (found.lost["float32"], found.lost["float64"]) == (None, None)


def test_an_lstm_with_recurrence_is_judged_by_its_hidden_state():
    trace = rnnviz.trace(made("lstm"), X[:20], loss="last")
    norms = rnnviz.gradient_norms(trace)["hidden_state"].values.ravel()
    found = rnnviz.diagnose(trace)
    half = np.arange(10)
    assert found.state == "hidden_state"
    assert abs(found.decay - np.median((norms[half + 10] - norms[half]) / 10)) < 1e-12


def test_a_relu_network_that_dies_is_measured_where_it_lives():
    """Inputs below 0 keep h at 0 before step 150; after it the gradient is 0.9^n."""
    module = nn.RNN(1, 1, nonlinearity="relu", bias=False, dtype=torch.float64)
    for p, value in zip(module.parameters(), (1.0, 0.9), strict=True):
        p.data.fill_(value)
    x = torch.ones(200, 1, dtype=torch.float64)
    x[:150] = -1
    found = rnnviz.diagnose(rnnviz.trace(module, x, loss="last"))
    assert found.verdict == "vanishing"
    assert abs(found.decay + math.log10(0.9)) < 1e-12


def test_values_that_are_not_finite_leave_the_gradient_undefined():
    """Products of ±1e308 overflow to NaN from the second step on."""
    module = made("gru", bias=False)
    module.weight_hh_l0.data.fill_(1e308)
    module.weight_ih_l0.data.fill_(-1e308)
    trace = rnnviz.trace(module, torch.full((6, 1), 10.0, dtype=torch.float64), loss="last")
    norms = rnnviz.gradient_norms(trace)["hidden_state"].values.ravel()
    assert np.isnan(norms[:-1]).all()
    found = rnnviz.diagnose(trace)
    assert found.verdict == "undefined"
    assert np.isnan(rates(found)).all()
    assert found.not_finite == (0, "reset_gate_preactivation", 0)


def test_every_sequence_is_judged_by_its_own_length():
    x = torch.ones(40, 3, 1, dtype=torch.float64)
    module = nn.RNN(1, 1, nonlinearity="relu", bias=False, dtype=torch.float64)
    for p, value in zip(module.parameters(), (1.0, 0.5), strict=True):
        p.data.fill_(value)
    trace = rnnviz.trace(module, x, lengths=[40, 1, 2], loss="last")
    found = [rnnviz.diagnose(trace, batch=b) for b in range(3)]
    assert [one.verdict for one in found] == ["vanishing", "one_step", "healthy"]
    assert [one.half_life for one in found[::2]] == pytest.approx([1.0, 1.0], abs=1e-12)
    assert math.isnan(found[1].half_life)


@pytest.mark.parametrize("kind", KINDS)
def test_norms_of_another_trace_or_function_are_refused(kind: str):
    trace = rnnviz.trace(made(kind), X[:5], loss="last")
    other = rnnviz.gradient_norms(rnnviz.trace(made(kind), X[:4], loss="last"))
    weights = rnnviz.weight_gradient_norms(trace)
    text = (
        "The norms (hidden_state) have shape {}; expected (1, 1, 5, 1) over layer, direction, time "
        "and batch. Pass the result for the same trace, or leave norms out."
    )
    given: list[tuple[Any, str]] = [(other, "(1, 1, 4, 1)"), (weights, "Dataset"), ("x", "str")]
    for norms, came in given:
        with pytest.raises(rnnviz.RnnvizError) as caught:
            rnnviz.diagnose(trace, norms=norms)
        assert str(caught.value) == text.format(came)


@pytest.mark.parametrize("name", ["diagnose", "plain_pass", "plot_gradient_norms"])
@pytest.mark.parametrize("kind", KINDS)
def test_norms_of_another_trace_of_the_same_shape_are_refused(kind: str, name: str):
    module, function = made(kind), getattr(rnnviz, name)
    trace = rnnviz.trace(module, X[:20], loss="last")
    others = [
        rnnviz.trace(module, X[:20], loss="all"),
        rnnviz.trace(module, X[:20] + 1e-6, loss="last"),
        rnnviz.trace(module, X[:20], loss="last", hold={"hidden_state": rnnviz.Hold(0.0, stop=1)}),
    ]
    for other in others:
        with pytest.raises(rnnviz.RnnvizError) as caught:
            function(trace, norms=rnnviz.gradient_norms(other))
        assert str(caught.value) == (
            "The norms of hidden_state are those of another trace: they differ from what "
            "gradient_norms gives for this one. Pass the result of gradient_norms for this trace, "
            "or leave it out to compute it."
        )


@pytest.mark.parametrize("kind", KINDS)
def test_norms_of_an_equal_trace_are_taken(kind: str):
    """As those of a trace that was made again, or saved and loaded."""
    module = made(kind)
    first, again = (rnnviz.trace(module, X[:20], loss="last") for _ in range(2))
    norms = rnnviz.gradient_norms(first)
    expected, found = rnnviz.diagnose(again), rnnviz.diagnose(again, norms=norms)
    assert (found.verdict, found.decay, found.lost) == (
        expected.verdict,
        expected.decay,
        expected.lost,
    )


def test_contributions_of_another_trace_are_refused():
    module = made("gru")
    trace, other = (rnnviz.trace(module, X[:20], loss=loss) for loss in ("last", "all"))
    with pytest.raises(rnnviz.RnnvizError, match=r"differ from what weight_gradient_norms gives"):
        rnnviz.plot_weight_gradients(trace, norms=rnnviz.weight_gradient_norms(other))
