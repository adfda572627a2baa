"""What a fresh server does before its first visitor asks for it."""

import sys
from importlib import import_module

from rnnviz.experiment import Settings
from rnnviz.ui.cache import measured

PARTS = ("frame", "controls", "following", "network_controls", "scenes", "sections", "stepping")

# Seconds until a thread lets another have its turn. With Python's 5 ms, what takes messages in and
# out waits that long, many times over, for whatever is at work: 30 visitors waited 25 times longer.
TURN = 0.0005


def make_ready() -> None:
    """Loads what the pages are made of, and compiled code by using it."""
    sys.setswitchinterval(TURN)
    for part in PARTS:
        import_module(f"rnnviz.ui.{part}")
    measured(Settings().network())
