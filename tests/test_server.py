"""The connections of the served app."""

import subprocess
import sys
from pathlib import Path
from socket import socket

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Serves the app like `streamlit run app.py`, with a client in a thread of the same process, which
# can read the options of both ends.
SERVED = """
import os, signal, socket, sys, time, traceback
from contextlib import suppress
from http.client import HTTPConnection
from threading import Thread

from websockets.sync.client import connect

PORT = int(sys.argv[1])

def options():
    # TCP_NODELAY of the server's end of every connection
    for name in os.listdir("/dev/fd"):
        with suppress(OSError):  # not a socket, or already closed
            own = socket.socket(fileno=int(name))
            try:
                if own.getsockname()[1:2] == (PORT,) and own.getpeername():
                    yield own.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            finally:
                own.detach()

def connected():
    for _ in range(600):
        with suppress(OSError):
            page = HTTPConnection("127.0.0.1", PORT)
            page.request("GET", "/_stcore/health")
            assert page.getresponse().read() == b"ok"
            return page  # stays open
        time.sleep(0.1)

def opened(path, origin):
    # A connection after the handshake, and its status
    wire = socket.create_connection(("127.0.0.1", PORT), timeout=60)
    lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{PORT}", f"Origin: {origin}"]
    lines += ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"]
    lines += ["Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", "", ""]
    wire.sendall("\\r\\n".join(lines).encode())
    head = b""
    while not head.endswith(b"\\r\\n\\r\\n"):
        head += wire.recv(1)
    return wire, int(head.split()[1])

def header(first, length):
    # of a masked frame; none of its bytes are sent
    return bytes([first, 0xFF]) + length.to_bytes(8, "big") + bytes(4)

def closed_with(wire, *frames):
    for frame in frames:
        wire.sendall(frame)
    data = b""
    while len(data) < 4 or data[0] != 0x88:  # of a close frame
        part = wire.recv(4096)
        if not part:
            return "no code"
        data += part
    return int.from_bytes(data[2:4], "big")

def hostile():
    own = f"http://127.0.0.1:{PORT}"
    idle = socket.create_connection(("127.0.0.1", PORT))  # never says anything
    for path in ("/rnnviz/live", "/_stcore/stream"):
        for origin in ("http://[evil", "https://elsewhere.org", own):
            wire, status = opened(path, origin)
            print(path, origin.replace(own, "own"), status, flush=True)
        print(path, "too long", closed_with(wire, header(0x82, 2**30)), flush=True)
    first = bytes([0x01, 0xFF]) + (60_000).to_bytes(8, "big") + bytes(4) + bytes(60_000)
    wire, _ = opened("/rnnviz/live", own)
    print("in parts", closed_with(wire, first, header(0x80, 60_000)), flush=True)
    wire, _ = opened("/rnnviz/live", own)
    print("binary", closed_with(wire, bytes([0x82, 0x82]) + bytes(4) + b"{}"), flush=True)

def visit():
    try:
        page, address = connected(), f"ws://127.0.0.1:{PORT}"
        with connect(f"{address}/rnnviz/live"), connect(f"{address}/_stcore/stream"):
            print("TCP_NODELAY", *options(), flush=True)
        hostile()
    except BaseException:
        traceback.print_exc()
    os.kill(os.getpid(), signal.SIGTERM)

Thread(target=visit, daemon=True).start()
from streamlit.web.cli import main
sys.argv = ["streamlit", "run", "app.py", "--server.port", str(PORT)]
main()
"""


HOSTILE = """\
/rnnviz/live http://[evil 403
/rnnviz/live https://elsewhere.org 403
/rnnviz/live own 101
/rnnviz/live too long 1009
/_stcore/stream http://[evil 403
/_stcore/stream https://elsewhere.org 403
/_stcore/stream own 101
/_stcore/stream too long 1009
in parts 1009
binary 1007
"""


@pytest.mark.slow
def test_every_connection_has_tcp_nodelay_and_hostile_ones_are_refused():
    """A message that is too long is refused by its frame's header, before its bytes have come."""
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    run = [sys.executable, "-c", SERVED, str(port)]
    result = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=False)
    _, _, output = result.stdout.partition("TCP_NODELAY ")
    assert output == f"1 1 1\n{HOSTILE}", result.stdout + result.stderr
    assert "Traceback" not in result.stderr, result.stderr
