"""The script that made the shipped models, and the shipped models themselves."""

import importlib.util
import json
import math
import sys
import sysconfig
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

ASSETS = Path(__file__).parents[1] / "assets"
CELLS = {"lstm": (torch.nn.LSTM, 4), "gru": (torch.nn.GRU, 3), "rnn": (torch.nn.RNN, 1)}
TINY = [b"abcabdabcabe" * 20, b"for unit in units:\n    print(unit)\n" * 20]

specification = importlib.util.spec_from_file_location("make_models", ASSETS / "make_models.py")
assert specification is not None
assert specification.loader is not None
make_models = importlib.util.module_from_spec(specification)
sys.modules["make_models"] = make_models  # dataclasses look up their module
specification.loader.exec_module(make_models)


@pytest.fixture(scope="module")
def library():
    """The texts of this Python's standard library, in two parts."""
    root = Path(sysconfig.get_path("stdlib"))
    return make_models.split_texts(make_models.read_library(root))


@pytest.fixture(autouse=True)
def one_thread():
    """One thread, as in training; restores the number of threads afterwards."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def tiny_texts() -> list[np.ndarray]:
    return [make_models.encode(text.decode()) for text in TINY]


def distribution(counts, context: bytes) -> np.ndarray:
    """Probabilities of all symbols after the context, (order, symbol)."""
    return np.array(
        [
            make_models.witten_bell(counts, context + bytes([symbol]), len(context))
            for symbol in range(make_models.SYMBOLS)
        ]
    ).T


def test_vocabulary_is_newline_printable_ascii_and_unknown():
    characters = make_models.VOCABULARY
    assert make_models.SYMBOLS == 97
    assert make_models.UNKNOWN == len(characters) == 96
    assert list(characters) == sorted({"\n", *(chr(c) for c in range(128) if chr(c).isprintable())})
    indices = make_models.encode(characters)
    assert indices.tolist() == list(range(96))
    assert "".join(characters[index] for index in indices) == characters
    assert make_models.encode("a\t\r\f\x7fé→b").tolist() == [66, 96, 96, 96, 96, 96, 96, 67]


def test_read_library_leaves_out_tests_tables_and_empty_files(tmp_path):
    files = {
        "b.py": b"x = 1\r\n\ty\n",
        "a/c.py": "é".encode(),
        "a/broken.py": b"\xff",
        "a/empty.py": b"",
        "a/large.py": b"x" * 200_001,
        "a/test/t.py": b"t",
        "site-packages/s.py": b"s",
        "html/entities.py": b"e",
        "encodings/cp037.py": b"decoding_table = (\n)",
        "encodings/ascii.py": b"k",
        "_sysconfigdata__linux_.py": b"s",
        "note.txt": b"n",
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    texts = make_models.read_library(tmp_path)
    assert list(texts) == ["a/broken.py", "a/c.py", "b.py", "encodings/ascii.py"]
    assert texts["a/c.py"].tolist() == texts["a/broken.py"].tolist() == [96]
    assert texts["b.py"].tolist() == make_models.encode("x = 1\n        y\n").tolist()


def test_held_out_files_depend_on_their_path_alone():
    paths = [f"package/module_{number}.py" for number in range(2000)]
    texts = {path: np.array([number]) for number, path in enumerate(paths)}
    parts = make_models.split_texts(texts)
    train, held_out = ({int(text[0]) for text in parts[part]} for part in ("train", "held_out"))
    assert not train & held_out
    assert train | held_out == set(range(2000))
    assert 0.04 < len(held_out) / 2000 < 0.06
    fewer = make_models.split_texts({path: texts[path] for path in reversed(paths[:100])})
    assert {int(text[0]) for text in fewer["held_out"]} == {n for n in held_out if n < 100}


def test_witten_bell_agrees_with_hand_computation():
    # The text is a b a b a c. After a: b twice, c once, so c(a) = 3 and T(a) = 2.
    a, b, c = make_models.encode("abc").tolist()
    counts = make_models.count_ngrams([make_models.encode("ababac")])
    unigram_b = (2 + 3 / 97) / (6 + 3)
    unigram_c = (1 + 3 / 97) / (6 + 3)
    bigram_c = (1 + 2 * unigram_c) / (3 + 2)
    trigram_c = (1 + 2 * bigram_c) / (2 + 2)  # after b a: b once, c once
    assert make_models.witten_bell(counts, bytes([b]), 0) == pytest.approx([unigram_b] * 5)
    assert make_models.witten_bell(counts, bytes([a, c]), 1) == pytest.approx(
        [unigram_c] + [bigram_c] * 4
    )
    assert make_models.witten_bell(counts, bytes([96, b, a, c]), 3) == pytest.approx(
        [unigram_c, bigram_c] + [trigram_c] * 3
    )


def test_witten_bell_sums_to_one_after_seen_and_unseen_contexts():
    counts = make_models.count_ngrams(tiny_texts())
    for text in ("", "a", "ab", "abca", "unit", "zzzz", "zzab", "\n   ", "→→→→"):
        total = distribution(counts, bytes(make_models.encode(text))).sum(axis=1)
        max_diff = np.abs(total - 1).max()
        assert max_diff < 1e-12, f"{text!r}: {max_diff=:.1e}"


def test_longer_ngrams_have_fewer_bits_on_repeated_text():
    bits = make_models.baseline_bits({"train": tiny_texts(), "held_out": tiny_texts()})
    assert list(bits) == ["1", "2", "3", "4", "5"]
    assert list(bits.values()) == sorted(bits.values(), reverse=True)
    assert 0 < bits["5"] < 0.5 < 3 < bits["1"] < math.log2(97)


@pytest.mark.slow
@pytest.mark.parametrize("cell", CELLS)
def test_training_lowers_the_loss_and_is_reproducible(cell):
    settings = make_models.Settings(updates=3, batch=4, segment=20, reset_probability=0.5)
    first = make_models.train_model(tiny_texts(), cell, settings)
    again = make_models.train_model(tiny_texts(), cell, settings)
    for name, weight in first.state_dict().items():
        assert torch.equal(weight, again.state_dict()[name]), name
    untrained = make_models.model_bits(make_models.CharacterModel(cell, settings), tiny_texts())
    assert untrained == pytest.approx(math.log2(97), abs=0.1)
    assert make_models.model_bits(first, tiny_texts()) < untrained - 0.3


def test_forget_bias_of_the_untrained_lstm_is_one():
    recurrent = make_models.CharacterModel("lstm", make_models.Settings()).recurrent
    forget_bias = (recurrent.bias_ih_l0 + recurrent.bias_hh_l0).chunk(4)[1]
    assert forget_bias.tolist() == [1.0] * 128


def test_reset_streams_start_from_zero_and_others_continue():
    h, c = torch.rand(1, 3, 5, requires_grad=True), torch.rand(1, 3, 5)
    keep = torch.tensor([[True], [False], [True]])
    for state in make_models.carry_state((h, c), keep), (make_models.carry_state(h, keep),):
        assert not state[0].requires_grad
        assert state[0][0, 1].tolist() == [0.0] * 5
        assert torch.equal(state[0][0, [0, 2]], h.detach()[0, [0, 2]])


@pytest.mark.slow
@pytest.mark.parametrize("cell", CELLS)
def test_shipped_model_has_its_published_bits_on_held_out_source(cell, library):
    stem = ASSETS / f"characters_{cell}"
    facts = json.loads(stem.with_suffix(".json").read_text())
    weights = load_file(stem.with_suffix(".safetensors"))
    recurrent_class, gates = CELLS[cell]
    assert facts["cell"] == cell
    assert facts["vocabulary"] == make_models.VOCABULARY
    assert stem.with_suffix(".safetensors").stat().st_size < 1_000_000
    assert {name: tuple(weight.shape) for name, weight in weights.items()} == {
        "recurrent.weight_ih_l0": (gates * 128, 97),
        "recurrent.weight_hh_l0": (gates * 128, 128),
        "recurrent.bias_ih_l0": (gates * 128,),
        "recurrent.bias_hh_l0": (gates * 128,),
        "readout.weight": (97, 128),
        "readout.bias": (97,),
    }
    assert {weight.dtype for weight in weights.values()} == {torch.float32}
    model = torch.nn.ModuleDict(
        {"recurrent": recurrent_class(97, 128), "readout": torch.nn.Linear(128, 97)}
    )
    model.load_state_dict(weights)

    text = np.concatenate(library["held_out"])[:20_000]
    symbols = torch.from_numpy(text).long()
    with torch.no_grad():
        hidden, _ = model["recurrent"](torch.eye(97)[symbols[:-1]])
        logits = model["readout"](hidden)
        nats = torch.nn.functional.cross_entropy(logits, symbols[1:]).item()
    bits = nats / math.log(2)
    frequencies = np.array(list(Counter(text.tolist()).values())) / len(text)
    best_unigram = float(-(frequencies * np.log2(frequencies)).sum())
    baseline = facts["baseline_bits_per_character"]
    assert facts["bits_per_character"] < min(2.0 if cell != "rnn" else 2.3, baseline["3"])
    # The held-out text depends on Python's version, so these are compared with a margin.
    assert bits < baseline["1"] - 1.5 < math.log2(97)
    assert bits < best_unigram - 1.5
    assert bits == pytest.approx(facts["bits_per_character"], abs=0.5)
