"""A card with the parameters and multiply-adds of each network, gate by gate."""

from collections.abc import Mapping
from dataclasses import replace
from html import escape
from pathlib import Path

import streamlit as st

from rnnviz.cells import Form
from rnnviz.counting import (
    GateCount,
    Size,
    count_by_gate,
    count_multiply_adds,
    count_parameters,
    formula,
)
from rnnviz.locale import Labels
from rnnviz.plots.style import palette
from rnnviz.ui.cards import apply_styles, heading, note
from rnnviz.ui.theme import is_dark

# The same for all tables, so that their columns align.
WIDTHS = "".join(f"<col style='width: {width}%'>" for width in (22, 31, 9, 29, 9))
STYLES = Path(__file__).with_name("conventions.css")  # of the cards with tables


def show_cost(sizes: Mapping[str, Size], words: Labels) -> None:
    """Draws a table per network: parameters and multiply-adds per step of each gate."""
    apply_styles(STYLES)
    with st.container(key="card_cost"):
        heading(words["card.cost"])
        note(words["cost.formula"])
        st.html("".join(_table(name, size, words) for name, size in sizes.items()))
        text = _three_quarters(sizes, words)
        if text:
            st.html(f"<p class='rnnviz-effect'>{escape(text)}</p>")
        note(words["cost.counted"])


def _table(name: str, size: Size, words: Labels) -> str:
    heads = (words["cost.gate"], words["cost.parameters"], words["cost.multiply_adds"])
    head = f"<th>{escape(heads[0])}</th>" + "".join(
        f"<th colspan='2'>{escape(text)}</th>" for text in heads[1:]
    )
    about = words("cost.sizes", inputs=size.input_size, hidden=size.hidden_size)
    colour = palette(dark=is_dark()).cells[size.form.cell]
    rows = "".join(_row(row, size, words) for row in count_by_gate(size))
    total = (
        f"<th>{escape(words['cost.total'])}</th>"
        f"<td class='sum'>{escape(formula(size).partition(' = ')[0])}</td>"
        f"<td class='number'>{count_parameters(size):,}</td><td></td>"
        f"<td class='number'>{count_multiply_adds(size):,}</td>"
    )
    return (
        f"<div class='rnnviz-scroll' style='--cell: {colour}'><table class='rnnviz-table'>"
        f"<caption><b>{escape(name)}</b><span>{escape(about)}</span></caption>"
        f"{WIDTHS}<thead><tr>{head}</tr></thead><tbody>{rows}</tbody>"
        f"<tfoot><tr>{total}</tr></tfoot></table></div>"
    )


def _row(row: GateCount, size: Size, words: Labels) -> str:
    key = "cost.projection" if row.gate == "projection" else f"gate.{row.gate}"
    name = words[key]
    if size.layers > 1:
        name += ", " + words("cost.layer", layer=row.layer + 1)
    if size.directions > 1:
        name += ", " + words[f"cost.{'backward' if row.direction else 'forward'}"]
    return (
        f"<tr><th>{escape(name)}</th>"
        f"<td class='sum'>{escape(row.parameters_formula)}</td>"
        f"<td class='number'>{row.total:,}</td>"
        f"<td class='sum'>{escape(row.cost_formula)}</td>"
        f"<td class='number'>{row.multiply_adds:,}</td></tr>"
    )


def _three_quarters(sizes: Mapping[str, Size], words: Labels) -> str:
    """The GRU's share of the LSTM's parameters, for the first pair of one size and torch's form."""
    plain = {name: size for name, size in sizes.items() if size.form.is_stock}
    for lstm, size in plain.items():
        gru = next((n for n, s in plain.items() if s == replace(size, form=Form("gru"))), None)
        if size.form.cell == "lstm" and gru is not None:
            return words(
                "cost.three_quarters",
                gru=gru,
                lstm=lstm,
                gru_count=count_parameters(plain[gru]),
                lstm_count=count_parameters(size),
            )
    return ""
