"""The loss, and its derivatives by the output sequence and by the final state."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from rnnviz.engine.sequences import Sequence
from rnnviz.engine.state_layout import lay_out_state
from rnnviz.errors import RnnvizError, described
from rnnviz.recurrent import packed_like
from rnnviz.torch_names import dtype_name

Loss = str | Callable[..., Tensor] | None
LOSSES = ("last", "all", "final")
TARGETS = ("target", "targets", "label", "labels", "y_true")  # second parameters of a criterion
Layers = list[Tensor]  # a state by layer, (direction, batch, unit)


class LossGradients(NamedTuple):
    """The loss and its derivatives, in float64 on the CPU.

    output: ∂ℓ/∂output, (time, batch, directions · unit), 0 where padded. final: ∂ℓ/∂h_n, and
    ∂ℓ/∂c_n of an LSTM, by layer; None if the loss does not read the final state.
    """

    value: float
    output: Tensor
    final: list[Layers] | None


def differentiate_loss(
    loss: str | Callable[..., Tensor],
    output: Tensor,
    final: Callable[[], list[Layers]],
    sequence: Sequence,
    outside: Mapping[str, Tensor],
) -> LossGradients:
    """The loss and its derivatives.

    loss: "last", "all", "final", or a callable to a scalar tensor: of the output sequence or, if it
    has a second positional parameter without a default, of the output sequence and the final state.
    output: (time, batch, directions · unit), 0 where padded. final: returns h_n, and c_n of an
    LSTM; called only if the loss reads them. outside: by name, what the recorded gradients go back
    to; RnnvizError if a callable depends on one of these other than by its arguments.
    """
    if callable(loss):
        return _differentiate_callable(loss, output, final, sequence, outside)
    if not isinstance(loss, str) or loss not in LOSSES:  # pyright: ignore[reportUnnecessaryIsInstance]  # a user may pass anything
        raise RnnvizError("error.loss_name", came=described(loss), expected=", ".join(LOSSES))
    y = output.detach().double()
    if loss == "final":
        states = final()
        ones = [
            [torch.full_like(h, k == 0, dtype=torch.float64) for h in s]
            for k, s in enumerate(states)
        ]
        value = sum(float(h.double().sum()) for h in states[0])
        return LossGradients(value, torch.zeros_like(y).cpu(), ones)
    weight = torch.zeros(y.shape[:2], dtype=torch.float64, device="cpu")
    valid = sequence.valid
    if loss == "all":
        weight[:] = 1 if valid is None else valid
    else:
        last = -1 if valid is None else sequence.counts - 1
        weight[last, torch.arange(y.shape[1], device="cpu")] = 1
        if valid is not None:  # a sequence may have no step
            weight[~valid] = 0
    weight = weight[:, :, None].to(y.device)
    value = y.where(weight > 0, 0.0).sum()  # no product: 0 · inf is NaN
    return LossGradients(float(value), weight.expand_as(y).contiguous().cpu(), None)


def _differentiate_callable(
    loss: Callable[..., Tensor],
    output: Tensor,
    final: Callable[[], list[Layers]],
    sequence: Sequence,
    outside: Mapping[str, Tensor],
) -> LossGradients:
    y = output.detach().clone().requires_grad_()  # a copy: the callable may keep or change it
    states = final() if _reads_state(loss) else []
    ends = [[h.to(y, copy=True).requires_grad_() for h in layers] for layers in states]
    with torch.enable_grad():
        given = [_as_returned(y, sequence)]
        if ends:
            layout = {"batched": sequence.batched, "is_cell": sequence.is_cell}
            given.append(lay_out_state(ends, **layout))
        value: Any = _call(loss, given)
    _check_value(value)
    leaves = [y, *(h for layers in ends for h in layers)]
    learned = {name: values for name, values in outside.items() if values.requires_grad}
    found: list[Tensor | None] = [None] * (len(leaves) + len(learned))
    if value.requires_grad:
        of = [*leaves, *learned.values()]
        try:
            found = list(torch.autograd.grad(value, of, allow_unused=True))
        except Exception as error:  # of a user's own backward
            raise _failed(loss, given, error) from error
    found, direct = found[: len(leaves)], found[len(leaves) :]
    if all(gradient is None for gradient in found):
        raise RnnvizError("error.loss_independent")
    read = [name for name, g in zip(learned, direct, strict=True) if g is not None]
    if read:
        raise RnnvizError("error.loss_reads", names=", ".join(read))
    exact = [
        (torch.zeros_like(leaf) if g is None else g).detach().double().cpu()
        for leaf, g in zip(leaves, found, strict=True)
    ]
    _check_derivatives(exact, sequence)
    by_output, *by_state = exact
    layers = len(sequence.h)
    by_layer = [by_state[k : k + layers] for k in range(0, len(by_state), layers)]
    return LossGradients(float(value.detach()), by_output.contiguous(), by_layer or None)


def _call(loss: Callable[..., Tensor], given: list[Any]) -> Any:
    """What a loss returns. RnnvizError with what it was called with if it fails."""
    try:
        return loss(*given)
    except RnnvizError:
        raise
    except Exception as error:
        raise _failed(loss, given, error) from error


def _failed(loss: Callable[..., Tensor], given: list[Any], error: Exception) -> RnnvizError:
    what = f"{type(error).__name__}: {error}"
    names = ", ".join(map(_written, given))
    return RnnvizError("error.loss_fails", loss=_name_of(loss), given=names, error=what)


def _name_of(loss: Callable[..., Tensor]) -> str:
    return getattr(loss, "__name__", type(loss).__name__)


def _written(given: Any) -> str:
    """The type and shape of an argument, of a tuple those of its parts."""
    if isinstance(given, PackedSequence):
        return f"PackedSequence {tuple(given.data.shape)}"
    if isinstance(given, tuple):
        return f"({', '.join(map(_written, given))})"
    return f"Tensor {tuple(given.shape)}"


def _check_value(value: Any) -> None:
    """RnnvizError unless it is one real number of autograd."""
    if not isinstance(value, Tensor) or value.numel() != 1:
        came = type(value).__name__
        if isinstance(value, Tensor):
            came += f" {tuple(value.shape)}"
        raise RnnvizError("error.loss_shape", came=came)
    if not value.is_floating_point():
        raise RnnvizError("error.loss_dtype", came=dtype_name(value.dtype))


def tensors_of(name: str, given: Any) -> dict[str, Tensor]:
    """The tensors of inputs or of a state as a module takes them, by name."""
    if isinstance(given, PackedSequence):
        given = given.data
    parts: Any = given if isinstance(given, tuple | list) else (given,)
    tensors = [part for part in parts if isinstance(part, Tensor)]
    return {name if k == 0 else f"{name}[{k}]": part for k, part in enumerate(tensors)}


def _reads_state(loss: Callable[..., Tensor]) -> bool:
    """Whether a loss takes the final state: it has two positional parameters without defaults.

    RnnvizError for one of (input, target), as torch's criteria are, and for one that takes more.
    """
    try:
        signature = inspect.signature(loss.forward if isinstance(loss, nn.Module) else loss)
    except (TypeError, ValueError):  # a builtin
        return False
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [
        p for p in signature.parameters.values() if p.kind in positional and p.default is p.empty
    ]
    takes_target = len(needed) > 1 and needed[1].name in TARGETS
    if isinstance(loss, nn.modules.loss._Loss) or takes_target:  # pyright: ignore[reportPrivateUsage]  # has no public name
        names = ", ".join(p.name for p in needed)
        raise RnnvizError("error.loss_criterion", loss=_name_of(loss), names=names)
    return len(needed) >= 2


def _as_returned(output: Tensor, sequence: Sequence) -> Any:
    """The output as the module returns it, 0 where padded; masked: see ``_at_all_steps``."""
    valid = sequence.valid
    if valid is not None:
        output = output.where(valid[:, :, None].to(output.device), 0.0)
    if sequence.packed is not None and valid is not None:
        return packed_like(sequence.packed, output, valid)
    if sequence.mask is not None:
        output = _at_all_steps(output, sequence.mask, len(sequence.h[0]))
    return sequence.laid_out(output)


def _at_all_steps(output: Tensor, mask: Tensor, directions: int) -> Tensor:
    """The output at all steps of the input, with those that Keras has at masked ones.

    In one direction the output of the step read before it, 0 if there is none; in two directions 0.
    """
    mask = mask.to(output.device)
    before, batch = mask.cumsum(0) - 1, torch.arange(mask.shape[1], device=output.device)
    shown = before >= 0 if directions == 1 else mask
    rows = output[before.clamp(0), batch]
    return rows.where(shown[:, :, None], 0.0)


def _check_derivatives(exact: list[Tensor], sequence: Sequence) -> None:
    bad = sum(int((~g.isfinite()).sum()) for g in exact)
    if bad:
        y = exact[0]
        of = y.numel() if sequence.valid is None else int(sequence.valid.sum()) * y.shape[2]
        of += sum(g.numel() for g in exact[1:])
        raise RnnvizError("error.loss_derivative", bad=bad, of=of)
