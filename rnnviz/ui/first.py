"""What a fresh server does before its first visitor asks for it."""

import gc
from importlib import import_module

from rnnviz.experiment import Settings
from rnnviz.ui.cache import measured

PARTS = ("frame", "controls", "following", "network_controls", "scenes", "sections", "stepping")


def make_ready() -> None:
    """Loads what the pages are made of, and compiled code by using it.

    All of it stays, so the garbage collector need not look at it again.
    """
    for part in PARTS:
        import_module(f"rnnviz.ui.{part}")
    measured(Settings().network())
    gc.collect()
    gc.freeze()
