"""Saved traces come back equal, and tables hold every number exactly."""

import csv
import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import rnnviz
from rnnviz.cells import Form
from tests.cases import plain_case

CASES: dict[str, dict[str, Any]] = {
    "tanh": {"form": "tanh"},
    "relu in float32": {"form": "relu", "dtype": torch.float32},
    "lstm": {"form": "lstm"},
    "gru": {"form": "gru"},
    "both directions": {"form": "gru", "bidirectional": True, "layers": 2},
    "projection": {"form": "lstm", "proj_size": 2, "bidirectional": True, "layers": 2},
    "lengths": {"form": "lstm", "padding": "lengths"},
    "packed": {"form": "gru", "padding": "packed", "bidirectional": True},
    "no loss": {"form": "lstm", "loss": "none"},
    "no bias": {"form": "tanh", "bias": False, "batch": 0},
    "own cell": {"form": "gru", "way": "own cell", "dtype": torch.float32},
}
DIMS = ["layer", "direction", "time", "batch", "unit"]


NETCDF = ("relu in float32", "both directions", "projection", "lengths", "no loss")  # it is slow


@pytest.mark.parametrize(
    ("name", "ending"),
    [
        *((name, ".npz") for name in CASES),
        *(pytest.param(name, ".nc", marks=pytest.mark.slow) for name in NETCDF),
    ],
)
def test_what_is_saved_comes_back_equal(name: str, ending: str, tmp_path: Path):
    trace = plain_case(**CASES[name]).trace()
    path = tmp_path / f"trace{ending}"
    trace.save(path)
    loaded = rnnviz.load_trace(str(path))
    assert loaded == trace
    for field in dataclasses.fields(trace):
        if field.name not in ("lengths", "parameters", "output_grad", "_arrays", "_initial"):
            assert getattr(loaded, field.name) == getattr(trace, field.name), field.name
    assert loaded.names == trace.names
    for key in trace:
        assert loaded[key].dtype == trace[key].dtype
        assert not loaded[key].values.flags.writeable
    assert loaded.initial_state.identical(trace.initial_state)
    assert list(loaded.parameters) == list(trace.parameters)
    assert all(np.array_equal(loaded.parameters[p], trace.parameters[p]) for p in trace.parameters)
    for here, there in ((loaded.lengths, trace.lengths), (loaded.output_grad, trace.output_grad)):
        if here is None or there is None:
            assert here is there
        else:
            assert np.array_equal(here, there)


@pytest.mark.parametrize("ending", [".nc", ".npz"])
def test_values_beyond_all_bounds_come_back(ending: str, tmp_path: Path):
    module = nn.RNN(1, 2, nonlinearity="relu", bias=False)
    with torch.no_grad():
        module.get_parameter("weight_hh_l0").copy_(2 * torch.eye(2))
        module.get_parameter("weight_ih_l0").fill_(1)
    trace = rnnviz.trace(module, torch.ones(200, 1), loss="last")
    trace.save(tmp_path / f"trace{ending}")
    loaded = rnnviz.load_trace(tmp_path / f"trace{ending}")
    assert loaded == trace
    assert np.isinf(loaded["hidden_state"].values).any()
    assert loaded.loss is not None
    assert math.isnan(loaded.loss)


@pytest.mark.parametrize("ending", [".nc", ".npz", ".csv"])
def test_a_file_is_written_over(ending: str, tmp_path: Path):
    first, second = plain_case("lstm").trace(), plain_case("gru", loss="none").trace()
    first.save(tmp_path / f"again{ending}")
    second.save(tmp_path / f"again{ending}")
    second.save(tmp_path / f"once{ending}")
    if ending == ".csv":
        assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "once.csv").read_bytes()
    else:
        assert rnnviz.load_trace(tmp_path / f"again{ending}") == second


def one_number_changed(values: Any) -> np.ndarray:
    copy = np.array(values)
    copy.flat[copy.size // 2] = np.nextafter(copy.flat[copy.size // 2], np.inf)
    return copy


def test_one_changed_number_makes_it_unequal():
    trace = plain_case("tanh").trace()
    same = dataclasses.replace(trace)
    assert same == trace
    assert trace != "a trace"
    for field in ("_arrays", "_initial", "parameters"):
        arrays = getattr(trace, field)
        for name, values in arrays.items():
            other = dataclasses.replace(
                trace, **{field: {**arrays, name: one_number_changed(values)}}
            )
            assert other != trace, f"{field}: {name}"
    assert trace.loss is not None
    others: dict[str, Any] = {
        "form": Form("rnn", "relu"),
        "module_repr": "RNN(3, 5)",
        "loss": np.nextafter(trace.loss, np.inf),
        "replay_error": trace.replay_error + 1e-16,
        "lengths": np.array([5, 5, 5]),
    }
    for field, value in others.items():
        assert dataclasses.replace(trace, **{field: value}) != trace, field
    assert dataclasses.replace(trace, loss=None) != trace


@pytest.mark.parametrize("name", CASES)
def test_a_table_has_every_number_once_and_exactly(name: str, tmp_path: Path):
    trace = plain_case(**CASES[name]).trace()
    trace.save(tmp_path / "trace.csv")
    with (tmp_path / "trace.csv").open(encoding="utf-8", newline="") as file:
        header, *lines = list(csv.reader(file))
    assert header == ["name", *DIMS, "value"]
    assert len(lines) == sum(trace[name].size for name in trace)
    assert len({tuple(line[:-1]) for line in lines}) == len(lines)
    found = {name: np.full(trace[name].shape, -1.0, trace[name].dtype) for name in trace}
    for key, layer, direction, time, batch, unit, value in lines:
        place: tuple[int, ...] = (int(time), int(batch), int(unit))
        if key == "input":
            assert (layer, direction) == ("", "")
        else:
            place = (int(layer), ["forward", "backward"].index(direction), *place)
        found[key][place] = found[key].dtype.type(value or "nan")
    for key, values in found.items():
        assert np.array_equal(values, trace[key].values, equal_nan=True), key
