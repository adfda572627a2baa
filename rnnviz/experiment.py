"""One frozen record of what a page shows, and its way to and from the address bar."""

from collections.abc import Mapping
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, ValidationError

from rnnviz.errors import RnnvizError
from rnnviz.ordering import OrderName

MOST_CHARACTERS = 2000

# A line of Python with an indent, a string, and brackets inside and outside of it.
FIRST_TEXT = 'def greet(name):\n    return "hello (" + name + ")"  # say it\n'

CellName = Literal["rnn", "lstm", "gru"]
LanguageName = Literal["en", "ko"]
GateName = Literal[
    "hidden",
    "input_gate",
    "forget_gate",
    "cell_candidate",
    "output_gate",
    "reset_gate",
    "update_gate",
    "hidden_candidate",
]


class Settings(BaseModel):
    """What the step page shows. A field's name is its widget's key and its query parameter.

    t: the step, from 1 to the length of the text. unit: None for the first in the order.
    gate: the one taken apart; None for the cell's first. speed: steps a second.
    """

    model_config = ConfigDict(frozen=True)

    cell: CellName = "lstm"
    text: Annotated[str, Field(max_length=MOST_CHARACTERS)] = FIRST_TEXT
    t: PositiveInt = 36
    unit: NonNegativeInt | None = None
    order: OrderName = "inside_string"
    gate: GateName | None = None
    speed: Annotated[int, Field(ge=1, le=10)] = 4
    language: LanguageName = "en"

    @classmethod
    def from_query(
        cls, query: Mapping[str, str], language: LanguageName = "en"
    ) -> "tuple[Settings, list[RnnvizError]]":
        """The settings of an address, and what in it could not be taken, for the reader to see.

        language: where the address names none. Parameters that are no setting are let be.

        >>> settings, problems = Settings.from_query({"cell": "gru", "t": "zero"})
        >>> settings.cell, settings.t
        ('gru', 36)
        >>> print(problems[0])
        The address says t=zero, which must be a whole number from 1. The page shows 36 instead.
        """
        given = {name: query[name] for name in cls.model_fields if name in query}
        given.setdefault("language", language)
        problems: list[RnnvizError] = []
        try:
            return cls.model_validate(given), problems
        except ValidationError as error:
            for part in error.errors(include_url=False):
                field = str(part["loc"][0])
                problems.append(_problem(field, given.pop(field)))
        return cls.model_validate(given), problems

    def to_query(self) -> dict[str, str]:
        """The address of this view: the fields that are not as in ``Settings()``.

        >>> Settings(cell="rnn", t=3).to_query()
        {'cell': 'rnn', 't': '3'}
        """
        first = Settings()
        return {
            name: str(value)
            for name, value in self
            if value is not None and value != getattr(first, name)
        }


def _problem(field: str, came: str) -> RnnvizError:
    shown = getattr(Settings(), field)
    if field == "text":
        return RnnvizError("error.query_text", came=len(came), most=MOST_CHARACTERS)
    if field in _CHOICES:
        return RnnvizError(
            "error.query_choice",
            field=field,
            came=came[:40],
            expected=", ".join(_CHOICES[field]),
            shown="–" if shown is None else shown,
        )
    least = 0 if field == "unit" else 1
    return RnnvizError(
        "error.query_number",
        field=field,
        came=came[:40],
        least=least,
        shown="–" if shown is None else shown,
    )


_CHOICES: dict[str, tuple[str, ...]] = {
    "cell": get_args(CellName),
    "order": get_args(OrderName),
    "gate": get_args(GateName),
    "language": get_args(LanguageName),
}
