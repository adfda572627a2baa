"""What the pages show as one record, the address it stands for, and the networks it names."""

from rnnviz.experiment.claim import Remembered, measure_claim
from rnnviz.experiment.compared_network import FORMS, Compared, keys_of
from rnnviz.experiment.comparison import build_compared, run_compared, run_held
from rnnviz.experiment.comparison_settings import ComparisonSettings
from rnnviz.experiment.edits import MOST_EDITED, Edit, with_edit
from rnnviz.experiment.names import (
    FASTEST,
    FIRST_TEXT,
    MOST_CHARACTERS,
    CellName,
    EqualName,
    GateName,
    InitName,
    InputName,
    LanguageName,
    LossName,
    NonlinearityName,
    PartName,
)
from rnnviz.experiment.networks import build_network, make_inputs, run_networks
from rnnviz.experiment.scenes import SCENES
from rnnviz.experiment.settings import NetworkSettings, ReadingSettings, Settings, limits_of

__all__ = [
    "FASTEST",
    "FIRST_TEXT",
    "FORMS",
    "MOST_CHARACTERS",
    "MOST_EDITED",
    "SCENES",
    "CellName",
    "Compared",
    "ComparisonSettings",
    "Edit",
    "EqualName",
    "GateName",
    "InitName",
    "InputName",
    "LanguageName",
    "LossName",
    "NetworkSettings",
    "NonlinearityName",
    "PartName",
    "ReadingSettings",
    "Remembered",
    "Settings",
    "build_compared",
    "build_network",
    "keys_of",
    "limits_of",
    "make_inputs",
    "measure_claim",
    "run_compared",
    "run_held",
    "run_networks",
    "with_edit",
]
