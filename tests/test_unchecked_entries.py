"""No compiled code is entered with shapes that nobody has checked."""

from pathlib import Path

import pytest

from tests import children
from tests.unchecked_entries import BY_STACKS, MODULES, STACKS, fields, others


@pytest.mark.slow
def test_weights_replaced_by_hand(tmp_path: Path):
    expected = {
        name + way: f"error.{key}"
        for name, (_, key) in MODULES.items()
        for way in ("", ", by equations", ", held")
    }
    assert children.outcomes("tests.unchecked_entries.modules", tmp_path) == expected


@pytest.mark.slow
def test_traces_made_by_hand_or_unpickled(tmp_path: Path):
    expected = {
        name + way: f"error.{key}"
        for name, (_, key) in fields().items()
        for way in ("", ", unpickled")
    }
    assert children.outcomes("tests.unchecked_entries.traces", tmp_path) == expected


@pytest.mark.slow
def test_arrays_of_another_shape(tmp_path: Path):
    named = [f"{function}: {stack}" for function in BY_STACKS for stack in STACKS]
    shrinking = ("backward_norms", "lyapunov_exponents", "log_singular_values")
    named += [f"{function}: shrinking" for function in shrinking]
    expected = dict.fromkeys(named, "error.jacobian_shape")
    expected |= dict.fromkeys(("diagnose: norms", "plain_pass: norms"), "error.norms_shape")
    assert children.outcomes("tests.unchecked_entries.arrays", tmp_path) == expected


@pytest.mark.slow
def test_nothing_else_crashes(tmp_path: Path):
    found = children.outcomes("tests.unchecked_entries.others", tmp_path)
    assert set(found) == set(others(tmp_path))
    assert {name: text for name, text in found.items() if text.startswith("signal")} == {}
