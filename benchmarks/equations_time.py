"""A trace by the compiled equations against a trace by the module's forward.

module: ``rnnviz.trace``, which runs torch's module, or this project's cells one step at a time.
equations: ``trace_equations``, which the pages use. float64, as on the pages; one input feature,
batch 1, gradients of the last output.
"""

from collections.abc import Callable

import torch
from torch import nn

import rnnviz
from benchmarks.trace_time import Case, measure
from rnnviz.cells import Form, make_cell
from rnnviz.trace import trace_equations

SIZES = ((100, 16), (1000, 64), (2000, 256))
FORMS = {
    "LSTM": Form("lstm"),
    "GRU": Form("gru"),
    "RNN": Form("rnn"),
    "peephole LSTM": Form("lstm", peephole=True),
    "GRU, reset before": Form("gru", reset_after=False),
}


def case(kind: str, steps: int, hidden: int) -> Case:
    """A module of torch where it has the form, else this project's cell, with default weights."""
    torch.manual_seed(0)
    form = FORMS[kind]
    module: nn.Module = make_cell(form, 1, hidden)
    if form.is_stock:
        module = getattr(nn, kind)(1, hidden)
    module, x = module.double(), torch.randn(steps, 1, dtype=torch.float64)
    ways: dict[str, Callable[[], object]] = {
        "module": lambda: rnnviz.trace(module, x, loss="last"),
        "equations": lambda: trace_equations(module, x, loss="last"),
    }
    return Case(kind, steps, hidden, 1, ways)


def main() -> None:
    """Prints the table."""
    print("A trace by the module's forward and by its equations (ms)\n")
    print("| cell | T | H | module | equations | module / equations |\n|---|---|---|---|---|---|")
    for kind in FORMS:
        for steps, hidden in SIZES:
            ms = measure(case(kind, steps, hidden))
            print(
                f"| {kind} | {steps:,} | {hidden} | {ms['module']:.2f} | {ms['equations']:.2f} |"
                f" {ms['module'] / ms['equations']:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
