"""Gradient norms and Jacobians over time against torch, and how their cost grows with T and H.

bare: forward and backward of the stock LSTM, without any recording. norms: trace and gradient
norms, loss "all". beyond: the same where the plain gradients leave the float range (loss "last",
small recurrent weights). loop: a Python loop over torch.nn.LSTMCell with retain_grad on every
state. jacobians: all of them in closed form; torch.func: jacrev under vmap over the same steps.
products: ‖∂s_T/∂s_t‖₂ for all t, where S³ T is small enough. Milliseconds, medians of interleaved
repeats; float32 weights, batch 1, inputs as wide as the hidden state.
"""

import time
from collections.abc import Callable
from statistics import median

import numpy as np
import torch
from torch import nn

import rnnviz

STEPS, HIDDEN = (100, 1000, 10_000), (16, 64, 256)
SECONDS, LEAST, MOST = 1.5, 3, 30  # seconds, fewest and most repeats per way and size
WHOLE = 2**27  # entries of all Jacobians up to which they are stored at once
EXACT = 3e10  # S³ T up to which products are exact
WAYS = ("bare", "norms", "beyond", "loop", "jacobians", "torch.func", "products")


def ways_of(steps: int, hidden: int) -> dict[str, Callable[[], object]]:
    """The functions to time at one size, by name; without those that are too expensive at it."""
    torch.manual_seed(0)
    module, cell = nn.LSTM(hidden, hidden), nn.LSTMCell(hidden, hidden)
    vanishing = nn.LSTM(hidden, hidden)
    rnnviz.initialise.recurrent_gain(vanishing, 0.1)
    if steps < 1000:  # with few steps the gradients leave the range only by a small forget gate
        rnnviz.initialise.forget_bias(vanishing, -12.0)
    x = torch.randn(steps, 1, hidden)
    trace = rnnviz.trace(module, x)
    blocks = rnnviz.JacobianBlocks(trace)
    entries = blocks.shape[0] * blocks.shape[1] ** 2

    def bare() -> None:
        module.zero_grad(set_to_none=True)
        module(x)[0].sum().backward()

    def loop() -> None:
        state, outputs = None, []
        for x_t in x:
            state = cell(x_t, state)
            for part in state:
                part.retain_grad()
            outputs.append(state[0])
        torch.stack(outputs).sum().backward()

    found: dict[str, Callable[[], object]] = {
        "bare": bare,
        "norms": lambda: rnnviz.gradient_norms(rnnviz.trace(module, x, loss="all")),
        "beyond": lambda: rnnviz.gradient_norms(rnnviz.trace(vanishing, x, loss="last")),
        "loop": loop,
    }
    if entries <= WHOLE:
        found["jacobians"] = lambda: rnnviz.jacobians(trace)
        found["torch.func"] = torch_func(module, trace)
    if entries * blocks.shape[1] <= EXACT:
        found["products"] = lambda: rnnviz.backward_norms(blocks)
    return found


def torch_func(module: nn.LSTM, trace: rnnviz.Trace) -> Callable[[], object]:
    """Jacobians by torch.func.jacrev of one step, under vmap over all recorded states."""
    w_ih, w_hh, b_ih, b_hh = (p.detach() for p in module.parameters())
    x = torch.tensor(trace["input"].values[:, 0])
    names = ("hidden_state", "cell_state")
    before = np.concatenate([trace[name].values[0, 0, :-1, 0] for name in names], -1)
    before = torch.tensor(np.concatenate((np.zeros_like(before[:1]), before)))

    def step(s: torch.Tensor, x_t: torch.Tensor) -> torch.Tensor:
        h, c = s.chunk(2)
        a_i, a_f, a_g, a_o = (w_ih @ x_t + b_ih + w_hh @ h + b_hh).chunk(4)
        c = a_f.sigmoid() * c + a_i.sigmoid() * a_g.tanh()
        return torch.cat((a_o.sigmoid() * c.tanh(), c))

    return lambda: torch.func.vmap(torch.func.jacrev(step))(before, x)


def measure(ways: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Median milliseconds of each way, with interleaved repeats."""
    spent: dict[str, list[float]] = {name: [] for name in ways}
    while waiting := [
        name
        for name, taken in spent.items()
        if len(taken) <= LEAST or (sum(taken) < SECONDS and len(taken) <= MOST)
    ]:
        for name in waiting:
            start = time.perf_counter()
            ways[name]()
            spent[name].append(time.perf_counter() - start)
            if spent[name][-1] > 10 * SECONDS:  # too slow to be repeated
                spent[name] *= LEAST + 1
    return {name: 1000 * median(taken[1:]) for name, taken in spent.items()}


def exponents(table: dict[tuple[int, int], dict[str, float]], way: str) -> tuple[float, float]:
    """Exponents a and b of cost ~ Tᵃ Hᵇ by least squares in logarithms; NaN with too few sizes."""
    sizes = [size for size, row in table.items() if way in row]
    if len({t for t, _ in sizes}) < 2 or len({h for _, h in sizes}) < 2:
        return float("nan"), float("nan")
    logs = np.log([[t, h, np.e] for t, h in sizes])
    a, b, _ = np.linalg.lstsq(logs, np.log([table[size][way] for size in sizes]))[0]
    return float(a), float(b)


def main() -> None:
    """Prints the table, the fitted exponents, and the cost and tightness of the bounds."""
    print("Gradient norms and Jacobians of an LSTM (ms; medians of interleaved repeats)\n")
    print(
        "| T | H |", " | ".join(WAYS), "| norms / bare | beyond / bare | torch.func / jacobians |"
    )
    print("|---|---|" + "---|" * (len(WAYS) + 3))
    table: dict[tuple[int, int], dict[str, float]] = {}
    for steps in STEPS:
        for hidden in HIDDEN:
            ms = table[steps, hidden] = measure(ways_of(steps, hidden))
            cells = [f"{ms[way]:.1f}" if way in ms else "—" for way in WAYS]
            for first, second in (
                ("norms", "bare"),
                ("beyond", "bare"),
                ("torch.func", "jacobians"),
            ):
                cells.append(f"{ms[first] / ms[second]:.1f}" if first in ms else "—")
            print(f"| {steps:,} | {hidden} |", " | ".join(cells), "|", flush=True)
    print("\nCost as Tᵃ Hᵇ, fitted:")
    for way in WAYS:
        a, b = exponents(table, way)
        print(f"{way}: a = {a:.2f}, b = {b:.2f}")
    bounds_of_the_largest()


def bounds_of_the_largest(steps: int = 10_000, hidden: int = 256) -> None:
    """Prints the time of the bounds at the largest size, and the gap between them."""
    torch.manual_seed(0)
    trace = rnnviz.trace(nn.LSTM(hidden, hidden), torch.randn(steps, 1, hidden))
    start = time.perf_counter()
    bounds = rnnviz.bound_backward_norms(rnnviz.JacobianBlocks(trace))
    taken = time.perf_counter() - start
    apart = (bounds.upper - bounds.lower)[:-1]
    print(
        f"\nBounds on ‖∂s_T/∂s_t‖₂ at T = {steps:,}, H = {hidden}: {taken:.1f} s; apart by"
        f" {np.median(apart):.1e} decades in the median, {apart.max():.2f} at most"
    )


if __name__ == "__main__":
    main()
