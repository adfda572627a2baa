"""Datasets as files: netCDF (.nc), NumPy (.npz) and long-form tables (.csv)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rnnviz.errors import RnnvizError

if TYPE_CHECKING:
    import xarray

WRITABLE = (".nc", ".npz", ".csv")
READABLE = (".nc", ".npz")
# Written as the attribute "format_version"; files of version 0 have none.
FORMAT_VERSION = 1


def write_dataset(dataset: xarray.Dataset, path: str | Path) -> None:
    """Writes a dataset in the format of the path's suffix."""
    path = Path(path)
    dataset = dataset.assign_attrs(format_version=FORMAT_VERSION)
    if path.suffix == ".nc":
        dataset.to_netcdf(path, engine="h5netcdf")
    elif path.suffix == ".npz":
        _write_npz(dataset, path)
    elif path.suffix == ".csv":
        _write_csv(dataset, path)
    else:
        raise RnnvizError("error.trace_ending", came=path.name, expected=", ".join(WRITABLE))


def read_dataset(path: str | Path) -> xarray.Dataset:
    """The dataset of a file that ``write_dataset`` wrote as .nc or .npz, in today's format.

    RnnvizError for a file that is missing or damaged, or of a newer format than this one's.
    """
    import xarray

    path = Path(path)
    if path.suffix not in READABLE:
        raise RnnvizError("error.trace_ending", came=path.name, expected=", ".join(READABLE))
    if not path.is_file():
        raise RnnvizError("error.no_file", path=path.name)
    try:
        if path.suffix == ".nc":
            with xarray.open_dataset(path, engine="h5netcdf") as opened:
                dataset = opened.load()
        else:
            dataset = _read_npz(path)
        version = int(dataset.attrs.pop("format_version", 0))
        if version < 0:
            raise ValueError(version)
    except Exception as error:  # a damaged file can raise anything
        raise RnnvizError("error.trace_file", path=path.name) from error
    if version > FORMAT_VERSION:
        raise RnnvizError(
            "error.trace_version", path=path.name, came=version, expected=FORMAT_VERSION
        )
    return _from_version_0(dataset) if version == 0 else dataset


def _from_version_0(dataset: xarray.Dataset) -> xarray.Dataset:
    """The dataset with the name that version 1 gave to ∂ℓ/∂output."""
    dims = {f"injected_{axis}": f"output_grad_{axis}" for axis in ("time", "batch", "unit")}
    return dataset.rename({"injected": "output_grad"} | dims) if "injected" in dataset else dataset


def _write_npz(dataset: xarray.Dataset, path: Path) -> None:
    layout = {
        "dims": {name: list(map(str, dataset[name].dims)) for name in map(str, dataset.variables)},
        "coords": list(map(str, dataset.coords)),
        "attrs": dataset.attrs,
    }
    arrays: dict[str, Any] = {str(name): dataset[name].values for name in dataset.variables}
    np.savez_compressed(path, _layout=np.array(json.dumps(layout)), **arrays)


def _read_npz(path: Path) -> xarray.Dataset:
    import xarray

    with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
        layout = json.loads(str(file["_layout"]))
        variables = {name: (dims, file[name]) for name, dims in layout["dims"].items()}
    coords = {name: variables.pop(name) for name in layout["coords"]}
    return xarray.Dataset(variables, coords, layout["attrs"])


def _write_csv(dataset: xarray.Dataset, path: Path) -> None:
    """One line per number: name, layer, direction, time, batch, unit, value (exact repr)."""
    dims = ("layer", "direction", "time", "batch", "unit")
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(",".join(("name", *dims, "value")) + "\n")
        for name in dataset.data_vars:
            if "time" not in dataset[name].dims:
                continue  # initial state and parameters
            frame = dataset[name].rename("value").to_dataframe().reset_index()
            frame = frame.rename(columns={"feature": "unit", "projection": "unit"})
            frame = frame.assign(name=name).reindex(columns=["name", *dims, "value"])
            frame.to_csv(file, header=False, index=False)
