"""How a run computes: on how many threads, at full precision, with copies on the CPU."""

from collections.abc import Generator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import replace

import torch
from torch import Tensor

from rnnviz.recurrent import Network, Weights
from rnnviz.replica import generators_kept

SMALL = 100_000  # multiplications per step below which a second thread only waits


@contextmanager
def single_thread() -> Generator[None]:
    """Torch on one thread: for many small products in a row, other threads mostly wait."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def few_threads(multiplications: int) -> AbstractContextManager[None]:
    """One thread if one step has few multiplications, else torch's own number of threads."""
    if multiplications >= SMALL or torch.get_num_threads() == 1:
        return nullcontext()
    return single_thread()


@contextmanager
def full_precision(device: torch.device) -> Generator[None]:
    """No gradients, inference mode, autocast or TF32: float32 products keep all their bits.

    Torch's random generators end as they began, whatever a user's own code draws.
    """
    with ExitStack() as stack:
        stack.enter_context(generators_kept(device))
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(False))
        if torch.is_autocast_enabled(device.type):
            stack.enter_context(torch.autocast(device.type, enabled=False))
        if device.type == "cuda":
            stack.enter_context(_no_tf32())
        stack.enter_context(torch.no_grad())
        yield


@contextmanager
def _no_tf32() -> Generator[None]:
    backends = (torch.backends.cudnn.rnn, torch.backends.cuda.matmul, torch.backends.cudnn)
    # Newer torch refuses to read the older switch once the newer one has been used.
    newer = [(b, "fp32_precision", "ieee") for b in backends[:2] if hasattr(b, "fp32_precision")]
    switches = newer or [(b, "allow_tf32", False) for b in backends[1:]]
    before = [getattr(backend, name) for backend, name, _ in switches]
    for backend, name, exact in switches:
        setattr(backend, name, exact)
    try:
        yield
    finally:
        for (backend, name, _), value in zip(switches, before, strict=True):
            setattr(backend, name, value)


def on_cpu(values: Tensor) -> Tensor:
    """Detached values on the CPU, in float32 or float64."""
    values = values.detach()
    if values.dtype not in (torch.float32, torch.float64):
        return values.to("cpu", torch.float32)
    return values if values.is_cpu else values.cpu()


def network_on_cpu(network: Network) -> Network:
    """The network with its weights on the CPU, in float32 or float64."""

    def moved(weights: Weights) -> Weights:
        return Weights(*(None if w is None else on_cpu(w) for w in weights))  # pyright: ignore[reportArgumentType]  # ih and hh are never None

    layers = tuple(tuple(map(moved, layer)) for layer in network.layers)
    return replace(network, layers=layers)
