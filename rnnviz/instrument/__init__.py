"""The live drawing of a cell: its data for the browser and its scripts; knows no Streamlit."""

from pathlib import Path

from rnnviz.instrument.modules import join_modules

STATIC = Path(__file__).with_name("static")
STYLES = "\n".join(
    (STATIC / f"{name}.css").read_text("utf-8")
    for name in ("instrument", "strip", "player", "drawing", "rows", "figures", "screens")
)
SCRIPT = join_modules(STATIC / "instrument.js")
