"""Parameters and multiply-adds per time step of a network, by formula."""

from rnnviz.counting.budget import fit_hidden
from rnnviz.counting.gates import (
    GateCount,
    count_by_gate,
    count_multiply_adds,
    count_parameters,
    formula,
)
from rnnviz.counting.size import Size, read_layer_sizes, read_size

__all__ = [
    "GateCount",
    "Size",
    "count_by_gate",
    "count_multiply_adds",
    "count_parameters",
    "fit_hidden",
    "formula",
    "read_layer_sizes",
    "read_size",
]
