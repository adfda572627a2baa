"""The connections of the served app, and the files that it sends compressed."""

import subprocess
import sys
from pathlib import Path
from socket import socket

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Serves the app like `streamlit run app.py`, with a client in a thread of the same process, which
# can read the options of both ends.
SERVED = """
import gzip, os, signal, socket, sys, time, traceback
from contextlib import suppress
from http.client import HTTPConnection
from pathlib import Path
from threading import Thread

from streamlit.file_util import get_static_dir
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
def fetched(page, path, accepted):
    page.request("GET", path, headers={"Accept-Encoding": accepted})
    answer = page.getresponse()
    return answer.headers, answer.read()

def files():
    from rnnviz.ui.components.script import script_of

    script, static = script_of("chart"), Path(get_static_dir())
    largest = max(static.glob("static/js/PlotlyChart*.js"), key=lambda path: path.stat().st_size)
    yield f"/rnnviz/scripts/{script.name}", gzip.decompress(script.gzipped)
    for path in (largest, *static.glob("static/css/index*.css")):
        yield f"/{path.relative_to(static)}", path.read_bytes()

def compressed(page):
    for path, content in files():
        about, packed = fetched(page, path, "gzip, deflate, br")
        assert about["Content-Encoding"] == "gzip", path
        assert about["Cache-Control"] == "public, immutable, max-age=31536000"
        assert about["Content-Type"].split(";")[0] in ("text/javascript", "text/css")
        assert gzip.decompress(packed) == content
        about, plain = fetched(page, path, "identity")
        assert about["Content-Encoding"] is None, path
        assert plain == content
        yield len(packed) < 0.4 * len(plain)

def visit():
    try:
        connected().close()
        address, patience = f"ws://127.0.0.1:{PORT}", {"open_timeout": None}
        live, stream = (f"{address}/{path}" for path in ("rnnviz/live", "_stcore/stream"))
        with connect(live, **patience), connect(stream, **patience):
            page = connected()  # last: an idle one is closed after 5 s
            print("TCP_NODELAY", *options(), flush=True)
            page.close()
        hostile()
        print("COMPRESSED", *compressed(connected()), flush=True)
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


@pytest.fixture(scope="module")
def result() -> subprocess.CompletedProcess[str]:
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    run = [sys.executable, "-c", SERVED, str(port)]
    found = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "Traceback" not in found.stderr, found.stderr
    return found


@pytest.mark.slow
def test_every_connection_has_tcp_nodelay(result: subprocess.CompletedProcess[str]):
    lines = [line for line in result.stdout.splitlines() if line.startswith("TCP_NODELAY")]
    assert lines == ["TCP_NODELAY 1 1 1"], result.stdout + result.stderr


@pytest.mark.slow
def test_hostile_connections_are_refused(result: subprocess.CompletedProcess[str]):
    """A message that is too long is refused by its frame's header, before its bytes have come."""
    assert HOSTILE in result.stdout, result.stdout + result.stderr


@pytest.mark.slow
def test_scripts_and_styles_are_compressed(result: subprocess.CompletedProcess[str]):
    lines = [line for line in result.stdout.splitlines() if line.startswith("COMPRESSED")]
    assert lines == ["COMPRESSED True True True"], result.stdout + result.stderr
