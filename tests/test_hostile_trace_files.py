"""A trace's file may come from anyone: what is not a trace is refused, and nothing crashes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray
from torch import Tensor

import rnnviz
from rnnviz.cells import ElmanCell, Gates, HeldStep, as_computed
from rnnviz.errors import RnnvizError
from tests import children, forging

EXPECTED = {name: key for key, changes in forging.CHANGES.items() for name in changes}


@pytest.mark.slow
@pytest.mark.parametrize("files", ["signed_npz", "old_npz", "signed_nc"])
def test_a_changed_file_is_refused(files: str, tmp_path: Path):
    assert children.outcomes(f"tests.forging.{files}", tmp_path) == EXPECTED


@pytest.mark.parametrize("kind", ["lstm", "gru", "rnn", "projection", "peephole", "held", "masked"])
@pytest.mark.parametrize("ending", [".npz", ".nc"])
def test_an_unchanged_file_is_read(kind: str, ending: str, tmp_path: Path):
    for signed in (True, False):
        path = tmp_path / f"{signed}{ending}"
        forging.opened(kind, signed=signed).write(path)
        assert rnnviz.load_trace(path) == forging.honest(kind)


@pytest.mark.parametrize(
    ("values", "key"),
    [
        (np.ones((6, 2, 1)), "error.trace_shape"),
        (np.ones((6, 2, 2), "f4"), "error.trace_dtype"),
        (np.ones((6, 2, 2)), "error.trace_padding"),
    ],
)
def test_a_changed_gradient_of_the_input_is_refused(values: Any, key: str, tmp_path: Path):
    forged = forging.opened("masked")
    forging.put("grad_input", values)(forged)
    forged.write(tmp_path / "trace.npz")
    with pytest.raises(RnnvizError) as caught:
        rnnviz.load_trace(tmp_path / "trace.npz")
    assert caught.value.key == key


OUTSIDE, SIZE, FILE = "error.trace_outside", "error.trace_size", "error.trace_file"
ATTRIBUTE = "error.trace_attribute"
NC = {
    "external storage": OUTSIDE,
    "virtual": OUTSIDE,
    "external link": OUTSIDE,
    "soft link": OUTSIDE,
    "broken link": OUTSIDE,
    "group": OUTSIDE,
    "group in a circle": OUTSIDE,
    "type": OUTSIDE,
    "filter": OUTSIDE,
    "scaled": OUTSIDE,
    "references": FILE,
    "texts": FILE,
    "no values": FILE,
    "unwritten": SIZE,
    "wide chunk": SIZE,
    "attribute of two": ATTRIBUTE,
    "attribute of many texts": ATTRIBUTE,
    "attribute of none": ATTRIBUTE,
    "attribute that refers": ATTRIBUTE,
    "attributes": FILE,
    "compressed": "accepted",
}
NPZ = {
    "bomb": SIZE,
    "bomb beside": SIZE,
    "more than is there": FILE,
    "less than is there": FILE,
    "objects": FILE,
    "fields": FILE,
    "no header": FILE,
    "another array": FILE,
    "another file": FILE,
    "deep layout": FILE,
    "layout of another kind": FILE,
    "layout that is a number": FILE,
    "coordinates of every kind": FILE,
    "attribute of two": ATTRIBUTE,
}


@pytest.mark.slow
@pytest.mark.parametrize(("files", "expected"), [("hostile_nc", NC), ("hostile_npz", NPZ)])
def test_a_file_that_reaches_elsewhere_is_refused(
    files: str, expected: dict[str, str], tmp_path: Path
):
    assert children.outcomes(f"tests.forging.{files}", tmp_path) == expected


@pytest.mark.parametrize("ending", [".npz", ".nc"])
def test_the_size_limit(ending: str, tmp_path: Path):
    trace, path = forging.honest(), tmp_path / f"trace{ending}"
    trace.save(path)
    assert rnnviz.load_trace(path, max_bytes=2 * trace.nbytes + 20_000) == trace
    with pytest.raises(rnnviz.RnnvizError) as error:
        rnnviz.load_trace(path, max_bytes=1000)
    declared = int(str(error.value.values["declared"]))
    assert str(error.value) == (
        f'"trace{ending}" declares {declared:,} bytes of arrays; the limit is 1,000. If you '
        f"trust the file, pass max_bytes={declared} to load_trace."
    )
    assert rnnviz.load_trace(path, max_bytes=declared) == trace


@pytest.mark.parametrize("ending", [".npz", ".nc"])
def test_a_changed_number_is_damage(ending: str, tmp_path: Path):
    forged, path = forging.opened(), tmp_path / f"trace{ending}"
    forged.write(path)
    arrays = forged.arrays | {"forget_gate": forged.arrays["forget_gate"] + 1e-16}
    forged.signed = False
    forged.attributes["checksum"] = "0" * 64
    for changed in (forged, forging.Forged(arrays, forged.attributes, signed=False)):
        changed.write(path)
        with pytest.raises(rnnviz.RnnvizError) as error:
            rnnviz.load_trace(path)
        assert str(error.value) == (
            f'"trace{ending}" is damaged: its content does not match its checksum. Copy the file '
            "from its source again, or save the trace again."
        )


@pytest.mark.parametrize("ending", [".npz", ".nc"])
def test_a_file_without_its_checksum_is_refused(ending: str, tmp_path: Path):
    forged, path = forging.opened(), tmp_path / f"trace{ending}"
    forged.signed = False
    forged.write(path)
    with pytest.raises(rnnviz.RnnvizError) as error:
        rnnviz.load_trace(path)
    assert error.value.key == FILE


def test_what_was_expected_and_what_came(tmp_path: Path):
    forged, path = forging.opened(), tmp_path / "trace.npz"
    forged.arrays["parameter_weight_hh_l0"] = np.zeros((8, 8))
    forged.write(path)
    with pytest.raises(rnnviz.RnnvizError) as error:
        rnnviz.load_trace(path)
    assert str(error.value) == (
        'weight_hh_l0 has shape (8, 8); expected (32, 8) for the cell "lstm" with hidden size 8. '
        "Pass a parameter of that shape, or create a module of other sizes."
    )


@pytest.mark.slow
def test_random_damage(tmp_path: Path):
    code = "from tests import fuzz_trace_files as f; from pathlib import Path; import sys; "
    result = children.run(code + "f.main(0, 150, Path(sys.argv[1]))", str(tmp_path))
    assert result.returncode == 0, result.stdout + result.stderr
    outcomes = {line.rpartition(" ")[0] for line in result.stdout.splitlines()}
    assert {"flipped.nc: error.trace_checksum", "flipped.npz: error.trace_file"} <= outcomes
    assert {"flipped.npz: equal", "changed: used"} <= outcomes


def test_a_byte_on_which_hdf5_never_ends(tmp_path: Path):
    path = tmp_path / "trace.nc"
    forging.honest("gru").save(path)
    content = bytearray(path.read_bytes())
    for place in range(0, len(content) - 40, 97):
        content[place] ^= 4
        path.write_bytes(content)
        with pytest.raises(rnnviz.RnnvizError) as error:
            rnnviz.load_trace(path)
        assert error.value.key == "error.trace_checksum"
        content[place] ^= 4


def test_other_readers_of_netcdf_read_it(tmp_path: Path):
    trace, path = forging.honest(), tmp_path / "trace.nc"
    trace.save(path)
    with xarray.open_dataset(path, engine="h5netcdf") as dataset:
        assert dataset.drop_attrs().identical(trace.to_xarray().drop_attrs())
        assert dataset.attrs["cell"] == "lstm"
        dataset.load().to_netcdf(tmp_path / "again.nc", engine="h5netcdf")
    assert rnnviz.load_trace(tmp_path / "again.nc") == trace


class Named(ElmanCell):
    """A cell of one's own that records more than its form does."""

    def step(self, x: Tensor, state: Tensor, held: HeldStep = as_computed) -> tuple[Tensor, Gates]:
        h, gates = super().step(x, state, held)
        return h, {**gates, "slope": 1 - h * h, "slope_preactivation": 2 * h}


@pytest.mark.parametrize("ending", [".npz", ".nc"])
def test_a_cell_of_ones_own_comes_back_with_its_own_names(ending: str, tmp_path: Path):
    torch.manual_seed(0)
    trace = rnnviz.trace(Named(2, 3).double(), torch.randn(4, 2, 2).double(), loss="last")
    assert "grad_slope_preactivation" in trace
    trace.save(tmp_path / f"trace{ending}")
    assert rnnviz.load_trace(tmp_path / f"trace{ending}") == trace
