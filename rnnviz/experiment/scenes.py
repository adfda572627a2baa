"""Where to start from: settings that show one thing each."""

from collections.abc import Mapping

from rnnviz.experiment.edits import Edit
from rnnviz.experiment.settings import NetworkSettings as Of

# By the name of their texts in the catalogs; in the order in which they tell the story.
SCENES: Mapping[str, Of] = {
    "torch_default": Of(),
    "sigmoid": Of(cell="rnn", nonlinearity="sigmoid"),
    "exploding": Of(cell="rnn", nonlinearity="relu", init="identity", gain=1.1, length=2000),
    "orthogonal": Of(cell="rnn", nonlinearity="identity", init="orthogonal", length=500),
    "irnn": Of(cell="rnn", nonlinearity="relu", init="identity", signal="impulse", length=500),
    "non_normal": Of(
        cell="rnn",
        nonlinearity="identity",
        hidden=2,
        init="identity",
        gain=0.9,
        edit=(Edit("rnn", "hidden", 0, 1, 5.0),),
    ),
    "forget_minus": Of(forget_bias=-1.0),
    "forget_zero": Of(forget_bias=0.0),
    "forget_one": Of(forget_bias=1.0),
    "forget_three": Of(forget_bias=3.0),
    "chrono": Of(init="chrono", length=1000),
    "claim": Of(claim=True, length=2000),
}
