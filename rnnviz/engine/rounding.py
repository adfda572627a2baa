"""How far rounding alone can move the states that a module computes from those of its gates.

The error of every operation is bounded by the float spacing of its result, and carried through the
equations to first order. A nonlinearity is taken at both ends of the interval of its argument,
so that a saturated gate adds nothing. Each step of an RNN or a GRU starts from the module's own
h_{t−1}; only an LSTM's c_t, which torch does not return, carries the errors of the steps before.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import linear

from rnnviz.activations import find_activation
from rnnviz.cells import Form
from rnnviz.engine.layers import DirectionRun

MARGIN = 64  # spacings per operation in float32 and float64, where no figure shows them
OWN_STEP = 2  # spacings of a half-precision cell whose forward orders its sums differently


class Spacing(NamedTuple):
    """Rounding of one operation: relative · |result| + least; sums: relative to all terms."""

    relative: float
    least: float
    sums: float

    def __call__(self, *results: Tensor) -> Tensor:
        """The rounding of operations with these results."""
        total = torch.stack(torch.broadcast_tensors(*(value.abs() for value in results))).sum(0)
        return self.relative * total + self.least * len(results)


def spacing(dtype: torch.dtype) -> Spacing:
    """The rounding of a module that computes in dtype; sums of half precision are in float32."""
    info, single = torch.finfo(dtype), torch.finfo(torch.float32)
    if info.eps > single.eps:
        return Spacing(info.eps, info.smallest_normal * info.eps, MARGIN * single.eps)
    return Spacing(MARGIN * info.eps, info.smallest_normal, MARGIN * info.eps)


def rounding(form: Form, run: DirectionRun, dtype: torch.dtype) -> Tensor:
    """The largest difference of h that rounding explains, broadcast to (time, batch, unit).

    inf where sums leave the range of dtype: nothing can be predicted there.
    """
    if run.stepped:
        found = _of_own_steps(run, dtype)
    else:
        step = spacing(dtype)
        found = {"rnn": _rnn, "gru": _gru, "lstm": _lstm}[form.cell](form, run, step)
    beyond = ~(largest_terms(run) <= torch.finfo(dtype).max)
    return found.nan_to_num(math.inf, math.inf).where(~beyond[..., None], math.inf)


def largest_terms(run: DirectionRun) -> Tensor:
    """A bound on the terms of every sum W x + U h + b, added without their signs, (time, batch)."""
    w = run.weights
    before = _before(run).abs().amax(-1).double()
    terms = run.x.abs().amax(-1).double() * w.ih.abs().double().sum(1).max()
    terms = terms + before * w.hh.abs().double().sum(1).max()
    for bias in (w.bias_ih, w.bias_hh):
        terms = terms + (0 if bias is None else bias.abs().max().double())
    return terms


def _before(run: DirectionRun) -> Tensor:
    return torch.cat((run.h_0[None], run.steps.hidden[:-1]))


def _of_own_steps(run: DirectionRun, dtype: torch.dtype) -> Tensor:
    """Of a cell that took the recorded steps itself, and whose forward may order sums otherwise."""
    eps = torch.finfo(dtype).eps
    size = torch.maximum(run.steps.hidden.abs(), torch.from_numpy(run.steps.replayed).abs())
    terms = (largest_terms(run) + size.amax(-1).nan_to_num(math.inf, math.inf))[..., None]
    if eps > torch.finfo(torch.float32).eps:
        return OWN_STEP * eps * terms
    out = 1.0 if run.weights.hr is None else float(run.weights.hr.abs().sum(1).max())
    return MARGIN * eps * (1 + out) * terms.cummax(0).values * len(terms) ** 0.5


class _Sums(NamedTuple):
    """The two products, W x + b_ih and U h + b_hh, and the rounding of their sum."""

    of_x: Tensor
    of_h: Tensor
    error: Tensor


def _sums(run: DirectionRun, step: Spacing) -> _Sums:
    w, before = run.weights, _before(run)
    products = linear(run.x, w.ih), linear(before, w.hh)  # torch may round them before adding b
    of_x, of_h = (
        product if bias is None else product + bias
        for product, bias in zip(products, (w.bias_ih, w.bias_hh), strict=True)
    )
    terms = largest_terms(run)[..., None].to(of_x.dtype)
    return _Sums(of_x, of_h, step(*products, of_x, of_h, of_x + of_h) + step.sums * terms)


def _through(
    function: Callable[[Tensor], Tensor], a: Tensor, error: Tensor, step: Spacing
) -> tuple[Tensor, Tensor]:
    """A rising function's value at a, and how far its value may be if a is error away."""
    value = function(a)
    moved = torch.maximum(function(a + error) - value, value - function(a - error))
    return value, moved + step(value)


def _rnn(form: Form, run: DirectionRun, step: Spacing) -> Tensor:
    of_x, of_h, error = _sums(run, step)
    activation = find_activation(form.nonlinearity)
    assert activation is not None
    return _through(activation.function, of_x + of_h, error, step)[1]


def _gru(_form: Form, run: DirectionRun, step: Spacing) -> Tensor:
    sums, before = _sums(run, step), _before(run)
    (x_r, x_z, x_n), (h_r, h_z, h_n) = sums.of_x.chunk(3, -1), sums.of_h.chunk(3, -1)
    e_r, e_z, e_n = sums.error.chunk(3, -1)
    r, e_r = _through(torch.sigmoid, x_r + h_r, e_r, step)
    z, e_z = _through(torch.sigmoid, x_z + h_z, e_z, step)
    product = r * h_n
    a = x_n + product
    n, e_n = _through(torch.tanh, a, e_n + h_n.abs() * e_r + step(product, a), step)
    change = before - n
    h = n + z * change
    return change.abs() * e_z + (1 - z + e_z) * e_n + step(z * change, (1 - z) * n, z * before, h)


def _lstm(_form: Form, run: DirectionRun, step: Spacing) -> Tensor:
    from rnnviz.engine.kernels import cell_states

    assert run.c_0 is not None
    of_x, of_h, error = _sums(run, step)
    functions = (torch.sigmoid, torch.sigmoid, torch.tanh, torch.sigmoid)
    parts = zip(functions, (of_x + of_h).chunk(4, -1), error.chunk(4, -1), strict=True)
    (i, e_i), (f, e_f), (g, e_g), (o, e_o) = (_through(*part, step) for part in parts)
    c = torch.from_numpy(run.steps.arrays["cell_state"])
    before = torch.cat((run.c_0[None], c[:-1]))
    own = before.abs() * e_f + (g.abs() + e_g) * e_i + i * e_g + step(f * before, i * g, c)
    e_c = torch.empty_like(c, memory_format=torch.contiguous_format)
    carried = torch.cat(
        (own, f + e_f, torch.ones_like(own), own), -1
    )  # e_t = (f + e_f) e_{t−1} + own
    cell_states(carried.numpy(), torch.zeros_like(run.c_0).numpy(), e_c.numpy())
    q, e_q = _through(torch.tanh, c, e_c, step)
    h, e_h = o * q, q.abs() * e_o + (o + e_o) * e_q
    e_h = e_h + step(h)
    v = run.weights.hr
    if v is None:
        return e_h
    terms = linear(h.abs(), v.abs())
    return linear(e_h, v.abs()) + step.sums * terms + step(linear(h, v))
