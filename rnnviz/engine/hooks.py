"""A module called with its forward hooks, which may make its weights, and left as it was."""

from contextlib import AbstractContextManager, nullcontext
from threading import RLock
from typing import Any

from torch import Tensor, nn

from rnnviz.engine.forward_pass import forward_pass
from rnnviz.engine.sequences import Sequence
from rnnviz.errors import RnnvizError, type_name
from rnnviz.recurrent import Network, read_module
from rnnviz.replica import (
    PARAMETRIZATIONS,
    generators_kept,
    has_forward_hooks,
    replicate_after_call,
    unchanged,
)

_ONE_AT_A_TIME = RLock()


def turn(module: nn.Module) -> AbstractContextManager[Any]:
    """A context in which no other thread traces a module with hooks.

    Hooks may refer to the module itself, so that no replica can stand in for it.
    """
    if isinstance(module, nn.Module) and ("forward" in vars(module) or has_forward_hooks(module)):  # pyright: ignore[reportUnnecessaryIsInstance]  # a user may pass anything
        return _ONE_AT_A_TIME
    return nullcontext()


def is_called_with_hooks(module: nn.Module) -> bool:
    """Whether a call of the module does more than the forward method of its class.

    False inside such a call: a hook that traces its own module gets the module's forward alone.
    Only within the module's ``turn``.
    """
    forward = vars(module).get("forward")
    if isinstance(forward, _Forward):
        return False
    return forward is not None or has_forward_hooks(module)


def call_with_hooks(module: nn.Module, network: Network, sequence: Sequence) -> tuple[Network, Any]:
    """The network of the weights that the call used, and the output sequence.

    Pre-hooks run in the module's mode, for a cell in eval mode, the rest with dropout off; hooks
    that draw random numbers run again in eval mode. RnnvizError if a hook changes the inputs or the
    output: these would not be the states that the weights give.
    """
    if module.training and not network.is_stepwise:
        with unchanged(module), generators_kept(network.device) as has_drawn:
            try:
                found = _call(module, network, sequence)
            except RnnvizError:
                if not has_drawn():
                    raise
            else:
                if not has_drawn():
                    return found
    with unchanged(module), generators_kept(network.device):
        module.eval()
        return _call(module, network, sequence)


def _call(module: nn.Module, network: Network, sequence: Sequence) -> tuple[Network, Any]:
    output = forward_pass(module, network, sequence, _Forward(module).call)
    return read_module(replicate_after_call(module)), output


class _Forward:
    """In place of a module's forward method while it is called: sees what the hooks change."""

    def __init__(self, module: nn.Module) -> None:
        self.module, self.own = module, module.forward
        self.given: Any = None
        self.computed: Any = None
        vars(module)["forward"] = self
        vars(module)["_compiled_call_impl"] = None

    def call(self, x: Any, state: Any) -> Any:
        """Calls the module with its hooks; they get copies of the inputs."""
        self.given = x, state
        returned = self.module(*_copied(self.given))
        if not _are_same(returned, self.computed):
            raise self._error("error.hook_output")
        return returned

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        if named or not _are_same(arguments, self.given):
            raise self._error("error.hook_inputs")
        for name, part in self.module.named_modules():
            part.training &= PARAMETRIZATIONS in name.split(".")
        returned = self.own(*arguments)
        self.computed = _copied(returned)
        return returned

    def _error(self, key: str) -> RnnvizError:
        return RnnvizError(key, came=type_name(type(self.module)))


def _copied(values: Any) -> Any:
    """Tensors, and those in tuples and lists, copied."""
    if isinstance(values, Tensor):
        return values.detach().clone()
    if isinstance(values, tuple | list):
        parts = map(_copied, values)
        return type(values)(*parts) if hasattr(values, "_fields") else type(values)(parts)
    return values


def _are_same(a: Any, b: Any) -> bool:
    """Whether two returned values hold equal tensors; NaN equals NaN."""
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return a.shape == b.shape and bool(((a == b) | ((a != a) & (b != b))).all())
    if isinstance(a, tuple | list) and isinstance(b, tuple | list):
        return len(a) == len(b) and all(map(_are_same, a, b))
    return a is b
