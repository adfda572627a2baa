"""What happens inside recurrent networks: every gate, state and gradient at every time step."""

from typing import TYPE_CHECKING, Any

from rnnviz import initialise
from rnnviz.counting import Size, count_parameters, fit_hidden
from rnnviz.errors import RnnvizError
from rnnviz.gradients import (
    clip_by_norm,
    clip_by_value,
    diagnose,
    gradient_norms,
    parameter_gradients,
    plain_pass,
    remembered_steps,
    split_cell_gradient,
    weight_gradient_norms,
)
from rnnviz.holding import Hold
from rnnviz.recurrent import Recurrent
from rnnviz.stability import (
    JacobianBlocks,
    backward_norms,
    bound_backward_norms,
    jacobians,
    log_singular_values,
    lyapunov_exponents,
    pascanu_bound,
    recurrent_spectra,
    sensitivity_norms,
    transient_growth,
)
from rnnviz.trace import Trace, load_trace, trace

if TYPE_CHECKING:
    from rnnviz.explain.keras_outputs import select_outputs
    from rnnviz.plots.comparison import plot_comparison
    from rnnviz.plots.eigenvalues import plot_eigenvalues
    from rnnviz.plots.gates import plot_gates
    from rnnviz.plots.gradient_norms import plot_gradient_norms
    from rnnviz.plots.jacobian_norms import plot_jacobian_norms
    from rnnviz.plots.lyapunov import plot_lyapunov
    from rnnviz.plots.saturation import plot_saturation
    from rnnviz.plots.sensitivity import plot_sensitivity
    from rnnviz.plots.states import plot_states
    from rnnviz.plots.view import View
    from rnnviz.plots.weight_gradients import plot_weight_gradients
    from rnnviz.plots.weights import plot_recurrent_weights

__all__ = [
    "Hold",
    "JacobianBlocks",
    "Recurrent",
    "RnnvizError",
    "Size",
    "Trace",
    "View",
    "backward_norms",
    "bound_backward_norms",
    "clip_by_norm",
    "clip_by_value",
    "count_parameters",
    "diagnose",
    "fit_hidden",
    "gradient_norms",
    "initialise",
    "jacobians",
    "load_trace",
    "log_singular_values",
    "lyapunov_exponents",
    "parameter_gradients",
    "pascanu_bound",
    "plain_pass",
    "plot_comparison",
    "plot_eigenvalues",
    "plot_gates",
    "plot_gradient_norms",
    "plot_jacobian_norms",
    "plot_lyapunov",
    "plot_recurrent_weights",
    "plot_saturation",
    "plot_sensitivity",
    "plot_states",
    "plot_weight_gradients",
    "recurrent_spectra",
    "remembered_steps",
    "select_outputs",
    "sensitivity_norms",
    "split_cell_gradient",
    "trace",
    "transient_growth",
    "weight_gradient_norms",
]
__version__ = "0.1.0"

# Figures bring plotly with them, and other frameworks' words scipy, which those who only trace need
# not wait for.
_LATER = {
    "select_outputs": "rnnviz.explain.keras_outputs",
    "View": "rnnviz.plots.view",
    "plot_comparison": "rnnviz.plots.comparison",
    "plot_eigenvalues": "rnnviz.plots.eigenvalues",
    "plot_gates": "rnnviz.plots.gates",
    "plot_gradient_norms": "rnnviz.plots.gradient_norms",
    "plot_jacobian_norms": "rnnviz.plots.jacobian_norms",
    "plot_lyapunov": "rnnviz.plots.lyapunov",
    "plot_recurrent_weights": "rnnviz.plots.weights",
    "plot_saturation": "rnnviz.plots.saturation",
    "plot_sensitivity": "rnnviz.plots.sensitivity",
    "plot_states": "rnnviz.plots.states",
    "plot_weight_gradients": "rnnviz.plots.weight_gradients",
}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        from importlib import import_module

        return getattr(import_module(_LATER[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
