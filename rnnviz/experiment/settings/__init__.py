"""One frozen class of settings per page, composed of the parts that pages share."""

from rnnviz.experiment.settings.base import Settings, choices_of, limits_of, value_text
from rnnviz.experiment.settings.compare import ComparePage, ComparisonSettings
from rnnviz.experiment.settings.gradients import GradientsPage, NetworkSettings
from rnnviz.experiment.settings.page import FIRST_VIEW, OLD_NAMES, PageSettings
from rnnviz.experiment.settings.shared import (
    FASTEST,
    FIRST_TEXT,
    MOST_CHARACTERS,
    CellChoice,
    Player,
    SizeAndSignal,
    TextInput,
    check_text,
)
from rnnviz.experiment.settings.step import StepPage

__all__ = [
    "FASTEST",
    "FIRST_TEXT",
    "FIRST_VIEW",
    "MOST_CHARACTERS",
    "OLD_NAMES",
    "CellChoice",
    "ComparePage",
    "ComparisonSettings",
    "GradientsPage",
    "NetworkSettings",
    "PageSettings",
    "Player",
    "Settings",
    "SizeAndSignal",
    "StepPage",
    "TextInput",
    "check_text",
    "choices_of",
    "limits_of",
    "value_text",
]
