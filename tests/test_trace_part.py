"""Parts of a trace: their arrays, and the errors of every function that takes one."""

import pickle
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import rnnviz
from rnnviz import RnnvizError, Trace
from rnnviz.explain.terms import gate_terms
from rnnviz.explain.unit_order import order_units
from rnnviz.locale import LANGUAGES
from rnnviz.plots.comparison_lines import (
    output_norms,
    plot_comparison_lines,
    plot_gradient_comparison,
)
from rnnviz.plots.matching import nearest_part
from rnnviz.plots.view import View
from rnnviz.trace_part import ALL, TracePart, parts_by_layer
from tests.cases import plain_case

LENGTHS = (5, 3)
DEEP: dict[str, Any] = {"layers": 2, "bidirectional": True, "batch": 2}
PARTS = [(layer, direction) for layer in (0, 1) for direction in ("forward", "backward")]


@cache
def recorded(form: str, **changed: Any) -> Trace:
    """Two layers, two directions, two sequences of 5 and 3 steps."""
    return plain_case(form, "recurrent", padding="lengths", **DEEP | changed).trace()


@cache
def torch_trace(kind: Callable[..., nn.RNNBase], layers: int = 2, *, both: bool = True) -> Trace:
    torch.manual_seed(0)
    module = kind(3, 4, layers, bidirectional=both).double()
    return rnnviz.trace(module, torch.randn(5, 2, 3).double(), loss="all")


# The sizes of a trace


def test_sizes_of_a_trace():
    module = nn.LSTM(3, 4, 2, bidirectional=True, proj_size=2)
    record = rnnviz.trace(module, torch.ones(5, 6, 3), lengths=[5, 5, 4, 3, 2, 1])
    sizes = (record.layers, record.directions, record.steps, record.batch)
    assert sizes == (2, 2, 5, 6)
    assert (record.units, record.output_units, record.features) == (4, 2, 3)
    assert record.valid_lengths.tolist() == [5, 5, 4, 3, 2, 1]
    assert record["forget_gate"].sizes["unit"] == record.units
    assert record["hidden_state"].sizes["projection"] == record.output_units
    assert record.differentiated == ()


def test_without_lengths_all_steps_are_valid():
    record = rnnviz.trace(nn.GRUCell(3, 4), torch.ones(5, 2, 3), loss="all")
    assert (record.layers, record.directions, record.units, record.output_units) == (1, 1, 4, 4)
    assert record.valid_lengths.tolist() == [5, 5]
    gates = ("reset_gate", "update_gate", "hidden_candidate")
    expected = {"hidden_state", *(f"{gate}_preactivation" for gate in gates)}
    assert set(record.differentiated) == expected


# Arrays


@pytest.mark.parametrize(("layer", "direction"), PARTS)
@pytest.mark.parametrize("batch", [0, 1])
@pytest.mark.parametrize("form", ["lstm", "peephole", "gru", "tanh"])
def test_a_part_of_one_sequence_is_selected_by_label(
    form: str, layer: int, direction: str, batch: int
):
    record = recorded(form)
    part = TracePart(record, layer, direction, batch)
    place = {"layer": layer, "direction": direction, "batch": batch}
    length = int(record.valid_lengths[batch])
    order = list(range(length)) if direction == "forward" else list(range(length))[::-1]
    assert part.length == length
    assert part.times.tolist() == order
    for name in record.form.states:
        values = record[name].sel(place).values
        assert np.array_equal(part.array(name), values, equal_nan=True)
        first = record.initial_state[name].sel(place).values
        assert np.array_equal(part.initial(name), first)
        assert np.array_equal(part.in_order(name), values[order])
        before = [first, *(values[t] for t in order[:-1])]
        assert np.array_equal(part.before(name), before)
    below = record["input"].values[:, batch]
    if layer:
        h = record["hidden_state"].values
        below = np.concatenate((h[0, 0, :, batch], h[0, 1, :, batch]), -1)
    assert np.array_equal(part.inputs(), below, equal_nan=True)
    assert np.array_equal(part.inputs(2), below[2], equal_nan=True)


@pytest.mark.parametrize(("layer", "direction"), PARTS)
@pytest.mark.parametrize("form", ["lstm", "gru", "reset before"])
def test_a_part_of_all_sequences_flips_each_valid_time(form: str, layer: int, direction: str):
    record = recorded(form)
    part = TracePart(record, layer, direction)
    assert part.batch is ALL
    for name in (*record.form.states, *(f"{gate}_preactivation" for gate in record.form.gates)):
        assert np.array_equal(
            part.array(name),
            record[name].sel(layer=layer, direction=direction).values,
            equal_nan=True,
        )
        found = part.in_order(name)
        for batch, length in enumerate(record.valid_lengths):
            one = TracePart(record, layer, direction, batch)
            assert np.array_equal(found[:length, batch], one.in_order(name))
            assert not found[length:, batch].any()
        back = part.reorder(found)
        assert np.array_equal(back, np.nan_to_num(part.array(name)))
    one = TracePart(record, layer, direction, 1)
    for name in record.form.states:
        assert np.array_equal(part.before(name)[: one.length, 1], one.before(name))
    assert np.array_equal(one.of_all.inputs(), part.inputs(), equal_nan=True)


@pytest.mark.parametrize(("layer", "direction"), PARTS)
def test_parameters_are_those_of_torchs_names(layer: int, direction: str):
    torch.manual_seed(0)
    module = nn.LSTM(3, 4, 2, bidirectional=True, proj_size=2)
    part = TracePart(rnnviz.trace(module, torch.ones(2, 3)), layer, direction)
    suffix = f"_l{layer}" + ("_reverse" if direction == "backward" else "")
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr"):
        expected = module.get_parameter(name + suffix).detach().double().numpy()
        found = part.parameter(name)
        assert found is not None
        assert found.dtype == np.float64
        assert np.array_equal(found, expected)
        recorded_values = part.recorded_parameter(name)
        assert recorded_values is not None
        assert np.array_equal(recorded_values, expected.astype(np.float32))
    for name, found in (("weight_ih", part.weight_ih), ("weight_hh", part.weight_hh)):
        assert np.array_equal(found, module.get_parameter(name + suffix).detach().double().numpy())
    assert part.parameter("weight_peephole") is None
    part.weight_hh[:] = 0  # a copy
    assert part.weight_hh.any()


def test_held_values_are_in_the_directions_order():
    hold = {"update_gate": rnnviz.Hold(0.5, units=[1], start=2, direction="backward")}
    record = rnnviz.trace(nn.GRU(1, 2, bidirectional=True), torch.ones(5, 1, 1), hold=hold)
    held = TracePart(record, direction="backward").held()
    assert held is not None
    expected = np.full((5, 1, 2), np.nan)
    expected[:3, 0, 1] = 0.5
    for name, values in held._asdict().items():
        free = np.full((5, 1, 2), np.nan)
        at = expected if name == "update_gate" else free
        assert np.array_equal(values, at, equal_nan=True), name
    forward = TracePart(record).held()
    assert forward is not None
    assert all(np.isnan(values).all() for values in forward)
    free = rnnviz.trace(nn.GRU(1, 2), torch.ones(5, 1, 1))
    assert TracePart(free).held() is None


@pytest.mark.parametrize(("layer", "direction"), PARTS)
def test_the_recurrent_term_of_a_candidate(layer: int, direction: str):
    record = torch_trace(nn.GRU)
    part = TracePart(record, layer, direction)
    r, a, x = (
        part.in_order("reset_gate"),
        part.in_order("hidden_candidate_preactivation"),
        part.reorder(part.inputs()),
    )
    w, b = part.weight_ih[8:], part.parameter("bias_ih")
    assert b is not None
    difference = r * part.candidate_recurrence() + x @ w.T + b[8:] - a
    assert np.abs(difference).max() < 1e-14


def test_every_part_of_a_trace_by_layer():
    found = [[(p.layer, p.direction) for p in row] for row in parts_by_layer(recorded("gru"))]
    assert found == [PARTS[:2], PARTS[2:]]
    [[only]] = parts_by_layer(torch_trace(nn.GRU, 1, both=False))
    assert (only.layer, only.direction, only.batch) == (0, "forward", ALL)


def test_the_nearest_part_of_a_smaller_network():
    small, large = torch_trace(nn.GRU, 1, both=False), torch_trace(nn.LSTM)
    for record, last in ((small, 0), (large, 1)):
        assert nearest_part(record).layer == last
        assert nearest_part(record, layer=3).layer == last
    assert nearest_part(small, direction="backward").direction == "forward"
    assert nearest_part(large, direction="backward").direction == "backward"


# Errors of every function that takes a part

Entry = Callable[..., Any]


def viewed(plot: Entry, trace: Trace, **part: Any) -> Any:
    return plot(trace, view=View(**part))


ENTRIES: Mapping[str, tuple[Entry, str]] = {  # and the keywords that it takes
    "TracePart": (TracePart, "layer direction batch"),
    "remembered_steps": (rnnviz.remembered_steps, "layer direction batch"),
    "diagnose": (rnnviz.diagnose, "layer direction batch"),
    "plain_pass": (rnnviz.plain_pass, "layer direction batch"),
    "jacobians": (rnnviz.jacobians, "layer direction batch"),
    "JacobianBlocks": (rnnviz.JacobianBlocks, "layer direction batch"),
    "recurrent_spectra": (rnnviz.recurrent_spectra, "layer direction"),
    "pascanu_bound": (rnnviz.pascanu_bound, "layer direction"),
    "sensitivity_norms": (rnnviz.sensitivity_norms, "layer batch"),
    "gate_terms": (
        lambda trace, **part: gate_terms(trace, trace.form.gates[0], 0, 0, **part),
        "layer direction batch",
    ),
    "order_units": (lambda trace, **part: order_units(trace, "variance", **part), "layer"),
    "plot_gates": (partial(viewed, rnnviz.plot_gates), "layer direction batch"),
    "plot_states": (partial(viewed, rnnviz.plot_states), "layer direction batch"),
    "plot_gradient_norms": (rnnviz.plot_gradient_norms, "layer direction batch"),
    "plot_jacobian_norms": (rnnviz.plot_jacobian_norms, "layer direction batch"),
    "plot_weight_gradients": (rnnviz.plot_weight_gradients, "layer direction batch"),
    "plot_lyapunov": (rnnviz.plot_lyapunov, "layer direction batch"),
    "plot_saturation": (rnnviz.plot_saturation, "layer direction batch"),
    "plot_eigenvalues": (rnnviz.plot_eigenvalues, "layer direction"),
    "plot_recurrent_weights": (rnnviz.plot_recurrent_weights, "layer direction"),
    "plot_comparison": (rnnviz.plot_comparison, "layer direction batch"),
    "plot_comparison_lines": (plot_comparison_lines, "layer direction batch"),
    "plot_gradient_comparison": (plot_gradient_comparison, "layer direction batch"),
    "output_norms": (lambda trace, **part: output_norms({"": trace}, **part), "batch"),
}
PRECOMPUTED: Mapping[str, tuple[Entry, str, Any]] = {
    "plot_jacobian_norms": (rnnviz.plot_jacobian_norms, "norms", np.zeros(6)),
    "plot_lyapunov": (rnnviz.plot_lyapunov, "exponents", np.zeros(4)),
    "plot_saturation": (rnnviz.plot_saturation, "diagnoses", None),
}
EVERY = pytest.mark.parametrize("entry", ENTRIES)


def message(entry: str, **part: Any) -> str:
    function, _ = ENTRIES[entry]
    with pytest.raises(RnnvizError) as caught:
        function(torch_trace(nn.RNN), **part)
    for language in LANGUAGES:
        assert caught.value.message(language)
    return str(caught.value)


def content(result: Any) -> Any:
    if hasattr(result, "to_json"):
        return result.to_json()
    if isinstance(result, rnnviz.JacobianBlocks):
        result = result[:]
    if isinstance(result, TracePart):
        return result.layer, result.direction, result.batch
    return pickle.dumps(result)


@EVERY
@pytest.mark.parametrize("came", ["sideways", "FORWARD", "", 0, None, ["forward"]])
def test_a_missing_direction_raises(entry: str, came: Any):
    if "direction" in ENTRIES[entry][1]:
        text = f'The direction is "{came}"; the trace has forward, backward. Choose one of these.'
        assert message(entry, direction=came) == text


@EVERY
@pytest.mark.parametrize("came", [2, 7, -1, -2, np.int64(2), np.int8(-1)])
def test_a_missing_layer_or_sequence_raises(entry: str, came: int):
    keywords = ENTRIES[entry][1].split()
    for name in {"layer", "batch"} & set(keywords):
        assert message(entry, **{name: came}) == (
            f"{name} {came} is out of range; expected 0 ≤ {name} < 2. Choose another number."
        )


LAST_BY_DEFAULT = (
    "sensitivity_norms",
    "plot_comparison",
    "plot_comparison_lines",
    "plot_gradient_comparison",
    "output_norms",
)


@EVERY
@pytest.mark.parametrize("came", [True, False, 0.0, 1.0, np.float64(0), np.True_, "0", [0], 1j])
def test_a_non_integer_layer_or_sequence_raises(entry: str, came: Any):
    for name in {"layer", "batch"} & set(ENTRIES[entry][1].split()):
        assert message(entry, **{name: came}) == (
            f"The {name} is {came} ({type(came).__name__}); expected an integer from 0 to 1. "
            "Pass an int."
        )


@EVERY
def test_batch_none_or_a_slice_raises(entry: str):
    if "batch" in ENTRIES[entry][1]:
        for came in (None, slice(None)):
            assert message(entry, batch=came).startswith(f"The batch is {came} (")


@EVERY
@pytest.mark.parametrize("kind", [np.int64, np.uint8])
def test_numpy_integers_are_accepted(entry: str, kind: type[np.integer[Any]]):
    function, keywords = ENTRIES[entry]
    record = torch_trace(nn.RNN)
    given = {name: kind(1) for name in ("layer", "batch") if name in keywords}
    plain = dict.fromkeys(given, 1)
    assert content(function(record, **given)) == content(function(record, **plain))


@pytest.mark.parametrize("entry", [name for name in LAST_BY_DEFAULT if name != "output_norms"])
def test_the_last_layer_by_default(entry: str):
    function, record = ENTRIES[entry][0], torch_trace(nn.RNN)
    last = content(function(record, layer=1))
    assert last == content(function(record)) == content(function(record, layer=None))
    assert last != content(function(record, layer=0))


@EVERY
def test_the_first_layer_forward_by_default(entry: str):
    function, keywords = ENTRIES[entry]
    if "layer" not in keywords or entry in LAST_BY_DEFAULT:
        return
    first = {"layer": 0, "direction": "forward", "batch": 0}
    given = {name: value for name, value in first.items() if name in keywords}
    if entry == "TracePart":
        del given["batch"]
    record = torch_trace(nn.RNN)
    assert content(function(record, **given)) == content(function(record))


@pytest.mark.parametrize("entry", PRECOMPUTED)
def test_precomputed_results_do_not_bypass_the_part_check(entry: str):
    plot, keyword, result = PRECOMPUTED[entry]
    record = torch_trace(nn.RNN)
    result = rnnviz.diagnose(record) if result is None else result
    for part in ({"layer": 2}, {"direction": "up"}, {"batch": 2}):
        with pytest.raises(RnnvizError):
            plot(record, **{keyword: {"RNN": result}}, **part)


@pytest.mark.parametrize(
    "plot", [rnnviz.plot_comparison, plot_comparison_lines, plot_gradient_comparison]
)
def test_networks_of_different_depths_are_compared(plot: Entry):
    traces = {"small": torch_trace(nn.GRU, 1, both=False), "large": torch_trace(nn.LSTM)}
    plot(traces, layer=1, direction="backward")
    with pytest.raises(RnnvizError) as caught:
        plot(traces, layer=2)
    assert str(caught.value).startswith("layer 2 is out of range; expected 0 ≤ layer < 2.")
    del traces["large"]
    with pytest.raises(RnnvizError) as caught:
        plot(traces, direction="backward")
    assert str(caught.value) == (
        'The direction is "backward"; the trace has forward. Choose one of these.'
    )


@pytest.mark.parametrize(
    ("unit", "time", "text"),
    [
        (0.0, 0, "The unit is 0.0 (float); expected an integer from 0 to 3."),
        (True, 0, "The unit is True (bool); expected an integer from 0 to 3."),
        (0, 1.0, "The time is 1.0 (float); expected an integer from 0 to 4."),
    ],
)
def test_a_non_integer_unit_or_time_raises(unit: Any, time: Any, text: str):
    with pytest.raises(RnnvizError) as caught:
        gate_terms(torch_trace(nn.RNN), "hidden", unit, time)
    assert str(caught.value) == f"{text} Pass an int."


def test_non_integer_units_and_sources_raise():
    record = torch_trace(nn.GRU)
    for call, text in (
        (lambda: rnnviz.plot_gates(record, view=View(units=[0.5])), "The unit is 0.5"),  # pyright: ignore[reportArgumentType]  # the error under test
        (lambda: rnnviz.sensitivity_norms(record, sources=[0.5]), "The source is 0.5"),  # pyright: ignore[reportArgumentType]  # the error under test
    ):
        with pytest.raises(RnnvizError) as caught:
            call()
        assert str(caught.value).startswith(f"{text} (float); expected an integer from 0 to ")


# One trace or several

PLOTS = (
    rnnviz.plot_gradient_norms,
    rnnviz.plot_jacobian_norms,
    rnnviz.plot_weight_gradients,
    rnnviz.plot_lyapunov,
    rnnviz.plot_saturation,
    rnnviz.plot_eigenvalues,
    rnnviz.plot_comparison,
    plot_comparison_lines,
    plot_gradient_comparison,
)


@pytest.mark.parametrize("plot", PLOTS)
@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
def test_a_figure_takes_a_single_trace(plot: Entry, kind: type[nn.RNNBase]):
    record = torch_trace(kind, 1, both=False)
    assert plot(record).to_json() == plot({kind.__name__: record}).to_json()


@pytest.mark.parametrize("plot", PLOTS)
def test_a_figure_of_no_trace_raises(plot: Entry):
    with pytest.raises(RnnvizError) as caught:
        plot({})
    assert str(caught.value) == (
        "There is no network to show; expected a mapping from labels to at least one. Add one."
    )
