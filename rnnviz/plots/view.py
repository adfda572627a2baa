"""Which part of a trace a figure shows."""

from collections.abc import Sequence
from dataclasses import dataclass

from rnnviz.errors import RnnvizError, whole_number


@dataclass(frozen=True)
class View:
    """One part of a trace; a range of time steps; some units in some order.

    units: rows downwards, by index; all if None. first_step: counted from 0. steps: how many at
    most; all if None. characters: the input at each step of the trace, as labels of the time axis.
    layer, direction, batch: as in ``TracePart``.
    """

    units: Sequence[int] | None = None
    first_step: int = 0
    steps: int | None = None
    characters: Sequence[str] | None = None
    layer: int = 0
    direction: str = "forward"
    batch: int = 0

    def span(self, total: int) -> range:
        """The steps shown of a trace of ``total``. RnnvizError where there are none."""
        stop = total if self.steps is None else min(total, self.first_step + self.steps)
        if not 0 <= self.first_step < stop:
            raise RnnvizError("error.first_step", came=self.first_step, steps=total)
        if self.characters is not None and len(self.characters) != total:
            raise RnnvizError("error.text_length", came=len(self.characters), expected=total)
        return range(self.first_step, stop)

    def order(self, width: int) -> list[int]:
        """The units shown of ``width``. RnnvizError for one out of range."""
        units = range(width) if self.units is None else self.units
        order = [whole_number("unit", unit, width) for unit in units]
        if not order or not set(order) <= set(range(width)):
            raise RnnvizError("error.units", came=order[:8], units=width)
        return order


WHOLE = View()
