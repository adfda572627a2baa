"""Components whose scripts the browser loads once, by address.

Streamlit sends a component's script and styles as text with each of its elements. Here that text
only imports the script, with the styles in it, from an address that has a hash of its content: a
browser that has it need not ask again.
"""

import gzip
import json
from collections.abc import Callable
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from streamlit.components.v2 import component
from streamlit.components.v2.types import ComponentRenderer

from rnnviz.errors import RnnvizError
from rnnviz.instrument import STYLES
from rnnviz.instrument.modules import join_modules, join_styles
from rnnviz.ui.components.glossary_content import glossary_content

HERE = Path(__file__).parent
ADDRESS = "rnnviz/scripts"  # of all scripts, below the address of the app

# As in server.js, the address of the app is found by that of Streamlit's own scripts. The import is
# inside the function, so that one that failed is tried again at the next update.
STUB = """\
const { src } = document.querySelector('script[src*="static/js/"]');
const address = new URL("../../ADDRESS", src).href;
export default async (component) => (await import(address)).default(component);
"""


class Source(NamedTuple):
    """What the script of a component needs.

    styles: its style sheets; isolated: whether they are for it alone. content: makes what the
    script has as ``CONTENT``, in JSON, because it is the same for every page and visitor.
    """

    styles: tuple[Path, ...] = ()
    isolated: bool = True
    content: Callable[[], Any] | None = None


SOURCES = {
    # Not in a shadow root, because the instrument's cursor looks for figures in the page.
    "chart": Source((HERE / "chart.css",), isolated=False),
    "connection": Source((HERE / "connection.css",)),
    # Not in a shadow root, because the terms are anywhere on the page.
    "glossary": Source((HERE / "glossary.css",), isolated=False, content=glossary_content),
    "grid": Source((HERE / "grid.css",)),
    # Not in a shadow root, because it highlights gates and draws cursors anywhere on the page.
    "instrument": Source(STYLES, isolated=False),
    # Not in a shadow root, so that the page's styles apply.
    "live_text": Source(isolated=False),
    "slider": Source((HERE / "slider.css",)),
}


class Script(NamedTuple):
    """A script as it is served: the end of its address, and its content, compressed."""

    name: str
    gzipped: bytes


@cache
def script_of(name: str) -> Script:
    """The script of a component with its modules and styles; RnnvizError for a damaged file."""
    source = SOURCES[name]
    constants = f"const STYLES = {json.dumps(join_styles(*source.styles))};\n"
    if source.content is not None:
        constants += f"const CONTENT = {json.dumps(source.content())};\n"
    text = (constants + join_modules(HERE / f"{name}.js")).encode()
    digest = blake2b(text, digest_size=8).hexdigest()
    return Script(f"{name}.{digest}.js", gzip.compress(text, mtime=0))


@cache
def served(name: str) -> ComponentRenderer:
    """The function that mounts a component; RnnvizError if its script or styles are damaged."""
    stub = STUB.replace("ADDRESS", f"{ADDRESS}/{script_of(name).name}")
    return component(f"rnnviz_{name}", js=stub, isolate_styles=SOURCES[name].isolated)


def answer(request: Request) -> Response:
    """The script of an address; 404 for any other content than the present."""
    asked = request.path_params["name"]
    name, _, _ = asked.partition(".")
    try:
        script = script_of(name) if name in SOURCES else None
    except RnnvizError:  # the page shows it
        script = None
    if script is None or script.name != asked:
        return Response(status_code=404)
    headers = {"Cache-Control": "public, immutable, max-age=31536000", "Vary": "Accept-Encoding"}
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return Response(gzip.decompress(script.gzipped), 200, headers, "text/javascript")
    headers["Content-Encoding"] = "gzip"
    return Response(script.gzipped, 200, headers, "text/javascript")
