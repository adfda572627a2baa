"""Results that are cached between reruns and shared by sessions: bounded, and never modified."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import streamlit as st
import xarray
from numpy.typing import NDArray

from rnnviz.errors import RnnvizError
from rnnviz.experiment import (
    EXAMPLES,
    ComparisonSettings,
    NetworkSettings,
    Remembered,
    Watched,
    measure_claim,
    run_held,
    run_networks,
    watch,
)
from rnnviz.experiment.character_model import CharacterModel, load_character_model
from rnnviz.experiment.comparison import bits_of, models_of, run_compared
from rnnviz.experiment.gain import GainMarks, gain_marks
from rnnviz.experiment.networks import of_each
from rnnviz.experiment.sensitivity import sensitivities_of
from rnnviz.experiment.stability_limits import Stability
from rnnviz.explain.unit_order import Order, order_units
from rnnviz.gradients import (
    Diagnosis,
    PlainPass,
    diagnose,
    gradient_norms,
    plain_pass,
    weight_gradient_norms,
)
from rnnviz.holding import Hold
from rnnviz.trace import Trace
from rnnviz.ui.app_folder import APP
from rnnviz.ui.turns import AT_ONCE, checkpoint, is_large

ASSETS = APP / "assets"


@st.cache_resource(max_entries=3, show_spinner=False)
def character_model(cell: str) -> CharacterModel:
    """The shipped model of a cell; RnnvizError if its files are damaged or another cell's."""
    path = ASSETS / f"characters_{cell}.safetensors"
    model = load_character_model(path)
    if model.cell != cell:
        name = "error.character_model_cell"
        raise RnnvizError(name, path=path.name, came=model.cell, expected=cell)
    if not _has_bits(model.notes):
        raise RnnvizError("error.character_model", path=path.name, why="bits_per_character")
    return model


def _has_bits(notes: dict[str, Any]) -> bool:
    """Whether the notes say how well the model and the n-grams predict."""
    grams = notes.get("baseline_bits_per_character")
    if not isinstance(grams, dict) or not grams or not all(map(str.isdecimal, grams)):
        return False
    bits = [notes.get("bits_per_character"), *grams.values()]
    return all(isinstance(value, int | float) for value in bits)


@st.cache_resource(max_entries=16, show_spinner=False)
def reading(cell: str, text: str) -> Trace:
    """The trace of a shipped model on a text."""
    return character_model(cell).read(text)


@st.cache_resource(max_entries=16, show_spinner=False)
def expectations(cell: str, text: str) -> NDArray[np.float64]:
    """P(next character) at every step of a text, (time, vocabulary)."""
    return character_model(cell).next_character(reading(cell, text))


@st.cache_resource(max_entries=64, show_spinner=False)
def unit_order(cell: str, text: str, by: str) -> Order:
    """The units of a shipped model, sorted by their activity on a text."""
    return order_units(reading(cell, text), by, text)


@st.cache_resource(max_entries=3, show_spinner=False)
def watched(cell: str) -> dict[str, Watched]:
    """The unit and the step to look at in each example, read by a shipped model."""
    model = character_model(cell)
    return {name: watch(model.read(example.text), example) for name, example in EXAMPLES.items()}


_BY_FIELDS: dict[str | type[Any], Callable[[Any], Any]] = {
    NetworkSettings: NetworkSettings.model_dump_json,
    ComparisonSettings: ComparisonSettings.model_dump_json,
}


# Entries of small and of large networks. Page runs and live questions (turns.py) together compute
# so many at once, and none of them drops what another is using. A large entry has up to 250 MB.
FEW, MANY = AT_ONCE + 1, 3 * AT_ONCE


def networks(settings: NetworkSettings) -> dict[str, Trace]:
    """The traces of the three networks, by cell."""
    return _large_networks(settings) if is_large(settings) else _small_networks(settings)


@st.cache_resource(max_entries=MANY, show_spinner=False, hash_funcs=_BY_FIELDS)
def _small_networks(settings: NetworkSettings) -> dict[str, Trace]:
    return run_networks(settings)


@st.cache_resource(max_entries=FEW, show_spinner=False, hash_funcs=_BY_FIELDS)
def _large_networks(settings: NetworkSettings) -> dict[str, Trace]:
    checkpoint()
    return run_networks(settings)


class Measured(NamedTuple):
    """Gradient norms of one network, their diagnosis, and the plain float32 pass."""

    norms: xarray.Dataset
    verdict: Diagnosis
    plain: PlainPass


@st.cache_resource(max_entries=32, show_spinner=False, hash_funcs=_BY_FIELDS)
def measured(settings: NetworkSettings) -> dict[str, Measured]:
    """``Measured`` of the three networks, by cell."""
    checkpoint()
    return of_each(_measure, networks(settings), settings)


def _measure(trace: Trace) -> Measured:
    norms = gradient_norms(trace)
    return Measured(norms, diagnose(trace, norms=norms), plain_pass(trace, norms=norms))


@st.cache_resource(max_entries=1, show_spinner=False)
def _gain_marks() -> OrderedDict[str, GainMarks]:
    return OrderedDict()


def marks_of_gain(settings: NetworkSettings, *, compute: bool = True) -> GainMarks | None:
    """The gains at which the RNN's gradient begins to last and to explode.

    None for large networks and, without ``compute``, where they have not been computed before.
    """
    if is_large(settings):
        return None
    edits = tuple(edit for edit in settings.edit if edit.cell == "rnn")
    network = settings.model_copy(update={"gain": 1.0, "forget_bias": None, "edit": edits})
    store, key = _gain_marks(), network.model_dump_json()
    found = store.get(key)
    if found is None and compute:
        found = gain_marks(network)
        keep(store, key, found, most=64)
    return found


@st.cache_resource(max_entries=8, show_spinner=False, hash_funcs=_BY_FIELDS)
def contributions(settings: NetworkSettings) -> dict[str, xarray.Dataset]:
    """The norm of each step's contribution to ∂L/∂U in the three networks, by cell."""
    checkpoint()
    return of_each(weight_gradient_norms, networks(settings), settings)


def compared(settings: ComparisonSettings) -> dict[str, Trace]:
    """The traces of the compared networks, by key; settings from ``ComparePage.comparison``."""
    return _large_compared(settings) if is_large(settings) else _small_compared(settings)


@st.cache_resource(max_entries=MANY, show_spinner=False, hash_funcs=_BY_FIELDS)
def _small_compared(settings: ComparisonSettings) -> dict[str, Trace]:
    return run_compared(settings, character_model)


@st.cache_resource(max_entries=FEW, show_spinner=False, hash_funcs=_BY_FIELDS)
def _large_compared(settings: ComparisonSettings) -> dict[str, Trace]:
    checkpoint()
    return run_compared(settings, character_model)


@st.cache_resource(max_entries=8, show_spinner=False, hash_funcs=_BY_FIELDS)
def compared_norms(settings: ComparisonSettings) -> dict[str, xarray.Dataset]:
    """log₁₀ of the compared networks' gradient norms, by key."""
    checkpoint()
    return {key: gradient_norms(trace) for key, trace in compared(settings).items()}


@st.cache_resource(max_entries=16, show_spinner=False, hash_funcs=_BY_FIELDS)
def compared_bits(settings: ComparisonSettings) -> dict[str, NDArray[np.float64]]:
    """−log₂ P(next character) at every step of a text, by key."""
    models, traces = models_of(settings, character_model), compared(settings)
    return {key: bits_of(model, traces[key], settings.text) for key, model in models.items()}


@st.cache_resource(max_entries=MANY, show_spinner=False, hash_funcs=_BY_FIELDS)
def held(
    settings: ComparisonSettings,
    key: str,
    name: str,
    value: float,
    units: tuple[int, ...],
    start: int,
) -> Trace:
    """The trace of a compared network with a gate or state held; no units means all units."""
    checkpoint()
    hold = {name: Hold(value, units=units or None, start=start)}
    return run_held(settings, key, hold, character_model)


@st.cache_resource(max_entries=8, show_spinner=False, hash_funcs=_BY_FIELDS)
def sensitivities(settings: ComparisonSettings) -> dict[str, xarray.DataArray]:
    """The norm of ∂(state)/∂(input) for every pair of steps, by key."""
    checkpoint()
    return sensitivities_of(compared(settings))


@st.cache_resource(max_entries=128, show_spinner=False, hash_funcs=_BY_FIELDS)
def remembered(settings: NetworkSettings, name: str) -> Remembered:
    """How many steps untrained networks remember; settings from ``claimed_of``."""
    return measure_claim(settings, name)


@st.cache_resource(max_entries=1, show_spinner=False)
def stabilities() -> OrderedDict[str, dict[str, Stability]]:
    """Stability by settings, filled by ``keep``: its computation reports progress and can stop."""
    return OrderedDict()


def keep(store: OrderedDict[str, Any], key: str, value: Any, *, most: int = 16) -> None:
    """Stores a value; drops the oldest beyond ``most``."""
    store[key] = value
    while len(store) > most:
        store.popitem(last=False)
