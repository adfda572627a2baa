"""The networks of a figure: one trace, or several by label."""

from collections.abc import Mapping

from rnnviz.plots.style import check_shown
from rnnviz.trace import Trace

Traces = Trace | Mapping[str, Trace]


def by_label(traces: Traces) -> Mapping[str, Trace]:
    """The traces by label; a single one has the name of its cell. RnnvizError if there are none.

    >>> list(by_label(rnnviz.trace(torch.nn.GRU(1, 2), torch.ones(3, 1))))
    ['GRU']
    """
    found = {traces.cell.upper(): traces} if isinstance(traces, Trace) else traces
    check_shown(found)
    return found
