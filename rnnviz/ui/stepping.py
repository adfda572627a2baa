"""The step page's own parts: the strip and its player, what this step is made of, the heatmaps."""

from html import escape

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from rnnviz.cells import GATES_AS_READ
from rnnviz.equations import equations
from rnnviz.experiment import ReadingSettings, Settings
from rnnviz.inputs.vocabulary import Vocabulary, picture
from rnnviz.locale import Labels
from rnnviz.plots.gates import plot_gates
from rnnviz.plots.next_character import plot_next_character
from rnnviz.plots.states import plot_states
from rnnviz.plots.terms import plot_terms
from rnnviz.plots.view import View
from rnnviz.terms import GateTerms, gate_terms
from rnnviz.trace import Trace
from rnnviz.ui.cache import character_model, expectations, reading, unit_order
from rnnviz.ui.frame import current, is_dark, write_address
from rnnviz.ui.live.strip import input_step

MOST_COLUMNS = 400  # characters that a heatmap can show side by side; a longer text is paged
MOST_TERMS = {"rnn": 6, "gru": 11, "lstm": 14}  # as many as stand beside the cell's equations
PLOTLY = {"displaylogo": False, "modeBarButtonsToRemove": ["select2d", "lasso2d"]}
STILL = {"displayModeBar": False}


@st.fragment
def step_through(words: Labels) -> None:
    """The strip, the player and this step's cards; stepping reruns no more than these."""
    state = st.session_state
    if state.pop("refresh", False):
        st.rerun()
    record = reading(state.cell, state.read_text)
    steps = len(state.read_text)
    if state.t == steps:
        state.playing = False
    first = first_step(state.t)
    if state.get("first_step", first) != first:
        state.first_step = first  # at once, or the page would start over without end
        st.rerun()
    if state.gate not in GATES_AS_READ[state.cell]:
        state.gate = GATES_AS_READ[state.cell][0]
    settings = current()
    assert settings.unit is not None
    _show_strip(settings, record, words)
    _input_time(steps, words)
    _show_step(settings, record, words)
    if not state.get("playing", False):
        write_address(_plain(settings), ReadingSettings)


def first_step(t: int) -> int:
    """The first step, from 0, of the heatmaps that hold step t, from 1."""
    return (t - 1) // MOST_COLUMNS * MOST_COLUMNS


def _plain(settings: Settings) -> Settings:
    """The same view with what it shows by itself left out of its address."""
    units = unit_order(settings.cell, settings.text, settings.order).units
    return settings.model_copy(update={"unit": None}) if settings.unit == units[0] else settings


def _show_strip(settings: Settings, record: Trace, words: Labels) -> None:
    vocabulary = character_model(settings.cell).vocabulary
    name = "cell_state" if record.cell == "lstm" else "hidden_state"
    values = record.array(name)[0, 0, :, 0, settings.unit]
    coloured = words("strip.coloured", state=words[f"gate.{name}"], unit=settings.unit)
    st.html(f"<p class='rnnviz-note'>{escape(coloured)}</p>")
    input_step(
        settings.text,
        vocabulary,
        values / max(1.0, float(np.abs(values).max())),
        t=settings.t,
        first_step=first_step(settings.t),
        unit=settings.unit or 0,
        playing=bool(st.session_state.get("playing", False)),
        speed=settings.speed,
        words=words,
        dark=is_dark(),
        on_pick=_picked,
        key="strip",
    )
    unknown = sorted({c for c in settings.text if c not in vocabulary})
    if unknown:
        # each apart, so that a right-to-left letter does not turn its neighbours round
        shown = " ".join(f"<bdi>{escape(picture(c))}</bdi>" for c in unknown[:12])
        note = words("strip.unknown_note", characters=shown + " …" * (len(unknown) > 12))
        st.html(f"<p class='rnnviz-note'>{note}</p>")


def _picked() -> None:
    picked = st.session_state["strip"].picked
    if not picked:
        return
    st.session_state.t = int(picked["t"])
    if "unit" in picked and int(picked["unit"]) != st.session_state.unit:
        st.session_state.unit = int(picked["unit"])
        st.session_state.refresh = True  # the sidebar shows the unit too


def _input_time(steps: int, words: Labels) -> None:
    state = st.session_state
    playing = bool(state.get("playing", False))

    def go(t: int) -> None:
        state.t, state.playing = min(max(t, 1), steps), False

    def play() -> None:
        state.playing = not playing
        if state.playing and state.t == steps:
            state.t = 1

    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="player"):
        for name, icon, shortcut, action, args in (
            ("first", "first_page", None, go, (1,)),
            ("back", "chevron_left", "Left", go, (state.t - 1,)),
            ("play", "pause" if playing else "play_arrow", "Space", play, ()),
            ("on", "chevron_right", "Right", go, (state.t + 1,)),
            ("last", "last_page", None, go, (steps,)),
        ):
            word = "pause" if name == "play" and playing else name
            st.button(
                words[f"player.{word}"],
                key=f"player_{name}",
                icon=f":material/{icon}:",
                help=words[f"player.{word}"],
                shortcut=shortcut,
                on_click=action,
                args=args,
                type="primary" if name == "play" else "secondary",
            )
        if steps > 1:
            st.slider(
                words["player.t"],
                1,
                steps,
                key="t",
                label_visibility="collapsed",
            )
        count = words("player.count", t=state.t, steps=steps)
        st.html(f"<span class='rnnviz-count'>{escape(count)}</span>", width="content")


def _show_step(settings: Settings, record: Trace, words: Labels) -> None:
    unit, time = settings.unit or 0, settings.t - 1
    with st.container(key="cards"):
        left, right = st.columns([0.58, 0.42], gap="small")
    with left:
        with st.container(key="card_equations"):
            _heading(words("card.equations", cell=settings.cell.upper(), unit=unit, t=settings.t))
            st.latex(_aligned(record, unit, time, words))
        with st.container(key="card_next"):
            _show_next_character(settings, words)
    with right, st.container(key="card_terms"):
        _show_terms(settings, record, words)


def _aligned(record: Trace, unit: int, time: int, words: Labels) -> str:
    """All equations of the step under one another: name, rule, and the numbers below it."""
    lines = [
        rf"& \textsf{{{words[f'gate.{name}']}}} \quad & {e.symbol} &= {e.rule} \\"
        rf" & & &= {e.numbers} = \mathbf{{{e.value}}}"
        for name, e in equations(record, unit, time).items()
    ]
    body = r" \\[4pt] ".join(lines)
    return rf"\begin{{alignedat}}{{2}} {body} \end{{alignedat}}"


def _heading(text: str) -> None:
    st.html(f"<p class='rnnviz-heading'>{escape(text)}</p>")


def _show_terms(settings: Settings, record: Trace, words: Labels) -> None:
    gates = GATES_AS_READ[record.cell]
    if len(gates) > 1:
        st.segmented_control(
            words["card.gate"],
            gates,
            format_func=lambda gate: words[f"gate.{gate}"],
            key="gate",
            required=True,
            label_visibility="collapsed",
        )
    gate = st.session_state.gate
    terms = gate_terms(record, gate, settings.unit or 0, settings.t - 1)
    _heading(words[f"question.{gate}"])
    reads = picture(settings.text[settings.t - 1])
    most = MOST_TERMS[record.cell]
    look = {"height": 28 * (most + 3), "language": words.language, "dark": is_dark()}
    figure = plot_terms(terms, reads=reads, most=most, **look)
    st.plotly_chart(figure, theme=None, config=STILL, key="figure_terms")
    total = words("card.total", a=terms.preactivation, value=terms.value).replace("-", "−")
    st.html(f"<p class='rnnviz-note'>{escape(total)}</p>")
    if st.toggle(words["card.all_terms"], key="all_terms"):
        st.dataframe(_term_rows(terms, reads, words), hide_index=True, height=280)


def _term_rows(terms: GateTerms, reads: str, words: Labels) -> dict[str, list[object]]:
    """Every term that enters the sum, largest first."""
    code = int(np.argmax(terms.x))
    rows: list[tuple[str, float, float, float]] = [
        (words("plot.reads", what=reads), float(terms.w[code]), 1.0, float(terms.by_input[code])),
        (words["plot.bias"], terms.bias, 1.0, terms.bias),
    ]
    rows += [
        (words("plot.h_of_unit", unit=k), float(terms.reset * terms.u[k]), float(h), float(by))
        for k, (h, by) in enumerate(zip(terms.h, terms.by_unit, strict=True))
    ]
    rows.sort(key=lambda row: -abs(row[3]))
    names = ("card.term", "card.weight", "card.times", "card.pushes")
    return {
        words[name]: list(column)
        for name, column in zip(names, zip(*rows, strict=True), strict=True)
    }


def _show_next_character(settings: Settings, words: Labels) -> None:
    model = character_model(settings.cell)
    probabilities = expectations(settings.cell, settings.text)[settings.t - 1]
    following = settings.text[settings.t : settings.t + 1]
    actual = int(model.vocabulary.encode(following)[0]) if following else None
    _heading(words["card.next"])
    st.html(f"<p class='rnnviz-note'>{escape(_surprise(probabilities, actual, words))}</p>")
    figure = plot_next_character(
        probabilities,
        _code_names(model.vocabulary, words),
        actual=actual,
        most=6,
        height=196,
        language=words.language,
        dark=is_dark(),
    )
    st.plotly_chart(figure, theme=None, config=STILL, key="figure_next_character")


def _surprise(probabilities: NDArray[np.float64], actual: int | None, words: Labels) -> str:
    if actual is None:
        return words["card.end_of_text"]
    rank = 1 + int((probabilities > probabilities[actual]).sum())
    return words("card.surprise", rank=rank, bits=-float(np.log2(probabilities[actual])))


def _code_names(vocabulary: Vocabulary, words: Labels) -> list[str]:
    named = [vocabulary.character(code) for code in range(len(vocabulary))]
    return [words["plot.unknown"] if name is None else picture(name) for name in named]


def show_heatmaps(settings: Settings, words: Labels) -> None:
    """Every gate and state of every unit over the text, or over the part that holds step t."""
    record = reading(settings.cell, settings.text)
    order = unit_order(settings.cell, settings.text, settings.order)
    first = first_step(settings.t)
    st.session_state.first_step = first
    if len(settings.text) > MOST_COLUMNS:
        last = min(first + MOST_COLUMNS, len(settings.text))
        note = words("heatmaps.part", first=first + 1, last=last, steps=len(settings.text))
        st.html(f"<p class='rnnviz-note'>{escape(note)}</p>")
    view = View(
        units=order.units.tolist(),
        first_step=first,
        steps=MOST_COLUMNS,
        characters=[picture(character) for character in settings.text],
    )
    with st.container(key="card_heatmaps"):
        _heading(words["heatmaps.heading"])
        note = words("heatmaps.note", order=words[f"order.{settings.order}"])
        st.html(f"<p class='rnnviz-note'>{escape(note)}</p>")
        for name, plot in (("gates", plot_gates), ("states", plot_states)):
            figure = plot(
                record, view=view, row_height=132, language=words.language, dark=is_dark()
            )
            with st.container(key=f"figure_{name}"):
                st.plotly_chart(
                    figure, theme=None, config=PLOTLY, alt=words[f"heatmaps.alt_{name}"]
                )
