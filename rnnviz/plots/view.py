"""Which part of a trace a figure shows."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from rnnviz.errors import RnnvizError, is_list, whole_number


@dataclass(frozen=True)
class View:
    """One part of a trace; a range of time steps; some units in some order.

    units: rows downwards, by index; all if None. first_step: counted from 0. steps: how many at
    most; all if None. characters: the input at each step of the trace, as labels of the time axis.
    layer, direction, batch: as in ``TracePart``. A figure raises RnnvizError for a view that its
    trace does not have.
    """

    units: Collection[int] | None = None
    first_step: int = 0
    steps: int | None = None
    characters: Sequence[str] | None = None
    layer: int = 0
    direction: str = "forward"
    batch: int = 0

    def span(self, total: int) -> range:
        """The steps shown of a trace of ``total``. RnnvizError where there are none."""
        first = whole_number("first_step", self.first_step, total)
        steps = total if self.steps is None else whole_number("steps", self.steps, total + 1)
        stop = min(total, first + steps)
        if not 0 <= first < stop:
            raise RnnvizError("error.first_step", came=first, steps=total)
        self._check_characters(total)
        return range(first, stop)

    def order(self, width: int) -> list[int]:
        """The units shown of ``width``. RnnvizError for one out of range."""
        units: Any = range(width) if self.units is None else self.units
        if not is_list(units):
            raise RnnvizError("error.view_units", came=repr(units))
        order = [whole_number("unit", unit, width) for unit in units]
        if not order or not set(order) <= set(range(width)):
            raise RnnvizError("error.units", came=order[:8], units=width)
        return order

    def _check_characters(self, total: int) -> None:
        characters: Any = self.characters
        if characters is None:
            return
        if not isinstance(characters, Sequence) or not all(isinstance(c, str) for c in characters):
            raise RnnvizError("error.view_characters", came=type(characters).__name__)
        if len(characters) != total:
            raise RnnvizError("error.text_length", came=len(characters), expected=total)


WHOLE = View()
