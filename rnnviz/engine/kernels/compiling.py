"""Python functions as machine code.

What is kept on disk is made again when the file of the function changes, not when that of another
function does that it calls: compiled functions that call one another stand in one file.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

F = TypeVar("F", bound=Callable[..., Any])
REORDERING = {"reassoc", "contract"}  # NaN and infinite stay what they are


def compiled(function: F, *, reorder: bool = False) -> F:
    """The function as machine code, kept on disk where some place can be written.

    reorder: its sums in any order, several terms at a time.
    """
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
    if reorder:
        options["fastmath"] = REORDERING
    try:
        return cast(F, njit(cache=True, **options)(function))
    except RuntimeError:  # numba: no locator available; nowhere to keep a cache
        return cast(F, njit(**options)(function))
