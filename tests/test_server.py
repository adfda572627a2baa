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

def visit():
    try:
        connected().close()
        address = f"ws://127.0.0.1:{PORT}"
        live, stream = f"{address}/rnnviz/live", f"{address}/_stcore/stream"
        with connect(live, open_timeout=None), connect(stream, open_timeout=None):
            page = connected()  # last: an idle one is closed after 5 s
            print("TCP_NODELAY", *options(), flush=True)
            page.close()
    except BaseException:
        traceback.print_exc()
    os.kill(os.getpid(), signal.SIGTERM)

Thread(target=visit, daemon=True).start()
from streamlit.web.cli import main
sys.argv = ["streamlit", "run", "app.py", "--server.port", str(PORT)]
main()
"""


@pytest.mark.slow
def test_every_connection_has_tcp_nodelay():
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    run = [sys.executable, "-c", SERVED, str(port)]
    result = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=False)
    lines = [line for line in result.stdout.splitlines() if line.startswith("TCP_NODELAY")]
    assert lines == ["TCP_NODELAY 1 1 1"], result.stdout + result.stderr
