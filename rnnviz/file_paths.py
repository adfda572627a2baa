"""Paths of files as users pass them, checked before a file is read or written."""

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rnnviz.errors import RnnvizError, described


def read_path(given: Any, endings: Sequence[str]) -> Path:
    """A path with one of these extensions; RnnvizError for what cannot be the path of a file.

    Like NumPy's and torch's functions this does not expand "~".

    >>> read_path("run.npz", (".nc", ".npz")).suffix
    '.npz'
    """
    try:
        path = Path(given)
        name = os.fsencode(path)
    except UnicodeEncodeError as error:
        raise RnnvizError("error.path_name", came=ascii(given)) from error
    except TypeError as error:
        raise RnnvizError("error.path_type", came=described(given)) from error
    if b"\0" in name:
        raise RnnvizError("error.path_name", came=ascii(given))
    if path.suffix not in endings:
        raise RnnvizError("error.trace_ending", came=path.name, expected=", ".join(endings))
    return path


def check_readable(path: Path) -> None:
    """RnnvizError, which says why, unless it is a file that can be opened."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise RnnvizError("error.path_folder", path=str(path))
        if not stat.S_ISREG(mode):  # opening a pipe would wait
            raise _missing(path)
        path.open("rb").close()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise _missing(path) from error
    except OSError as error:
        raise RnnvizError("error.path_read", path=str(path), why=error.strerror) from error


def check_writable(path: Path) -> None:
    """RnnvizError, which says why, where no file can have this path."""
    try:
        is_folder = stat.S_ISDIR(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError) as error:
        if path.parent.is_dir():
            return
        raise _missing(path) from error
    except OSError as error:
        raise RnnvizError("error.path_write", path=str(path), why=error.strerror) from error
    if is_folder:
        raise RnnvizError("error.path_folder", path=str(path))


def _missing(path: Path) -> RnnvizError:
    """There is no such file, or not even its folder."""
    if path.parent.is_dir():
        return RnnvizError("error.no_file", path=path.name)
    key = "error.path_home" if path.parts[0].startswith("~") else "error.no_folder"
    return RnnvizError(key, path=str(path), folder=str(path.parent))
