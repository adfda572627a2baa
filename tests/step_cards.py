"""What the cards of a step must show, by the library's own functions, and what a page shows."""

import re
from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Page

from rnnviz.experiment.character_model import CharacterModel
from rnnviz.explain.equations import equations
from rnnviz.explain.terms import gate_terms
from rnnviz.inputs.vocabulary import picture
from rnnviz.instrument.formulas import html_of
from rnnviz.locale import labels
from rnnviz.trace import Trace
from rnnviz.ui.cache import character_model

MOST_TERMS, GUESSES = 6, 6
# Everything that the cards of the current step show.
SHOWN = """() => {
    const text = (e) => e.textContent.trim().replace(/\\s+/g, " ");
    const texts = (selector) => Array.from(document.querySelectorAll(selector), text);
    const bars = (card) => Array.from(
        document.querySelectorAll(`${card} .bar-row:not(.empty)`),
        (row) => [row.querySelector("bdi"), row.querySelector("b"), row.querySelector(".bar-text")]
            .map((e) => e.textContent));
    return {
        equations: Array.from(document.querySelectorAll(".equation"), (row) =>
            Array.from(row.children, text)),
        equationsOf: texts(".equations > .rnnviz-heading")[0],
        question: texts(".terms > .rnnviz-heading")[0],
        terms: bars(".terms"),
        termNotes: texts(".terms > .rnnviz-note, .terms .roomy > :last-child"),
        guesses: bars(".predictions"),
        guessNote: texts(".predictions .roomy > :last-child")[0],
    };
}"""


def text_of(html: str) -> str:
    """The visible text of HTML, with single spaces."""
    return " ".join(re.sub(r"<[^>]*>", "", html).split())


def signed(value: float) -> str:
    text = f"{value:+.2f}".replace("-", "−")
    return "0.00" if text[1:] == "0.00" else text


def equation_rows(trace: Trace, unit: int, t: int, language: str = "en") -> list[list[str]]:
    """Label, symbol, rule and numbers of each equation."""
    words = labels(language)
    found: list[list[str]] = []
    for name, line in equations(trace, unit, t - 1).items():
        symbol, rule, numbers, value = (text_of(html_of(latex)) for latex in line)
        found.append([words[f"gate.{name}"], symbol, f"= {rule}", f"= {numbers} = {value}"])
    return found


def term_rows(trace: Trace, gate: str, unit: int, t: int, text: str, language: str) -> list[Any]:
    """Label, mark and value of each term with a bar."""
    words, terms = labels(language), gate_terms(trace, gate, unit, t - 1)
    order = sorted(np.flatnonzero(terms.by_unit), key=lambda k: -abs(terms.by_unit[k]))
    shown = order[:MOST_TERMS]
    others = np.delete(terms.by_unit, shown)
    rows = [(words("plot.reads", what=picture(text[t - 1])), float(terms.by_input.sum()))]
    rows += [(words("plot.h_of_unit", unit=k), float(terms.by_unit[k])) for k in shown]
    rows += [(words("plot.other_units", n=len(others)), float(others.sum()))]
    rows += [(words["plot.bias"], terms.bias)]
    return [[label, "", signed(value)] for label, value in rows]


@cache
def read(cell: str, text: str) -> tuple[CharacterModel, Trace, NDArray[np.float64]]:
    """A shipped model, its trace of a text, and P(next character) at each step."""
    model = character_model(cell)
    trace = model.read(text)
    return model, trace, model.next_character(trace)


def guess_rows(cell: str, text: str, t: int, language: str) -> tuple[list[Any], str]:
    """Character, mark and probability of each guess; the sentence above them."""
    model, _, every = read(cell, text)
    words, chances = labels(language), every[t - 1]
    order = list(np.argsort(-chances, kind="stable")[:GUESSES])
    actual = int(model.vocabulary.encode(text[t])[0]) if t < len(text) else None
    sentence = words["card.end_of_text"]
    if actual is not None:
        if actual not in order:
            order[-1] = actual
        rank = 1 + int((chances > chances[actual]).sum())
        bits = -float(np.log2(chances[actual]))
        sentence = words("card.surprise", rank=rank, bits=bits)
    names = [model.vocabulary.character(int(code)) for code in order]
    rows = [
        [
            words["plot.unknown"] if name is None else picture(name),
            words["plot.came"] if code == actual else "",
            f"{chances[code]:.1%}",
        ]
        for code, name in zip(order, names, strict=True)
    ]
    return rows, f"{words('strip.step', t=t, character=picture(text[t - 1]))}. {sentence}"


def assert_step_shown(
    shown: dict[str, Any],
    cell: str,
    text: str,
    t: int,
    *,
    unit: int,
    gate: str,
    language: str = "en",
) -> None:
    """Asserts that every card shows step t of the text, number by number."""
    (_, trace, _), words = read(cell, text), labels(language)
    assert shown["equations"] == equation_rows(trace, unit, t, language)
    what = {"cell": cell.upper(), "unit": unit, "t": t}
    assert shown["equationsOf"] == words("instrument.equations", **what)
    assert shown["question"] == words[f"question.{gate}"]
    assert shown["terms"] == term_rows(trace, gate, unit, t, text, language)
    terms = gate_terms(trace, gate, unit, t - 1)
    total = re.sub(r":[^{}]*\}", "}", words["card.total"])
    assert shown["termNotes"] == [
        words("instrument.row_heading", unit=unit, t=t),
        total.format(a=signed(terms.preactivation), value=signed(terms.value)),
    ]
    rows, sentence = guess_rows(cell, text, t, language)
    assert (shown["guesses"], shown["guessNote"]) == (rows, " ".join(sentence.split()))


def equation_text(page: Page) -> str:
    """The formulas and numbers of the equations, without spaces."""
    parts: Iterable[str] = page.locator(
        ".equation :is(.symbol, .rule, .numbers)"
    ).all_text_contents()
    return re.sub(r"\s", "", "".join(parts)).replace("−", "-")
