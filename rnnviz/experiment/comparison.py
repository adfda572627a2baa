"""Builds and runs the compared networks: the same input, seed and time steps for all."""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from rnnviz import initialise
from rnnviz.cells import Form, make_cell
from rnnviz.engine.loss import Loss
from rnnviz.errors import RnnvizError
from rnnviz.experiment.character_model import CharacterModel
from rnnviz.experiment.comparison_limits import check_limits
from rnnviz.experiment.network_spec import FORMS, NetworkSpec, keys_of
from rnnviz.experiment.networks import GRU, LSTM, RNN
from rnnviz.experiment.settings import ComparisonSettings
from rnnviz.holding import Hold
from rnnviz.inputs.signals import make_signal
from rnnviz.inputs.vocabulary import picture
from rnnviz.recurrent import Recurrent
from rnnviz.trace import Trace, trace, trace_equations

Models = Callable[[str], CharacterModel]  # the shipped model of a cell
STACKS = {"rnn": RNN, "lstm": LSTM, "gru": GRU}


def build_compared(
    settings: ComparisonSettings, models: Models | None = None
) -> dict[str, nn.Module]:
    """The networks by key, as ``keys_of`` names them.

    For a signal: untrained networks of one input in float64, each with torch's default
    initialisation and the same seed; torch's own modules where torch has the form. For a text: the
    shipped models. RnnvizError over the limits, or for a text without models.

    >>> found = build_compared(ComparisonSettings(input_source="signal", hidden=4))
    >>> list(found), found["gru"].weight_hh_l0.shape
    (['lstm', 'gru', 'rnn'], torch.Size([12, 4]))
    """
    keys = keys_of(settings.networks)
    if settings.input_source == "text":
        found = {key: model.recurrent for key, model in models_of(settings, models).items()}
        return dict(found)
    sizes = check_limits(settings)
    return {
        key: _build(network, sizes[key].hidden_size, settings.seed)
        for key, network in zip(keys, settings.networks, strict=True)
    }


def run_compared(settings: ComparisonSettings, models: Models | None = None) -> dict[str, Trace]:
    """The traces by key, with gradients.

    The loss of a signal is the sum of the last outputs or of all outputs. The loss of a text is
    the training loss, −ln P of the last character or of all but the first; a text of one
    character has none.

    >>> traces = run_compared(ComparisonSettings(input_source="signal", hidden=4, length=10))
    >>> [trace["hidden_state"].sizes["time"] for trace in traces.values()]
    [10, 10, 10]
    """
    if settings.input_source == "text":
        found = models_of(settings, models)
        return {key: _read_text(model, settings) for key, model in found.items()}
    x = compared_input(settings)
    return {
        key: trace_equations(module, x, loss=settings.loss)
        for key, module in build_compared(settings).items()
    }


def run_held(
    settings: ComparisonSettings, key: str, hold: Mapping[str, Hold], models: Models | None = None
) -> Trace:
    """The trace of one of the networks with gates or states held.

    >>> settings = ComparisonSettings(input_source="signal", hidden=4, length=3)
    >>> run_held(settings, "lstm", {"forget_gate": Hold(1.0)})["forget_gate"].values.min()
    np.float64(1.0)
    """
    if settings.input_source == "text":
        return _read_text(models_of(settings, models)[key], settings, hold)
    module = build_compared(settings)[key]
    return trace(module, compared_input(settings), loss=settings.loss, hold=hold)


def compared_input(settings: ComparisonSettings) -> Tensor:
    """The signal, (time, 1), in float64.

    >>> compared_input(ComparisonSettings(signal="gap", length=8)).ravel().tolist()
    [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    """
    # Another seed, so that inputs and weights are not the same random numbers.
    return make_signal(settings.signal, settings.length, seed=settings.seed + 1)


def models_of(settings: ComparisonSettings, models: Models | None) -> dict[str, CharacterModel]:
    """The shipped models by key.

    RnnvizError without models, for a form that no model has, and where the models' vocabularies
    differ: their surprisals would not be comparable.
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


def bits_of(model: CharacterModel, trace: Trace, text: str) -> NDArray[np.float64]:
    """−log₂ P(next character) per step, (time,); NaN at the last step, which has no next one."""
    expected = model.next_character(trace)
    codes = model.vocabulary.encode(text).numpy()
    bits = np.full(len(codes), np.nan)
    bits[:-1] = -np.log2(expected[np.arange(len(codes) - 1), codes[1:]])
    return bits


def _build(network: NetworkSpec, hidden: int, seed: int) -> nn.Module:
    form = FORMS[network.form]
    if form.is_stock:
        nonlinearity = {"nonlinearity": form.nonlinearity} if form.cell == "rnn" else {}
        module: nn.Module = STACKS[form.cell](
            1,
            hidden,
            num_layers=network.layers,
            bidirectional=network.bidirectional,
            dtype=torch.float64,
            **nonlinearity,
        )
    else:
        module = _build_recurrent(network, form, hidden)
    initialise.torch_default(module, seed=seed)
    return module


def _build_recurrent(network: NetworkSpec, form: Form, hidden: int) -> Recurrent:
    """A stack of cells of ``rnnviz.cells`` whose parameters are zero."""
    directions = 1 + network.bidirectional
    with torch.device("meta"):  # draws no random numbers
        widths = [1] + [directions * hidden] * (network.layers - 1)
        cells = [[make_cell(form, width, hidden) for _ in range(directions)] for width in widths]
    module = Recurrent(cells).to_empty(device="cpu").double()
    for parameter in module.parameters():
        nn.init.zeros_(parameter)
    return module


def _read_text(
    model: CharacterModel, settings: ComparisonSettings, hold: Mapping[str, Hold] | None = None
) -> Trace:
    codes = model.vocabulary.encode(settings.text)
    inputs = model.vocabulary.one_hot(settings.text)

    def surprisal(output: Tensor) -> Tensor:
        logits = model.readout(output[:-1])
        nats = cross_entropy(logits, codes[1:], reduction="none")
        return nats[-1] if settings.loss == "last" else nats.sum()

    loss: Loss = surprisal if len(codes) > 1 else None
    return trace(model.recurrent, inputs, loss=loss, hold=hold)
