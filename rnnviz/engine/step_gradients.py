"""Jacobians and gradients of any cell's steps, from its ``StepPoints``."""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rnnviz.engine.device import few_threads, full_precision
from rnnviz.engine.step_points import (
    Evaluated,
    StepPoints,
    at_step,
    check_autograd,
    gradients,
    held_step,
    rows_of,
    take_step,
)
from rnnviz.errors import RnnvizError

Array = NDArray[Any]
Scale = NDArray[np.int64]

KEPT = 600  # the binary exponent that scaled rows are kept near, as in the kernels
# Products per time step up to which all Jacobians are cheaper than a backward call per step.
BY_JACOBIANS_UP_TO = 2_500_000
BATCHED_UP_TO = 2**19  # entries of Jacobians below which one batched backward call is faster
CPU = torch.device("cpu")
HALF = (torch.float16, torch.bfloat16)


class StateGradients(NamedTuple):
    """Rows · 2^scale of the gradient with respect to what each step returns.

    rows: (time, batch, unit) of all states side by side; that of h is total, that of c without the
    path through h of the same step. scale: (time, batch). initial: (batch, unit) of the initial
    state, without a scale where none was asked for.
    """

    rows: Tensor
    scale: Scale
    initial: Tensor


def state_jacobians(points: StepPoints, *, by_input: bool = False) -> Array:
    """∂s_t/∂s_{t−1}, (time, batch, S, S); with by_input ∂s_t/∂(s_{t−1}, x_t), (…, S, S + input).

    points: of one sequence, or of a step that does not mix the sequences.
    """
    width, (steps, batch, features) = sum(points.widths), points.x.shape
    found = np.empty((steps, batch, width, width + features * by_input))
    with full_precision(CPU), few_threads(steps * batch * width):
        for times in points.calls():
            step = points.cut(times).evaluate()
            leaves = [*step.before, step.x] if by_input else step.before
            if len(step.x) * width**2 <= BATCHED_UP_TO:
                try:
                    found[times] = _together(step, leaves, width).unflatten(0, (-1, batch)).numpy()
                    continue
                except RuntimeError:  # an operation without a rule for vmap
                    pass
            for j in range(width):
                rows = gradients(step.after, leaves, _unit_rows(step, j))
                found[times, :, j] = torch.cat(rows, -1).unflatten(0, (-1, batch)).numpy()
    return found


def _together(step: Evaluated, leaves: list[Tensor], width: int) -> Tensor:
    """The Jacobians of one call by one batched backward call, (row, S, entries of the leaves)."""
    eye = torch.eye(width, dtype=step.x.dtype, device="cpu")
    parts = eye.split([state.shape[-1] for state in step.after], -1)
    rows = [part[:, None].expand(-1, len(step.x), -1) for part in parts]
    found = torch.autograd.grad(
        step.after,
        leaves,
        rows,
        retain_graph=True,
        is_grads_batched=True,
        allow_unused=True,
        materialize_grads=True,
    )
    return torch.cat(
        [d.expand(width, *leaf.shape) for d, leaf in zip(found, leaves, strict=True)], -1
    ).transpose(0, 1)


def _unit_rows(step: Evaluated, unit: int) -> list[Tensor]:
    """1 for one unit of the states side by side, in every row."""
    found = [torch.zeros_like(state) for state in step.after]
    for part in found:
        if 0 <= unit < part.shape[-1]:
            part[:, unit] = 1
        unit -= part.shape[-1]
    return found


def pass_back(
    points: StepPoints,
    state_grad: Tensor,
    scale: Scale | None = None,
    *,
    as_trained: bool = False,
) -> StateGradients:
    """Backpropagation through time at the points.

    state_grad: ∂ℓ/∂(what each step returns) alone, (time, batch, unit) of all states side by side,
    0 where padded; times 2^scale where a scale is given, (time, batch). as_trained: one backward
    call per step, whose rounding is that of autograd.
    """
    rows = torch.zeros_like(state_grad)
    found = np.zeros(state_grad.shape[:2], np.int64)
    carried, exponent = torch.zeros_like(state_grad[0]), np.zeros(points.batch, np.int64)
    with full_precision(CPU), few_threads(points.batch * sum(points.widths) ** 2):
        pull = _Pull(points, by_graphs=as_trained)
        for t in reversed(range(points.steps)):
            if scale is None:
                rows[t] = carried + state_grad[t]
                carried = pull(t, rows[t])
            else:
                rows[t], exponent = _added(carried, exponent, state_grad[t], scale[t])
                found[t] = exponent
                carried, exponent = _pulled(pull, t, rows[t], exponent)
            if points.valid is not None:
                carried = carried.where(points.valid[t, :, None], 0.0)
    return StateGradients(rows, found, carried)


def _exponents(rows: Tensor) -> Scale:
    """E with the largest entry of each row in [2^(e−1), 2^e); −2^40 for rows of 0."""
    largest = rows.abs().amax(-1).double().numpy()
    exponents = np.frexp(largest)[1].astype(np.int64)
    return np.where((largest > 0) & (largest < np.inf), exponents, -(1 << 40))


def _shifted(rows: Tensor, by: Scale) -> Tensor:
    return torch.from_numpy(np.ldexp(rows.numpy(), np.clip(by, -5000, 5000)[:, None]))


def _added(carried: Tensor, scale: Scale, g: Tensor, g_scale: Scale) -> tuple[Tensor, Scale]:
    """The sum of rows · 2^scale, its largest entry near 2^KEPT."""
    largest = np.maximum(_exponents(carried) + scale, _exponents(g) + g_scale)
    target = np.where(largest > -(1 << 39), largest - KEPT, 0)
    return _shifted(carried, scale - target) + _shifted(g, g_scale - target), target


def _pulled(pull: "_Pull", t: int, rows: Tensor, scale: Scale) -> tuple[Tensor, Scale]:
    """One step back; from lower rows if it overflows."""
    found = pull(t, rows)
    if bool(found.isfinite().all()) or not bool(rows.isfinite().all()):
        return found, scale
    lower = np.full_like(scale, 2 * KEPT)
    return pull(t, _shifted(rows, -lower)), scale + lower


class _Pull:
    """Row times Jacobian, δs_{t−1} = J_tᵀ δs_t, for steps asked for from the last to the first.

    From Jacobians where the states are few; else by a backward call of one step, whose graph is
    made for a block of steps at a time.
    """

    def __init__(self, points: StepPoints, *, by_graphs: bool) -> None:
        self.points = points
        width, batch = sum(points.widths), points.batch
        weights = sum(p.numel() for p in points.cell.parameters())
        cheap = batch * width * (weights + width) <= BY_JACOBIANS_UP_TO
        self.by_jacobians = not by_graphs and cheap and points.rows_are_independent
        self.size = max(1, 2**22 // (batch * width * (width if self.by_jacobians else 16)))
        self.first, self.steps = points.steps, list[Evaluated]()
        self.jacobians = torch.empty(0, device="cpu")

    def __call__(self, t: int, rows: Tensor) -> Tensor:
        if t < self.first:
            self._load(max(0, t + 1 - self.size), t + 1)
        if self.by_jacobians:
            return torch.bmm(rows[:, None], self.jacobians[t - self.first])[:, 0]
        step = self.steps[t - self.first]
        given = list(rows.split(self.points.widths, -1))
        return torch.cat(gradients(step.after, step.before, given), -1)

    def _load(self, first: int, stop: int) -> None:
        self.first = first
        if self.by_jacobians:
            found = state_jacobians(self.points.cut(slice(first, stop)))
            self.jacobians = torch.from_numpy(found).to(self.points.x.dtype)
            return
        with torch.enable_grad():
            self.steps = [self._graph(t) for t in range(first, stop)]

    def _graph(self, t: int) -> Evaluated:
        """One step with its graph back to the states before it alone."""
        points = self.points
        before = [state[t].detach().requires_grad_() for state in points.before]
        held = None
        if points.held is not None:
            held = held_step(at_step(points.held, t))
        found = take_step(points.cell, points.x[t].detach().requires_grad_(), before, held)
        check_autograd(points.cell, found)
        return found


def at_nodes(points: StepPoints, state_grad: Tensor) -> tuple[dict[str, Array], Tensor]:
    """Derivatives by name with respect to what the steps computed on their way, and to x.

    state_grad: as ``StateGradients.rows``. By name: the pre-activations and, of an LSTM, the cell
    state with all its paths, each (time, batch, unit).
    """
    named: dict[str, list[Tensor]] = {}
    by_x: list[Tensor] = []
    with full_precision(CPU), few_threads(points.steps * points.batch * sum(points.widths)):
        for times in points.calls():
            step = points.cut(times).evaluate()
            wanted = {n: _seen(points, n, a) for n, a in step.gates.items() if is_sum(n)}
            if len(step.after) == 2:
                wanted["cell_state"] = step.after[1]
            given = _split(points, state_grad[times])
            x, *found = gradients(step.after, [step.x, *wanted.values()], given, again=False)
            by_x.append(x.unflatten(0, (-1, points.batch)))
            for name, value in zip(wanted, found, strict=True):
                named.setdefault(name, []).append(value.unflatten(0, (-1, points.batch)))
    return {name: as_array(torch.cat(values)) for name, values in named.items()}, torch.cat(by_x)


def as_array(values: Tensor) -> Array:
    """As NumPy has it; float16 and bfloat16 in float32, which holds all their numbers."""
    return values.float().numpy() if values.dtype in HALF else values.numpy()


def is_sum(name: str) -> bool:
    """Whether a name is that of a pre-activation."""
    return name.endswith("_preactivation")


def _seen(points: StepPoints, name: str, value: Any) -> Tensor:
    """A pre-activation as a node of autograd; RnnvizError if it is none."""
    if isinstance(value, Tensor) and value.requires_grad and value.dim() == 2:
        return value
    raise RnnvizError("error.own_sum", type=type(points.cell).__name__, name=name)


def _split(points: StepPoints, rows: Tensor) -> list[Tensor]:
    return [part.contiguous() for part in rows.flatten(0, 1).split(points.widths, -1)]


def without_path(step: Evaluated, state_grad: list[Tensor]) -> list[Tensor]:
    """The same with the gradient of c without its path through h, from that with all paths."""
    if len(state_grad) == 1:
        return state_grad
    d_h, d_c = state_grad
    (through_h,) = gradients([step.after[0]], [step.after[1]], [d_h])
    return [d_h, d_c - through_h]


def by_parameters(points: StepPoints, total: Tensor) -> dict[str, Tensor]:
    """∂L/∂(every parameter of the cell) by name, summed over all steps and sequences.

    total: total derivatives with respect to the states, (time, batch, unit) side by side, 0 where
    padded.
    """
    named = dict(points.cell.named_parameters())
    with full_precision(CPU), few_threads(points.steps * points.batch * sum(points.widths)):
        sums = {name: torch.zeros_like(p) for name, p in named.items()}
        for times in points.calls():
            step = points.cut(times).evaluate()
            given = without_path(step, _split(points, total[times]))
            wanted = {n: p for n, p in named.items() if p.requires_grad}
            found = gradients(step.after, list(wanted.values()), given, again=False)
            for name, value in zip(wanted, found, strict=True):
                sums[name] += value
    return sums


def by_initial_state(points: StepPoints, total: Tensor, unread: Tensor) -> dict[str, Tensor]:
    """The part of ∂L/∂(every parameter) that the cell's own initial state passes on.

    total: as in ``by_parameters``, of the first step alone, (1, batch, unit). unread: (batch, unit)
    of the initial state, of sequences without a step; 0 elsewhere.
    """
    named = {n: p for n, p in points.cell.named_parameters() if p.requires_grad}
    with full_precision(CPU):
        step = points.cut(slice(1)).evaluate()
        given = gradients(step.after, step.before, without_path(step, _split(points, total)))
        direct = unread.split(points.widths, -1)
        given = [by_step + own for by_step, own in zip(given, direct, strict=True)]
        with torch.enable_grad():
            state = points.cell.initial_state(points.x[0])
            states = [s.expand(points.batch, -1) for s in _as_list(state)]
            seen = [(s, d) for s, d in zip(states, given, strict=True) if s.requires_grad]
        if not seen:
            return {}
        starts, rows = zip(*seen, strict=True)
        found = gradients(starts, list(named.values()), rows)
    return dict(zip(named, found, strict=True))


def _as_list(state: Any) -> list[Tensor]:
    return list(state) if isinstance(state, tuple | list) else [state]


def parameter_row_norms(points: StepPoints, total: Tensor, name: str) -> NDArray[np.float64]:
    """The norm of every step's and sequence's own part of ∂L/∂(one parameter), (time, batch).

    total: as in ``by_parameters``.
    """
    weight = points.cell.get_parameter(name)
    found = np.empty(total.shape[:2])
    with full_precision(CPU):
        for times in points.calls(share=1 + weight.numel() // sum(points.widths)):
            cut = points.cut(times)
            given = without_path(cut.evaluate(), _split(points, total[times]))
            try:
                norms = _row_norms_together(cut, name, weight.detach(), given)
            except Exception:  # what vmap does not know
                norms = _row_norms_in_turn(cut, weight, given)
            found[times] = norms.unflatten(0, (-1, points.batch)).numpy()
    return found


class _Stepped(nn.Module):
    """A cell's step as a module's forward, so that torch.func can replace its parameters."""

    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, x: Tensor, before: list[Tensor], held: dict[str, Tensor] | None) -> Any:
        cell: Any = self.cell
        return take_step(cell, x, before, None if held is None else held_step(held)).after


def _row_norms_together(
    points: StepPoints, name: str, weight: Tensor, given: list[Tensor]
) -> Tensor:
    stepped = _Stepped(points.cell)
    rows = [part.flatten(0, 1) for part in (points.x, *points.before)]
    held = None if points.held is None else rows_of(points.held)

    def norm(row: list[Tensor], fixed: dict[str, Tensor] | None, d: list[Tensor]) -> Tensor:
        x, *before = (part[None] for part in row)
        fixed = None if fixed is None else {n: v[None] for n, v in fixed.items()}

        def step(w: Tensor) -> list[Tensor]:
            after = torch.func.functional_call(stepped, {f"cell.{name}": w}, (x, before, fixed))
            return [part[0] for part in after]

        pull: Any = torch.func.vjp(step, weight)[1]
        return torch.linalg.vector_norm(pull(d)[0])

    return torch.func.vmap(norm, in_dims=(0, None if held is None else 0, 0))(rows, held, given)


def _row_norms_in_turn(points: StepPoints, weight: Tensor, given: list[Tensor]) -> Tensor:
    found: list[Tensor] = []
    for t in range(points.steps):
        step = points.cut(slice(t, t + 1)).evaluate()
        for b in range(points.batch):
            row = t * points.batch + b
            d = [torch.zeros_like(part) for part in step.after]
            for own, part in zip(d, given, strict=True):
                own[b] = part[row]
            found.append(torch.linalg.vector_norm(gradients(step.after, [weight], d)[0]))
    return torch.stack(found)
