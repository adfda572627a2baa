"""What is no recurrent module, no dense float input or no cell is refused by name."""

from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import rnnviz
from rnnviz.cells import Form, GRUCell, make_cell
from rnnviz.counting import Size
from tests.frameworks import keras, onnxruntime

X = torch.ones(5, 2, 3)
LSTM = "torch.nn.modules.rnn.LSTM"


def refusal(act: Any) -> str:
    with pytest.raises(rnnviz.RnnvizError) as caught:
        act()
    assert "{" not in caught.value.message("ko")
    return str(caught.value)


def refused_module(module: Any) -> str:
    return refusal(lambda: rnnviz.trace(module, X))


def test_a_path_a_class_and_weights_are_told_from_modules():
    load = (
        'Got the path "{}"; expected a recurrent module. Load the file with torch.load, make a '
        "module of the same sizes, and pass it after module.load_state_dict."
    )
    for path in ("model.pt", "runs/best", Path("model")):
        assert refused_module(path) == load.format(path)
    assert refused_module(nn.LSTM) == (
        f"Got the class {LSTM}; expected an instance of it. Create one with its sizes, for "
        f"example with {LSTM}(input_size, hidden_size)."
    )
    weights = nn.LSTM(3, 4).state_dict()
    names = "weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0"
    for given, kind in ((weights, "collections.OrderedDict"), (dict(weights), "dict")):
        assert refused_module(given) == (
            f"Got a {kind} with the keys {names}; expected a recurrent module. If these are its "
            "weights, make a module of the same sizes, call module.load_state_dict with them, and "
            "pass the module."
        )
    many = OrderedDict((str(n), 0) for n in range(20))
    assert "0, 1, 2, 3, 4, 5, 6, 7, …; expected" in refused_module(many)


def test_modules_of_other_frameworks_are_named_in_full():
    converts = (
        "Got a {}, which is not a recurrent module of PyTorch. Make a torch.nn module or a cell of "
        "rnnviz.cells of the same sizes and load its weights: rnnviz.conventions.unpack converts "
        "them from the layout of Keras or ONNX."
    )
    layer = keras.layers.GRU(4)
    assert refused_module(layer) == converts.format("keras.src.layers.rnn.gru.GRU")
    session = object.__new__(onnxruntime.InferenceSession)
    kind = "onnxruntime.capi.onnxruntime_inference_collection.InferenceSession"
    assert refused_module(session) == converts.format(kind)


def scripted() -> nn.Module:
    with pytest.warns(DeprecationWarning, match=r"torch\.jit\.script"):
        return torch.jit.script(nn.LSTM(3, 4))  # pyright: ignore[reportReturnType]  # a module


def test_scripted_and_quantised_modules_are_named():
    assert refused_module(scripted()) == (
        "Got a TorchScript module (torch.jit._script.RecursiveScriptModule) made from LSTM, whose "
        "forward pass cannot be followed. Pass the module that it was made from, or a torch.nn "
        "module of the same sizes after module.load_state_dict(scripted.state_dict())."
    )
    quantised = type("LSTM", (nn.Module,), {"__module__": "torch.ao.nn.quantized.dynamic"})()
    assert refused_module(quantised) == (
        "Got a quantised module (torch.ao.nn.quantized.dynamic.LSTM), which computes with integer "
        "weights. Pass the floating-point module that it was made from."
    )


def test_all_recurrent_modules_inside_are_named():
    inside = nn.ModuleDict({"text": nn.LSTM(3, 4), "own": rnnviz.Recurrent.of(nn.GRU(3, 4))})
    model = nn.Sequential(nn.Linear(3, 3), inside, nn.GRUCell(3, 4))
    assert refused_module(model) == (
        "Got a module of type torch.nn.modules.container.Sequential, which is not recurrent itself "
        'but contains several recurrent modules: "1.text", "1.own", "2". Pass one of them, for '
        'example module.get_submodule("1.text"), and the inputs that it receives.'
    )
    for wrapper in (nn.DataParallel(nn.LSTM(3, 4)), torch.nn.Sequential(nn.LSTM(3, 4))):
        (name,) = dict(wrapper.named_children())
        assert f'Pass module.get_submodule("{name}") and' in refused_module(wrapper)


def mixed(name: str, change: Any) -> nn.Module:
    module = nn.RNN(3, 4)
    setattr(module, name, nn.Parameter(change(module.get_parameter(name).detach())))
    return module


def test_weights_of_several_types_devices_or_layouts_are_refused():
    assert refused_module(mixed("weight_hh_l0", Tensor.double)) == (
        "weight_hh_l0 has dtype float64 and weight_ih_l0 has float32; expected one dtype for all "
        "weights. Convert the module, for example with module.float()."
    )
    assert refused_module(mixed("bias_ih_l0", lambda w: w.to("meta"))) == (
        "bias_ih_l0 is on the device meta and weight_ih_l0 on cpu; expected all weights on one "
        "device. Move the module, for example with module.cpu()."
    )
    sparse = mixed("weight_hh_l0", Tensor.to_sparse)
    assert refused_module(sparse) == (
        "weight_hh_l0 has the layout sparse_coo; expected a dense tensor. Convert it with "
        "to_dense()."
    )
    eighth = nn.RNN(3, 4).to(torch.float8_e4m3fn)
    assert refused_module(eighth).startswith("The weights have dtype float8_e4m3fn; expected")


# Inputs


def refused_inputs(inputs: Any, state: Any = None) -> str:
    return refusal(lambda: rnnviz.trace(nn.GRU(3, 4), inputs, state))


def test_token_codes_need_an_embedding():
    text = (
        "inputs has dtype {}; the module computes in float32. If they are codes of tokens or "
        "characters, pass them through the embedding, or one_hot of rnnviz.inputs.Vocabulary, and "
        "pass the result; else convert inputs to float32."
    )
    assert refused_inputs(torch.tensor([1, 5, 2])) == text.format("int64")
    assert refused_inputs(torch.ones(4, 2).int()) == text.format("int32")
    assert refused_inputs([[1, 5, 2]]) == text.format("int64")
    assert refused_inputs(np.ones((4, 2), np.uint8)) == text.format("uint8")
    state = torch.ones(1, 2, 4).long()
    assert refused_inputs(X, state) == (
        "h_0 has dtype int64; the module computes in float32. Convert h_0 to float32."
    )


def test_sparse_and_nested_tensors_are_refused():
    sparse = "{} has the layout {}; expected a dense tensor. Convert it with to_dense()."
    for layout, inputs in (
        ("sparse_coo", X.to_sparse()),
        ("sparse_coo", [x.to_sparse() for x in X]),
        ("_mkldnn", X.to_mkldnn()),
    ):
        assert refused_inputs(inputs) == sparse.format("inputs", layout)
    assert refused_inputs(X, torch.ones(1, 2, 4).to_sparse()) == sparse.format("h_0", "sparse_coo")
    assert refused_inputs(torch.nested.nested_tensor([X[:3, 0], X[:, 1]], layout=torch.jagged)) == (
        "inputs is a nested tensor; expected one tensor with padding. Use "
        "torch.nested.to_padded_tensor(inputs, 0.0) and pass the numbers of time steps as lengths."
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_lists_of_tensors_are_taken_also_with_gradients(dtype: torch.dtype):
    torch.manual_seed(0)
    x = torch.randn(5, 2, 3).to(dtype)
    module = nn.LSTM(3, 4).to(dtype)
    expected = rnnviz.trace(module, x)
    rows = [row.clone().requires_grad_() for row in x]
    for inputs in (
        rows,
        tuple(rows),
        [list(row) for row in rows],
        [list(map(list, r)) for r in rows],
    ):
        assert rnnviz.trace(module, inputs) == expected
    ragged = [rows[0], rows[1][:1]]
    text = refusal(lambda: rnnviz.trace(module, ragged))
    assert text.startswith("inputs has rows of different lengths;")


# Cells, forms and sizes


def test_recurrent_names_what_is_no_list_of_cells():
    text = (
        "Recurrent got {} in place of a list of cells or of a cell; expected one list per layer "
        "with one cell (forward) or two (forward, backward) of rnnviz.cells. Pass cells such as "
        "[[GRUCell(3, 4)], [GRUCell(4, 4)]]."
    )
    own, stock = "rnnviz.cells.GRUCell", "torch.nn.modules.rnn.GRUCell"
    given: list[tuple[Any, str]] = [
        ([GRUCell], own),
        ([[GRUCell]], own),
        ([GRUCell(3, 4)], own),
        (GRUCell(3, 4), own),
        ([[nn.GRUCell(3, 4)]], stock),
        ([[GRUCell(3, 4), None]], "NoneType"),
        ("gru", "str"),
    ]
    for cells, came in given:
        assert refusal(lambda cells=cells: rnnviz.Recurrent(cells)) == text.format(came)


def test_an_unknown_form_is_refused_wherever_one_is_taken():
    text = (
        "The form of the cell is {}; expected rnnviz.cells.Form with a cell from rnn, lstm, gru. "
        'Pass for example Form("lstm").'
    )
    for form in ("lstm", Form("foo"), None):
        for act in (
            lambda form=form: make_cell(form, 2, 3),  # pyright: ignore[reportArgumentType]  # the error under test
            lambda form=form: Size(form, 2, 3),  # pyright: ignore[reportArgumentType]  # the error under test
            lambda form=form: rnnviz.fit_hidden(form, 3, 1000),  # pyright: ignore[reportArgumentType]  # the error under test
        ):
            assert refusal(act) == text.format(repr(form))


def test_a_module_without_values_is_counted():
    assert rnnviz.count_parameters(nn.LSTM(3, 16, device="meta")) == 1344
    cells = [[GRUCell(3, 4).to("meta")], [GRUCell(4, 4).to("meta")]]
    expected = sum(p.numel() for p in rnnviz.Recurrent(cells).parameters())
    assert rnnviz.count_parameters(rnnviz.Recurrent(cells)) == expected
