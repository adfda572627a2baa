"""A server of the app, and a page of it in a browser."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import socket

from playwright.sync_api import Browser, Error, Page, WebSocket

from rnnviz.ui.live_server import END
from tests.browser import DONE

ROOT = Path(__file__).resolve().parents[2]
ASKING: dict[Page, int] = {}  # questions in flight


@contextmanager
def served(script: str, **environment: str) -> Iterator[tuple[str, int]]:
    """The address of a fresh server of a script, and its process id."""
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", script, "--server.port", str(port)]
    server = subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield f"http://127.0.0.1:{port}", server.pid
    finally:
        server.terminate()
        server.wait(timeout=20)


class Visit:
    """A new page, with the traffic of its WebSockets."""

    def __init__(self, browser: Browser, address: str, ready: str, height: int = 900) -> None:
        self.page = browser.new_page(viewport={"width": 1440, "height": height})
        self.sent: list[bytes] = []
        self.received: list[bytes] = []
        self.asked: list[str] = []  # questions on the WebSocket of live updates
        self.answered = 0  # bytes of their answers
        self.page.on("websocket", self._opened)
        knock(self.page, address)
        self.page.wait_for_selector(ready, timeout=120_000)
        rest(self.page)

    def _opened(self, wire: WebSocket) -> None:
        if wire.url.endswith("/rnnviz/live"):
            wire.on("framesent", self._record_question)
            wire.on("framereceived", self._record_answer)
        else:
            wire.on("framesent", lambda frame: self._record_frame(self.sent, frame))
            wire.on("framereceived", lambda frame: self._record_frame(self.received, frame))

    def _record_frame(self, frames: list[bytes], frame: bytes | str) -> None:
        frames.append(frame if isinstance(frame, bytes) else frame.encode())

    def _record_question(self, question: bytes | str) -> None:
        ASKING[self.page] = ASKING.get(self.page, 0) + 1
        self.asked.append(str(question))

    def _record_answer(self, answer: bytes | str) -> None:
        self.answered += len(answer)
        if answer == END:
            ASKING[self.page] -= 1

    @property
    def bytes(self) -> int:
        """Bytes sent and received."""
        wire = sum(map(len, self.sent)) + sum(map(len, self.received))
        return wire + sum(map(len, self.asked)) + self.answered


def knock(page: Page, address: str) -> None:
    """Requests an address until its server answers."""
    for _ in range(1000):
        try:
            page.goto(address, wait_until="commit")
            return
        except Error:
            page.wait_for_timeout(20)


def rest(page: Page) -> None:
    """Waits until the script, the questions and the drawing have been idle for 0.3 s."""
    still, looked = 0, "() => window.painted?.any"
    while still < 3:
        page.wait_for_selector(DONE, state="attached", timeout=120_000)
        before = page.evaluate(looked)
        page.wait_for_timeout(100)
        same = page.evaluate(looked) == before and not ASKING.get(page)
        still = still + 1 if same and page.locator(DONE).count() else 0


def resident(pid: int) -> float:
    """MB of a process."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0
