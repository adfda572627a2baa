"""The live drawing of a cell: its data for the browser and its scripts; knows no Streamlit."""

from pathlib import Path

STATIC = Path(__file__).with_name("static")
SCRIPT = STATIC / "instrument.js"  # with the modules that it imports
STYLES = tuple(
    STATIC / f"{name}.css"
    for name in (
        "instrument",
        "strip",
        "player",
        "drawing",
        "lines",
        "cards",
        "rows",
        "figures",
        "screens",
    )
)
