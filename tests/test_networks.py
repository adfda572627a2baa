"""The networks that settings describe, their inputs and edits, and the claims of the scenes."""

import math
import random
import re
from collections.abc import Callable, Mapping
from typing import Any, get_args

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import rnnviz
from rnnviz import initialise
from rnnviz.cells import GATE_NAMES, ElmanCell
from rnnviz.experiment import (
    MOST_EDITED,
    SCENES,
    Edit,
    GradientsPage,
    NetworkSettings,
    build_network,
    make_inputs,
    measure_claim,
    run_networks,
    stability_limits,
    with_edit,
)
from rnnviz.experiment.choices import InitName, NonlinearityName
from rnnviz.experiment.claim import CLAIMED, VARIANTS, claimed_of, holds
from rnnviz.experiment.edits import read_edits
from rnnviz.experiment.networks import of_each
from rnnviz.experiment.settings import value_text
from rnnviz.gradients import Lost, diagnose, plain_pass, remembered_steps
from rnnviz.inputs.signals import SIGNALS, make_signal
from rnnviz.locale import labels
from rnnviz.trace import trace_equations

Values = np.ndarray[Any, np.dtype[np.float64]]
CELLS = tuple(GATE_NAMES)
STOCK: Mapping[str, Callable[..., nn.Module]] = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


def message(act: Callable[[], Any]) -> str:
    with pytest.raises(rnnviz.RnnvizError) as caught:
        act()
    assert "{" not in caught.value.message("ko")
    return str(caught.value)


def parameters(module: nn.Module) -> dict[str, Values]:
    """By torch's names without the suffix of a stack."""
    named = module.named_parameters()
    return {name.removesuffix("_l0"): p.detach().numpy().copy() for name, p in named}


def gates_of(cell: str, module: nn.Module, name: str = "weight_hh") -> dict[str, Values]:
    parts = np.split(parameters(module)[name], len(GATE_NAMES[cell]))
    return dict(zip(GATE_NAMES[cell], parts, strict=True))


def summed_bias(cell: str, module: nn.Module, gate: str) -> Values:
    return sum(gates_of(cell, module, name)[gate] for name in ("bias_ih", "bias_hh"))  # pyright: ignore[reportReturnType]  # not 0: there are two


def assert_same(found: nn.Module, expected: nn.Module) -> None:
    first, second = parameters(found), parameters(expected)
    assert set(first) == set(second)
    for name, values in second.items():
        assert np.array_equal(first[name], values), name


# Networks


def initialised(cell: str, init: str, seed: int, hidden: int, longest: int) -> nn.Module:
    """The same initialisation applied to torch's module."""
    module = STOCK[cell](1, hidden).double()
    initialise.torch_default(module, seed=seed)
    if init in ("xavier", "orthogonal"):
        getattr(initialise, init)(module, seed=seed)
    elif init == "identity":
        initialise.identity(module)
    elif init == "chrono" and cell != "rnn":
        initialise.chrono(module, longest, seed=seed)
    return module


@pytest.mark.parametrize("init", get_args(InitName))
@pytest.mark.parametrize("cell", CELLS)
def test_a_network_has_the_chosen_initialisation(cell: str, init: Any):
    settings = NetworkSettings(init=init, hidden=7, length=30, seed=5)
    module = build_network(settings, cell)
    assert {p.dtype for p in module.parameters()} == {torch.float64}
    assert all(p.is_leaf and p.requires_grad for p in module.parameters())
    assert_same(module, initialised(cell, init, 5, 7, 30))
    found, gates = parameters(module), gates_of(cell, module)
    bound = 1 / math.sqrt(7)
    if init == "torch_default":
        assert all((np.abs(values) <= bound).all() for values in found.values())
    elif init == "xavier":
        assert all((np.abs(u) <= math.sqrt(6 / 14)).all() for u in gates.values())
        assert np.abs(found["weight_hh"]).max() > bound
    elif init == "orthogonal":
        for u in gates.values():
            assert np.abs(u.T @ u - np.eye(7)).max() < 1e-12
    elif init == "identity":
        assert all(np.array_equal(u, np.eye(7)) for u in gates.values())
    elif cell == "lstm":
        spans = np.exp(summed_bias(cell, module, "forget_gate"))
        assert ((spans >= 1) & (spans <= 29 + 1e-12)).all()
        closed = summed_bias(cell, module, "input_gate")
        assert np.array_equal(closed, -summed_bias(cell, module, "forget_gate"))
    elif cell == "gru":
        spans = np.exp(summed_bias(cell, module, "update_gate"))
        assert ((spans >= 1) & (spans <= 29 + 1e-12)).all()
    if init in ("xavier", "identity"):
        assert not found["bias_ih"].any()
        assert not found["bias_hh"].any()


@pytest.mark.parametrize("cell", CELLS)
def test_radius_then_gain_then_forget_bias_then_edits(cell: str):
    gate = GATE_NAMES[cell][-1]
    settings = NetworkSettings(
        hidden=4,
        init="chrono",
        spectral_radius=0.5,
        gain=1.6,
        forget_bias=2.0,
        edit=(Edit(cell, gate, 1, 2, 7.5),),
    )
    module = build_network(settings, cell)
    expected = initialised(cell, "chrono", 0, 4, settings.length)
    initialise.spectral_radius(expected, 0.5)
    initialise.recurrent_gain(expected, 1.6)
    for u in gates_of(cell, expected).values():
        assert abs(np.abs(np.linalg.eigvals(u)).max() - 0.8) < 1e-12
    if cell != "rnn":
        initialise.forget_bias(expected, 2.0)
        keeping = {"lstm": "forget_gate", "gru": "update_gate"}[cell]
        assert (summed_bias(cell, module, keeping) == 2).all()
    row = GATE_NAMES[cell].index(gate) * 4 + 1
    dict(expected.named_parameters())["weight_hh_l0"].data[row, 2] = 7.5
    assert_same(module, expected)
    if cell == "lstm":  # the input gate keeps chrono's bias
        chrono = build_network(NetworkSettings(hidden=4, init="chrono"), cell)
        found = summed_bias(cell, module, "input_gate")
        assert np.array_equal(found, summed_bias(cell, chrono, "input_gate"))


def test_a_gain_of_1_changes_no_bit():
    plain = build_network(NetworkSettings(), "gru")
    assert_same(build_network(NetworkSettings(gain=1.0, forget_bias=None), "gru"), plain)
    zero = gates_of("gru", build_network(NetworkSettings(gain=0.0), "gru"))
    assert not any(u.any() for u in zero.values())


@pytest.mark.parametrize("nonlinearity", get_args(NonlinearityName))
def test_only_the_rnn_has_the_nonlinearity(nonlinearity: Any):
    settings = NetworkSettings(nonlinearity=nonlinearity, hidden=3, length=12)
    module = build_network(settings, "rnn")
    assert isinstance(module, nn.RNN if nonlinearity in ("tanh", "relu") else ElmanCell)
    assert_same(module, build_network(NetworkSettings(hidden=3), "rnn"))
    trace = run_networks(settings)["rnn"]
    assert trace.nonlinearity == nonlinearity
    a = trace["hidden_preactivation"].values
    function: Callable[[Values], Values] = {
        "tanh": np.tanh,
        "relu": lambda a: np.maximum(a, 0),
        "sigmoid": lambda a: 1 / (1 + np.exp(-a)),
        "identity": lambda a: a,
    }[nonlinearity]
    assert np.abs(trace["hidden_state"].values - function(a)).max() < 1e-15
    for cell in ("lstm", "gru"):
        assert_same(build_network(settings, cell), build_network(NetworkSettings(hidden=3), cell))


@pytest.mark.parametrize("init", get_args(InitName))
def test_a_seed_gives_the_same_network_and_keeps_the_global_generators(init: Any):
    settings = NetworkSettings(init=init, seed=3, hidden=5, length=20, spectral_radius=0.9)
    found: list[dict[str, rnnviz.Trace]] = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002  # a state that must not change
        random.seed(seed)
        before = torch.get_rng_state(), str(np.random.get_state()), random.getstate()  # noqa: NPY002
        found.append(run_networks(settings))
        assert torch.equal(torch.get_rng_state(), before[0])
        assert str(np.random.get_state()) == before[1]  # noqa: NPY002
        assert random.getstate() == before[2]
    for cell in CELLS:
        first, second = (traces[cell] for traces in found)
        assert first.to_xarray().identical(second.to_xarray())
    other = run_networks(settings.model_copy(update={"seed": 4}))
    for cell in CELLS:
        assert not np.array_equal(other[cell]["input"], found[0][cell]["input"])
        w = (other[cell].parameters, found[0][cell].parameters)
        assert not np.array_equal(w[0]["weight_ih_l0"], w[1]["weight_ih_l0"])


@pytest.mark.parametrize("loss", ["last", "all"])
def test_all_three_run_with_the_same_input_and_loss(loss: Any):
    settings = NetworkSettings(hidden=6, length=25, loss=loss, input_scale=2.5, signal="square")
    traces = run_networks(settings)
    assert tuple(traces) == CELLS
    x = 2.5 * make_signal("square", 25)
    assert torch.equal(make_inputs(settings), x)
    for cell, trace in traces.items():
        assert trace.cell == cell
        assert trace["hidden_state"].shape == (1, 1, 25, 1, 6)
        assert trace["hidden_state"].dtype == np.float64
        assert np.array_equal(trace["input"].values[:, 0], x.numpy())
        y = build_network(settings, cell)(x)[0]
        expected = (y[-1] if loss == "last" else y).sum().item()
        assert trace.loss is not None
        assert abs(trace.loss - expected) < 1e-12
        assert np.abs(trace["hidden_state"].values[0, 0, :, 0] - y.detach().numpy()).max() < 1e-12


def test_running_in_threads_gives_the_same_traces():
    settings = NetworkSettings(hidden=50, length=80, init="orthogonal", gain=1.3)
    traces = run_networks(settings)
    assert list(traces) == ["rnn", "lstm", "gru"]
    for cell, found in traces.items():
        module, x = build_network(settings, cell), make_inputs(settings)
        assert found == trace_equations(module, x, loss=settings.loss)


def test_the_first_of_several_errors_is_raised():
    def fail(value: int) -> int:
        if value > 1:
            raise ValueError(value)
        return value

    assert list(of_each(fail, {"b": 1, "a": 0}).items()) == [("b", 1), ("a", 0)]
    with pytest.raises(ValueError, match=r"^2$"):
        of_each(fail, {"a": 1, "b": 2, "c": 3})


def test_weights_and_noise_use_different_random_numbers():
    settings = NetworkSettings(seed=8, length=9)
    assert torch.equal(make_inputs(settings), make_signal("noise", 9, seed=9))
    assert not torch.equal(make_inputs(settings), make_signal("noise", 9, seed=8))


def test_an_edit_that_does_not_fit_is_ignored():
    edits = (
        Edit("rnn", "hidden", 0, 1, 3.0),
        Edit("lstm", "forget_gate", 1, 0, -2.0),
        Edit("rnn", "hidden", 7, 0, 4.0),
    )
    settings = NetworkSettings(hidden=4, edit=edits)
    bare = NetworkSettings(hidden=4)
    for cell, gate, row, column, value in edits[:2]:
        found, expected = (gates_of(cell, build_network(s, cell)) for s in (settings, bare))
        expected[gate][row, column] = value
        assert all(np.array_equal(found[name], u) for name, u in expected.items())
    assert_same(build_network(settings, "gru"), build_network(bare, "gru"))
    large = settings.model_copy(update={"hidden": MOST_EDITED + 1})
    plain = NetworkSettings(hidden=MOST_EDITED + 1)
    for cell in CELLS:
        assert_same(build_network(large, cell), build_network(plain, cell))


# Signals


def test_signals_match_their_definitions():
    t = np.arange(50)
    expected = {
        "impulse": (t == 0).astype(float),
        "step": (t >= 12).astype(float),
        "sine": np.sin(2 * np.pi * t / 20),
        "square": np.tile([1.0] * 10 + [-1.0] * 10, 3)[:50],
        "gap": np.isin(t, (0, 37)).astype(float),
        "noise": torch.randn(
            50, generator=torch.Generator().manual_seed(4), dtype=torch.float64
        ).numpy(),
    }
    assert set(expected) == set(SIGNALS)
    for name, values in expected.items():
        found = make_signal(name, 50, seed=4)
        assert (found.shape, found.dtype) == ((50, 1), torch.float64)
        max_diff = np.abs(found.numpy()[:, 0] - values).max()
        assert max_diff < 1e-14, f"{name}: {max_diff=:.1e}"
        if name != "noise":
            assert torch.equal(make_signal(name, 50, seed=5), found)
    assert make_signal("step", 2).ravel().tolist() == [1.0, 1.0]
    noise = make_signal("noise", 100_000, seed=0)
    assert abs(noise.mean().item()) < 0.01
    assert abs(noise.std().item() - 1) < 0.01


def test_an_unknown_signal_raises():
    assert message(lambda: make_signal("saw", 5)) == (
        'The signal is "saw"; it must be one of noise, impulse, step, sine, square, gap. Choose '
        "one of these."
    )


# Edits


@st.composite
def edits(draw: st.DrawFn) -> Edit:
    cell = draw(st.sampled_from(CELLS))
    value = draw(st.floats(allow_nan=False, allow_infinity=False))
    row, column = draw(st.integers(0, 9)), draw(st.integers(0, 9))
    return Edit(cell, draw(st.sampled_from(GATE_NAMES[cell])), row, column, value)


@given(st.lists(edits(), min_size=1, max_size=6, unique_by=lambda edit: edit.place))
def test_edits_are_read_back_from_their_text(several: list[Edit]):
    text = value_text(tuple(several))
    assert read_edits(text) == tuple(several)
    assert re.fullmatch(r"[\w.:,+-]+", text), "an address needs no escapes"
    assert read_edits(tuple(several)) == tuple(several)


@given(st.lists(edits(), min_size=1, max_size=6))
def test_the_last_edit_of_an_entry_wins(several: list[Edit]):
    found: tuple[Edit, ...] = ()
    for edit in several:
        found = with_edit(found, edit)
    assert {edit.place: edit for edit in found} == {edit.place: edit for edit in several}
    assert len({edit.place for edit in found}) == len(found)
    assert read_edits(",".join(map(str, several))) == found


@pytest.mark.parametrize(
    "text",
    [
        "",
        ",",
        "rnn.hidden.0.1",
        "rnn.hidden.0.1:",
        "rnn.hidden.0.1:one",
        "rnn.hidden.0.1:nan",
        "rnn.hidden.0.1:inf",
        "rnn.hidden.0.1:-1e999",
        "rnn.hidden.10.0:1",
        "rnn.hidden.-1.0:1",
        "rnn.hidden.0:1",
        "lstm.hidden.0.0:1",
        "rnn.forget_gate.0.0:1",
        "cnn.hidden.0.0:1",
        "rnn.hidden.0.1:1,",
        "rnn.hidden.0.1:1;rnn.hidden.0.0:1",
        "rnn.hidden.٠.1:1",
        " rnn.hidden.0.1:1",
    ],
)
def test_an_invalid_edit_raises(text: str):
    with pytest.raises(ValueError):  # noqa: PT011  # the page words the problem
        read_edits(text)
    settings, (problem,) = GradientsPage.from_query({"edit": text})
    assert settings.edit == ()
    assert problem.key == "error.query_edit"
    assert str(problem).startswith(f"The link asks for edit={text}, which must be cell.gate.row.")


def test_an_edit_of_a_missing_weight_is_reported():
    query = {"hidden": "3", "edit": "rnn.hidden.0.1:2.5,gru.update_gate.3.0:1"}
    settings, (problem,) = GradientsPage.from_query(query)
    assert settings.edit == (Edit("rnn", "hidden", 0, 1, 2.5),)
    assert problem.key == "error.query_edit_place"
    assert "gru.update_gate.3.0:1.0" in str(problem)
    assert settings.to_query()["edit"] == "rnn.hidden.0.1:2.5"


@pytest.mark.parametrize(("hidden", "last"), [(2, 1), (8, 7), (9, None), (256, None)])
def test_which_weights_can_be_edited(hidden: int, last: int | None):
    for place in range(10):
        fits = last is not None and place <= last
        assert Edit("rnn", "hidden", place, 0, 1.0).fits(hidden) == fits
        assert Edit("rnn", "hidden", 0, place, 1.0).fits(hidden) == fits


# Scenes: the claims of their texts


class Scene:
    """One scene's networks, run once."""

    def __init__(self, name: str) -> None:
        self.settings = SCENES[name]
        self.traces = run_networks(self.settings)

    def norms(self, cell: str) -> Values:
        """log₁₀ ‖∂L/∂h_t‖."""
        return rnnviz.gradient_norms(self.traces[cell])["hidden_state"].values[0, 0, :, 0]

    def lost(self, cell: str) -> float:
        """Decades that the gradient loses from the last step to the first."""
        norms = self.norms(cell)
        return float(norms[-1] - norms[0])

    def decay(self, cell: str) -> float:
        return diagnose(self.traces[cell]).decay

    def memory(self, cell: str) -> int:
        return remembered_steps(self.traces[cell])


def forget_gate(scene: Scene) -> float:
    return float(scene.traces["lstm"]["forget_gate"].mean())


def test_every_scene_has_texts_and_an_address():
    for language in ("en", "ko"):
        words = labels(language)
        said = {key for key in words if re.fullmatch(r"scene\.[a-z_]+", key)}
        names = {key for key in said if not key.endswith("_words")}
        assert names == {f"scene.{name}" for name in SCENES}
        assert said - names == {f"scene.{name}_words" for name in SCENES}
    for scene in SCENES.values():
        assert GradientsPage.from_query(scene.to_query()) == (scene, [])
    assert SCENES["torch_default"] == GradientsPage()


def test_torchs_default_forgets_in_all_three():
    """The plain RNN fastest, but the LSTM and the GRU not much slower."""
    scene = Scene("torch_default")
    decays = {cell: scene.decay(cell) for cell in CELLS}
    assert {diagnose(trace).verdict for trace in scene.traces.values()} == {"vanishing"}
    assert decays["rnn"] == max(decays.values())
    assert min(decays.values()) > 0.7 * decays["rnn"]
    assert all(scene.memory(cell) < 10 for cell in CELLS)


def test_a_sigmoid_shrinks_the_gradient_more_than_threefold_per_step():
    scene = Scene("sigmoid")
    trace = scene.traces["rnn"]
    bound = rnnviz.pascanu_bound(trace)
    assert bound.gamma == 0.25
    assert bound.vanishing_is_certain
    assert bound.gamma * bound.largest_singular_value < 1 / 3
    slopes = np.diff(scene.norms("rnn"))
    assert (slopes > math.log10(3)).all()
    assert plain_pass(trace).lost == Lost(46, "0"), "after 53 steps, a few dozen"
    assert len(slopes) == 99


def test_a_relu_of_gain_1_1_grows_10_percent_per_step_until_float32_overflows():
    scene = Scene("exploding")
    trace = scene.traces["rnn"]
    jacobians = rnnviz.jacobians(trace)
    assert np.array_equal(jacobians[-1], np.diag(np.diagonal(jacobians[-1])))
    assert set(np.diagonal(jacobians[-1])) <= {0.0, 1.1}
    steps = np.diff(scene.norms("rnn")[:-1])
    assert np.abs(steps[-1000:] + math.log10(1.1)).max() < 1e-12
    assert plain_pass(trace).lost == Lost(scene.settings.length - 1 - 931, "inf")
    assert diagnose(trace).verdict == "exploding"


def test_orthogonal_weights_keep_the_norm_and_have_eigenvalues_on_the_unit_circle():
    scene = Scene("orthogonal")
    norms = scene.norms("rnn")
    assert np.abs(norms - math.log10(4)).max() < 1e-12
    spectrum = rnnviz.recurrent_spectra(scene.traces["rnn"])["hidden"]
    assert np.abs(np.abs(spectrum.eigenvalues) - 1).max() < 1e-12
    assert np.abs(spectrum.singular_values - 1).max() < 1e-12
    exponents = rnnviz.lyapunov_exponents(rnnviz.jacobians(scene.traces["rnn"]))
    assert np.abs(exponents).max() < 1e-12


def test_an_identity_relu_keeps_the_gradient_of_active_units():
    trace = Scene("irnn").traces["rnn"]
    h = trace["hidden_state"].values[0, 0, :, 0]
    gradient = trace["grad_hidden_state"].values[0, 0, :, 0]
    assert np.array_equal(h, np.broadcast_to(h[0], h.shape))
    alive = h[0] > 0
    assert 0 < alive.sum() < len(alive)
    assert (gradient[:, alive] == 1).all()
    assert (gradient[:-1, ~alive] == 0).all()


def test_a_non_normal_matrix_grows_for_nine_steps_before_it_falls():
    scene = Scene("non_normal")
    trace = scene.traces["rnn"]
    spectrum = rnnviz.recurrent_spectra(trace)["hidden"]
    assert spectrum.eigenvalues.tolist() == [0.9, 0.9]
    assert spectrum.singular_values[0] > 5
    assert trace.parameters["weight_hh_l0"].tolist() == [[0.9, 5.0], [0.0, 0.9]]
    for norms in (scene.norms("rnn")[::-1], rnnviz.backward_norms(rnnviz.jacobians(trace))[::-1]):
        slopes = np.diff(norms)
        assert (slopes[:9] > 0).all()
        assert (slopes[9:] < 0).all()


def test_a_forget_bias_of_minus_1_forgets_faster_than_the_plain_rnn():
    scene = Scene("forget_minus")
    assert abs(forget_gate(scene) - 0.27) < 0.02
    assert scene.decay("lstm") > 1.4 * scene.decay("rnn")
    assert scene.memory("lstm") < scene.memory("rnn")


def test_a_forget_bias_of_0_halves_the_gradient():
    scene = Scene("forget_zero")
    assert abs(forget_gate(scene) - 0.5) < 0.02
    product = rnnviz.split_cell_gradient(scene.traces["lstm"])["log10_forget_product"].values
    per_step = product[0, 0, 0, 0] / scene.settings.length
    assert np.abs(per_step - math.log10(0.5)).max() < 0.02


def test_a_forget_bias_of_1_remembers_more_than_twice_as_long_as_0():
    one, zero = Scene("forget_one"), Scene("forget_zero")
    assert abs(forget_gate(one) - 0.73) < 0.02
    assert one.memory("lstm") > 2 * zero.memory("lstm")
    assert zero.decay("lstm") > 2 * one.decay("lstm")
    assert diagnose(one.traces["lstm"]).half_life < 5
    assert one.memory("lstm") < 20


def test_a_forget_bias_of_3_loses_about_two_decades_in_a_hundred_steps():
    scene = Scene("forget_three")
    assert abs(forget_gate(scene) - 0.95) < 0.01
    assert scene.settings.length == 100
    assert 1.5 < scene.lost("lstm") < 2.5
    assert scene.lost("rnn") > 20


def test_chrono_keeps_the_gradient_over_a_thousand_steps():
    scene = Scene("chrono")
    assert scene.settings.length == 1000
    spans = np.exp(summed_bias("lstm", build_network(scene.settings, "lstm"), "forget_gate"))
    assert spans.min() >= 1
    assert 500 < spans.max() <= 999 + 1e-9
    assert len(set(spans)) == len(spans), "units have different time spans"
    for cell in ("lstm", "gru"):
        assert scene.lost(cell) < 5
        assert scene.memory(cell) == 1000
        assert plain_pass(scene.traces[cell]).lost is None
    assert scene.lost("rnn") > 200
    lost = plain_pass(scene.traces["rnn"]).lost
    assert lost is not None
    assert lost.shows == "0"
    assert lost.time > 800


def test_the_memory_of_untrained_networks_against_the_claim():
    """The RNN's 10 steps are about right; the default LSTM forgets as fast; open gates remember."""
    settings = SCENES["claim"]
    assert settings.claim
    assert CLAIMED == {"rnn": 10, "lstm": 1000}
    found = [measure_claim(settings, name) for name in VARIANTS]
    assert holds({part.name: part for part in found})  # what the page then says
    assert [(part.name, part.cell) for part in found] == [
        (name, cell) for name, (cell, _) in VARIANTS.items()
    ]
    assert {len(part.steps) for part in found} == {5}
    assert {part.length for part in found} == {2000}
    medians = {part.name: float(np.median(part.steps)) for part in found}
    assert 5 <= medians["rnn"] <= 10
    assert 0.5 * medians["rnn"] <= medians["lstm"] <= 1.5 * medians["rnn"]
    assert medians["lstm"] < medians["lstm_one"] < medians["lstm_three"] < 1000
    for name in ("lstm_chrono", "gru_chrono"):
        assert medians[name] == 2000
    (plain,) = (part for part in found if part.name == "lstm")
    for place in range(2):  # the settings' seed is the first
        own = NetworkSettings(length=2000, seed=place)
        trace = rnnviz.trace(build_network(own, "lstm"), make_inputs(own), loss="last")
        assert plain.steps[place] == remembered_steps(trace)


def test_the_claim_depends_only_on_sizes_and_seed():
    """It ignores the page's gain, loss, initialisation and forget bias."""
    settings = NetworkSettings(hidden=4, length=30, seed=2)
    changed = settings.model_copy(
        update={"gain": 2.0, "loss": "all", "init": "orthogonal", "forget_bias": 5.0}
    )
    assert claimed_of(settings) == claimed_of(changed)
    first = measure_claim(settings, "lstm")
    assert first == measure_claim(changed, "lstm")
    assert first != measure_claim(settings.model_copy(update={"seed": 3}), "lstm")


def test_the_seeds_of_the_claim_wrap_around():
    settings = NetworkSettings(hidden=4, length=30, seed=9998)
    found = measure_claim(settings, "gru")
    around = measure_claim(settings.model_copy(update={"seed": 0}), "gru")
    assert found.steps[2:] == around.steps[:3]


def test_the_claim_holds_only_in_long_enough_sequences():
    """In a sequence of 4 steps nothing is forgotten."""
    settings = NetworkSettings(hidden=4, length=4)
    assert not holds({name: measure_claim(settings, name) for name in VARIANTS})


# Norms and exponents at every size


def test_which_sizes_are_expensive():
    """Exact norms cost S³ T, bounds S² T."""
    traces = run_networks(NetworkSettings(hidden=64, length=500))
    assert stability_limits.seconds_of(traces["rnn"]) == pytest.approx(64**3 * 500 / 1.2e9)
    large = run_networks(NetworkSettings(hidden=256, length=200))["lstm"]
    assert stability_limits.seconds_of(large) == pytest.approx(512**2 * 200 / 6e7)


@pytest.mark.parametrize("cell", CELLS)
def test_stability_is_exact_where_it_is_cheap(cell: str):
    trace = run_networks(NetworkSettings(hidden=6, length=40))[cell]
    states = 12 if cell == "lstm" else 6
    assert stability_limits.cost_of(trace) == states**3 * 40 <= stability_limits.EXACT
    reported: list[tuple[int, int]] = []

    def progress(done: int, of: int) -> None:
        reported.append((done, of))

    found = stability_limits.measure_stability(trace, progress=progress)
    jacobians = rnnviz.jacobians(trace)
    assert np.array_equal(found.norms, rnnviz.backward_norms(jacobians))
    assert np.array_equal(found.exponents, rnnviz.lyapunov_exponents(jacobians))
    assert (found.apart, found.states) == (0.0, states)
    assert reported == sorted(reported)
    assert {of for _, of in reported} == {100}
    assert 0 <= reported[0][0] < 50 < reported[-1][0] <= 100
    assert np.array_equal(stability_limits.measure_stability(trace).norms, found.norms)


@pytest.mark.parametrize("cell", CELLS)
def test_stability_is_bounded_where_it_is_expensive(cell: str, monkeypatch: pytest.MonkeyPatch):
    settings = NetworkSettings(hidden=24, length=300, forget_bias=1.0)
    trace = run_networks(settings)[cell]
    monkeypatch.setattr(stability_limits, "EXACT", 0)
    reported: list[int] = []
    found = stability_limits.measure_stability(
        trace, progress=lambda done, _: reported.append(done)
    )
    jacobians = rnnviz.jacobians(trace)
    exact = rnnviz.backward_norms(jacobians)
    assert found.norms.shape == (301,)
    assert (found.norms <= exact + 1e-9).all()
    assert (exact <= found.norms + found.apart + 1e-9).all()
    assert 0 <= found.apart < 0.1
    assert np.array_equal(found.norms[-65:], exact[-65:])
    assert found.exponents.shape == (stability_limits.LEADING,)
    every = rnnviz.lyapunov_exponents(jacobians, warmup=30)[: stability_limits.LEADING]
    assert np.abs(found.exponents[:4] - every[:4]).max() < 0.02
    assert np.abs(found.exponents - every).max() < 0.1
    assert found.states == len(jacobians[0])
    assert reported == sorted(reported)
    assert 0 <= reported[0] < reported[-1] <= 100


def test_bounds_of_exact_zeros(monkeypatch: pytest.MonkeyPatch):
    """Every unit of this ReLU is off at some step: all gradients before it are 0."""
    settings = NetworkSettings(hidden=24, init="identity", nonlinearity="relu")
    trace = run_networks(settings)["rnn"]
    monkeypatch.setattr(stability_limits, "EXACT", 0)
    found = stability_limits.measure_stability(trace)
    exact = rnnviz.backward_norms(rnnviz.jacobians(trace))
    assert np.isneginf(exact).sum() > 30
    assert np.array_equal(np.isneginf(found.norms), np.isneginf(exact))
    assert np.isneginf(found.exponents).all()
    there = np.isfinite(exact)
    assert (found.norms[there] <= exact[there] + 1e-9).all()
    assert (exact[there] <= found.norms[there] + found.apart + 1e-9).all()


@pytest.mark.parametrize("exact", [0.0, 2e10])
def test_stability_can_be_cancelled(exact: float, monkeypatch: pytest.MonkeyPatch):
    trace = run_networks(NetworkSettings(hidden=4, length=20))["gru"]
    monkeypatch.setattr(stability_limits, "EXACT", exact)
    for last in (0, 60, 90):
        said = message(
            lambda last=last: stability_limits.measure_stability(
                trace, progress=lambda done, _: done < last
            )
        )
        assert re.fullmatch(
            r"The computation was cancelled at time step \d+. Start it again to get a result.", said
        )


def test_leading_exponents_are_the_first_of_the_full_spectrum():
    """With tied weights: ln of the eigenvalues' moduli, for any starting directions."""
    u = np.diag([1.2, 0.9, 0.5, 0.1]) + np.triu(np.full((4, 4), 0.3), 1)
    jacobians = np.broadcast_to(u, (600, 4, 4))
    expected = np.log([1.2, 0.9, 0.5, 0.1])
    for leading in (1, 2, 3):
        found = rnnviz.lyapunov_exponents(jacobians, leading=leading, warmup=200)
        assert found.shape == (leading,)
        assert np.abs(found - expected[:leading]).max() < 1e-12
    for leading in (None, 4, 5):
        found = rnnviz.lyapunov_exponents(jacobians, leading=leading)
        assert np.array_equal(found, rnnviz.lyapunov_exponents(jacobians))
    dead = np.broadcast_to(np.diag([0.5, 0.0, 0.0]), (50, 3, 3))
    found = rnnviz.lyapunov_exponents(dead, leading=2, warmup=1)
    assert abs(found[0] - math.log(0.5)) < 1e-12
    assert found[1] == -math.inf
    for leading in (0, -1):
        said = message(lambda n=leading: rnnviz.lyapunov_exponents(dead, leading=n))
        assert (
            said
            == f"leading is {leading}; expected an integer of at least 1. Choose another number."
        )
