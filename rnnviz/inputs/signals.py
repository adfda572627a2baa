"""Test signals of one feature."""

import math
from typing import Literal, get_args

import torch
from torch import Tensor

from rnnviz.errors import RnnvizError, at_least, seed_number

SignalName = Literal["noise", "impulse", "step", "sine", "square", "gap"]
SIGNALS: tuple[SignalName, ...] = get_args(SignalName)
PERIOD = 20  # of the sine and the square wave, in steps


def make_signal(name: str, length: int, *, seed: int = 0) -> Tensor:
    """A signal of ``length`` steps, (time, 1), in float64.

    noise: standard normal, by the seed. impulse: 1 at the first step, then 0. step: 0 for the
    first quarter, then 1. sine: amplitude 1 and a period of 20 steps. square: the sine's sign, 1
    where the sine is 0. gap: 1 at the first step and after three quarters, else 0. Raises
    RnnvizError for other names, lengths and seeds.

    >>> make_signal("step", 4).ravel().tolist(), make_signal("impulse", 3).ravel().tolist()
    ([0.0, 1.0, 1.0, 1.0], [1.0, 0.0, 0.0])
    """
    length, seed = at_least(0, "length", length), seed_number(seed)
    t = torch.arange(length, dtype=torch.float64, device="cpu")
    if name == "noise":
        random = torch.Generator("cpu").manual_seed(seed)
        values = torch.randn(length, generator=random, dtype=torch.float64, device="cpu")
    elif name == "impulse":
        values = (t == 0).double()
    elif name == "step":
        values = (t >= length // 4).double()
    elif name == "sine":
        values = torch.sin(2 * math.pi * t / PERIOD)
    elif name == "square":
        values = 1 - 2 * (t % PERIOD >= PERIOD / 2).double()
    elif name == "gap":
        values = ((t == 0) | (t == 3 * length // 4)).double()
    else:
        raise RnnvizError("error.signal", came=name, expected=", ".join(SIGNALS))
    return values[:, None]
