"""How much work the networks of some settings are, before they run; for scheduling visitors."""

from rnnviz.counting import count_parameters
from rnnviz.errors import RnnvizError
from rnnviz.experiment.claim import SEEDS, VARIANTS
from rnnviz.experiment.comparison_limits import sizes_of
from rnnviz.experiment.settings import (
    ComparisonSettings,
    GradientsPage,
    NetworkSettings,
    Settings,
    StepPage,
)

CELLS = 3  # on the gradients page: an RNN, an LSTM and a GRU
TRAINED_HIDDEN = 128  # units of the shipped models


def work_of(settings: Settings) -> float:
    """Cells × T × H², roughly proportional to the multiplications of all networks.

    0 for settings that are refused, and for those of a page without networks.

    >>> work_of(GradientsPage(hidden=256, length=2000)) / work_of(GradientsPage(hidden=16))
    5120.0
    """
    if isinstance(settings, NetworkSettings):
        measures = isinstance(settings, GradientsPage) and settings.claim
        cells = CELLS + measures * SEEDS * len(VARIANTS)
        return float(cells * settings.length * settings.hidden**2)
    if isinstance(settings, StepPage):
        return float(len(settings.text) * TRAINED_HIDDEN**2)
    if isinstance(settings, ComparisonSettings):
        return _work_of_compared(settings)
    return 0.0


def _work_of_compared(settings: ComparisonSettings) -> float:
    if settings.input_source == "text":
        return float(len(settings.networks) * len(settings.text) * TRAINED_HIDDEN**2)
    try:
        sizes = sizes_of(settings).values()
    except RnnvizError:  # shown in place of the figures
        return 0.0
    # an LSTM of H units has about 4 H² parameters
    return settings.length * sum(map(count_parameters, sizes)) / 4
