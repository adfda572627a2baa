"""A trace shows what a call of the module computes: its hooks, parametrizations, own forward."""

import threading
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune

import rnnviz
from rnnviz.cells import GRUCell, LSTMCell

Made = Callable[[nn.Module, str], Any]
STACKS = [nn.RNN, nn.LSTM, nn.GRU]
CELLS = [nn.RNNCell, nn.LSTMCell, nn.GRUCell, LSTMCell, GRUCell]


def weight_normed(module: nn.Module, name: str) -> nn.Module:
    """By the hook that torch has deprecated."""
    with pytest.warns(FutureWarning, match="weight_norm"):
        return nn.utils.weight_norm(module, name)


def pruned(module: nn.Module, name: str) -> nn.Module:
    return prune.l1_unstructured(module, name, 0.5)


def halved(module: Any, name: str) -> nn.Module:
    """A hook of one's own: the weight is half of another parameter."""
    module.raw = nn.Parameter(module.get_parameter(name).detach())
    del module._parameters[name]
    setattr(module, name, module.raw.detach())
    module.register_forward_pre_hook(lambda own, _: setattr(own, name, 0.5 * own.raw))
    return module


def bound(module: Any, name: str) -> nn.Module:
    """As ``halved``, by a hook that refers to the module itself and ignores its argument."""
    halved(module, name)._forward_pre_hooks.clear()
    module.register_forward_pre_hook(lambda *_: setattr(module, name, 0.5 * module.raw))
    return module


MAKERS: dict[str, Made] = {
    "weight_norm": weight_normed,
    "spectral_norm": nn.utils.spectral_norm,
    "prune": pruned,
    "own hook": halved,
    "own hook by reference": bound,
    "parametrized weight_norm": parametrizations.weight_norm,
    "parametrized spectral_norm": parametrizations.spectral_norm,
}
MAKES = pytest.mark.parametrize("maker", MAKERS)


def trained(module: nn.Module, x: Tensor) -> nn.Module:
    """After one training step, from which on the weight that a hook left behind is stale."""
    output = module(x)[0]
    optimizer = torch.optim.SGD(module.parameters(), 0.5)
    output.sum().backward()
    optimizer.step()
    optimizer.zero_grad()
    return module


def states(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


def loop(cell: nn.Module, x: Tensor) -> Tensor:
    """The hidden states of a cell that is called step after step."""
    state, hidden = None, []
    for x_t in x:
        state = cell(x_t, state)
        hidden.append(state[0] if isinstance(state, tuple) else state)
    return torch.stack(hidden)


def hidden_of(trace: rnnviz.Trace) -> np.ndarray:
    return np.concatenate(list(trace.array("hidden_state")[-1]), -1)


@MAKES
@pytest.mark.parametrize("stack", STACKS)
def test_the_weights_are_those_of_the_modules_next_call(maker: str, stack: Any):
    """spectral_norm takes a power iteration at a call in train mode, but not for the trace."""
    x = torch.randn(7, 2, 3).double()
    module = MAKERS[maker](stack(3, 4, 2).double(), "weight_hh_l0")
    trained(module, x)
    before, random = states(module), torch.get_rng_state()
    trace = rnnviz.trace(module, x, loss="last")
    assert all(torch.equal(value, before[name]) for name, value in states(module).items())
    assert torch.equal(torch.get_rng_state(), random)
    assert module.training
    with torch.no_grad():
        output = module(x)[0]  # advances spectral_norm's vectors
    assert np.array_equal(hidden_of(trace), output.numpy())


@MAKES
@pytest.mark.parametrize("cell", CELLS)
def test_the_weights_of_a_cell_are_those_of_eval_mode(maker: str, cell: Any):
    x = torch.randn(7, 2, 3).double()
    module = MAKERS[maker](cell(3, 4).double(), "weight_hh")
    optimizer = torch.optim.SGD(module.parameters(), 0.5)
    loop(module, x).sum().backward()
    optimizer.step()
    before = states(module)
    trace = rnnviz.trace(module, x)
    assert all(torch.equal(value, before[name]) for name, value in states(module).items())
    assert module.training
    with torch.no_grad():
        assert np.array_equal(hidden_of(trace), loop(module.eval(), x).numpy())


@pytest.mark.parametrize("maker", ["weight_norm", "spectral_norm", "prune", "own hook"])
def test_hooks_of_the_cells_inside_take_part(maker: str):
    x = torch.randn(6, 2, 3).double()
    module = rnnviz.Recurrent.of(nn.LSTM(3, 4, 2, bidirectional=True).double())
    MAKERS[maker](module.cells[1][1], "weight_hh")
    trained(module, x)
    trace = rnnviz.trace(module, x)
    with torch.no_grad():
        assert np.array_equal(hidden_of(trace), module.eval()(x)[0].numpy())


@MAKES
def test_gradients_parameters_and_holds_go_by_the_weights_that_were_used(maker: str):
    """Against a plain module with these weights."""
    x = torch.randn(6, 2, 3).double()
    module = trained(MAKERS[maker](nn.GRU(3, 4).double(), "weight_hh_l0"), x).eval()
    with torch.no_grad():
        module(x)
    plain = nn.GRU(3, 4).double()
    weights = {name: getattr(module, name).detach() for name in dict(plain.named_parameters())}
    plain.load_state_dict(weights)
    for options in ({"loss": "all"}, {"loss": "last", "hold": {"update_gate": 0.25}}):
        found, expected = (rnnviz.trace(m, x, **options) for m in (module, plain))  # pyright: ignore[reportArgumentType]  # mixed options
        assert found.names == expected.names
        for name in found:
            assert np.array_equal(found.array(name), expected.array(name)), name
        for name, values in rnnviz.parameter_gradients(expected).items():
            assert np.array_equal(rnnviz.parameter_gradients(found)[name], values), name
            assert np.array_equal(found.parameters[name], expected.parameters[name]), name


def test_the_example_of_a_halved_weight():
    module: Any = nn.RNN(1, 1, nonlinearity="relu", bias=False).double()
    for parameter in module.parameters():
        nn.init.ones_(parameter)
    weight_normed(module, "weight_hh_l0")
    module.weight_hh_l0_g.data.fill_(0.5)
    trace = rnnviz.trace(module, torch.ones(3, 1).double())
    assert trace.array("hidden_state").ravel().tolist() == [1, 1.5, 1.75]
    assert trace.parameters["weight_hh_l0"].tolist() == [[0.5]]


def dropping(module: nn.Module) -> None:
    """Weights dropped at random in train mode, and inputs too."""
    halved(module, "weight_hh_l0")._forward_pre_hooks.clear()

    def drop(own: Any, given: Any) -> Any:
        own.weight_hh_l0 = nn.functional.dropout(own.raw, 0.5, own.training)
        return (nn.functional.dropout(given[0], 0.5, own.training), *given[1:])

    module.register_forward_pre_hook(drop)


def test_what_hooks_draw_at_random_in_train_mode_is_traced_as_in_eval_mode():
    x, module = torch.randn(6, 2, 3), nn.GRU(3, 4)
    dropping(module)
    random = torch.get_rng_state()
    trace = rnnviz.trace(module, x)
    assert torch.equal(torch.get_rng_state(), random)
    assert module.training
    with torch.no_grad():
        assert np.array_equal(hidden_of(trace), module.eval()(x)[0].numpy())


INPUTS = (
    "A forward pre-hook of the module ({}) changes its inputs; a trace shows the inputs that are "
    "passed. Remove the hook and pass what it returns."
)
OUTPUT = (
    "A forward hook of the module ({}) changes its output; the gates would not give that output. "
    "Remove the hook and trace the module without it."
)
GRU = "torch.nn.modules.rnn.GRU"


def refusal(module: Any, **options: Any) -> str:
    x = torch.randn(6, 2, 3)
    before = x.clone()
    with pytest.raises(rnnviz.RnnvizError) as caught:
        rnnviz.trace(module, x, **options)
    assert torch.equal(x, before)
    assert module.training
    assert "forward" not in vars(module)
    return str(caught.value)


def double_in_place(_: Any, given: Any) -> None:
    given[0].mul_(2)


@pytest.mark.parametrize("hold", [None, {"reset_gate": 1.0}])
def test_hooks_that_change_the_inputs_or_the_output_are_refused(hold: Any):
    def hooked(hook: Callable[..., Any], *, before: bool) -> nn.Module:
        module = nn.GRU(3, 4)
        (module.register_forward_pre_hook if before else module.register_forward_hook)(hook)
        return module

    inputs = [lambda _, given: (given[0] * 2, *given[1:]), double_in_place]
    outputs = [lambda *a: (a[2][0] + 1, a[2][1]), lambda *a: double_in_place(None, a[2])]
    for hook in inputs:
        assert refusal(hooked(hook, before=True), hold=hold) == INPUTS.format(GRU)
    for hook in outputs:
        assert refusal(hooked(hook, before=False), hold=hold) == OUTPUT.format(GRU)
    cell = nn.GRUCell(3, 4)
    cell.register_forward_hook(lambda *a: a[2] * 1.01)
    assert refusal(cell) == OUTPUT.format(f"{GRU}Cell")


def test_a_hook_on_all_modules_takes_part():
    register: Any = nn.modules.module.register_module_forward_hook
    handle = register(lambda *a: (a[2][0] + 1, a[2][1]))
    try:
        assert refusal(nn.GRU(3, 4)) == OUTPUT.format(GRU)
    finally:
        handle.remove()


def test_a_hook_may_trace_its_own_module():
    module, x, seen = nn.GRU(3, 4), torch.randn(6, 2, 3), []
    module.register_forward_hook(lambda own, given, _: seen.append(rnnviz.trace(own, given[0])))
    trace = rnnviz.trace(module, x)
    assert len(seen) == 1
    assert seen[0] == trace


# Forward methods of a user's own

NOT_THE_GATES = "These are not the gates that the module computes, so there is no trace."


class Negated(nn.GRU):
    def forward(self, *arguments: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]  # torch's is overloaded
        output, state = super().forward(*arguments)
        return -output, state


class NegatedCell(GRUCell):
    def forward(self, x: Tensor, state: Tensor | None = None) -> Tensor:
        return -super().forward(x, state)


def negated_instance() -> nn.Module:
    module: Any = nn.GRU(3, 4)
    own = module.forward
    module.forward = lambda *arguments: (-own(*arguments)[0], None)
    return module


def with_other_flat_weights() -> nn.Module:
    module = nn.GRU(3, 4)
    module._flat_weights[1] = nn.Parameter(-module._flat_weights[1])  # pyright: ignore[reportOptionalOperand]  # a weight
    return module


@pytest.mark.parametrize("hold", [None, {"update_gate": 0.5}, {"hidden_state": 0.0}])
@pytest.mark.parametrize(
    "make",
    [
        lambda: Negated(3, 4),
        lambda: NegatedCell(3, 4),
        lambda: rnnviz.Recurrent([[NegatedCell(3, 4)]]),
        negated_instance,
        with_other_flat_weights,
    ],
    ids=["class", "cell", "cell inside", "instance", "flat weights"],
)
def test_another_forward_is_refused_with_and_without_a_hold(make: Any, hold: Any):
    with pytest.raises(rnnviz.RnnvizError) as caught:
        rnnviz.trace(make(), torch.randn(6, 2, 3), hold=hold)
    assert NOT_THE_GATES in str(caught.value)


def test_a_replaced_forward_is_traced_if_it_computes_the_same_with_dropout_off():
    module: Any = nn.LSTM(3, 4, 2, dropout=0.5)
    x = torch.randn(6, 2, 3)
    own = module.forward
    module.forward = lambda *arguments: own(*arguments)
    kept = module.forward
    trace = rnnviz.trace(module, x)
    assert module.forward is kept
    assert module.training
    with torch.no_grad():
        assert np.array_equal(hidden_of(trace), module.eval()(x)[0].numpy())


class OnlyOutput(nn.LSTM):
    def forward(self, *arguments: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]  # torch's is overloaded
        return super().forward(*arguments)[0]


class Three(nn.LSTM):
    def forward(self, *arguments: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]  # torch's is overloaded
        output, (h, c) = super().forward(*arguments)
        return output, h, c


@pytest.mark.parametrize("lengths", [None, [6, 2]])
@pytest.mark.parametrize("kind", [OnlyOutput, Three])
def test_a_forward_that_returns_the_output_in_another_way_is_traced(kind: Any, lengths: Any):
    module, x = kind(3, 4), torch.randn(6, 2, 3)
    plain = nn.LSTM(3, 4)
    plain.load_state_dict(module.state_dict())
    expected = rnnviz.trace(plain, x, lengths=lengths, loss="last")
    found = rnnviz.trace(module, x, lengths=lengths, loss="last")
    assert all(np.array_equal(found.array(n), expected.array(n), equal_nan=True) for n in found)


class OneArgument(nn.LSTM):
    def forward(self, x: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]  # the error under test
        return super().forward(x)


class LastStep(nn.LSTM):
    def forward(self, *arguments: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]  # torch's is overloaded
        return super().forward(*arguments)[0][-1]


class InADict(nn.LSTM):
    def forward(self, *arguments: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]  # torch's is overloaded
        return {"output": super().forward(*arguments)[0]}


def test_a_forward_with_other_arguments_or_results_is_refused_by_name():
    here = "tests.test_hooks"
    assert refusal(OneArgument(3, 4)) == (
        f"A trace calls the module ({here}.OneArgument) with the arguments of torch.nn: inputs, "
        "state. This raised TypeError: OneArgument.forward() takes 2 positional arguments but 3 "
        "were given. Trace a standard torch.nn module with the same weights, or the recurrent "
        "module that this one uses inside."
    )
    returned = (
        "The module ({}) returned {}; expected Tensor (6, 2, 4) with the output of every time "
        "step, as a torch.nn module returns it. Return the output in that form, or trace a "
        "standard torch.nn module with the same weights."
    )
    assert refusal(LastStep(3, 4)) == returned.format(f"{here}.LastStep", "torch.Tensor (2, 4)")
    assert refusal(InADict(3, 4)) == returned.format(f"{here}.InADict", "dict")


def test_a_weight_that_another_module_makes_is_named():
    module = nn.LSTM(3, 4)
    del module._parameters["weight_hh_l0"]
    assert refusal(module) == (
        "The module (torch.nn.modules.rnn.LSTM) has no tensor weight_hh_l0, so another module or a "
        "hook makes it at each call. Call the whole model once and trace again, or load the "
        "weights into a standard torch.nn module."
    )


# Reading a module changes nothing in it


@pytest.mark.parametrize(
    "read",
    [rnnviz.count_parameters, rnnviz.Recurrent.of, lambda m: rnnviz.trace(m, torch.ones(2, 3))],
)
def test_reading_a_parametrized_module_in_train_mode_changes_nothing(read: Any):
    module = parametrizations.spectral_norm(nn.LSTM(3, 4), "weight_hh_l0")
    before = states(module)
    read(module)
    assert all(torch.equal(value, before[name]) for name, value in states(module).items())


def test_weights_that_are_computed_cannot_be_shared_or_initialised():
    hooked = weight_normed(nn.GRU(3, 4), "weight_hh_l0")
    with pytest.raises(rnnviz.RnnvizError) as caught:
        rnnviz.Recurrent.of(hooked)
    assert str(caught.value) == (
        "weight_hh_l0 of the module is made by a forward pre-hook at each call, so it cannot be "
        "shared. Remove the hook first, for example with torch.nn.utils.remove_weight_norm or "
        "prune.remove."
    )
    for module in (hooked, parametrizations.weight_norm(nn.GRU(3, 4), "weight_hh_l0")):
        with pytest.raises(rnnviz.RnnvizError) as caught:
            rnnviz.initialise.orthogonal(module, seed=0)
        assert str(caught.value) == (
            "weight_hh_l0 of the module is computed from other parameters by a hook or a "
            "parametrization, so values written to it are lost. Initialise the module before "
            "adding these, or remove them first, for example with "
            "torch.nn.utils.remove_weight_norm or prune.remove."
        )


@pytest.mark.parametrize("hooked", [False, True])
def test_one_module_in_train_mode_is_traced_from_eight_threads(hooked: bool):
    module, x = nn.LSTM(3, 8, 3, dropout=0.5), torch.randn(6, 2, 3)
    if hooked:
        nn.utils.spectral_norm(module, "weight_hh_l0")
    expected = rnnviz.trace(module, x, loss="last")
    before = states(module)
    found: list[Any] = []

    def work() -> None:
        for _ in range(2):
            try:
                found.append(rnnviz.trace(module, x, loss="last"))
            except rnnviz.RnnvizError as error:
                found.append(str(error))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 16
    assert all(trace == expected for trace in found)
    assert module.training
    assert all(torch.equal(value, before[name]) for name, value in states(module).items())


def compiled_in_place() -> nn.Module:
    """As after ``module.compile()``, with a compiled call that must not be used."""
    module = nn.LSTM(3, 4)
    module._compiled_call_impl = pytest.fail
    module.register_forward_hook(lambda *_: None)
    return module


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.LSTM(3, 4).requires_grad_(False),
        lambda: nn.LSTM(3, 4, 2, dropout=0.5).eval(),
        compiled_in_place,
    ],
    ids=["frozen", "eval", "compiled"],
)
def test_the_modes_of_a_module_make_no_difference(make: Any):
    module, x = make(), torch.randn(6, 2, 3)
    plain = nn.LSTM(3, 4, module.num_layers)
    plain.load_state_dict(module.state_dict())
    for context in (torch.inference_mode(), torch.no_grad(), torch.autocast("cpu")):
        with context:
            found = rnnviz.trace(module, x, loss="last")
        expected = rnnviz.trace(deepcopy(plain), x, loss="last")
        assert all(np.array_equal(found.array(n), expected.array(n)) for n in found)
