"""The settings of the comparison page."""

from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, NonNegativeInt

from rnnviz.errors import RnnvizError
from rnnviz.experiment.choices import (
    CellName,
    DirectionName,
    EqualName,
    HoldName,
    InputName,
    OrderOfGates,
    PartName,
)
from rnnviz.experiment.network_spec import (
    DEFAULT_NETWORKS,
    FORMS,
    MAX_LAYERS,
    MAX_NETWORKS,
    MIN_NETWORKS,
    NetworkSpec,
    keys_of,
    read_networks,
)
from rnnviz.experiment.settings.base import LONGEST, Message, Settings, not_among
from rnnviz.experiment.settings.page import Given, PageSettings, Rule
from rnnviz.experiment.settings.shared import Player, SizeAndSignal, Step, TextInput, last_step


def _report_networks(_settings: Settings, _name: str, text: str) -> RnnvizError:
    return RnnvizError(
        "error.query_networks",
        came=text[:LONGEST],
        fewest=MIN_NETWORKS,
        most=MAX_NETWORKS,
        expected=", ".join(FORMS),
        layers=MAX_LAYERS,
        shown=",".join(map(str, DEFAULT_NETWORKS)),
    )


def _report_units(_settings: Settings, _name: str, text: str) -> RnnvizError:
    return RnnvizError("error.query_units", came=text[:LONGEST])


def read_units(value: Any) -> tuple[Any, ...]:
    """Units from an address, separated by commas; ValueError for any other text.

    >>> read_units("3,17")
    (3, 17)
    """
    return tuple(map(int, value.split(","))) if isinstance(value, str) else tuple(value)


class ComparisonSettings(TextInput, SizeAndSignal):
    """What two to four compared networks and their input depend on.

    input_source: "text" for the shipped models on a text, "signal" for untrained networks. equal:
    whether all have ``hidden`` units, or each as many as ``budget`` parameters allow.
    """

    networks: Annotated[
        tuple[NetworkSpec, ...],
        Field(min_length=MIN_NETWORKS, max_length=MAX_NETWORKS),
        BeforeValidator(read_networks),
        Message(_report_networks, expected="form.layers.both, …"),
    ] = DEFAULT_NETWORKS
    input_source: InputName = "text"
    equal: EqualName = "hidden"
    budget: Annotated[int, Field(ge=10, le=60_000)] = 1000

    @property
    def steps(self) -> int:
        """Time steps of the input."""
        return self.length if self.input_source == "signal" else len(self.text)


def _trained_for_text(
    settings: "ComparePage", given: Given
) -> "tuple[ComparePage, RnnvizError | None]":
    """A text is read by shipped models alone."""
    untrained = [str(network) for network in settings.networks if not network.is_trained]
    if settings.input_source == "signal" or not untrained:
        return settings, None
    asked = "input_source" in given
    problem = RnnvizError("error.query_untrained", came=", ".join(untrained)) if asked else None
    return settings.model_copy(update={"input_source": "signal"}), problem


def _step_of_input(
    settings: "ComparePage", given: Given
) -> "tuple[ComparePage, RnnvizError | None]":
    of_text = settings.input_source == "text"
    key = "error.query_step" if of_text else "error.query_signal_step"
    return last_step(settings, given, settings.steps, key)


def _selected_network(
    settings: "ComparePage", given: Given
) -> "tuple[ComparePage, RnnvizError | None]":
    keys = tuple(keys_of(settings.networks))
    if settings.selected is None or settings.selected in keys:
        return settings, None
    name, text = given["selected"]
    problem = not_among(name, text, keys, keys[0])
    return settings.model_copy(update={"selected": None}), problem


class ComparePage(PageSettings, ComparisonSettings, Player):
    """Two to four networks on the same input.

    part: the section shown. difference: whether the first network is subtracted from the others.
    layer, direction: what of a network is shown; its last layer where it has fewer, forward where
    it has no other direction. selected: the key of the network that a section shows alone; None
    for the first. hold_…: what of that network is held, at which value, in which units (none for
    all) and from which step on. The fields below these are switches of the sections on conventions
    and Keras.
    """

    rules: ClassVar[tuple[Rule, ...]] = (_trained_for_text, _step_of_input, _selected_network)

    part: PartName = "gates"
    difference: bool = False
    layer: Annotated[int, Field(ge=1, le=MAX_LAYERS)] = MAX_LAYERS
    direction: DirectionName = "forward"
    selected: str | None = None
    hold_name: HoldName | None = None
    hold_value: Annotated[float, Field(ge=-3, le=3)] = 1.0
    hold_units: Annotated[
        tuple[NonNegativeInt, ...],
        BeforeValidator(read_units),
        Message(_report_units, expected="0, 1, 2, …"),
    ] = ()
    hold_from: Step = 1
    convention_cell: CellName = "lstm"
    convention_order: OrderOfGates = "torch"
    flip_update: bool = False
    reset_before: bool = False
    one_bias: bool = False
    return_sequences: bool = False
    return_state: bool = False

    def comparison(self) -> ComparisonSettings:
        """What the networks and their input depend on, without what is shown of them."""
        names = ["networks", "input_source", "loss"]
        if self.input_source == "text":
            names += ["text"]
        else:
            names += ["signal", "length", "seed", "equal"]
            names += ["hidden" if self.equal == "hidden" else "budget"]
        return ComparisonSettings(**{name: getattr(self, name) for name in names})
