"""The largest terms of a gate's sum, and all others as one."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rnnviz.explain.terms import GateTerms
from rnnviz.locale import Labels, labels
from rnnviz.locale.numbers import write_number
from rnnviz.plots.drawing import Drawing, as_figure
from rnnviz.plots.style import LARGEST, MONOSPACE, axis, layout, palette


class _Bar(NamedTuple):
    name: str
    value: float


@as_figure
def plot_terms(
    terms: GateTerms,
    *,
    reads: str,
    maximum: int = 8,
    height: int = 300,
    language: str = "en",
    dark: bool = False,
) -> Drawing:
    """Horizontal bars, signed: the input's part, the largest recurrent terms, the rest, the bias.

    A peephole's term comes between the last two.

    reads: the input at this step, as text. maximum: number of recurrent terms with a bar of their
    own; the others share one, so that the bars sum to the pre-activation.
    """
    words, colours = labels(language), palette(dark=dark)
    bars = _bars(terms, reads, maximum, words)
    values = [bar.value for bar in bars]
    reach = min(max(map(abs, values)), LARGEST) or 1.0
    # The end colour of each sign, so that short bars show their sign.
    negative, positive = colours.signed[0][1], colours.signed[-1][1]
    bar = {
        "type": "bar",
        "x": values,
        "y": [bar.name for bar in bars],
        "orientation": "h",
        "marker": {"color": [negative if value < 0 else positive for value in values]},
        "text": [_signed(value) for value in values],
        "textposition": "outside",
        "textfont": {"family": MONOSPACE, "size": 12, "color": colours.ink},
        "cliponaxis": False,
        "hovertemplate": "%{y}: %{x}<extra></extra>",
    }
    ends = [-1.75 * reach, 1.75 * reach]
    across = axis(colours, range=ends, showticklabels=False, hoverformat="+.4f")
    down = axis(colours, autorange="reversed", type="category")
    down["tickfont"] = {"size": 12, "color": colours.ink}
    margin = {"l": 128, "r": 8, "t": 4, "b": 4}
    rest = {"height": height, "bargap": 0.35, "margin": margin, "xaxis": across, "yaxis": down}
    return Drawing([bar], layout(colours, **rest))


def _bars(terms: GateTerms, reads: str, maximum: int, words: Labels) -> Sequence[_Bar]:
    order = np.argsort(-np.abs(terms.by_unit), kind="stable")
    nonzero = int((terms.by_unit != 0).sum())  # none at the first step: h₀ is 0
    shown, rest = np.split(order, [min(maximum, nonzero)])
    bars = [_Bar(words("plot.reads", what=reads), float(terms.by_input.sum()))]
    bars += [_Bar(words("plot.h_of_unit", unit=k), float(terms.by_unit[k])) for k in shown]
    if len(rest):
        bars.append(_Bar(words("plot.other_units", n=len(rest)), float(terms.by_unit[rest].sum())))
    if terms.p:
        bars.append(_Bar(words["plot.peephole"], terms.by_cell))
    return [*bars, _Bar(words("plot.bias"), terms.bias)]


def _signed(value: float) -> str:
    text = write_number(value, "+.2f")
    return "0.00" if text[1:] == "0.00" else text
