"""The app: its menu and the page asked for. Start it with ``make app``.

Streamlit runs this file for every visitor, and imports it once to find the server in it.
"""

if __name__ == "__main__":
    from rnnviz.ui.frame import navigate

    navigate()
else:
    import gc
    from threading import Thread

    gc.disable()  # while so much is loaded, to look through all of it again and again takes seconds

    from starlette.routing import WebSocketRoute
    from starlette.websockets import WebSocket
    from streamlit import get_option
    from streamlit.starlette import App

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
    app = App(__file__, routes=[WebSocketRoute(address, follow)])
