"""What the gradients page shows, in two sentences, and the marks on its gain slider."""

import math

from rnnviz.experiment import GradientsPage, NetworkSettings, limits_of
from rnnviz.experiment.gain import GainMarks
from rnnviz.glossary import TermMarks
from rnnviz.locale import Labels
from rnnviz.ui.cache import Measured, marks_of_gain, measured
from rnnviz.ui.cards import write_power
from rnnviz.ui.components.live_text import show_words
from rnnviz.ui.components.slider import Marks

MEASURED = ("vanishing", "healthy", "exploding")  # verdicts with a rate of decay
DIGITS = 2


def show_story(settings: GradientsPage, words: Labels) -> None:
    """Draws the sentences, which follow every change."""
    show_words(write_story(settings, words, compute=True), key="story_words")


def write_story(settings: GradientsPage, words: Labels, *, compute: bool = False) -> str:
    """The sentences as HTML. compute: whether to compute what is not cached, not while dragging."""
    network = settings.network()
    found = measured(network)
    verdict = found["rnn"].verdict.verdict
    if verdict in MEASURED:
        first, rest = words[f"story.rnn_{verdict}"], _why(network, found, words)
    else:
        first, rest = words["story.rnn_unmeasured"], words[f"verdict.{verdict}_says"]
    sentences = [rest, _gain(marks_of_gain(network, compute=compute), words)]
    marks = TermMarks(words.language)
    lead, text = marks.html(first), marks.html(" ".join(filter(None, sentences)))
    return f"<p class='rnnviz-story rnnviz-long'><b>{lead}</b> {text}</p>"


def _why(settings: NetworkSettings, found: dict[str, Measured], words: Labels) -> str:
    """By what each step multiplies the RNN's gradient, and what is left of each network's."""
    shares = {cell: _share(part) for cell, part in found.items()}
    if settings.loss == "all":
        return words("story.shares", steps=settings.length, **shares)
    factor = write_power(-found["rnn"].verdict.decay)
    slope = words[f"nonlinearity.{settings.nonlinearity}"]
    key = "story.linear" if settings.nonlinearity == "identity" else "story.why"
    text = words(key, factor=factor, nonlinearity=slope)
    return text + " " + words("story.shares", steps=settings.length, **shares)


def _share(found: Measured) -> str:
    """The gradient's norm at the first step, relative to the last."""
    norms = found.norms[found.verdict.state].values.ravel()
    ratio = float(norms[0] - norms[-1])
    return "NaN" if math.isnan(ratio) else write_power(ratio, DIGITS)


def _gain(marks: GainMarks | None, words: Labels) -> str:
    """From which gain on the RNN's gradient lasts and explodes."""
    if marks is None:
        return ""
    most = limits_of(NetworkSettings, "gain")[1]
    if marks.lasts and marks.explodes:
        return words("story.gain_both", lasts=marks.lasts, explodes=marks.explodes)
    if marks.explodes:
        return words("story.gain_explodes", explodes=marks.explodes)
    if marks.lasts:
        return words("story.gain_lasts", lasts=marks.lasts, most=most)
    return words("story.gain_never", most=most) if marks.lasts is None else ""


def marks_on_gain(settings: GradientsPage, words: Labels) -> Marks:
    """Where on the gain slider the RNN's gradient begins to last and to explode."""
    marks = marks_of_gain(settings.network())
    found = marks._asdict() if marks else {}
    names = {value: words[f"story.mark_{name}"] for name, value in found.items() if value}
    return Marks(names, follow=("forget_bias", "clip"))


LIVE_TEXTS = {"story_words": write_story}
