"""The figures of gradients and stability show the numbers of the library, all of them."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import rnnviz
from rnnviz.plots.lines import LIMITS
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
def test_gradient_norms_are_drawn_as_they_are(
    traces: Mapping[str, Trace], language: str, dark: bool
) -> None:
    figure: Any = rnnviz.plot_gradient_norms(
        traces, direction="backward", batch=1, language=language, dark=dark
    )
    for label, trace in traces.items():
        norms = rnnviz.gradient_norms(trace)["hidden_state"].sel(direction="backward", batch=1)
        line = drawn(figure, label)
        np.testing.assert_array_equal(line.y, norms.values[0])
        np.testing.assert_array_equal(line.x, np.arange(1, 61))
    assert len({line.line.dash for line in figure.data}) == 3, "cells differ without colour too"


def test_contributions_and_jacobians_are_drawn_as_they_are(traces: Mapping[str, Trace]) -> None:
    weights: Any = rnnviz.plot_weight_gradients(traces)
    norms: Any = rnnviz.plot_jacobian_norms(traces)
    for label, trace in traces.items():
        found = rnnviz.weight_gradient_norms(trace)["log10_contribution"].values[0, 0, :, 0]
        shown = drawn(weights, label).y
        np.testing.assert_array_equal(shown, np.where(np.isfinite(found), found, np.nan))
        expected = rnnviz.backward_norms(rnnviz.jacobians(trace))
        np.testing.assert_array_equal(drawn(norms, label).y, expected)
        np.testing.assert_array_equal(drawn(norms, label).x, np.arange(61))


def test_a_contribution_of_exactly_0_is_a_cross_and_not_a_gap(
    traces: Mapping[str, Trace],
) -> None:
    figure: Any = rnnviz.plot_weight_gradients({"LSTM": traces["LSTM"]})  # h₀ = 0 at the first step
    cross = drawn(figure, "LSTM: exactly 0")
    assert cross.x.tolist() == [1]
    assert cross.y.tolist() == [figure.layout.yaxis.range[0]]


@pytest.mark.parametrize(("factor", "steps"), [(0.5, 200), (2.0, 200), (0.1, 400), (10.0, 200)])
def test_the_limits_of_the_float_types_stand_where_they_are_reached(
    factor: float, steps: int
) -> None:
    figure: Any = rnnviz.plot_gradient_norms({"RNN": scaled(factor, steps)})
    expected = math.log10(factor) * np.arange(steps - 1, -1, -1)
    np.testing.assert_allclose(figure.data[0].y, expected, rtol=1e-12, atol=1e-12)
    low, high = figure.layout.yaxis.range
    assert low < expected.min()
    assert high > expected.max()
    reached = {end for ends in LIMITS.values() for end in ends if low <= end <= high}
    assert {shape.y0 for shape in figure.layout.shapes} == reached
    assert reached, "each of these leaves float32"


@pytest.mark.parametrize("language", LANGUAGES)
def test_eigenvalues_stand_beside_the_unit_circle(
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
    assert f"{np.abs(eigenvalues).max():.2f}" in figure.data[0].name
    assert f"{np.linalg.norm(u, 2):.2f}" in figure.data[0].name
    (circle,) = figure.layout.shapes
    assert (circle.type, circle.x0, circle.x1, circle.y0, circle.y1) == ("circle", -1, 1, -1, 1)
    assert figure.layout.yaxis.scaleanchor == "x"


def test_two_networks_of_one_cell_differ(traces: Mapping[str, Trace]) -> None:
    pair = {"one": traces["RNN"], "two": traces["RNN"]}
    figure: Any = rnnviz.plot_gradient_norms(pair)
    first, second = figure.data
    assert first.line.dash != second.line.dash
