"""Seeds by name: a test's random numbers depend on its own name, not on what ran before it."""

import random
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def seed_by(name: str) -> None:
    """Seeds the global generators of torch, NumPy and ``random``."""
    seed = zlib.crc32(name.encode())
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002  # code under test may use the global generator
    random.seed(seed)


@contextmanager
def seeded_by(name: str) -> Iterator[None]:
    """Seeds the global generators inside the block, and restores their states after it."""
    before = states()
    seed_by(name)
    try:
        yield
    finally:
        torch.set_rng_state(before[0])
        np.random.set_state(before[1])  # noqa: NPY002
        random.setstate(before[2])


def states() -> tuple[torch.Tensor, Any, Any]:
    """The states of the three global generators."""
    return torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002
