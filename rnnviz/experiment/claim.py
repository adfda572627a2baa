"""How many steps untrained networks remember, beside what is commonly claimed."""

from collections.abc import Mapping
from statistics import median
from typing import Any, NamedTuple

from rnnviz.experiment.networks import build_network, make_inputs
from rnnviz.experiment.settings import NetworkSettings, limits_of
from rnnviz.gradients import remembered_steps
from rnnviz.trace import trace_equations

SEEDS = 5
CLAIMED = {"rnn": 10, "lstm": 1000}  # steps, as lecture notes state
# By the name of their texts in the catalogs: a cell, and what differs from torch's default.
VARIANTS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "rnn": ("rnn", {}),
    "rnn_orthogonal": ("rnn", {"init": "orthogonal"}),
    "lstm": ("lstm", {}),
    "lstm_one": ("lstm", {"forget_bias": 1.0}),
    "lstm_three": ("lstm", {"forget_bias": 3.0}),
    "lstm_chrono": ("lstm", {"init": "chrono"}),
    "gru": ("gru", {}),
    "gru_chrono": ("gru", {"init": "chrono"}),
}


class Remembered(NamedTuple):
    """The steps that networks of one variant remember, one number per seed.

    length: the steps of the sequence.
    """

    name: str
    cell: str
    steps: tuple[int, ...]
    length: int


def measure_claim(settings: NetworkSettings, name: str) -> Remembered:
    """The steps that networks of one variant remember, over five seeds from the settings' own.

    name: of VARIANTS. Hidden size, length and input are the settings'; the loss is at the last
    step. Nothing is trained.

    >>> found = measure_claim(NetworkSettings(hidden=4, length=50), "rnn")
    >>> len(found.steps), max(found.steps) < 50
    (5, True)
    """
    cell, changed = VARIANTS[name]
    seeds = int(limits_of(NetworkSettings, "seed")[1]) + 1
    steps: list[int] = []
    for place in range(SEEDS):
        seed = (settings.seed + place) % seeds
        own = claimed_of(settings).model_copy(update={**changed, "seed": seed})
        run = trace_equations(build_network(own, cell), make_inputs(own), loss="last")
        steps.append(remembered_steps(run))
    return Remembered(name, cell, tuple(steps), settings.length)


def claimed_of(settings: NetworkSettings) -> NetworkSettings:
    """The settings with defaults for all that the measurement does not depend on."""
    names = ("hidden", "length", "seed", "signal", "input_scale")
    return NetworkSettings(**{name: getattr(settings, name) for name in names})


def holds(found: Mapping[str, Remembered]) -> bool:
    """Whether the page's conclusion is true: the LSTM's claim needs chrono initialisation.

    found: by name. The medians: the RNN within a factor of 3 of 10 steps, torch's LSTM at most 3
    times the RNN, chrono at least 10 times torch's LSTM.
    """
    rnn, lstm, chrono = (median(found[name].steps) for name in ("rnn", "lstm", "lstm_chrono"))
    return 10 / 3 <= rnn <= 30 and lstm <= 3 * rnn and chrono >= 10 * lstm
