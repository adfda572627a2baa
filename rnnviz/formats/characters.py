"""The shipped character models: safetensors weights beside a JSON of how they were made."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from rnnviz.errors import RnnvizError
from rnnviz.inputs.vocabulary import Vocabulary
from rnnviz.trace import Trace, trace
from rnnviz.trace_part import TracePart

MODULES = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


@dataclass(frozen=True)
class CharacterModel:
    """A network that reads text one character at a time and expects the next.

    recurrent: torch's stock module of one layer over one-hot characters; readout: (hidden →
    vocabulary); notes: how it was made, as in its JSON.
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
        hidden = torch.tensor(TracePart(record, record.layers - 1, batch=0).array("hidden_state"))
        with torch.no_grad():
            logits = self.readout(hidden.to(self.readout.weight.dtype)).double()
        return torch.softmax(logits, dim=-1).numpy()


def load_character_model(path: str | Path) -> CharacterModel:
    """The model of a .safetensors file and the .json of the same stem beside it.

    RnnvizError for a file that is missing, broken, or whose shapes do not fit its notes.
    """
    path = Path(path)
    for file in (path, path.with_suffix(".json")):
        if not file.is_file():
            raise RnnvizError("error.no_file", path=file.name)
    try:
        notes = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        weights = load_file(path)
        cell, hidden = str(notes["cell"]), int(notes["hidden_size"])
        vocabulary = Vocabulary(str(notes["vocabulary"]))
        recurrent = MODULES[cell](len(vocabulary), hidden)
        readout = nn.Linear(hidden, len(vocabulary))
        recurrent.load_state_dict(_under(weights, "recurrent."))
        readout.load_state_dict(_under(weights, "readout."))
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise RnnvizError("error.character_model", path=path.name, why=str(error)) from error
    return CharacterModel(
        cell,
        vocabulary,
        recurrent.eval().requires_grad_(False),
        readout.eval().requires_grad_(False),
        notes,
    )


def _under(weights: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {n.removeprefix(prefix): w for n, w in weights.items() if n.startswith(prefix)}
