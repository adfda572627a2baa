"""What networks are said to remember, and what these settings give."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from rnnviz.experiment.networks import build_network, make_inputs
from rnnviz.experiment.settings import NetworkSettings
from rnnviz.gradients import remembered_steps
from rnnviz.trace import trace

SEEDS = 5
CLAIMED = {"rnn": 10, "lstm": 1000}  # steps, as lecture notes have it
# By the name of their texts in the catalogs: a cell, and what is changed of torch's default.
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
    """One kind of network: the steps that each seed's remembers, and how many there were."""

    name: str
    cell: str
    steps: tuple[int, ...]
    length: int


def measure_claim(
    settings: NetworkSettings, progress: Callable[[int, int], None] | None = None
) -> list[Remembered]:
    """What fresh networks of these sizes remember, over five seeds, the settings' the first.

    The same noise, hidden size and length; the loss is at the last step. Nothing is trained.
    progress: called with the networks done and their number.

    >>> found = measure_claim(NetworkSettings(hidden=4, length=50))
    >>> found[0].name, len(found[0].steps), max(found[0].steps) < 50
    ('rnn', 5, True)
    """
    return [
        Remembered(name, cell, tuple(steps), settings.length)
        for name, cell, steps in _measured(settings, progress)
    ]


def _measured(
    settings: NetworkSettings, progress: Callable[[int, int], None] | None
) -> Iterator[tuple[str, str, list[int]]]:
    sizes = {
        name: getattr(settings, name) for name in ("hidden", "length", "input_scale", "signal")
    }
    for number, (name, (cell, changed)) in enumerate(VARIANTS.items()):
        steps: list[int] = []
        for place in range(SEEDS):
            if progress is not None:
                progress(number * SEEDS + place, len(VARIANTS) * SEEDS)
            own = NetworkSettings(**sizes, seed=settings.seed + place, **changed)
            run = trace(build_network(own, cell), make_inputs(own), loss="last")
            steps.append(remembered_steps(run))
        yield name, cell, steps
