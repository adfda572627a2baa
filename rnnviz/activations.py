"""Activation functions by name, as torch, Keras and ONNX define them.

Some names take one or two numbers: "leaky_relu(0.2)", "affine(2, 0.5)"; without numbers they have
the defaults of ONNX. "hard_sigmoid" is torch's and that of Keras from version 3 on;
"hard_sigmoid(0.2, 0.5)" is that of ONNX and of Keras 1 and 2. Derivatives are those of torch's
autograd, also at kinks.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from math import inf
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

Function = Callable[[Tensor], Tensor]


class Activation(NamedTuple):
    """One activation function.

    function: elementwise on tensors. steepest: the largest |slope|. low, high: its range.
    latex: the name in an equation, "" for the identity.
    """

    function: Function
    steepest: float
    low: float
    high: float
    latex: str


def _hard_sigmoid(a: float, b: float) -> Activation:
    # not F.hardsigmoid, whose slope in float64 is 1/6 in float32
    function = _relu6_of_3 if (a, b) == DEFAULTS["hard_sigmoid"] else partial(_clipped, a, b)
    return Activation(function, abs(a), 0.0, 1.0, _named("hard_sigmoid", a, b))


def _relu6_of_3(x: Tensor) -> Tensor:
    return F.relu6(x + 3) / 6


def _clipped(a: float, b: float, x: Tensor) -> Tensor:
    return F.hardtanh(a * x + b, 0.0, 1.0)


def _affine(a: float, b: float) -> Activation:
    return Activation(lambda x: a * x + b, abs(a), -inf, inf, _named("affine", a, b))


def _scaled_tanh(a: float, b: float) -> Activation:
    function: Function = lambda x: a * torch.tanh(b * x)  # noqa: E731  # one line per function
    return Activation(function, abs(a * b), -abs(a), abs(a), _named("scaled_tanh", a, b))


def _leaky_relu(a: float) -> Activation:
    low = 0.0 if a <= 0 else -inf
    return Activation(
        partial(F.leaky_relu, negative_slope=a), max(1, abs(a)), low, inf, _named("leaky_relu", a)
    )


def _thresholded_relu(a: float) -> Activation:
    function = partial(F.threshold, threshold=a, value=0.0)
    return Activation(function, 1.0, min(a, 0.0), inf, _named("thresholded_relu", a))


def _elu(a: float) -> Activation:
    low, steepest = min(0.0, -a), max(1.0, abs(a))
    return Activation(partial(F.elu, alpha=a), steepest, low, inf, _named("elu", a))


def _named(name: str, *numbers: float) -> str:
    """The name in LaTeX, with its numbers as subscripts unless they are the defaults."""
    ends = "" if numbers == DEFAULTS[name] else ",\\,".join(map(_written, numbers))
    text = name.replace("_", r"\_")
    return rf"\mathrm{{{text}}}" + (f"_{{{ends}}}" if ends else "")


# Names without numbers. selu: Klambauer et al. (2017). The ranges and slopes of silu, gelu and mish
# are rounded outwards.
PLAIN: Mapping[str, Activation] = {
    "tanh": Activation(torch.tanh, 1.0, -1.0, 1.0, r"\tanh"),
    "relu": Activation(torch.relu, 1.0, 0.0, inf, r"\mathrm{relu}"),
    "sigmoid": Activation(torch.sigmoid, 0.25, 0.0, 1.0, r"\sigma"),
    "identity": Activation(torch.clone, 1.0, -inf, inf, ""),
    "softsign": Activation(F.softsign, 1.0, -1.0, 1.0, r"\mathrm{softsign}"),
    # torch's default threshold, 20, is 2e−9 off there
    "softplus": Activation(partial(F.softplus, threshold=40), 1.0, 0.0, inf, r"\mathrm{softplus}"),
    "selu": Activation(F.selu, 1.7581, -1.7582, inf, r"\mathrm{selu}"),
    "relu6": Activation(F.relu6, 1.0, 0.0, 6.0, r"\mathrm{relu6}"),
    "silu": Activation(F.silu, 1.0999, -0.2785, inf, r"\mathrm{silu}"),
    "gelu": Activation(F.gelu, 1.1290, -0.1701, inf, r"\mathrm{gelu}"),
    "mish": Activation(F.mish, 1.0885, -0.3089, inf, r"\mathrm{mish}"),
    "exponential": Activation(torch.exp, inf, 0.0, inf, r"\exp"),
}
# Names with numbers, and their defaults.
FAMILIES: Mapping[str, Callable[..., Activation]] = {
    "hard_sigmoid": _hard_sigmoid,
    "leaky_relu": _leaky_relu,
    "elu": _elu,
    "thresholded_relu": _thresholded_relu,
    "affine": _affine,
    "scaled_tanh": _scaled_tanh,
}
DEFAULTS: Mapping[str, tuple[float, ...]] = {
    "hard_sigmoid": (1 / 6, 0.5),
    "leaky_relu": (0.01,),
    "elu": (1.0,),
    "thresholded_relu": (1.0,),
    "affine": (1.0, 0.0),
    "scaled_tanh": (1.0, 1.0),
}
OTHER_NAMES = {"linear": "identity", "swish": "silu"}  # Keras has both of each
ACTIVATIONS = (*PLAIN, *FAMILIES)


@lru_cache(maxsize=128)
def find_activation(name: str) -> Activation | None:
    """The activation of this name, in any spelling that ``canonical_name`` takes, or None.

    >>> find_activation("hard_sigmoid(0.2, 0.5)").function(torch.tensor([-3.0, 0.0, 1.0]))
    tensor([0.0000, 0.5000, 0.7000])
    >>> find_activation("sine") is None
    True
    """
    read = read_name(name)
    if read is None:
        return None
    base, numbers = read
    if base in PLAIN:
        return PLAIN[base]
    return FAMILIES[base](*numbers)


def apply(name: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """φ of the values, in float64; φ is a known activation."""
    return function_of(name)(torch.from_numpy(values)).numpy()


def slope(name: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """φ′ of the values, by autograd in float64; φ is a known activation.

    >>> slope("hard_sigmoid(0.2, 0.5)", np.array([-3.0, 0.0, 2.5]))
    array([0. , 0.2, 0. ])
    """
    with torch.inference_mode(False), torch.enable_grad():
        x = torch.tensor(values, device="cpu").requires_grad_()
        (found,) = torch.autograd.grad(function_of(name)(x).sum(), x)
    return found.numpy()


def function_of(name: str) -> Function:
    """The function of a known activation."""
    found = find_activation(name)
    assert found is not None
    return found.function


def canonical_name(name: str) -> str:
    """The name in one spelling; unchanged if there is no such activation.

    >>> canonical_name("linear"), canonical_name("leaky_relu(0.010)"), canonical_name("elu( 2 )")
    ('identity', 'leaky_relu', 'elu(2)')
    """
    read = read_name(name)
    if read is None:
        return name
    base, numbers = read
    if numbers == DEFAULTS.get(base, ()):
        return base
    return f"{base}({', '.join(_written(number) for number in numbers)})"


def _written(number: float) -> str:
    return repr(number).removesuffix(".0")


def read_name(name: object) -> tuple[str, tuple[float, ...]] | None:
    """The name and its numbers, with defaults filled in; None for what is no activation."""
    found = re.fullmatch(r"\s*(\w+)\s*(?:\((.*)\))?\s*", name) if isinstance(name, str) else None
    if found is None:
        return None
    base = OTHER_NAMES.get(found[1], found[1])
    if base in PLAIN:
        return (base, ()) if found[2] is None else None
    if base not in FAMILIES:
        return None
    defaults = DEFAULTS[base]
    try:
        numbers = tuple(map(float, found[2].split(","))) if found[2] else ()
    except ValueError:
        return None
    if len(numbers) > len(defaults) or not all(abs(number) < inf for number in numbers):
        return None
    return base, numbers + defaults[len(numbers) :]
