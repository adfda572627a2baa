"""The named choices that settings offer."""

from typing import Literal

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
TemperatureName = Literal["0", "0.5", "1", "1.5"]
OrderOfGates = Literal["torch", "keras", "onnx"]
