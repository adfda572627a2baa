"""What is worked out of a cell with its own step, against the same by autograd by hand.

norms: the gradient's norm at every step, from a recorded trace; trace: the same with the recording.
By hand: a loop over the cell with retain_grad on every state and pre-activation, its backward pass
and the norms. parameters: the gradients of all parameters from a recorded trace, against the loop's
forward and backward. jacobians: all of them from a recorded trace, against torch.func.jacrev of the
step under vmap at the same states. Ratios of medians of CPU time, one thread, interleaved repeats;
float64, inputs as wide as the hidden state.
"""

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

import rnnviz
from rnnviz.cells import ElmanCell, Gates, GRUCell, HeldStep, LSTMCell, as_computed
from rnnviz.engine.device import single_thread
from rnnviz.gradients import parameter_gradients

SIZES = ((100, 16, 1), (1000, 16, 1), (1000, 64, 1), (100, 64, 32))  # T, H, batch
SECONDS, LEAST = 0.5, 3
WHOLE = 2**24  # entries of all Jacobians of one sequence up to which they are compared


class Scaled(ElmanCell):
    """A residual network."""

    def step(self, x: Tensor, state: Tensor, held: HeldStep = as_computed) -> tuple[Tensor, Gates]:
        """The next state is h + tanh(…) / 10."""
        a = linear(x, self.weight_ih, self.bias_ih) + linear(state, self.weight_hh)
        return state + 0.1 * a.tanh(), {"hidden_preactivation": a}


class Normed(LSTMCell):
    """Layer normalisation inside an LSTM."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.norm = nn.LayerNorm(4 * hidden_size)

    def step(self, x: Tensor, state: Any, held: HeldStep = as_computed) -> Any:
        """The LSTM's equations on a normalised sum."""
        h, c = state
        a = self.norm(linear(x, self.weight_ih, self.bias_ih) + linear(h, self.weight_hh))
        a_i, a_f, a_g, a_o = a.chunk(4, -1)
        f = a_f.sigmoid()
        c = f * c + a_i.sigmoid() * a_g.tanh()
        h = a_o.sigmoid() * c.tanh()
        return (h, c), {"forget_gate": f, "forget_gate_preactivation": a_f}


CELLS: dict[str, Callable[[int, int], Any]] = {
    "residual": Scaled,
    "hard GRU": lambda n, h: GRUCell(n, h, gate_activation="hard_sigmoid(0.2, 0.5)"),
    "LayerNorm LSTM": Normed,
}


def ways_of(kind: str, steps: int, hidden: int, batch: int) -> dict[str, Callable[[], object]]:
    """The functions to time at one size, in pairs: ours, and by hand."""
    torch.manual_seed(0)
    cell = CELLS[kind](hidden, hidden).double()
    x = torch.randn(steps, batch, hidden, dtype=torch.float64)
    trace = rnnviz.trace(cell, x, loss="all")
    blocks = rnnviz.JacobianBlocks(trace)

    def loop(*, retain: bool) -> tuple[list[Tensor], list[Tensor]]:
        cell.zero_grad(set_to_none=True)
        state, outputs, nodes = cell.initial_state(x[0]), [], []
        for x_t in x:
            state, gates = cell.step(x_t, state)
            states = list(state) if isinstance(state, tuple) else [state]
            outputs.append(states[0])
            if retain:
                nodes += [*states, *(a for n, a in gates.items() if n.endswith("_preactivation"))]
        for node in nodes:
            node.retain_grad()
        torch.stack(outputs).sum().backward()
        return outputs, nodes

    def norms_by_hand() -> Tensor:
        _, nodes = loop(retain=True)
        return torch.stack([torch.linalg.vector_norm(node.grad, dim=-1) for node in nodes]).log10()

    found: dict[str, Callable[[], object]] = {
        "trace": lambda: rnnviz.gradient_norms(rnnviz.trace(cell, x, loss="all")),
        "norms": lambda: rnnviz.gradient_norms(trace),
        "norms by hand": norms_by_hand,
        "parameters": lambda: parameter_gradients(trace),
        "parameters by hand": lambda: loop(retain=False),
    }
    if blocks.shape[0] * blocks.shape[1] ** 2 <= WHOLE:
        found["jacobians"] = lambda: rnnviz.jacobians(trace)
        found["jacobians by hand"] = by_torch_func(cell, trace)
    return found


def by_torch_func(cell: Any, trace: rnnviz.Trace) -> Callable[[], Tensor]:
    """∂s_t/∂s_{t−1} of the first sequence by torch.func at the recorded states."""
    names, x = trace.form.states, torch.tensor(trace.array("input")[:, 0])
    after = [torch.tensor(trace.array(name)[0, 0, :-1, 0]) for name in names]
    first = [torch.tensor(trace.initial_array(name)[0, 0, :1]) for name in names]
    before = torch.cat([torch.cat(pair) for pair in zip(first, after, strict=True)], -1)
    sizes = [state.shape[-1] for state in after]

    def step(flat: Tensor, x_t: Tensor) -> Tensor:
        parts = flat.split(sizes)
        state = cell.step(x_t, parts[0] if len(parts) == 1 else tuple(parts))[0]
        return torch.cat(state) if isinstance(state, tuple) else state

    def run() -> Tensor:
        with torch.no_grad():
            return torch.func.vmap(torch.func.jacrev(step))(before, x)

    return run


def measure(ways: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Median seconds of CPU time of each way, with interleaved repeats."""
    spent: dict[str, list[float]] = {name: [] for name in ways}
    while waiting := [n for n, t in spent.items() if len(t) <= LEAST or sum(t) < SECONDS]:
        for name in waiting:
            start = time.process_time()
            ways[name]()
            spent[name].append(time.process_time() - start)
    return {name: median(taken[1:]) for name, taken in spent.items()}


def main() -> None:
    """Prints the ratios, ours / by hand."""
    print("Cells with a step of their own: ours / by autograd by hand (ratios of medians)\n")
    print("| cell | T | H | batch | norms | parameters | jacobians | trace |")
    print("|---|---|---|---|---|---|---|---|")
    with single_thread():
        for kind in CELLS:
            for steps, hidden, batch in SIZES:
                spent = measure(ways_of(kind, steps, hidden, batch))
                spent["trace by hand"] = spent["norms by hand"]
                cells = [
                    f"{spent[way] / spent[f'{way} by hand']:.2f}" if way in spent else "—"
                    for way in ("norms", "parameters", "jacobians", "trace")
                ]
                row = " | ".join(cells)
                print(f"| {kind} | {steps:,} | {hidden} | {batch} | {row} |", flush=True)


if __name__ == "__main__":
    main()
