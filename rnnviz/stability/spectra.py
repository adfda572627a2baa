"""Eigenvalues and singular values of the recurrent weights, and the bounds they give."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnviz.activations import find_activation
from rnnviz.errors import RnnvizError
from rnnviz.trace import Trace, expect_trace
from rnnviz.trace_part import TracePart


class Spectrum(NamedTuple):
    """Of one gate's U: eigenvalues, largest modulus first, and singular values, largest first."""

    eigenvalues: NDArray[np.complex128]
    singular_values: NDArray[np.float64]

    @property
    def radius(self) -> float:
        """The largest modulus of an eigenvalue."""
        return float(np.abs(self.eigenvalues[0]))


class PascanuBound(NamedTuple):
    """Bounds from the weights of a plain RNN alone (Pascanu et al. 2013, section 2.1).

    threshold: 1 / γ. vanishing_is_certain: the largest singular value is below the threshold, a
    sufficient condition. exploding_is_possible: it is above, a necessary condition only. The
    spectral radius decides either only in a linear network.
    """

    largest_singular_value: float
    spectral_radius: float
    gamma: float
    threshold: float
    vanishing_is_certain: bool
    exploding_is_possible: bool


def recurrent_spectra(
    trace: Trace, *, layer: int = 0, direction: str = "forward"
) -> dict[str, Spectrum]:
    """Eigenvalues and singular values of every gate's U, by the gate's name.

    With a projection V, those of U V, the step from one cell output to the next.

    >>> module = torch.nn.RNN(1, 2, bias=False)
    >>> with torch.no_grad(): _ = module.weight_hh_l0.copy_(torch.tensor([[0.5, 2.0], [0.0, 0.5]]))
    >>> u = recurrent_spectra(rnnviz.trace(module, torch.ones(1, 1)))["hidden"]
    >>> u.radius, u.singular_values.round(4)
    (0.5, array([2.118, 0.118]))
    """
    part = TracePart(trace, layer, direction)
    u, v = part.recurrent_weights(), part.parameter("weight_hr")
    gates = np.split(u if v is None else u @ v, len(trace.form.gates))
    return {name: _spectrum(gate) for name, gate in zip(trace.form.gates, gates, strict=True)}


def pascanu_bound(trace: Trace, *, layer: int = 0, direction: str = "forward") -> PascanuBound:
    """Whether a plain RNN's weights alone make gradients vanish, or allow them to explode.

    γ, the steepest slope, is 1 for tanh, relu and identity, 1/4 for sigmoid. RnnvizError for gated
    cells and for cells with a step of their own.

    >>> module = torch.nn.RNN(1, 2, bias=False)
    >>> with torch.no_grad(): _ = module.weight_hh_l0.copy_(torch.tensor([[0.5, 2.0], [0.0, 0.5]]))
    >>> bound = pascanu_bound(rnnviz.trace(module, torch.ones(1, 1)))
    >>> bound.spectral_radius, bound.vanishing_is_certain, bound.exploding_is_possible
    (0.5, False, True)
    """
    expect_trace(trace)
    if trace.cell != "rnn":
        raise RnnvizError("error.plain_rnn", cell=trace.cell)
    activation = find_activation(trace.nonlinearity)
    if trace.own_step or activation is None:
        module = trace.module_repr.partition("(")[0]
        raise RnnvizError("error.own_equations", what="pascanu_bound", module=module)
    spectrum = recurrent_spectra(trace, layer=layer, direction=direction)["hidden"]
    gamma = activation.steepest
    largest = float(spectrum.singular_values[0])
    return PascanuBound(
        largest_singular_value=largest,
        spectral_radius=spectrum.radius,
        gamma=gamma,
        threshold=1 / gamma,
        vanishing_is_certain=largest < 1 / gamma,
        exploding_is_possible=largest > 1 / gamma,
    )


def _spectrum(u: NDArray[Any]) -> Spectrum:
    eigenvalues = np.linalg.eigvals(u).astype(np.complex128)
    order = np.argsort(-np.abs(eigenvalues), kind="stable")
    return Spectrum(eigenvalues[order], np.linalg.svd(u, compute_uv=False))
