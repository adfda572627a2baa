"""The shipped character models against plain torch, and the errors of broken files."""

import json
import math
import pickle
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import nn

import rnnviz
from rnnviz.errors import RnnvizError
from rnnviz.experiment.character_model import CharacterModel, load_character_model

ASSETS = Path(__file__).resolve().parent.parent / "assets"
ROWS = {"rnn": 1, "lstm": 4, "gru": 3}
STACKS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
LINE = 'def greet(name):\n    return "hello (" + name + ")"  # 안녕 \x00😀\n'
CELLS = pytest.mark.parametrize("cell", sorted(ROWS))


@cache
@torch.random.fork_rng(devices=[])
def model(cell: str) -> CharacterModel:
    return load_character_model(ASSETS / f"characters_{cell}.safetensors")


@cache
@torch.random.fork_rng(devices=[])
def by_hand(cell: str, dtype: torch.dtype) -> tuple[nn.RNNBase, torch.Tensor, torch.Tensor, str]:
    """The recurrent module, the readout's weight and bias, and the characters: torch alone."""
    path = ASSETS / f"characters_{cell}.safetensors"
    weights = {name: w.to(dtype) for name, w in load_file(path).items()}
    notes = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    module = STACKS[cell](len(notes["vocabulary"]) + 1, notes["hidden_size"]).to(dtype)
    module.load_state_dict(
        {n.removeprefix("recurrent."): w for n, w in weights.items() if n.startswith("recurrent.")}
    )
    return module, weights["readout.weight"], weights["readout.bias"], notes["vocabulary"]


def expected(cell: str, text: str, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """Hidden states (time, unit) and log probabilities (time, code)."""
    module, weight, bias, characters = by_hand(cell, dtype)
    x = torch.zeros(len(text), len(characters) + 1, dtype=dtype)
    for t, character in enumerate(text):
        code = characters.find(character)
        x[t, code if code >= 0 else len(characters)] = 1
    with torch.no_grad():
        h = module(x)[0]
        return h, torch.log_softmax((h @ weight.T + bias).double(), dim=-1)


@CELLS
def test_a_shipped_model_matches_its_metadata(cell: str):
    shipped, path = model(cell), ASSETS / f"characters_{cell}.safetensors"
    notes = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    assert shipped.notes == notes
    assert shipped.cell == notes["cell"] == cell
    hidden, codes = notes["hidden_size"], len(notes["vocabulary"]) + 1
    assert 64 <= hidden <= 128
    assert notes["unknown"] == shipped.vocabulary.unknown == codes - 1
    assert shipped.vocabulary.characters == notes["vocabulary"]
    assert {name: tuple(w.shape) for name, w in load_file(path).items()} == {
        "recurrent.weight_ih_l0": (ROWS[cell] * hidden, codes),
        "recurrent.weight_hh_l0": (ROWS[cell] * hidden, hidden),
        "recurrent.bias_ih_l0": (ROWS[cell] * hidden,),
        "recurrent.bias_hh_l0": (ROWS[cell] * hidden,),
        "readout.weight": (codes, hidden),
        "readout.bias": (codes,),
    }
    assert path.stat().st_size < 1_000_000
    assert type(shipped.recurrent) is STACKS[cell]
    assert not shipped.recurrent.training
    assert not any(p.requires_grad for p in shipped.recurrent.parameters())
    assert not any(p.requires_grad for p in shipped.readout.parameters())
    assert all(bool(w.isfinite().all()) for w in load_file(path).values())


def test_the_shipped_models_share_their_settings():
    sizes = {model(cell).notes["hidden_size"] for cell in ROWS}
    characters = {model(cell).vocabulary.characters for cell in ROWS}
    assert (len(sizes), len(characters)) == (1, 1)


@CELLS
@settings(max_examples=20)
@given(text=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30))
def test_a_reading_is_the_modules_own_output(cell: str, text: str):
    trace = model(cell).read(text)
    h = expected(cell, text, torch.float32)[0].numpy()
    max_diff = np.abs(trace["hidden_state"].values[0, 0, :, 0] - h).max()
    assert max_diff < 1e-6, f"h: {max_diff=:.1e}"
    assert trace["input"].values.sum() == len(text)


@CELLS
def test_the_probabilities_are_those_of_torch(cell: str):
    shipped = model(cell)
    probabilities = shipped.next_character(shipped.read(LINE))
    logs = expected(cell, LINE, torch.float32)[1]
    assert probabilities.shape == (len(LINE), len(shipped.vocabulary))
    assert probabilities.dtype == np.float64
    assert np.abs(probabilities.sum(1) - 1).max() < 1e-12
    assert (probabilities > 0).all()
    max_diff = np.abs(probabilities - logs.exp().numpy()).max()
    assert max_diff < 1e-6, f"{max_diff=:.1e}"


@CELLS
def test_in_float64_states_and_probabilities_are_those_of_torch(cell: str):
    single = model(cell)
    shipped = CharacterModel(
        cell,
        single.vocabulary,
        by_hand(cell, torch.float64)[0],
        nn.Linear(single.readout.in_features, single.readout.out_features).double(),
        single.notes,
    )
    shipped.readout.load_state_dict(single.readout.state_dict())
    x = shipped.vocabulary.one_hot(LINE, torch.float64)
    trace = rnnviz.trace(shipped.recurrent, x)
    h, logs = expected(cell, LINE, torch.float64)
    max_diff = np.abs(trace["hidden_state"].values[0, 0, :, 0] - h.numpy()).max()
    assert max_diff < 1e-12, f"h: {max_diff=:.1e}"
    max_diff = np.abs(shipped.next_character(trace) - logs.exp().numpy()).max()
    assert max_diff < 1e-12, f"{max_diff=:.1e}"


@CELLS
@pytest.mark.parametrize(
    ("before", "then", "least"),
    [("\nimpor", "t", 0.9), ("def __init__(sel", "f", 0.9), ("\n    retur", "n", 0.9)],
)
def test_a_shipped_model_knows_python(cell: str, before: str, then: str, least: float):
    shipped = model(cell)
    probabilities = shipped.next_character(shipped.read(before))[-1]
    assert shipped.vocabulary.character(int(probabilities.argmax())) == then
    assert probabilities.max() > least


@CELLS
def test_a_shipped_model_beats_bigrams_on_unseen_source(cell: str):
    """On a file of this project, which is not training data, against the metadata's 2-gram."""
    text = (Path(__file__).parent / "data" / "unseen_source.txt").read_text(encoding="utf-8")
    shipped = model(cell)
    probabilities = shipped.next_character(shipped.read(text))
    codes = shipped.vocabulary.encode(text).numpy()
    bits = -np.log2(probabilities[np.arange(len(text) - 1), codes[1:]]).mean()
    logs = expected(cell, text, torch.float32)[1].numpy()
    wanted = -logs[np.arange(len(text) - 1), codes[1:]].mean() / math.log(2)
    assert abs(bits - wanted) < 1e-4
    assert bits < shipped.notes["baseline_bits_per_character"]["2"]


def test_an_empty_text_raises():
    with pytest.raises(RnnvizError) as caught:
        model("lstm").read("")
    assert str(caught.value) == (
        "The text is empty; expected at least one character. Enter some text."
    )


# Broken files

SMALL = {
    "recurrent.weight_ih_l0": (8, 3),
    "recurrent.weight_hh_l0": (8, 2),
    "recurrent.bias_ih_l0": (8,),
    "recurrent.bias_hh_l0": (8,),
    "readout.weight": (3, 2),
    "readout.bias": (3,),
}
NOTES = {"cell": "lstm", "hidden_size": 2, "vocabulary": "ab"}


def written(folder: Path, notes: Any = NOTES, **shapes: tuple[int, ...] | None) -> Path:
    """Writes a small model; shapes by the last part of a name, None leaves one out."""
    path = folder / "m.safetensors"
    wanted = {name: shapes.get(name.partition(".")[2], shape) for name, shape in SMALL.items()}
    save_file({name: torch.zeros(shape) for name, shape in wanted.items() if shape}, path)
    path.with_suffix(".json").write_text(json.dumps(notes), encoding="utf-8")
    return path


def error_of(path: Path) -> str:
    with pytest.raises(RnnvizError) as caught:
        load_character_model(path)
    assert caught.value.message("ko") != str(caught.value)
    assert str(path.parent) not in str(caught.value)  # pages show it: no paths of the server
    return str(caught.value)


def sentence(why: str) -> str:
    return (
        f'The character model "m.safetensors" cannot be read: {why}. Expected a weights file '
        "and a .json file that belong together. Make the files again with make models."
    )


def test_a_small_model_loads(tmp_path: Path):
    small = load_character_model(written(tmp_path))
    assert small.next_character(small.read("ab한")).tolist() == [[1 / 3] * 3] * 3


@pytest.mark.parametrize("missing", [".safetensors", ".json"])
def test_a_missing_file_raises(tmp_path: Path, missing: str):
    path = written(tmp_path)
    path.with_suffix(missing).unlink()
    assert error_of(path) == f'There is no file "m{missing}". Check its name and folder.'


def test_weights_that_contradict_the_metadata_raise(tmp_path: Path):
    path = written(tmp_path, weight_hh_l0=(6, 2))
    message = error_of(path)
    assert message.startswith('The character model "m.safetensors" cannot be read: ')
    assert "size mismatch for weight_hh_l0" in message
    assert "torch.Size([6, 2])" in message
    assert "torch.Size([8, 2])" in message


def test_missing_weights_raise(tmp_path: Path):
    message = error_of(written(tmp_path, bias_ih_l0=None))
    assert 'Missing key(s) in state_dict: "bias_ih_l0"' in message


def test_a_readout_of_the_wrong_size_raises(tmp_path: Path):
    message = error_of(written(tmp_path, weight=(4, 2)))
    assert "size mismatch for weight" in message


@pytest.mark.parametrize("kept", [0, 7, 100, -4])
def test_a_truncated_file_raises(tmp_path: Path, kept: int):
    path = written(tmp_path)
    path.write_bytes(path.read_bytes()[:kept])
    assert error_of(path).startswith('The character model "m.safetensors" cannot be read: ')


def test_a_pickle_is_not_executed(tmp_path: Path):
    ran = tmp_path / "ran"

    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (ran,)

    path = written(tmp_path)
    path.write_bytes(pickle.dumps(Trap()))
    assert error_of(path).startswith('The character model "m.safetensors" cannot be read: ')
    torch.save({"a": torch.zeros(1)}, path)
    assert error_of(path).startswith('The character model "m.safetensors" cannot be read: ')
    assert not ran.exists()


@pytest.mark.parametrize(
    ("notes", "why"),
    [
        ({"cell": "lstm", "vocabulary": "ab"}, "'hidden_size'"),
        ({**NOTES, "cell": "qrnn"}, "'qrnn'"),
        ({**NOTES, "hidden_size": "many"}, "invalid literal for int() with base 10: 'many'"),
        (
            {**NOTES, "vocabulary": "aa"},
            'Got the vocabulary "aa"; expected at least one character, and each only once. Leave '
            "repeated characters out.",
        ),
    ],
)
def test_incomplete_metadata_raises(tmp_path: Path, notes: dict[str, Any], why: str):
    assert error_of(written(tmp_path, notes)) == sentence(why)


@pytest.mark.parametrize("notes", [["lstm"], None, "lstm", 3, {**NOTES, "hidden_size": None}])
def test_metadata_of_another_type_raises(tmp_path: Path, notes: Any):
    message = error_of(written(tmp_path, notes))
    assert message.startswith('The character model "m.safetensors" cannot be read: ')


@pytest.mark.parametrize("size", [0, -2])
def test_an_invalid_size_in_the_metadata_raises(tmp_path: Path, size: int):
    message = error_of(written(tmp_path, {**NOTES, "hidden_size": size}))
    assert message.startswith('The character model "m.safetensors" cannot be read: ')


def test_metadata_that_is_not_json_raises(tmp_path: Path):
    path = written(tmp_path)
    path.with_suffix(".json").write_text("{", encoding="utf-8")
    why = "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"
    assert error_of(path) == sentence(why)
    path.with_suffix(".json").write_bytes(b"\xff\xfe")
    assert error_of(path).startswith('The character model "m.safetensors" cannot be read: ')


def test_metadata_of_another_model_raises(tmp_path: Path):
    path = tmp_path / "m.safetensors"
    shutil.copy(ASSETS / "characters_lstm.safetensors", path)
    shutil.copy(ASSETS / "characters_gru.json", tmp_path / "m.json")
    assert "size mismatch for weight_ih_l0" in error_of(path)
