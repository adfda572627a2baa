"""Files that no Trace.save wrote: traces with one thing changed, and files that reach elsewhere."""

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from torch import nn

import rnnviz
from rnnviz.cells import GRUCell, LSTMCell
from rnnviz.storage import CHECKSUM, FORMAT_VERSION, VERSION, Stored, digest_of

Change = Callable[["Forged"], Any]


@dataclass
class Forged:
    """The content of a trace's file, free to change; signed files get a matching checksum."""

    arrays: dict[str, Any]
    attributes: dict[str, Any]
    signed: bool = True
    outside: list[Callable[[h5py.File], Any]] = field(default_factory=list)

    def write(self, path: Path) -> None:
        """As .npz or .nc, by the ending."""
        attributes = dict(self.attributes)
        if self.signed:
            arrays = {name: np.asarray(values) for name, values in self.arrays.items()}
            attributes[CHECKSUM] = digest_of(Stored(arrays, attributes))
        if path.suffix == ".npz":
            dims = {name: [] for name in self.arrays}
            layout = json.dumps({"dims": dims, "coords": [], "attrs": attributes})
            np.savez(path, _layout=np.array(layout), **self.arrays)
            return
        with h5py.File(path, "w", track_order=True) as file:
            for name, values in self.arrays.items():
                file.create_dataset(name, data=values)
            for name, value in attributes.items():
                file.attrs[name] = value
            for change in self.outside:
                change(file)


@cache
def honest(kind: str = "lstm") -> rnnviz.Trace:
    """A small trace of each kind, with lengths and a loss."""
    torch.manual_seed(0)
    x = torch.randn(6, 2, 2).double()
    options: dict[str, Any] = {"lengths": [6, 3], "loss": "last"}
    if kind == "projection":
        return rnnviz.trace(
            nn.LSTM(2, 8, 2, proj_size=3, bidirectional=True).double(), x, **options
        )
    if kind == "peephole":
        cells = [[LSTMCell(2, 8, peephole=True).double()]]
        return rnnviz.trace(rnnviz.Recurrent(cells), x, **options)
    if kind == "masked":
        cells = [[GRUCell(2, 8).double()], [GRUCell(8, 5).double()]]
        options = {"mask": torch.randn(6, 2) < 0.5, "loss": "final"}
        return rnnviz.trace(rnnviz.Recurrent(cells), x, **options)
    if kind == "held":
        hold = {"update_gate": rnnviz.Hold(1.0, start=2)}
        return rnnviz.trace(nn.GRU(2, 8).double(), x, hold=hold, **options)
    return rnnviz.trace(
        {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}[kind](2, 8).double(), x, **options
    )


def opened(kind: str = "lstm", *, signed: bool = True) -> Forged:
    """A trace's file to change; not signed: in format version 0."""
    dataset = honest(kind).to_xarray()
    arrays = {str(name): dataset[name].values.copy() for name in dataset.data_vars}
    attributes: dict[str, Any] = {str(name): value for name, value in dataset.attrs.items()}
    if signed:
        attributes[VERSION] = FORMAT_VERSION
    else:
        arrays.pop("grad_input")
        for name in ("names", "batched", "is_cell", "dtype"):
            del attributes[name]
    return Forged(arrays, attributes, signed)


def put(name: str, values: Any) -> Change:
    return lambda forged: forged.arrays.update({name: values})


def cut(name: str, *places: Any) -> Change:
    def change(forged: Forged) -> None:
        forged.arrays[name] = np.ascontiguousarray(forged.arrays[name][places])

    return change


def cast(name: str, dtype: str) -> Change:
    return lambda forged: forged.arrays.update({name: forged.arrays[name].astype(dtype)})


def drop(name: str) -> Change:
    return lambda forged: forged.arrays.pop(name)


def say(name: str, value: Any) -> Change:
    return lambda forged: forged.attributes.update({name: value})


def unsay(name: str) -> Change:
    return lambda forged: forged.attributes.pop(name)


def masked(mask: Any) -> Change:
    """With a mask in place of the lengths."""

    def change(forged: Forged) -> None:
        del forged.arrays["lengths"]
        forged.arrays["mask"] = mask

    return change


def final_grad(values: Any) -> Change:
    names = ("final_grad_hidden_state", "final_grad_cell_state")
    return lambda forged: forged.arrays.update(dict.fromkeys(names, values))


ALL = slice(None)

# By the key of the error: changes to the trace of an LSTM(2, 8) over 6 steps of 2 sequences.
CHANGES: dict[str, dict[str, Change]] = {
    "error.trace_lengths": {
        "a length beyond the end": put("lengths", np.array([60, 3])),
        "a length of 0": put("lengths", np.array([6, 0])),
        "a negative length": put("lengths", np.array([6, -3])),
        "lengths as floats": put("lengths", np.array([6.0, 3.0])),
        "lengths in 32 bits": put("lengths", np.array([6, 3], np.int32)),
        "one length": put("lengths", np.array([6])),
        "lengths in two axes": put("lengths", np.array([[6, 3]])),
    },
    "error.trace_padding": {
        "a shorter length": put("lengths", np.array([5, 3])),
        "a gradient behind the end": put("output_grad", np.ones((6, 2, 8))),
    },
    "error.parameter_shape": {
        "weights of fewer rows": cut("parameter_weight_hh_l0", slice(8)),
        "weights of fewer columns": cut("parameter_weight_hh_l0", ALL, slice(3)),
        "weights of more rows": put("parameter_weight_hh_l0", np.zeros((64, 8))),
        "weights of one axis": cut("parameter_weight_hh_l0", 0),
        "input weights of more columns": put("parameter_weight_ih_l0", np.zeros((32, 5))),
        "a short bias": cut("parameter_bias_hh_l0", slice(1)),
    },
    "error.parameter_missing": {
        "no recurrent weights": drop("parameter_weight_hh_l0"),
        "peepholes without weights": say("peephole", 1),
    },
    "error.parameter_extra": {
        "a projection of no size": put("parameter_weight_hr_l0", np.zeros((8, 8))),
        "a second layer's weights": put("parameter_weight_hh_l1", np.zeros((32, 8))),
        "weights of another name": put("parameter_x", np.zeros(3)),
    },
    "error.trace_shape": {
        "a shorter gate": cut("forget_gate", ALL, ALL, slice(5)),
        "a gate of fewer units": cut("forget_gate", ..., slice(7)),
        "a gate of fewer sequences": cut("output_gate", ALL, ALL, ALL, slice(1)),
        "a gate without axes": put("input_gate", np.array(1.0)),
        "an empty state": put("hidden_state", np.zeros((1, 1, 0, 2, 8))),
        "a shorter state": cut("hidden_state", ALL, ALL, slice(2)),
        "a narrower cell state": cut("cell_state", ..., slice(2)),
        "a state of four axes": cut("hidden_state", 0),
        "a shorter input": cut("input", slice(2)),
        "a shorter gradient": cut("grad_cell_state", ALL, ALL, slice(2)),
        "a short initial state": cut("initial_cell_state", ..., slice(1)),
        "an initial state of one sequence": cut("initial_hidden_state", ALL, ALL, slice(1)),
        "a short gradient of the initial state": cut("initial_grad_cell_state", ..., slice(1)),
        "a shorter gradient of the output": cut("output_grad", slice(2)),
        "a narrower gradient of the output": cut("output_grad", ..., slice(2)),
        "a gradient of the final state, too narrow": final_grad(np.ones((1, 1, 2, 3))),
        "a gradient of the final state of one sequence": final_grad(np.ones((1, 1, 1, 8))),
        "a short mask": masked(np.ones((5, 2), np.int8)),
        "a mask of one sequence": masked(np.ones((6, 1), np.int8)),
        "what is held, too short": put("held_cell_state", np.ones((1, 1, 2, 8))),
        "what is held, too narrow": put("held_cell_state", np.ones((1, 1, 6, 2))),
    },
    "error.trace_dtype": {
        "a gate in float32": cast("forget_gate", "f4"),
        "a gate of whole numbers": cast("forget_gate", "i8"),
        "a gate of the other byte order": cast("forget_gate", ">f8"),
        "a state in float16": cast("hidden_state", "f2"),
        "a gradient in float32": cast("grad_cell_state", "f4"),
        "weights in float32": cast("parameter_weight_hh_l0", "f4"),
        "weights of whole numbers": cast("parameter_weight_hh_l0", "i4"),
        "a gradient of the output in float32": cast("output_grad", "f4"),
        "a mask of floats": masked(np.ones((6, 2))),
        "a mask of other numbers": masked(np.full((6, 2), 2, np.int8)),
        "a gradient of the final state in float32": final_grad(np.ones((1, 1, 2, 8), "f4")),
        "what is held in float32": put("held_cell_state", np.ones((1, 1, 6, 8), "f4")),
    },
    "error.trace_lacks": {
        "no gate": drop("forget_gate"),
        "no cell state": drop("cell_state"),
        "no gradient of the state": drop("grad_hidden_state"),
        "no initial state": drop("initial_cell_state"),
        "no gradient of the initial state": drop("initial_grad_hidden_state"),
        "no gradient of the output": drop("output_grad"),
        "a gradient of another final state": put("final_grad_another", np.ones((1, 1, 2, 8))),
        "a gradient of h_n alone": put("final_grad_hidden_state", np.ones((1, 1, 2, 8))),
    },
    "error.trace_extra": {
        "another array": put("another", np.zeros((1, 1, 6, 2, 8))),
        "another gradient": put("grad_another", np.zeros((1, 1, 6, 2, 8))),
        "another initial state": put("initial_another", np.zeros((1, 1, 2, 8))),
        "a gradient of the output without a loss": unsay("loss"),
        "a mask beside lengths": put("mask", np.ones((6, 2), np.int8)),
    },
    "error.trace_attribute": {
        "a cell that is a number": say("cell", 5),
        "a cell that is not known": say("cell", "gpt"),
        "a nonlinearity that is not known": say("nonlinearity", "swish"),
        "a nonlinearity of an LSTM": say("nonlinearity", "relu"),
        "half a peephole": say("peephole", 0.5),
        "two peepholes": say("peephole", 2),
        "a reset of an LSTM": say("reset_after", 0),
        "a loss that is a text": say("loss", "high"),
        "an error that is a text": say("replay_error", "small"),
        "a negative error": say("replay_error", -1.0),
        "an error that is no number": say("replay_error", float("nan")),
        "a module that is a number": say("module_repr", 3),
        "two sequences without a batch": say("batched", 0),
        "half a cell": say("is_cell", 0.5),
        "another dtype": say("dtype", "float32"),
        "a dtype that is no dtype": say("dtype", "nn"),
        "held by another name": put("held_another", np.ones((1, 1, 6, 8))),
    },
    "error.hold_value": {
        "a gate held above 1": put("held_forget_gate", np.full((1, 1, 6, 8), 2.0)),
    },
    "error.trace_version": {
        "a newer format": say(VERSION, FORMAT_VERSION + 1),
    },
    "error.trace_file": {
        "a negative version": say(VERSION, -1),
        "a version that is a text": say(VERSION, "new"),
        "no cell": unsay("cell"),
        "no input": drop("input"),
        "no state": drop("hidden_state"),
    },
}


def use(path: Path) -> None:
    """Loads a trace and calls what enters compiled code with its arrays."""
    trace = rnnviz.load_trace(path)
    rnnviz.diagnose(trace)
    rnnviz.gradient_norms(trace)
    rnnviz.jacobians(trace)
    rnnviz.plain_pass(trace)


def changed_files(folder: Path, ending: str, *, signed: bool) -> dict[str, Callable[[], Any]]:
    calls: dict[str, Callable[[], Any]] = {}
    for changes in CHANGES.values():
        for name, change in changes.items():
            forged = opened(signed=signed)
            change(forged)
            path = folder / f"{name}{ending}"
            forged.write(path)
            calls[name] = partial(use, path)
    return calls


def signed_npz(folder: Path) -> dict[str, Callable[[], Any]]:
    return changed_files(folder, ".npz", signed=True)


def old_npz(folder: Path) -> dict[str, Callable[[], Any]]:
    return changed_files(folder, ".npz", signed=False)


def signed_nc(folder: Path) -> dict[str, Callable[[], Any]]:
    return changed_files(folder, ".nc", signed=True)


def _chunked(file: h5py.File, **options: Any) -> None:
    values = opened().arrays["forget_gate"]
    del file["forget_gate"]
    file.create_dataset("forget_gate", data=values, chunks=values.shape, **options)


def _outside_storage(secret: Path, file: h5py.File) -> None:
    del file["parameter_bias_ih_l0"]
    options = {"shape": (32,), "dtype": "f8", "external": [(str(secret), 0, 256)]}
    file.create_dataset("parameter_bias_ih_l0", **options)


def _virtual(secret: Path, file: h5py.File) -> None:
    del file["parameter_bias_ih_l0"]
    layout = h5py.VirtualLayout((32,), "f8")
    layout[:] = h5py.VirtualSource(secret.with_suffix(".h5"), "secret", shape=(32,))
    file.create_virtual_dataset("parameter_bias_ih_l0", layout)


def _link(link: Any, file: h5py.File) -> None:
    del file["parameter_bias_ih_l0"]
    file["parameter_bias_ih_l0"] = link


def _references(file: h5py.File) -> None:
    del file["parameter_bias_ih_l0"]
    values = np.array([file["input"].ref] * 32, h5py.ref_dtype)
    file.create_dataset("parameter_bias_ih_l0", data=values)


def _texts(file: h5py.File) -> None:
    del file["parameter_bias_ih_l0"]
    file.create_dataset("parameter_bias_ih_l0", data=["x" * 1000] * 32)


def _unwritten(file: h5py.File) -> None:
    """Declared and never written: no bytes in the file, and zeros when it is read."""
    del file["parameter_bias_ih_l0"]
    file.create_dataset("parameter_bias_ih_l0", (2**30,), "f8")


def _wide_chunk(file: h5py.File) -> None:
    del file["parameter_bias_ih_l0"]
    file.create_dataset("parameter_bias_ih_l0", (32,), "f8", chunks=(2**26,), maxshape=(None,))


def _attribute(value: Any, file: h5py.File) -> None:
    del file.attrs["loss"]
    file.attrs["loss"] = value


def hostile_nc(folder: Path) -> dict[str, Callable[[], Any]]:
    """Files that reach outside themselves, or need far more memory than they have bytes."""
    secret = folder / "secret"
    secret.write_bytes(np.full(32, 42.0).tobytes())
    with h5py.File(secret.with_suffix(".h5"), "w") as file:
        file["secret"] = np.full(32, 42.0)
    changes: dict[str, Callable[[h5py.File], Any]] = {
        "external storage": partial(_outside_storage, secret),
        "virtual": partial(_virtual, secret),
        "external link": partial(
            _link, h5py.ExternalLink(str(secret.with_suffix(".h5")), "secret")
        ),
        "soft link": partial(_link, h5py.SoftLink("/parameter_bias_hh_l0")),
        "broken link": partial(_link, h5py.SoftLink("/nothing")),
        "group": lambda file: file.create_group("group"),
        "group in a circle": lambda file: file.__setitem__("circle", file["/"]),
        "type": lambda file: file.__setitem__("type", np.dtype("f8")),
        "filter": partial(_chunked, compression="lzf"),
        "scaled": partial(_chunked, scaleoffset=3),
        "references": _references,
        "texts": _texts,
        "no values": lambda file: file.create_dataset("more", data=h5py.Empty("f8")),
        "unwritten": _unwritten,
        "wide chunk": _wide_chunk,
        "attribute of two": partial(_attribute, [1.0, 2.0]),
        "attribute of many texts": partial(_attribute, ["x" * 1000] * 1000),
        "attribute of none": partial(_attribute, h5py.Empty("f8")),
        "attribute that refers": lambda file: _attribute(file["input"].ref, file),
        "attributes": lambda file: [file.attrs.__setitem__(f"a{k}", k) for k in range(200)],
        "compressed": partial(_chunked, compression="gzip", shuffle=True, fletcher32=True),
    }
    calls: dict[str, Callable[[], Any]] = {}
    for name, change in changes.items():
        forged, path = opened(signed=False), folder / f"{name}.nc"
        forged.outside.append(change)
        forged.write(path)
        calls[name] = partial(use, path)
    return calls


def _zipped(path: Path, members: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)


def _npy(values: Any) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asarray(values), allow_pickle=False)
    return file.getvalue()


def _header(shape: tuple[int, ...], descr: str = "<f8") -> bytes:
    file = io.BytesIO()
    header = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue()


def hostile_npz(folder: Path) -> dict[str, Callable[[], Any]]:
    """Zip files that do not hold what their headers say, or far too much."""
    good = opened(signed=False)
    dims = {name: [] for name in good.arrays}
    layout = {"dims": dims, "coords": [], "attrs": good.attributes}
    members = {f"{name}.npy": _npy(values) for name, values in good.arrays.items()}
    bias = "parameter_bias_ih_l0.npy"
    nothing = 2**29 * b"\0"
    changes: dict[str, dict[str, bytes]] = {
        "bomb": {bias: _header((2**26,)) + nothing},
        "bomb beside": {"more.npy": nothing},
        "more than is there": {bias: _header((2**40,)) + bytes(256)},
        "less than is there": {bias: _header((2,)) + bytes(256)},
        "objects": {bias: _header((32,), "|O") + bytes(256)},
        "fields": {bias: _header((16,), "<c16") + bytes(256)},
        "no header": {bias: bytes(256)},
        "another array": {"more.npy": _npy(np.zeros(3))},
        "another file": {"more.txt": b"text"},
        "deep layout": {"_layout.npy": _npy("[" * 100000)},
        "layout of another kind": {"_layout.npy": _npy(json.dumps([1, 2]))},
        "layout that is a number": {"_layout.npy": _npy(3.0)},
        "coordinates of every kind": {
            "_layout.npy": _npy(json.dumps({**layout, "coords": ["forget_gate"]}))
        },
        "attribute of two": {
            "_layout.npy": _npy(
                json.dumps({**layout, "attrs": {**good.attributes, "loss": [1, 2]}})
            )
        },
    }
    calls: dict[str, Callable[[], Any]] = {}
    for name, change in changes.items():
        path = folder / f"{name}.npz"
        _zipped(path, {"_layout.npy": _npy(json.dumps(layout)), **members, **change})
        calls[name] = partial(use, path)
    return calls
