"""The app: its menu and the requested page. Start it with ``make app``.

Streamlit runs this file for every visitor, and imports it once to get the ASGI application ``app``.
"""

if __name__ == "__main__":
    from rnnviz.ui.frame import navigate

    navigate()
else:
    import gc
    from contextlib import suppress
    from socket import IPPROTO_TCP, TCP_NODELAY
    from threading import Thread
    from urllib.parse import urlsplit

    gc.disable()  # collections during the imports would take seconds

    from starlette.middleware import Middleware
    from starlette.routing import WebSocketRoute
    from starlette.types import ASGIApp, Receive, Scope, Send
    from starlette.websockets import WebSocket
    from streamlit import get_option
    from streamlit.runtime.runtime_util import get_max_widget_state_size_bytes
    from streamlit.starlette import App

    LONGEST_QUESTION = 100_000  # bytes; as MAX_CHARACTERS of rnnviz/ui/live_server.py

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
                is_live = scope["path"] == address
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

    async def update_live(channel: WebSocket) -> None:
        """The WebSocket of live updates: see rnnviz/ui/live_server.py."""
        from rnnviz.ui.live_server import answer

        await answer(channel)

    Thread(target=load, daemon=True).start()
    below = get_option("server.baseUrlPath").strip("/")
    address = f"/{below}/rnnviz/live".replace("//", "/")
    app = App(
        __file__,
        routes=[WebSocketRoute(address, update_live)],
        middleware=[Middleware(Connections)],
    )
