"""Text that a character model writes."""

import numpy as np
import pytest
import torch

from rnnviz.errors import RnnvizError
from rnnviz.experiment.writing import write_on
from rnnviz.ui.cache import character_model

START = "def greet(na"


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_at_temperature_0_each_character_is_the_most_likely_after_all_before(cell: str):
    model = character_model(cell)
    written = write_on(model, START, 25, temperature=0)
    assert written.startswith(START)
    assert len(written) == len(START) + 25
    expected = model.next_character(model.read(written))[:, :-1]  # without the unknown character
    codes = model.vocabulary.encode(written).tolist()
    for t in range(len(START), len(written)):
        assert codes[t] == expected[t - 1].argmax(), written[: t + 1]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 1.5])
def test_characters_are_drawn_with_the_networks_probabilities(temperature: float):
    model = character_model("gru")
    p = model.next_character(model.read(START))[-1, :-1] ** (1 / temperature)
    p /= p.sum()
    draws = [write_on(model, START, 1, temperature=temperature, seed=k)[-1] for k in range(1500)]
    codes = model.vocabulary.encode("".join(draws)).numpy()
    found = np.bincount(codes, minlength=len(p)) / len(draws)
    # the expected distance of 1,500 draws is at most √(n / (2π · 1500)) of n codes
    assert np.abs(found - p).sum() / 2 < 0.08
    assert abs(found[p.argmax()] - p.max()) < 0.04


def test_what_is_written_depends_on_the_seed_alone():
    model = character_model("lstm")
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one = write_on(model, START, 30, temperature=1.5, seed=3)
    assert write_on(model, START, 30, temperature=1.5, seed=3) == one
    assert write_on(model, START, 30, temperature=1.5, seed=4) != one
    assert torch.equal(torch.get_rng_state(), before)
    assert write_on(model, START, 0, temperature=1) == START


@pytest.mark.parametrize("temperature", [-0.1, float("nan"), float("inf")])
def test_other_temperatures_are_refused(temperature: float):
    with pytest.raises(RnnvizError, match="temperature"):
        write_on(character_model("lstm"), START, 1, temperature=temperature)
