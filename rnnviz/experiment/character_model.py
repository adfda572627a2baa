"""The shipped character models: what they read, and what they expect next."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from rnnviz.formats.character_file import read_character_file
from rnnviz.inputs.vocabulary import Vocabulary
from rnnviz.trace import Trace, trace
from rnnviz.trace_part import TracePart


@dataclass(frozen=True)
class CharacterModel:
    """A network that reads text one character at a time and predicts the next.

    recurrent, readout, notes: as of ``CharacterFile``.
    """

    cell: str
    vocabulary: Vocabulary
    recurrent: nn.Module
    readout: nn.Linear
    notes: dict[str, Any]

    def read(self, text: str) -> Trace:
        """The trace of reading a text from a zero state. RnnvizError for an empty text."""
        return trace(self.recurrent, self.vocabulary.one_hot(text))

    def next_character(self, record: Trace) -> NDArray[np.float64]:
        """P(next character | all read so far), (time, vocabulary); each row sums to 1."""
        hidden = torch.tensor(
            TracePart(record, record.layers - 1, batch=0).array("hidden_state"), device="cpu"
        )
        with torch.no_grad():
            logits = self.readout(hidden.to(self.readout.weight.dtype)).double()
        return torch.softmax(logits, dim=-1).numpy()


def load_character_model(path: str | Path) -> CharacterModel:
    """The model of a .safetensors file and the .json of the same stem beside it.

    RnnvizError for a file that is missing, broken, or whose shapes do not fit its notes.
    """
    return CharacterModel(*read_character_file(path))
