"""Texts that show one property each, and the unit and the time step to look at."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from rnnviz.experiment.settings.shared import FIRST_TEXT
from rnnviz.explain.text_properties import PROPERTIES, text_properties
from rnnviz.explain.unit_order import OrderName, order_units
from rnnviz.trace import Trace
from rnnviz.trace_part import TracePart


class Example(NamedTuple):
    """A text, and the property that varies in it, by which units are sorted."""

    text: str
    order: OrderName


# By the name of their texts in the catalogs.
EXAMPLES: Mapping[str, Example] = {
    "string": Example(FIRST_TEXT, "inside_string"),
    "brackets": Example(
        "total = sum([f(x, g(y)) for x, y in zip(a, b)])\nprint(total)\n", "bracket_depth"
    ),
    "indentation": Example(
        "for name in names:\n    print(name)\n    greet(name)\nprint('done')\n", "indentation"
    ),
    "comment": Example(
        "x = 1  # the first of many\ny = x + 1\n# and the last of them\n", "inside_comment"
    ),
    "docstring": Example(
        'def area(r):\n    """Return the area of a circle."""\n    return 3.14 * r * r\n',
        "inside_string",
    ),
    "prose": Example(
        "The quick brown fox jumps over the lazy dog.\nIt runs far away, and the dog sleeps on.\n",
        "position_in_line",
    ),
    "korean": Example('name = "홍길동"\nprint("안녕하세요, " + name)  # 인사\n', "inside_string"),
    "blank": Example("\n" * 8, "variance"),
}


class Watched(NamedTuple):
    """What to look at: a unit, and a step, counted from 1."""

    unit: int
    t: int


def watch(record: Trace, example: Example) -> Watched:
    """The first unit of the example's order, and the step at which its state changes most.

    record: a trace of the example's text, of one layer. Only steps count at which the property
    changes. The state is that of the cell, or the hidden state where there is no other.

    >>> rnn = torch.nn.RNN(1, 1, bias=False)
    >>> _ = [weight.data.fill_(0.5) for weight in rnn.parameters()]
    >>> trace = rnnviz.trace(rnn, torch.tensor([[0.0], [0.0], [9.0], [9.0]]))
    >>> watch(trace, Example("a = ", "variance"))
    Watched(unit=0, t=3)
    """
    unit = int(order_units(record, example.order, example.text).units[0])
    name = "cell_state" if "cell_state" in record else "hidden_state"
    state = TracePart(record, batch=0).array(name)[:, unit].astype(np.float64)
    changes = np.abs(np.diff(state))
    if example.order in PROPERTIES:
        changes[np.diff(text_properties(example.text)[example.order]) == 0] = -1
    return Watched(unit, int(changes.argmax()) + 2)
