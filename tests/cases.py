"""Random recurrent modules and inputs of every kind, with their expected results."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

import rnnviz
from rnnviz.cells import ElmanCell, Form, make_cell
from rnnviz.recurrent import read_module
from rnnviz.trace import trace_equations
from tests import reference

STACKS = {"tanh": nn.RNN, "relu": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
OWN_FORMS = ("sigmoid", "identity")  # only in this project's cells, with an nn.RNN's weights
VARIANTS = {  # only in this project's cells, with weights that no torch module has
    "peephole": Form("lstm", peephole=True),
    "coupled": Form("lstm", coupled=True),
    "coupled peephole": Form("lstm", peephole=True, coupled=True),
    "reset before": Form("gru", reset_after=False),
}
TORCH_CELLS = {"tanh": nn.RNNCell, "relu": nn.RNNCell, "lstm": nn.LSTMCell, "gru": nn.GRUCell}


@dataclass(frozen=True)
class Case:
    """One configuration; everything random in it comes from its seed.

    way: "stack", "torch cell", "own cell" or "recurrent". batch: 0 for no batch dimension.
    padding: "none", "lengths", "packed" or "packed, longest first".
    loss: "none", "last", "all" or "readout", a callable whose derivative is nowhere 0.
    by_module: whether the module's forward runs, or else the equations, with nothing held.
    """

    form: str
    way: str
    layers: int
    bidirectional: bool
    proj_size: int
    bias: bool
    batch_first: bool
    hidden_size: int
    input_size: int
    batch: int
    steps: int
    padding: str
    dtype: torch.dtype
    given_state: bool
    loss: str
    gain: float
    training: bool
    dropout: float
    seed: int
    hold: Mapping[str, Any] | None = None
    by_module: bool = True

    @property
    def kind(self) -> str:
        """The cell's name."""
        return VARIANTS[self.form].cell if self.form in VARIANTS else self.form

    @property
    def directions(self) -> int:
        return 1 + self.bidirectional

    @property
    def _options(self) -> dict[str, Any]:
        options: dict[str, Any] = {"bias": self.bias}
        return options | ({"nonlinearity": self.form} if self.form in ("tanh", "relu") else {})

    @cached_property
    def stack(self) -> nn.RNNBase:
        torch.manual_seed(self.seed)
        module: nn.RNNBase = STACKS.get(self.form, nn.RNN)(
            self.input_size,
            self.hidden_size,
            self.layers,
            batch_first=self.batch_first,
            bidirectional=self.bidirectional,
            dropout=self.dropout if self.layers > 1 else 0.0,
            **({"proj_size": self.proj_size} if self.proj_size else {}),
            **self._options,
        )
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.mul_(self.gain)
        return module.to(self.dtype).train(self.training)

    @cached_property
    def variant(self) -> rnnviz.Recurrent:
        torch.manual_seed(self.seed)
        inputs = [self.input_size]
        inputs += [self.directions * (self.proj_size or self.hidden_size)] * (self.layers - 1)
        options = {"bias": self.bias, "proj_size": self.proj_size}
        cells = [
            [
                make_cell(VARIANTS[self.form], width, self.hidden_size, **options)
                for _ in range(self.directions)
            ]
            for width in inputs
        ]
        module = rnnviz.Recurrent(cells, batch_first=self.batch_first).to(self.dtype)
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.mul_(self.gain)
        return module.train(self.training)

    @cached_property
    def module(self) -> nn.Module:
        """The network built in the requested way, with the weights of ``stack``."""
        if self.form in VARIANTS:
            return self.variant if self.way == "recurrent" else self.variant.cells[0][0]
        if self.way == "stack":
            return self.stack
        if self.way == "torch cell":
            cell = TORCH_CELLS[self.form](self.input_size, self.hidden_size, **self._options)
            cell = cell.to(self.dtype)
            cell.load_state_dict(
                {name.removesuffix("_l0"): p for name, p in self.stack.state_dict().items()}
            )
            return cell.train(self.training)
        recurrent = rnnviz.Recurrent.of(self.stack).train(self.training)
        if self.form in OWN_FORMS:
            for layer in recurrent.cells:
                for cell in layer:
                    assert isinstance(cell, ElmanCell)
                    cell.form = Form("rnn", self.form)
        return recurrent if self.way == "recurrent" else recurrent.cells[0][0]

    def parameters(self) -> dict[str, Tensor]:
        """The weights by their names in a stack."""
        source = self.variant if self.form in VARIANTS else self.stack
        return read_module(source).parameters()

    def written_with(self, parameters: Mapping[str, Tensor], x: Tensor) -> reference.Run:
        """The run of the reference loop, in float64."""
        initial = {name: h.double() for name, h in self.initial.items()}
        held = {
            name: self.held_rows(name, holds, self.layers, self.directions)
            for name, holds in (self.hold or {}).items()
        }
        return reference.run(self.form, parameters, x, initial, self.lengths, held)

    @cached_property
    def lengths(self) -> list[int]:
        """Valid steps of every sequence; the longest has no padding."""
        if self.padding == "none":
            return [self.steps] * max(self.batch, 1)
        draw = torch.randint(1, self.steps + 1, (self.batch,), generator=self._generator(1))
        lengths = draw.tolist()
        lengths[self.seed % self.batch] = self.steps
        return sorted(lengths, reverse=True) if "longest" in self.padding else lengths

    @cached_property
    def x(self) -> Tensor:
        """(time, batch, feature), padding included."""
        shape = (self.steps, max(self.batch, 1), self.input_size)
        return torch.randn(*shape, generator=self._generator(2), dtype=self.dtype)

    @cached_property
    def leaf(self) -> Tensor:
        """X in float64, as ``written`` reads it."""
        return self.x.double().clone().requires_grad_()

    @cached_property
    def initial(self) -> dict[str, Tensor]:
        """(layer, direction, batch, unit)."""
        units = {"hidden_state": self.proj_size or self.hidden_size}
        if self.kind == "lstm":
            units["cell_state"] = self.hidden_size
        shape = (self.layers, self.directions, max(self.batch, 1))
        generator = self._generator(3)
        return {
            name: torch.randn(*shape, size, generator=generator, dtype=self.dtype)
            * self.given_state
            for name, size in units.items()
        }

    @cached_property
    def readout(self) -> Callable[[Any], Tensor]:
        width = self.directions * self.initial["hidden_state"].shape[-1]
        r = torch.randn(width, 2, generator=self._generator(4), dtype=self.dtype)

        def loss(y: Any) -> Tensor:
            rows = y.data if isinstance(y, PackedSequence) else y
            return ((rows @ r.to(rows.dtype) + 0.5) ** 2).sum()

        return loss

    def laid_out(self, values: Tensor) -> Any:
        """From (time, batch, unit) to the module's own layout."""
        if self.padding.startswith("packed"):
            return pack_padded_sequence(
                values, torch.tensor(self.lengths), enforce_sorted="longest" in self.padding
            )
        if self.batch == 0:
            return values[:, 0]
        return values.transpose(0, 1) if self.batch_first else values

    @property
    def state(self) -> Any:
        """The initial state as the module takes it."""
        if not self.given_state:
            return None
        parts = [h.flatten(0, 1) for h in self.initial.values()]
        parts = parts if self.batch else [h[:, 0] for h in parts]
        parts = [h[0] for h in parts] if self.way in ("torch cell", "own cell") else parts
        return tuple(parts) if self.kind == "lstm" else parts[0]

    def trace(self) -> rnnviz.Trace:
        lengths = self.lengths if self.padding == "lengths" else None
        loss = {"none": None, "readout": self.readout}.get(self.loss, self.loss)
        given = self.module, self.laid_out(self.x), self.state
        if self.by_module:
            return rnnviz.trace(*given, lengths=lengths, loss=loss, hold=self.hold)
        return trace_equations(*given, lengths=lengths, loss=loss)

    @cached_property
    def written(self) -> reference.Run:
        """The reference loop's run of the same network, in float64."""
        parameters = {n: p.double() for n, p in self.parameters().items()}
        return self.written_with(parameters, self.leaf)

    def held_rows(self, name: str, holds: Any, layers: int, directions: int) -> Any:
        """The held values, (layer, direction, time, unit); NaN where nothing is held."""
        width = self.initial[name].shape[-1] if name in self.initial else self.hidden_size
        rows = np.full((layers, directions, self.steps, width), np.nan)
        for hold in holds if isinstance(holds, list) else [holds]:
            for n, d, t, k in np.ndindex(*rows.shape):
                if isinstance(hold, float):
                    rows[n, d, t, k] = hold
                elif (
                    hold.start <= t < (self.steps if hold.stop is None else hold.stop)
                    and hold.layer in (None, n)
                    and hold.direction in (None, ("forward", "backward")[d])
                    and (hold.units is None or k in hold.units)
                ):
                    rows[n, d, t, k] = hold.value
        return rows

    def written_loss(self) -> Tensor:
        y = self.written.output
        if self.loss == "readout":
            return self.readout(self.laid_out(y))
        if self.loss == "all":
            return y.sum()
        return torch.stack([y[n - 1, b].sum() for b, n in enumerate(self.lengths)]).sum()

    def _generator(self, number: int) -> torch.Generator:
        return torch.Generator().manual_seed(100 * self.seed + number)


def plain_case(form: str, way: str = "stack", **changed: Any) -> Case:
    """A case of typical sizes, with the given fields changed."""
    case = Case(
        form=form,
        way=way,
        layers=1,
        bidirectional=False,
        proj_size=0,
        bias=True,
        batch_first=False,
        hidden_size=4,
        input_size=3,
        batch=3,
        steps=5,
        padding="none",
        dtype=torch.float64,
        given_state=True,
        loss="readout",
        gain=1.0,
        training=True,
        dropout=0.0,
        seed=7,
    )
    return replace(case, **changed)


@st.composite
def cases(draw: st.DrawFn, way: str = "stack") -> Case:
    is_cell = way in ("torch cell", "own cell")
    own = (*OWN_FORMS, *VARIANTS) if way in ("own cell", "recurrent") else ()
    form = draw(st.sampled_from([*STACKS, *own]))
    hidden_size = draw(st.integers(1, 4))
    lstm = form == "lstm" or (form in VARIANTS and VARIANTS[form].cell == "lstm")
    projects = lstm and hidden_size > 1 and way != "torch cell"
    batch = draw(st.integers(0, 3))
    paddings = ["none"] if batch == 0 else ["none", "lengths"]
    if batch and not is_cell:
        paddings += ["packed", "packed, longest first"]
    dtype = draw(st.sampled_from([torch.float64, torch.float32]))
    return Case(
        form=form,
        way=way,
        layers=1 if is_cell else draw(st.integers(1, 3)),
        bidirectional=not is_cell and draw(st.booleans()),
        proj_size=draw(st.integers(0, hidden_size - 1)) if projects else 0,
        bias=draw(st.booleans()),
        batch_first=not is_cell and draw(st.booleans()),
        hidden_size=hidden_size,
        input_size=draw(st.integers(1, 3)),
        batch=batch,
        steps=draw(st.integers(1, 6)),
        padding=draw(st.sampled_from(paddings)),
        dtype=dtype,
        given_state=draw(st.booleans()),
        loss=draw(st.sampled_from(["none", "last", "all", "readout"])),
        gain=draw(st.sampled_from([1.0, 5.0])) if dtype == torch.float64 else 1.0,
        training=draw(st.booleans()),
        dropout=draw(st.sampled_from([0.0, 0.5])),
        seed=draw(st.integers(0, 1000)),
    )
