"""Gradients of a trace: norms beyond the float range, contributions per step, a verdict."""

from rnnviz.gradients.clipping import Clipped, clip_by_norm, clip_by_value
from rnnviz.gradients.diagnosis import Diagnosis, Lost, NotFinite, diagnose
from rnnviz.gradients.norms import gradient_norms
from rnnviz.gradients.parameters import parameter_gradients
from rnnviz.gradients.paths import split_cell_gradient
from rnnviz.gradients.plain import PlainPass, plain_pass
from rnnviz.gradients.remembered import remembered_steps
from rnnviz.gradients.weights import weight_gradient_norms

__all__ = [
    "Clipped",
    "Diagnosis",
    "Lost",
    "NotFinite",
    "PlainPass",
    "clip_by_norm",
    "clip_by_value",
    "diagnose",
    "gradient_norms",
    "parameter_gradients",
    "plain_pass",
    "remembered_steps",
    "split_cell_gradient",
    "weight_gradient_norms",
]
