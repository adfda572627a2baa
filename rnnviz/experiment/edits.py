"""Edited recurrent weights, and their format in the address."""

import math
import re
from typing import Any, NamedTuple

from rnnviz.cells import GATE_NAMES

MOST_EDITED = 8  # hidden units of the largest network whose weights can be edited
PATTERN = re.compile(r"(\w+)\.(\w+)\.(\d)\.(\d):(\S+)", re.ASCII)


class Edit(NamedTuple):
    """One entry of a gate's U: the weight from unit ``column`` to unit ``row``."""

    cell: str
    gate: str
    row: int
    column: int
    value: float

    def __str__(self) -> str:
        template = edit_template(self.cell, self.gate)
        return template.format(row=self.row, column=self.column, value=repr(self.value))

    @property
    def place(self) -> tuple[str, str, int, int]:
        """Cell, gate, row and column."""
        return self[:4]

    def fits(self, hidden: int) -> bool:
        """Whether a network of this hidden size has the weight and allows editing."""
        return max(self.row, self.column) < hidden <= MOST_EDITED


def edit_template(cell: str, gate: str) -> str:
    """The format of a gate's edit in the address; several are separated by commas.

    >>> edit_template("rnn", "hidden")
    'rnn.hidden.{row}.{column}:{value}'
    """
    return f"{cell}.{gate}.{{row}}.{{column}}:{{value}}"


def with_edit(edits: tuple[Edit, ...], edit: Edit) -> tuple[Edit, ...]:
    """The edits with one added; it replaces an edit of the same entry.

    >>> with_edit((Edit("rnn", "hidden", 0, 1, 2.0),), Edit("rnn", "hidden", 0, 1, 3.0))[0].value
    3.0
    """
    return (*(other for other in edits if other.place != edit.place), edit)


def read_edits(value: Any) -> tuple[Edit, ...]:
    """Edits from an address: ``cell.gate.row.column:value``, separated by commas.

    Raises ValueError for any other text and for a value that is not finite.

    >>> read_edits("rnn.hidden.0.1:5.0")
    (Edit(cell='rnn', gate='hidden', row=0, column=1, value=5.0),)
    """
    if not isinstance(value, str):
        return tuple(value)
    edits: tuple[Edit, ...] = ()
    for part in value.split(","):
        match = PATTERN.fullmatch(part)
        if match is None:
            raise ValueError(part)
        cell, gate, row, column, number = match.groups()
        edit = Edit(cell, gate, int(row), int(column), float(number))
        if gate not in GATE_NAMES.get(cell, ()) or not math.isfinite(edit.value):
            raise ValueError(part)
        edits = with_edit(edits, edit)
    return edits
