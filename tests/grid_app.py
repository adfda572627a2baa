"""The server of tests/grid_page.py, with the route for scripts."""

from pathlib import Path

from starlette.routing import Route
from streamlit.starlette import App

from rnnviz.ui.components.script import ADDRESS, answer

app = App(
    Path(__file__).with_name("grid_page.py"),
    routes=[Route(f"/{ADDRESS}/{{name}}", answer)],
)
