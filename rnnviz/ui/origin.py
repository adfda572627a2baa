"""Which clients may open a WebSocket: the rule of Streamlit's own, server.allowedHosts included."""

from starlette.websockets import WebSocket
from streamlit import net_util
from streamlit.web.server.starlette import starlette_websocket

# For a page of another site Streamlit would ask a foreign host for this machine's address, and all
# visitors would wait for up to 2 s at every such page. A page opened at that address is allowed
# anyway, since its origin and host are equal. This address is one that Streamlit always allows.
net_util._external_ip = net_util._external_ip or "0.0.0.0"


def may_connect(channel: WebSocket) -> bool:
    """Whether Streamlit would accept a WebSocket with these headers; browsers let any page try."""
    origin, host = channel.headers.get("origin"), channel.headers.get("host")
    try:
        return starlette_websocket._is_origin_allowed(origin, host)
    except ValueError:  # an origin that is no URL
        return False
