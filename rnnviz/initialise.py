"""In-place initialisations, reproducible by seed, independent of torch's global generator.

Each takes a torch.nn.RNN, LSTM or GRU, their cells, a cell of this project or a Recurrent, and
covers all layers, directions and gates. Numbers are drawn in float64 and rounded to the module's
dtype, so that a seed gives the same numbers in every dtype.
"""

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from rnnviz.errors import RnnvizError, described, real_number, seed_number
from rnnviz.recurrent import Network, Weights, read_module
from rnnviz.replica import computed_weights
from rnnviz.torch_names import parameter_suffix

MEMORY_GATE = {"lstm": "forget_gate", "gru": "update_gate"}  # near 1 keeps the state
ROUNDING = 1e-12  # entries of a square that count as 0, if the matrix has largest entry 1


def torch_default(module: nn.Module, *, seed: int) -> None:
    """All parameters from U(−1/√H, 1/√H), H the hidden size, as torch's constructors draw them.

    >>> module = torch.nn.RNN(1, 4)
    >>> torch_default(module, seed=0)
    >>> round(module.weight_ih_l0[0].item(), 4), bool(module.weight_hh_l0.abs().max() <= 0.5)
    (0.4701, True)
    """
    network, generator = _writable(module), _generator(seed)
    for weights in _all_weights(network):
        bound = 1 / math.sqrt(_units(network, weights))
        for tensor in weights:
            if tensor is not None:
                _put(tensor, _uniform(tensor.shape, bound, generator))


def xavier(module: nn.Module, *, seed: int) -> None:
    """Each gate's W and U, and a projection, from U(−√(6/(in + out)), √(6/(in + out))).

    Biases and peepholes are 0.

    Glorot & Bengio (2010), eq. 16.

    >>> module = torch.nn.LSTM(2, 4)
    >>> xavier(module, seed=0)
    >>> bool(module.weight_ih_l0.abs().max() <= 1), module.bias_hh_l0.abs().max().item()
    (True, 0.0)
    """
    network, generator = _writable(module), _generator(seed)

    def draw(gate: Tensor) -> Tensor:
        return _uniform(gate.shape, math.sqrt(6 / sum(gate.shape)), generator)

    for weights in _all_weights(network):
        for tensor in (weights.ih, weights.hh):
            _put(tensor, _each_gate(network, tensor, draw))
        if weights.hr is not None:
            _put(weights.hr, draw(weights.hr))
        if weights.peephole is not None:
            _put(weights.peephole, torch.zeros_like(weights.peephole))
        _clear_biases(weights)


def orthogonal(module: nn.Module, *, seed: int, gain: float = 1.0) -> None:
    """Each gate's U becomes gain times a random orthogonal matrix; nothing else changes.

    Uniform over all orthogonal matrices: Q of a Gaussian matrix's QR with R's diagonal positive
    (Saxe et al. 2014; Mezzadri 2007). With a projection, U has orthonormal columns.

    >>> module = torch.nn.RNN(1, 4).double()
    >>> orthogonal(module, seed=0, gain=0.9)
    >>> torch.linalg.svdvals(module.weight_hh_l0.detach()).numpy().round(12)
    array([0.9, 0.9, 0.9, 0.9])
    """
    gain = _finite("gain", gain)
    network, generator = _writable(module), _generator(seed)

    def draw(gate: Tensor) -> Tensor:
        normal = torch.randn(gate.shape, generator=generator, dtype=torch.float64, device="cpu")
        q, r = torch.linalg.qr(normal)
        return gain * q * r.diagonal().sign()

    found = [(w.hh, _each_gate(network, w.hh, draw)) for w in _all_weights(network)]
    _put_all(found, "gain", gain)


def identity(module: nn.Module, *, gain: float = 1.0) -> None:
    """Each gate's U becomes gain times the identity, biases 0 (Le et al. 2015); W is unchanged.

    >>> module = torch.nn.RNN(1, 2, nonlinearity="relu")
    >>> identity(module)
    >>> module.weight_hh_l0.tolist(), module.bias_ih_l0.tolist()
    ([[1.0, 0.0], [0.0, 1.0]], [0.0, 0.0])
    """
    gain = _finite("gain", gain)
    network = _writable(module)

    def scaled(gate: Tensor) -> Tensor:
        return gain * torch.eye(*gate.shape, dtype=torch.float64, device="cpu")

    found = [(w.hh, _each_gate(network, w.hh, scaled)) for w in _all_weights(network)]
    _put_all(found, "gain", gain)
    for weights in _all_weights(network):
        _clear_biases(weights)


def chrono(module: nn.Module, longest: int, *, seed: int) -> None:
    """Gate biases for dependencies of up to ``longest`` time steps, on the summed bias.

    LSTM: b_f = ln U[1, longest − 1], b_i = −b_f, which coupled gates have anyway (Tallec &
    Ollivier 2018, eq. 16); GRU: b_z = ln U[1, longest − 1], z being torch's, which keeps the
    state. All of it goes into bias_hh; the same gates' bias_ih becomes 0. RnnvizError for a plain
    RNN, no biases, or longest < 2.

    >>> module = torch.nn.LSTM(1, 3)
    >>> chrono(module, 100, seed=0)
    >>> b_i, b_f = (module.bias_ih_l0 + module.bias_hh_l0).detach().chunk(4)[:2]
    >>> bool((b_i == -b_f).all()), bool((b_f.exp() >= 1).all() and (b_f.exp() <= 99.01).all())
    (True, True)
    """
    if not 2 <= real_number(longest) <= sys.float_info.max:
        expected = "2 ≤ x < ∞"
        raise RnnvizError(
            "error.initialise_number", name="longest", came=described(longest), expected=expected
        )
    network, generator = _with_memory_gate(module), _generator(seed)
    for weights in _all_weights(network):
        steps = _draw((_units(network, weights),), generator)
        bias = (1 + steps * (float(longest) - 2)).log()
        _put_bias(network, weights, MEMORY_GATE[network.cell], bias)
        if "input_gate" in network.form.gates:
            _put_bias(network, weights, "input_gate", -bias)


def forget_bias(module: nn.Module, value: float) -> None:
    """Sets the bias of the gate that keeps the state: LSTM forget gate, GRU update gate.

    On the summed bias: all of it goes into bias_hh and the gate's bias_ih becomes 0, so that 1
    gives σ(1) = 0.7311 and not σ(2) = 0.8808. RnnvizError for a plain RNN and without biases.

    >>> module = torch.nn.LSTM(1, 1)
    >>> forget_bias(module, 1.0)
    >>> round(torch.sigmoid(module.bias_ih_l0 + module.bias_hh_l0)[1].item(), 4)
    0.7311
    """
    value = _finite("value", value)
    network = _with_memory_gate(module)
    number = torch.tensor(value, dtype=torch.float64, device="cpu")
    _check_fits(number, network.dtype, "b", "value", value)
    for weights in _all_weights(network):
        bias = number.repeat(_units(network, weights))
        _put_bias(network, weights, MEMORY_GATE[network.cell], bias)


def recurrent_gain(module: nn.Module, gain: float) -> None:
    """Multiplies every gate's U by gain.

    >>> module = torch.nn.RNN(1, 1)
    >>> identity(module); recurrent_gain(module, 1.5)
    >>> module.weight_hh_l0.item()
    1.5
    """
    gain = _finite("gain", gain)
    network = _writable(module)
    found = [(w.hh, _each_gate(network, w.hh, lambda u: gain * u)) for w in _all_weights(network)]
    _put_all(found, "gain", gain)


def spectral_radius(module: nn.Module, radius: float) -> None:
    """Scales every gate's U to this spectral radius, the largest modulus of its eigenvalues.

    With a projection V, the radius is that of U V. RnnvizError for a radius
    below 0, and above 0 if all eigenvalues are 0.

    >>> module = torch.nn.RNN(1, 2).double()
    >>> spectral_radius(module, 0.9)
    >>> round(torch.linalg.eigvals(module.weight_hh_l0.detach()).abs().max().item(), 12)
    0.9
    """
    radius = _finite("radius", radius, least=0.0)
    network = _writable(module)
    found: list[tuple[Tensor, Tensor]] = []
    for place, weights in enumerate(_all_weights(network)):
        v = None if weights.hr is None else weights.hr.detach().to("cpu", torch.float64)

        def scaled(gate: Tensor, v: Tensor | None = v, place: int = place) -> Tensor:
            product = gate if v is None else gate @ v
            if _is_nilpotent(product):
                if radius > 0:
                    layer, direction = divmod(place, network.directions)
                    name = f"weight_hh{parameter_suffix(layer, direction)}"
                    raise RnnvizError("error.no_radius", name=name)
                return torch.zeros_like(gate)
            return gate / torch.linalg.eigvals(product).abs().max() * radius

        found.append((weights.hh, _each_gate(network, weights.hh, scaled)))
    _put_all(found, "radius", radius)


def _writable(module: nn.Module) -> Network:
    """The module's network; RnnvizError if a hook or a parametrization computes its weights."""
    network = read_module(module)
    names = computed_weights(module)
    if names:
        raise RnnvizError("error.weights_made", names=", ".join(names))
    return network


def _generator(seed: int) -> torch.Generator:
    return torch.Generator("cpu").manual_seed(seed_number(seed))


def _all_weights(network: Network) -> Iterator[Weights]:
    return (weights for layer in network.layers for weights in layer)


def _units(network: Network, weights: Weights) -> int:
    return len(weights.hh) // len(network.form.gates)


def _draw(shape: Sequence[int], generator: torch.Generator) -> Tensor:
    """From U(0, 1), on the CPU whatever torch's default device is."""
    return torch.rand(shape, generator=generator, dtype=torch.float64, device="cpu")


def _uniform(shape: torch.Size, bound: float, generator: torch.Generator) -> Tensor:
    return (2 * _draw(shape, generator) - 1) * bound


def _put(tensor: Tensor, values: Tensor) -> None:
    with torch.no_grad():
        tensor.copy_(values)


def _put_all(found: list[tuple[Tensor, Tensor]], name: str, came: float) -> None:
    """Writes all recurrent weights; RnnvizError, and no write, if any overflows its dtype."""
    for tensor, values in found:
        _check_fits(values, tensor.dtype, "U", name, came)
    for tensor, values in found:
        _put(tensor, values)


def _each_gate(network: Network, packed: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    """The function applied to each gate's rows of packed weights, in float64 on the CPU."""
    gates = packed.detach().to("cpu", torch.float64).chunk(len(network.form.gates))
    return torch.cat([change(gate) for gate in gates])


def _is_nilpotent(matrix: Tensor) -> bool:
    """Whether all eigenvalues are 0: one of M, M², M⁴, … has a square that is only rounding.

    Computed eigenvalues cannot tell: rounding moves those of an n × n matrix to about eps^(1/n).
    """
    power = matrix
    for _ in range(len(matrix).bit_length()):
        size = power.abs().max()
        if size == 0:
            return True
        power = power / size
        power = power @ power
        if power.abs().max() <= ROUNDING:
            return True
    return False


def _clear_biases(weights: Weights) -> None:
    for bias in (weights.bias_ih, weights.bias_hh):
        if bias is not None:
            _put(bias, torch.zeros_like(bias))


def _with_memory_gate(module: nn.Module) -> Network:
    """The network; RnnvizError without a gate that keeps the state, or without biases."""
    network = _writable(module)
    if network.cell not in MEMORY_GATE:
        raise RnnvizError("error.no_memory_gate", cell=network.cell)
    if any(weights.bias_hh is None for weights in _all_weights(network)):
        raise RnnvizError("error.no_bias")
    return network


def _put_bias(network: Network, weights: Weights, gate: str, bias: Tensor) -> None:
    place = network.form.gates.index(gate)
    units = _units(network, weights)
    rows = slice(place * units, (place + 1) * units)
    assert weights.bias_ih is not None
    assert weights.bias_hh is not None
    _put(weights.bias_ih[rows], torch.zeros_like(bias))
    _put(weights.bias_hh[rows], bias)


def _check_fits(values: Tensor, dtype: torch.dtype, symbol: str, name: str, came: float) -> None:
    if not values.to(dtype).isfinite().all():
        expected = f"|{symbol}| ≤ {torch.finfo(dtype).max:.3g}"
        raise RnnvizError("error.initialise_number", name=name, came=came, expected=expected)


def _finite(name: str, came: Any, least: float = -math.inf) -> float:
    number = real_number(came)
    if not (least <= number and math.isfinite(number)):
        expected = "−∞ < x < ∞" if least == -math.inf else f"{least:.0f} ≤ x < ∞"
        raise RnnvizError(
            "error.initialise_number", name=name, came=described(came), expected=expected
        )
    return number
