"""Cells with a step of their own: which they are, copies to compute with, and their parameters.

A class of one's own overrides ``step`` of a cell of this project. What it computes is known from
that step alone, so its derivatives are those of its step, by autograd at the recorded states.
"""

from collections.abc import Iterator
from copy import deepcopy
from inspect import Parameter, getattr_static, signature
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from rnnviz.cells import Cell, ElmanCell, GRUCell, HeldStep, LSTMCell
from rnnviz.errors import RnnvizError

STOCK = (ElmanCell, LSTMCell, GRUCell)
# What a class may define without changing what its step computes. A trace compares forward with
# the steps.
NEUTRAL = {"extra_repr", "forward"}
STANDARD = (
    "weight_ih",
    "weight_hh",
    "bias_ih",
    "bias_hh",
    "weight_hr",
    "weight_peephole",
)


class OwnCells(NamedTuple):
    """The cells of a trace, as they were when it was made, on the CPU in float64.

    cells: by layer and direction. started: the initial state is that of the cells themselves.
    """

    cells: tuple[tuple[Cell[Any], ...], ...]
    started: bool


def has_own_step(cell: Cell[Any]) -> bool:
    """Whether a cell may compute anything else than its form says.

    True if its class, or the cell itself, defines anew what the project's class of its kind defines
    for a step. Parametrised weights (torch.nn.utils.parametrizations) change no equation.

    >>> class Half(ElmanCell):
    ...     def step(self, x, state, *held):
    ...         h, gates = super().step(x, state, *held)
    ...         return h / 2, gates
    >>> has_own_step(Half(1, 1)), has_own_step(GRUCell(1, 1))
    (True, False)
    """
    stock = next((kind for kind in STOCK if isinstance(cell, kind)), None)
    if stock is None:
        return True
    names = {n for kind in (stock, Cell) for n in vars(kind) if not n.startswith("__")}
    return any(
        name in vars(cell) or getattr_static(type(cell), name) is not getattr_static(stock, name)
        for name in names - NEUTRAL
    )


def starts_itself(cell: Cell[Any]) -> bool:
    """Whether a cell has an initial state of its own, which need not be zero."""
    return has_own_step(cell) and not any(
        getattr_static(type(cell), "initial_state") is getattr_static(kind, "initial_state")
        for kind in STOCK
    )


def takes_held(cell: Cell[Any]) -> bool:
    """Whether a cell's step takes ``held``, so that values can be held.

    >>> takes_held(LSTMCell(1, 1))
    True
    """
    by_position = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    given = signature(cell.step).parameters.values()
    positions = [parameter for parameter in given if parameter.kind in by_position]
    several = any(p.kind is Parameter.VAR_POSITIONAL for p in given)
    return len(positions) > 2 or several or _by_keyword(cell)


def _by_keyword(cell: Cell[Any]) -> bool:
    given = signature(cell.step).parameters
    return "held" in given or any(p.kind is Parameter.VAR_KEYWORD for p in given.values())


def step_held(cell: Cell[Any], x: Tensor, state: Any, held: HeldStep) -> Any:
    """What a step that takes ``held``, as its third argument or by name, returns."""
    if _by_keyword(cell):
        return cell.step(x, state, held=held)
    return cell.step(x, state, held)


def copy_cell(cell: Cell[Any], dtype: torch.dtype | None = None, device: Any = None) -> Cell[Any]:
    """A copy in eval mode that shares nothing with the cell; parametrised weights become plain.

    dtype, device: None for the cell's own. RnnvizError for a cell that cannot be copied.

    >>> copy_cell(GRUCell(1, 2), torch.float64).weight_hh.dtype
    torch.float64
    """
    # deepcopy refuses tensors that autograd computed, such as weights made by a hook.
    plain = [v for part in cell.modules() for v in vars(part).values() if isinstance(v, Tensor)]
    memo: dict[int, Any] = {id(w): w.detach().clone() for w in plain}
    try:
        copied = deepcopy(cell, memo)
    except Exception as error:  # whatever a class of one's own holds
        raise RnnvizError("error.own_copy", type=type(cell).__name__, why=error) from error
    copied.eval()  # a weight may depend on it, as with spectral_norm
    for part in list(copied.modules()):
        if parametrize.is_parametrized(part):
            _make_plain(part)
    for name, value in _plain_standard(copied):
        delattr(copied, name)
        setattr(copied, name, nn.Parameter(value))
    for parameter in copied.parameters():
        parameter.requires_grad_(parameter.is_floating_point())
    return copied.to(device, dtype)


def _make_plain(part: nn.Module) -> None:
    """Replaces parametrised weights by their values.

    ``remove_parametrizations`` would also change the class, which the copied module still has.
    """
    parametrised: Any = part.parametrizations
    values = {name: getattr(part, name).detach().clone() for name in parametrised}
    del part.parametrizations
    part.__class__ = type(part).__bases__[0]
    for name, value in values.items():
        part.register_parameter(name, nn.Parameter(value, value.is_floating_point()))


def _plain_standard(cell: Cell[Any]) -> Iterator[tuple[str, Tensor]]:
    """Torch's weights that are plain tensors instead of parameters."""
    for name in STANDARD:
        value = vars(cell).get(name)
        if isinstance(value, Tensor):
            yield name, value.detach()


def own_parameters(cell: Cell[Any]) -> dict[str, Tensor]:
    """The parameters of a cell with its own step, by name; parametrised weights by their values.

    >>> list(own_parameters(ElmanCell(1, 2, bias=False)))
    ['weight_ih', 'weight_hh']
    """
    found: dict[str, Tensor] = dict(cell.named_parameters(remove_duplicate=False))
    if any(map(parametrize.is_parametrized, cell.modules())):
        with torch.no_grad():
            found = dict(copy_cell(cell).named_parameters(remove_duplicate=False))
    found |= dict(_plain_standard(cell))  # weights made by a hook, or of a replica
    return {name: p for name, p in found.items() if p.is_floating_point()}
