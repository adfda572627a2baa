"""Starting points of the gradients page: settings that show one effect each."""

from collections.abc import Mapping

from rnnviz.experiment.edits import Edit
from rnnviz.experiment.settings import GradientsPage as Scene

# By the name of their texts in the catalogs, in the order of the story that they tell.
SCENES: Mapping[str, Scene] = {
    "gain": Scene(init="orthogonal", forget_bias=3.0),
    "torch_default": Scene(),
    "sigmoid": Scene(cell="rnn", nonlinearity="sigmoid"),
    "exploding": Scene(cell="rnn", nonlinearity="relu", init="identity", gain=1.1, length=2000),
    "orthogonal": Scene(cell="rnn", nonlinearity="identity", init="orthogonal", length=500),
    "irnn": Scene(cell="rnn", nonlinearity="relu", init="identity", signal="impulse", length=500),
    "non_normal": Scene(
        cell="rnn",
        nonlinearity="identity",
        hidden=2,
        init="identity",
        gain=0.9,
        edit=(Edit("rnn", "hidden", 0, 1, 5.0),),
    ),
    "forget_minus": Scene(forget_bias=-1.0),
    "forget_zero": Scene(forget_bias=0.0),
    "forget_one": Scene(forget_bias=1.0),
    "forget_three": Scene(forget_bias=3.0),
    "chrono": Scene(init="chrono", length=1000),
    "claim": Scene(claim=True, length=2000),
}
