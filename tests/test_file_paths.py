"""What cannot be the path of a file is refused by one kind of error, which names the cause."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import rnnviz


def refusals(path: Any) -> list[str]:
    """What saving to a path and loading from it say."""
    trace = rnnviz.trace(nn.GRU(1, 2), torch.ones(3, 1))
    found: list[str] = []
    for use in (trace.save, rnnviz.load_trace):
        with pytest.raises(rnnviz.RnnvizError) as caught:
            use(path)
        assert caught.value.message("ko") != str(caught.value)
        found.append(str(caught.value))
    return found


def test_the_home_folder_is_not_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    text = (
        'There is no folder "~/runs", so there can be no file "~/runs/a.npz"; "~" in a path is not '
        'replaced by the home folder. Pass pathlib.Path("~/runs/a.npz").expanduser().'
    )
    assert refusals("~/runs/a.npz") == [text, text]
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "runs").mkdir()
    trace = rnnviz.trace(nn.GRU(1, 2), torch.ones(3, 1))
    path = Path("~/runs/a.npz").expanduser()
    trace.save(path)
    assert rnnviz.load_trace(path) == trace


@pytest.mark.parametrize("ending", [".npz", ".nc"])
def test_paths_that_no_file_has(ending: str, tmp_path: Path):
    missing = tmp_path / "missing" / f"a{ending}"
    text = (
        f'There is no folder "{missing.parent}", so there can be no file "{missing}". Make the '
        "folder first, or check the path."
    )
    assert refusals(missing) == refusals(str(missing)) == [text, text]
    folder = tmp_path / f"folder{ending}"
    folder.mkdir()
    text = (
        f'"{folder}" is a folder; expected the path of a file. Add a file name, such as '
        f'"{folder}/run.nc", or choose another one.'
    )
    assert refusals(folder) == [text, text]
    file = tmp_path / "file"
    file.touch()
    text = (
        f'There is no folder "{file}", so there can be no file "{file}/a{ending}". Make the folder '
        "first, or check the path."
    )
    assert refusals(file / f"a{ending}") == [text, text]
    for odd in ("\0", "\ud800"):
        path = f"{tmp_path}/a{odd}b{ending}"
        text = (
            f"The path {path!a} contains a character that no file name can have, such as NUL. "
            "Choose another name."
        )
        assert refusals(path) == [text, text]
    assert sorted(tmp_path.iterdir()) == [file, folder]


def test_a_name_that_is_too_long(tmp_path: Path):
    path = tmp_path / ("a" * 300 + ".npz")
    assert refusals(path) == [
        f'"{path}" cannot be written: File name too long. Choose a shorter name or another folder, '
        "or check the folder's permissions.",
        f'"{path}" cannot be opened: File name too long. Check its name and its permissions.',
    ]


@pytest.mark.parametrize("given", [None, 3, b"a.npz", ["a.npz"]])
def test_no_path(given: Any):
    text = f"Got {given!r} as the path of a file; expected a text or a pathlib.Path. Pass for "
    assert refusals(given) == [text + 'example "run.nc".'] * 2
