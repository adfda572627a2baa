"""A card with one cell in the conventions of frameworks and papers, and how results change."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Any

import numpy as np
import streamlit as st
import torch
from numpy.typing import NDArray

from rnnviz.cells import Form, make_cell
from rnnviz.conventions import (
    KERAS,
    KERAS_RESET_BEFORE,
    ONNX,
    PROJECT,
    TORCH,
    Convention,
    Difference,
    difference,
    lay_out,
    moves,
    pack,
    run_packed,
    write_formulas,
)
from rnnviz.explain.equations import LETTERS
from rnnviz.locale import Labels
from rnnviz.locale.numbers import write_number
from rnnviz.plots.drawing import Drawing
from rnnviz.plots.packed_weights import plot_packed_weights
from rnnviz.ui.cards import apply_styles, heading, note, show_figure
from rnnviz.ui.compare.cost import STYLES
from rnnviz.ui.theme import is_dark

INPUTS, HIDDEN, STEPS, SEED = 3, 4, 50, 0
CELLS = ("lstm", "gru", "rnn")
ORDERS = {"torch": TORCH, "keras": KERAS, "onnx": ONNX}
SWITCHES = ("flip_update", "reset_before", "one_bias")
TITLES = {"torch": "PyTorch", "keras": "Keras", "onnx": "ONNX"}

Array = NDArray[Any]


@dataclass(frozen=True)
class Choice:
    """The state of the switches; those for a GRU are off for other cells."""

    cell: str
    order: str
    flip_update: bool
    reset_before: bool
    one_bias: bool

    @property
    def switches(self) -> tuple[str, ...]:
        """The names of the switches that are on."""
        return tuple(name for name in SWITCHES if getattr(self, name))

    @property
    def form(self) -> Form:
        """The cell, with the reset gate where the switch puts it."""
        return Form(self.cell, reset_after=not self.reset_before)

    @property
    def convention(self) -> Convention:
        """The convention of the chosen framework for this form."""
        if self.order == "keras" and self.reset_before:
            return KERAS_RESET_BEFORE
        return PROJECT if self.order == "torch" else ORDERS[self.order]


def show_conventions(words: Labels, *, cells: Sequence[str] = CELLS) -> None:
    """Draws the switches, their equations, the packed weights, and the effect on the outputs."""
    apply_styles(STYLES)
    with st.container(key="card_conventions"):
        heading(words["card.conventions"])
        choice = _input_choice(words, cells)
        with st.container(key="cards_conventions"):  # a single column on a tablet
            left, right = st.columns([0.44, 0.56], gap="medium")
        with left:
            _show_formulas(choice)
            st.html(_effects(choice, words))
        with right:
            show_figure("packed_weights", _figure(choice, words), words)
            note(" ".join(_array_notes(choice, words)))
        note(words["packed.note"])


def _input_choice(words: Labels, cells: Sequence[str]) -> Choice:
    first, second = st.columns(2)
    with first:
        st.segmented_control(
            words["control.convention_cell"],
            list(cells),
            format_func=str.upper,
            key="convention_cell",
            required=True,
        )
    with second:
        st.segmented_control(
            words["control.convention_order"],
            list(TITLES),
            format_func=TITLES.__getitem__,
            key="convention_order",
            required=True,
        )
    cell, order = st.session_state.convention_cell, st.session_state.convention_order
    gru = cell == "gru"
    on: dict[str, bool] = {}
    for column, name in zip(st.columns(3), SWITCHES, strict=True):
        with column:
            off = name != "one_bias" and not gru
            more = f" {words['convention.only_gru']}" if name != "one_bias" else ""
            on[name] = st.toggle(
                words[f"control.{name}"],
                key=name,
                disabled=off,
                help=words[f"control.{name}_help"] + more,
            )
    return Choice(
        cell,
        order,
        flip_update=on["flip_update"] and gru,
        reset_before=on["reset_before"] and gru,
        one_bias=on["one_bias"],
    )


def _show_formulas(choice: Choice) -> None:
    lines = write_formulas(
        choice.form,
        flip_update=choice.flip_update,
        reset_after=not choice.reset_before,
        one_bias=choice.one_bias,
    )
    with st.container(key="convention_formulas"):
        for line in lines:
            st.latex(line)


def small_network(cell: str) -> tuple[dict[str, Array], Array]:
    """A small cell's weights by torch's initialisation, and an input of 50 steps, in float64."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        made = make_cell(Form(cell), INPUTS, HIDDEN).double()
        x = torch.randn(STEPS, 1, INPUTS, dtype=torch.float64)
    return {name: p.detach().numpy() for name, p in made.named_parameters()}, x.numpy()


def _figure(choice: Choice, words: Labels) -> Drawing:
    form, convention = choice.form, choice.convention
    own = small_network(choice.cell)[0]
    before = lay_out(form, own)
    after = lay_out(form, own, convention, flip_update=choice.flip_update, one_bias=choice.one_bias)
    places = [
        move._replace(negated=choice.flip_update and move.gate == "update_gate")
        for move in moves(form, PROJECT, convention)
    ]
    titles = [
        words("packed.title", title=title, gates=" ".join(LETTERS[gate] for gate in gates))
        for title, gates in ((TITLES["torch"], before.gates), (TITLES[choice.order], after.gates))
    ]
    return plot_packed_weights.drawn(
        before,
        after,
        places,
        titles=(titles[0], titles[1]),
        height=330 if choice.cell != "rnn" else 200,
        language=words.language,
        dark=is_dark(),
    )


def _effects(choice: Choice, words: Labels) -> str:
    """How the order, each switch that is on, and all switches together change the output."""
    lines = list(_each_effect(choice, words))
    return "".join(
        f"<p class='rnnviz-effect{'' if stays else ' changes'}'>{escape(text)}</p>"
        for text, stays in lines
    )


def _each_effect(choice: Choice, words: Labels) -> Iterator[tuple[str, bool]]:
    own, x = small_network(choice.cell)
    largest, title = _number(_reordered(choice, own, x)), TITLES[choice.order]
    yield words("stays.order", title=title, largest=largest, steps=STEPS), True
    alone = [(name, _alone(choice, name, own, x)) for name in choice.switches]
    if len(alone) > 1:
        alone.append(("all", _switched(Form(choice.cell), choice, own, x)))
    for name, result in alone:
        values = {"largest": _number(result.largest), "steps": STEPS}
        yield words(f"{'stays' if result.stays else 'changes'}.{name}", **values), result.stays


def _alone(choice: Choice, name: str, own: dict[str, Array], x: Array) -> Difference:
    """The effect of one switch. All but the reset's apply to the cell with the chosen reset."""
    off = {other: False for other in SWITCHES if other not in (name, "reset_before")}
    only = replace(choice, **off)
    return _switched(Form(choice.cell) if name == "reset_before" else choice.form, only, own, x)


def _switched(form: Form, choice: Choice, own: dict[str, Array], x: Array) -> Difference:
    return difference(
        form,
        own,
        x,
        flip_update=choice.flip_update,
        reset_after=not choice.reset_before,
        one_bias=choice.one_bias,
    )


def _reordered(choice: Choice, own: dict[str, Array], x: Array) -> float:
    """Largest |Δh| of the order alone: the framework's equations on its packed weights."""
    form, convention = choice.form, choice.convention
    packed = run_packed(pack(own, form, convention), x, form, convention)
    return float(np.abs(packed - run_packed(own, x, form, PROJECT)).max())


def _array_notes(choice: Choice, words: Labels) -> Iterator[str]:
    """The names and shapes of the arrays, and what the framework cannot represent."""
    form, convention = choice.form, choice.convention
    title = TITLES[choice.order]
    packed = pack(small_network(choice.cell)[0], form, convention)
    arrays = ", ".join(f"{name} {array.shape}" for name, array in packed.items())
    yield words("convention.arrays", title=title, arrays=arrays)
    if convention.transposed:
        yield words["convention.transposed"]
    if convention.bias_vectors(form) == 1 and not choice.one_bias:
        yield words("convention.one_bias", title=title)
    if choice.order == "torch" and choice.reset_before:
        yield words["convention.torch_before"]
    if choice.one_bias and choice.cell == "gru" and not choice.reset_before:
        yield words("convention.no_merge", title=title)


def _number(value: float) -> str:
    """Two digits, or one digit times a power of ten below 0.001."""
    return write_number(value, ".2g" if value == 0 or value >= 0.001 else ".0e")
