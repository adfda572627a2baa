"""One frozen record of what the pages show, and its way to and from the address bar."""

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveInt,
    ValidationError,
)

from rnnviz.cells import GATES_AS_READ
from rnnviz.errors import RnnvizError
from rnnviz.experiment.compared_network import FORMS, keys_of
from rnnviz.experiment.comparison_settings import ComparisonSettings
from rnnviz.experiment.edits import MOST_EDITED, Edit, read_edits
from rnnviz.experiment.names import (
    FASTEST,
    FIRST_TEXT,
    MOST_CHARACTERS,
    CellName,
    DirectionName,
    EqualName,
    GateName,
    HoldName,
    InitName,
    InputName,
    LanguageName,
    LossName,
    NonlinearityName,
    OrderOfGates,
    PartName,
)
from rnnviz.explain.unit_order import OrderName
from rnnviz.inputs.signals import SignalName


class ReadingSettings(BaseModel):
    """What the step page shows: a shipped model reading a text.

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


class NetworkSettings(BaseModel):
    """What the gradients page shows: an RNN, an LSTM and a GRU on the same input.

    cell, gate: whose weights are taken apart. init: how weights are drawn. spectral_radius of
    every gate's U before gain multiplies it, and forget_bias; both None as drawn. nonlinearity:
    the RNN's. clip: a threshold for the norm of all gradients together, or None. edit: entries of
    U set by hand. claim: with the measurement of what networks are said to remember.
    """

    model_config = ConfigDict(frozen=True)

    cell: CellName = "lstm"
    gate: GateName | None = None
    hidden: Annotated[int, Field(ge=2, le=256)] = 16
    length: Annotated[int, Field(ge=2, le=2000)] = 100
    seed: Annotated[int, Field(ge=0, le=9999)] = 0
    init: InitName = "torch_default"
    nonlinearity: NonlinearityName = "tanh"
    gain: Annotated[float, Field(ge=0, le=3)] = 1.0
    spectral_radius: Annotated[float, Field(ge=0, le=2)] | None = None
    forget_bias: Annotated[float, Field(ge=-6, le=10)] | None = None
    signal: SignalName = "noise"
    input_scale: Annotated[float, Field(ge=0, le=5)] = 1.0
    loss: LossName = "last"
    clip: Annotated[float, Field(ge=0.001, le=1000)] | None = None
    edit: Annotated[tuple[Edit, ...], BeforeValidator(read_edits)] = ()
    claim: bool = False


class Settings(ComparisonSettings, ReadingSettings, NetworkSettings):
    """What all pages show. A field's name is its widget's key and its query parameter."""

    language: LanguageName = "en"

    def network(self) -> NetworkSettings:
        """What the networks alone depend on, whichever part of them is looked at."""
        looked_at = ("cell", "gate", "clip", "claim")
        names = [name for name in NetworkSettings.model_fields if name not in looked_at]
        return NetworkSettings.model_validate({name: getattr(self, name) for name in names})

    def comparison(self) -> ComparisonSettings:
        """What the compared networks and their input depend on, however they are looked at."""
        names = ["networks", "reads", "loss"]
        if self.reads == "text":
            names += ["text"]
        else:
            names += ["signal", "length", "seed", "equal"]
            names += ["hidden" if self.equal == "hidden" else "budget"]
        return ComparisonSettings.model_validate({name: getattr(self, name) for name in names})

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
        The link asks for t=zero, which must be a positive integer. The page shows 36 instead.
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
        untrained = [str(network) for network in settings.networks if not network.is_trained]
        if settings.reads == "text" and untrained:
            if "reads" in given:
                problems.append(RnnvizError("error.query_untrained", came=", ".join(untrained)))
            settings = settings.model_copy(update={"reads": "signal"})
        steps = settings.steps
        if settings.t > steps:
            if "t" in given:
                key = "error.query_step" if settings.reads == "text" else "error.query_signal_step"
                problems.append(RnnvizError(key, t=given["t"][:40], steps=steps))
            settings = settings.model_copy(update={"t": steps})
        keys = keys_of(settings.networks)
        if settings.looked_at not in (None, *keys):
            came = str(settings.looked_at)[:40]
            problems.append(_not_among("looked_at", came, tuple(keys), keys[0]))
            settings = settings.model_copy(update={"looked_at": None})
        fitting = tuple(edit for edit in settings.edit if edit.fits(settings.hidden))
        if fitting != settings.edit:
            left = ", ".join(str(edit) for edit in settings.edit if not edit.fits(settings.hidden))
            last = min(settings.hidden, MOST_EDITED) - 1
            problems.append(RnnvizError("error.query_edit_place", came=left[:80], last=last))
            settings = settings.model_copy(update={"edit": fitting})
        return settings, problems

    def to_query(
        self, language: LanguageName = "en", fields: Mapping[str, Any] | None = None
    ) -> dict[str, str]:
        """The address of this view: the fields that are not as in ``Settings()``.

        language: what ``from_query`` takes where the address names none. fields: those a page
        has; None for all. The language is always one of them.

        >>> Settings(cell="rnn", t=3, gain=1.1).to_query()
        {'cell': 'rnn', 'gain': '1.1', 't': '3'}
        >>> Settings(cell="rnn", t=3, gain=1.1).to_query(fields=NetworkSettings.model_fields)
        {'cell': 'rnn', 'gain': '1.1'}
        """
        first = Settings(language=language)
        return {
            name: write_value(value)
            for name, value in self
            if value is not None
            and value != getattr(first, name)
            and (fields is None or name in fields or name == "language")
        }


def write_setting(name: str, value: Any) -> str:
    """A setting's value as the address has it; "" for the first one, which it leaves out.

    >>> write_setting("gain", 1.5), write_setting("gain", 1.0)
    ('1.5', '')
    """
    return "" if value == getattr(_first(), name, None) else write_value(value)


@cache
def _first() -> Settings:
    return Settings()


def write_value(value: Any) -> str:
    """A setting's value as the address has it; "" for None, which it leaves out."""
    if value is None:
        return ""
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


@cache
def limits_of(field: str) -> tuple[float, float]:
    """The smallest and the largest value that a number among the settings can have.

    >>> limits_of("hidden")
    (2, 256)
    """
    schema = Settings.model_json_schema()["properties"][field]
    number = schema.get("anyOf", [schema])[0]  # of a field that may be None
    return number["minimum"], number["maximum"]


def _problem(field: str, came: str, cell: CellName) -> RnnvizError:
    if field == "text" and not came:
        return RnnvizError("error.empty_text")
    if field == "text":
        return RnnvizError("error.text_limit", came=len(came), most=MOST_CHARACTERS)
    came, shown = came[:40], getattr(Settings(), field)
    if field == "unit":
        return RnnvizError("error.query_unit", came=came)
    if field in ("t", "hold_from"):
        return RnnvizError("error.query_number", field=field, came=came, shown=shown)
    if field == "edit":
        return RnnvizError("error.query_edit", came=came)
    if field == "hold_units":
        return RnnvizError("error.query_units", came=came)
    if field == "networks":
        return RnnvizError("error.query_networks", came=came, expected=", ".join(FORMS))
    if field == "gate":
        choices = GATES_AS_READ[cell]
        return _not_among(field, came, choices, choices[0])
    if field in _CHOICES:
        return _not_among(field, came, _CHOICES[field], write_value(shown))
    low, high = limits_of(field)
    limits = {"field": field, "came": came, "low": low, "high": high}
    if shown is None:
        return RnnvizError("error.query_as_drawn", **limits)
    if isinstance(shown, int):
        return RnnvizError("error.query_whole", **limits, shown=shown)
    return RnnvizError("error.query_range", **limits, shown=write_value(shown))


def _not_among(field: str, came: str, choices: tuple[str, ...], shown: str) -> RnnvizError:
    expected = ", ".join(choices)
    return RnnvizError("error.query_choice", field=field, came=came, expected=expected, shown=shown)


SWITCHES = ("flip_update", "reset_before", "one_bias", "return_sequences", "return_state")
_CHOICES: dict[str, tuple[str, ...]] = {
    "cell": get_args(CellName),
    "order": get_args(OrderName),
    "language": get_args(LanguageName),
    "all_terms": ("true", "false"),
    "claim": ("true", "false"),
    "init": get_args(InitName),
    "nonlinearity": get_args(NonlinearityName),
    "loss": get_args(LossName),
    "signal": get_args(SignalName),
    "reads": get_args(InputName),
    "equal": get_args(EqualName),
    "part": get_args(PartName),
    "difference": ("true", "false"),
    "direction": get_args(DirectionName),
    "hold_name": get_args(HoldName),
    "convention_cell": get_args(CellName),
    "convention_order": get_args(OrderOfGates),
    **dict.fromkeys(SWITCHES, ("true", "false")),
    "speed": tuple(map(str, range(1, FASTEST + 1))),
}
