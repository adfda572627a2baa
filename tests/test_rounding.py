"""The replay check in every float type: rounding is accepted, a visible error is refused."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import rnnviz
from rnnviz.engine import replay_check, rounding, run

DTYPES = [torch.bfloat16, torch.float16, torch.float32, torch.float64]
STACKS: dict[str, Callable[..., nn.RNNBase]] = {
    "tanh": nn.RNN,
    "relu": lambda *sizes, **options: nn.RNN(*sizes, nonlinearity="relu", **options),
    "lstm": nn.LSTM,
    "gru": nn.GRU,
}
EVERY = pytest.mark.parametrize("form", STACKS)
IN_EVERY = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: str(dtype)[6:])


@IN_EVERY
@EVERY
def test_honest_modules_stay_within_half_of_the_tolerance(
    form: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
):
    """Over sizes, layers, directions, projections, gains and forget biases."""
    ratios: list[float] = []

    def measured(cell: Any, part: Any, sequence: Any) -> float:
        difference = (torch.from_numpy(part.steps.replayed) - part.steps.hidden).abs()
        if sequence.valid is not None:
            difference = difference.where(sequence.valid[:, :, None], 0.0)
        ratio = difference / rounding.rounding(cell, part, dtype)
        ratios.append(float(ratio.nan_to_num(0.0).max()))
        return replay_check.check_replay(cell, part, sequence)

    monkeypatch.setattr(run, "check_replay", measured)
    for seed in range(6):
        module, x, lengths = honest(form, seed)
        rnnviz.trace(module.to(dtype), x.to(dtype), lengths=lengths)
    assert len(ratios) > 6
    assert max(ratios) < 0.5


def honest(form: str, seed: int) -> tuple[nn.RNNBase, Tensor, Any]:
    torch.manual_seed(seed)
    hidden, steps, batch = ((1, 3, 17, 64)[seed % 4], (200, 1, 40)[seed % 3], 1 + 2 * (seed % 2))
    options: dict[str, Any] = {"bidirectional": seed % 2 == 1, "bias": seed != 3}
    if form == "lstm" and seed > 2 and hidden > 1:
        options["proj_size"] = hidden // 2
    module = STACKS[form](3, hidden, 1 + seed % 2, **options)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            parameter.mul_((1.0, 0.3, 3.0)[seed % 3])
            if form == "lstm" and seed == 4 and "bias_ih" in name:
                parameter[hidden : 2 * hidden] += 4  # forget gates near 1: errors add up in c
    return module, torch.randn(steps, batch, 3), [steps] + [1] * (batch - 1) if batch > 1 else None


Change = Callable[[Tensor], Tensor]
CHANGES: dict[str, Change] = {
    "negated": lambda y: -y,
    "a tenth larger": lambda y: 1.1 * y,
    "shifted": lambda y: y + 0.1,
    "delayed": lambda y: y.roll(1, 0),
    "units swapped": lambda y: y.flip(-1),
    "sequences swapped": lambda y: y.flip(1),
    "rectified": torch.relu,
    "one step zeroed": lambda y: y * (torch.arange(len(y)) != 7)[:, None, None],
    "one unit of one step": lambda y: (
        y
        + 0.1
        * torch.eye(y[0].numel())[0].view(y[0].shape)
        * (torch.arange(len(y)) == 11)[:, None, None]
    ),
}


@pytest.mark.parametrize("own", [False, True], ids=["torch", "own cells"])
@pytest.mark.parametrize("size", [1.0, 1e-3], ids=["", "small"])
@IN_EVERY
@EVERY
def test_a_visible_error_is_refused(form: str, dtype: torch.dtype, size: float, own: bool):
    """Also if all states are a thousandth of their usual size."""
    torch.manual_seed(0)
    shifts = {"shifted", "one unit of one step"}  # these do not shrink with the states
    changes = set(CHANGES) - (shifts if size < 1 else set())
    if own:
        changes &= {"negated", "a tenth larger", "one unit of one step"}
    if form == "relu":
        changes -= {"rectified"}  # which changes nothing
    for name in sorted(changes):
        change = CHANGES[name]
        stack, x = STACKS[form](3, 8).to(dtype), size * torch.randn(20, 2, 3).to(dtype)
        if size < 1:
            nn.init.zeros_(stack.get_parameter("bias_ih_l0"))
            nn.init.zeros_(stack.get_parameter("bias_hh_l0"))
        module: Any = rnnviz.Recurrent.of(stack) if own else stack
        forward = module.forward
        module.forward = lambda *a, f=forward, change=change: (change(f(*a)[0]).to(dtype), None)
        with pytest.raises(rnnviz.RnnvizError) as caught:
            rnnviz.trace(module, x)
        assert caught.value.key == "error.replay", name
        error, tolerance = (float(str(caught.value.values[n])) for n in ("error", "tolerance"))
        assert error > tolerance, name


def test_half_precision_tolerances_are_a_few_spacings_of_the_states(
    monkeypatch: pytest.MonkeyPatch,
):
    """2.5 to 110 for states within 1 would accept any module."""
    tolerances: list[float] = []

    def measured(cell: Any, part: Any, sequence: Any) -> float:
        tolerances.append(float(rounding.rounding(cell, part, sequence.x.dtype).max()))
        return replay_check.check_replay(cell, part, sequence)

    monkeypatch.setattr(run, "check_replay", measured)
    for form in STACKS:
        for dtype, most in ((torch.bfloat16, 0.06), (torch.float16, 0.008)):
            torch.manual_seed(0)
            module, x = STACKS[form](3, 16).to(dtype), torch.randn(100, 4, 3).to(dtype)
            trace = rnnviz.trace(module, x)
            assert trace.replay_error < tolerances[-1] < most, form


OVERFLOW = (
    "The sums of products in this network reach beyond {}, the largest number of {}. The result "
    "then depends on the order of summation, so there is no trace. Make the weights or the inputs "
    "smaller, or convert both to a type of wider range, for example with module.double()."
)


@pytest.mark.parametrize(
    ("dtype", "size", "largest"),
    [(torch.float32, 3e38, "3.4e+38"), (torch.float16, 6e4, "6.6e+04")],
)
def test_weights_near_the_largest_number_overflow_and_this_is_said(
    dtype: torch.dtype, size: float, largest: str
):
    """One product is +inf and another −inf, so that their sum depends on the order."""
    module: Any = nn.RNN(2, 2, bias=False).to(dtype)
    with torch.no_grad():
        module.get_parameter("weight_ih_l0").copy_(torch.tensor([[1.0, 1.0], [1.0, 1.0]]) * size)
        module.get_parameter("weight_hh_l0").copy_(torch.tensor([[-1.0, -1], [-1, -1]]) * size)
    x = torch.full((4, 1, 2), 1.0).to(dtype)
    own = module.forward
    module.forward = lambda *given: (own(*given)[0] * float("nan"), None)  # another order's result
    with pytest.raises(rnnviz.RnnvizError) as caught:
        rnnviz.trace(module, x)
    assert str(caught.value) == OVERFLOW.format(largest, str(dtype)[6:])
    assert "넘습니다" in caught.value.message("ko")
