"""The app: its menu and the page asked for. Start it with ``make app``.

Streamlit runs this file for every visitor, and imports it once to find the server in it.
"""

if __name__ == "__main__":
    from rnnviz.ui.frame import navigate

    navigate()
else:
    import gc
    from contextlib import suppress
    from socket import IPPROTO_TCP, TCP_NODELAY
    from threading import Thread

    gc.disable()  # while so much is loaded, to look through all of it again and again takes seconds

    from starlette.middleware import Middleware
    from starlette.routing import WebSocketRoute
    from starlette.types import ASGIApp, Receive, Scope, Send
    from starlette.websockets import WebSocket
    from streamlit import get_option
    from streamlit.starlette import App

    class NoDelay:
        """Sets TCP_NODELAY on the connection of every request and WebSocket.

        With Nagle's algorithm a small message waits for the acknowledgement of the one before it,
        up to 40 ms. asyncio turns it off for sockets created with IPPROTO_TCP, and Streamlit's
        listening socket is not.
        """

        def __init__(self, app: ASGIApp) -> None:
            self.app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            # uvicorn's receive is a method of the object that holds the connection's transport
            transport = getattr(getattr(receive, "__self__", None), "transport", None)
            if transport is not None:
                with suppress(OSError):  # a Unix socket, or one that is closed already
                    transport.get_extra_info("socket").setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
            await self.app(scope, receive, send)

    def load() -> None:
        """Loads what takes seconds, while the browser is on its way.

        All of it stays, so the garbage collector need not look at it again.
        """
        try:
            from rnnviz.ui.warm_up import make_ready

            make_ready()
        finally:
            gc.freeze()
            gc.enable()

    async def follow(channel: WebSocket) -> None:
        """The figures and texts of a page that are updated live: see rnnviz/ui/live_figures.py."""
        from rnnviz.ui.live_figures import answer

        await answer(channel)

    Thread(target=load, daemon=True).start()
    below = get_option("server.baseUrlPath").strip("/")
    address = f"/{below}/rnnviz/follow".replace("//", "/")
    app = App(__file__, routes=[WebSocketRoute(address, follow)], middleware=[Middleware(NoDelay)])
