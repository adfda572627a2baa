"""Hostile arguments of public functions end in a result or in a sentence."""

import subprocess
import sys

import pytest

from tests.browser import ROOT

FUZZ = """
from tests.fuzz_functions import fuzz
report = fuzz(0, 100)
print(sum(report.outcomes.values()) >= 80, report.bad)
"""


@pytest.mark.slow
def test_no_crash_hang_or_raw_error():
    """In a process of its own, because each call is a fork of it."""
    command = [sys.executable, "-c", FUZZ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == "True {}\n", done.stdout + done.stderr
