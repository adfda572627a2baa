"""What the pages show as one record, the address it stands for, and the networks it names."""

from rnnviz.experiment.claim import Remembered, measure_claim
from rnnviz.experiment.edits import MOST_EDITED, Edit, with_edit
from rnnviz.experiment.networks import build_network, make_inputs, run_networks
from rnnviz.experiment.scenes import SCENES
from rnnviz.experiment.settings import (
    FASTEST,
    FIRST_TEXT,
    MOST_CHARACTERS,
    CellName,
    GateName,
    InitName,
    LanguageName,
    LossName,
    NetworkSettings,
    NonlinearityName,
    ReadingSettings,
    Settings,
    limits_of,
)

__all__ = [
    "FASTEST",
    "FIRST_TEXT",
    "MOST_CHARACTERS",
    "MOST_EDITED",
    "SCENES",
    "CellName",
    "Edit",
    "GateName",
    "InitName",
    "LanguageName",
    "LossName",
    "NetworkSettings",
    "NonlinearityName",
    "ReadingSettings",
    "Remembered",
    "Settings",
    "build_network",
    "limits_of",
    "make_inputs",
    "measure_claim",
    "run_networks",
    "with_edit",
]
