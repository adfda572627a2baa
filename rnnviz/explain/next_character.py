"""What a character model predicts at every step of a text, and what came."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Predictions(NamedTuple):
    """The most likely next characters at every step, most likely first, and the actual one.

    codes, shares: (time, guess), with P(code | all read so far) as the share. The actual character
    replaces the last guess where it is not among them. place: (time,) its column; rank: (time,)
    its rank from 1; bits: (time,) its surprisal, −log₂ P. At the last step, after which nothing
    comes, place is −1 and rank and bits are 0.
    """

    codes: NDArray[np.intp]
    shares: NDArray[np.float64]
    place: NDArray[np.intp]
    rank: NDArray[np.intp]
    bits: NDArray[np.float64]


def rank_predictions(
    probabilities: NDArray[np.float64], text: NDArray[np.integer], maximum: int
) -> Predictions:
    """The ``maximum`` most likely characters of each step.

    probabilities: (time, vocabulary), each row sums to 1. text: (time,) the codes that are read.

    >>> found = rank_predictions(np.array([[0.125, 0.5, 0.375], [0.5, 0.25, 0.25]]), [2, 0], 2)
    >>> found.codes.tolist(), found.place.tolist(), found.rank.tolist(), found.bits.tolist()
    ([[1, 0], [0, 1]], [1, -1], [3, 0], [3.0, 0.0])
    """
    codes = np.argsort(-probabilities, axis=1, kind="stable")[:, :maximum]
    actual, steps = np.asarray(text)[1:, None], np.arange(len(probabilities) - 1)
    missing = ~(codes[:-1] == actual).any(1)
    codes[:-1][missing, -1] = actual[missing, 0]
    shares = np.take_along_axis(probabilities, codes, 1)
    place = np.append((codes[:-1] == actual).argmax(1), -1)
    of_actual = probabilities[steps, actual[:, 0]]
    rank = np.append(1 + (probabilities[:-1] > of_actual[:, None]).sum(1), 0)
    return Predictions(codes, shares, place, rank, np.append(-np.log2(of_actual), 0.0))
