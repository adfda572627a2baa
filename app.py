"""The app: its menu and the page asked for. Start it with ``make app``."""

from rnnviz.ui.frame import navigate

navigate()
