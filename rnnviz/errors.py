"""One exception for everything that a user can correct, in the user's language."""

from numbers import Integral
from typing import Any

from rnnviz.locale import labels


class RnnvizError(ValueError):
    """What came, what was expected, what to do.

    key: the sentence's key in the language catalogs; values: what it names.

    >>> error = RnnvizError("error.nonlinearity", came="sin", expected="tanh, relu")
    >>> print(error)
    The nonlinearity is "sin"; it must be one of tanh, relu. Choose one of these.
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


def whole_number(name: str, came: Any, count: int) -> int:
    """``came`` as an int; RnnvizError for a bool, a float or anything else but an integer.

    name: the argument's. count: how many there are, for the message alone: the range is not
    checked.

    >>> import numpy as np
    >>> whole_number("layer", np.int64(1), 2)
    1
    """
    if isinstance(came, bool) or not isinstance(came, Integral):
        kind = type(came).__name__
        raise RnnvizError("error.whole_number", name=name, came=came, kind=kind, last=count - 1)
    return int(came)


def index(name: str, came: Any, count: int) -> int:
    """``came`` as an int; RnnvizError unless it is a whole number from 0 to count − 1.

    >>> index("layer", 1, 2)
    1
    """
    number = whole_number(name, came, count)
    if not 0 <= number < count:
        raise RnnvizError("error.out_of_range", name=name, came=number, count=count)
    return number
