"""A full trace with gradients against torch's forward and backward, and against a loop over a cell.

bare: forward and backward of the same module, without any recording. loop: one torch cell called
step by step with retain_grad on every state. The repeats are interleaved; times are medians in ms.
The float32 inputs are as wide as the hidden state; the loss is the sum of all outputs.
"""

import time
from collections.abc import Callable
from statistics import median
from typing import NamedTuple

import torch
from torch import nn

import rnnviz

STEPS, HIDDEN, BATCH = (100, 1000), (16, 64, 256), (1, 32)
SECONDS = 3.0  # per way and size, after the warm-up
LEAST, MOST = 5, 60  # fewest and most repeats


class Case(NamedTuple):
    """One size, and the three ways to run it."""

    kind: str
    steps: int
    hidden: int
    batch: int
    ways: dict[str, Callable[[], object]]


def case(kind: str, steps: int, hidden: int, batch: int) -> Case:
    """A stock module of one layer with its default weights, on noise."""
    torch.manual_seed(0)
    module = getattr(nn, kind)(hidden, hidden)
    cell = getattr(nn, f"{kind}Cell")(hidden, hidden)
    x = torch.randn(steps, batch, hidden)

    def bare() -> None:
        module.zero_grad(set_to_none=True)
        module(x)[0].sum().backward()

    def trace() -> None:
        rnnviz.trace(module, x, loss="all")

    def loop() -> None:
        cell.zero_grad(set_to_none=True)
        state, outputs = None, []
        for x_t in x:
            state = cell(x_t, state)
            for part in state if kind == "LSTM" else (state,):
                part.retain_grad()
            outputs.append(state[0] if kind == "LSTM" else state)
        torch.stack(outputs).sum().backward()

    return Case(kind, steps, hidden, batch, {"bare": bare, "trace": trace, "loop": loop})


def measure(one: Case) -> dict[str, float]:
    """Median milliseconds of each way, with interleaved repeats."""
    spent: dict[str, list[float]] = {name: [] for name in one.ways}
    for way in one.ways.values():
        way()
    while True:
        for name, way in one.ways.items():
            taken = spent[name]
            if len(taken) >= LEAST and (sum(taken) > SECONDS or len(taken) >= MOST):
                continue
            start = time.perf_counter()
            way()
            taken.append(time.perf_counter() - start)
        if all(len(t) >= LEAST and (sum(t) > SECONDS or len(t) >= MOST) for t in spent.values()):
            return {name: 1000 * median(taken) for name, taken in spent.items()}


def main() -> None:
    """Prints the table."""
    print("A full trace with gradients (ms; medians of interleaved repeats)\n")
    print("| cell | T | H | batch | bare | trace | loop | trace / bare | loop / trace |")
    print("|---|---|---|---|---|---|---|---|---|")
    for kind in ("LSTM", "GRU", "RNN"):
        for batch in BATCH:
            for steps in STEPS:
                for hidden in HIDDEN:
                    ms = measure(case(kind, steps, hidden, batch))
                    print(
                        f"| {kind} | {steps:,} | {hidden} | {batch} |"
                        f" {ms['bare']:.2f} | {ms['trace']:.2f} | {ms['loop']:.1f} |"
                        f" {ms['trace'] / ms['bare']:.2f} | {ms['loop'] / ms['trace']:.1f} |",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
