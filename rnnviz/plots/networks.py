"""The arguments of figures: one network, or several by label, and results to reuse for them."""

from collections.abc import Mapping
from typing import Any

from rnnviz.errors import RnnvizError
from rnnviz.trace import Trace

Traces = Trace | Mapping[str, Trace]


def by_label(traces: Traces) -> Mapping[str, Trace]:
    """The traces by label; a single one has the name of its cell.

    RnnvizError if there are none, and for anything but a trace or a mapping from texts to traces.

    >>> list(by_label(rnnviz.trace(torch.nn.GRU(1, 2), torch.ones(3, 1))))
    ['GRU']
    """
    if isinstance(traces, Trace):
        return {traces.cell.upper(): traces}
    check_labels("traces", traces, "Trace")
    check_shown(traces)
    return traces


def only_one(traces: Traces) -> Trace:
    """The trace of a figure that shows one network; RnnvizError for several.

    >>> trace = rnnviz.trace(torch.nn.GRU(1, 2), torch.ones(3, 1))
    >>> only_one({"mine": trace}) is trace
    True
    """
    found = by_label(traces)
    if len(found) > 1:
        raise RnnvizError("error.plot_one", came=", ".join(found))
    return next(iter(found.values()))


def results_by_label(
    name: str, given: Any, traces: Mapping[str, Trace], kind: str
) -> Mapping[str, Any]:
    """The results by label that a figure reuses; none where they are to be computed.

    name: the argument's. given: None, one result if the figure has one network, or results by the
    labels of the traces, not necessarily for all. kind: the name of a result's class.
    RnnvizError for another type or label.
    """
    if given is None:
        return {}
    if is_kind(given, kind):
        if len(traces) > 1:
            raise RnnvizError("error.plot_by_label", name=name, labels=", ".join(traces))
        return dict.fromkeys(traces, given)
    check_labels(name, given, kind)
    unknown = [label for label in given if label not in traces]
    if unknown:
        labels = ", ".join(traces)
        raise RnnvizError("error.plot_label", name=name, came=unknown[0], expected=labels)
    return given


def check_labels(name: str, given: Any, kind: str) -> None:
    """RnnvizError unless it is a mapping from texts to objects of a class, given by its name."""
    if not isinstance(given, Mapping) or is_kind(given, "Dataset"):
        came = type(given).__name__
        raise RnnvizError("error.plot_argument", name=name, came=came, kind=kind)
    for label, value in given.items():
        if not isinstance(label, str) or not is_kind(value, kind):
            came = f"{{{label!r}: {type(value).__name__}}}"
            raise RnnvizError("error.plot_argument", name=name, came=came, kind=kind)


def is_kind(value: Any, kind: str) -> bool:
    """Whether a value's class has this name, or one of its bases: xarray is not imported for it."""
    return any(base.__name__ == kind for base in type(value).__mro__)


def check_shape(name: str, label: str, values: Any, shape: tuple[int, ...]) -> None:
    """RnnvizError unless an array to reuse has numbers in the shape that its trace needs."""
    if values.shape != shape or values.dtype.kind not in "fiu":
        came = f"{values.dtype} {values.shape}"
        raise RnnvizError("error.plot_result", name=name, label=label, came=came, expected=shape)


def check_shown(networks: Any) -> None:
    """RnnvizError if a figure has nothing to show."""
    if len(networks) == 0:
        raise RnnvizError("error.no_traces")
