"""The values of sliders that go up by round numbers."""

from collections.abc import Sequence
from math import floor, log10


def round_numbers(low: float, high: float, digits: Sequence[float] = (1, 2, 5)) -> list[float]:
    """The digits times each power of ten, from low to high.

    >>> round_numbers(0.5, 20)
    [0.5, 1.0, 2.0, 5.0, 10.0, 20.0]
    """
    powers = range(floor(log10(low)), floor(log10(high)) + 1)
    numbers = (digit * 10.0**power for power in powers for digit in digits)
    return [number for number in numbers if low <= number <= high]
