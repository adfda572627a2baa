"""Networks with masks, layers of unequal width and losses of the final state, drawn at random."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn

import rnnviz
from rnnviz.cells import Form, make_cell
from rnnviz.recurrent import read_module
from tests import reference

FORMS = {
    "tanh": Form("rnn"),
    "relu": Form("rnn", "relu"),
    "sigmoid": Form("rnn", "sigmoid"),
    "identity": Form("rnn", "identity"),
    "lstm": Form("lstm"),
    "peephole": Form("lstm", peephole=True),
    "coupled": Form("lstm", coupled=True),
    "coupled peephole": Form("lstm", peephole=True, coupled=True),
    "gru": Form("gru"),
    "reset before": Form("gru", reset_after=False),
}
STACKS = {"tanh": nn.RNN, "relu": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
MASKS = ("none", "right", "left", "gaps", "wholly")
LOSSES = ("last", "all", "final", "output and state", "state")


@dataclass(frozen=True)
class EndCase:
    """One configuration in float64; everything random in it comes from its seed.

    widths: hidden and projection size (0 for none) by layer. way: "stack", "torch cell", "cell" or
    "recurrent". batch: 0 for no batch dimension. mask: one of MASKS. padded: lengths beside it.
    """

    form: str
    way: str = "recurrent"
    widths: tuple[tuple[int, int], ...] = ((4, 0), (2, 0))
    bidirectional: bool = True
    bias: bool = True
    batch_first: bool = False
    batch: int = 3
    steps: int = 5
    mask: str = "gaps"
    padded: bool = False
    loss: str = "output and state"
    gain: float = 1.0
    seed: int = 7

    @property
    def directions(self) -> int:
        return 1 + self.bidirectional

    @property
    def sizes(self) -> dict[str, list[int]]:
        """The widths of each state by layer."""
        found = {"hidden_state": [p or h for h, p in self.widths]}
        if FORMS[self.form].cell == "lstm":
            found["cell_state"] = [h for h, _ in self.widths]
        return found

    @cached_property
    def module(self) -> nn.Module:
        torch.manual_seed(self.seed)
        (hidden, projection), *above = self.widths
        if self.way in ("stack", "torch cell"):
            options: dict[str, Any] = {"bias": self.bias}
            options |= {"nonlinearity": self.form} if self.form in ("tanh", "relu") else {}
            if self.way == "stack":
                options |= {"proj_size": projection} if projection else {}
                options |= {"num_layers": 1 + len(above), "bidirectional": self.bidirectional}
                options["batch_first"] = self.batch_first
            kinds = {"stack": STACKS, "torch cell": TORCH_CELLS}[self.way]
            module = kinds[self.form](3, hidden, **options)
        else:
            cells: list[list[Any]] = []
            reads = 3
            for units, output in self.widths:
                options = {"bias": self.bias, "proj_size": output}
                form = FORMS[self.form]
                row = [make_cell(form, reads, units, **options) for _ in range(self.directions)]
                cells.append(row)
                reads = self.directions * (output or units)
            stacked = rnnviz.Recurrent(cells, batch_first=self.batch_first)
            module = cells[0][0] if self.way == "cell" else stacked
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.mul_(self.gain)
        return module.double()

    def _generator(self, number: int) -> torch.Generator:
        return torch.Generator().manual_seed(100 * self.seed + number)

    def _draw(self, number: int, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self._generator(number), dtype=torch.float64)

    @cached_property
    def x(self) -> Tensor:
        """(time, batch, feature)."""
        return self._draw(1, self.steps, max(self.batch, 1), 3).requires_grad_()

    @cached_property
    def initial(self) -> dict[str, list[Tensor]]:
        """By layer (direction, batch, unit)."""
        shape = self.directions, max(self.batch, 1)
        return {
            name: [self._draw(10 + 10 * k + n, *shape, size) for n, size in enumerate(sizes)]
            for k, (name, sizes) in enumerate(self.sizes.items())
        }

    @cached_property
    def lengths(self) -> list[int]:
        batch = max(self.batch, 1)
        if not self.padded:
            return [self.steps] * batch
        return torch.randint(1, self.steps + 1, (batch,), generator=self._generator(2)).tolist()

    @cached_property
    def read(self) -> NDArray[np.bool_] | None:
        """The mask, (time, batch)."""
        batch, t = max(self.batch, 1), np.arange(self.steps)[:, None]
        draw = torch.randint(1, self.steps + 1, (batch,), generator=self._generator(3)).numpy()
        gaps = torch.rand(self.steps, batch, generator=self._generator(4)).numpy() < 0.6
        gaps[self.seed % self.steps] = True
        if self.mask == "wholly" and batch > 1:
            gaps[:, self.seed % batch] = False
        masks = {"none": None, "right": t < draw, "left": t >= self.steps - draw}
        return masks.get(self.mask, gaps)

    @property
    def valid(self) -> NDArray[np.bool_]:
        padded = np.arange(self.steps)[:, None] < np.array(self.lengths)
        return padded if self.read is None else padded & self.read

    def laid_out(self, values: Any) -> Any:
        """(time, batch, …) → the module's own layout."""
        if self.batch == 0:
            return values[:, 0]
        return values.swapaxes(0, 1) if self.batch_first else values

    def state_of(self, states: dict[str, list[Tensor]]) -> Any:
        """A state, by layer (direction, batch, unit), as the module takes and returns it."""
        found: list[Any] = []
        for layers in states.values():
            rows = [r if self.batch else r[0] for layer in layers for r in layer]
            alike = len({row.shape for row in rows}) == 1
            whole = torch.stack(rows) if alike else tuple(rows)
            found.append(rows[0] if self.way in ("torch cell", "cell") else whole)
        return tuple(found) if len(found) == 2 else found[0]

    def trace(self, **changed: Any) -> rnnviz.Trace:
        loss = {"output and state": self.of_both, "state": self.of_state}.get(self.loss, self.loss)
        given = {
            "lengths": self.lengths if self.padded else None,
            "mask": None if self.read is None else self.laid_out(self.read),
            "loss": loss,
        }
        x, state = self.laid_out(self.x.detach()), self.state_of(self.initial)
        return rnnviz.trace(self.module, x, state, **(given | changed))

    def of_both(self, y: Any, state: Any) -> Tensor:
        """A loss of the output sequence where it is read, and of the final state."""
        r = self._draw(5, *y.shape)
        read = torch.tensor(self.laid_out(self.valid))
        return ((y * r) ** 2)[read].sum() + self.of_state(y, state)

    def of_state(self, y: Any, state: Any) -> Tensor:
        del y
        parts = state if isinstance(state, tuple) else (state,)
        rows = [row for part in parts for row in (part if isinstance(part, tuple) else (part,))]
        return sum(
            ((row * self._draw(6 + k, *row.shape) + 0.5) ** 2).sum() for k, row in enumerate(rows)
        )  # pyright: ignore[reportReturnType]  # there is a row

    @cached_property
    def leaves(self) -> dict[str, Tensor]:
        """The parameters by torch's names in a stack, as ``written`` reads them."""
        parameters = read_module(self.module).parameters()
        return {name: p.clone().requires_grad_() for name, p in parameters.items()}

    @cached_property
    def written(self) -> reference.Run:
        """The reference loop's run of the same network."""
        given = self.form, self.leaves, self.x, self.initial, self.lengths
        return reference.run(*given, mask=self.read)

    @cached_property
    def written_final(self) -> dict[str, list[Tensor]]:
        """The final state by layer, (direction, batch, unit)."""
        batch = range(max(self.batch, 1))
        return {
            name: [
                torch.stack(
                    [torch.stack([ends[n, d, b] for b in batch]) for d in range(self.directions)]
                )
                for n in range(len(self.widths))
            ]
            for name, ends in self.written.final.items()
        }

    @cached_property
    def written_loss(self) -> Tensor:
        y, valid = self.written.output, self.valid
        if self.loss == "all":
            return y.sum()  # 0 where masked
        if self.loss == "last":
            ends = [(np.flatnonzero(column), b) for b, column in enumerate(valid.T)]
            return torch.stack([y[t[-1], b].sum() for t, b in ends if len(t)]).sum()
        if self.loss == "final":
            return torch.stack([h.sum() for h in self.written_final["hidden_state"]]).sum()
        loss = {"output and state": self.of_both, "state": self.of_state}[self.loss]
        return loss(self.laid_out(y), self.state_of(self.written_final))


TORCH_CELLS = {"tanh": nn.RNNCell, "relu": nn.RNNCell, "lstm": nn.LSTMCell, "gru": nn.GRUCell}


@st.composite
def end_cases(draw: st.DrawFn, way: str) -> EndCase:
    single = way in ("torch cell", "cell")
    form = draw(st.sampled_from([*STACKS] if way in ("stack", "torch cell") else [*FORMS]))
    projects = FORMS[form].cell == "lstm" and way != "torch cell"
    hidden = st.integers(2 if projects else 1, 4)
    one = hidden.flatmap(lambda h: st.tuples(st.just(h), st.integers(0, projects * (h - 1))))
    widths = draw(st.lists(one, min_size=1, max_size=1 if single else 3))
    batch = draw(st.integers(0, 3))
    return EndCase(
        form=form,
        way=way,
        widths=tuple(widths) if way == "recurrent" else (widths[0],) * len(widths),
        bidirectional=not single and draw(st.booleans()),
        bias=draw(st.booleans()),
        batch_first=not single and draw(st.booleans()),
        batch=batch,
        steps=draw(st.integers(1, 6)),
        mask=draw(st.sampled_from(MASKS)),
        padded=batch > 0 and draw(st.booleans()),
        loss=draw(st.sampled_from(LOSSES)),
        gain=draw(st.sampled_from([1.0, 3.0])),
        seed=draw(st.integers(0, 1000)),
    )


def compacted(case: EndCase, batch: int) -> EndCase:
    """The steps that are read of one sequence alone, one after the other, without a mask."""
    read = case.valid[:, batch]
    alone = replace(case, batch=1, steps=int(read.sum()), mask="none", padded=False, loss="last")
    alone.__dict__["module"] = case.module
    alone.__dict__["x"] = case.x.detach()[torch.tensor(read)][:, batch : batch + 1].requires_grad_()
    alone.__dict__["initial"] = {
        name: [values[:, batch : batch + 1] for values in layers]
        for name, layers in case.initial.items()
    }
    return alone
