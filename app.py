"""The app: its menu and the requested page. Start it with ``make app``.

Streamlit runs this file for every visitor, and imports it once to get the ASGI application ``app``.
"""

if __name__ == "__main__":
    from rnnviz.ui.frame import navigate

    navigate()
else:
    import gc
    import gzip
    from contextlib import suppress
    from functools import cache
    from pathlib import Path
    from socket import IPPROTO_TCP, TCP_NODELAY
    from threading import Thread
    from urllib.parse import urlsplit

    gc.disable()  # collections during the imports would take seconds

    from starlette.concurrency import run_in_threadpool
    from starlette.datastructures import Headers
    from starlette.middleware import Middleware
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route, WebSocketRoute
    from starlette.types import ASGIApp, Receive, Scope, Send
    from starlette.websockets import WebSocket
    from streamlit import get_option
    from streamlit.file_util import get_static_dir
    from streamlit.runtime.pages_manager import PagesManager
    from streamlit.runtime.runtime_util import get_max_widget_state_size_bytes
    from streamlit.starlette import App

    LONGEST_QUESTION = 100_000  # bytes; as MAX_CHARACTERS of rnnviz/ui/live_server.py
    BASE = f"/{get_option('server.baseUrlPath').strip('/')}/".replace("//", "/")
    LIVE = f"{BASE}rnnviz/live"
    KINDS = {".js": "text/javascript", ".css": "text/css"}
    KEPT = {  # by browsers: the files' names have hashes
        "Cache-Control": "public, immutable, max-age=31536000",
        "Content-Encoding": "gzip",
        "Vary": "Accept-Encoding",
    }

    class Connections:
        """Sets up the connection of every request and WebSocket.

        TCP_NODELAY: with Nagle's algorithm a small message waits for the acknowledgement of the one
        before it, up to 40 ms. asyncio turns it off for sockets created with IPPROTO_TCP, and
        Streamlit's listening socket is not. The limit of a WebSocket's messages: a longer one is
        refused when its first frame's header arrives, and not taken in. An origin that is no URL
        is refused: Streamlit's rule for origins would fail on it.
        """

        def __init__(self, app: ASGIApp) -> None:
            self.app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            # uvicorn's receive is a method of the object that holds the connection
            protocol = getattr(receive, "__self__", None)
            transport = getattr(protocol, "transport", None)
            if transport is not None:
                with suppress(OSError):  # a Unix socket, or one that is closed already
                    transport.get_extra_info("socket").setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
            if scope["type"] == "websocket":
                is_live = scope["path"] == LIVE
                limit = LONGEST_QUESTION if is_live else get_max_widget_state_size_bytes()
                with suppress(AttributeError):  # of another server than uvicorn
                    protocol.conn.max_message_size = limit  # pyright: ignore[reportOptionalMemberAccess]  # caught
                try:
                    for name, value in scope["headers"]:
                        if name == b"origin":
                            urlsplit(value.decode("latin-1"))
                except ValueError:
                    await send({"type": "websocket.close", "code": 1008})
                    return
            await self.app(scope, receive, send)

    @cache
    def compressed(path: Path) -> bytes:
        return gzip.compress(path.read_bytes(), mtime=0)

    class Compression:
        """Sends Streamlit's own scripts and styles compressed; each is compressed once.

        Streamlit sends them as they are, because it would compress them for every request.
        """

        def __init__(self, app: ASGIApp) -> None:
            self.app, static = app, Path(get_static_dir())
            paths = [path for path in static.glob("static/*/*") if path.suffix in KINDS]
            self.paths = {BASE + path.relative_to(static).as_posix(): path for path in paths}

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            path, answer = self.paths.get(scope.get("path", "")), self.app
            taken = Headers(scope=scope).get("accept-encoding", "") if path else ""
            if path and scope["method"] == "GET" and "gzip" in taken:
                content = await run_in_threadpool(compressed, path)
                answer = Response(content, headers=KEPT, media_type=KINDS[path.suffix])
            await answer(scope, receive, send)

    def load() -> None:
        """Imports the slow modules in the background, before the first request arrives.

        Everything imported is permanent, so the garbage collector is told to skip it.
        """
        try:
            from rnnviz.ui.warm_up import make_ready

            make_ready()
        finally:
            gc.freeze()
            gc.enable()

    async def send_script(request: Request) -> Response:
        """The script of a component: see rnnviz/ui/components/script.py."""
        from rnnviz.ui.components.script import answer

        return answer(request)

    async def update_live(channel: WebSocket) -> None:
        """The WebSocket of live updates: see rnnviz/ui/live_server.py."""
        from rnnviz.ui.live_server import serve_live_updates

        await serve_live_updates(channel)

    # Streamlit would take the scripts in pages/ for its menu until app.py has made its own
    PagesManager.uses_pages_directory = False
    Thread(target=load, daemon=True).start()
    routes = [
        WebSocketRoute(LIVE, update_live),
        Route(f"{BASE}rnnviz/scripts/{{name}}", send_script),
    ]
    middleware = [Middleware(Connections), Middleware(Compression)]
    app = App(__file__, routes=routes, middleware=middleware)
