"""One frozen record of what a page shows, and its way to and from the address bar."""

from collections.abc import Mapping
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, ValidationError

from rnnviz.cells import GATES_AS_READ
from rnnviz.errors import RnnvizError
from rnnviz.ordering import OrderName

MOST_CHARACTERS = 2000
FASTEST = 10  # steps a second

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
    gate: the one taken apart; None for the cell's first. all_terms: with a table of every term.
    speed: steps a second.
    """

    model_config = ConfigDict(frozen=True)

    cell: CellName = "lstm"
    text: Annotated[str, Field(min_length=1, max_length=MOST_CHARACTERS)] = FIRST_TEXT
    t: PositiveInt = 36
    unit: NonNegativeInt | None = None
    order: OrderName = "inside_string"
    gate: GateName | None = None
    all_terms: bool = False
    speed: Annotated[int, Field(ge=1, le=FASTEST)] = 4
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
        The address says t=zero, which must be a positive whole number. The page shows 36 instead.
        """
        given = {name: query[name] for name in cls.model_fields if name in query}
        given.setdefault("language", language)
        problems: list[RnnvizError] = []
        try:
            settings = cls.model_validate(given)
        except ValidationError as error:
            bad = {str(part["loc"][0]) for part in error.errors(include_url=False)}
            came = {name: given.pop(name) for name in cls.model_fields if name in bad}
            settings = cls.model_validate(given)
            problems += [_problem(name, value, settings.cell) for name, value in came.items()]
        if settings.gate is not None and settings.gate not in GATES_AS_READ[settings.cell]:
            problems.append(_problem("gate", settings.gate, settings.cell))
            settings = settings.model_copy(update={"gate": None})
        steps = len(settings.text)
        if settings.t > steps:
            if "t" in given:
                problems.append(RnnvizError("error.query_step", t=given["t"][:40], steps=steps))
            settings = settings.model_copy(update={"t": steps})
        return settings, problems

    def to_query(self, language: LanguageName = "en") -> dict[str, str]:
        """The address of this view: the fields that are not as in ``Settings()``.

        language: what ``from_query`` takes where the address names none.

        >>> Settings(cell="rnn", t=3).to_query()
        {'cell': 'rnn', 't': '3'}
        """
        first = Settings(language=language)
        return {
            name: str(value).lower() if isinstance(value, bool) else str(value)
            for name, value in self
            if value is not None and value != getattr(first, name)
        }


def _problem(field: str, came: str, cell: CellName) -> RnnvizError:
    if field == "text" and not came:
        return RnnvizError("error.empty_text")
    if field == "text":
        return RnnvizError("error.text_limit", came=len(came), most=MOST_CHARACTERS)
    came, shown = came[:40], getattr(Settings(), field)
    if field == "unit":
        return RnnvizError("error.query_unit", came=came)
    if field == "t":
        return RnnvizError("error.query_number", field=field, came=came, shown=shown)
    if isinstance(shown, bool):
        shown = str(shown).lower()
    choices = _CHOICES.get(field, ())
    if field == "gate":
        choices = GATES_AS_READ[cell]
        shown = choices[0]
    return RnnvizError(
        "error.query_choice", field=field, came=came, expected=", ".join(choices), shown=shown
    )


_CHOICES: dict[str, tuple[str, ...]] = {
    "cell": get_args(CellName),
    "order": get_args(OrderName),
    "language": get_args(LanguageName),
    "all_terms": ("true", "false"),
    "speed": tuple(map(str, range(1, FASTEST + 1))),
}
