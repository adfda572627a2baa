"""The terms that the pages explain: symbol, shape, where each changes; and their marks in texts.

The names and the explanations are in the catalogs, under ``glossary.<term>.names`` and ``.says``.
"""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from html import escape
from typing import NamedTuple

from rnnviz.locale import LANGUAGES, labels

# Around a marked term in a text without HTML: the term, then what the text calls it.
START, MIDDLE, END = "\ue000", "\ue001", "\ue002"


class Term(NamedTuple):
    """symbol: "" for none. shape: the end of its text's key. page, query: where it changes."""

    symbol: str
    shape: str
    page: str
    query: Mapping[str, str] = {}


TERMS: Mapping[str, Term] = {
    "unit": Term("k", "index", "step", {"order": "variance"}),
    "time_step": Term("t", "step_index", "step", {"t": "1"}),
    "hidden_state": Term("hₜ", "vectors", "step"),
    "cell_state": Term("cₜ", "vectors", "step"),
    "gate": Term("fₜ, iₜ, oₜ; rₜ, zₜ", "unit_step", "step"),
    "forget_gate": Term("fₜ = σ(W_f xₜ + U_f hₜ₋₁ + b_f)", "unit_step", "step"),
    "input_gate": Term(
        "iₜ = σ(W_i xₜ + U_i hₜ₋₁ + b_i)", "unit_step", "step", {"gate": "input_gate"}
    ),
    "output_gate": Term(
        "oₜ = σ(W_o xₜ + U_o hₜ₋₁ + b_o)", "unit_step", "step", {"gate": "output_gate"}
    ),
    "reset_gate": Term(
        "rₜ = σ(W_r xₜ + U_r hₜ₋₁ + b_r)",
        "unit_step",
        "step",
        {"cell": "gru", "gate": "reset_gate"},
    ),
    "update_gate": Term(
        "zₜ = σ(W_z xₜ + U_z hₜ₋₁ + b_z)",
        "unit_step",
        "step",
        {"cell": "gru", "gate": "update_gate"},
    ),
    "candidate": Term("gₜ (LSTM), nₜ (GRU)", "unit_step", "step", {"gate": "cell_candidate"}),
    "preactivation": Term("a = W xₜ + U hₜ₋₁ + b", "unit_step", "step", {"all_terms": "true"}),
    "weight": Term("W, U", "weights", "gradients", {"hidden": "8"}),
    "bias": Term("b", "biases", "step", {"all_terms": "true"}),
    "activation": Term("σ, tanh", "function", "gradients", {"cell": "rnn", "nonlinearity": "relu"}),
    "tanh": Term("tanh(a)", "function", "gradients", {"cell": "rnn"}),
    "sigmoid": Term(
        "σ(a) = 1 / (1 + e⁻ᵃ)", "function", "gradients", {"cell": "rnn", "nonlinearity": "sigmoid"}
    ),
    "relu": Term("max(0, a)", "function", "gradients", {"cell": "rnn", "nonlinearity": "relu"}),
    "gradient": Term("∂L/∂hₜ, ∂L/∂U", "as_value", "gradients"),
    "vanishing": Term("", "", "gradients", {"init": "torch_default"}),
    "exploding": Term("", "", "gradients", {"init": "orthogonal", "gain": "2"}),
    "gradient_norm": Term("‖∂L/∂hₜ‖₂", "step", "gradients"),
    "backpropagation": Term("∂L/∂hₜ₋₁ = Jₜᵀ ∂L/∂hₜ", "vectors", "gradients", {"loss": "all"}),
    "loss": Term("L", "number", "gradients", {"loss": "all"}),
    "spectral_radius": Term(
        "ρ(U) = max |λ|", "number", "gradients", {"cell": "rnn", "spectral_radius": "1.2"}
    ),
    "singular_value": Term("σ₁ ≥ σ₂ ≥ …", "units_of_gate", "gradients", {"cell": "rnn"}),
    "eigenvalue": Term("U v = λ v", "units_of_gate", "gradients", {"cell": "rnn"}),
    "jacobian": Term("Jₜ = ∂sₜ/∂sₜ₋₁", "states", "gradients", {"init": "orthogonal"}),
    "lyapunov_exponent": Term("λ₁ ≥ λ₂ ≥ …", "exponents", "gradients", {"init": "orthogonal"}),
    "saturation": Term("", "", "gradients", {"input_scale": "5"}),
    "surprisal": Term("−log₂ p", "step", "step"),
    "ngram": Term("", "", "step"),
    "correlation": Term("r", "unit", "step", {"order": "bracket_depth"}),
    "gain": Term("g", "number", "gradients"),
    "forget_bias": Term("b_f", "biases", "gradients", {"forget_bias": "1"}),
    "orthogonal": Term("UᵀU = I", "square", "gradients", {"init": "orthogonal"}),
    "clipping": Term("g · min(1, θ / ‖g‖)", "as_value", "gradients", {"clip": "1"}),
}


class Part(NamedTuple):
    """A part of a text, and the term that it names; "" for none."""

    text: str
    term: str


def split_terms(text: str, language: str, *, without: Iterable[str] = ()) -> list[Part]:
    """A text in parts: the first name of each term in it, and what lies between.

    without: terms that are not marked.

    >>> split_terms("A gate per unit: no gate is open.", "en", without=["unit"])
    ... # doctest: +NORMALIZE_WHITESPACE
    [Part(text='A ', term=''), Part(text='gate', term='gate'),
     Part(text=' per unit: no gate is open.', term='')]
    """
    parts, seen, last = [], set(without), 0
    for start, end, term in _names_in(text, language):
        if term not in seen:
            seen.add(term)
            parts += [Part(text[last:start], ""), Part(text[start:end], term)]
            last = end
    return [part for part in [*parts, Part(text[last:], "")] if part.text]


class TermMarks:
    """Marks terms in the texts of one card: the first name of each is a button.

    >>> marks = TermMarks("en")
    >>> print(marks.html("A gate < 1"))
    A <button type="button" class="rnnviz-term" data-term="gate">gate</button> &lt; 1
    >>> print(marks.html("No gate."))
    No gate.
    """

    def __init__(self, language: str, named: Iterable[str] = ()) -> None:
        self.language, self.named = language, frozenset(named)

    def html(self, text: str) -> str:
        """The HTML of a text."""
        parts = split_terms(text, self.language, without=self.named)
        self.named |= {part.term for part in parts if part.term}
        return "".join(map(_html_of, parts))


def text_with_terms(text: str, language: str) -> str:
    """A text whose terms have marks that ``story.js`` turns into buttons.

    >>> text_with_terms("No gate", "en") == f"No {START}gate{MIDDLE}gate{END}"
    True
    """
    parts = split_terms(text, language)
    return "".join(f"{START}{t}{MIDDLE}{text}{END}" if t else text for text, t in parts)


def _html_of(part: Part) -> str:
    text = escape(part.text)
    if not part.term:
        return text
    return f'<button type="button" class="rnnviz-term" data-term="{part.term}">{text}</button>'


@lru_cache(maxsize=1000)
def _names_in(text: str, language: str) -> tuple[tuple[int, int, str], ...]:
    """Start, end and term of every name in a text; "" for a name of no term."""
    pattern, terms = _names(language)
    return tuple((*found.span(), _term_of(found[0], terms)) for found in pattern.finditer(text))


def _term_of(name: str, terms: Mapping[str, str]) -> str:
    """The term that a text names, also by a plural or with a capital."""
    small = _small(name)
    forms = (name, small, small.removesuffix("s"), small.removesuffix("es"))
    return next(terms[form] for form in forms if form in terms)


def _small(name: str) -> str:
    return name[:1].lower() + name[1:]


@lru_cache(maxsize=len(LANGUAGES))
def _names(language: str) -> tuple[re.Pattern[str], Mapping[str, str]]:
    """A pattern of all names, longer ones first, and the terms by name; "" for a name of no term.

    Names are whole words, also as a plural or with a capital; Korean ones with any particle. A name
    that ends in " =" is the symbol before that sign. What is the same for many names is written
    once, before and after the names, which makes the search ten times as fast.
    """
    words = labels(language)
    terms = dict.fromkeys(words["glossary.not_terms"].split("|"), "")
    terms |= {name: term for term in TERMS for name in words[f"glossary.{term}.names"].split("|")}
    names = sorted(terms, key=len, reverse=True)
    symbols = [name for name in names if name.endswith(" =")]
    korean = [name for name in names if re.search("[가-힣]", name)]
    others = [name for name in names if name not in {*symbols, *korean}]
    groups = [
        rf"(?<![\w{{-])(?:{_any(map(_with_capital, others))})(?:s|es)?(?![A-Za-z\d-])",
        rf"(?<![가-힣A-Za-z])(?:{_any(map(re.escape, korean))})",
        rf"(?<![\w{{-])(?:{_any(re.escape(name.removesuffix(' =')) for name in symbols)})(?= =)",
    ]
    kinds = zip(groups, (others, korean, symbols), strict=True)
    pattern = "|".join(group for group, own in kinds if own)
    by_name = {_small(name): terms[name] for name in others}
    by_name |= {name.removesuffix(" ="): terms[name] for name in [*korean, *symbols]}
    return re.compile(pattern), by_name


def _any(patterns: Iterable[str]) -> str:
    return "|".join(patterns)


def _with_capital(name: str) -> str:
    first = f"[{name[0].upper()}{name[0].lower()}]" if name[0].isalpha() else re.escape(name[0])
    return first + re.escape(name[1:])
