"""Vocabularies: characters and their codes."""

import unicodedata
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from rnnviz.errors import RnnvizError

PICTURES = {" ": "·", "\n": "⏎", "\t": "⇥", "\x7f": "^?"}
SHAPELESS = "\u115f\u1160\u2800\u3164\uffa0"  # Hangul fillers and blank Braille: no space, no ink


@dataclass(frozen=True)
class Vocabulary:
    """Codes 0 … n − 1 for the characters, and one last code for every other character.

    >>> vocabulary = Vocabulary("ab")
    >>> vocabulary.encode("ba한").tolist(), len(vocabulary)
    ([1, 0, 2], 3)
    """

    characters: str

    def __post_init__(self) -> None:
        if len(set(self.characters)) != len(self.characters) or not self.characters:
            raise RnnvizError("error.vocabulary", came=self.characters[:80])

    def __len__(self) -> int:
        return len(self.characters) + 1

    def __contains__(self, character: str) -> bool:
        return character in self._codes

    @property
    def unknown(self) -> int:
        """The code of every character that is not in the vocabulary."""
        return len(self.characters)

    @cached_property
    def _codes(self) -> dict[str, int]:
        return {character: code for code, character in enumerate(self.characters)}

    def encode(self, text: str) -> Tensor:
        """Codes of a text, one per code point: int64, (time,). An empty text raises RnnvizError."""
        if not text:
            raise RnnvizError("error.empty_text")
        return torch.tensor([self._codes.get(character, self.unknown) for character in text])

    def one_hot(self, text: str, dtype: torch.dtype = torch.float32) -> Tensor:
        """One-hot vectors of a text: (time, len(self)), 1 at each character's code."""
        codes = self.encode(text)
        return torch.zeros(len(codes), len(self), dtype=dtype).scatter_(1, codes[:, None], 1.0)

    def character(self, code: int) -> str | None:
        """The character of a code; None for the code of unknown characters."""
        return None if code == self.unknown else self.characters[code]


def picture(character: str) -> str:
    r"""A visible form of a character: a space as ·, a line end as ⏎, and so on.

    >>> "".join(map(picture, "a b\n\x00"))
    'a·b⏎^@'
    """
    if character in PICTURES:
        return PICTURES[character]
    if ord(character) < 32:
        return f"^{chr(64 + ord(character))}"  # every font has it, unlike the control pictures
    category = unicodedata.category(character)
    if category.startswith("M"):
        return f"◌{character}"  # a combining mark needs a base character
    if category[0] == "C" or category in ("Zl", "Zp") or character in SHAPELESS:
        return f"U+{ord(character):04X}"
    return "␣" if category == "Zs" else character
