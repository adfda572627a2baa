"""Compilation by numba, cached on disk.

Numba's disk cache only sees changes to the function's own file, so functions that call each other
share a file. Constants from another file, and the field order of NamedTuples, are frozen into the
cache: kernels import no constant that could change, and ``steps`` and ``holding`` say how to change
a NamedTuple.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

F = TypeVar("F", bound=Callable[..., Any])
REORDERING = {"reassoc", "contract"}  # fast-math without assumptions on NaN and infinity


def compiled(function: F, *, reorder: bool = False) -> F:
    """The function as machine code, cached on disk where a cache folder can be written.

    reorder: sums may be reordered and vectorised.
    """
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
    if reorder:
        options["fastmath"] = REORDERING
    try:
        made = njit(cache=True, **options)(function)
    except RuntimeError:  # numba: no locator available, no cache folder is writable
        return cast(F, njit(**options)(function))
    _drop_unreadable_cache(made)
    return cast(F, made)


def _drop_unreadable_cache(function: Any) -> None:
    """Empties a cache that names a class which was renamed or moved: numba raises at its first use.

    Numba unpickles the signatures in a cache before it looks whether the source has changed.
    """
    cache = function._cache
    load = getattr(getattr(cache, "_cache_file", None), "_load_index", None)
    if load is None:
        return
    try:
        load()
    except Exception:  # unpickling can raise anything
        cache.flush()
