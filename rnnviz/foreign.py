"""What was passed in place of a recurrent module, and what to do with it."""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from rnnviz.errors import RnnvizError, type_name

OTHER_FRAMEWORKS = ("keras", "tensorflow", "onnxruntime", "onnx", "jax", "flax", "haiku", "mlx")
QUANTISED = ("torch.ao.nn.quantized", "torch.ao.nn.quantizable")
NAMED = 8  # how many modules or names an error lists


def not_recurrent(given: Any, recurrent: tuple[type[nn.Module], ...]) -> RnnvizError:
    """The error for something that is no instance of the recurrent types.

    >>> print(not_recurrent("model.pt", (nn.LSTM,)))
    Got the path "model.pt"; expected a recurrent module. Load the file with torch.load, make a \
module of the same sizes, and pass it after module.load_state_dict.
    """
    came = type_name(type(given))
    if isinstance(given, type):
        return RnnvizError("error.module_class", came=type_name(given))
    if isinstance(given, str | os.PathLike) and _is_path(given):
        return RnnvizError("error.module_path", came=str(given))
    if isinstance(given, Mapping):
        return RnnvizError("error.module_weights", came=came, names=_listed(map(str, given)))
    if came.split(".")[0] in OTHER_FRAMEWORKS:
        return RnnvizError("error.other_framework", came=came)
    if not isinstance(given, nn.Module):
        return RnnvizError("error.not_a_module", came=came)
    return _other_module(given, came, recurrent)


def _other_module(
    module: nn.Module, came: str, recurrent: tuple[type[nn.Module], ...]
) -> RnnvizError:
    if isinstance(module, torch.jit.ScriptModule):
        return RnnvizError("error.module_scripted", came=came, original=module.original_name)
    if came.startswith(QUANTISED):
        return RnnvizError("error.module_quantised", came=came)
    inside = list(_inside(module, "", recurrent))
    if len(inside) == 1:
        return RnnvizError("error.module_inside", came=came, path=inside[0])
    if inside:
        quoted = (f'"{path}"' for path in inside)
        return RnnvizError("error.modules_inside", came=came, paths=_listed(quoted), path=inside[0])
    return RnnvizError("error.module_type", came=came)


def _inside(
    module: nn.Module, prefix: str, recurrent: tuple[type[nn.Module], ...]
) -> Iterator[str]:
    """The paths of the recurrent modules, without the parts of one another."""
    for name, part in module.named_children():
        if isinstance(part, recurrent):
            yield prefix + name
        else:
            yield from _inside(part, f"{prefix}{name}.", recurrent)


def _is_path(given: str | os.PathLike[str]) -> bool:
    return not isinstance(given, str) or bool(Path(given).suffix) or os.sep in given


def _listed(names: Iterable[str]) -> str:
    found = list(names)
    return ", ".join(found[:NAMED]) + (", …" if len(found) > NAMED else "")
