"""Hostile arguments for every public function: ``python -m tests.fuzz_functions SEED EXAMPLES``.

An example is a call with sound arguments of which one or two are replaced by something else of a
random kind. It runs in a forked process, so that a crash or a hang is an outcome of this call
alone. Arguments that are arrays, numbers or names give a result or a RnnvizError.
"""

import os
import pickle
import signal
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import torch
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from torch import nn

import rnnviz
from rnnviz import conventions, counting, initialise
from rnnviz.cells import ElmanCell, Form, GRUCell, LSTMCell, make_cell
from rnnviz.explain.equations import equations
from rnnviz.explain.terms import gate_terms
from rnnviz.explain.unit_order import order_units
from rnnviz.inputs.signals import make_signal

SECONDS = 60  # until a call is a hang
ACCEPTED, NO_MEMORY = "accepted", "no memory"


@dataclass(frozen=True)
class Call:
    """A public function with sound arguments.

    ``spoiled`` names the arguments to replace. The others are objects (a module, a form), in whose
    place another one is a mistake that Python's own errors report.
    """

    function: Callable[..., Any]
    arguments: Callable[[], dict[str, Any]]
    spoiled: tuple[str, ...]


def network(kind: str, *, bidirectional: bool = False) -> nn.Module:
    torch.manual_seed(3)
    return getattr(nn, kind)(3, 4, num_layers=2, bidirectional=bidirectional)


@cache
def traced(kind: str = "LSTM") -> rnnviz.Trace:
    torch.manual_seed(4)
    return rnnviz.trace(network(kind), torch.randn(5, 2, 3), lengths=[5, 3], loss="all")


@cache
def stack() -> np.ndarray:
    return rnnviz.jacobians(traced())


@cache
def weights(kind: str = "lstm") -> dict[str, np.ndarray]:
    torch.manual_seed(5)
    cell = make_cell(Form(kind), 3, 4)
    return {name: p.detach().numpy() for name, p in cell.named_parameters()}


def layer_of(**more: Any) -> dict[str, Any]:
    return {"trace": traced(), "layer": 1, "direction": "forward"} | more


PART = ("trace", "layer", "direction", "batch")
BY_PART = {
    "diagnose": rnnviz.diagnose,
    "jacobians": rnnviz.jacobians,
    "remembered_steps": rnnviz.remembered_steps,
    "plain_pass": rnnviz.plain_pass,
}
BY_STACK = {
    "backward_norms": rnnviz.backward_norms,
    "bound_backward_norms": rnnviz.bound_backward_norms,
    "transient_growth": rnnviz.transient_growth,
    "lyapunov_exponents": rnnviz.lyapunov_exponents,
    "log_singular_values": rnnviz.log_singular_values,
}
FIGURES = {
    "plot_comparison": rnnviz.plot_comparison,
    "plot_gradient_norms": rnnviz.plot_gradient_norms,
    "plot_jacobian_norms": rnnviz.plot_jacobian_norms,
    "plot_lyapunov": rnnviz.plot_lyapunov,
    "plot_saturation": rnnviz.plot_saturation,
    "plot_weight_gradients": rnnviz.plot_weight_gradients,
}


def recording(kind: str) -> Call:
    return Call(
        rnnviz.trace,
        lambda: {
            "module": network(kind),
            "inputs": torch.ones(5, 2, 3),
            "state": None,
            "lengths": [5, 2],
            "loss": "last",
        },
        ("inputs", "state", "lengths", "loss"),
    )


def held(kind: str, name: str) -> Call:
    def run(value: Any, units: Any, start: Any, layer: Any, direction: Any) -> rnnviz.Trace:
        hold = {name: rnnviz.Hold(value, units, start, layer, direction)}
        return rnnviz.trace(network(kind), torch.ones(5, 2, 3), loss="last", hold=hold)

    arguments = {"value": 0.5, "units": (1, 2), "start": 2, "layer": 1, "direction": "forward"}
    return Call(run, lambda: dict(arguments), tuple(arguments))


def figure_of_a_view(function: Callable[..., Any]) -> Call:
    def draw(**fields: Any) -> Any:
        return function(traced(), view=rnnviz.View(**fields))

    fields = {"units": (0, 3), "first_step": 1, "steps": 3, "characters": None, "layer": 1}
    fields |= {"direction": "forward", "batch": 0}
    return Call(draw, lambda: dict(fields), tuple(fields))


def initialisation(function: Callable[..., Any], **numbers: Any) -> Call:
    def run(**values: Any) -> None:
        function(network("GRU"), **values)

    return Call(run, lambda: dict(numbers), tuple(numbers))


def packed(convention: conventions.Convention, kind: str) -> Call:
    def run(**arrays: Any) -> Any:
        return conventions.unpack(arrays, Form(kind), convention)

    sound = conventions.pack(weights(kind), Form(kind), convention)
    return Call(run, lambda: dict(sound), tuple(sound))


def calls() -> dict[str, Call]:
    """Every public function that takes arrays, numbers or names."""
    found = {f"trace, {kind}": recording(kind) for kind in ("RNN", "LSTM", "GRU")}
    for name in ("forget_gate", "cell_state", "hidden_state"):
        found[f"hold {name}"] = held("LSTM", name)
    found["hold update_gate"] = held("GRU", "update_gate")
    for name, function in BY_PART.items():
        found[name] = Call(function, lambda: layer_of(batch=1), PART)
    for name, function in BY_STACK.items():
        found[name] = Call(function, lambda: {"jacobians": stack()}, ("jacobians",))
    for name, function in FIGURES.items():
        found[name] = Call(
            function,
            lambda: {"traces": traced(), "layer": 0, "direction": "forward", "batch": 0},
            ("traces", *PART[1:]),
        )
    for function in (rnnviz.plot_gates, rnnviz.plot_states):
        found[function.__name__] = figure_of_a_view(function)
    for form in ("rnn", "lstm", "gru"):
        for convention in (conventions.TORCH, conventions.KERAS, conventions.ONNX):
            found[f"unpack {form} {convention.name}"] = packed(convention, form)
    found |= {
        "pack": Call(
            lambda **arrays: conventions.pack(arrays, Form("lstm"), conventions.KERAS),
            lambda: dict(weights()),
            tuple(weights()),
        ),
        "clip_by_norm": Call(
            lambda gradient, threshold: rnnviz.clip_by_norm({"w": gradient}, threshold),
            lambda: {"gradient": np.ones((2, 3)), "threshold": 1.0},
            ("gradient", "threshold"),
        ),
        "clip_by_value": Call(
            lambda gradient, threshold: rnnviz.clip_by_value({"w": gradient}, threshold),
            lambda: {"gradient": np.ones((2, 3)), "threshold": 1.0},
            ("gradient", "threshold"),
        ),
        "lyapunov_exponents by number": Call(
            rnnviz.lyapunov_exponents,
            lambda: {"jacobians": stack(), "warmup": 1, "leading": 2},
            ("warmup", "leading"),
        ),
        "remembered_steps by fraction": Call(
            rnnviz.remembered_steps, lambda: {"trace": traced(), "fraction": 0.1}, ("fraction",)
        ),
        "sensitivity_norms": Call(
            rnnviz.sensitivity_norms,
            lambda: {"trace": traced(), "layer": 1, "batch": 0, "sources": [0, 2]},
            ("layer", "batch", "sources"),
        ),
        "bounds by number": Call(
            rnnviz.bound_backward_norms,
            lambda: {"jacobians": stack(), "rank": 2, "exact": 1},
            ("rank", "exact"),
        ),
        "diagnose by norms": Call(
            rnnviz.diagnose, lambda: {"trace": traced(), "norms": None}, ("trace", "norms")
        ),
        "plain_pass by dtype": Call(
            rnnviz.plain_pass, lambda: {"trace": traced(), "dtype": "float32"}, ("trace", "dtype")
        ),
        "gate_terms": Call(
            gate_terms,
            lambda: {"trace": traced(), "gate": "forget_gate", "unit": 1, "time": 2},
            ("trace", "gate", "unit", "time"),
        ),
        "equations": Call(
            equations, lambda: {"trace": traced(), "unit": 1, "time": 2}, ("trace", "unit", "time")
        ),
        "order_units": Call(
            order_units,
            lambda: {"trace": traced(), "by": "variance", "text": "abcde", "layer": 1},
            ("trace", "by", "text", "layer"),
        ),
        "load_trace": Call(
            rnnviz.load_trace,
            lambda: {"path": "missing.npz", "max_bytes": 9},
            ("path", "max_bytes"),
        ),
        "save": Call(traced().save, lambda: {"path": "missing/a.npz"}, ("path",)),
        "make_signal": Call(
            make_signal,
            lambda: {"name": "noise", "length": 5, "seed": 1},
            ("name", "length", "seed"),
        ),
        "fit_hidden": Call(
            rnnviz.fit_hidden,
            lambda: {"form": Form("gru"), "input_size": 3, "budget": 500, "layers": 1},
            ("input_size", "budget", "layers"),
        ),
        "Size": Call(
            lambda **fields: counting.count_parameters(counting.Size(Form("lstm"), **fields)),
            lambda: {"input_size": 3, "hidden_size": 4, "layers": 1, "directions": 1, "biases": 2},
            ("input_size", "hidden_size", "layers", "directions", "biases"),
        ),
        "ElmanCell": Call(
            ElmanCell,
            lambda: {"input_size": 3, "hidden_size": 4, "nonlinearity": "tanh"},
            ("input_size", "hidden_size", "nonlinearity"),
        ),
        "LSTMCell": Call(
            LSTMCell,
            lambda: {"input_size": 3, "hidden_size": 4},
            ("input_size", "hidden_size"),
        ),
        "GRUCell": Call(
            GRUCell, lambda: {"input_size": 3, "hidden_size": 4}, ("input_size", "hidden_size")
        ),
        "orthogonal": initialisation(initialise.orthogonal, seed=1, gain=1.0),
        "identity": initialisation(initialise.identity, gain=1.0),
        "recurrent_gain": initialisation(initialise.recurrent_gain, gain=1.0),
        "spectral_radius": initialisation(initialise.spectral_radius, radius=1.0),
        "xavier": initialisation(initialise.xavier, seed=1),
    }
    return found


NUMBERS: st.SearchStrategy[Any] = st.one_of(
    st.integers(-3, 9),
    st.sampled_from([2**31, -(2**63), 2**70, 10**400]),
    st.floats(),
    st.floats(-2, 2),
    st.booleans(),
    st.complex_numbers(max_magnitude=3),
    st.sampled_from([np.int8(1), np.float16(0.5), np.bool_(True), np.datetime64("2020-01-01")]),
)
WORDS: st.SearchStrategy[Any] = st.one_of(st.text(max_size=5), st.binary(max_size=5))
DTYPES = ("f8", "f4", "f2", "i8", "u1", "?", "c8", ">f8", "U3", "O", "M8[D]")


@st.composite
def arrays(draw: st.DrawFn) -> Any:
    """An array, tensor or nested list of a random shape, type and layout."""
    shape = draw(st.lists(st.sampled_from([0, 1, 2, 3, 4, 5, 8, 12, 16]), max_size=5).map(tuple))
    fill = draw(st.sampled_from([0, 1, -1e38, 1e308, np.nan, np.inf]))
    with np.errstate(all="ignore"):
        made = np.full(shape, fill).astype(draw(st.sampled_from(DTYPES)), casting="unsafe")
    way = draw(st.sampled_from(["array", "list", "masked", "turned", "strided", "tensor", "odd"]))
    if way == "list":
        return made.tolist()
    if way == "masked":
        return np.ma.masked_invalid(made) if made.dtype.kind == "f" else np.ma.array(made)
    if way == "turned":
        return made.T
    if way == "strided":
        return np.broadcast_to(made, (2, *shape))
    if way in ("tensor", "odd") and made.dtype.str[1:] in ("f8", "f4", "f2", "i8", "u1", "c8"):
        tensor = torch.tensor(np.ascontiguousarray(made.astype(made.dtype.newbyteorder("="))))
        return odd_tensor(draw, tensor) if way == "odd" else tensor
    return made


def odd_tensor(draw: st.DrawFn, tensor: torch.Tensor) -> Any:
    way = draw(st.sampled_from(["sparse", "gradient", "meta", "bfloat16", "list", "conjugate"]))
    if way == "sparse":
        return tensor.to_sparse()
    if way == "gradient":
        return tensor.requires_grad_() if tensor.is_floating_point() else tensor
    if way == "meta":
        return tensor.to("meta")
    if way == "bfloat16":
        return tensor.bfloat16()
    return [tensor, tensor] if way == "list" else tensor.conj()


ANYTHING: st.SearchStrategy[Any] = st.one_of(
    arrays(),
    NUMBERS,
    WORDS,
    st.none(),
    st.lists(st.one_of(NUMBERS, WORDS, st.none()), max_size=4),
    st.dictionaries(WORDS, NUMBERS, max_size=2),
    st.sampled_from([object(), len, Form, np.random.default_rng(0), range(3), slice(1)]),
)


def outcome(call: Call, arguments: Mapping[str, Any]) -> str:
    """What the call came to in a forked process: an error's key or text, a signal, a hang."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        signal.alarm(SECONDS)
        os.write(writing, pickle.dumps(_outcome(call, arguments)))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        return "hang" if number == signal.SIGALRM else f"signal {number}"
    return pickle.loads(told)


def _outcome(call: Call, arguments: Mapping[str, Any]) -> str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            call.function(**arguments)
    except rnnviz.RnnvizError as error:
        both = {error.message("en"), error.message("ko")}  # the catalogs take its values
        return error.key if len(both) == 2 else f"not translated: {error.key}"
    except MemoryError:
        return NO_MEMORY
    except BaseException as error:
        if "can't allocate memory" in str(error):  # torch's MemoryError
            return NO_MEMORY
        return f"raw {type(error).__name__}: {error}"
    return ACCEPTED


@dataclass
class Report:
    """How often each outcome came, and the calls that came to a bad one."""

    outcomes: Counter[str] = field(default_factory=Counter[str])
    bad: dict[str, str] = field(default_factory=dict[str, str])


def fuzz(number: int, examples: int) -> Report:
    """So many calls, drawn from this seed."""
    torch.set_num_threads(1)  # a pool of threads does not survive a fork
    kept = settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=(Phase.generate,),
        suppress_health_check=(HealthCheck.too_slow, HealthCheck.data_too_large),
    )
    table, report = calls(), Report()

    @seed(number)
    @kept
    @given(st.sampled_from(sorted(table)), st.data())
    def one(name: str, data: Any) -> None:
        call = table[name]
        arguments = call.arguments()
        spoiled = data.draw(st.lists(st.sampled_from(call.spoiled), min_size=1, max_size=2))
        for argument in spoiled:
            arguments[argument] = data.draw(ANYTHING)
        came = outcome(call, arguments)
        report.outcomes[came.split(":")[0]] += 1
        if came not in (ACCEPTED, NO_MEMORY) and not came.startswith("error."):
            shown = {argument: arguments[argument] for argument in spoiled}
            report.bad.setdefault(f"{name} {sorted(spoiled)} {came[:90]}", repr(shown)[:300])

    one()
    return report


if __name__ == "__main__":
    report = fuzz(int(sys.argv[1]), int(sys.argv[2]))
    for name, count in report.outcomes.most_common():
        print(count, name)
    for name, shown in sorted(report.bad.items()):
        print(name, "|", shown)
