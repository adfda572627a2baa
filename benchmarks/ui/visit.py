"""A server of the app, and a page of it in a browser."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import socket

from playwright.sync_api import Browser, Error, Page, WebSocket

from rnnviz.ui.live_figures import END
from tests.browser import DONE

ROOT = Path(__file__).resolve().parents[2]
ASKING: dict[Page, int] = {}  # questions under way


@contextmanager
def served(script: str) -> Iterator[tuple[str, int]]:
    """The address of a fresh server of a script, and its process."""
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", script, "--server.port", str(port)]
    server = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield f"http://127.0.0.1:{port}", server.pid
    finally:
        server.terminate()
        server.wait(timeout=20)


class Visit:
    """A page of its own, and what goes through its WebSockets."""

    def __init__(self, browser: Browser, address: str, ready: str, height: int = 900) -> None:
        self.page = browser.new_page(viewport={"width": 1440, "height": height})
        self.sent: list[bytes] = []
        self.received: list[bytes] = []
        self.asked: list[str] = []  # beside Streamlit's messages
        self.answered = 0  # bytes
        self.page.on("websocket", self._opened)
        knock(self.page, address)
        self.page.wait_for_selector(ready, timeout=120_000)
        rest(self.page)

    def _opened(self, wire: WebSocket) -> None:
        if wire.url.endswith("/rnnviz/follow"):
            wire.on("framesent", self._asks)
            wire.on("framereceived", self._hears)
        else:
            wire.on("framesent", lambda frame: self._kept(self.sent, frame))
            wire.on("framereceived", lambda frame: self._kept(self.received, frame))

    def _kept(self, frames: list[bytes], frame: bytes | str) -> None:
        frames.append(frame if isinstance(frame, bytes) else frame.encode())

    def _asks(self, question: bytes | str) -> None:
        ASKING[self.page] = ASKING.get(self.page, 0) + 1
        self.asked.append(str(question))

    def _hears(self, answer: bytes | str) -> None:
        self.answered += len(answer)
        if answer == END:
            ASKING[self.page] -= 1

    @property
    def bytes(self) -> int:
        """All that went through, both ways."""
        wire = sum(map(len, self.sent)) + sum(map(len, self.received))
        return wire + sum(map(len, self.asked)) + self.answered


def knock(page: Page, address: str) -> None:
    """Opens an address as soon as its server answers."""
    for _ in range(1000):
        try:
            page.goto(address, wait_until="commit")
            return
        except Error:
            page.wait_for_timeout(20)


def rest(page: Page) -> None:
    """Waits until script, questions and drawing have been still for a while."""
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
