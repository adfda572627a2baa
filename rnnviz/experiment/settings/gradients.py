"""The settings of the gradients page."""

from typing import Annotated, ClassVar

from pydantic import BeforeValidator, Field

from rnnviz.errors import RnnvizError
from rnnviz.experiment.choices import InitName, NonlinearityName
from rnnviz.experiment.edits import MOST_EDITED, Edit, read_edits
from rnnviz.experiment.settings.base import LONGEST, Message, Settings, value_text
from rnnviz.experiment.settings.page import Given, PageSettings, Rule
from rnnviz.experiment.settings.shared import CellChoice, SizeAndSignal, gate_of_cell


def _report_edit(_settings: Settings, _name: str, text: str) -> RnnvizError:
    return RnnvizError("error.query_edit", came=text[:LONGEST])


class NetworkSettings(SizeAndSignal):
    """What an RNN, an LSTM and a GRU on the same input depend on.

    init: the initialisation; then every gate's U is scaled to spectral_radius, and multiplied by
    gain. spectral_radius, forget_bias: None for the initial value. nonlinearity: that of the RNN.
    edit: entries of U set by hand.
    """

    init: InitName = "torch_default"
    nonlinearity: NonlinearityName = "tanh"
    gain: Annotated[float, Field(ge=0, le=3)] = 1.0
    spectral_radius: Annotated[float, Field(ge=0, le=2)] | None = None
    forget_bias: Annotated[float, Field(ge=-6, le=10)] | None = None
    input_scale: Annotated[float, Field(ge=0, le=5)] = 1.0
    edit: Annotated[
        tuple[Edit, ...],
        BeforeValidator(read_edits),
        Message(_report_edit, expected="cell.gate.row.column:value"),
    ] = ()


def _edits_of_weights(
    settings: "GradientsPage", _given: Given
) -> "tuple[GradientsPage, RnnvizError | None]":
    """Every edit is one of a weight that the networks have and the page shows."""
    fitting = tuple(edit for edit in settings.edit if edit.fits(settings.hidden))
    if fitting == settings.edit:
        return settings, None
    left_out = tuple(edit for edit in settings.edit if edit not in fitting)
    problem = RnnvizError(
        "error.query_edit_place",
        came=value_text(left_out)[: 2 * LONGEST],
        most=MOST_EDITED,
        last=min(settings.hidden, MOST_EDITED) - 1,
    )
    return settings.model_copy(update={"edit": fitting}), problem


class GradientsPage(PageSettings, CellChoice, NetworkSettings):
    """Gradients through time of an RNN, an LSTM and a GRU on the same input.

    cell, gate: whose weights are shown. clip: a threshold for the norm of all gradients together,
    or None. claim: whether the page measures how many steps such networks remember.
    """

    rules: ClassVar[tuple[Rule, ...]] = (gate_of_cell, _edits_of_weights)

    clip: Annotated[float, Field(ge=0.001, le=1000)] | None = None
    claim: bool = False

    def network(self) -> NetworkSettings:
        """What the networks depend on, without what is shown of them."""
        return self.subset(NetworkSettings)
