"""Random damage to honest trace files: ``python -m tests.fuzz_trace_files SEED EXAMPLES FOLDER``.

Prints how often each outcome came. Flipped bytes give the same trace or a RnnvizError. A changed
field, also in a file whose checksum fits, gives a RnnvizError or a trace that can be used.
"""

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

import rnnviz
from tests import forging

KINDS = ("lstm", "gru", "projection", "peephole", "held")
FLIPS = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1, max_size=4
)


def flip_bytes(path: Path, content: bytes, flips: list[tuple[float, int]]) -> None:
    damaged = bytearray(content)
    for place, change in flips:
        damaged[int(place * len(damaged))] ^= change
    path.write_bytes(damaged)


def change_field(forged: forging.Forged, data: Any) -> None:
    """One array or attribute replaced by another of a random kind."""
    if data.draw(st.booleans()):
        name = data.draw(st.sampled_from(sorted(forged.arrays)))
        values = forged.arrays[name]
        shape = data.draw(st.lists(st.integers(0, 9), max_size=5).map(tuple))
        fill = data.draw(st.sampled_from([0.0, 1.0, -1e308, np.nan, np.inf, 7]))
        dtype = data.draw(st.sampled_from(["f8", "f4", "i8", "f2", "u1", ">f8", values.dtype.str]))
        change = data.draw(st.sampled_from(["new", "cut", "cast", "turned", "filled", "gone"]))
        with np.errstate(all="ignore"):
            made = {
                "new": lambda: np.full(shape, fill).astype(dtype),
                "cut": lambda: values[..., : values.shape[-1] // 2].copy(),
                "cast": lambda: values.astype(dtype),
                "turned": lambda: np.ascontiguousarray(values.T),
                "filled": lambda: (
                    np.full_like(values, fill) if values.dtype.kind == "f" else values
                ),
            }
            if change == "gone":
                del forged.arrays[name]
            else:
                forged.arrays[name] = made[change]()
    else:
        name = data.draw(st.sampled_from([*sorted(forged.attributes), "another"]))
        value = st.one_of(st.integers(-3, 3), st.floats(), st.text("abc,_", max_size=9))
        forged.attributes[name] = data.draw(value)


def main(number: int, examples: int, folder: Path) -> None:
    """Prints the outcomes of so many examples of each sort, from this seed."""
    found: Counter[str] = Counter()
    kept = settings(
        max_examples=examples,
        database=None,
        deadline=None,
        suppress_health_check=(HealthCheck.too_slow, HealthCheck.filter_too_much),
        derandomize=False,
    )
    honest: dict[tuple[str, str], bytes] = {}
    for kind in KINDS:
        for ending in (".nc", ".npz"):
            path = folder / f"honest{ending}"
            forging.honest(kind).save(path)
            honest[kind, ending] = path.read_bytes()

    @seed(number)
    @kept
    @given(st.sampled_from(KINDS), st.sampled_from((".nc", ".npz")), FLIPS)
    def flipped(kind: str, ending: str, flips: list[tuple[float, int]]) -> None:
        path = folder / f"flipped{ending}"
        flip_bytes(path, honest[kind, ending], flips)
        try:
            loaded = rnnviz.load_trace(path)
        except rnnviz.RnnvizError as error:
            found[f"flipped{ending}: {error.key}"] += 1
            return
        assert loaded == forging.honest(kind), path
        found[f"flipped{ending}: equal"] += 1

    @seed(number)
    @kept
    @given(st.sampled_from(KINDS), st.booleans(), st.data())
    def changed(kind: str, signed: bool, data: Any) -> None:
        forged, path = forging.opened(kind, signed=signed), folder / "changed.npz"
        change_field(forged, data)
        forged.write(path)
        try:
            forging.use(path)
        except rnnviz.RnnvizError as error:
            found[f"changed: {error.key}"] += 1
            return
        found["changed: used"] += 1

    flipped()
    changed()
    for name, count in sorted(found.items()):
        print(name, count)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
