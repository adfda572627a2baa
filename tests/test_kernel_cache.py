"""Compiled code that cannot be kept, or cannot be read again, is compiled; nothing fails."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import children

COMPILING = children.ROOT / "rnnviz" / "engine" / "kernels" / "compiling.py"
# The module alone: the whole library takes seconds to import.
KERNEL = f"""
import importlib.util
found = importlib.util.spec_from_file_location("compiling", {str(COMPILING)!r})
module = importlib.util.module_from_spec(found)
found.loader.exec_module(module)
compiled = module.compiled

@compiled
def inner(x):
    return x + 1

@compiled
def twice(x):
    return 2 * inner(x)
"""
# Prints what the function gives for two types, and how many of them came from the disk.
CALL = """
import sys
sys.path.insert(0, sys.argv[1])
{before}
from kernel import twice
{after}
print(twice(20), twice(1.5), sum(twice.stats.cache_hits.values()))
"""
NUMBERS = "42 5.0"


def call(folder: Path, *, before: str = "", after: str = "", **environment: str) -> str:
    """What a process of its own prints, with the kernel in this folder."""
    (folder / "kernel.py").write_text(KERNEL)
    result = children.run(CALL.format(before=before, after=after), str(folder), **environment)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def kept(folder: Path) -> list[Path]:
    """The files of the cache, which numba names by its own rules."""
    return sorted((folder / "__pycache__").glob("*.nb?"))


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def garbage(path: Path) -> None:
    path.write_bytes(os.urandom(path.stat().st_size))


def one_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)


def swapped_index(path: Path) -> None:
    """An index that names each type's code for the other type: it must not be believed."""
    if path.suffix == ".nbi":
        content = path.read_bytes()
        swapped = content.replace(b".1.nbc", b".x.nbc").replace(b".2.nbc", b".1.nbc")
        path.write_bytes(swapped.replace(b".x.nbc", b".2.nbc"))


def swapped_data(path: Path) -> None:
    """Whole files with each other's content, as two processes without locks may write them."""
    if path.name.endswith(".1.nbc"):
        other = path.with_name(path.name.replace(".1.nbc", ".2.nbc"))
        first, second = path.read_bytes(), other.read_bytes()
        path.write_bytes(second)
        other.write_bytes(first)


@pytest.mark.slow
@pytest.mark.parametrize(
    "damage", [emptied, cut_short, garbage, one_byte, swapped_index, swapped_data, Path.unlink]
)
def test_a_damaged_cache_is_made_again(damage: Callable[[Path], None], tmp_path: Path):
    assert call(tmp_path) == f"{NUMBERS} 0"
    assert call(tmp_path) == f"{NUMBERS} 2"
    files = kept(tmp_path)
    assert {path.suffix for path in files} == {".nbi", ".nbc"}
    for path in files:
        damage(path)
    assert call(tmp_path) == f"{NUMBERS} 0"
    assert call(tmp_path) == f"{NUMBERS} 2"


FULL = """
import errno
from contextlib import contextmanager
from numba.core.caching import IndexDataCacheFile
def full(*arguments):
    raise OSError(errno.ENOSPC, "No space left on device")
IndexDataCacheFile._open_for_write = full
"""
SHORT = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
"""
NO_ROOM = """
import errno, tempfile
def full(*arguments, **options):
    raise OSError(errno.ENOSPC, "No space left on device")
tempfile.TemporaryFile = full
"""
GONE = """
import shutil
shutil.rmtree(sys.argv[1] + "/__pycache__")
open(sys.argv[1] + "/__pycache__", "w").close()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("before", "after"),
    [(FULL, ""), (SHORT, ""), (NO_ROOM, ""), ("", NO_ROOM), ("", GONE)],
    ids=["full", "short", "no room", "no room later", "gone"],
)
def test_what_cannot_be_kept_is_compiled(before: str, after: str, tmp_path: Path):
    assert call(tmp_path, before=before, after=after) == f"{NUMBERS} 0"
    assert list(tmp_path.rglob("*.tmp.*")) == []
    assert list(tmp_path.rglob("*.nbc")) == []
    (tmp_path / "__pycache__").unlink() if after == GONE else None
    assert call(tmp_path) == f"{NUMBERS} 0"
    assert call(tmp_path) == f"{NUMBERS} 2"


@pytest.mark.slow
def test_without_any_place_to_keep_it(tmp_path: Path):
    (tmp_path / "__pycache__").touch()
    nowhere = str(tmp_path / "__pycache__" / "home")
    for _ in range(2):
        assert call(tmp_path, HOME=nowhere, XDG_CACHE_HOME=nowhere) == f"{NUMBERS} 0"


TRACE = """
import torch, rnnviz
torch.manual_seed(0)
trace = rnnviz.trace(torch.nn.LSTM(1, 2), torch.ones(3, 1), loss="last")
print(rnnviz.diagnose(trace).verdict)
"""


@pytest.mark.slow
def test_a_trace_with_an_emptied_cache(tmp_path: Path):
    for _ in range(2):
        result = children.run(TRACE, NUMBA_CACHE_DIR=str(tmp_path))
        assert result.stdout == "vanishing\n", result.stderr
        files = [*tmp_path.rglob("*.nb?")]
        assert files != []
        assert all(path.stat().st_size for path in files)
        for path in files:
            path.write_bytes(b"")
