"""How a small change of the state propagates: Jacobians, their products, their exponents."""

from rnnviz.stability.closed_form import JacobianBlocks, jacobians
from rnnviz.stability.exponents import log_singular_values, lyapunov_exponents
from rnnviz.stability.products import (
    NormBounds,
    TransientGrowth,
    backward_norms,
    bound_backward_norms,
    transient_growth,
)
from rnnviz.stability.sensitivity import sensitivity_norms
from rnnviz.stability.spectra import PascanuBound, Spectrum, pascanu_bound, recurrent_spectra

__all__ = [
    "JacobianBlocks",
    "NormBounds",
    "PascanuBound",
    "Spectrum",
    "TransientGrowth",
    "backward_norms",
    "bound_backward_norms",
    "jacobians",
    "log_singular_values",
    "lyapunov_exponents",
    "pascanu_bound",
    "recurrent_spectra",
    "sensitivity_norms",
    "transient_growth",
]
