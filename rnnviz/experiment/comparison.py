"""The networks that stand side by side, built and run: the same input, seed and time steps."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from rnnviz import initialise
from rnnviz.cells import Form, make_cell
from rnnviz.counting import Size, count_parameters, fit_hidden
from rnnviz.engine.module_run import Loss
from rnnviz.errors import RnnvizError
from rnnviz.experiment.characters import CharacterModel
from rnnviz.experiment.compared_network import FORMS, Compared, keys_of
from rnnviz.experiment.comparison_settings import ComparisonSettings
from rnnviz.experiment.networks import GRU, LSTM, RNN
from rnnviz.experiment.settings import limits_of
from rnnviz.holding import Hold
from rnnviz.inputs.signals import make_signal
from rnnviz.inputs.vocabulary import picture
from rnnviz.recurrent import Recurrent
from rnnviz.trace import Trace, trace, trace_equations

Models = Callable[[str], CharacterModel]  # the shipped model of a cell
STACKS = {"rnn": RNN, "lstm": LSTM, "gru": GRU}

MOST_SECONDS = 2.0  # of all networks together
# Seconds a step of one layer in one direction takes, about, on two cores: torch's forms are
# replayed at once, a gated one of this project goes step by step. Then those of a multiplication.
STOCK, STEPPED, PLAIN_STEPPED, TIMES = 15e-6, 150e-6, 60e-6, 2e-9


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
        key: _built(network, sizes[key].hidden_size, settings.seed)
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
        key: trace_equations(module, x, loss=settings.loss)
        for key, module in build_compared(settings).items()
    }


def run_held(
    settings: ComparisonSettings, key: str, hold: Mapping[str, Hold], models: Models | None = None
) -> Trace:
    """The trace of one of the networks with something held.

    >>> settings = ComparisonSettings(reads="signal", hidden=4, length=3)
    >>> run_held(settings, "lstm", {"forget_gate": Hold(1.0)})["forget_gate"].values.min()
    np.float64(1.0)
    """
    if settings.reads == "text":
        return _read(models_of(settings, models)[key], settings, hold)
    module = build_compared(settings)[key]
    return trace(module, compared_input(settings), loss=settings.loss, hold=hold)


def compared_input(settings: ComparisonSettings) -> Tensor:
    """The signal, (time, 1), in float64.

    >>> compared_input(ComparisonSettings(signal="gap", length=8)).ravel().tolist()
    [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    """
    # The next seed's numbers, so that inputs and weights do not begin alike.
    return make_signal(settings.signal, settings.length, seed=settings.seed + 1)


def models_of(settings: ComparisonSettings, models: Models | None) -> dict[str, CharacterModel]:
    """The shipped models by key.

    RnnvizError where there are none, or none of a form, and where they know other characters: a
    surprise by one of them would then be no more or less than another's.
    """
    untrained = [str(network) for network in settings.networks if not network.is_trained]
    if models is None or untrained:
        raise RnnvizError(
            "error.untrained", came=", ".join(untrained or keys_of(settings.networks))
        )
    keys = keys_of(settings.networks)
    found = {key: models(n.form) for key, n in zip(keys, settings.networks, strict=True)}
    first = found[keys[0]].vocabulary
    for key, model in found.items():
        apart = set(first.characters) ^ set(model.vocabulary.characters)
        if apart:
            shown = " ".join(map(picture, sorted(apart)[:8]))
            raise RnnvizError("error.vocabularies", first=keys[0], other=key, apart=shown)
    return found


def bits_of(model: CharacterModel, record: Trace, text: str) -> NDArray[np.float64]:
    """−log₂ P of the next character at every step, (time,); NaN at the last, where none follows."""
    expected = model.next_character(record)
    codes = model.vocabulary.encode(text).numpy()
    found = np.full(len(codes), np.nan)
    found[:-1] = -np.log2(expected[np.arange(len(codes) - 1), codes[1:]])
    return found


def sizes_of(settings: ComparisonSettings) -> dict[str, Size]:
    """Sizes of fresh networks by key. RnnvizError where the smallest of one exceeds the budget.

    >>> size = sizes_of(ComparisonSettings(reads="signal", equal="parameters", budget=1000))["lstm"]
    >>> size.hidden_size, count_parameters(size)
    (14, 952)
    """
    least, most = map(int, limits_of("hidden"))
    sizes = [_size(network, least) for network in settings.networks]
    if settings.equal == "parameters":
        smallest = max(map(count_parameters, sizes))
        if smallest > settings.budget:
            raise RnnvizError("error.compared_budget", budget=settings.budget, smallest=smallest)
    found: dict[str, Size] = {}
    for key, size in zip(keys_of(settings.networks), sizes, strict=True):
        hidden = settings.hidden
        if settings.equal == "parameters":
            shape = {"layers": size.layers, "directions": size.directions}
            hidden = fit_hidden(size.form, 1, settings.budget, **shape, least=least, most=most)
        found[key] = replace(size, hidden_size=hidden)
    return found


def _size(network: Compared, hidden: int) -> Size:
    return Size(FORMS[network.form], 1, hidden, network.layers, 1 + network.both)


def seconds_of(settings: ComparisonSettings) -> float:
    """What ``run_compared`` takes on a signal, about, on two cores."""
    total, sizes = 0.0, sizes_of(settings)
    for key, network in zip(keys_of(settings.networks), settings.networks, strict=True):
        size, parts = sizes[key], network.layers * (1 + network.both)
        total += settings.length * (parts * _step_of(size.form) + count_parameters(size) * TIMES)
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


def _read(
    model: CharacterModel, settings: ComparisonSettings, hold: Mapping[str, Hold] | None = None
) -> Trace:
    codes = model.vocabulary.encode(settings.text)
    inputs = model.vocabulary.one_hot(settings.text)

    def surprise(output: Tensor) -> Tensor:
        logits = model.readout(output[:-1])
        nats = cross_entropy(logits, codes[1:], reduction="none")
        return nats[-1] if settings.loss == "last" else nats.sum()

    loss: Loss = surprise if len(codes) > 1 else None
    return trace(model.recurrent, inputs, loss=loss, hold=hold)
