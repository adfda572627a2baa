"""Activation functions in NumPy, written from their definitions.

Independent of ``rnnviz.activations``, of which only the names are read, so that each can be tested
against the other.
"""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf, expit

from rnnviz.activations import read_name

Float = NDArray[np.float64]

# Klambauer et al. (2017), eq. 14
SELU_ALPHA, SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946


def _elu(a: Float, alpha: float = 1.0) -> Float:
    return np.where(a > 0, a, alpha * np.expm1(np.minimum(a, 0)))


def _softplus(a: Float) -> Float:
    return np.logaddexp(a, 0.0)


NUMPY: Mapping[str, Callable[..., Float]] = {
    "tanh": np.tanh,
    "relu": lambda a: np.maximum(a, 0),
    "sigmoid": expit,
    "identity": lambda a: a,
    "softsign": lambda a: a / (1 + np.abs(a)),
    "softplus": _softplus,
    "selu": lambda a: SELU_SCALE * _elu(a, SELU_ALPHA),
    "relu6": lambda a: np.clip(a, 0, 6),
    "silu": lambda a: a * expit(a),
    "gelu": lambda a: a * (1 + erf(a / np.sqrt(2))) / 2,
    "mish": lambda a: a * np.tanh(_softplus(a)),
    "exponential": np.exp,
    "hard_sigmoid": lambda a, alpha, beta: np.clip(alpha * a + beta, 0, 1),
    "leaky_relu": lambda a, alpha: np.where(a > 0, a, alpha * a),
    "elu": _elu,
    "thresholded_relu": lambda a, alpha: np.where(a > alpha, a, 0.0),
    "affine": lambda a, alpha, beta: alpha * a + beta,
    "scaled_tanh": lambda a, alpha, beta: alpha * np.tanh(beta * a),
}


def numpy_function(name: str) -> Callable[[Float], Float]:
    """The function of a known activation.

    >>> numpy_function("leaky_relu(0.5)")(np.array([-2.0, 2.0]))
    array([-1.,  2.])
    """
    read = read_name(name)
    assert read is not None
    base, numbers = read
    return partial(_with_numbers, NUMPY[base], numbers)


def _with_numbers(function: Callable[..., Float], numbers: tuple[float, ...], a: Float) -> Float:
    return function(a, *numbers)
