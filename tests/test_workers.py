"""Several servers behind HAProxy: visitors stay at theirs, and a server that exits comes back."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from socket import socket
from tempfile import TemporaryFile
from typing import IO

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from rnnviz.ui.live_server import END
from rnnviz.ui.serve import _workers
from rnnviz.ui.trouble import sentence
from rnnviz.ui.workers import Options
from tests.browser import ROOT
from tests.test_live_server import QUESTION
from tests.test_turns import until


@contextmanager
def served(port: int, log: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """Two servers and their proxy."""
    command = [sys.executable, "-m", "rnnviz.ui.serve", "--workers=2", "--server.port", str(port)]
    process = subprocess.Popen(command, cwd=ROOT, stderr=log)
    try:
        yield process
    finally:
        process.kill()  # the others end with it
        process.wait()


def children(pid: int) -> dict[int, str]:
    """The processes that a process has started, and their commands."""
    lines = subprocess.run(["pgrep", "-aP", str(pid)], capture_output=True, text=True).stdout
    return {int(line.split()[0]): line for line in lines.splitlines()}


class Visitor:
    """A browser with a cookie of its own."""

    def __init__(self, port: int) -> None:
        self.port = port
        with closing(HTTPConnection("127.0.0.1", port, timeout=60)) as page:
            page.request("GET", "/")
            response = page.getresponse()
            assert response.status == 200
            assert b"<title>Streamlit</title>" in response.read()
        self.server = (response.headers["set-cookie"] or "").split(";")[0].partition("=")[2]

    def open(self, path: str, origin: str | None = None) -> ClientConnection:
        protocols = [Subprotocol("streamlit")] if path == "_stcore/stream" else None
        return connect(
            f"ws://127.0.0.1:{self.port}/{path}",
            additional_headers={"Cookie": f"RNNVIZ={self.server}"},
            origin=Origin(origin or f"http://127.0.0.1:{self.port}"),
            subprotocols=protocols,
            max_size=None,
        )


def answers(live: ClientConnection) -> list[str]:
    live.send(json.dumps(QUESTION | {"seen": ["verdicts", "bound"]}))
    lines = ""
    while (message := live.recv(timeout=120)) != END:
        lines += str(message)
    return [line.split()[0] for line in lines.splitlines()]


def is_closed(wire: ClientConnection) -> bool:
    try:
        wire.recv(timeout=0.01)
    except TimeoutError:
        return False
    except ConnectionClosed:
        return True
    return False


@pytest.mark.slow
def test_two_servers_and_their_proxy():
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with TemporaryFile() as log, served(port, log) as process, ExitStack() as stack:
        ready = sentence("serve.ready", count=2, address=f"http://127.0.0.1:{port}")
        until(lambda: ready in text(log) or process.poll() is not None)
        assert ready in text(log), text(log)
        servers = {pid: line for pid, line in children(process.pid).items() if "streamlit" in line}
        assert len(servers) == 2
        until(lambda: len({Visitor(port).server for _ in range(4)}) == 2)  # both are up
        visitors = {visitor.server: visitor for visitor in (Visitor(port) for _ in range(4))}
        assert set(visitors) == {"server1", "server2"}
        wires, live = (
            {name: stack.enter_context(one.open(path)) for name, one in visitors.items()}
            for path in ("_stcore/stream", "rnnviz/live")
        )
        for wire in live.values():
            assert answers(wire) == ["verdicts", "bound"]
        for origin in ("https://b.org", "http://[evil"):
            with pytest.raises(InvalidStatus, match="HTTP 403"):
                visitors["server1"].open("rnnviz/live", origin)

        first = min(servers)  # was started first
        os.kill(first, signal.SIGKILL)
        until(lambda: is_closed(live["server1"]) and is_closed(wires["server1"]))
        assert answers(live["server2"]) == ["verdicts", "bound"]
        again = sentence("serve.again", name="server1", status=-signal.SIGKILL)
        until(lambda: again in text(log))
        with visitors["server1"].open("rnnviz/live") as other:  # at any server
            assert answers(other) == ["verdicts", "bound"]

        left = children(process.pid)
        process.terminate()
        assert process.wait(60) == 0
        # a helper that compiles ends soon after its server
        until(lambda: not [pid for pid in left if Path(f"/proc/{pid}").exists()])
        assert "Traceback" not in text(log), text(log)


def text(log: IO[bytes]) -> str:
    log.seek(0)
    return log.read().decode()


@pytest.mark.parametrize(
    ("given", "count", "others"),
    [
        ([], 1, []),
        (["--server.port", "80"], 1, ["--server.port", "80"]),
        (["--workers", "3", "--server.port=80"], 3, ["--server.port=80"]),
        (["--server.port=80", "--workers=2"], 2, ["--server.port=80"]),
        (["--workers", "1"], 1, []),
        (["--workers", "0"], None, []),
        (["--workers=-1"], None, []),
        (["--workers"], None, []),
        (["--workers", "two"], None, []),
    ],
)
def test_the_number_of_servers_is_read_from_the_options(
    given: list[str], count: int | None, others: list[str]
):
    assert _workers(given) == (count, others)


def test_the_proxy_has_the_address_and_every_server_the_other_options():
    own = Options(["--server.port", "80", "--server.baseUrlPath=/app/", "--theme.base", "dark"])
    assert (own.address, own.port, own.health) == ("127.0.0.1", 80, "/app/_stcore/health")
    assert own.passed == ["--server.baseUrlPath=/app/", "--theme.base=dark"]
    assert (Options([]).port, Options([]).health) == (8501, "/_stcore/health")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("option", "key", "status"), [("2", "serve.no_proxy", 1), ("none", "serve.workers", 2)]
)
def test_what_cannot_be_served_is_said_in_one_sentence(
    option: str, key: str, status: int, tmp_path: Path
):
    command = [sys.executable, "-m", "rnnviz.ui.serve", "--workers", option]
    environment = os.environ | {"PATH": str(tmp_path)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (status, "")
    assert done.stderr == f"{sentence(key)}\n"
