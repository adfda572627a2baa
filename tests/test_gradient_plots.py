"""The figures of gradients and stability show all numbers of the library."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import rnnviz
from rnnviz.cells import GATE_NAMES, GATES_AS_READ
from rnnviz.gradients import plain_pass
from rnnviz.locale import labels
from rnnviz.plots.lines import LIMITS
from rnnviz.plots.lyapunov import plot_lyapunov
from rnnviz.plots.remembered import plot_memory
from rnnviz.plots.saturation import plot_saturation
from rnnviz.plots.weights import plot_recurrent_weights
from rnnviz.trace import Trace

LANGUAGES = ("en", "ko")


@pytest.fixture(scope="module")
def traces() -> Mapping[str, Trace]:
    torch.manual_seed(3)
    x = torch.randn(60, 2, 3, dtype=torch.float64)
    kinds = {"RNN": nn.RNN, "GRU": nn.GRU, "LSTM": nn.LSTM}
    return {
        label: rnnviz.trace(kind(3, 5, bidirectional=True).double(), x, loss="all")
        for label, kind in kinds.items()
    }


def scaled(factor: float, steps: int) -> Trace:
    """One unit whose gradient is exactly factor^(T − t)."""
    module = nn.RNN(1, 1, nonlinearity="relu", bias=False).double()
    weights: Any = module
    with torch.no_grad():
        weights.weight_hh_l0.fill_(factor)
        weights.weight_ih_l0.fill_(1.0)
    return rnnviz.trace(module, torch.ones(steps, 1, dtype=torch.float64), loss="last")


def drawn(figure: Any, label: str) -> Any:
    return next(line for line in figure.data if line.name == label)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("dark", [False, True])
def test_gradient_norms_are_drawn(traces: Mapping[str, Trace], language: str, dark: bool) -> None:
    figure: Any = rnnviz.plot_gradient_norms(
        traces, direction="backward", batch=1, language=language, dark=dark
    )
    for label, trace in traces.items():
        norms = rnnviz.gradient_norms(trace)["hidden_state"].sel(direction="backward", batch=1)
        line = drawn(figure, label)
        np.testing.assert_array_equal(line.y, norms.values[0])
        np.testing.assert_array_equal(line.x, np.arange(1, 61))
    assert len({line.line.dash for line in figure.data}) == 3, "cells also differ by dash"


def test_contributions_and_jacobian_norms_are_drawn(traces: Mapping[str, Trace]) -> None:
    weights: Any = rnnviz.plot_weight_gradients(traces)
    norms: Any = rnnviz.plot_jacobian_norms(traces)
    for label, trace in traces.items():
        found = rnnviz.weight_gradient_norms(trace)["log10_contribution"].values[0, 0, :, 0]
        shown = drawn(weights, label).y
        np.testing.assert_array_equal(shown, np.where(np.isfinite(found), found, np.nan))
        expected = rnnviz.backward_norms(rnnviz.jacobians(trace))
        np.testing.assert_array_equal(drawn(norms, label).y, expected)
        np.testing.assert_array_equal(drawn(norms, label).x, np.arange(61))


def test_a_zero_contribution_is_a_cross_and_not_a_gap(
    traces: Mapping[str, Trace],
) -> None:
    figure: Any = rnnviz.plot_weight_gradients({"LSTM": traces["LSTM"]})  # h₀ = 0 at the first step
    cross = drawn(figure, "LSTM: exactly 0")
    assert cross.x.tolist() == [1]
    assert cross.y.tolist() == [figure.layout.yaxis.range[0]]


@pytest.mark.parametrize(("factor", "steps"), [(0.5, 200), (2.0, 200), (0.1, 400), (10.0, 200)])
def test_float_limits_are_drawn_within_the_range(factor: float, steps: int) -> None:
    figure: Any = rnnviz.plot_gradient_norms({"RNN": scaled(factor, steps)})
    expected = math.log10(factor) * np.arange(steps - 1, -1, -1)
    np.testing.assert_allclose(figure.data[0].y, expected, rtol=1e-12, atol=1e-12)
    low, high = figure.layout.yaxis.range
    assert low < expected.min()
    assert high > expected.max()
    ends = {end for ends in LIMITS.values() for end in ends}
    assert {shape.y0 for shape in figure.layout.shapes} == ends
    assert any(low <= end <= high for end in ends), "each of these leaves float32's range"


@pytest.mark.parametrize("language", LANGUAGES)
def test_eigenvalues_are_drawn_with_the_unit_circle(
    traces: Mapping[str, Trace], language: str
) -> None:
    figure: Any = rnnviz.plot_eigenvalues(traces, direction="backward", language=language)
    assert len(figure.data) == 1 + 3 + 4
    u = traces["RNN"].parameters["weight_hh_l0_reverse"]
    eigenvalues = np.linalg.eigvals(u)
    shown = figure.data[0].x + 1j * figure.data[0].y
    np.testing.assert_allclose(
        np.sort_complex(shown), np.sort_complex(eigenvalues), rtol=1e-12, atol=1e-12
    )
    assert f"{np.abs(eigenvalues).max():.3g}" in figure.data[0].name
    assert f"{np.linalg.norm(u, 2):.3g}" in figure.data[0].name
    (circle,) = figure.layout.shapes
    assert (circle.type, circle.x0, circle.x1, circle.y0, circle.y1) == ("circle", -1, 1, -1, 1)
    assert figure.layout.yaxis.scaleanchor == "x"


@pytest.mark.parametrize("plot", [rnnviz.plot_gradient_norms, plot_lyapunov])
def test_two_networks_of_one_cell_have_distinct_lines(
    traces: Mapping[str, Trace], plot: Any
) -> None:
    pair = {"one": traces["RNN"], "two": traces["RNN"]}
    figure: Any = plot(pair)
    first, second = figure.data
    assert first.line.dash != second.line.dash


def test_a_huge_spectral_radius_has_few_digits() -> None:
    figure: Any = rnnviz.plot_eigenvalues({"RNN": scaled(1e300, 2)})
    assert figure.data[0].name == (
        "RNN, hidden state: radius 1.00\u00a0×\u00a010³⁰⁰, "
        "largest singular value 1.00\u00a0×\u00a010³⁰⁰"
    )


def test_precomputed_norms_are_drawn(traces: Mapping[str, Trace]) -> None:
    norms = {"LSTM": np.linspace(-3, 0, 61), "GRU": np.full(61, 1.5)}
    figure: Any = rnnviz.plot_jacobian_norms(traces, norms=norms)
    for label, values in norms.items():
        np.testing.assert_array_equal(drawn(figure, label).y, values)
    expected = rnnviz.backward_norms(rnnviz.jacobians(traces["RNN"]))
    np.testing.assert_array_equal(drawn(figure, "RNN").y, expected, "computed if not given")


def test_precomputed_contributions_and_diagnoses_are_drawn(
    traces: Mapping[str, Trace],
) -> None:
    norms = {"LSTM": rnnviz.weight_gradient_norms(traces["LSTM"])}
    norms["LSTM"]["log10_contribution"] += 1.5
    figure: Any = rnnviz.plot_weight_gradients(traces, norms=norms)
    others: Any = rnnviz.plot_weight_gradients(traces)
    for label, more in (("LSTM", 1.5), ("GRU", 0.0), ("RNN", 0.0)):
        np.testing.assert_array_equal(drawn(figure, label).y, drawn(others, label).y + more)
    trace = traces["LSTM"]
    given = {"LSTM": rnnviz.diagnose(trace, batch=1)}
    figure = plot_saturation({"LSTM": trace}, diagnoses=given)
    assert figure == plot_saturation({"LSTM": trace}, batch=1)


# Plain float32


@pytest.mark.parametrize(
    ("factor", "shows", "words"),
    [(0.5, "0", "float32 shows 0"), (2.0, "inf", "float32 shows inf")],
)
def test_a_ring_marks_where_float32_loses_the_gradient(
    factor: float, shows: str, words: str
) -> None:
    trace = scaled(factor, 400)
    plain = plain_pass(trace)
    assert plain.lost is not None
    assert plain.lost.shows == shows
    figure: Any = rnnviz.plot_gradient_norms({"RNN": trace}, float32={"RNN": plain})
    ring = drawn(figure, f"RNN: {words}")
    exact = rnnviz.gradient_norms(trace)["hidden_state"].values.ravel()
    assert ring.x.tolist() == [plain.lost.time + 1]
    assert ring.y.tolist() == [exact[plain.lost.time]]
    assert ring.marker.symbol == "circle-open"
    np.testing.assert_array_equal(drawn(figure, "RNN").y, exact)
    assert [line.name for line in figure.data] == ["RNN", ring.name], "lost but never wrong"


def test_a_false_floor_is_a_thin_line(traces: Mapping[str, Trace]) -> None:
    trace = scaled(0.9, 1300)
    plain = plain_pass(trace)
    assert plain.lost is None
    figure: Any = rnnviz.plot_gradient_norms({"RNN": trace}, float32={"RNN": plain})
    thick, thin = figure.data
    exact = rnnviz.gradient_norms(trace)["hidden_state"].values.ravel()
    off = np.abs(plain.log10_norms - exact) > 0.05
    assert off[:300].all()
    assert plain.wrong_from == np.flatnonzero(off).max()
    np.testing.assert_array_equal(thick.y, exact)
    np.testing.assert_array_equal(thin.y, np.where(off, plain.log10_norms, np.nan))
    assert (thin.name, thin.line.width, thick.line.width) == ("RNN, plain float32", 1, 2)
    right: Any = rnnviz.plot_gradient_norms(traces, float32={"LSTM": plain_pass(traces["LSTM"])})
    assert [line.name for line in right.data] == list(traces), "no line where float32 is right"


def test_plain_float32_of_a_padded_sequence() -> None:
    module: Any = nn.RNN(1, 1, nonlinearity="relu", bias=False).double()
    with torch.no_grad():
        module.weight_hh_l0.fill_(0.5)
        module.weight_ih_l0.fill_(1.0)
    x = torch.ones(300, 2, 1, dtype=torch.float64)
    trace = rnnviz.trace(module, x, lengths=[300, 250], loss="last")
    plain = plain_pass(trace, batch=1)
    figure: Any = rnnviz.plot_gradient_norms({"RNN": trace}, float32={"RNN": plain}, batch=1)
    assert drawn(figure, "RNN").x.tolist() == list(range(1, 251))
    assert drawn(figure, "RNN: float32 shows 0").x.tolist() == [100]


# Exponents


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("dark", [False, True])
def test_exponents_are_drawn(traces: Mapping[str, Trace], language: str, dark: bool) -> None:
    figure: Any = plot_lyapunov(traces, direction="backward", batch=1, language=language, dark=dark)
    assert [line.name for line in figure.data] == list(traces)
    for label, trace in traces.items():
        jacobians = rnnviz.jacobians(trace, direction="backward", batch=1)
        line = drawn(figure, label)
        np.testing.assert_array_equal(line.y, rnnviz.lyapunov_exponents(jacobians))
        np.testing.assert_array_equal(line.x, np.arange(1, len(line.y) + 1))
    assert figure.layout.yaxis.title.text == labels(language)["plot.exponent"]
    low, high = figure.layout.yaxis.range
    shown = np.concatenate([line.y for line in figure.data])
    assert low < shown.min()
    assert high > max(0, shown.max())


@pytest.mark.parametrize(
    ("language", "name"),
    [
        ("en", ("LSTM: −∞, vanishes in one step")),
        ("ko", labels("ko")("plot.dies_at_once", label="LSTM")),
    ],
)
def test_an_exponent_of_minus_infinity_is_a_cross_at_the_bottom(
    traces: Mapping[str, Trace], language: str, name: str
) -> None:
    given = {
        "LSTM": np.array([0.25, -0.5, -np.inf, -np.inf]),
        "RNN": np.array([-np.inf]),
        "GRU": np.array([-1.0]),
    }
    figure: Any = plot_lyapunov(traces, exponents=given, language=language)
    np.testing.assert_array_equal(drawn(figure, "LSTM").y, [0.25, -0.5, np.nan, np.nan])
    cross = drawn(figure, name)
    low, high = figure.layout.yaxis.range
    assert cross.x.tolist() == [3, 4]
    assert cross.y.tolist() == [low, low]
    assert cross.marker.symbol == "x"
    assert (low, high) == (-1.2, 0.4)
    assert len(figure.data) == 5


# Saturation


@pytest.mark.parametrize("language", LANGUAGES)
def test_saturation_is_sorted_per_gate(language: str) -> None:
    torch.manual_seed(1)
    x = 9 * torch.randn(40, 2, 3, dtype=torch.float64)
    traces = {
        "small": rnnviz.trace(nn.LSTM(3, 4).double(), x, loss="last"),
        "large": rnnviz.trace(nn.GRU(3, 6).double(), x, loss="last"),
        "RNN": rnnviz.trace(nn.RNN(3, 5).double(), x, loss="last"),
    }
    words = labels(language)
    figure: Any = plot_saturation(traces, batch=1, language=language)
    (heatmap,) = figure.data
    assert heatmap.z.shape == (8, 6)
    assert (heatmap.zmin, heatmap.zmax) == (0, 1)
    assert heatmap.x.tolist() == [1, 2, 3, 4, 5, 6]
    names: list[str] = []
    expected: list[str] = []
    for label, trace in traces.items():
        saturated = rnnviz.diagnose(trace, batch=1).saturated
        for gate in GATES_AS_READ[trace.cell]:
            row = heatmap.z[len(expected)]
            values = -np.sort(-saturated[gate])
            np.testing.assert_array_equal(row[: len(values)], values)
            assert np.isnan(row[len(values) :]).all()
            share = f"{100 * float(saturated[gate].mean()):.0f}%"
            names.append(f"{label}, {words[f'gate.{gate}']}")
            expected.append(f"{names[-1]}  <b>{share}</b>")
    assert list(heatmap.y) == list(figure.layout.yaxis.tickvals) == names
    assert list(figure.layout.yaxis.ticktext) == expected
    assert figure.layout.yaxis.autorange == "reversed"
    assert 0 < np.nanmean(heatmap.z) < 1


# Weights


@pytest.mark.parametrize("language", LANGUAGES)
def test_weights_are_drawn_per_gate_on_a_centred_scale(
    traces: Mapping[str, Trace], language: str
) -> None:
    for trace in traces.values():
        gates = GATE_NAMES[trace.cell]
        for direction, suffix in (("forward", ""), ("backward", "_reverse")):
            packed = np.split(trace.parameters[f"weight_hh_l0{suffix}"], len(gates))
            for gate, u in zip(gates, packed, strict=True):
                figure: Any = plot_recurrent_weights(
                    trace, gate=gate, direction=direction, language=language
                )
                (heatmap,) = figure.data
                np.testing.assert_array_equal(heatmap.z, u)
                assert heatmap.zmax == 0.5 == -heatmap.zmin, "the next round number"
                assert 0.3 < np.abs(u).max() <= 0.5
        first: Any = plot_recurrent_weights(trace, language=language)
        np.testing.assert_array_equal(first.data[0].z, trace.parameters["weight_hh_l0"][:5])
        down, across = first.layout.yaxis, first.layout.xaxis
        assert down.autorange == "reversed", "rows from the top, as a matrix is read"
        assert across.title.text == labels(language)["plot.column"]
        assert down.title.text == labels(language)["plot.row"]


def test_zero_weights_have_a_scale() -> None:
    figure: Any = plot_recurrent_weights(scaled(0.0, 1))
    assert (figure.data[0].zmin, figure.data[0].zmax) == (-1, 1)
    assert figure.data[0].z.tolist() == [[0.0]]
    large: Any = plot_recurrent_weights(rnnviz.trace(nn.RNN(1, 64), torch.ones(1, 1)))
    assert large.data[0].z.shape == (64, 64)
    assert large.layout.xaxis.dtick == 16


def test_figures_of_missing_weights_raise(traces: Mapping[str, Trace]) -> None:
    trace = traces["LSTM"]
    refused = {
        'The cell "lstm" has no gate "reset_gate"; it has input_gate, forget_gate, '
        "cell_candidate, output_gate. Choose one of these.": {"gate": "reset_gate"},
        "layer 1 is out of range; expected 0 ≤ layer < 1. Choose another number.": {"layer": 1},
        'The direction is "up"; the trace has forward, backward. Choose one of these.': {
            "direction": "up"
        },
    }
    for text, options in refused.items():
        with pytest.raises(rnnviz.RnnvizError) as caught:
            plot_recurrent_weights(trace, **options)  # pyright: ignore[reportArgumentType]  # a mapping of mixed types
        assert str(caught.value) == text


# Memory


@pytest.mark.parametrize("language", LANGUAGES)
def test_memories_are_drawn(language: str) -> None:
    remembered = {
        "RNN": ("rnn", (8, 7, 0)),
        "LSTM, chrono": ("lstm", (2000, 2000, 900)),
        "GRU": ("gru", (9, 10)),
    }
    claimed = {"RNN": ("claimed: 10", 10), "LSTM, chrono": ("claimed: 1,000", 1000)}
    figure: Any = plot_memory(remembered, claimed=claimed, length=2000, language=language)
    points = [part for part in figure.data if part.mode == "markers"]
    for part, (label, (_, steps)) in zip(points, remembered.items(), strict=True):
        assert list(part.customdata) == list(steps)
        assert list(part.x) == [max(n, 0.7) for n in steps], "a log axis has no 0"
        assert set(part.y) == {label}
    medians = [part for part in figure.data if part.marker.symbol == "diamond"]
    assert [part.x[0] for part in medians] == [7, 2000, 9.5]
    assert [part.text[0].strip() for part in medians] == ["7", "≥ 2,000", "10"]
    marks = [part for part in figure.data if part.marker.symbol == "line-ns"]
    assert [(part.x[0], part.y[0], part.text[0].strip()) for part in marks] == [
        (steps, label, text) for label, (text, steps) in claimed.items()
    ]
    (end,) = figure.layout.shapes
    assert (end.x0, end.x1) == (2000, 2000)
    assert figure.layout.annotations[0].text == labels(language)("plot.sequence_ends", length=2000)
    assert figure.layout.xaxis.type == "log"
    low, high = figure.layout.xaxis.range
    assert low < math.log10(0.7)
    assert high > math.log10(2000)
