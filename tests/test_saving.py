"""What is saved replaces the old file as a whole, or the old file stays as it was."""

import os
import threading
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest

import rnnviz
from rnnviz.atomic_file import replace_file, write_bytes
from tests import children, forging

ENDINGS = (".nc", ".npz", ".csv")

# As on a full disk, a write ends early: files may have this many bytes.
FULL = """
import resource, sys
from tests import forging
trace = forging.honest("gru")
resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))
for _ in range(3):
    try:
        trace.save(sys.argv[1])
    except OSError as error:
        print(type(error).__name__, error)
"""


@pytest.mark.slow
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_full_disk_leaves_the_file_that_was_there(ending: str, tmp_path: Path):
    path = tmp_path / f"trace{ending}"
    forging.honest().save(path)
    before = path.read_bytes()
    result = children.run(FULL, str(path))
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    assert result.stdout == 3 * f"OSError [Errno 27] File too large: '{path}'\n"
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def interrupted(file: BinaryIO) -> None:
    file.write(b"half")
    raise KeyboardInterrupt


def test_an_interruption_leaves_the_file_that_was_there(tmp_path: Path):
    path = tmp_path / "file"
    path.write_bytes(b"whole")
    with pytest.raises(KeyboardInterrupt):
        replace_file(path, interrupted)
    assert path.read_bytes() == b"whole"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_folder_that_is_not_there(ending: str, tmp_path: Path):
    path = tmp_path / "missing" / f"trace{ending}"
    with pytest.raises(rnnviz.RnnvizError) as caught:
        forging.honest().save(path)
    assert str(caught.value) == (
        f'There is no folder "{path.parent}", so there can be no file "{path}". Make the folder '
        "first, or check the path."
    )


def test_a_folder_of_that_name_stays(tmp_path: Path):
    path = tmp_path / "trace.npz"
    path.mkdir()
    with pytest.raises(rnnviz.RnnvizError, match="is a folder; expected the path of a file"):
        forging.honest().save(path)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_link_is_written_through(ending: str, tmp_path: Path):
    target, link = tmp_path / "there" / f"target{ending}", tmp_path / f"link{ending}"
    target.parent.mkdir()
    link.symlink_to(Path("there") / target.name)
    for _ in range(2):  # first the link points to nothing
        forging.honest().save(link)
        assert link.is_symlink()
        assert not target.is_symlink()
        assert target.stat().st_size > 1000
    assert list(tmp_path.glob("**/.*")) == []


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o666])
def test_permissions_are_kept(mode: int, tmp_path: Path):
    path = tmp_path / "trace.npz"
    path.touch()
    path.chmod(mode)
    forging.honest().save(path)
    assert path.stat().st_mode & 0o777 == mode


def test_a_new_file_has_the_permissions_of_any_new_file(tmp_path: Path):
    (tmp_path / "another").touch()
    write_bytes(tmp_path / "file", b"content")
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "another").stat().st_mode


def test_a_long_name(tmp_path: Path):
    path = tmp_path / ("x" * 250 + ".npz")
    forging.honest().save(path)
    assert rnnviz.load_trace(path) == forging.honest()


def test_a_pipe_is_written_into(tmp_path: Path):
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.append(pipe.read_bytes()))
    reader.start()
    forging.honest().save(pipe)
    reader.join()
    forging.honest().save(tmp_path / "file.csv")
    assert found == [(tmp_path / "file.csv").read_bytes()]
    assert pipe.is_fifo()


READER = """
import sys
from pathlib import Path
import rnnviz
path, stop = Path(sys.argv[1]), Path(sys.argv[2])
seen = set()
while not stop.exists():
    seen.add(rnnviz.load_trace(path).cell)
    stop.with_name("begun").touch()
print(sorted(seen))
"""


@pytest.mark.slow
@pytest.mark.parametrize("ending", [".nc", ".npz"])
def test_a_reader_finds_a_whole_file_while_it_is_written(ending: str, tmp_path: Path):
    path, stop = tmp_path / f"trace{ending}", tmp_path / "stop"
    first, second = forging.honest("lstm"), forging.honest("gru")
    first.save(path)
    result: list[str] = []
    arguments = (READER, str(path), str(stop))
    reader = threading.Thread(target=lambda: result.append(str(children.run(*arguments).stdout)))
    reader.start()
    while not stop.with_name("begun").exists() and reader.is_alive():
        second.save(path)
    for _ in range(8):
        first.save(path)
        second.save(path)
    stop.touch()
    reader.join()
    assert result == ["['gru', 'lstm']\n"]


def test_values_are_written_as_they_are(tmp_path: Path):
    write_bytes(tmp_path / "file", np.arange(3).tobytes())
    assert (tmp_path / "file").read_bytes() == np.arange(3).tobytes()
