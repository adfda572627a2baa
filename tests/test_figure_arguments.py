"""Every figure takes one network or several by label, and names what it cannot take."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
import xarray
from torch import nn

import rnnviz
from rnnviz.plots.comparison_lines import plot_comparison_lines, plot_gradient_comparison

Plot = Callable[..., Any]

# Figures of several networks; the last two are not public.
OF_SEVERAL: dict[str, Plot] = {
    "gradient_norms": rnnviz.plot_gradient_norms,
    "weight_gradients": rnnviz.plot_weight_gradients,
    "jacobian_norms": rnnviz.plot_jacobian_norms,
    "lyapunov": rnnviz.plot_lyapunov,
    "saturation": rnnviz.plot_saturation,
    "eigenvalues": rnnviz.plot_eigenvalues,
    "comparison": rnnviz.plot_comparison,
    "sensitivity": rnnviz.plot_sensitivity,
    "comparison_lines": plot_comparison_lines,
    "gradient_comparison": plot_gradient_comparison,
}
OF_ONE: dict[str, Plot] = {
    "gates": rnnviz.plot_gates,
    "states": rnnviz.plot_states,
    "recurrent_weights": rnnviz.plot_recurrent_weights,
}
ALL = OF_SEVERAL | OF_ONE
ARGUMENT = "{} is {}; expected one {}, or a mapping from labels (texts) to such. Pass one of these."


@cache
def trace_of(kind: str, steps: int = 5) -> rnnviz.Trace:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = {"GRU": nn.GRU, "LSTM": nn.LSTM}[kind](1, 3).double()
        return rnnviz.trace(module, torch.linspace(-1, 1, steps).double()[:, None], loss="last")


def content(figure: Any) -> dict[str, Any]:
    return figure.to_plotly_json()


def same(first: Any, other: Any) -> None:
    """Asserts that two figures have the same data, except for the label of the network."""
    assert len(first.data) == len(other.data)
    for a, b in zip(first.data, other.data, strict=True):
        for name in ("x", "y", "z"):
            left, right = (getattr(part, name, None) for part in (a, b))
            if left is not None and not isinstance(left[0], str):
                assert np.array_equal(np.asarray(left, float), np.asarray(right, float), True), name


@pytest.mark.parametrize("name", ALL)
def test_one_trace_is_shown_as_a_mapping_with_one(name: str):
    trace, plot = trace_of("GRU"), ALL[name]
    same(plot(trace), plot({"GRU": trace}))
    if name not in OF_ONE:
        assert content(plot(trace))["layout"] == content(plot({"GRU": trace}))["layout"]


@pytest.mark.parametrize("name", OF_SEVERAL)
def test_several_are_shown_by_label(name: str):
    traces = {"first": trace_of("GRU"), "second": trace_of("LSTM")}
    figure = OF_SEVERAL[name](traces)
    text = str(content(figure))
    assert all(label in text for label in traces)


@pytest.mark.parametrize("name", OF_ONE)
def test_a_figure_of_one_network_refuses_several(name: str):
    with pytest.raises(rnnviz.RnnvizError) as caught:
        OF_ONE[name]({"a": trace_of("GRU"), "b": trace_of("LSTM")})
    assert str(caught.value) == (
        "This figure shows one network; it got a, b. Pass one of the traces, or use "
        "plot_comparison for several."
    )


NO_TRACES: dict[str, tuple[Callable[[], Any], str]] = {
    "list": (lambda: [trace_of("GRU")], "list"),
    "module": (lambda: nn.GRU(1, 2), "GRU"),
    "nothing": (lambda: None, "NoneType"),
    "array": (lambda: np.ones(3), "ndarray"),
    "text": (lambda: "trace.nc", "str"),
    "dataset": (lambda: trace_of("GRU").to_xarray(), "Dataset"),
    "mapping of modules": (lambda: {"a": nn.GRU(1, 2)}, "{'a': GRU}"),
    "numbered": (lambda: {0: trace_of("GRU")}, "{0: Trace}"),
}


@pytest.mark.parametrize("given", NO_TRACES)
@pytest.mark.parametrize("name", ALL)
def test_anything_else_is_named(name: str, given: str):
    make, came = NO_TRACES[given]
    expected = ARGUMENT.format("traces", came, "Trace")
    if name == "sensitivity":
        came = came.replace("Trace", "DataArray")
        expected = ARGUMENT.format("sensitivities", came, "DataArray")
    with pytest.raises(rnnviz.RnnvizError) as caught:
        ALL[name](make())
    assert str(caught.value) == expected
    assert caught.value.message("ko") != expected


@pytest.mark.parametrize("name", ALL)
def test_no_network_is_named(name: str):
    with pytest.raises(rnnviz.RnnvizError) as caught:
        ALL[name]({})
    assert caught.value.key == "error.no_traces"


# The results that a figure reuses: its argument, how to compute one, and the name of its class.
REUSED: dict[str, tuple[Plot, str, Callable[[rnnviz.Trace], Any], str]] = {
    "gradient_norms": (rnnviz.plot_gradient_norms, "norms", rnnviz.gradient_norms, "Dataset"),
    "float32": (rnnviz.plot_gradient_norms, "float32", rnnviz.plain_pass, "PlainPass"),
    "weight_gradients": (
        rnnviz.plot_weight_gradients,
        "norms",
        rnnviz.weight_gradient_norms,
        "Dataset",
    ),
    "jacobian_norms": (
        rnnviz.plot_jacobian_norms,
        "norms",
        lambda t: rnnviz.backward_norms(rnnviz.jacobians(t)),
        "ndarray",
    ),
    "lyapunov": (
        rnnviz.plot_lyapunov,
        "exponents",
        lambda t: rnnviz.lyapunov_exponents(rnnviz.jacobians(t)),
        "ndarray",
    ),
    "saturation": (rnnviz.plot_saturation, "diagnoses", rnnviz.diagnose, "Diagnosis"),
    "gradient_comparison": (plot_gradient_comparison, "norms", rnnviz.gradient_norms, "Dataset"),
}


@pytest.mark.parametrize("name", REUSED)
def test_results_follow_the_same_rule(name: str):
    plot, argument, compute, kind = REUSED[name]
    trace = trace_of("GRU")
    result = compute(trace)
    same(plot(trace, **{argument: result}), plot({"GRU": trace}, **{argument: {"GRU": result}}))
    if name != "float32":
        same(plot(trace, **{argument: result}), plot(trace))
    both = {"a": trace, "b": trace_of("LSTM")}
    same(plot(both, **{argument: {"a": result}}), plot(both, **{argument: {"a": compute(trace)}}))
    with pytest.raises(rnnviz.RnnvizError) as caught:
        plot(both, **{argument: result})
    assert str(caught.value) == (
        f"{argument} is one result for several networks (a, b); expected a mapping from their "
        "labels to results. Pass such a mapping."
    )
    with pytest.raises(rnnviz.RnnvizError) as caught:
        plot(both, **{argument: {"A": result}})
    assert str(caught.value) == (
        f'{argument} has a result for "A"; the labels of the traces are a, b. Use the same labels.'
    )
    for given, came in ((3, "int"), ([result], "list"), ({"a": 3}, "{'a': int}")):
        with pytest.raises(rnnviz.RnnvizError) as caught:
            plot(both, **{argument: given})
        assert str(caught.value) == ARGUMENT.format(argument, came, kind)


@pytest.mark.parametrize(
    "name", ["gradient_norms", "float32", "weight_gradients", "jacobian_norms"]
)
def test_a_result_of_another_trace_is_named(name: str):
    plot, argument, compute, _ = REUSED[name]
    other = compute(trace_of("GRU", 7))
    with pytest.raises(rnnviz.RnnvizError) as caught:
        plot(trace_of("GRU"), **{argument: other})
    assert caught.value.key in ("error.norms_shape", "error.plot_result")
    assert caught.value.message("ko") != str(caught.value)


def test_a_diagnosis_of_another_cell_is_named():
    with pytest.raises(rnnviz.RnnvizError) as caught:
        rnnviz.plot_saturation(trace_of("GRU"), diagnoses=rnnviz.diagnose(trace_of("LSTM")))
    assert str(caught.value) == (
        'diagnoses for "GRU" has input_gate, forget_gate, cell_candidate, output_gate; the trace '
        "needs update_gate, reset_gate, hidden_candidate. Pass the result for the same trace, or "
        "leave it out."
    )


def test_sensitivities_and_traces_are_shown_alike():
    trace = trace_of("LSTM")
    norms = rnnviz.sensitivity_norms(trace)
    figures = [
        rnnviz.plot_sensitivity(given) for given in (trace, {"LSTM": trace}, {"LSTM": norms})
    ]
    for figure in figures:
        same(figure, rnnviz.plot_sensitivity(norms))
    with pytest.raises(rnnviz.RnnvizError) as caught:
        rnnviz.plot_sensitivity({"a": xarray.DataArray(np.ones((2, 2)), dims=("time", "unit"))})
    assert str(caught.value) == (
        "sensitivities for \"a\" has {'time': 2, 'unit': 2}; the trace needs time ≥ 1, source ≥ 1. "
        "Pass the result for the same trace, or leave it out."
    )
    with pytest.raises(rnnviz.RnnvizError) as caught:
        rnnviz.plot_sensitivity(norms[:0])
    assert caught.value.key == "error.plot_result"


@pytest.mark.parametrize(
    ("given", "came"),
    [
        (np.ones((6, 1)), "float64 (6, 1)"),
        (np.array(1.0), "float64 ()"),
        (np.array(["a"] * 6), "<U1 (6,)"),
        (np.ones(6, complex), "complex128 (6,)"),
    ],
)
def test_arrays_that_are_no_results_are_named(given: Any, came: str):
    figures: list[tuple[Plot, str]] = [
        (rnnviz.plot_jacobian_norms, "norms"),
        (rnnviz.plot_lyapunov, "exponents"),
    ]
    for plot, argument in figures:
        with pytest.raises(rnnviz.RnnvizError) as caught:
            plot(trace_of("GRU"), **{argument: given})
        assert str(caught.value).startswith(f'{argument} for "GRU" has {came}; the trace needs (')


WHOLE = "The {} is {} ({}); expected an integer from 0 to {}. Pass an int."
UNITS = (
    "View has units={}; expected a list of integers, or None for all units. Pass a list such as "
    "[0, 3]."
)
BEYOND = (
    "Got the units {}; expected at least one, each at least 0 and less than 3. Choose other units."
)
STEP = (
    "The first step to show is {}, counted from 0, which leaves nothing of the trace's 5 time "
    "steps to show. Choose an earlier step, and show at least one."
)
CHARACTERS = (
    "View has characters={}; expected a text, or a list with the text of each step. Pass the text "
    "that the trace was made from."
)
VIEWS: dict[str, tuple[Any, str]] = {
    "one unit": ({"units": 3}, UNITS.format(3)),
    "text of units": ({"units": "012"}, UNITS.format("'012'")),
    "units by name": ({"units": {0: 1}}, UNITS.format("{0: 1}")),
    "half unit": ({"units": [0.5]}, WHOLE.format("unit", 0.5, "float", 2)),
    "true unit": ({"units": [True]}, WHOLE.format("unit", True, "bool", 2)),
    "unit beyond": ({"units": [3]}, BEYOND.format([3])),
    "last unit": ({"units": [-1]}, BEYOND.format([-1])),
    "no unit": ({"units": []}, BEYOND.format([])),
    "half step": ({"first_step": 0.5}, WHOLE.format("first_step", 0.5, "float", 4)),
    "text of a step": ({"first_step": "0"}, WHOLE.format("first_step", "0", "str", 4)),
    "step beyond": ({"first_step": 5}, STEP.format(5)),
    "last step": ({"first_step": -1}, STEP.format(-1)),
    "no steps": ({"steps": 0}, STEP.format(0)),
    "fewer steps": ({"steps": -2}, STEP.format(0)),
    "half steps": ({"steps": 2.5}, WHOLE.format("steps", 2.5, "float", 5)),
    "true steps": ({"steps": True}, WHOLE.format("steps", True, "bool", 5)),
    "number of characters": ({"characters": 5}, CHARACTERS.format("int")),
    "numbers as characters": ({"characters": [1, 2, 3, 4, 5]}, CHARACTERS.format("list")),
    "float layer": ({"layer": 0.0}, WHOLE.format("layer", 0.0, "float", 0)),
    "text of a layer": ({"layer": "0"}, WHOLE.format("layer", "0", "str", 0)),
    "true sequence": ({"batch": True}, WHOLE.format("batch", True, "bool", 0)),
    "no direction": (
        {"direction": None},
        'The direction is "None"; the trace has forward. Choose one of these.',
    ),
}


@pytest.mark.parametrize("name", ["gates", "states"])
@pytest.mark.parametrize(("fields", "text"), VIEWS.values(), ids=list(VIEWS))
def test_a_view_that_a_trace_lacks_is_named(name: str, fields: dict[str, Any], text: str):
    with pytest.raises(rnnviz.RnnvizError) as caught:
        OF_ONE[name](trace_of("GRU"), view=rnnviz.View(**fields))
    assert str(caught.value) == text
    assert caught.value.message("ko") != text


@pytest.mark.parametrize("view", [3, None, {"layer": 0}, "whole"])
def test_what_is_no_view_is_named(view: Any):
    with pytest.raises(rnnviz.RnnvizError) as caught:
        rnnviz.plot_gates(trace_of("GRU"), view=view)
    came = type(view).__name__
    assert str(caught.value) == (
        f"view is {came}; expected a View. Pass one such as View(layer=1)."
    )


def test_units_of_a_view_are_any_integers():
    trace = trace_of("GRU")
    expected = trace.array("update_gate")[0, 0, :, 0, [2, 0]]
    for units in ([2, 0], (2, 0), {2: "a", 0: "b"}.keys(), range(2, -1, -2), [np.int8(2), 0]):
        figure: Any = rnnviz.plot_gates(trace, view=rnnviz.View(units=units))
        assert np.array_equal(figure.data[0].z, expected.astype(np.float32))
