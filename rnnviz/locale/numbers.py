"""Numbers in sentences and labels: true minus signs, and powers of ten instead of 1e-05."""

import math

SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
IN_FULL = 5  # digits before the point up to which a number is written in full
LONGEST = 1e15  # beyond this a fixed number of decimals would print the float's noise


def write_number(value: float, spec: str) -> str:
    """A number by Python's format specification, as a sentence shows it.

    Powers have no-break spaces around the sign. A number that would round to 0 keeps one digit,
    unless it is written with its sign.

    >>> numbers = (1.23e-05, ".3g"), (-31600.0, ".3g"), (-0.5, "+.2f"), (1e308, ".3f")
    >>> [write_number(*number).replace("\u00a0", " ") for number in numbers]
    ['1.23 × 10⁻⁵', '−31,600', '−0.50', '1.00 × 10³⁰⁸']
    >>> write_number(-math.inf, ".3g")
    '−∞'
    """
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return ("+" if "+" in spec else "") + "∞" if value > 0 else "−∞"
    if spec.endswith("f") and abs(value) >= LONGEST:
        spec = ("+" if "+" in spec else "") + ".2e"
    text = format(float(value), spec)
    if spec.endswith("f") and "+" not in spec and value and not text.strip("-0."):
        text = format(float(value), ".1g")
    digits, _, exponent = text.partition("e")
    if not exponent:
        return text.replace("-", "−")
    if 0 <= int(exponent) < IN_FULL:
        sign = "+" if text.startswith("+") else ""
        return sign + f"{float(text):,.0f}".replace("-", "−")
    return times_power(digits, int(exponent))


def times_power(digits: str, exponent: int) -> str:
    """Digits times a power of ten."""
    power = str(exponent).translate(SUPERSCRIPT)
    return f"{digits}\u00a0×\u00a010{power}".replace("-", "−")


class Number(float):
    """A float that a text's ``{name:spec}`` writes as ``write_number`` does.

    Without a specification it is written as Python writes it: an error repeats what came.
    """

    def __format__(self, spec: str) -> str:
        plain = not spec or spec[-1] not in "fg"
        return float.__format__(self, spec) if plain else write_number(self, spec)
