"""Messages to the browser leave at once."""

import gc
import socket
from contextlib import suppress
from functools import lru_cache

import streamlit as st

FAMILIES = (socket.AF_INET, socket.AF_INET6)


@lru_cache(maxsize=1)
def send_promptly() -> int:
    """Turns off Nagle's algorithm for this server, once; returns for how many sockets.

    With it a small message waits until the one before is confirmed, which the system at the other
    end puts off for 40 ms. asyncio turns it off only where a socket names its protocol, and
    Streamlit's own names none. Connections take over what the listening socket has.
    """
    port = st.get_option("server.port")
    found = 0
    for one in gc.get_objects():
        # not isinstance, which asks the object itself: some warn, some load a module
        if issubclass(type(one), socket.socket) and one.family in FAMILIES:
            with suppress(OSError):  # closed in between
                if one.type == socket.SOCK_STREAM and one.getsockname()[1] == port:
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    found += 1
    return found
