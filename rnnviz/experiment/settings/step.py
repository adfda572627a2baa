"""The settings of the step page."""

from typing import Annotated, ClassVar

from pydantic import NonNegativeInt

from rnnviz.errors import RnnvizError
from rnnviz.experiment.choices import TemperatureName
from rnnviz.experiment.settings.base import LONGEST, Message, Settings
from rnnviz.experiment.settings.page import Given, PageSettings, Rule
from rnnviz.experiment.settings.shared import (
    CellChoice,
    Player,
    TextInput,
    gate_of_cell,
    last_step,
)
from rnnviz.explain.unit_order import OrderName


def _report_unit(_settings: Settings, _name: str, text: str) -> RnnvizError:
    return RnnvizError("error.query_unit", came=text[:LONGEST])


def _step_of_text(settings: "StepPage", given: Given) -> "tuple[StepPage, RnnvizError | None]":
    return last_step(settings, given, len(settings.text), "error.query_step")


class StepPage(PageSettings, CellChoice, TextInput, Player):
    """A shipped model reading a text, at one time step.

    unit: None for the first unit in the order. all_terms: whether a table lists every term.
    temperature: of the characters that the model writes.
    """

    rules: ClassVar[tuple[Rule, ...]] = (gate_of_cell, _step_of_text)

    unit: Annotated[NonNegativeInt | None, Message(_report_unit)] = None
    order: OrderName = "inside_string"
    all_terms: bool = False
    temperature: TemperatureName = "0.5"
