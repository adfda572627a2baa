"""At which gain of its recurrent weights an RNN's gradient begins to last, and to explode."""

from typing import NamedTuple

from rnnviz.experiment.networks import build_network, make_inputs
from rnnviz.experiment.settings import NetworkSettings, limits_of
from rnnviz.gradients import diagnose
from rnnviz.trace import trace_equations

STEP = 0.01  # of the gain
COARSE = 25  # steps between two gains that are tried at first

# The verdicts in their usual order as the gain grows.
ORDER = {"no_gradient": 0, "vanishing": 0, "healthy": 1, "exploding": 2}


class GainMarks(NamedTuple):
    """The gains from which the RNN's gradient lasts and explodes; None for one that it never does.

    Beyond a mark the verdict may change back: only the first gain counts.
    """

    lasts: float | None
    explodes: float | None


def gain_marks(settings: NetworkSettings) -> GainMarks:
    """The marks of the RNN of these settings, whatever their own gain, to 0.01.

    Gains 0.25 apart are diagnosed, then those between two with different verdicts by bisection.

    >>> gain_marks(NetworkSettings(init="orthogonal", nonlinearity="identity"))
    GainMarks(lasts=0.96, explodes=1.05)
    """
    found: dict[int, str] = {}
    inputs = make_inputs(settings)

    def order(step: int) -> int:
        if step not in found:
            module = build_network(
                settings.model_copy(update={"gain": round(step * STEP, 2)}), "rnn"
            )
            trace = trace_equations(module, inputs, loss=settings.loss)
            found[step] = diagnose(trace).verdict
        return ORDER.get(found[step], len(ORDER))

    def begins(verdict: str) -> float | None:
        """The first gain with this verdict or, if it has another one, None."""
        before, after = -1, last
        for step in range(0, last + 1, COARSE):
            if order(step) >= ORDER[verdict]:
                after = step
                break
            before = step
        else:
            return None
        while after - before > 1:
            middle = (before + after) // 2
            if order(middle) >= ORDER[verdict]:
                after = middle
            else:
                before = middle
        return round(after * STEP, 2) if found[after] == verdict else None

    last = round(limits_of(NetworkSettings, "gain")[1] / STEP)
    return GainMarks(begins("healthy"), begins("exploding"))
