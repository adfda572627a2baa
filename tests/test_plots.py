"""Figures show the arrays of their trace, with one colour scale per kind of array."""

import re
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
import torch
from torch import nn

import rnnviz
from rnnviz import locale
from rnnviz.errors import RnnvizError
from rnnviz.inputs.vocabulary import picture
from rnnviz.plots import gates, states
from rnnviz.plots.heatmaps import MOST_LABELS
from rnnviz.plots.style import DARK, LIGHT, Scale, palette
from rnnviz.plots.view import WHOLE, View
from rnnviz.trace import Trace

Figure = Any  # plotly leaves most of a figure untyped
Plot = Callable[..., Figure]
plot_gates: Plot = gates.plot_gates
plot_states: Plot = states.plot_states
STACKS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
LENGTHS = [7, 3]
NAMES = {
    "rnn": ["hidden_preactivation"],
    "lstm": ["forget_gate", "input_gate", "cell_candidate", "output_gate"],
    "gru": ["update_gate", "reset_gate", "hidden_candidate"],
}
STATES = {
    "rnn": ["hidden_state"],
    "lstm": ["cell_state", "hidden_state"],
    "gru": ["hidden_state"],
}
SIGNED = ("cell_candidate", "hidden_candidate")
CELLS = pytest.mark.parametrize("cell", sorted(NAMES))
LANGUAGES = pytest.mark.parametrize("language", ["en", "ko"])


@cache
@torch.random.fork_rng(devices=[])
def record(cell: str, relu: bool = False) -> Trace:
    """A trace of two bidirectional layers, seven steps, and two sequences, the second shorter."""
    torch.manual_seed(3)
    options = {"nonlinearity": "relu"} if relu else {}
    module = STACKS[cell](3, 4, 2, bidirectional=True, **options).double()
    return rnnviz.trace(module, 3 * torch.randn(7, 2, 3).double(), lengths=LENGTHS)


@cache
@torch.random.fork_rng(devices=[])
def long(steps: int) -> Trace:
    torch.manual_seed(0)
    return rnnviz.trace(nn.RNN(1, 2), torch.randn(steps, 1))


def figures_of(trace: Trace, **options: Any) -> list[tuple[Figure, list[str]]]:
    return [
        (plot_gates(trace, **options), NAMES[trace.cell]),
        (plot_states(trace, **options), STATES[trace.cell]),
    ]


def time_axis(figure: Figure) -> Any:
    """The only horizontal axis with a title."""
    (axis,) = figure.select_xaxes(lambda axis: axis.title.text is not None)
    return axis


def coloured(scale: Scale) -> tuple[tuple[float, str], ...]:
    return tuple((float(at), colour) for at, colour in scale)


@CELLS
@pytest.mark.parametrize(
    "view",
    [
        WHOLE,
        View(units=[2, 0, 3, 1]),
        View(units=[1]),
        View(layer=1, direction="backward", batch=1),
        View(layer=1, units=[3, 1], first_step=2, steps=3),
        View(first_step=6, steps=4),
        View(batch=1, direction="backward", first_step=1),
    ],
)
def test_a_heatmap_is_the_traces_array(cell: str, view: View):
    trace = record(cell)
    direction = ["forward", "backward"].index(view.direction)
    units = list(range(4)) if view.units is None else list(view.units)
    stop = 7 if view.steps is None else min(7, view.first_step + view.steps)
    for figure, names in figures_of(trace, view=view):
        assert [heatmap.meta for heatmap in figure.data] == names
        for heatmap, name in zip(figure.data, names, strict=True):
            array = trace[name].values[view.layer, direction, :, view.batch]
            shown = array[view.first_step : stop, units].T
            np.testing.assert_array_equal(heatmap.z, shown.astype(np.float32))
            assert list(heatmap.y) == [str(unit) for unit in units]
            assert list(heatmap.x) == [str(t + 1) for t in range(view.first_step, stop)]


@CELLS
@pytest.mark.parametrize("dark", [False, True])
def test_gate_scales_are_0_to_1_and_signed_scales_are_centred_on_0(cell: str, dark: bool):
    trace, colours = record(cell), palette(dark=dark)
    for figure, names in figures_of(trace, dark=dark):
        for heatmap, name in zip(figure.data, names, strict=True):
            if name.endswith("_gate"):
                assert (heatmap.zmin, heatmap.zmax) == (0, 1)
                assert heatmap.colorscale == coloured(colours.gate)
                continue
            assert heatmap.zmin == -heatmap.zmax
            assert heatmap.colorscale == coloured(colours.signed)
            assert heatmap.colorscale[2][0] == 0.5
            if name in (*SIGNED, "hidden_state"):
                assert heatmap.zmax == 1
            else:
                assert heatmap.zmax == np.nanmax(np.abs(trace[name].values))


def test_the_scale_of_relu_states_ends_at_their_largest_value():
    trace = record("rnn", relu=True)
    heatmap = plot_states(trace).data[0]
    most = np.nanmax(trace["hidden_state"].values)
    assert most > 1
    assert (heatmap.zmin, heatmap.zmax) == (-most, most)


def test_the_scale_of_zeros():
    module = nn.RNN(1, 2, nonlinearity="relu", bias=False)
    for figure in (f for f, _ in figures_of(rnnviz.trace(module, torch.zeros(3, 1)))):
        assert (figure.data[0].zmin, figure.data[0].zmax) == (-1, 1)


SEEN = {
    "en": {
        "hidden_preactivation": "pre-activation",
        "hidden_state": "hidden state",
        "cell_state": "cell state",
        "forget_gate": "forget gate",
        "input_gate": "input gate",
        "output_gate": "output gate",
        "cell_candidate": "candidate",
        "hidden_candidate": "candidate",
        "update_gate": "update gate",
        "reset_gate": "reset gate",
    },
    "ko": {"forget_gate": "망각 게이트"},
}


@CELLS
@LANGUAGES
def test_rows_and_axes_have_titles(cell: str, language: str):
    words = locale.labels(language)
    for figure, names in figures_of(record(cell), language=language):
        seen = [words[f"gate.{name}"] for name in names]
        assert [heatmap.name for heatmap in figure.data] == seen
        for name, text in zip(names, seen, strict=True):
            assert SEEN[language].get(name, text) == text
        notes = [re.sub("<.*?>", "|", note.text) for note in figure.layout.annotations]
        units = {"en": "4 units", "ko": "유닛 4개"}[language]
        assert notes == [f"|{name}|||{units}|" for name in seen]
        assert time_axis(figure).title.text == {"en": "time step", "ko": "단계(시점)"}[language]
        hover = {"en": ("step", "unit"), "ko": ("단계", "유닛")}[language]
        for heatmap in figure.data:
            assert heatmap.hovertemplate == (
                f"{hover[0]} %{{x}}<br>{hover[1]} %{{y}}<br><b>%{{z}}</b>"
                "<extra>%{fullData.name}</extra>"
            )
            assert heatmap.zhoverformat == ".4f"


@LANGUAGES
def test_korean_and_english_figures_have_the_same_data(language: str):
    for cell in NAMES:
        for (one, _), (other, _) in zip(
            figures_of(record(cell), language=language), figures_of(record(cell)), strict=True
        ):
            for a, b in zip(one.data, other.data, strict=True):
                np.testing.assert_array_equal(a.z, b.z)
                assert (a.zmin, a.zmax) == (b.zmin, b.zmax)


@CELLS
def test_characters_label_their_steps(cell: str):
    text = [picture(character) for character in "a b\n<&한"]
    view = View(characters=text, first_step=1, steps=5)
    for figure, _ in figures_of(record(cell), view=view):
        for heatmap in figure.data:
            assert list(heatmap.x) == ["2 ·", "3 b", "4 ⏎", "5 <", "6 &"]
        axis = time_axis(figure)
        assert list(axis.tickvals) == [0, 1, 2, 3, 4]
        assert list(axis.ticktext) == ["·", "b", "⏎", "<", "&"]
        assert axis.title.text == "time step: character read"


@pytest.mark.parametrize(
    ("first", "steps", "labels"),
    [
        (0, 10, list(range(1, 11))),
        (0, 24, list(range(2, 25, 2))),
        (0, 131, list(range(20, 131, 20))),
        (400, 400, list(range(450, 801, 50))),
        (400, 50, list(range(405, 451, 5))),
        (0, 2000, list(range(200, 2001, 200))),
    ],
)
def test_a_long_text_has_round_step_numbers(first: int, steps: int, labels: list[int]):
    characters = "x" * 2000 if steps > MOST_LABELS else None
    view = View(first_step=first, steps=steps, characters=characters)
    figure = plot_gates(long(2000), view=view)
    assert time_axis(figure).ticktext == tuple(map(str, labels))
    x = [name.partition(" ")[0] for name in figure.data[0].x]
    assert [x[at] for at in time_axis(figure).tickvals] == [str(label) for label in labels]


def test_all_characters_are_shown_if_they_fit():
    characters = "x" * 2000
    for steps, shown in ((MOST_LABELS, MOST_LABELS), (MOST_LABELS + 1, 6)):
        figure = plot_gates(long(2000), view=View(steps=steps, characters=characters))
        assert len(time_axis(figure).ticktext) == shown


def test_row_height_is_as_requested():
    low, high = (plot_gates(record("lstm"), row_height=h).layout.height for h in (50, 80))
    assert high - low == 4 * 30


@pytest.mark.parametrize(
    ("view", "message"),
    [
        (
            View(units=[]),
            "Got the units []; expected at least one, each at least 0 and less than 4. Choose "
            "other units.",
        ),
        (
            View(units=[0, 4]),
            "Got the units [0, 4]; expected at least one, each at least 0 and less than 4. Choose "
            "other units.",
        ),
        (
            View(units=[-1]),
            "Got the units [-1]; expected at least one, each at least 0 and less than 4. Choose "
            "other units.",
        ),
        (
            View(first_step=7),
            "The first step to show is 7, counted from 0, which leaves nothing of the trace's 7 "
            "time steps to show. Choose an earlier step, and show at least one.",
        ),
        (
            View(first_step=-1),
            "The first step to show is -1, counted from 0, which leaves nothing of the trace's 7 "
            "time steps to show. Choose an earlier step, and show at least one.",
        ),
        (
            View(steps=0),
            "The first step to show is 0, counted from 0, which leaves nothing of the trace's 7 "
            "time steps to show. Choose an earlier step, and show at least one.",
        ),
        (
            View(characters="abc"),
            "The text length is 3 and the trace's number of time steps is 7; expected one "
            "character per step. Pass the text that the trace was made from.",
        ),
    ],
)
@pytest.mark.parametrize("plot", [plot_gates, plot_states])
def test_a_view_of_a_missing_part_raises(plot: Plot, view: View, message: str):
    with pytest.raises(RnnvizError) as caught:
        plot(record("gru"), view=view)
    assert str(caught.value) == message


# All figures


def every_figure(dark: bool) -> list[Figure]:
    return [figure for cell in NAMES for figure, _ in figures_of(record(cell), dark=dark)]


@pytest.mark.parametrize("dark", [False, True])
def test_figures_are_valid_and_use_the_themes_colours(dark: bool):
    for figure in every_figure(dark):
        figure.to_json(validate=True, engine="json")
        go.Figure(figure.to_dict())
        assert figure.layout.font.color == palette(dark=dark).ink
        assert figure.layout.paper_bgcolor == "rgba(0,0,0,0)"
        assert figure.layout.height > 0


def test_light_and_dark_differ_only_in_colours():
    for light, dark in zip(every_figure(False), every_figure(True), strict=True):
        for a, b in zip(light.data, dark.data, strict=True):
            assert (a.type, a.name, a.hovertemplate) == (b.type, b.name, b.hovertemplate)
            for axis in ("x", "y", "z"):
                if axis in a:
                    np.testing.assert_array_equal(a[axis], b[axis])


def test_colour_scales_also_differ_in_lightness():
    def lightness(colour: str) -> float:
        red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    for colours in (LIGHT, DARK):
        gate = [lightness(colour) for _, colour in colours.gate]
        assert gate in (sorted(gate), sorted(gate, reverse=True))
        signed = [lightness(colour) for _, colour in colours.signed]
        extreme = max if colours is LIGHT else min
        assert signed[2] == extreme(signed)
        assert [at for at, _ in colours.signed] == [at for at, _ in colours.gate]


@CELLS
def test_no_figure_changes_its_trace(cell: str):
    trace = record(cell)
    before = trace.to_xarray().copy(deep=True)
    view = View(units=[3, 1], characters=list("abcdefg"))
    for figure, _ in figures_of(trace, view=view):
        figure.data[0].z[:] = 0  # the figure has a copy
    assert trace.to_xarray().identical(before)


def test_one_outlier_does_not_wash_out_the_other_units():
    module: Any = nn.RNN(1, 100, nonlinearity="relu", bias=False)
    with torch.no_grad():
        module.weight_ih_l0.fill_(1.0)
        module.weight_ih_l0[7] = 50.0
        module.weight_hh_l0.zero_()
    trace = rnnviz.trace(module, torch.ones(4, 1))
    heatmap: Any = plot_states(trace).data[0]
    assert (heatmap.zmin, heatmap.zmax) == (-1, 1)
    assert heatmap.z[7].tolist() == [50.0] * 4
    assert list(heatmap.colorbar.ticktext) == ["≤ −1", "0", "≥ 1"]
