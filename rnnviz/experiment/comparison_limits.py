"""The sizes of the compared untrained networks, and roughly how long they take to run."""

from dataclasses import replace

from rnnviz.cells import Form
from rnnviz.counting import Size, count_parameters, fit_hidden
from rnnviz.errors import RnnvizError
from rnnviz.experiment.network_spec import FORMS, NetworkSpec, keys_of
from rnnviz.experiment.settings import ComparisonSettings, limits_of

MOST_SECONDS = 2.0  # for all networks together
# Seconds per time step, layer and direction on two cores, roughly: a form of torch is replayed at
# once, a gated form of rnnviz.cells and an Elman cell run step by step. Then per multiplication.
STOCK, STEPPED, PLAIN_STEPPED, TIMES = 15e-6, 150e-6, 60e-6, 2e-9


def sizes_of(settings: ComparisonSettings) -> dict[str, Size]:
    """The sizes by key. RnnvizError where the smallest size of a network exceeds the budget.

    >>> settings = ComparisonSettings(input_source="signal", equal="parameters", budget=1000)
    >>> size = sizes_of(settings)["lstm"]
    >>> size.hidden_size, count_parameters(size)
    (14, 952)
    """
    least, most = map(int, limits_of(ComparisonSettings, "hidden"))
    sizes = [_size(network, least) for network in settings.networks]
    if settings.equal == "parameters":
        smallest = max(map(count_parameters, sizes))
        if smallest > settings.budget:
            raise RnnvizError(
                "error.compared_budget", budget=settings.budget, hidden=least, smallest=smallest
            )
    found: dict[str, Size] = {}
    for key, size in zip(keys_of(settings.networks), sizes, strict=True):
        hidden = settings.hidden
        if settings.equal == "parameters":
            shape = {"layers": size.layers, "directions": size.directions}
            hidden = fit_hidden(size.form, 1, settings.budget, **shape, least=least, most=most)
        found[key] = replace(size, hidden_size=hidden)
    return found


def seconds_of(settings: ComparisonSettings) -> float:
    """Roughly the time that ``run_compared`` takes for a signal on two cores."""
    total, sizes = 0.0, sizes_of(settings)
    for key, network in zip(keys_of(settings.networks), settings.networks, strict=True):
        size, parts = sizes[key], network.layers * (1 + network.bidirectional)
        total += settings.length * (
            parts * _seconds_per_step(size.form) + count_parameters(size) * TIMES
        )
    return total


def check_limits(settings: ComparisonSettings) -> dict[str, Size]:
    """``sizes_of``; RnnvizError also where the networks exceed the time limit."""
    sizes = sizes_of(settings)
    seconds = seconds_of(settings)
    if seconds > MOST_SECONDS:
        raise RnnvizError("error.compared_limit", seconds=seconds, most=MOST_SECONDS)
    return sizes


def _size(network: NetworkSpec, hidden: int) -> Size:
    return Size(FORMS[network.form], 1, hidden, network.layers, 1 + network.bidirectional)


def _seconds_per_step(form: Form) -> float:
    if form.is_stock:
        return STOCK
    return PLAIN_STEPPED if form.cell == "rnn" else STEPPED
