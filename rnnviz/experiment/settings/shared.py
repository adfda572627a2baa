"""Settings that several pages share; each is declared once and composed into the pages."""

from typing import Annotated, Self, TypeVar

from pydantic import Field, PositiveInt

from rnnviz.cells import GATES_AS_READ
from rnnviz.errors import RnnvizError
from rnnviz.experiment.choices import CellName, GateName, LossName
from rnnviz.experiment.settings.base import LONGEST, Given, Message, Settings, not_among
from rnnviz.inputs.signals import SignalName

MOST_CHARACTERS = 2000
FASTEST = 10  # steps per second

# A line of Python with an indent, a string, and brackets inside and outside of it.
FIRST_TEXT = 'def greet(name):\n    return "hello (" + name + ")"  # say it\n'


def check_text(text: str) -> RnnvizError | None:
    """What is wrong with a text that is to be read, or None."""
    if not text:
        return RnnvizError("error.empty_text")
    if len(text) > MOST_CHARACTERS:
        return RnnvizError("error.text_limit", came=len(text), most=MOST_CHARACTERS)
    return None


def _report_text(_settings: Settings, _name: str, text: str) -> RnnvizError:
    return check_text(text) or RnnvizError("error.empty_text")


def _report_step(settings: Settings, name: str, text: str) -> RnnvizError:
    shown = getattr(settings, name)
    return RnnvizError("error.query_number", field=name, came=text[:LONGEST], shown=shown)


def _report_speed(settings: "Player", name: str, text: str) -> RnnvizError:
    choices = tuple(map(str, range(1, FASTEST + 1)))
    return not_among(name, text, choices, str(settings.speed))


def _report_gate(settings: "CellChoice", name: str, text: str) -> RnnvizError:
    gates = GATES_AS_READ[settings.cell]
    return not_among(name, text, gates, gates[0])


Steps = TypeVar("Steps", bound="Player")
Step = Annotated[PositiveInt, Message(_report_step)]  # counted from 1


class TextInput(Settings):
    """A text that networks read."""

    text: Annotated[
        str,
        Field(min_length=1, max_length=MOST_CHARACTERS),
        Message(_report_text, expected=f"len(text) = 1 – {MOST_CHARACTERS}"),
    ] = FIRST_TEXT


class Player(Settings):
    """The time step shown, and how many steps per second the player shows."""

    t: Step = 37  # the closing quote of FIRST_TEXT
    speed: Annotated[int, Field(ge=1, le=FASTEST), Message(_report_speed)] = 4


class CellChoice(Settings):
    """The cell shown, and the gate of it; None for the cell's first gate."""

    cell: CellName = "lstm"
    gate: Annotated[GateName | None, Message(_report_gate)] = None

    def without_default_gate(self) -> Self:
        """The same settings with None for the cell's first gate."""
        is_first = self.gate == GATES_AS_READ[self.cell][0]
        return self.model_copy(update={"gate": None}) if is_first else self


class SizeAndSignal(Settings):
    """The size, the input signal, the loss and the seed of untrained networks."""

    hidden: Annotated[int, Field(ge=2, le=256)] = 16
    length: Annotated[int, Field(ge=2, le=2000)] = 100
    seed: Annotated[int, Field(ge=0, le=9999)] = 0
    signal: SignalName = "noise"
    loss: LossName = "last"


def gate_of_cell(settings: CellChoice, _given: Given) -> tuple[CellChoice, RnnvizError | None]:
    """A rule of ``PageSettings``: the gate is one of the cell's."""
    if settings.gate is None or settings.gate in GATES_AS_READ[settings.cell]:
        return settings, None
    problem = _report_gate(settings, "gate", settings.gate)
    return settings.model_copy(update={"gate": None}), problem


def last_step(
    settings: Steps, given: Given, steps: int, key: str
) -> tuple[Steps, RnnvizError | None]:
    """The settings with t at most ``steps``; a problem where the address asked for more."""
    if settings.t <= steps:
        return settings, None
    problem = RnnvizError(key, t=given["t"].text[:LONGEST], steps=steps) if "t" in given else None
    return settings.model_copy(update={"t": steps}), problem
