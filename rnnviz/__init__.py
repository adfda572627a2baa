"""What happens inside recurrent networks: every gate, state and gradient at every time step."""

from typing import TYPE_CHECKING, Any

from rnnviz.errors import RnnvizError
from rnnviz.recurrent import Recurrent
from rnnviz.trace import Trace, load_trace, trace

if TYPE_CHECKING:
    from rnnviz.plots.gates import plot_gates
    from rnnviz.plots.states import plot_states
    from rnnviz.plots.view import View

__all__ = [
    "Recurrent",
    "RnnvizError",
    "Trace",
    "View",
    "load_trace",
    "plot_gates",
    "plot_states",
    "trace",
]
__version__ = "0.1.0"

# Figures bring plotly with them, which those who only trace need not wait for.
_FIGURES = {
    "View": "rnnviz.plots.view",
    "plot_gates": "rnnviz.plots.gates",
    "plot_states": "rnnviz.plots.states",
}


def __getattr__(name: str) -> Any:
    if name in _FIGURES:
        from importlib import import_module

        return getattr(import_module(_FIGURES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
