"""Orders of units: by index, by variance, or by correlation with a property of the text."""

from typing import Literal, NamedTuple, get_args

import numpy as np

from rnnviz.errors import RnnvizError
from rnnviz.explain.text_properties import correlation, text_properties
from rnnviz.trace import Trace
from rnnviz.trace_part import TracePart

OrderName = Literal[
    "index",
    "variance",
    "inside_string",
    "inside_comment",
    "bracket_depth",
    "position_in_line",
    "indentation",
]
ORDERS: tuple[str, ...] = get_args(OrderName)  # all but the first two are text properties


class Order(NamedTuple):
    """Units in the requested order, and the score of each.

    units: (unit,) indices. scores: (unit,) by unit index: the variance of h, or its correlation
    with the property; NaN where a unit, or the property itself, never changes.
    """

    by: str
    units: np.ndarray[tuple[int], np.dtype[np.intp]]
    scores: np.ndarray[tuple[int], np.dtype[np.float64]]

    @property
    def is_defined(self) -> bool:
        """Whether any unit has a score; if not, units are sorted by variance."""
        return bool(np.isfinite(self.scores).any())

    @property
    def sorted_by(self) -> str:
        """By what the units are sorted: ``by``, or "variance" if no unit has a score."""
        return self.by if self.is_defined else "variance"


def order_units(trace: Trace, by: str, text: str = "", *, layer: int = 0) -> Order:
    """The units of a layer ordered by their hidden state over a text.

    by: "index", "variance" (largest first), or a text property (largest |correlation|
    with it first; units that never change last). If the property is constant in the text, units
    are sorted by variance, and all scores are NaN. Ties are sorted by index.
    RnnvizError for another name, a layer that the trace lacks, and a text of another length.

    >>> torch.manual_seed(0) is not None
    True
    >>> trace = rnnviz.trace(torch.nn.RNN(1, 3), torch.ones(4, 1))
    >>> order_units(trace, "index").units.tolist()
    [0, 1, 2]
    """
    part = TracePart(trace, layer, batch=0)
    h, read = part.array("hidden_state"), np.sort(part.times)
    if by not in ORDERS:
        raise RnnvizError("error.order", came=by, expected=", ".join(ORDERS))
    if by == "index":
        units = np.arange(h.shape[1])
        return Order(by, units, units.astype(np.float64))
    variance = h[read].var(0, dtype=np.float64)
    by_variance = np.argsort(-variance, kind="stable")
    if by == "variance":
        return Order(by, by_variance, variance)
    if len(text) != len(h):
        raise RnnvizError("error.text_length", came=len(text), expected=len(h))
    scores = correlation(h[read], text_properties(text)[by][read])
    order = Order(by, np.argsort(-np.abs(np.nan_to_num(scores)), kind="stable"), scores)
    return order if order.is_defined else order._replace(units=by_variance)
