"""Anything but a trace is refused in the same words by every function that takes one."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import rnnviz
from rnnviz import gradients, stability
from rnnviz.explain import equations, keras_outputs, terms, unit_order
from rnnviz.plots.comparison_lines import plot_comparison_lines, plot_gradient_comparison

TABLE: dict[str, Callable[[Any], Any]] = {
    "JacobianBlocks": rnnviz.JacobianBlocks,
    "diagnose": rnnviz.diagnose,
    "equations": lambda trace: equations.equations(trace, 0, 0),
    "gate_terms": lambda trace: terms.gate_terms(trace, "hidden", 0, 0),
    "gradient_norms": rnnviz.gradient_norms,
    "jacobians": rnnviz.jacobians,
    "order_units": lambda trace: unit_order.order_units(trace, "index"),
    "parameter_gradients": rnnviz.parameter_gradients,
    "pascanu_bound": rnnviz.pascanu_bound,
    "plain_pass": rnnviz.plain_pass,
    "recurrent_spectra": rnnviz.recurrent_spectra,
    "remembered_steps": rnnviz.remembered_steps,
    "select_outputs": keras_outputs.select_outputs,
    "sensitivity_norms": rnnviz.sensitivity_norms,
    "split_cell_gradient": rnnviz.split_cell_gradient,
    "weight_gradient_norms": rnnviz.weight_gradient_norms,
    "write_keras": keras_outputs.write_keras,
}
# These take a mapping of traces too, and say so.
FIGURES: dict[str, Callable[[Any], Any]] = {
    name: getattr(rnnviz, name) for name in rnnviz.__all__ if name.startswith("plot_")
}
FIGURES |= {"lines": plot_comparison_lines, "gradient lines": plot_gradient_comparison}
OTHERS: dict[str, Callable[[], Any]] = {
    "torch.nn.modules.rnn.GRU": lambda: nn.GRU(1, 2),
    "NoneType": lambda: None,
    "dict": dict,
    "numpy.ndarray": lambda: np.ones((5, 1)),
    "torch.Tensor": lambda: torch.ones(5, 1),
    "str": lambda: "run.npz",
    "list": lambda: [rnnviz.trace(nn.GRU(1, 2), torch.ones(3, 1), loss="last")],
    "xarray.core.dataset.Dataset": lambda: rnnviz.trace(nn.GRU(1, 2), torch.ones(3, 1)).to_xarray(),
}


def test_the_table_has_every_public_function_of_a_trace():
    modules = (rnnviz, gradients, stability, equations, keras_outputs, terms, unit_order)
    found = {
        name
        for module in modules
        for name, value in inspect.getmembers(module, callable)
        if getattr(value, "__module__", "").startswith("rnnviz") and not name.startswith("_")
        for first in list(inspect.signature(value).parameters.values())[:1]
        if str(first.annotation) in ("Trace", str(rnnviz.Trace))
    }
    assert found - {"TracePart", "parts_by_layer"} == set(TABLE)


@pytest.mark.parametrize("came", OTHERS)
@pytest.mark.parametrize("function", TABLE)
def test_no_trace(function: str, came: str):
    with pytest.raises(rnnviz.RnnvizError) as caught:
        TABLE[function](OTHERS[came]())
    assert str(caught.value) == (
        f"Got a value of type {came}; expected a trace. Call rnnviz.trace(module, inputs), or "
        "rnnviz.load_trace(path) for a saved one, and pass the result."
    )
    assert caught.value.message("ko").startswith(f"{came} 형식의 값이 들어왔습니다.")


@pytest.mark.parametrize("came", OTHERS)
@pytest.mark.parametrize("figure", FIGURES)
def test_no_trace_in_a_figure(figure: str, came: str):
    given = OTHERS[came]()
    with pytest.raises(rnnviz.RnnvizError) as caught:
        FIGURES[figure](given)
    if came == "dict":
        assert caught.value.key == "error.no_traces"
        return
    kind = type(given).__name__
    expected = f"traces is {kind}; expected one Trace, or a mapping from labels (texts) to such."
    if figure == "plot_sensitivity":
        expected = expected.replace("traces", "sensitivities").replace("one Trace", "one DataArray")
    assert str(caught.value) == f"{expected} Pass one of these."


def test_a_trace_that_was_copied_is_one(tmp_path: Path):
    trace = rnnviz.trace(nn.GRU(1, 2), torch.ones(3, 1), loss="last")
    trace.save(tmp_path / "a.nc")
    loaded = rnnviz.load_trace(tmp_path / "a.nc")
    norms = rnnviz.gradient_norms(trace)
    assert rnnviz.gradient_norms(loaded).identical(norms)
    assert rnnviz.diagnose(loaded, norms=norms).decay == rnnviz.diagnose(trace).decay
