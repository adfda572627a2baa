"""Text that a character model writes itself, one character at a time."""

import math

import numpy as np
import torch

from rnnviz.errors import RnnvizError
from rnnviz.experiment.character_model import CharacterModel


def write_on(
    model: CharacterModel, text: str, count: int, *, temperature: float, seed: int = 0
) -> str:
    """The text, continued by ``count`` characters that the model expects after it.

    Each is drawn with probability softmax(logits / temperature), and read before the next is drawn;
    at temperature 0 each is the most likely one. The code of unknown characters is never drawn.
    seed: of the draws; no other generator is used. RnnvizError for an empty text, and a temperature
    that is negative, infinite or NaN.

    >>> from rnnviz.ui.cache import character_model
    >>> write_on(character_model("lstm"), "import nump", 2, temperature=0)[:11]
    'import nump'
    """
    if not (temperature >= 0 and math.isfinite(temperature)):
        raise RnnvizError("error.temperature", came=temperature)
    draws, written, state = np.random.default_rng(seed), text, None
    codes = model.vocabulary.one_hot(text)
    with torch.no_grad():
        for _ in range(count):
            output, state = model.recurrent(codes, state)
            logits = model.readout(output[-1].to(model.readout.weight.dtype)).double().numpy()
            code = _draw(logits[: model.vocabulary.unknown], temperature, draws)
            written += str(model.vocabulary.character(code))
            codes = model.vocabulary.one_hot(written[-1])
    return written


def _draw(
    logits: np.ndarray[tuple[int], np.dtype[np.float64]],
    temperature: float,
    draws: np.random.Generator,
) -> int:
    """A code by its probability; the first of the most likely ones at temperature 0."""
    if temperature == 0:
        return int(logits.argmax())
    shares = np.exp((logits - logits.max()) / temperature)
    return int(draws.choice(len(shares), p=shares / shares.sum()))
