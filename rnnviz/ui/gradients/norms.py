"""Cards of the gradients page: norms, verdicts, contributions, clipping, saturation, claim."""

import math

import numpy as np
import streamlit as st

from rnnviz.errors import RnnvizError
from rnnviz.experiment import GradientsPage, NetworkSettings
from rnnviz.experiment.claim import (
    CLAIMED,
    SEEDS,
    VARIANTS,
    Remembered,
    claimed_of,
    holds,
)
from rnnviz.glossary import TermMarks
from rnnviz.gradients import (
    Diagnosis,
    PlainPass,
    clip_by_norm,
    parameter_gradients,
)
from rnnviz.locale import Labels
from rnnviz.plots.drawing import Drawing
from rnnviz.plots.gradient_norms import plot_gradient_norms
from rnnviz.plots.remembered import plot_memory
from rnnviz.plots.saturation import plot_saturation
from rnnviz.plots.style import palette
from rnnviz.plots.weight_gradients import plot_weight_gradients
from rnnviz.trace import Trace
from rnnviz.ui.cache import Measured, contributions, measured, networks, remembered
from rnnviz.ui.cards import heading, note, show_figure, write_power
from rnnviz.ui.components.live_text import show_words
from rnnviz.ui.theme import is_dark

UNMEASURED = ("one_step", "no_gradient", "undefined")  # verdicts without a rate of decay


def labelled(settings: NetworkSettings) -> dict[str, Trace]:
    """The traces by the labels of their lines."""
    return {cell.upper(): trace for cell, trace in networks(settings).items()}


def show_norms(settings: GradientsPage, words: Labels) -> None:
    """Draws log₁₀ of the gradient norm at every step."""
    with st.container(key="card_norms"):
        heading(words[f"card.norms_{settings.loss}"])
        show_figure("gradient_norms", _norms(settings, words), words)
        note(words["card.norms_note"])


def show_verdicts(settings: GradientsPage, words: Labels) -> None:
    """Draws a verdict per network."""
    with st.container(key="card_verdicts"):
        heading(words["card.verdicts"])
        show_words(_verdicts(settings, words), key="verdicts")
        note(words["verdict.rule"])


def _norms(settings: GradientsPage, words: Labels) -> Drawing:
    network = settings.network()
    found = measured(network)
    return plot_gradient_norms.drawn(
        labelled(network),
        norms={cell.upper(): part.norms for cell, part in found.items()},
        float32={cell.upper(): part.plain for cell, part in found.items()},
        height=372,
        language=words.language,
        dark=is_dark(),
    )


def _verdicts(settings: GradientsPage, words: Labels) -> str:
    found = measured(settings.network())
    marks = TermMarks(words.language)
    return "".join(_verdict(cell, part, words, marks) for cell, part in found.items())


def _verdict(cell: str, found: Measured, words: Labels, marks: TermMarks) -> str:
    colour = palette(dark=is_dark()).cells[cell]
    lines = [_rate(found.verdict, words), _span(found, words), _float32(found.plain, words)]
    if found.verdict.state == "cell_state":
        lines.insert(0, words["verdict.by_cell"])
    where = found.verdict.not_finite
    if where is not None:
        lines.append(
            words(
                "verdict.not_finite",
                t=where.time + 1,
                name=words[f"gate.{where.name.removesuffix('_preactivation')}"],
                unit=where.unit,
            )
        )
    verdict = f"<b>{cell.upper()}</b> {marks.html(words[f'verdict.{found.verdict.verdict}'])}"
    text = "".join(f"<p>{marks.html(line)}</p>" for line in lines if line)
    return f"<div class='rnnviz-verdict' style='--cell: {colour}'><p>{verdict}</p>{text}</div>"


def _rate(found: Diagnosis, words: Labels) -> str:
    """In how many steps back the gradient halves or doubles, or why that cannot be measured."""
    if found.verdict in UNMEASURED:
        return words[f"verdict.{found.verdict}_says"]
    if math.isinf(found.decay):
        return words["verdict.at_once"]
    if math.isfinite(found.half_life) and found.half_life < 10_000:
        return words("verdict.halves", steps=found.half_life)
    if math.isfinite(found.doubling_time) and found.doubling_time < 10_000:
        return words("verdict.doubles", steps=found.doubling_time)
    return words["verdict.keeps"]


def _span(found: Measured, words: Labels) -> str:
    """The ratio of the gradient at the first step to that at the last."""
    norms = found.norms[found.verdict.state].values.ravel()
    ratio = norms[0] - norms[-1]
    return "" if math.isnan(ratio) else words("verdict.span", factor=write_power(float(ratio)))


def _float32(plain: PlainPass, words: Labels) -> str:
    """From which step back plain backpropagation in float32 is wrong."""
    if plain.lost is not None:
        return words("verdict.float32_shows", t=plain.lost.time + 1, shows=plain.lost.shows)
    if plain.wrong_from is not None:
        return words("verdict.float32_wrong", t=plain.wrong_from + 1)
    return words["verdict.float32_right"]


def show_contributions(settings: GradientsPage, words: Labels) -> None:
    """Draws each step's contribution to ∂L/∂U, the effect of clipping, and saturation."""
    with st.container(key="cards_contributions"):
        left, right = st.columns(2, gap="small")
    with left, st.container(key="card_contributions"):
        heading(words["card.contributions"])
        show_figure("weight_gradients", _contributions(settings, words), words)
        note(words["card.contributions_note"])
        show_words(_clipping(settings, words), key="clipping")
    with right, st.container(key="card_saturation"):
        heading(words["card.saturation"])
        show_figure("saturation", _saturation(settings, words), words)
        note(words["card.saturation_note"])


def _contributions(settings: GradientsPage, words: Labels) -> Drawing:
    network = settings.network()
    return plot_weight_gradients.drawn(
        labelled(network),
        norms={cell.upper(): norms for cell, norms in contributions(network).items()},
        height=300,
        language=words.language,
        dark=is_dark(),
    )


def _saturation(settings: GradientsPage, words: Labels) -> Drawing:
    network = settings.network()
    return plot_saturation.drawn(
        labelled(network),
        diagnoses={cell.upper(): part.verdict for cell, part in measured(network).items()},
        height=300,
        language=words.language,
        dark=is_dark(),
    )


def _clipping(settings: GradientsPage, words: Labels) -> str:
    """The norm of each network's ∂L/∂U, and the effect of clipping on all gradients."""
    rows: list[str] = []
    marks = TermMarks(words.language)
    for above in ("card.contributions", "card.contributions_note"):
        marks.html(words[above])
    traces = networks(settings.network())
    for cell, found in contributions(settings.network()).items():
        total, cancellation = found["log10_total"].item(), found["cancellation"].item()
        text = words("clip.norm", norm=write_power(total))
        if not math.isnan(cancellation):
            text += " " + words("clip.cancellation", share=cancellation)
        if settings.clip is not None:
            text += " " + _clipped(traces[cell], settings.clip, words)
        rows.append(f"<p><b>{cell.upper()}</b> {marks.html(text)}</p>")
    return f"<div class='rnnviz-note rnnviz-rows'>{''.join(rows)}</div>"


def _clipped(trace: Trace, threshold: float, words: Labels) -> str:
    """The effect of torch's clipping by norm on all gradients in float32."""
    with np.errstate(over="ignore"):
        gradients = {n: g.astype(np.float32) for n, g in parameter_gradients(trace).items()}
    try:
        clipped = clip_by_norm(gradients, threshold)
    except RnnvizError as error:
        return error.message(words.language)
    if clipped.coefficient == 1:
        return words("clip.untouched", norm=clipped.norm)
    return words("clip.clipped", norm=clipped.norm, coefficient=clipped.coefficient)


def show_claim(settings: GradientsPage, words: Labels) -> None:
    """Draws how many steps untrained networks remember, beside what is commonly claimed."""
    with st.container(key="card_claim"):
        heading(words["card.claim"])
        note(words("card.claim_note", seeds=SEEDS, hidden=settings.hidden, length=settings.length))
        network, place = claimed_of(settings), st.empty()
        found: dict[str, Remembered] = {}
        for number, name in enumerate(VARIANTS):
            place.progress(number / len(VARIANTS), text=words["card.claim_measuring"])
            found[name] = remembered(network, name)
        place.empty()
        names = {name: words[f"variant.{name}"] for name in found}
        figure = plot_memory(
            {names[name]: (row.cell, row.steps) for name, row in found.items()},
            claimed={
                names[cell]: (words("plot.claimed", steps=steps), steps)
                for cell, steps in CLAIMED.items()
            },
            length=settings.length,
            height=400,
            language=words.language,
            dark=is_dark(),
        )
        show_figure("memory", figure, words)
        if holds(found):
            note(words["card.claim_says"])


LIVE_FIGURES = {
    "gradient_norms": _norms,
    "weight_gradients": _contributions,
    "saturation": _saturation,
}
LIVE_TEXTS = {"verdicts": _verdicts, "clipping": _clipping}
