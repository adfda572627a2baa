"""One exception for everything that a user can correct, in the user's language."""

import math
import sys
from collections.abc import Collection, Mapping
from numbers import Integral, Real
from typing import Any

from rnnviz.locale import labels

LONGEST = 60  # characters of a value in a message


class RnnvizError(ValueError):
    """What came, what was expected, what to do.

    key: the sentence's key in the language catalogs; values: what it names.

    >>> error = RnnvizError("error.loss_name", came="sum", expected="last, all")
    >>> error.key, error.values["came"]
    ('error.loss_name', 'sum')
    """

    def __init__(self, key: str, **values: object) -> None:
        super().__init__(key)
        self.key, self.values = key, values

    def message(self, language: str = "en") -> str:
        """The sentence in English ("en") or Korean ("ko")."""
        return labels(language)(self.key, **self.values)

    def __str__(self) -> str:
        return self.message()

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (self.key, self.values)


def _rebuild(key: str, values: dict[str, object]) -> RnnvizError:
    return RnnvizError(key, **values)


def type_name(kind: type) -> str:
    """A type by the module and the name under which it is defined.

    >>> from torch import nn
    >>> type_name(nn.GRU), type_name(str)
    ('torch.nn.modules.rnn.GRU', 'str')
    """
    inside = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return inside + kind.__qualname__


def integer(came: Any) -> int | None:
    """An integer of Python, NumPy or torch as an int; None for a bool and anything else.

    An array or tensor counts if it is one integer, without axes.

    >>> import numpy as np
    >>> integer(3), integer(np.int8(3)), integer(np.array(3)), integer(np.array([3])), integer(True)
    (3, 3, 3, None, None)
    """
    if isinstance(came, bool):
        return None
    if isinstance(came, Integral):
        return int(came)
    if getattr(came, "shape", None) != () or _kind(came) not in "iu":
        return None
    try:
        number = came.item()
    except (TypeError, ValueError, RuntimeError):  # of a tensor without a value
        return None
    return None if isinstance(number, bool) or not isinstance(number, int) else number


def _kind(came: Any) -> str:
    """The kind of a NumPy dtype; "i" where there is none, as for a tensor."""
    return getattr(getattr(came, "dtype", None), "kind", "i")


def whole_number(name: str, came: Any, count: int) -> int:
    """``came`` as an int; RnnvizError for a bool, a float or anything else but an ``integer``.

    name: the argument's. count: how many there are, for the message alone: the range is not
    checked.

    >>> import numpy as np
    >>> whole_number("layer", np.int64(1), 2)
    1
    """
    number = integer(came)
    if number is None:
        kind = type(came).__name__
        raise RnnvizError("error.whole_number", name=name, came=came, kind=kind, last=count - 1)
    return number


def index(name: str, came: Any, count: int) -> int:
    """``came`` as an int; RnnvizError unless it is a whole number from 0 to count − 1.

    >>> index("layer", 1, 2)
    1
    """
    number = whole_number(name, came, count)
    if not 0 <= number < count:
        raise RnnvizError("error.out_of_range", name=name, came=number, count=count)
    return number


def is_list(came: Any) -> bool:
    """Whether a value has parts that are not characters or keys: a list, a set, an array.

    >>> is_list([1]), is_list("1"), is_list({1: 2})
    (True, False, False)
    """
    if isinstance(came, str | bytes | Mapping) or not isinstance(came, Collection):
        return False
    return getattr(came, "shape", None) != ()  # one number of NumPy or torch


def is_whole(came: Any) -> bool:
    """Whether a value is an ``integer`` that fits into 64 bits.

    >>> is_whole(3), is_whole(3.0), is_whole(True)
    (True, False, False)
    """
    number = integer(came)
    return number is not None and abs(number) <= sys.maxsize


def at_least(least: int, name: str, came: Any) -> int:
    """``came`` as an int; RnnvizError unless it is an ``integer`` that is not below ``least``.

    >>> at_least(1, "rank", 16)
    16
    """
    number = integer(came)
    if number is None or number < least:
        raise RnnvizError("error.at_least", name=name, came=described(came), least=least)
    return number


def seed_number(came: Any) -> int:
    """``came`` as the seed of a generator; RnnvizError unless it is an integer of 64 bits.

    >>> seed_number(3)
    3
    """
    if not is_whole(came):
        given = {"name": "seed", "came": described(came), "expected": "−2⁶³ < n < 2⁶³"}
        raise RnnvizError("error.initialise_number", **given)
    return int(came)


def real_number(came: Any) -> float:
    """A real number as a float; NaN for anything else, inf for an int beyond the float range.

    >>> real_number(1), real_number("1"), real_number(True)
    (1.0, nan, nan)
    """
    try:
        value = came.item() if getattr(came, "shape", None) == () else came
        if isinstance(value, bool) or not isinstance(value, Real):
            return math.nan
        return float(value)
    except OverflowError:
        return math.inf
    except (TypeError, ValueError, RuntimeError):  # of a tensor without a value
        return math.nan


def described(came: Any) -> str:
    """A value as a message shows it: in full if it is short, else its type and shape.

    >>> described("a"), described(list(range(99)))
    ("'a'", 'list')
    """
    try:
        text = str(came) if isinstance(came, Real) else repr(came)
    except ValueError:  # an int of more digits than Python writes
        text = ""
    if text and len(text) <= LONGEST and "\n" not in text and not text.startswith("<"):
        return text
    shape = getattr(came, "shape", None)
    return type(came).__name__ + (f" {tuple(shape)}" if shape is not None else "")
