"""Copies of a module that share its tensors, and a module that ends as it began.

Running a copy changes neither the module's mode nor its buffers, in whatever thread it runs.
"""

# pyright: reportPrivateUsage=false
# Torch has no public names for the tables of a module's parts, hooks and flat weights.

import random
import weakref
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_module
from torch.nn.utils import parametrize

from rnnviz.cells import Cell

PARAMETRIZATIONS = "parametrizations"  # torch's name for the part that holds them
Copied = Callable[[Tensor], Tensor]


def replicate(module: nn.Module) -> nn.Module:
    """A copy in eval mode, with the module's own parameters and copies of its buffers.

    It has the forward method of its class, also if the module has one of its instance.
    Its weights are those that parametrizations give to the next call of the module: for a stack in
    the mode it is in, for a cell, which is called at every time step, in eval mode. Weights drawn
    at random, as by dropout, are those of eval mode.

    >>> module = nn.LSTM(2, 3)
    >>> copy = replicate(module)
    >>> module.training, copy.training, copy.weight_hh_l0 is module.weight_hh_l0
    (True, False, True)
    """
    copy = _copy(module, None, {})
    if not module._modules:
        return copy
    for part, own in list(zip(copy.modules(), module.modules(), strict=True)):
        if is_parametrized(part):
            _fix(part, _parametrized_weights(part, own))
    return copy


def replicate_after_call(module: nn.Module) -> nn.Module:
    """A copy in eval mode with copies of the weights that the module's last call used."""
    copies: dict[int, Tensor] = {}  # a tied weight stays one tensor

    def copied(tensor: Tensor) -> Tensor:
        return copies.setdefault(id(tensor), nn.Parameter(tensor.detach().clone(), False))

    copy = _copy(module, copied, {})
    for part in list(copy.modules()):
        if isinstance(part, nn.RNNBase):
            _fix(part, {name: copied(weight) for name, weight in used_weights(part).items()})
        elif is_parametrized(part):
            _fix(part, {name: getattr(part, name) for name in part.parametrizations})  # pyright: ignore[reportGeneralTypeIssues]  # a ModuleDict
    return copy


def _copy(module: nn.Module, copied: Copied | None, made: dict[int, nn.Module]) -> nn.Module:
    """copied: of every tensor that is no buffer; None to share them."""
    if id(module) in made:
        return made[id(module)]
    copy = made[id(module)] = object.__new__(type(module))
    own = vars(copy)
    for name, value in vars(module).items():
        own[name] = value.copy() if isinstance(value, dict | list) else value
    own.pop("forward", None)  # bound to the module, not to the copy
    own["training"] = False
    if copied is not None:
        for table in (own, own["_parameters"]):
            table.update({n: copied(t) for n, t in table.items() if isinstance(t, Tensor)})
    buffers, parts = own["_buffers"], own["_modules"]
    buffers.update({n: b.clone() for n, b in buffers.items() if b is not None})
    for name, part in parts.items():
        if part is not None and not isinstance(part, torch.jit.ScriptModule):
            parts[name] = _copy(part, copied, made)
    return copy


def _parametrized_weights(copy: nn.Module, own: nn.Module) -> dict[str, Tensor]:
    """The weights by name, read as the module's own forward reads them."""
    assert isinstance(copy.parametrizations, nn.ModuleDict)
    assert isinstance(own.parametrizations, nn.ModuleDict)
    names = list(copy.parametrizations)
    first = next(own.parameters())
    with torch.no_grad(), generators_kept(first.device) as has_drawn:
        if isinstance(copy, nn.RNNBase):
            set_modes(copy.parametrizations, modes(own.parametrizations))
            copy._update_flat_weights()
            if not has_drawn():
                return {name: w for name, w in used_weights(copy).items() if name in names}
            set_modes(copy.parametrizations, [False] * len(modes(copy.parametrizations)))
        return {name: getattr(copy, name) for name in names}


def _fix(copy: nn.Module, weights: dict[str, Tensor]) -> None:
    """Makes the weights plain attributes that nothing computes again; of a part, its parameters."""
    if is_parametrized(copy):
        for name in copy.parametrizations:  # pyright: ignore[reportGeneralTypeIssues]  # a ModuleDict
            parametrize._cache.pop((id(copy), name), None)  # another copy may have this id later
        copy.__class__ = parametrize.type_before_parametrizations(copy)
        del copy._modules[PARAMETRIZATIONS]
    for name, tensor in weights.items():
        copy._parameters.pop(name, None)
        if isinstance(copy, nn.RNNBase | nn.RNNCellBase | Cell):
            vars(copy)[name] = tensor
        else:
            copy._parameters[name] = nn.Parameter(tensor.detach(), False)
    if isinstance(copy, nn.RNNBase):
        own = [getattr(copy, name, None) for name in copy._flat_weights_names]
        copy._flat_weights = own
        copy._flat_weight_refs = [None if w is None else weakref.ref(w) for w in own]


def is_parametrized(part: nn.Module) -> bool:
    """As torch's function of that name, which is slower."""
    return PARAMETRIZATIONS in part._modules


def computed_weights(module: nn.Module, *, by_hooks_only: bool = False) -> list[str]:
    """The names of tensors that parametrizations or forward pre-hooks compute.

    >>> module = nn.utils.parametrizations.weight_norm(nn.LSTM(2, 3), "weight_hh_l0")
    >>> computed_weights(module)
    ['weight_hh_l0']
    """
    found: list[str] = []
    for path, part in module.named_modules():
        names: list[str] = []
        if is_parametrized(part) and not by_hooks_only:
            names += part.parametrizations  # pyright: ignore[reportOperatorIssue]  # a ModuleDict
        if part._forward_pre_hooks:
            names += [name for name, value in vars(part).items() if isinstance(value, Tensor)]
        found += [f"{path}.{name}".removeprefix(".") for name in names]
    return found


def used_weights(stack: nn.RNNBase) -> dict[str, Tensor]:
    """The tensors that the stack's own forward method used last, by name."""
    flat = zip(stack._flat_weights_names, stack._flat_weights, strict=True)
    return {name: weight for name, weight in flat if weight is not None}


def uses_own_weights(stack: nn.RNNBase) -> bool:
    """Whether these are the stack's parameters or attributes, which nothing computes anew."""
    own = vars(stack) | stack._parameters
    return all(own.get(name) is weight for name, weight in used_weights(stack).items())


def has_forward_hooks(module: nn.Module) -> bool:
    """Whether a call of the module, or of a part of it, calls a hook around its forward method."""
    if torch_module._global_forward_pre_hooks or torch_module._global_forward_hooks:
        return True
    return any(part._forward_pre_hooks or part._forward_hooks for part in module.modules())


def modes(module: nn.Module) -> list[bool]:
    """Whether each part is in train mode, in the order of ``modules()``."""
    return [part.training for part in module.modules()]


def set_modes(module: nn.Module, training: list[bool]) -> None:
    """Sets what ``modes`` returns."""
    for part, mode in zip(module.modules(), training, strict=True):
        part.training = mode


@contextmanager
def generators_kept(device: torch.device) -> Generator[Callable[[], bool]]:
    """Leaves torch's random generators as they were; yields whether any has drawn since."""
    devices = [device] if device.type == "cuda" else []

    def states() -> list[Tensor]:
        return [torch.get_rng_state(), *(torch.cuda.get_rng_state(d) for d in devices)]

    with torch.random.fork_rng(devices):
        before = states()
        yield lambda: not all(map(torch.equal, before, states()))


@contextmanager
def draws_undone(device: torch.device) -> Generator[None]:
    """The global generators of torch, NumPy and Python end as they began."""
    of_numpy = np.random.get_state()  # noqa: NPY002  # what a user's code may draw from
    of_python = random.getstate()
    try:
        with generators_kept(device):
            yield
    finally:
        np.random.set_state(of_numpy)  # noqa: NPY002
        random.setstate(of_python)


@contextmanager
def unchanged(module: nn.Module) -> Generator[None]:
    """The module ends with the attributes, modes, hooks and values that it began with."""
    parts = [(part, dict(vars(part))) for part in module.modules()]
    contents = [
        (value, value.copy())
        for _, own in parts
        for value in own.values()
        if isinstance(value, dict | list)
    ]
    tensors = {id(t): t for _, own in parts for t in _tensors(own)}
    values = [(tensor, tensor.detach().clone()) for tensor in tensors.values()]
    try:
        yield
    finally:
        for part, own in parts:
            for name in set(vars(part)) - set(own):
                del vars(part)[name]
            vars(part).update(own)
        for value, content in contents:
            _refill(value, content)
        for tensor, value in values:
            if not torch.equal(tensor, value):
                tensor.data.copy_(value)


def _tensors(own: dict[str, Any]) -> list[Tensor]:
    """The tensors among a module's attributes, parameters and buffers."""
    every = [*own.values(), *own["_parameters"].values(), *own["_buffers"].values()]
    return [value for value in every if isinstance(value, Tensor)]


def _refill(value: Any, content: Any) -> None:
    """Restores a dict or list itself: what removes a hook refers to the dict that holds it."""
    value.clear()
    if isinstance(value, dict):
        value.update(content)
    else:
        value.extend(content)
