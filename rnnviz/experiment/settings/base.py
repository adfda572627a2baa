"""The base of all settings: frozen, with each limit declared at its field and read from there."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from rnnviz.errors import RnnvizError

LONGEST = 40  # characters of a rejected value that a message repeats

Group = TypeVar("Group", bound="Settings")


class Settings(BaseModel):
    """A frozen group of settings. A value outside its field's limits raises RnnvizError.

    >>> from rnnviz.experiment import NetworkSettings
    >>> NetworkSettings(hidden=300)
    Traceback (most recent call last):
    rnnviz.errors.RnnvizError: hidden is 300; expected 2 – 256. Pass such a value.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise _rejection(type(self), values, error) from None

    def subset(self, kind: type[Group]) -> Group:
        """The fields of one of the classes that these settings are composed of."""
        return kind(**{name: getattr(self, name) for name in kind.model_fields})


class Parameter(NamedTuple):
    """One ``name=text`` of an address."""

    name: str
    text: str


Given = Mapping[str, Parameter]  # what an address gives, by field


@dataclass(frozen=True)
class Message:
    """Field metadata: how a rejected value is reported, where no standard message fits.

    report: from the settings shown instead, the name in the address and the rejected text.
    expected: the format, for whoever sets the field from Python.
    """

    report: Callable[[Any, str, str], RnnvizError]
    expected: str = ""


def not_among(name: str, text: str, choices: tuple[str, ...], shown: str) -> RnnvizError:
    """The message for a value that is not one of the choices."""
    return RnnvizError(
        "error.query_choice",
        field=name,
        came=text[:LONGEST],
        expected=", ".join(choices),
        shown=shown,
    )


@cache
def _adapter(settings: type[Settings], field: str) -> TypeAdapter[Any]:
    info = settings.model_fields[field]
    return TypeAdapter(Annotated[info.annotation, info])  # pyright: ignore[reportArgumentType, reportInvalidTypeForm]  # a type known only when this runs


@cache
def _schema(settings: type[Settings], field: str) -> dict[str, Any]:
    """The JSON schema of a field; that of its values where it may also be None."""
    schema = _adapter(settings, field).json_schema()
    return schema.get("anyOf", [schema])[0]


def limits_of(settings: type[Settings], field: str) -> tuple[float, float]:
    """The smallest and the largest value of a number.

    >>> from rnnviz.experiment import NetworkSettings
    >>> limits_of(NetworkSettings, "hidden")
    (2, 256)
    """
    schema = _schema(settings, field)
    return schema["minimum"], schema["maximum"]


def choices_of(settings: type[Settings], field: str) -> tuple[str, ...]:
    """The values of a field with few of them, as an address writes them; none for other fields.

    >>> from rnnviz.experiment import NetworkSettings
    >>> choices_of(NetworkSettings, "loss")
    ('last', 'all')
    """
    schema = _schema(settings, field)
    return ("true", "false") if schema.get("type") == "boolean" else tuple(schema.get("enum", ()))


def read_value(settings: type[Settings], field: str, text: str) -> Any:
    """A field's value from its text in an address; ValidationError for any other text."""
    return _adapter(settings, field).validate_python(text)


def value_text(value: Any) -> str:
    """The text of a value in an address; "" for None, which an address leaves out."""
    if value is None:
        return ""
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def report_value(settings: Settings, field: str, parameter: Parameter) -> RnnvizError:
    """The message for a text of an address that is no value of the field.

    settings: those shown instead.
    """
    kind, (name, text) = type(settings), parameter
    message = _message(kind, field)
    if message is not None:
        return message.report(settings, name, text)
    shown = getattr(settings, field)
    choices = choices_of(kind, field)
    if choices:
        return not_among(name, text, choices, value_text(shown))
    low, high = limits_of(kind, field)
    limits = {"field": name, "came": text[:LONGEST], "low": low, "high": high}
    if shown is None:
        return RnnvizError("error.query_as_drawn", **limits)
    key = "error.query_whole" if isinstance(shown, int) else "error.query_range"
    return RnnvizError(key, **limits, shown=value_text(shown))


def _message(settings: type[Settings], field: str) -> Message | None:
    metadata = settings.model_fields[field].metadata
    return next((part for part in metadata if isinstance(part, Message)), None)


def _rejection(
    settings: type[Settings], values: Mapping[str, Any], error: ValidationError
) -> RnnvizError:
    """The first of pydantic's errors in the reader's words."""
    field = str(error.errors(include_url=False)[0]["loc"][0])
    if field not in settings.model_fields:
        expected = ", ".join(settings.model_fields)
        return RnnvizError("error.setting_name", came=field, expected=expected)
    text = value_text(values[field])[:LONGEST]
    expected = _expected(settings, field)
    return RnnvizError("error.setting_value", field=field, came=text, expected=expected)


def _expected(settings: type[Settings], field: str) -> str:
    """A field's choices, limits or format, in a form that reads alike in every language."""
    message, schema = _message(settings, field), _schema(settings, field)
    if message is not None and message.expected:
        return message.expected
    choices = choices_of(settings, field)
    if choices:
        return ", ".join(choices)
    if not {"minimum", "exclusiveMinimum"} & set(schema):
        return str(schema["type"])
    low = schema.get("minimum", schema.get("exclusiveMinimum", -1) + 1)  # the latter of integers
    return f"{low} – {schema.get('maximum', '∞')}"
