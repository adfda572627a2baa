"""One exception for everything a user can mend, worded in the reader's language."""

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
