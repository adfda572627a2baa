"""Compilation by numba, cached on disk.

Numba's disk cache only sees changes to the function's own file, so functions that call each other
share a file. Constants from another file, and the field order of NamedTuples, are frozen into the
cache: kernels import no constant that could change, and ``steps`` and ``holding`` say how to change
a NamedTuple. A function that cannot be cached is compiled all the same; a damaged cache file is
replaced, and so is one that names a class which was renamed or moved.

Kernels copy matrices entry by entry: compiling ``a[:] = b`` also compiles the text of the error for
other shapes, which takes longer than most kernels.

Several processes on an empty cache share the work: while one compiles a function, the others wait
for it.
"""

import contextlib
import hashlib
import pickle
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, TypeVar, cast

from numba import njit
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.core.dispatcher import Dispatcher

F = TypeVar("F", bound=Callable[..., Any])
REORDERING = {"reassoc", "contract"}  # fast-math without assumptions on NaN and infinity
DIGEST = hashlib.sha256().digest_size
# Seconds to wait for another process that compiles the same function; the slowest takes a few.
PATIENCE = 60


def compiled(function: F, *, reorder: bool = False) -> F:
    """The function as machine code, cached on disk where a cache folder can be written.

    reorder: sums may be reordered and vectorised.
    """
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
    if reorder:
        options["fastmath"] = REORDERING
    dispatcher = njit(**options)(function)
    with contextlib.suppress(RuntimeError, OSError):  # numba: no locator; nowhere to keep a cache
        # As njit(cache=True) sets it, but with the class below.
        dispatcher._cache = _Cache(function)  # pyright: ignore[reportAttributeAccessIssue]  # numba's dispatchers have it, their stub does not
    return cast(F, dispatcher)


def can_keep(function: Any) -> bool:
    """Whether the code of a compiled function is kept for other processes."""
    return _cache_of(function) is not None


def is_kept(function: Any) -> bool:
    """Whether there is code of a compiled function; True if compilation is switched off."""
    cache = _cache_of(function)
    return not isinstance(function, Dispatcher) or (cache is not None and cache.is_used())


def _cache_of(function: Any) -> "_Cache | None":
    cache = getattr(function, "_cache", None)
    return cache if isinstance(cache, _Cache) else None


class _CacheFile(IndexDataCacheFile):
    """Numba's cache files with a digest appended, which pickle ignores.

    Machine code with one wrong byte still loads, and then crashes the interpreter.
    """

    def is_used(self) -> bool:
        """Whether there is code for this source, of any types."""
        return bool(self._load_index())

    def _dump(self, obj: Any) -> bytes:
        content: bytes = super()._dump(obj)
        return content + hashlib.sha256(content).digest()

    def _load_index(self) -> dict[Any, str]:
        try:
            with Path(self._index_path).open("rb") as file:
                pickle.load(file)  # numba's version, which has no digest
                _check_digest(file.read())
            return super()._load_index()
        except Exception:  # a damaged pickle can break its reader in any way
            return {}

    def _load_data(self, name: str) -> Any:
        content = Path(self._data_path(name)).read_bytes()
        _check_digest(content)
        return pickle.loads(content)


def _check_digest(content: bytes) -> None:
    if hashlib.sha256(content[:-DIGEST]).digest() != content[-DIGEST:]:
        raise OSError("damaged")  # numba treats it as a missing file


class _Turn:
    """A function's turn at the compiler, which one process has at a time.

    A lock of the system on a file beside the cache: it ends with its process. Without such locks,
    as on Windows, every process compiles for itself.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[bytes] | None = None

    def begin(self) -> None:
        """Waits until no other process has the turn, for at most PATIENCE seconds."""
        if sys.platform == "win32":
            return
        import fcntl

        with contextlib.suppress(OSError):  # no such folder, nowhere to write
            self._file = self._path.open("ab")
            for _ in range(PATIENCE * 50):
                try:
                    fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    return
                except (BlockingIOError, PermissionError):  # another process has it
                    time.sleep(0.02)

    def end(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = None


class _Cache(FunctionCache):
    """Numba's cache without errors: a function that cannot be loaded is compiled."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        stamp = self._impl.locator.get_source_stamp()
        self._cache_file = _CacheFile(self._cache_path, self._impl.filename_base, stamp)
        self.is_used = self._cache_file.is_used
        self._turn = _Turn(Path(self._cache_path, f"{self._impl.filename_base}.lock"))

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        found = self._load(sig, target_context)
        if found is None:
            self._turn.begin()
            found = self._load(sig, target_context)
            if found is not None:
                self._turn.end()
        return found

    def _load(self, sig: Any, target_context: Any) -> Any:
        try:
            found = super().load_overload(sig, target_context)
        except Exception:  # unreadable, or not what this numba can rebuild
            return None
        # Two processes without turns may have written one file for different types.
        return found if found is not None and tuple(found.signature.args) == tuple(sig) else None

    def save_overload(self, sig: Any, data: Any) -> None:
        with contextlib.suppress(Exception):  # a full disk, a folder that has become read-only
            super().save_overload(sig, data)
        self._turn.end()
