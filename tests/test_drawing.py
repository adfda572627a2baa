"""A drawing is sent to the browser just as the figure validated by plotly would be."""

import base64
import json
import subprocess
import sys
from collections.abc import Mapping
from inspect import signature
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
from streamlit.web.server.app_discovery import discover_asgi_app

from rnnviz.experiment import NetworkSettings, run_networks
from rnnviz.gradients import plain_pass
from rnnviz.plots.drawing import Drawing
from rnnviz.plots.eigenvalues import plot_eigenvalues
from rnnviz.plots.gradient_norms import plot_gradient_norms
from rnnviz.plots.jacobian_norms import plot_jacobian_norms
from rnnviz.plots.lyapunov import plot_lyapunov
from rnnviz.plots.saturation import plot_saturation
from rnnviz.plots.weight_gradients import plot_weight_gradients
from rnnviz.plots.weights import plot_recurrent_weights
from rnnviz.trace import Trace
from rnnviz.ui.components.chart import figure_json
from tests.browser import ROOT

OF_ALL: tuple[Any, ...] = (
    plot_gradient_norms,
    plot_weight_gradients,
    plot_saturation,
    plot_eigenvalues,
    plot_jacobian_norms,
    plot_lyapunov,
)


def read(part: Any) -> Any:
    """The parsed JSON, with arrays as texts, because NaN does not equal itself."""
    if isinstance(part, list):
        return [read(one) for one in part]
    if not isinstance(part, dict):
        return part
    if "bdata" not in part:
        return {name: read(one) for name, one in part.items()}
    values = np.frombuffer(base64.b64decode(part["bdata"]), part["dtype"])
    shape = str(part.get("shape", len(values)))
    return shape.replace(" ", ""), [repr(value) for value in values.astype(np.float64).tolist()]


def check(drawing: Drawing) -> None:
    came = json.loads(figure_json(drawing))
    wanted = json.loads(figure_json(go.Figure(*drawing)))
    assert wanted["layout"].pop("template") == {"data": {"scatter": [{"type": "scatter"}]}}
    # plotly leaves out empty lists
    came["layout"] = {name: part for name, part in came["layout"].items() if part != []}
    assert read(came) == read(wanted)


@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize(
    "settings",
    [
        NetworkSettings(),
        NetworkSettings(gain=0.0),
        NetworkSettings(gain=3.0, length=300),
        NetworkSettings(length=2, hidden=2),
    ],
)
def test_a_drawing_and_its_figure_have_the_same_json(settings: NetworkSettings, language: str):
    traces: Mapping[str, Trace] = run_networks(settings)
    for plot in OF_ALL:
        check(plot.drawn(traces, language=language))
        check(plot.drawn(traces, language=language, dark=True))
    plain = {label: plain_pass(trace) for label, trace in traces.items()}
    check(plot_gradient_norms.drawn(traces, float32=plain, language=language))
    check(plot_recurrent_weights.drawn(traces["gru"], gate="reset_gate", language=language))


def test_a_drawing_converts_to_a_plotly_figure():
    traces = run_networks(NetworkSettings())
    for plot in OF_ALL:
        found: go.Figure = plot(traces)
        assert type(found) is go.Figure
        assert found == go.Figure(*plot.drawn(traces))
        assert signature(plot).return_annotation is go.Figure


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (np.array([1.5, np.nan, -np.inf]), "f8"),
        (np.array([[1, 2], [3, 4]], np.float32), "f4"),
        (np.arange(3), "u1"),
        (np.array([-1, 255]), "i2"),
        (np.array([-(2**31), 2**31 - 1]), "i4"),
    ],
)
def test_arrays_are_sent_as_bytes(values: np.ndarray, kind: str):
    found = json.loads(figure_json(Drawing([{"z": values}], {})))["data"][0]["z"]
    assert found["dtype"] == kind
    assert read(found)[1] == [repr(value) for value in values.ravel().astype(np.float64).tolist()]
    assert found.get("shape") == (None if values.ndim == 1 else "2, 2")


@pytest.mark.parametrize(
    "values", [np.array([], np.int64), np.array([2**40]), np.array(["a", "b"]), np.array([True])]
)
def test_other_arrays_are_sent_as_lists(values: np.ndarray):
    assert json.loads(figure_json(Drawing([{"x": values}], {})))["data"][0]["x"] == values.tolist()


def test_non_finite_numbers_are_written_as_by_plotly():
    drawing = Drawing([{"type": "scatter", "y": [1.0, float("nan")]}], {"template": "none"})
    assert json.loads(figure_json(drawing))["data"][0]["y"] == [1.0, None]


STARTED = """
import gc, threading, app
from rnnviz.experiment import GradientsPage
from rnnviz.ui import cache

(load,) = (thread for thread in threading.enumerate() if thread.name.endswith("(load)"))
load.join()
cache.of_each = cache.gain_marks = None  # any further computation fails
first = GradientsPage.first().network()
assert cache.marks_of_gain(first).explodes > 1
print(*cache.measured(first), gc.isenabled(), gc.get_freeze_count() > 100_000)
"""


@pytest.mark.slow
def test_the_server_computes_the_first_view_before_the_first_request():
    assert discover_asgi_app(ROOT / "app.py").import_string == "app:app"
    run = [sys.executable, "-W", "ignore", "-c", STARTED]  # Streamlit warns about a missing server
    found = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["rnn", "lstm", "gru", "True", "True"]
