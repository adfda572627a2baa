"""The gains at which an RNN's gradient begins to last and to explode, and the page's sentences."""

import re
from typing import Any

import numpy as np
import pytest

from rnnviz.engine.kernels import backward
from rnnviz.experiment import Edit, GradientsPage, NetworkSettings, build_network, make_inputs
from rnnviz.experiment.gain import GainMarks, gain_marks
from rnnviz.gradients import diagnose
from rnnviz.locale import labels
from rnnviz.trace import trace_equations
from rnnviz.ui.gradients import story


def plain(html: str) -> str:
    """The text without the marks of terms."""
    return re.sub("<.*?>", "", html)


def verdict(settings: NetworkSettings, gain: float) -> str:
    module = build_network(settings.model_copy(update={"gain": gain}), "rnn")
    return diagnose(trace_equations(module, make_inputs(settings), loss=settings.loss)).verdict


@pytest.mark.parametrize("steps", [40, 100, 300])
def test_the_marks_of_a_linear_rnn_are_those_of_its_closed_form(steps: int):
    # orthogonal U times the gain g: each step back multiplies the norm by g exactly, and two
    # decades over the whole sequence, fitted over half of it, are the limits
    settings = NetworkSettings(init="orthogonal", nonlinearity="identity", length=steps)
    marks = gain_marks(settings)
    assert marks.lasts is not None
    assert marks.explodes is not None
    change = 2 / (steps - 1)  # decades per step
    assert marks.lasts == pytest.approx(10**-change, abs=0.0101)
    assert marks.explodes == pytest.approx(10**change, abs=0.0101)
    assert marks.lasts > 10**-change
    assert marks.explodes > 10**change


@pytest.mark.parametrize(
    "settings",
    [
        NetworkSettings(init="orthogonal"),
        NetworkSettings(init="orthogonal", seed=5, hidden=9, signal="impulse"),
        NetworkSettings(init="identity", nonlinearity="relu", length=300),
        NetworkSettings(init="orthogonal", spectral_radius=0.9, loss="all", length=60),
    ],
)
def test_a_mark_is_the_first_gain_of_its_verdict(settings: NetworkSettings):
    marks = gain_marks(settings)
    for gain, name in ((marks.lasts, "healthy"), (marks.explodes, "exploding")):
        assert gain is not None
        assert verdict(settings, gain) == name
        assert gain == 0 or verdict(settings, round(gain - 0.01, 2)) != name


def test_a_gradient_that_always_vanishes_has_no_marks():
    assert gain_marks(NetworkSettings(nonlinearity="sigmoid")) == GainMarks(None, None)


def test_the_first_view_passes_all_three_verdicts_within_the_slider():
    settings = GradientsPage.first().network()
    marks = gain_marks(settings)
    assert marks.lasts is not None
    assert marks.explodes is not None
    assert 1 < marks.lasts < marks.explodes < 3
    assert verdict(settings, 1.0) == "vanishing"
    for cell in ("lstm", "gru"):
        for gain in (1.0, 1.5, 2.0, 3.0):
            network = settings.model_copy(update={"gain": gain})
            trace = trace_equations(
                build_network(network, cell), make_inputs(network), loss=network.loss
            )
            assert diagnose(trace).verdict == "healthy", (cell, gain)


@pytest.mark.parametrize("gain", [0.0, 0.5, 1.0, 1.4, 3.0])
def test_the_sentence_has_the_networks_own_numbers(gain: float):
    settings = GradientsPage.first().model_copy(update={"gain": gain})
    text = plain(story.write_story(settings, labels("en"), compute=True))
    word = {"vanishing": "vanishes", "healthy": "lasts", "exploding": "explodes"}
    assert f"gradient {word[verdict(settings.network(), gain)]}." in text
    marks = gain_marks(settings.network())
    assert f"lasts from {marks.lasts:.2f} and explodes from {marks.explodes:.2f}" in text
    if gain == 0:  # nothing comes back
        assert "by about 0." in text
        assert "it is 0 times its size" in text


def test_what_is_left_is_the_closed_form_of_a_linear_rnn():
    settings = GradientsPage(init="identity", nonlinearity="identity", gain=0.5, length=11)
    text = plain(story.write_story(settings, labels("en"), compute=True))
    # 0.5^10 = 9.8e-4
    assert "multiplies it by U, by about 0.5. At step 1 it is 9.8\u00a0×\u00a010⁻⁴" in text


def test_marks_depend_on_the_rnn_alone():
    settings = GradientsPage.first().model_copy(update={"hidden": 8})
    words = labels("en")
    marks = story.marks_on_gain(settings, words)
    for update in (
        {"gain": 2.0},
        {"forget_bias": -1.0},
        {"clip": 1.0},
        {"edit": (Edit("lstm", "forget_gate", 0, 0, 4.0),)},
    ):
        assert story.marks_on_gain(settings.model_copy(update=update), words) == marks
    assert "lasts" in marks.names.values()
    edited = settings.model_copy(update={"edit": (Edit("rnn", "hidden", 0, 0, 4.0),)})
    assert story.marks_on_gain(edited, words) != marks


def test_large_networks_have_sentences_without_marks():
    settings = GradientsPage.first().model_copy(update={"length": 2000, "hidden": 128})
    text = plain(story.write_story(settings, labels("en"), compute=True))
    assert "gradient" in text
    assert "Drag" not in text
    assert story.marks_on_gain(settings, labels("en")).names == {}


def own_python(kernel: Any) -> Any:
    """A kernel as Python runs it."""
    return kernel.py_func


def test_a_gradient_that_leaves_the_range_is_rescaled_without_compiled_code():
    # as on a machine where compilation is turned off: the kernels run as Python on NumPy's integers
    row = np.array([3.0, -0.5])
    own_python(backward._shift)(row, np.int64(-2))
    assert row.tolist() == [0.75, -0.125]
    d_h, none = np.array([2.0**-300]), np.array([])
    scale, factor = own_python(backward._align)(
        d_h, none, np.int64(0), np.array([0.0]), np.int64(0), np.int64(0)
    )
    assert (d_h[0] * 2.0**scale if scale > -1000 else 0) == 2.0**-300
    assert factor == 2.0**-scale
