"""Saved traces are loaded equal, and tables contain every number exactly."""

import csv
import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from torch import nn

import rnnviz
from rnnviz import Hold, RnnvizError
from rnnviz.cells import Form
from rnnviz.storage import FORMAT_VERSION
from tests.cases import plain_case

pytestmark = pytest.mark.slow

DATA = Path(__file__).with_name("data")

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
def test_a_saved_trace_is_loaded_equal(name: str, ending: str, tmp_path: Path):
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
def test_infinite_and_nan_values_are_loaded_equal(ending: str, tmp_path: Path):
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
def test_saving_overwrites_a_file(ending: str, tmp_path: Path):
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


def test_traces_that_differ_in_one_number_are_unequal():
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
def test_a_table_contains_every_number_once_and_exactly(name: str, tmp_path: Path):
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
        if key in ("input", "grad_input"):
            assert (layer, direction) == ("", "")
        else:
            place = (int(layer), ["forward", "backward"].index(direction), *place)
        found[key][place] = found[key].dtype.type(value or "nan")
    for key, values in found.items():
        assert np.array_equal(values, trace[key].values, equal_nan=True), key


def traces_of_earlier_versions() -> dict[str, rnnviz.Trace]:
    """The traces of the files of version 0 and 1 in tests/data, recomputed."""
    torch.manual_seed(0)
    lstm = nn.LSTM(2, 3, num_layers=2, bidirectional=True, proj_size=2).double()
    x = torch.randn(5, 2, 2).double()
    gru = nn.GRU(2, 3).double()
    hold = {"update_gate": Hold(0.5, units=[1], start=2)}
    return {
        "lstm.nc": rnnviz.trace(lstm, x, lengths=[5, 3], loss="all"),
        "gru.npz": rnnviz.trace(gru, x, loss="last", hold=hold),
    }


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("kind", ["lstm.nc", "gru.npz"])
def test_a_file_of_an_earlier_version_loads_with_its_values(
    kind: str, version: int, tmp_path: Path
):
    name = f"trace_{version}_{kind}"
    loaded, expected = rnnviz.load_trace(DATA / name), traces_of_earlier_versions()[kind]
    assert (loaded.form, loaded.module_repr) == (expected.form, expected.module_repr)
    assert loaded.replay_error < 1e-15
    found, again = loaded.to_xarray(), expected.to_xarray()
    assert list(found.variables) == list(again.variables)
    assert found["output_grad"].dims == again["output_grad"].dims
    for variable, values in again.items():
        if values.dtype.kind == "f":  # written with another torch version: equal up to rounding
            difference = np.abs(found[variable].values - values.values)
            assert np.nanmax(difference, initial=0) < 1e-14, variable
            assert np.array_equal(np.isnan(found[variable]), np.isnan(values)), variable
        else:
            assert found[variable].identical(values), variable
    assert loaded.loss is not None
    assert expected.loss is not None
    assert abs(loaded.loss - expected.loss) < 1e-14
    loaded.save(tmp_path / name)
    assert rnnviz.load_trace(tmp_path / name) == loaded


@pytest.mark.parametrize("ending", [".nc", ".npz"])
def test_loading_a_newer_format_raises(ending: str, tmp_path: Path):
    trace, path = plain_case("tanh").trace(), tmp_path / f"later{ending}"
    trace.save(path)
    assert version_in(path) == FORMAT_VERSION == 2
    set_version(path, 3)
    with pytest.raises(RnnvizError) as caught:
        rnnviz.load_trace(path)
    assert str(caught.value) == (
        f'"later{ending}" has trace format 3; this release of rnnviz reads formats up to 2. '
        "Install a newer release, or save the trace with this one."
    )
    assert caught.value.message("ko") == (
        f'"later{ending}" 파일의 기록 형식은 버전 3입니다. 설치된 rnnviz는 버전 2까지 읽을 수 '
        "있습니다. rnnviz를 최신 버전으로 업데이트하거나 이 버전에서 기록을 다시 저장하세요."
    )


@pytest.mark.parametrize("version", ["new", -1, [1, 2]])
def test_loading_an_invalid_format_version_raises(version: Any, tmp_path: Path):
    path = tmp_path / "odd.npz"
    plain_case("tanh").trace().save(path)
    set_version(path, version)
    with pytest.raises(RnnvizError) as caught:
        rnnviz.load_trace(path)
    assert str(caught.value) == (
        '"odd.npz" is not a trace, or it is damaged; expected a file written by Trace.save. '
        "Save the trace again."
    )


def version_in(path: Path) -> Any:
    if path.suffix == ".nc":
        with h5py.File(path) as file:
            return file.attrs["format_version"]
    return json.loads(str(np.load(path)["_layout"]))["attrs"]["format_version"]


def set_version(path: Path, version: Any) -> None:
    if path.suffix == ".nc":
        with h5py.File(path, "r+") as file:
            file.attrs["format_version"] = version
        return
    arrays = dict(np.load(path))
    layout = json.loads(str(arrays["_layout"]))
    layout["attrs"]["format_version"] = version
    arrays["_layout"] = np.array(json.dumps(layout))
    np.savez(path, allow_pickle=False, **arrays)
