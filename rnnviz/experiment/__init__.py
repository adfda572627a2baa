"""The settings of each page, their addresses, and the networks that they describe."""

from rnnviz.experiment.choices import (
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
from rnnviz.experiment.claim import Remembered, measure_claim
from rnnviz.experiment.comparison import build_compared, run_compared, run_held
from rnnviz.experiment.edits import MOST_EDITED, Edit, with_edit
from rnnviz.experiment.examples import EXAMPLES, Watched, watch
from rnnviz.experiment.network_spec import FORMS, NetworkSpec, keys_of
from rnnviz.experiment.networks import build_network, make_inputs, run_networks
from rnnviz.experiment.scenes import SCENES
from rnnviz.experiment.settings import (
    FASTEST,
    FIRST_TEXT,
    MOST_CHARACTERS,
    ComparePage,
    ComparisonSettings,
    GradientsPage,
    NetworkSettings,
    PageSettings,
    StepPage,
    limits_of,
)

__all__ = [
    "EXAMPLES",
    "FASTEST",
    "FIRST_TEXT",
    "FORMS",
    "MOST_CHARACTERS",
    "MOST_EDITED",
    "SCENES",
    "CellName",
    "ComparePage",
    "ComparisonSettings",
    "Edit",
    "EqualName",
    "GateName",
    "GradientsPage",
    "InitName",
    "InputName",
    "LanguageName",
    "LossName",
    "NetworkSettings",
    "NetworkSpec",
    "NonlinearityName",
    "PageSettings",
    "PartName",
    "Remembered",
    "StepPage",
    "Watched",
    "build_compared",
    "build_network",
    "keys_of",
    "limits_of",
    "make_inputs",
    "measure_claim",
    "run_compared",
    "run_held",
    "run_networks",
    "watch",
    "with_edit",
]
