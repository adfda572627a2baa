"""The networks that settings name, built and run: the same input, loss and seed for all three."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from os import getpid
from typing import TypeVar

import torch
from torch import Tensor, nn

from rnnviz import initialise
from rnnviz.cells import GATE_NAMES, ElmanCell
from rnnviz.engine.module_run import few_threads
from rnnviz.experiment.settings import NetworkSettings
from rnnviz.initialise import KEEPING
from rnnviz.inputs.signals import make_signal
from rnnviz.trace import Trace, trace_equations

TORCH_FORMS = ("tanh", "relu")  # of torch.nn.RNN; the others are this project's own
LONG = 3000  # steps times units from which to run two networks at once saves time

Given = TypeVar("Given")
Made = TypeVar("Made")


def run_networks(settings: NetworkSettings) -> dict[str, Trace]:
    """The traces of an RNN, an LSTM and a GRU, by the name of the cell, in float64.

    Run by their equations (``trace_equations``), and not by ``build_network``'s modules.

    >>> traces = run_networks(NetworkSettings(hidden=4, length=10))
    >>> list(traces), traces["gru"]["hidden_state"].sizes["time"]
    (['rnn', 'lstm', 'gru'], 10)
    """
    x = make_inputs(settings)
    modules = {cell: build_network(settings, cell) for cell in GATE_NAMES}
    return of_each(partial(trace_equations, inputs=x, loss=settings.loss), modules, settings)


def of_each(
    make: Callable[[Given], Made],
    given: Mapping[str, Given],
    settings: NetworkSettings | None = None,
) -> dict[str, Made]:
    """What ``make`` gives for each, under the same names, computed two at a time.

    Saves time where most of it is spent in compiled code without the GIL; each of the two threads
    has one torch thread. settings: of the networks to compute with; small ones are computed one
    after another. ``make`` must not call this function.

    >>> of_each(abs, {"rnn": -1, "lstm": 2})
    {'rnn': 1, 'lstm': 2}
    """
    if settings and settings.length * settings.hidden < LONG:
        return {name: make(value) for name, value in given.items()}

    def alone(value: Given) -> Made:
        with few_threads(0):
            return make(value)

    return dict(zip(given, _pool(getpid()).map(alone, given.values()), strict=True))


@cache
def _pool(process: int) -> ThreadPoolExecutor:
    """The two threads of this process, by its id; a forked child starts its own.

    To start threads at every call takes a tenth of the time of the smallest networks run in them.
    """
    return ThreadPoolExecutor(2, thread_name_prefix=f"network-{process}")


def make_inputs(settings: NetworkSettings) -> Tensor:
    """The signal times the input scale, (time, 1), in float64.

    >>> make_inputs(NetworkSettings(length=3, input_scale=0)).tolist()
    [[0.0], [0.0], [0.0]]
    """
    # The next seed's numbers, so that inputs and weights do not begin alike.
    return settings.input_scale * make_signal(
        settings.signal, settings.length, seed=settings.seed + 1
    )


def build_network(settings: NetworkSettings, cell: str) -> nn.Module:
    """One network in float64, drawn, scaled and edited in this order, the same for the same seed.

    Drawn by init; every gate's U scaled to the spectral radius, then times the gain; the forget
    bias, for a GRU that of the update gate; then the edits. The RNN alone has the nonlinearity.
    RnnvizError where a spectral radius is asked of a U that has none.

    >>> module = build_network(NetworkSettings(hidden=2, init="identity", gain=0.9), "rnn")
    >>> module.weight_hh_l0.tolist()
    [[0.9, 0.0], [0.0, 0.9]]
    """
    module = _make_module(settings, cell)
    initialise.torch_default(module, seed=settings.seed)
    if settings.init == "xavier":
        initialise.xavier(module, seed=settings.seed)
    elif settings.init == "orthogonal":
        initialise.orthogonal(module, seed=settings.seed)
    elif settings.init == "identity":
        initialise.identity(module)
    elif settings.init == "chrono" and cell in KEEPING:
        initialise.chrono(module, settings.length, seed=settings.seed)
    if settings.spectral_radius is not None:
        initialise.spectral_radius(module, settings.spectral_radius)
    if settings.gain != 1:
        initialise.recurrent_gain(module, settings.gain)
    if settings.forget_bias is not None and cell in KEEPING:
        initialise.forget_bias(module, settings.forget_bias)
    _edit(module, settings, cell)
    return module


class _Zeroed(nn.RNNBase):
    """A stack whose constructor puts zeros and draws no random numbers."""

    def reset_parameters(self) -> None:
        for parameter in self.parameters():
            nn.init.zeros_(parameter)


class RNN(_Zeroed, nn.RNN):
    """torch.nn.RNN of zeros."""


class LSTM(_Zeroed, nn.LSTM):
    """torch.nn.LSTM of zeros."""


class GRU(_Zeroed, nn.GRU):
    """torch.nn.GRU of zeros."""


def _make_module(settings: NetworkSettings, cell: str) -> nn.Module:
    sizes = 1, settings.hidden
    if cell == "lstm":
        return LSTM(*sizes, dtype=torch.float64)
    if cell == "gru":
        return GRU(*sizes, dtype=torch.float64)
    if settings.nonlinearity in TORCH_FORMS:
        return RNN(*sizes, nonlinearity=settings.nonlinearity, dtype=torch.float64)
    with torch.device("meta"):  # draws no random numbers
        module = ElmanCell(*sizes, settings.nonlinearity)
    module = module.to_empty(device="cpu").double()
    for parameter in module.parameters():
        nn.init.zeros_(parameter)
    return module


def _edit(module: nn.Module, settings: NetworkSettings, cell: str) -> None:
    (u,) = (p for name, p in module.named_parameters() if name.startswith("weight_hh"))
    with torch.no_grad():
        for edit in settings.edit:
            if edit.cell == cell and edit.fits(settings.hidden):
                gate = GATE_NAMES[cell].index(edit.gate)
                u[gate * settings.hidden + edit.row, edit.column] = edit.value
