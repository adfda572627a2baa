"""Builds and runs an RNN, an LSTM and a GRU with the same input, loss and seed."""

import os
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import TypeVar

import torch
from torch import Tensor, nn

from rnnviz import initialise
from rnnviz.cells import GATE_NAMES, ElmanCell
from rnnviz.engine.device import single_thread
from rnnviz.experiment.settings import NetworkSettings
from rnnviz.initialise import MEMORY_GATE
from rnnviz.inputs.signals import make_signal
from rnnviz.trace import Trace, trace_equations

TORCH_FORMS = ("tanh", "relu")  # of torch.nn.RNN; for the others ElmanCell
LONG = 3000  # steps × units from which running two networks at once is faster

Given = TypeVar("Given")
Made = TypeVar("Made")


def run_networks(settings: NetworkSettings) -> dict[str, Trace]:
    """The traces of an RNN, an LSTM and a GRU, by the name of the cell, in float64.

    They run by their equations (``trace_equations``), not by the modules' own forward.

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
    """``make`` of each value, under the same names, two at a time.

    Faster where compiled code takes most of the time; each call then uses one torch thread. The
    calling thread makes them too, so it never waits for a helper that is busy for another caller.
    settings: those of the networks; small networks are handled one after another. ``make`` must not
    call this function.

    >>> of_each(abs, {"rnn": -1, "lstm": 2})
    {'rnn': 1, 'lstm': 2}
    """
    if settings and settings.length * settings.hidden < LONG:
        return {name: make(value) for name, value in given.items()}
    left, made = deque(given.items()), dict[str, Made]()

    def work() -> None:
        with single_thread():
            while True:
                try:
                    name, value = left.popleft()
                except IndexError:
                    return
                made[name] = make(value)

    helper = _helpers(os.getpid()).submit(work)
    try:
        work()
    finally:
        left.clear()
        if not helper.cancel():
            helper.result()
    return {name: made[name] for name in given}


@cache
def _helpers(process: int) -> ThreadPoolExecutor:
    """The threads of this process that help its callers, by its id; a forked child starts its own.

    Starting threads at every call would take a tenth of the time of the smallest networks.
    """
    cores = os.cpu_count() or 1
    return ThreadPoolExecutor(max(1, cores - 1), thread_name_prefix=f"network-{process}")


def make_inputs(settings: NetworkSettings) -> Tensor:
    """The signal times the input scale, (time, 1), in float64.

    >>> make_inputs(NetworkSettings(length=3, input_scale=0)).tolist()
    [[0.0], [0.0], [0.0]]
    """
    # Another seed, so that inputs and weights are not the same random numbers.
    return settings.input_scale * make_signal(
        settings.signal, settings.length, seed=settings.seed + 1
    )


def build_network(settings: NetworkSettings, cell: str) -> nn.Module:
    """One network in float64, the same for the same settings.

    In this order: the initialisation; every gate's U scaled to the spectral radius, then
    multiplied by the gain; the forget bias, for a GRU that of the update gate; the edits. Only the
    RNN has the nonlinearity. RnnvizError where U has no spectral radius that can be scaled.

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
    elif settings.init == "chrono" and cell in MEMORY_GATE:
        initialise.chrono(module, settings.length, seed=settings.seed)
    if settings.spectral_radius is not None:
        initialise.spectral_radius(module, settings.spectral_radius)
    if settings.gain != 1:
        initialise.recurrent_gain(module, settings.gain)
    if settings.forget_bias is not None and cell in MEMORY_GATE:
        initialise.forget_bias(module, settings.forget_bias)
    _edit(module, settings, cell)
    return module


class _Zeroed(nn.RNNBase):
    """A stack that starts with zeros and draws no random numbers."""

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
