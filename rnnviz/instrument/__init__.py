"""The live drawing of a cell: its data for the browser and its scripts; knows no Streamlit."""

from pathlib import Path

STATIC = Path(__file__).with_name("static")


def _joined(names: tuple[str, ...], ending: str) -> str:
    return "\n".join((STATIC / f"{name}.{ending}").read_text("utf-8") for name in names)


# One script: what a file defines, those after it use.
STYLES = _joined(("instrument", "strip", "player", "drawing", "rows", "figures", "screens"), "css")
SCRIPTS = _joined(
    ("recording", "strip", "player", "drawing", "cells", "rows", "figures", "instrument"), "js"
)
