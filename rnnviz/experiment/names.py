"""What the settings of the pages are called, and how far they go."""

from typing import Literal

MOST_CHARACTERS = 2000
FASTEST = 10  # steps a second

# A line of Python with an indent, a string, and brackets inside and outside of it.
FIRST_TEXT = 'def greet(name):\n    return "hello (" + name + ")"  # say it\n'

CellName = Literal["rnn", "lstm", "gru"]
LanguageName = Literal["en", "ko"]
GateName = Literal[
    "hidden",
    "input_gate",
    "forget_gate",
    "cell_candidate",
    "output_gate",
    "reset_gate",
    "update_gate",
    "hidden_candidate",
]
InitName = Literal["torch_default", "xavier", "orthogonal", "identity", "chrono"]
NonlinearityName = Literal["tanh", "relu", "sigmoid", "identity"]
LossName = Literal["last", "all"]
InputName = Literal["text", "signal"]
EqualName = Literal["hidden", "parameters"]
PartName = Literal["gates", "cells", "memory", "cost", "conventions", "keras", "hold"]
DirectionName = Literal["forward", "backward"]
HoldName = Literal[
    "input_gate",
    "forget_gate",
    "cell_candidate",
    "output_gate",
    "reset_gate",
    "update_gate",
    "hidden_candidate",
    "cell_state",
    "hidden_state",
]
OrderOfGates = Literal["torch", "keras", "onnx"]
