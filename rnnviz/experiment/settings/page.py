"""The settings of one page, and their way to and from its address.

The grammar of an address: ``?name=value&name=value``.

- A name is a field of the page's settings, which is also the key of its widget. Other names are
  ignored; ``OLD_NAMES`` are read as the fields that they are called now.
- A field that is not named has its default. ``language`` alone defaults to the reader's own.
- An address that names no other field is that of the page's first view, where the fields of
  ``FIRST_VIEW`` have the values that it gives. A view in which all fields have their defaults
  names those of ``FIRST_VIEW``.
- Numbers are written without trailing zeros, switches as ``true`` or ``false``, and several values
  of one field with commas between them. ``read_networks`` and ``read_edits`` have their formats.
- A value that cannot be read is reported and its field has its default; values that do not fit
  together are reported and changed by the page's ``rules``.
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

from pydantic import ValidationError

from rnnviz.errors import RnnvizError
from rnnviz.experiment.choices import LanguageName
from rnnviz.experiment.settings.base import (
    Given,
    Parameter,
    Settings,
    read_value,
    report_value,
    value_text,
)

# What links from earlier versions call a field.
OLD_NAMES: Mapping[str, str] = {"reads": "input_source", "looked_at": "selected"}

# What a page shows first, where that is not the default, which addresses leave out.
FIRST_VIEW: Mapping[str, Any] = {"init": "orthogonal", "forget_bias": 3.0}

# From settings and what the address gives: settings that fit together, and what did not.
Rule = Callable[[Any, Given], tuple[Any, RnnvizError | None]]


class PageSettings(Settings):
    """The base of each page's settings: all that its address can say."""

    rules: ClassVar[tuple[Rule, ...]] = ()

    language: LanguageName = "en"

    @classmethod
    def from_query(
        cls, query: Mapping[str, str], language: LanguageName = "en"
    ) -> tuple[Self, list[RnnvizError]]:
        """The settings of an address, and a problem for each value that could not be taken.

        language: that of an address that names none.

        >>> from rnnviz.experiment import StepPage
        >>> settings, problems = StepPage.from_query({"cell": "gru", "t": "zero"})
        >>> settings.cell, settings.t
        ('gru', 37)
        >>> print(problems[0])
        The link asks for t=zero, which must be a positive integer. The page shows 37 instead.
        """
        given = cls._given(query)
        values: dict[str, Any] = {} if "language" in given else {"language": language}
        if given.keys() <= {"language"}:
            values |= cls.first_values()
        rejected: list[str] = []
        for field, parameter in given.items():
            try:
                values[field] = read_value(cls, field, parameter.text)
            except ValidationError:
                rejected.append(field)
        settings = cls(**values)
        problems = [report_value(settings, field, given[field]) for field in rejected]
        for rule in cls.rules:
            settings, problem = rule(settings, given)
            if problem is not None:
                problems.append(problem)
        return settings, problems

    def to_query(self, language: LanguageName = "en") -> dict[str, str]:
        """The address of this view: the fields that differ from their defaults.

        language: that of an address that names none, as in ``from_query``.

        >>> from rnnviz.experiment import GradientsPage
        >>> GradientsPage(cell="rnn", gain=1.1).to_query()
        {'gain': '1.1', 'cell': 'rnn'}
        """
        default = type(self)(language=language)
        first = self.first_values()
        is_first = self == self.first().model_copy(update={"language": self.language})
        query = {
            name: value_text(value)
            for name, value in self
            if value is not None and value != getattr(default, name)
            if not (is_first and name in first)
        }
        return query if is_first or query.keys() - {"language"} else query | self._default_texts()

    @classmethod
    def first(cls) -> Self:
        """The page's first view.

        >>> from rnnviz.experiment import GradientsPage
        >>> GradientsPage.first().init, GradientsPage().init
        ('orthogonal', 'torch_default')
        """
        return cls(**cls.first_values())

    @classmethod
    def first_values(cls) -> dict[str, Any]:
        """The fields of this page in ``FIRST_VIEW``, and their values.

        >>> from rnnviz.experiment import GradientsPage, StepPage
        >>> GradientsPage.first_values(), StepPage.first_values()
        ({'init': 'orthogonal', 'forget_bias': 3.0}, {})
        """
        return {name: value for name, value in FIRST_VIEW.items() if name in cls.model_fields}

    @classmethod
    def first_texts(cls) -> list[dict[str, str]]:
        """What an address leaves out for the first view, and what it names for the default view.

        >>> from rnnviz.experiment import GradientsPage
        >>> GradientsPage.first_texts()
        [{'init': 'orthogonal', 'forget_bias': '3'}, {'init': 'torch_default'}]
        """
        first = {name: value_text(value) for name, value in cls.first_values().items()}
        return [first, cls._default_texts()]

    @classmethod
    def _default_texts(cls) -> dict[str, str]:
        defaults = {name: cls.model_fields[name].default for name in cls.first_values()}
        return {name: value_text(value) for name, value in defaults.items() if value is not None}

    @classmethod
    def field_text(cls, field: str, value: Any) -> str:
        """The text of one field in the address; "" for its default, which an address leaves out.

        >>> from rnnviz.experiment import GradientsPage
        >>> GradientsPage.field_text("gain", 1.5), GradientsPage.field_text("gain", 1.0)
        ('1.5', '')
        """
        return "" if value == cls.model_fields[field].default else value_text(value)

    @classmethod
    def read_field(cls, field: str, text: str) -> Any:
        """The value of one field, from what ``field_text`` wrote; ValidationError for other texts.

        >>> from rnnviz.experiment import GradientsPage
        >>> GradientsPage.read_field("gain", "1.5"), GradientsPage.read_field("gain", "")
        (1.5, 1.0)
        """
        return read_value(cls, field, text) if text else cls.model_fields[field].default

    @classmethod
    def _given(cls, query: Mapping[str, str]) -> Given:
        """What the address gives, by field; the present name of a field wins over an old one."""
        old = {field: name for name, field in OLD_NAMES.items() if name in query}
        names = {field: field if field in query else old.get(field) for field in cls.model_fields}
        found = {field: name for field, name in names.items() if name is not None}
        return {field: Parameter(name, query[name]) for field, name in found.items()}
