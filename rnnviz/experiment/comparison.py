"""The networks that stand side by side, built and run: the same input, seed and time steps."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from rnnviz import initialise
from rnnviz.cells import Form, make_cell
from rnnviz.errors import RnnvizError
from rnnviz.experiment.compared import FORMS, Compared, keys_of
from rnnviz.experiment.networks import GRU, LSTM, RNN
from rnnviz.experiment.settings import ComparisonSettings, limits_of
from rnnviz.formats.characters import CharacterModel
from rnnviz.inputs.signals import make_signal
from rnnviz.recurrent import Recurrent
from rnnviz.running import Loss
from rnnviz.trace import Trace, trace

Models = Callable[[str], CharacterModel]  # the shipped model of a cell
STACKS = {"rnn": RNN, "lstm": LSTM, "gru": GRU}

MOST_SECONDS = 2.0  # of all networks together
# Seconds a step of one layer in one direction takes, about, on two cores: torch's forms are
# replayed at once, a gated one of this project goes step by step. Then those of a multiplication.
STOCK, STEPPED, PLAIN_STEPPED, TIMES = 15e-6, 500e-6, 60e-6, 2e-9


class Size(NamedTuple):
    """Hidden units of each layer and direction, and parameters of the whole network."""

    hidden: int
    parameters: int


def build_compared(
    settings: ComparisonSettings, models: Models | None = None
) -> dict[str, nn.Module]:
    """The networks by key, as ``keys_of`` names them.

    Of a signal: fresh ones of one input in float64, drawn as torch draws them, each by the same
    seed; torch's own modules where torch has the form. Of a text: the shipped ones, from models.
    RnnvizError over the limits, or for a text without models.

    >>> found = build_compared(ComparisonSettings(reads="signal", hidden=4))
    >>> list(found), found["gru"].weight_hh_l0.shape
    (['lstm', 'gru', 'rnn'], torch.Size([12, 4]))
    """
    keys = keys_of(settings.networks)
    if settings.reads == "text":
        found = {key: model.recurrent for key, model in models_of(settings, models).items()}
        return dict(found)
    sizes = check_limits(settings)
    return {
        key: _built(network, sizes[key].hidden, settings.seed)
        for key, network in zip(keys, settings.networks, strict=True)
    }


def run_compared(settings: ComparisonSettings, models: Models | None = None) -> dict[str, Trace]:
    """The traces by key, with gradients.

    Of a signal the loss is the sum of the last outputs or of all. Of a text it is what training
    makes smaller, −ln P of the last character or of all but the first; one character has none.

    >>> traces = run_compared(ComparisonSettings(reads="signal", hidden=4, length=10))
    >>> [trace["hidden_state"].sizes["time"] for trace in traces.values()]
    [10, 10, 10]
    """
    if settings.reads == "text":
        found = models_of(settings, models)
        return {key: _read(model, settings) for key, model in found.items()}
    x = compared_input(settings)
    return {
        key: trace(module, x, loss=settings.loss)
        for key, module in build_compared(settings).items()
    }


def compared_input(settings: ComparisonSettings) -> Tensor:
    """The signal, (time, 1), in float64.

    >>> compared_input(ComparisonSettings(signal="gap", length=8)).ravel().tolist()
    [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    """
    # The next seed's numbers, so that inputs and weights do not begin alike.
    return make_signal(settings.signal, settings.length, seed=settings.seed + 1)


def models_of(settings: ComparisonSettings, models: Models | None) -> dict[str, CharacterModel]:
    """The shipped models by key. RnnvizError where there are none, or none of a form."""
    untrained = [str(network) for network in settings.networks if not network.is_trained]
    if models is None or untrained:
        raise RnnvizError(
            "error.untrained", came=", ".join(untrained or keys_of(settings.networks))
        )
    keys = keys_of(settings.networks)
    return {key: models(n.form) for key, n in zip(keys, settings.networks, strict=True)}


def bits_of(model: CharacterModel, record: Trace, text: str) -> NDArray[np.float64]:
    """−log₂ P of the next character at every step, (time,); NaN at the last, where none follows."""
    expected = model.next_character(record)
    codes = model.vocabulary.encode(text).numpy()
    found = np.full(len(codes), np.nan)
    found[:-1] = -np.log2(expected[np.arange(len(codes) - 1), codes[1:]])
    return found


def sizes_of(settings: ComparisonSettings) -> dict[str, Size]:
    """Sizes by key. RnnvizError where a network of the smallest size has more than the budget.

    >>> sizes_of(ComparisonSettings(reads="signal", equal="parameters", budget=1000))["lstm"]
    Size(hidden=14, parameters=952)
    """
    least, most = map(int, limits_of("hidden"))
    found: dict[str, Size] = {}
    for key, network in zip(keys_of(settings.networks), settings.networks, strict=True):
        hidden = settings.hidden
        if settings.equal == "parameters":
            fitting = range(least, most + 1)
            counts = [parameters_of(network, n) for n in fitting]
            if counts[0] > settings.budget:
                smallest = max(parameters_of(other, least) for other in settings.networks)
                raise RnnvizError("error.budget", budget=settings.budget, smallest=smallest)
            hidden = fitting[int(np.searchsorted(counts, settings.budget, side="right")) - 1]
        found[key] = Size(hidden, parameters_of(network, hidden))
    return found


def parameters_of(network: Compared, hidden: int, inputs: int = 1) -> int:
    """How many parameters a network of so many hidden units and inputs has.

    >>> parameters_of(Compared("gru", 2, True), 4, 3)
    552
    """
    form, directions = FORMS[network.form], 1 + network.both
    rows = hidden * len(form.gates)
    first, rest = (
        rows * (width + hidden + 2) + hidden * len(form.peepholes)
        for width in (inputs, directions * hidden)
    )
    return directions * (first + (network.layers - 1) * rest)


def seconds_of(settings: ComparisonSettings) -> float:
    """What ``run_compared`` takes on a signal, about, on two cores."""
    total = 0.0
    for key, network in zip(keys_of(settings.networks), settings.networks, strict=True):
        size, form = sizes_of(settings)[key], FORMS[network.form]
        parts = network.layers * (1 + network.both)
        total += settings.length * (parts * _step_of(form) + size.parameters * TIMES)
    return total


def check_limits(settings: ComparisonSettings) -> dict[str, Size]:
    """``sizes_of``; RnnvizError also where the networks together take longer than the page may."""
    sizes = sizes_of(settings)
    seconds = seconds_of(settings)
    if seconds > MOST_SECONDS:
        raise RnnvizError("error.compared_limit", seconds=seconds, most=MOST_SECONDS)
    return sizes


def _step_of(form: Form) -> float:
    if form.is_stock:
        return STOCK
    return PLAIN_STEPPED if form.cell == "rnn" else STEPPED


def _built(network: Compared, hidden: int, seed: int) -> nn.Module:
    form = FORMS[network.form]
    if form.is_stock:
        rest = {"nonlinearity": form.nonlinearity} if form.cell == "rnn" else {}
        module: nn.Module = STACKS[form.cell](
            1,
            hidden,
            num_layers=network.layers,
            bidirectional=network.both,
            dtype=torch.float64,
            **rest,
        )
    else:
        module = _stepped(network, form, hidden)
    initialise.torch_default(module, seed=seed)
    return module


def _stepped(network: Compared, form: Form, hidden: int) -> Recurrent:
    """Layers of this project's cells, of zeros."""
    directions = 1 + network.both
    with torch.device("meta"):  # draws no random numbers
        widths = [1] + [directions * hidden] * (network.layers - 1)
        cells = [[make_cell(form, width, hidden) for _ in range(directions)] for width in widths]
    module = Recurrent(cells).to_empty(device="cpu").double()
    for parameter in module.parameters():
        nn.init.zeros_(parameter)
    return module


def _read(model: CharacterModel, settings: ComparisonSettings) -> Trace:
    codes = model.vocabulary.encode(settings.text)
    inputs = model.vocabulary.one_hot(settings.text)

    def surprise(output: Tensor) -> Tensor:
        logits = model.readout(output[:-1])
        nats = cross_entropy(logits, codes[1:], reduction="none")
        return nats[-1] if settings.loss == "last" else nats.sum()

    loss: Loss = surprise if len(codes) > 1 else None
    return trace(model.recurrent, inputs, loss=loss)
