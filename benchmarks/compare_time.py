"""Time of the comparison page's script with cold caches, for the shipped models on a text.

Streamlit's AppTest runs the page, which produces everything a browser would receive; the caches
are cleared before each run. bare: forward and backward of the same modules without any recording,
on one thread, which is faster at this size.
"""

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
from torch import nn

from rnnviz.experiment import FIRST_TEXT

ROOT = Path(__file__).resolve().parent.parent
LENGTHS, REPEATS = (60, 200, 1000), 7


def measure(run: Callable[[], object]) -> float:
    """Median milliseconds."""
    taken: list[float] = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        run()
        taken.append(time.perf_counter() - start)
    return 1000 * median(taken)


def page_ms(text: str) -> float:
    """Milliseconds of the page's script on a text, with cleared caches and after all imports."""
    import streamlit as st
    from streamlit.testing.v1 import AppTest

    page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    page.query_params["text"] = text
    page.switch_page("pages/compare.py")
    page.run()

    def run() -> None:
        st.cache_resource.clear()
        st.cache_data.clear()
        page.run()
        assert not page.exception

    return measure(run)


def bare_ms(text: str) -> float:
    """Milliseconds of forward and backward of the three modules."""
    from rnnviz.ui.cache import character_model

    models = [character_model(cell) for cell in ("lstm", "gru", "rnn")]

    def pass_all() -> None:
        for model in models:
            x = model.vocabulary.one_hot(text).requires_grad_()
            module: nn.Module = model.recurrent
            torch.autograd.grad(module(x)[0].sum(), x)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return measure(pass_all)
    finally:
        torch.set_num_threads(threads)


def main() -> None:
    """Prints the table."""
    print("The comparison page's script with cold caches (ms; medians)\n")
    print("| T | bare | page | page / bare |")
    print("|---|---|---|---|")
    for length in LENGTHS:
        text = (FIRST_TEXT * (length // len(FIRST_TEXT) + 1))[:length]
        bare, page = bare_ms(text), page_ms(text)
        print(f"| {length:,} | {bare:.1f} | {page:.0f} | {page / bare:.0f} |", flush=True)


if __name__ == "__main__":
    main()
