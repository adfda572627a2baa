"""Files that are written as a whole or not at all."""

import contextlib
import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO


def replace_file(path: str | Path, write: Callable[[BinaryIO], object]) -> None:
    """Writes a file atomically.

    write: writes the content to a binary file beside the old one, which replaces it once it is on
    disk. Until then, and after any error, the old one is unchanged. A symbolic link keeps its
    target; an existing file keeps its permissions. OSError as from ``open``.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "result.txt")
    >>> replace_file(path, lambda file: file.write(b"whole"))
    >>> path.read_bytes()
    b'whole'
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():  # a pipe or a device
        with target.open("wb") as file:
            write(file)
        return
    beside = target.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        # "x" gives the default permissions of a new file, tempfile does not.
        with beside.open("xb") as file:
            write(file)
            if target.exists():
                _copy_permissions(target, beside)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            beside.unlink()
        if isinstance(error, OSError) and error.errno is not None:
            raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
        raise


def write_bytes(path: str | Path, content: bytes | memoryview) -> None:
    """``replace_file`` with content in memory."""
    replace_file(path, lambda file: file.write(content))


def _copy_permissions(source: Path, target: Path) -> None:
    before = source.stat()
    if hasattr(os, "chown"):
        with contextlib.suppress(OSError):  # only root can change the owner
            os.chown(target, before.st_uid, before.st_gid)
    target.chmod(stat.S_IMODE(before.st_mode))
