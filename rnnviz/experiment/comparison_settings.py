"""The settings of networks side by side."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, NonNegativeInt, PositiveInt

from rnnviz.experiment.compared_network import (
    FEWEST,
    FIRST_NETWORKS,
    MOST,
    MOST_LAYERS,
    Compared,
    read_networks,
)
from rnnviz.experiment.names import (
    FASTEST,
    FIRST_TEXT,
    MOST_CHARACTERS,
    CellName,
    DirectionName,
    EqualName,
    HoldName,
    InputName,
    LossName,
    OrderOfGates,
    PartName,
)
from rnnviz.inputs.signals import SignalName


def read_units(came: Any) -> tuple[Any, ...]:
    """Units from an address, with commas between them; ValueError for any other text.

    >>> read_units("3,17")
    (3, 17)
    """
    return tuple(map(int, came.split(","))) if isinstance(came, str) else tuple(came)


class ComparisonSettings(BaseModel):
    """What the comparison page shows: two to four networks on the same input.

    reads: "text", the shipped models on a text, or "signal", fresh networks by seed. equal: all
    have so many hidden units, or each the most that so many parameters (budget) allow.
    difference: each network minus the first. part: the section shown. layer, direction: what of a
    network is shown; its last layer where it has fewer, forward where it has no other.
    looked_at: the network, by key, that a section takes alone; None for the first. hold_…: what of
    it is held, at which value, in which units (none for all) and from which step on.
    convention_… and the five after these: switches of the sections of conventions and of Keras.
    """

    model_config = ConfigDict(frozen=True)

    networks: Annotated[
        tuple[Compared, ...],
        Field(min_length=FEWEST, max_length=MOST),
        BeforeValidator(read_networks),
    ] = FIRST_NETWORKS
    reads: InputName = "text"
    text: Annotated[str, Field(min_length=1, max_length=MOST_CHARACTERS)] = FIRST_TEXT
    signal: SignalName = "noise"
    length: Annotated[int, Field(ge=2, le=2000)] = 100
    equal: EqualName = "hidden"
    hidden: Annotated[int, Field(ge=2, le=256)] = 16
    budget: Annotated[int, Field(ge=10, le=60_000)] = 1000
    seed: Annotated[int, Field(ge=0, le=9999)] = 0
    loss: LossName = "last"
    part: PartName = "gates"
    difference: bool = False
    layer: Annotated[int, Field(ge=1, le=MOST_LAYERS)] = MOST_LAYERS
    direction: DirectionName = "forward"
    t: PositiveInt = 36
    speed: Annotated[int, Field(ge=1, le=FASTEST)] = 4
    looked_at: str | None = None
    hold_name: HoldName | None = None
    hold_value: Annotated[float, Field(ge=-3, le=3)] = 1.0
    hold_units: Annotated[tuple[NonNegativeInt, ...], BeforeValidator(read_units)] = ()
    hold_from: PositiveInt = 1
    convention_cell: CellName = "lstm"
    convention_order: OrderOfGates = "torch"
    flip_update: bool = False
    reset_before: bool = False
    one_bias: bool = False
    return_sequences: bool = False
    return_state: bool = False

    @property
    def steps(self) -> int:
        """Time steps of the input."""
        return self.length if self.reads == "signal" else len(self.text)
