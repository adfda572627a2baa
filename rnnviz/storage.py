"""Traces as files: netCDF (.nc), NumPy (.npz) and long-form tables (.csv).

Files are untrusted: the memory they need is computed before any array is read, links out of the
file are refused, and no code in it runs. ``trace_check`` checks what the arrays mean.
"""

from __future__ import annotations

import hashlib
import json
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnviz.atomic_file import replace_file, write_bytes
from rnnviz.errors import RnnvizError, at_least
from rnnviz.file_paths import check_readable, check_writable, read_path

if TYPE_CHECKING:
    import h5py
    import xarray

Array = NDArray[Any]

WRITABLE = (".nc", ".npz", ".csv")
READABLE = (".nc", ".npz")
# Written as the attribute "format_version"; files of version 0 have none, and no checksum.
FORMAT_VERSION = 2  # 2: activations, own steps, masks, gradients of the final state
VERSION, CHECKSUM = "format_version", "checksum"
COORDINATES = {"layer", "direction", "time", "batch", "unit", "projection", "feature"}
SEAL = b"\0rnnviz\0"  # appended to a .nc file, followed by the SHA-256 of all bytes before it
LAYOUT = "_layout"  # array of an .npz with what netCDF has itself: axes, coordinates, attributes
FILTERS = {1, 2, 3}  # of HDF5: deflate, shuffle, fletcher32
ATTRIBUTES = 100  # limit, far more than a trace has
ROOM, RATIO = 2**28, 64  # a file may expand to ROOM bytes plus RATIO times its own size


class Stored(NamedTuple):
    """The content of a trace's file, in the file's order: arrays and attributes by name."""

    arrays: dict[str, Array]
    attributes: dict[str, str | int | float]


def write_dataset(dataset: xarray.Dataset, path: str | Path) -> None:
    """Writes a dataset atomically in the format of the path's suffix.

    RnnvizError for a path that no file can have, or where none may be written; OSError for what
    goes wrong while writing, as on a full disk.
    """
    path = read_path(path, WRITABLE)
    check_writable(path)
    try:
        _write(dataset, path)
    except (FileNotFoundError, PermissionError) as error:
        raise RnnvizError("error.path_write", path=str(path), why=error.strerror) from error


def _write(dataset: xarray.Dataset, path: Path) -> None:
    if path.suffix == ".csv":
        replace_file(path, lambda file: _write_csv(dataset, file))
        return
    arrays = {str(name): dataset[name].values for name in dataset.data_vars}
    attributes = {str(name): value for name, value in dataset.attrs.items()}
    attributes[VERSION] = FORMAT_VERSION
    attributes[CHECKSUM] = digest_of(Stored(arrays, attributes))
    dataset = dataset.assign_attrs(attributes)
    if path.suffix == ".npz":
        replace_file(path, lambda file: _write_npz(dataset, file))
    else:  # in memory first: HDF5 crashes on a full disk
        content = bytes(dataset.to_netcdf(engine="h5netcdf"))
        write_bytes(path, content + SEAL + hashlib.sha256(content).digest())


def read_stored(path: str | Path, max_bytes: int | None = None) -> Stored:
    """The content of a file that ``write_dataset`` wrote as .nc or .npz, in today's format.

    max_bytes: memory that the arrays may take; None for 256 MiB and 64 times the file's size.
    RnnvizError for more than that, for a limit that is no integer above 0, for a file that is
    missing or damaged, refers to data outside itself, or has a newer format than this release's.
    """
    path = read_path(path, READABLE)
    given = None if max_bytes is None else at_least(1, "max_bytes", max_bytes)
    check_readable(path)
    limit = ROOM + RATIO * path.stat().st_size if given is None else given
    try:
        stored = (_read_nc if path.suffix == ".nc" else _read_npz)(path, limit)
        if VERSION not in stored.attributes:
            return _from_version_0(stored)
        _check_checksum(path, stored)
    except RnnvizError:
        raise
    except Exception as error:  # a damaged file can raise anything
        raise RnnvizError("error.trace_file", path=path.name) from error
    own = (VERSION, CHECKSUM)
    return stored._replace(attributes={n: v for n, v in stored.attributes.items() if n not in own})


def _check_checksum(path: Path, stored: Stored) -> None:
    if stored.attributes[CHECKSUM] != digest_of(stored):
        raise RnnvizError("error.trace_checksum", path=path.name)


def digest_of(stored: Stored) -> str:
    """SHA-256 over the other attributes and every array's name, type, shape and bytes.

    >>> digest_of(Stored({}, {"cell": "gru"}))[:8]
    'a57a6d39'
    """
    attributes = {name: value for name, value in stored.attributes.items() if name != CHECKSUM}
    found = hashlib.sha256(json.dumps(attributes, sort_keys=True).encode())
    for name, values in sorted(stored.arrays.items()):
        found.update(json.dumps([name, values.dtype.str, values.shape]).encode())
        found.update(np.ascontiguousarray(values).data)
    return found.hexdigest()


def _check_version(path: Path, attributes: Mapping[str, Any]) -> None:
    """Called before anything else is checked, since a newer format may differ in all of it."""
    version = attributes.get(VERSION, 0)
    if type(version) is not int or version < 0:
        raise ValueError(f"{VERSION} {version}")
    if version > FORMAT_VERSION:
        raise RnnvizError(
            "error.trace_version", path=path.name, came=version, expected=FORMAT_VERSION
        )


def _from_version_0(stored: Stored) -> Stored:
    """The content with the name that version 1 gave to ∂ℓ/∂output."""
    renamed = {"injected": "output_grad"}
    arrays = {renamed.get(name, name): values for name, values in stored.arrays.items()}
    return stored._replace(arrays=arrays)


def _check_size(path: Path, declared: int, limit: int) -> None:
    if declared > limit:
        raise RnnvizError("error.trace_size", path=path.name, declared=declared, limit=limit)


def _write_npz(dataset: xarray.Dataset, file: BinaryIO) -> None:
    layout = {
        "dims": {name: list(map(str, dataset[name].dims)) for name in map(str, dataset.variables)},
        "coords": list(map(str, dataset.coords)),
        "attrs": dataset.attrs,
    }
    arrays: dict[str, Any] = {str(name): dataset[name].values for name in dataset.variables}
    np.savez_compressed(file, _layout=np.array(json.dumps(layout)), **arrays)


def _read_npz(path: Path, limit: int) -> Stored:
    with zipfile.ZipFile(path) as file:
        members = {part.filename.removesuffix(".npy"): part for part in file.infolist()}
        _check_size(path, sum(part.file_size for part in file.infolist()), limit)
        layout = json.loads(str(_read_npy(file, members.pop(LAYOUT))))
        _check_version(path, layout["attrs"])
        names, coordinates = list(layout["dims"]), set(layout["coords"])
        if set(names) != set(members) or not coordinates <= COORDINATES & set(names):
            raise ValueError("the arrays are not those of the layout")
        arrays = {n: _read_npy(file, members[n]) for n in names if n not in coordinates}
    return Stored(arrays, _plain(layout["attrs"]))


def _read_npy(file: zipfile.ZipFile, member: zipfile.ZipInfo) -> Array:
    """One array; its header must agree with the size in the zip before memory is allocated."""
    with file.open(member) as opened:
        version = np.lib.format.read_magic(opened)
        headers = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }
        shape, in_columns, dtype = headers[version](opened)
        size = math.prod(shape) * dtype.itemsize
        if dtype.kind not in "fiuU" or size != member.file_size - opened.tell():
            raise ValueError(f"{member.filename}: {dtype} {shape} in {member.file_size} bytes")
        values = np.frombuffer(opened.read(), dtype)
    return np.asarray(values.reshape(shape, order="F" if in_columns else "C"), order="C")


def _read_nc(path: Path, limit: int) -> Stored:
    import h5py

    _check_file_bytes(path)
    with h5py.File(path, "r") as file:
        attributes = _attributes(file)
        _check_version(path, attributes)
        found = {name: _dataset(path, file, name) for name in map(str, file)}
        datasets = {n: d for n, d in found.items() if not h5py.h5ds.is_scale(d.id)}
        _check_size(path, sum(map(_declared, datasets.values())), limit)
        arrays = {name: np.asarray(dataset[()]) for name, dataset in datasets.items()}
        return Stored(arrays, _plain(attributes))


def _check_file_bytes(path: Path) -> None:
    """RnnvizError for a damaged file, on which HDF5 may never return; other files have no seal."""
    with path.open("rb") as file:
        end = len(SEAL) + hashlib.sha256().digest_size
        length = max(path.stat().st_size - end, 0)
        file.seek(length)
        seal = file.read()
        if not seal.startswith(SEAL):
            return
        file.seek(0)
        found = hashlib.sha256()
        while length and (part := file.read(min(length, 2**20))):
            found.update(part)
            length -= len(part)
    if found.digest() != seal.removeprefix(SEAL):
        raise RnnvizError("error.trace_checksum", path=path.name)


def _dataset(path: Path, file: h5py.File, name: str) -> h5py.Dataset:
    """A dataset stored in this file; RnnvizError for a link or anything else."""
    import h5py

    link = file.get(name, getlink=True)
    came = type(link).__name__
    if isinstance(link, h5py.HardLink):
        found = file[name]
        came = type(found).__name__
        if isinstance(found, h5py.Dataset):
            properties = found.id.get_create_plist()
            outside = properties.get_external_count()
            virtual = properties.get_layout() == h5py.h5d.VIRTUAL
            filters = {properties.get_filter(k)[0] for k in range(properties.get_nfilters())}
            if not outside and not virtual and filters <= FILTERS:
                return found
            came = "external storage" if outside else "virtual" if virtual else f"filter {filters}"
    raise RnnvizError("error.trace_outside", path=path.name, name=name, came=came)


def _declared(dataset: h5py.Dataset) -> int:
    """Bytes that reading allocates; ValueError for anything but numbers."""
    if dataset.shape is None or dataset.dtype.kind not in "fiu":
        raise ValueError(f"{dataset.name} holds no numbers")
    chunk = dataset.chunks or ()
    return (math.prod(dataset.shape) + math.prod(chunk)) * dataset.dtype.itemsize


def _attributes(file: h5py.File) -> dict[str, Any]:
    if len(file.attrs) > ATTRIBUTES:
        raise ValueError("too many attributes")
    names = [name for name in file.attrs if not name.startswith("_")]
    # Shapes first: a short file can refer to one long text many times.
    single = [name for name in names if file.attrs.get_id(name).shape in ((), (1,))]
    read = {name: np.asarray(file.attrs[name]).reshape(()).item() for name in single}
    return {name: read.get(name) for name in names}


def _plain(attributes: Mapping[str, Any]) -> dict[str, str | int | float]:
    """The attributes, each one text or number; RnnvizError for any other."""
    found: dict[str, str | int | float] = {}
    for name, value in attributes.items():
        value = value.decode() if isinstance(value, bytes) else value
        if not isinstance(value, str | int | float):
            came = type(value).__name__
            raise RnnvizError(
                "error.trace_attribute", name=name, came=came, expected="str, int, float"
            )
        found[name] = value
    return found


def _write_csv(dataset: xarray.Dataset, file: BinaryIO) -> None:
    """One line per number: name, layer, direction, time, batch, unit, value (exact repr)."""
    dims = ("layer", "direction", "time", "batch", "unit")
    file.write((",".join(("name", *dims, "value")) + "\n").encode())
    for name in dataset.data_vars:
        if "time" not in dataset[name].dims:
            continue  # initial state and parameters
        frame = dataset[name].rename("value").to_dataframe().reset_index()
        frame = frame.rename(columns={"feature": "unit", "projection": "unit"})
        frame = frame.assign(name=name).reindex(columns=["name", *dims, "value"])
        frame.to_csv(file, header=False, index=False, mode="wb", encoding="utf-8")
