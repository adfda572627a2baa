"""Each test draws the same random numbers, in any order and with any other tests."""

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.seeds import seed_by, seeded_by, states

ROOT = Path(__file__).resolve().parent.parent

SAMPLE = '''
"""
>>> draw("doctest")
"""
import os
import random
from pathlib import Path

import numpy as np
import pytest
import torch


def draw(name):
    drawn = torch.rand(1).item(), np.random.rand(), random.random()
    Path(os.environ["DRAWN"], name).write_text(repr(drawn))


@pytest.fixture(scope="module")
def shared():
    draw("fixture")


@pytest.mark.parametrize("number", range(3))
def test_plain(number):
    draw(f"plain {number}")


def test_with_the_fixture(shared):
    draw("with the fixture")


def test_that_asks_late(request):
    draw("before")
    request.getfixturevalue("shared")
    draw("after")
'''
AT_IMPORT = """
import os
from pathlib import Path

import numpy as np
import torch

AT_IMPORT = torch.rand(1).item(), np.random.rand()


def test_what_was_drawn_at_import():
    Path(os.environ["DRAWN"], f"{__name__} at import").write_text(repr(AT_IMPORT))
"""


def drawn_by(folder: Path, *options: str) -> dict[str, str]:
    """The numbers that a folder's tests draw, run by pytest with this project's conftest.py."""
    drawn = folder / "drawn"
    drawn.mkdir()
    command = [sys.executable, "-m", "pytest", "-q", "-p", "conftest", "-p", "no:cacheprovider"]
    result = subprocess.run(
        [*command, "--rootdir", str(folder), *options],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "DRAWN": str(drawn)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    found = {path.name: path.read_text() for path in drawn.iterdir()}
    shutil.rmtree(drawn)
    return found


@pytest.mark.slow
def test_order_selection_and_process_do_not_change_the_draws(tmp_path: Path):
    (tmp_path / "test_sample.py").write_text(SAMPLE)
    for name in ("test_first.py", "test_later.py"):
        (tmp_path / name).write_text(AT_IMPORT)
    every = drawn_by(tmp_path, "--doctest-modules")
    assert len(every) == len(set(every.values())) == 10
    shuffled = drawn_by(tmp_path, "--doctest-modules", "--random-order-seed=1", "-n", "2")
    assert shuffled == every
    for alone in ("test_sample.py::test_that_asks_late", "test_later.py"):
        drawn = drawn_by(tmp_path, alone)
        assert drawn == {name: every[name] for name in drawn}


def test_this_test_is_seeded_by_its_own_name(request: pytest.FixtureRequest):
    drawn = torch.rand(1), np.random.rand(), random.random()  # noqa: NPY002
    seed_by(request.node.nodeid)
    assert drawn == (torch.rand(1), np.random.rand(), random.random())  # noqa: NPY002


def test_a_seeded_block_does_not_change_later_draws():
    before = states()
    with seeded_by("block"):
        first = torch.rand(1), np.random.rand(), random.random()  # noqa: NPY002
    with seeded_by("block"):
        assert first == (torch.rand(1), np.random.rand(), random.random())  # noqa: NPY002
    torch_state, legacy_state, random_state = states()
    assert torch.equal(torch_state, before[0])
    assert str(legacy_state) == str(before[1])
    assert random_state == before[2]
