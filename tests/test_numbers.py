"""Numbers in sentences: one function writes them all."""

import math
import re

import numpy as np
import pytest

from rnnviz.errors import RnnvizError
from rnnviz.locale import LANGUAGES, labels
from rnnviz.locale.numbers import write_number

PLACE = re.compile(r"\{(\w+)(?::([^}]*))?\}")
SIZES = [
    10.0**e * m for e in (-308, -20, -7, -5, -4, -1, 0, 3, 4.5, 6, 15, 20, 307) for m in (1, -7)
]


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_sentence_shows_a_computers_notation(language: str):
    """No 1.2e-05, no inf, no nan, no 309 digits: in every text that formats a number."""
    words, seen = labels(language), 0
    for key, text in words.items():
        specs = {name: spec for name, spec in PLACE.findall(text) if spec and spec[-1] in "fg"}
        if not specs or "%{" in text:  # Plotly's own templates
            continue
        seen += 1
        rest = {name: "x" for name, _ in PLACE.findall(text)}
        rest |= {name: 1 for name, spec in PLACE.findall(text) if spec and name not in specs}
        for value in (*SIZES, math.inf, -math.inf, math.nan, np.float64(1.2e-5)):
            shown = words(key, **(rest | dict.fromkeys(specs, value)))
            assert not re.search(r"\de[+-]?\d|\d{17}", shown), f"{key}: {shown}"
            for word in ("inf", "nan"):
                assert shown.count(word) == text.count(word), f"{key}: {shown}"
    assert seen > 20


@pytest.mark.parametrize(
    ("value", "spec", "expected"),
    [
        (1.2e-5, ".3g", "1.2\u00a0×\u00a010⁻⁵"),
        (12345.6, ".3g", "12,300"),
        (-12345.6, "+.3g", "−12,300"),
        (123456.0, ".3g", "1.23\u00a0×\u00a010⁵"),
        (999.7, ".3g", "1,000"),
        (0.5, ".3g", "0.5"),
        (-0.25, ".2f", "−0.25"),
        (3e-5, ".0e", "3\u00a0×\u00a010⁻⁵"),
        (5e-324, ".3g", "4.94\u00a0×\u00a010⁻³²⁴"),
        (1e14, ".0f", "100000000000000"),
        (0.04, ".1f", "0.04"),
        (-4e-9, ".2f", "−4\u00a0×\u00a010⁻⁹"),
        (0.0, ".1f", "0.0"),
        (0.004, "+.2f", "+0.00"),
        (-2.5e300, "+.1f", "−2.50\u00a0×\u00a010³⁰⁰"),
        (math.inf, "+.2f", "+∞"),
        (-math.inf, ".2f", "−∞"),
        (math.nan, ".2f", "NaN"),
    ],
)
def test_values(value: float, spec: str, expected: str):
    assert write_number(value, spec) == expected


def test_what_came_is_repeated_as_python_writes_it():
    error = RnnvizError("error.clip_threshold", came=-1e-05)
    assert str(error).startswith("The clipping threshold is -1e-05; ")
