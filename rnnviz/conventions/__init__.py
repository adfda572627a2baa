"""Gate orders, layouts and equations of frameworks and papers, and conversions between them."""

from rnnviz.conventions.evaluation import run_packed
from rnnviz.conventions.formulas import write_formulas
from rnnviz.conventions.packing import Move, merge_biases, moves, pack, unpack
from rnnviz.conventions.switches import Difference, Rows, difference, lay_out
from rnnviz.conventions.table import (
    CHO,
    CHUNG,
    CONVENTIONS,
    KERAS,
    KERAS_RESET_BEFORE,
    ONNX,
    PROJECT,
    TORCH,
    Convention,
)

__all__ = [
    "CHO",
    "CHUNG",
    "CONVENTIONS",
    "KERAS",
    "KERAS_RESET_BEFORE",
    "ONNX",
    "PROJECT",
    "TORCH",
    "Convention",
    "Difference",
    "Move",
    "Rows",
    "difference",
    "lay_out",
    "merge_biases",
    "moves",
    "pack",
    "run_packed",
    "unpack",
    "write_formulas",
]
