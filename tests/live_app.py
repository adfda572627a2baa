"""The server of tests/live_page.py, with the routes for scripts and for live updates."""

from pathlib import Path

from starlette.routing import Route, WebSocketRoute
from streamlit.starlette import App

from rnnviz.experiment import GradientsPage
from rnnviz.ui import pages
from rnnviz.ui.components import script
from rnnviz.ui.live_server import LIVE_PARTS, Makers, serve_live_updates
from tests.live_page import lines

LIVE_PARTS["waves"] = Makers(
    {"lines": lambda settings, _: lines(settings.gain)},
    {"said": lambda settings, _: f"<b>{settings.gain!r}</b>"},
)
pages.PAGES["waves"] = pages.Page(GradientsPage, "")
app = App(
    Path(__file__).with_name("live_page.py"),
    routes=[
        WebSocketRoute("/rnnviz/live", serve_live_updates),
        Route(f"/{script.ADDRESS}/{{name}}", script.answer),
    ],
)
