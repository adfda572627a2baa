"""Properties of a Python source text at every character."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

PROPERTIES = (
    "inside_string",
    "inside_comment",
    "bracket_depth",
    "position_in_line",
    "indentation",
)


def text_properties(text: str) -> dict[str, NDArray[np.float64]]:
    """Five properties, each (time,), after each character.

    inside_string: 1 between the quotes of a Python string, opening quote included.
    inside_comment: 1 from a # to the end of its line, which is outside.
    bracket_depth: brackets open, outside strings and comments, never below 0.
    position_in_line: characters since the start of the line.
    indentation: spaces and tabs at the start of the line.

    >>> {name: values.astype(int).tolist() for name, values in text_properties("f('a')").items()}
    ... # doctest: +NORMALIZE_WHITESPACE
    {'inside_string': [0, 0, 1, 1, 0, 0], 'inside_comment': [0, 0, 0, 0, 0, 0],
     'bracket_depth': [0, 1, 1, 1, 1, 0], 'position_in_line': [1, 2, 3, 4, 5, 6],
     'indentation': [0, 0, 0, 0, 0, 0]}
    """
    inside = _inside_strings(text)
    return {
        "inside_string": np.array([state in "'\"" for state in inside], dtype=np.float64),
        "inside_comment": np.array([state == "#" for state in inside], dtype=np.float64),
        "bracket_depth": _bracket_depth(text, inside),
        "position_in_line": _since_line_start(text),
        "indentation": _indentation(text),
    }


def _inside_strings(text: str) -> list[str]:
    """After each character: the open quote, "#" in a comment, "-" in other code."""
    states: list[str] = []
    closing, skip, i = "", False, 0  # closing: what ends the string or comment that is open
    while i < len(text):
        character, width = text[i], 1
        if skip:
            skip, width = False, 2 if text.startswith("\r\n", i) else 1
        elif closing in ("", "\n"):
            if closing and character == "\n":
                closing = ""
            elif not closing and character == "#":
                closing = "\n"
            elif not closing and character in "'\"":
                closing = text[i : i + 3] if text[i : i + 3] == character * 3 else character
                width = len(closing)
        elif character == "\\":
            skip = True
        elif text.startswith(closing, i):
            width, closing = len(closing), ""
            # the string ends with the last of three quotes
            states += [character] * (width - 1)
            states.append("-")
            i += width
            continue
        elif character == "\n" and len(closing) == 1:
            closing = ""  # a string in single quotes ends with its line
        states += [("#" if closing == "\n" else closing[:1]) or "-"] * width
        i += width
    return states


def _bracket_depth(text: str, inside: list[str]) -> NDArray[np.float64]:
    depth, depths = 0, np.zeros(len(text))
    for i, (character, state) in enumerate(zip(text, inside, strict=True)):
        if state == "-":
            depth += (character in "([{") - (character in ")]}")
            depth = max(depth, 0)
        depths[i] = depth
    return depths


def _since_line_start(text: str) -> NDArray[np.float64]:
    position, positions = 0, np.zeros(len(text))
    for i, character in enumerate(text):
        position = 0 if character == "\n" else position + 1
        positions[i] = position
    return positions


def _indentation(text: str) -> NDArray[np.float64]:
    width, blank, widths = 0, True, np.zeros(len(text))
    for i, character in enumerate(text):
        if character == "\n":
            width, blank = 0, True
        elif blank and character in " \t":
            width += 1
        else:
            blank = False
        widths[i] = width
    return widths


def correlation(values: NDArray[Any], wanted: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pearson's correlation of each unit with a property; NaN where either is constant.

    values: (time, unit); wanted: (time,). Returns (unit,).

    >>> correlation(np.array([[0, 1], [1, 1], [2, 1]]), np.array([0.0, 1.0, 2.0])).tolist()
    [1.0, nan]
    """
    a = values.astype(np.float64) - values.mean(0, dtype=np.float64)
    b = wanted - wanted.mean()
    scale = np.sqrt((a * a).sum(0) * (b * b).sum())
    return np.divide(a.T @ b, scale, out=np.full(a.shape[1], np.nan), where=scale > 0)
