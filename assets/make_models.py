"""Train the character models that rnnviz ships, on the source of Python's standard library.

    python assets/make_models.py [--out assets] [--cells lstm gru rnn] [--updates N] [--seed 0]

Stock torch.nn.RNN (tanh), LSTM and GRU read one-hot characters and predict the next one. They are
compared on held-out files with Witten-Bell n-grams counted on the same training files.
"""

import argparse
import hashlib
import json
import math
import platform
import sysconfig
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor, nn
from tqdm import trange

from rnnviz.atomic_file import write_bytes

VOCABULARY = "\n" + "".join(map(chr, range(32, 127)))
INDEX = {character: index for index, character in enumerate(VOCABULARY)}
UNKNOWN = len(VOCABULARY)
SYMBOLS = UNKNOWN + 1
HIDDEN_SIZE = 128
ORDERS = 5  # of the n-grams
FORGET_BIAS = 1.0  # of the LSTM before training, sum of torch's two biases
CELLS = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}

LEFT_OUT_FOLDERS = {"site-packages", "test", "tests", "idle_test", "__pycache__", "pydoc_data"}
TABLES = ("_sysconfigdata*.py", "config-*/*.py", "html/entities.py")
LARGEST_FILE = 200_000  # bytes; larger files are generated or would dominate the data

Text = NDArray[np.uint8]  # (time,) indices into the vocabulary
State = Tensor | tuple[Tensor, Tensor]  # h, or (h, c): (layer, batch, unit)


@dataclass(frozen=True)
class Settings:
    """How every model is trained; segment is in time steps, reset_probability per segment."""

    seed: int = 0
    updates: int = 8000
    batch: int = 64
    segment: int = 100
    learning_rate: float = 8e-3
    clip: float = 1.0
    reset_probability: float = 0.05


def encode(text: str) -> Text:
    """Indices of the characters, (time,); characters outside VOCABULARY become UNKNOWN."""
    return np.array([INDEX.get(character, UNKNOWN) for character in text], dtype=np.uint8)


def read_library(root: Path) -> dict[str, Text]:
    """Encoded sources below root by relative path, sorted; without tests, tables, empty files."""
    texts = {}
    for path in root.rglob("*.py"):
        relative = path.relative_to(root)
        left_out = not LEFT_OUT_FOLDERS.isdisjoint(relative.parts)
        if left_out or path.stat().st_size > LARGEST_FILE or any(map(relative.match, TABLES)):
            continue
        source = path.read_text(encoding="utf-8", errors="replace").expandtabs()
        if source and "decoding_table = (" not in source:  # a generated codec of encodings/
            texts[relative.as_posix()] = encode(source)
    return dict(sorted(texts.items()))


def split_texts(texts: dict[str, Text]) -> dict[str, list[Text]]:
    """The texts of "train" and "held_out"; about 5 % are held out, by a hash of the path."""
    parts: dict[str, list[Text]] = {"train": [], "held_out": []}
    for path, text in texts.items():
        is_held_out = hashlib.sha256(path.encode()).digest()[0] < 13  # of 256
        parts["held_out" if is_held_out else "train"].append(text)
    return parts


class NgramCounts(NamedTuple):
    """Counts of n-grams of every order; an n-gram has one byte per symbol, oldest first."""

    seen: Counter[bytes]  # c(h, w), by h followed by w
    total: Counter[bytes]  # c(h)
    kinds: Counter[bytes]  # T(h), the number of different symbols that follow h


def count_ngrams(texts: Sequence[Text]) -> NgramCounts:
    """Counts of the orders 1 to 5; no n-gram spans two texts."""
    counts = NgramCounts(Counter(), Counter(), Counter())
    for symbols in map(bytes, texts):
        for order in range(1, ORDERS + 1):
            starts = range(len(symbols) - order + 1)
            counts.seen.update(symbols[start : start + order] for start in starts)
    for gram, seen in counts.seen.items():
        counts.total[gram[:-1]] += seen
        counts.kinds[gram[:-1]] += 1
    return counts


def witten_bell(counts: NgramCounts, symbols: bytes, t: int) -> list[float]:
    """Probabilities of symbols[t] given the symbols before it, for the orders 1 to 5.

        P_n(w | h) = (c(h, w) + T(h) P_{n-1}(w | h')) / (c(h) + T(h)),  P_0 = 1 / 97

    h' is h without its oldest symbol. For an unseen h, or one that starts before the text, P_n is
    P_{n-1}. Witten and Bell (1991), method C, interpolated.
    """
    probability, probabilities = 1 / SYMBOLS, []
    for length in range(ORDERS):
        h = symbols[max(0, t - length) : t]
        if len(h) == length and h in counts.total:
            seen = counts.seen[symbols[t - length : t + 1]]
            kinds = counts.kinds[h]
            probability = (seen + kinds * probability) / (counts.total[h] + kinds)
        probabilities.append(probability)
    return probabilities


def baseline_bits(texts: dict[str, list[Text]]) -> dict[str, float]:
    """Bits per held-out character of the n-grams, by order; first characters are not scored."""
    counts = count_ngrams(texts["train"])
    held_out = [bytes(text) for text in texts["held_out"]]
    scores = [witten_bell(counts, text, t) for text in held_out for t in range(1, len(text))]
    bits = -np.log2(scores).mean(axis=0)
    return {str(order): round(float(bits[order - 1]), 4) for order in range(1, ORDERS + 1)}


class CharacterModel(nn.Module):
    """Next-character logits from one stock recurrent layer and a linear readout."""

    def __init__(self, cell: str, settings: Settings) -> None:
        super().__init__()
        torch.manual_seed(settings.seed)
        self.recurrent = CELLS[cell](SYMBOLS, HIDDEN_SIZE)
        self.readout = nn.Linear(HIDDEN_SIZE, SYMBOLS)
        if cell == "lstm":  # torch's gates i, f, g, o
            nn.init.constant_(self.recurrent.bias_ih_l0.chunk(4)[1], FORGET_BIAS)
            nn.init.zeros_(self.recurrent.bias_hh_l0.chunk(4)[1])

    def forward(self, indices: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Logits, (time, batch, 97), and the last state; indices: (time, batch)."""
        output, last_state = self.recurrent(nn.functional.one_hot(indices, SYMBOLS).float(), state)
        return self.readout(output), last_state


def carry_state(state: State, keep: Tensor) -> State:
    """The detached state, set to zero where keep, (batch, 1), is 0."""
    if isinstance(state, tuple):
        return state[0].detach() * keep, state[1].detach() * keep
    return state.detach() * keep


def train_model(training: Sequence[Text], cell: str, settings: Settings) -> CharacterModel:
    """The model, trained by truncated backpropagation through time on the joined texts.

    Each stream of the batch reads consecutive segments from its own starting point. Its state is
    carried over, also into the next text; at each segment a random few are reset to zero.
    """
    model = CharacterModel(cell, settings)
    text = torch.from_numpy(np.concatenate(training)).long()
    places = torch.arange(settings.batch) * len(text) // settings.batch
    places = places + torch.arange(settings.segment + 1)[:, None]  # (time, batch)
    generator = torch.Generator().manual_seed(settings.seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=settings.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.updates)
    state = None
    for update in (progress := trange(settings.updates, desc=cell, mininterval=10)):
        indices = text[(places + update * settings.segment) % len(text)]
        logits, state = model(indices[:-1], state)
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), indices[1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), settings.clip)
        optimizer.step()
        schedule.step()
        keep = torch.rand(settings.batch, 1, generator=generator) >= settings.reset_probability
        state = carry_state(state, keep)
        progress.set_postfix(bits=f"{loss.item() / math.log(2):.3f}", refresh=False)
    return model


@torch.no_grad()
def model_bits(model: CharacterModel, texts: Sequence[Text]) -> float:
    """Bits per character after the first, teacher-forced; each text starts from the zero state."""
    nats = []
    for text in (torch.from_numpy(symbols).long() for symbols in texts):
        logits, _ = model(text[:-1, None])
        nats.append(nn.functional.cross_entropy(logits[:, 0], text[1:], reduction="none"))
    return torch.cat(nats).double().mean().item() / math.log(2)


def describe_run(cell: str, settings: Settings, texts: dict[str, list[Text]]) -> dict[str, object]:
    """The metadata needed to use and reproduce the weights; nothing about the machine."""
    return {
        "cell": cell,
        "hidden_size": HIDDEN_SIZE,
        "num_layers": 1,
        "vocabulary": VOCABULARY,
        "unknown": UNKNOWN,
        "python": platform.python_version(),
        "torch": torch.__version__.split("+")[0],
        "files": {part: len(files) for part, files in texts.items()},
        "characters": {part: sum(map(len, files)) for part, files in texts.items()},
        **asdict(settings),
        **({"initial_forget_bias": FORGET_BIAS} if cell == "lstm" else {}),
    }


def main() -> None:
    """Trains the requested cells and prints held-out bits per character of all models."""
    parser = argparse.ArgumentParser(description="Train the character models of rnnviz.")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--cells", nargs="+", choices=list(CELLS), default=list(CELLS))
    parser.add_argument("--updates", type=int, default=Settings.updates)
    parser.add_argument("--seed", type=int, default=Settings.seed)
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # the matrices are too small for more
    settings = Settings(seed=arguments.seed, updates=arguments.updates)
    texts = split_texts(read_library(Path(sysconfig.get_path("stdlib"))))
    baseline = baseline_bits(texts)
    arguments.out.mkdir(parents=True, exist_ok=True)
    for cell in arguments.cells:
        began = time.monotonic()
        model = train_model(texts["train"], cell, settings)
        facts = describe_run(cell, settings, texts)
        facts["bits_per_character"] = round(model_bits(model, texts["held_out"]), 4)
        facts["baseline_bits_per_character"] = baseline
        facts["minutes"] = round((time.monotonic() - began) / 60, 1)
        stem = arguments.out / f"characters_{cell}"
        weights, notes = save(model.state_dict()), json.dumps(facts, indent=2) + "\n"
        write_bytes(stem.with_suffix(".safetensors"), weights)
        write_bytes(stem.with_suffix(".json"), notes.encode())
    print("model   bits per character  minutes")
    for path in sorted(arguments.out.glob("characters_*.json")):
        facts = json.loads(path.read_text())
        print(f"{facts['cell']:<7} {facts['bits_per_character']:18.3f} {facts['minutes']:8.1f}")
    for order, bits in baseline.items():
        print(f"{order}-gram  {bits:18.3f}")


if __name__ == "__main__":
    main()
