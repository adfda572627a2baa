"""Arrays as users pass them, read as plain NumPy arrays."""

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnviz.errors import RnnvizError
from rnnviz.torch_names import dtype_name

NUMBERS, LISTS = {float, int}, {list, tuple}
DEEPEST = 64  # axes of a NumPy array


def read_array(what: str, values: Any) -> NDArray[Any]:
    """``values`` as a plain array of any dtype; a tensor's gradient and device are left behind.

    what: the argument's name, for the message. RnnvizError for masked values, because a plain array
    has no mask, and for rows of different lengths.

    >>> read_array("inputs", torch.ones(2, requires_grad=True)).tolist()
    [1.0, 1.0]
    >>> read_array("inputs", np.ma.masked_equal([1.0, 0.0], 0))
    Traceback (most recent call last):
    ...
    rnnviz.errors.RnnvizError: inputs has 1 masked values, which would count as numbers; expected \
values without a mask. If they are padding, pass lengths or mask; else fill or leave out the \
masked values.
    """
    values = unmasked(what, values)
    try:
        if isinstance(values, Tensor):
            check_dense(values, what)
            given = values.detach().to("cpu")
            # NumPy has no bfloat16, and float32 holds all its numbers.
            return (given.float() if given.dtype == torch.bfloat16 else given).numpy()
        return np.asarray(_without_arrays(what, values))
    except RnnvizError:  # a ValueError too
        raise
    except ValueError as error:
        raise RnnvizError("error.ragged", what=what) from error
    except (TypeError, RuntimeError, NotImplementedError) as error:
        raise RnnvizError("error.no_array", what=what, came=type(values).__name__) from error


def holds_bool(values: Any) -> bool:
    """Whether a list has a truth value beside its numbers, where NumPy would take it for 0 or 1.

    >>> holds_bool([True, 6]), holds_bool([1, 6])
    (True, False)
    """
    if not isinstance(values, list | tuple):
        return False
    return any(
        isinstance(part, bool) or str(getattr(part, "dtype", "")).endswith("bool")
        for part in values
    )


def unmasked(what: str, values: Any) -> Any:
    """An array or tensor without its mask; RnnvizError if the mask hides a value."""
    if isinstance(values, np.ma.MaskedArray):
        plain, masked = values.data, int(np.ma.getmaskarray(values).sum())
    elif isinstance(values, torch.masked.MaskedTensor):
        plain, masked = values.get_data(), int((~values.get_mask()).sum())
    else:
        return values
    if masked:
        raise RnnvizError("error.masked", what=what, masked=masked)
    return plain


def check_dense(tensor: Tensor, what: str) -> None:
    """RnnvizError for a sparse, nested or other tensor that is no plain array of numbers."""
    if tensor.is_nested:
        raise RnnvizError("error.nested", what=what)
    if tensor.layout != torch.strided:
        raise RnnvizError("error.sparse", what=what, came=dtype_name(tensor.layout))


def _without_arrays(what: str, values: Any) -> Any:
    """A list with its tensors and arrays read: NumPy would drop their masks, or refuse them."""
    if not isinstance(values, list | tuple) or _has_numbers_alone(values):
        return values
    return [
        read_array(what, part)
        if isinstance(part, Tensor | np.ndarray)
        else _without_arrays(what, part)
        for part in values
    ]


def _has_numbers_alone(level: Sequence[Any]) -> bool:
    """Whether nested lists hold nothing but Python's numbers; fast, and true of endless nesting."""
    kinds: set[type] = set(LISTS)
    for _ in range(DEEPEST):
        kinds = set(map(type, level))
        if not kinds or not kinds <= LISTS:
            break
        level = list(chain.from_iterable(level))
    return kinds <= NUMBERS or kinds <= LISTS
