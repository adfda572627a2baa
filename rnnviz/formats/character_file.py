"""Files of the shipped character models: safetensors weights, and a JSON of how they were made."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from rnnviz.errors import RnnvizError
from rnnviz.inputs.vocabulary import Vocabulary

MODULES = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


class CharacterFile(NamedTuple):
    """A file's network, which predicts the next character of a text.

    recurrent: torch's stock module of one layer over one-hot characters; readout: (hidden →
    vocabulary); notes: how it was made, as in its JSON.
    """

    cell: str
    vocabulary: Vocabulary
    recurrent: nn.Module
    readout: nn.Linear
    notes: dict[str, Any]


def read_character_file(path: str | Path) -> CharacterFile:
    """The network of a .safetensors file and the .json of the same stem beside it.

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
        recurrent.load_state_dict(_with_prefix(weights, "recurrent."))
        readout.load_state_dict(_with_prefix(weights, "readout."))
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)  # without the folder
        raise RnnvizError("error.character_model", path=path.name, why=why) from error
    return CharacterFile(
        cell,
        vocabulary,
        recurrent.eval().requires_grad_(False),
        readout.eval().requires_grad_(False),
        notes,
    )


def _with_prefix(weights: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {n.removeprefix(prefix): w for n, w in weights.items() if n.startswith(prefix)}
