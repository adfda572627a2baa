"""Network comparisons: their address, how networks are built and run, and the figures."""

import math
from dataclasses import replace
from itertools import product
from typing import Any, get_args

import numpy as np
import pytest
import torch
import xarray
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from rnnviz import RnnvizError, gradient_norms, initialise, sensitivity_norms, trace
from rnnviz.cells import GATES_AS_READ
from rnnviz.counting import count_parameters
from rnnviz.experiment import FIRST_TEXT, FORMS, ComparePage, ComparisonSettings
from rnnviz.experiment.comparison import (
    bits_of,
    build_compared,
    compared_input,
    run_compared,
)
from rnnviz.experiment.comparison_limits import MOST_SECONDS, check_limits, seconds_of, sizes_of
from rnnviz.experiment.network_spec import (
    DEFAULT_NETWORKS,
    FormName,
    NetworkSpec,
    keys_of,
    read_networks,
)
from rnnviz.experiment.sensitivity import sensitivities_of, sources_of
from rnnviz.inputs.signals import make_signal
from rnnviz.inputs.vocabulary import Vocabulary, picture
from rnnviz.plots.comparison import MOST_ROWS, comparable, plot_comparison
from rnnviz.plots.comparison_lines import (
    output_norms,
    plot_comparison_lines,
    plot_gradient_comparison,
)
from rnnviz.plots.lines import looks_of
from rnnviz.plots.matching import ROWS, matched, nearest_part, pool
from rnnviz.plots.sensitivity import plot_sensitivity
from rnnviz.plots.style import palette
from rnnviz.recurrent import Recurrent
from rnnviz.trace import Trace
from rnnviz.ui.cache import character_model

networks = st.builds(NetworkSpec, st.sampled_from(list(FORMS)), st.integers(1, 4), st.booleans())


def fresh(came: str, **rest: Any) -> ComparisonSettings:
    values: dict[str, Any] = {"input_source": "signal", "networks": came} | rest
    return ComparisonSettings(**values)


# The address


@given(st.lists(networks, min_size=2, max_size=4))
def test_networks_come_back_from_their_address(found: list[NetworkSpec]):
    written = ",".join(map(str, found))
    assert read_networks(written) == tuple(found)
    assert len(set(keys_of(found))) == len(found)
    settings, problems = ComparePage.from_query({"networks": written, "input_source": "signal"})
    assert (settings.networks, problems) == (tuple(found), [])
    query = settings.to_query()
    assert query.get("networks", "lstm,gru,rnn") == written
    assert ComparePage.from_query(query) == (settings, [])


@pytest.mark.parametrize(
    "came",
    [
        "lstm",
        "lstm,gru,rnn,rnn,rnn",
        "",
        "lstm,",
        "LSTM,gru",
        "lstm.5,gru",
        "lstm.both.2,gru",
        "a,b",
    ],
)
def test_an_invalid_networks_parameter_is_reported(came: str):
    settings, problems = ComparePage.from_query({"networks": came})
    assert settings.networks == DEFAULT_NETWORKS
    assert [str(problem) for problem in problems] == [
        f"The link asks for networks={came}, which must be 2 to 4 of rnn, rnn_relu, "
        "rnn_sigmoid, rnn_identity, lstm, lstm_peephole, lstm_coupled, gru, gru_reset_before, "
        "each followed by .2 to .4 for its layers and .both for bidirectional if needed. The page "
        "shows lstm,gru,rnn instead."
    ]


def test_a_text_needs_trained_networks():
    untrained = {"networks": "lstm,gru.2"}
    settings, problems = ComparePage.from_query(untrained)
    assert (settings.input_source, problems) == ("signal", [])
    settings, problems = ComparePage.from_query(untrained | {"input_source": "text"})
    assert settings.input_source == "signal"
    assert [str(problem) for problem in problems] == [
        "The link asks for a text with the networks gru.2, but trained models exist only for "
        "lstm, gru and rnn with one layer. The page shows a signal instead."
    ]


def test_the_step_is_within_the_input():
    assert ComparePage.from_query({"input_source": "signal", "t": "100"})[0].t == 100
    settings, problems = ComparePage.from_query(
        {"input_source": "signal", "length": "20", "t": "21"}
    )
    assert settings.t == 20
    assert str(problems[0]) == (
        "The link asks for t=21, but the last step of the signal is 20. The page shows that "
        "step instead."
    )


def test_the_run_has_only_the_settings_that_affect_it():
    one = ComparePage(t=3, seed=5, part="memory", difference=True)
    assert one.comparison() == ComparePage().comparison()
    assert one.comparison().text == FIRST_TEXT
    signal = ComparePage(input_source="signal", budget=500, text="ab").comparison()
    assert signal == ComparePage(input_source="signal", budget=600).comparison()
    assert ComparePage(input_source="signal", seed=1).comparison() != signal


def test_invalid_networks_raise():
    for wrong in (
        ("lstm", "gru"),
        (NetworkSpec("lstm"),),
        (NetworkSpec("lstm", 5), NetworkSpec("gru")),
    ):
        with pytest.raises(RnnvizError, match=r"expected form\.layers\.both, …"):
            ComparisonSettings(networks=wrong)  # pyright: ignore[reportArgumentType]  # the error under test


# Sizes


@pytest.mark.parametrize("form", get_args(FormName))
def test_parameter_counts_match_the_modules(form: FormName):
    for layers, both, hidden in product((1, 2), (False, True), (2, 5)):
        network = NetworkSpec(form, layers, both)
        settings = fresh(f"{network},rnn", hidden=hidden)
        module = build_compared(settings)[str(network)]
        count = sum(parameter.numel() for parameter in module.parameters())
        assert count_parameters(sizes_of(settings)[str(network)]) == count, f"{network}, {hidden=}"


@given(st.lists(networks, min_size=2, max_size=4), st.integers(10, 60_000))
def test_a_budget_selects_the_largest_size_within_it(found: list[NetworkSpec], budget: int):
    settings = fresh(",".join(map(str, found)), equal="parameters", budget=budget)
    written = ",".join(map(str, found))
    smallest = max(map(count_parameters, sizes_of(fresh(written, hidden=2)).values()))
    if budget < smallest:
        with pytest.raises(RnnvizError) as caught:
            sizes_of(settings)
        assert str(caught.value) == (
            f"The budget is {budget:,} parameters; the smallest networks of these kinds, with 2 "
            f"hidden units, need up to {smallest:,}. Choose a budget of at least {smallest:,}, or "
            "fewer layers or directions."
        )
        return
    for network, size in zip(found, sizes_of(settings).values(), strict=True):
        assert count_parameters(size) <= budget, network
        larger = replace(size, hidden_size=size.hidden_size + 1)
        assert count_parameters(larger) > budget or size.hidden_size == 256


def test_too_expensive_settings_raise():
    settings = fresh("lstm_peephole.4.both,gru", length=2000)
    seconds = seconds_of(settings)
    assert seconds > MOST_SECONDS
    with pytest.raises(RnnvizError) as caught:
        run_compared(settings)
    assert str(caught.value) == (
        f"Running these networks would take about {seconds:.1f} s; the limit is 2 s. Choose fewer "
        "steps, units, layers or networks; peepholes, coupled gates and reset before are the "
        "slowest."
    )
    assert check_limits(fresh("lstm,gru,rnn,rnn_relu", length=2000))["gru"].hidden_size == 16


# Built and run


@pytest.mark.parametrize(
    ("came", "stock"),
    [
        ("lstm.2.both", nn.LSTM(1, 5, num_layers=2, bidirectional=True)),
        ("gru", nn.GRU(1, 5)),
        ("rnn_relu.3", nn.RNN(1, 5, num_layers=3, nonlinearity="relu")),
    ],
)
def test_torchs_forms_are_built_as_torchs_modules(came: str, stock: nn.RNNBase):
    settings = fresh(f"{came},rnn", hidden=5, length=12, seed=7, signal="sine")
    stock = stock.double()
    initialise.torch_default(stock, seed=7)
    module = build_compared(settings)[came]
    assert isinstance(module, type(stock))
    for name, parameter in stock.named_parameters():
        assert torch.equal(module.get_parameter(name), parameter), name
    run = run_compared(settings)[came]
    x = make_signal("sine", 12)
    wanted = stock(x)[0].detach().numpy()
    h = run.array("hidden_state")[-1, :, :, 0]
    max_diff = np.abs(np.concatenate(list(h), -1) - wanted).max()
    assert max_diff < 1e-12, f"h: {max_diff=:.1e}"
    assert (run.array("input")[:, 0] == x.numpy()).all()
    assert run.loss == pytest.approx(stock(x)[0][-1].sum().item(), abs=1e-12)


@pytest.mark.parametrize("form", [name for name, form in FORMS.items() if not form.is_stock])
def test_other_forms_are_built_from_this_projects_cells(form: str):
    settings = fresh(f"{form}.2.both,rnn", hidden=4, length=8)
    module = build_compared(settings)[f"{form}.2.both"]
    assert isinstance(module, Recurrent)
    assert [[cell.form for cell in layer] for layer in module.cells] == [[FORMS[form]] * 2] * 2
    run = run_compared(settings)[f"{form}.2.both"]
    with torch.no_grad():
        wanted = module(compared_input(settings))[0].numpy()
    h = run.array("hidden_state")[-1, :, :, 0]
    max_diff = np.abs(np.concatenate(list(h), -1) - wanted).max()
    assert max_diff < 1e-12, f"h: {max_diff=:.1e}"
    assert run.array("hidden_state").dtype == np.float64


def test_corresponding_gates_have_the_same_weights():
    found = build_compared(fresh("gru,gru_reset_before,rnn,rnn_relu", hidden=4))
    stock, own = found["gru"], found["gru_reset_before"]
    for (name, a), (_, b) in zip(stock.named_parameters(), own.named_parameters(), strict=True):
        assert torch.equal(a, b), name
    assert torch.equal(found["rnn"].weight_hh_l0, found["rnn_relu"].weight_hh_l0)  # pyright: ignore[reportArgumentType]  # a tensor


def test_a_text_is_read_by_the_shipped_models():
    settings = ComparisonSettings(text="def f(x):\n")
    found = run_compared(settings, character_model)
    assert list(found) == ["lstm", "gru", "rnn"]
    for cell, run in found.items():
        model = character_model(cell)
        assert (run.array("hidden_state") == model.read(settings.text).array("hidden_state")).all()
        expected = model.next_character(run)
        code = int(model.vocabulary.encode("\n")[0])
        assert run.loss == pytest.approx(-math.log(expected[-2, code]), abs=1e-5)
        bits = bits_of(model, run, settings.text)
        assert bits[-2] == pytest.approx(-math.log2(expected[-2, code]))
        assert np.isnan(bits[-1])
        whole = run_compared(settings.model_copy(update={"loss": "all"}), character_model)[cell]
        assert whole.loss == pytest.approx(math.log(2) * np.nansum(bits), rel=1e-5)
    alone = run_compared(ComparisonSettings(text="x"), character_model)
    assert [run.loss for run in alone.values()] == [None] * 3


def test_a_text_without_trained_models_raises():
    networks = (NetworkSpec("gru", 2), NetworkSpec("lstm"))
    with pytest.raises(RnnvizError) as caught:
        run_compared(ComparisonSettings(networks=networks), character_model)
    assert str(caught.value) == (
        "Got gru.2 to read a text; expected trained models of lstm, gru or rnn with one layer, "
        "and the folder that holds them. Choose among these, or a signal."
    )


def test_the_gap_signal_has_two_marks():
    for length in (2, 3, 7, 100):
        values = make_signal("gap", length).ravel()
        assert values.nonzero().ravel().tolist() == [0, 3 * length // 4]
        assert values.sum() == 2


# Figures


@pytest.fixture(scope="module")
def traces() -> dict[str, Trace]:
    came = "lstm,gru_reset_before.2.both,rnn_relu,lstm_coupled"
    return run_compared(fresh(came, hidden=6, length=30))


def drawn(figure: Any, label: str, row: str) -> Any:
    """The heatmap of a network's row, or None."""
    found = [m for m in figure.data if m.type == "heatmap" and m.meta == row]
    return next((m for m in found if m.name.startswith(f"{label}: ")), None)


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_every_heatmap_is_the_traces_array(traces: dict[str, Trace], direction: str):
    figure = plot_comparison(traces, direction=direction)
    counted = 0
    for (label, run), (row, cells) in product(traces.items(), ROWS.items()):
        heatmap = drawn(figure, label, row)
        if run.cell not in cells:
            assert heatmap is None
            continue
        side = int(direction == "backward" and run.array("hidden_state").shape[1] == 2)
        values = run[cells[run.cell]].values[-1, side, :, 0]
        wanted = 1 - values if (run.cell, row) == ("gru", "writes") else values
        assert (heatmap.z == wanted.T.astype(np.float32)).all(), (label, row)
        assert (heatmap.x0, heatmap.dx, heatmap.y0, heatmap.dy) == (1, 1, 0, 1)
        counted += 1
    assert counted == sum(m.type == "heatmap" for m in figure.data) == 6 + 5 + 2 + 6
    names = {row: drawn(figure, "lstm_coupled", row).name for row in ("keeps", "writes")}
    assert names == {
        "keeps": "lstm_coupled: forget gate f",
        "writes": "lstm_coupled: input gate 1 − f",
    }
    assert drawn(figure, "rnn_relu", "candidate").name == "rnn_relu: ReLU(a) = h"


def test_rows_share_a_scale_and_all_share_the_time_axis(traces: dict[str, Trace]):
    figure = plot_comparison(traces)
    full = figure.to_dict()
    layout = full["layout"]
    assert layout["meta"] == {"time": ["x", "x2", "x3", "x4"], "least_width": 756}
    assert [layout[f"xaxis{n}"]["matches"] for n in (2, 3, 4)] == ["x"] * 3
    scales = {m["meta"]: m["coloraxis"] for m in full["data"] if m["type"] == "heatmap"}
    assert len(set(scales.values())) == len(scales) == 7
    assert (layout["coloraxis"]["cmin"], layout["coloraxis"]["cmax"]) == (0, 1)
    cell = layout[scales["cell_state"]]
    assert cell["cmin"] == -cell["cmax"]
    annotations = [note["text"] for note in layout["annotations"]]
    assert annotations.count("no reset gate") == 3
    assert annotations.count("no keep gate") == 1
    assert len(layout["shapes"]) == 3 * 1 + 2 * 2 + 2  # reset; output and cell state; keeps, writes


def test_rows_of_no_network_are_left_out():
    figure = plot_comparison(run_compared(fresh("rnn,rnn_relu", hidden=4, length=5)))
    assert {m.meta for m in figure.data} == {"candidate", "hidden_state"}


def test_a_missing_layer_is_replaced_by_the_last(traces: dict[str, Trace]):
    gru = traces["gru_reset_before.2.both"]
    first = matched(nearest_part(gru, layer=0), "hidden_state")
    last = matched(nearest_part(gru, layer=3), "hidden_state")
    assert first is not None
    assert last is not None
    assert (first == gru["hidden_state"].values[0, 0, :, 0]).all()
    assert (last == gru["hidden_state"].values[1, 0, :, 0]).all()
    assert (last == matched(nearest_part(gru), "hidden_state")).all()


def test_large_heatmaps_are_pooled():
    values = np.random.default_rng(0).normal(size=(2000, 300))
    z, wide, high = pool(values, 320, MOST_ROWS)
    assert (wide, high) == (7, 3)
    assert z.shape == (100, 286)
    assert z[1, 2] == np.float32(values[14:21, 3:6].mean())
    assert z[-1, -1] == np.float32(values[1995:, 297:].mean())
    run = trace(nn.RNN(1, 300), torch.ones(2000, 1))
    figure = plot_comparison({"a": run, "b": run, "c": run})
    assert (figure.data[0].x0, figure.data[0].dx) == (4, 7)
    assert (figure.data[0].y0, figure.data[0].dy) == (1, 3)
    assert "about step" in figure.data[0].hovertemplate


def test_differences_of_networks_of_the_same_form():
    traces = run_compared(fresh("gru,gru_reset_before,lstm,gru.2", hidden=5, length=9))
    assert comparable(traces) == ["gru_reset_before", "gru.2"]
    figure = plot_comparison(traces, difference=True)
    for label in ("gru_reset_before", "gru.2"):
        for row in ("keeps", "reset", "hidden_state"):
            heatmap = drawn(figure, f"{label} − gru", row)
            one, other = (matched(nearest_part(traces[n]), row) for n in (label, "gru"))
            assert one is not None
            assert other is not None
            assert (heatmap.z == (one - other).T.astype(np.float32)).all()
    with pytest.raises(RnnvizError) as caught:
        plot_comparison({n: traces[n] for n in ("lstm", "gru")}, difference=True)
    assert str(caught.value) == (
        "No other network has the gates, the number of units and the number of steps of "
        '"lstm", so there is nothing to subtract unit by unit; expected at least one. Compare '
        "means, or networks of one kind and size."
    )
    short = trace(nn.GRU(2, 3), torch.ones(5, 1, 2))
    whole = trace(nn.GRU(2, 3), torch.ones(8, 1, 2))
    with pytest.raises(RnnvizError, match="the number of steps"):
        plot_comparison({"whole": whole, "short": short}, difference=True)


@pytest.mark.parametrize("difference", [False, True])
def test_lines_are_means_over_units(traces: dict[str, Trace], difference: bool):
    outputs = output_norms(traces)
    figure = plot_comparison_lines(traces, outputs=outputs, difference=difference)
    found = iter(figure.data)
    for row in [*ROWS, "norm"]:
        lines: dict[str, Any] = {}
        for label, run in traces.items():
            values = outputs[label] if row == "norm" else matched(nearest_part(run), row)
            if values is not None:
                lines[label] = values.mean(-1) if values.ndim == 2 else values
        if difference:
            first = lines.pop("lstm", None)
            lines = {} if first is None else {n: line - first for n, line in lines.items()}
        for label, line in lines.items():
            part = next(found)
            assert (part.name, part.x0) == (label, 1)
            assert (part.y == line.astype(np.float32)).all(), (row, label)
    assert next(found, None) is None


def test_output_norms_are_of_all_directions(traces: dict[str, Trace]):
    h = traces["gru_reset_before.2.both"]["hidden_state"].values[1, :, :, 0]
    wanted = np.linalg.norm(np.concatenate([h[0], h[1]], -1), axis=-1)
    found = output_norms(traces)["gru_reset_before.2.both"]
    assert np.abs(found - wanted).max() < 1e-14


def test_gradients_and_their_differences_in_decades(traces: dict[str, Trace]):
    norms = {
        n: gradient_norms(run)["hidden_state"].values[-1, 0, :, 0] for n, run in traces.items()
    }
    figure = plot_gradient_comparison(traces)
    for label, part in zip(traces, figure.data, strict=False):
        assert (part.name, part.y.tolist()) == (label, norms[label].tolist())
    apart = plot_gradient_comparison(traces, difference=True)
    for part in apart.data:
        own = norms[part.name] - norms["lstm"]
        finite = np.isfinite(own)
        assert part.x.tolist() == (1 + np.flatnonzero(finite)).tolist()
        assert part.y.tolist() == own[finite].tolist()
    assert [part.name for part in apart.data] == [n for n in traces if n != "lstm"]


def test_networks_of_one_cell_have_distinct_lines():
    cells = {"a": "lstm", "b": "gru", "c": "lstm", "d": "lstm"}
    looks = looks_of(cells, palette())
    assert looks["a"] == {"color": palette().cells["lstm"], "dash": "solid", "width": 2}
    assert looks["b"]["color"] == palette().cells["gru"]
    assert len({(look["color"], look["dash"]) for look in looks.values()}) == 4
    assert len({looks[n]["dash"] for n in "acd"}) == 3


def made_up(steps: int, sources: range) -> xarray.DataArray:
    t, k = np.arange(steps)[:, None], np.array(sources)[None]
    values = np.where(t >= k, -0.1 * (t - k), -np.inf)
    return xarray.DataArray(
        values, dims=("time", "source"), coords={"time": np.arange(steps), "source": list(sources)}
    )


def test_sensitivities_are_the_traces():
    found = {"a": made_up(40, range(40)), "b": 20 * made_up(40, range(0, 40, 4))}
    figure = plot_sensitivity(found)
    for heatmap, (label, array) in zip(figure.data, found.items(), strict=True):
        assert heatmap.name == label
        wanted = np.where(np.isfinite(array.values), array.values, np.nan).astype(np.float32)
        assert np.array_equal(heatmap.z, wanted, equal_nan=True)
        assert heatmap.x.tolist() == (array["source"].values + 1).tolist()
        assert heatmap.y.tolist() == list(range(1, 41))
    layout = figure.to_dict()["layout"]
    assert layout["meta"] == {"time": ["x", "y", "x2", "y2"], "least_width": 400}
    assert (layout["coloraxis"]["cmin"], layout["coloraxis"]["cmax"]) == (-12, 0)
    long = plot_sensitivity({"a": made_up(2000, range(0, 2000, 8))}).data[0]
    assert long.z.shape == (400, 250)
    assert long.y.tolist() == list(range(1, 2001, 5))


def test_a_network_with_zero_sensitivities_is_drawn():
    nothing = xarray.DataArray(np.full((3, 3), -np.inf), dims=("time", "source"))
    assert np.isnan(plot_sensitivity({"a": nothing}).data[0].z).all()


def test_the_number_of_sources_is_limited_by_cost():
    traces = run_compared(fresh("lstm,gru", hidden=4, length=600))
    found = sensitivities_of(traces)
    assert list(found) == ["lstm", "gru"]
    for key, norms in found.items():
        assert norms["source"].values.tolist() == list(range(0, 600, 3))
        some = sensitivity_norms(traces[key], sources=[0, 300])
        # products in another order, so other rounding errors
        chosen = norms.sel(source=[0, 300]).values
        np.testing.assert_allclose(chosen, some.values, atol=1e-11)
    wide = trace(nn.LSTM(97, 128), torch.zeros(2000, 97))
    with pytest.raises(RnnvizError) as caught:
        sources_of([wide])
    assert str(caught.value) == (
        "Computing how much of each input remains would take about 8 s; the limit is 3 s. Choose "
        "fewer steps or units."
    )


def test_every_gate_has_a_row():
    shown = {(cell, name) for cells in ROWS.values() for cell, name in cells.items()}
    gates = {(cell, g) for cell, gates in GATES_AS_READ.items() for g in gates if cell != "rnn"}
    assert gates <= shown


def test_models_of_different_vocabularies_raise():
    shipped = {cell: character_model(cell) for cell in ("lstm", "gru", "rnn")}
    other = replace(shipped["gru"], vocabulary=Vocabulary(shipped["gru"].vocabulary.characters[2:]))
    with pytest.raises(RnnvizError) as caught:
        run_compared(ComparisonSettings(), {**shipped, "gru": other}.__getitem__)
    lost = sorted(shipped["gru"].vocabulary.characters[:2])
    assert str(caught.value) == (
        "lstm and gru do not read the same characters; only one of them knows "
        f"{' '.join(map(picture, lost))}. Only networks with the same vocabulary can be compared "
        "on one text: leave one of them out."
    )
