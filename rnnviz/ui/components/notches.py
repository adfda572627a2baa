"""The texts of a slider's notches in few bytes: runs of evenly spaced numbers, as notches.js reads.

Numbers are integers in units of the last decimal, so that both ends write the same digits.
"""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

NUMBER = re.compile(r"([+−-]?)(\d[\d,]*)(?:\.(\d+))?")
SHORTEST = 3  # texts of a run; fewer are written out


@dataclass(frozen=True)
class Style:
    """How a slider writes its numbers.

    decimals: at most. trimmed: without zeros at the end. comma: between thousands. plus: the sign
    of positive numbers. minus: that of negative ones.
    """

    decimals: int
    trimmed: bool
    comma: bool
    plus: str
    minus: str

    def write(self, number: int) -> str:
        """The text of a number of units of the last decimal."""
        whole, rest = divmod(abs(number), 10**self.decimals)
        after = f"{rest:0{self.decimals}}" if self.decimals else ""
        after = after.rstrip("0") if self.trimmed else after
        sign = self.minus if number < 0 else self.plus
        grouped = f"{whole:,}" if self.comma else str(whole)
        return sign + grouped + (after and f".{after}")

    def read(self, text: str) -> int | None:
        """The number of a text; None for one that is written otherwise."""
        found = NUMBER.fullmatch(text)
        if found is None:
            return None
        whole, after = found[2].replace(",", ""), found[3] or ""
        number = int(whole + after.ljust(self.decimals, "0"))
        number = -number if found[1] in ("−", "-") else number
        return number if self.write(number) == text else None


def fold(texts: Sequence[str]) -> dict[str, Any]:
    """The texts as a style, and parts: a text, or the first number of a run, its step and length.

    >>> fold(["none", "0.10", "0.20", "0.30"])["parts"]
    ['none', [10, 10, 3]]
    """
    style = _style_of(texts)
    numbers = [style.read(text) for text in texts]
    parts: list[object] = []
    start = 0
    while start < len(texts):
        run = _run(numbers[start:])
        if len(run) < SHORTEST:
            parts.append(texts[start])
            start += 1
        else:
            parts.append([run[0], run[1] - run[0], len(run)])
            start += len(run)
    return {**asdict(style), "parts": parts}


def _style_of(texts: Sequence[str]) -> Style:
    found = [match for match in map(NUMBER.fullmatch, texts) if match]
    decimals = [len(match[3] or "") for match in found]
    signs = {match[1] for match in found}
    return Style(
        decimals=max(decimals, default=0),
        trimmed=len({*decimals}) > 1,
        comma=any("," in match[2] for match in found),
        plus="+" if "+" in signs else "",
        minus="−" if "−" in signs else "-",
    )


def _run(numbers: Sequence[int | None]) -> list[int]:
    """The evenly spaced numbers that come first."""
    run: list[int] = []
    for number in numbers:
        if number is None or (len(run) > 1 and number - run[-1] != run[1] - run[0]):
            break
        run.append(number)
    return run
