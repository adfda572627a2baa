"""Single recurrent weights set by hand, and how an address writes them."""

import math
import re
from typing import Any, NamedTuple

from rnnviz.cells import GATE_NAMES

MOST_EDITED = 8  # units of a network whose weights are few enough to edit
PATTERN = re.compile(r"(\w+)\.(\w+)\.(\d)\.(\d):(\S+)", re.ASCII)


class Edit(NamedTuple):
    """One entry of a gate's U: the weight by which unit ``column`` enters unit ``row``."""

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
        """Where it stands."""
        return self[:4]

    def fits(self, hidden: int) -> bool:
        """Whether a network of so many units has this weight, and lets it be edited."""
        return max(self.row, self.column) < hidden <= MOST_EDITED


def edit_template(cell: str, gate: str) -> str:
    """How an address writes an edit of a gate; commas between several.

    >>> edit_template("rnn", "hidden")
    'rnn.hidden.{row}.{column}:{value}'
    """
    return f"{cell}.{gate}.{{row}}.{{column}}:{{value}}"


def with_edit(edits: tuple[Edit, ...], edit: Edit) -> tuple[Edit, ...]:
    """The edits with one more, in place of one at the same place.

    >>> with_edit((Edit("rnn", "hidden", 0, 1, 2.0),), Edit("rnn", "hidden", 0, 1, 3.0))[0].value
    3.0
    """
    return (*(other for other in edits if other.place != edit.place), edit)


def read_edits(came: Any) -> tuple[Edit, ...]:
    """Edits from an address, ``cell.gate.row.column:value``, with commas between them.

    ValueError for any other text and for a value that is not finite.

    >>> read_edits("rnn.hidden.0.1:5.0")
    (Edit(cell='rnn', gate='hidden', row=0, column=1, value=5.0),)
    """
    if not isinstance(came, str):
        return tuple(came)
    found: tuple[Edit, ...] = ()
    for part in came.split(","):
        match = PATTERN.fullmatch(part)
        if match is None:
            raise ValueError(part)
        cell, gate, row, column, value = match.groups()
        edit = Edit(cell, gate, int(row), int(column), float(value))
        if gate not in GATE_NAMES.get(cell, ()) or not math.isfinite(edit.value):
            raise ValueError(part)
        found = with_edit(found, edit)
    return found


def write_edits(edits: tuple[Edit, ...]) -> str:
    """What ``read_edits`` reads.

    >>> write_edits((Edit("lstm", "forget_gate", 1, 1, -0.5),))
    'lstm.forget_gate.1.1:-0.5'
    """
    return ",".join(map(str, edits))
