"""Where app.py, pages and assets are: beside the package, or inside it in a wheel."""

from pathlib import Path

_IN_WHEEL = Path(__file__).parents[1] / "app"
APP = _IN_WHEEL if _IN_WHEEL.is_dir() else Path(__file__).parents[2]
