"""Networks run by Keras and ONNX, as independent references for this project's cells."""

import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from rnnviz.cells import Form
from rnnviz.conventions import KERAS, KERAS_RESET_BEFORE, ONNX, pack

# Keras reads both on import; without them it would write to the home folder.
os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ.setdefault("KERAS_HOME", str(Path(tempfile.gettempdir()) / "rnnviz-keras"))

import keras
from keras.src.backend.common import dtypes

Array = NDArray[Any]
Parameters = Mapping[str, Array]  # one layer in one direction, torch's names without suffix

OPERATORS = {"rnn": "RNN", "lstm": "LSTM", "gru": "GRU"}
ACTIVATIONS = {
    "tanh": "Tanh",
    "relu": "Relu",
    "sigmoid": "Sigmoid",
    "identity": "Affine",
    "hard_sigmoid": "HardSigmoid",
    "leaky_relu": "LeakyRelu",
    "thresholded_relu": "ThresholdedRelu",
    "scaled_tanh": "ScaledTanh",
    "affine": "Affine",
    "elu": "Elu",
    "softsign": "Softsign",
    "softplus": "Softplus",
}
STATES = {"rnn": 1, "lstm": 2, "gru": 1}


def in_float64() -> AbstractContextManager[Any]:
    """A context in which Keras computes in float64.

    By this table (keras 3.15.1), its torch backend gives products of two float64 tensors the type
    float32, whatever the layer's dtype and floatx.
    """
    return patch.dict(dtypes.BIT64_TO_BIT32_DTYPE, float64="float64")


def run_keras(
    form: Form,
    directions: Sequence[Parameters],
    x: Array,
    state: Sequence[Array],
    *,
    mask: Array | None = None,
    return_sequences: bool = False,
    return_state: bool = False,
) -> list[Array]:
    """The outputs of a Keras layer, in float64. x: batch first. state: in Keras's layout."""
    layer = keras_layer(
        form, directions, return_sequences=return_sequences, return_state=return_state
    )
    initial = [keras.ops.convert_to_tensor(s) for s in state] or None
    masks = None if mask is None else keras.ops.convert_to_tensor(mask)
    with in_float64():
        found = layer(keras.ops.convert_to_tensor(x), initial_state=initial, mask=masks)
    parts = found if isinstance(found, list | tuple) else [found]
    return [part.detach().cpu().numpy() for part in parts]  # torch's tensors


def keras_layer(
    form: Form,
    directions: Sequence[Parameters],
    *,
    return_sequences: bool = False,
    return_state: bool = False,
) -> Any:
    """The layer with its weights set, of one direction or two."""
    inputs, units = (directions[0][name].shape[1] for name in ("weight_ih", "weight_hh"))
    made: dict[str, Any] = {
        "units": units,
        "dtype": "float64",
        "use_bias": "bias_ih" in directions[0],
        "return_sequences": return_sequences,
        "return_state": return_state,
    }
    if form.cell == "rnn":
        activation = "linear" if form.nonlinearity == "identity" else form.nonlinearity
        layer = keras.layers.SimpleRNN(activation=activation, **made)
    else:
        made["activation"] = form.activation
        made["recurrent_activation"] = form.gate_activation
        if form.cell == "gru":
            layer = keras.layers.GRU(reset_after=form.reset_after, **made)
        else:
            layer = keras.layers.LSTM(**made)
    if len(directions) == 2:
        layer = keras.layers.Bidirectional(layer, dtype="float64")
    layer.build((None, None, inputs))
    layer.set_weights([array for part in directions for array in keras_weights(part, form)])
    return layer


def keras_weights(parameters: Parameters, form: Form) -> list[Array]:
    """The weights in the order of a Keras layer's ``set_weights``."""
    before = form.cell == "gru" and not form.reset_after
    packed = pack(parameters, form, KERAS_RESET_BEFORE if before else KERAS)
    return [packed[name] for name in ("kernel", "recurrent_kernel", "bias") if name in packed]


def run_onnx(
    form: Form,
    directions: Sequence[Parameters],
    x: Array,
    state: Sequence[Array],
    *,
    by: str,
    input_forget: int = 0,
) -> list[Array]:
    """Y, Y_h (and Y_c) of an ONNX node, by its "reference" evaluator or by onnx"runtime".

    x: (time, batch, input); its dtype is the node's. state: each (direction, batch, hidden).
    """
    model, feeds = onnx_model(form, directions, x, state, input_forget=input_forget)
    if by == "reference":
        return [np.asarray(y) for y in ReferenceEvaluator(model).run(None, feeds)]
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return [np.asarray(y) for y in session.run(None, feeds)]


def onnx_model(
    form: Form,
    directions: Sequence[Parameters],
    x: Array,
    state: Sequence[Array],
    *,
    input_forget: int = 0,
) -> tuple[Any, dict[str, Array]]:
    """A model of one node with its weights, and its inputs."""
    operator = OPERATORS[form.cell]
    each = [pack(part, form, ONNX) for part in directions]
    weights = {name: np.concatenate([part[name] for part in each]) for name in each[0]}
    if form.coupled:
        forget = slice(2 * weights["R"].shape[2], 3 * weights["R"].shape[2])
        if input_forget:  # the node must not read this block
            weights["W"][:, forget] = np.nan
    weights = {name: array.astype(x.dtype) for name, array in weights.items()}
    starts = dict(zip(("initial_h", "initial_c"), state, strict=False))
    feeds = {"X": x, **{name: array.astype(x.dtype) for name, array in starts.items()}}
    names = ["X", "W", "R", "B", "", "initial_h", "initial_c", "P"]
    known = {*feeds, *weights}
    inputs = [name if name in known else "" for name in names]
    if form.cell != "lstm":
        inputs = inputs[:6]
    outputs = ["Y", "Y_h", "Y_c"][: 1 + STATES[form.cell]]
    node = helper.make_node(operator, inputs, outputs, **_attributes(form, each, input_forget))
    kind = helper.np_dtype_to_tensor_dtype(x.dtype)
    graph = helper.make_graph(
        [node],
        "one",
        [helper.make_tensor_value_info(name, kind, array.shape) for name, array in feeds.items()],
        [
            helper.make_tensor_value_info(name, kind, [None] * (4 if name == "Y" else 3))
            for name in outputs
        ],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    if kind == TensorProto.FLOAT:
        onnx.checker.check_model(model)
    return model, feeds


def _activations(names: Sequence[str]) -> dict[str, Any]:
    """The attributes of ONNX: one alpha and one beta per activation that has them, in order."""
    found: dict[str, Any] = {"activations": [], "activation_alpha": [], "activation_beta": []}
    for name in names:
        base, _, rest = name.removesuffix(")").partition("(")
        found["activations"].append(ACTIVATIONS[base])
        numbers = [1.0, 0.0] if base == "identity" else [float(n) for n in rest.split(",") if n]
        for key, number in zip(("activation_alpha", "activation_beta"), numbers, strict=False):
            found[key].append(number)
    return {key: values for key, values in found.items() if values}


def _attributes(form: Form, each: Sequence[Parameters], input_forget: int) -> dict[str, Any]:
    found: dict[str, Any] = {
        "hidden_size": each[0]["R"].shape[2],
        "direction": "forward" if len(each) == 1 else "bidirectional",
    }
    used = {
        "rnn": [form.nonlinearity],
        "lstm": [form.gate_activation, form.activation, str(form.output_activation)],
        "gru": [form.gate_activation, form.activation],
    }[form.cell]
    if form.cell == "rnn" or not form.has_kernels:
        found |= _activations(len(each) * used)
    if form.cell == "gru":
        found["linear_before_reset"] = int(form.reset_after)
    if form.cell == "lstm":
        found["input_forget"] = input_forget
    return found
