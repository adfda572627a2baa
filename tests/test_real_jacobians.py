"""Jacobians are real numbers: no imaginary part is dropped, and no text is read as a number."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import rnnviz

COMPLEX = (
    "The Jacobians have dtype complex128; expected real numbers. For complex Jacobians A + iB pass "
    "the real matrices [[A, −B], [B, A]]: they have the same norms, and every singular value and "
    "Lyapunov exponent twice."
)
FUNCTIONS: list[Callable[[Any], Any]] = [
    rnnviz.backward_norms,
    rnnviz.bound_backward_norms,
    rnnviz.transient_growth,
    rnnviz.lyapunov_exponents,
    rnnviz.log_singular_values,
]


def flat(result: Any) -> np.ndarray:
    return np.hstack(result) if isinstance(result, tuple) else result


@pytest.mark.parametrize("function", FUNCTIONS)
def test_jacobians_that_are_not_real(function: Callable[[Any], Any]):
    imaginary = np.full((3, 2, 2), 1j)
    others: list[Any] = [imaginary.tolist(), torch.from_numpy(imaginary), imaginary.astype(object)]
    for came in (imaginary, *others):
        with pytest.raises(rnnviz.RnnvizError) as caught:
            function(came)
        assert str(caught.value) == COMPLEX
    with pytest.raises(rnnviz.RnnvizError, match="dtype <U64; expected real numbers"):
        function(imaginary.astype(str))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_real_jacobians_of_every_kind(function: Callable[[Any], Any]):
    real = np.random.default_rng(0).standard_normal((3, 2, 2))
    expected = flat(function(real))
    for same in (real.tolist(), real.astype(object), torch.from_numpy(real).requires_grad_()):
        assert np.array_equal(flat(function(same)), expected)


def test_norms_of_complex_jacobians_as_real_ones():
    """What the message advises has the norms of the complex product."""
    a, b = np.random.default_rng(1).standard_normal((2, 4, 3, 3))
    real: Any = np.block([[a, -b], [b, a]])
    product, norms = np.eye(3, dtype=complex), [0.0]
    for factor in (a + 1j * b)[::-1]:
        product = product @ factor
        norms.append(float(np.log10(np.linalg.norm(product, 2))))
    assert np.abs(rnnviz.backward_norms(real) - norms[::-1]).max() < 1e-12
    singular = np.log(np.linalg.svd(product, compute_uv=False)).repeat(2)
    assert np.abs(rnnviz.log_singular_values(real) - singular).max() < 1e-12
