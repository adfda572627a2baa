"""A server of the app on a free port, and a real browser in which every error fails the test."""

import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from socket import socket
from tempfile import TemporaryFile
from typing import IO
from urllib.parse import parse_qsl, urlencode, urlsplit

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Locator,
    Page,
    Request,
    TimeoutError,
    WebSocket,
    expect,
    sync_playwright,
)

from tests.install_chromium import find_chromium

ROOT = Path(__file__).resolve().parent.parent
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--process-per-site",
)
DONE = "[data-test-script-state=notRunning]"
# Polled every 50 ms, the page must be idle more than four times in a row, which is longer than the
# 150 ms debounce of a value. A changed value is pending until the server has it, and its sender
# is not idle.
STILL = f"""() => {{
    const done = document.querySelector("{DONE}") && !document.querySelector("[data-stale=true]")
        && !window.rnnvizPage?.pending.size
        && [...(window.rnnvizPage?.senders ?? [])].every(sender => sender.isIdle);
    window.still = done ? (window.still ?? 0) + 1 : 0;
    return window.still > 4;
}}"""
FRAMES = """count => new Promise(done => {
    const look = () => count-- ? requestAnimationFrame(look) : done();
    look();
})"""
# On a page other than the first, Streamlit first looks for its server below that page's address.
LOOKED_FOR = re.compile(r"/\w+/_stcore/(health|host-config)$")
PATIENCE = 30_000  # milliseconds
expect.set_options(timeout=PATIENCE)


class Server:
    """A server of the app or of another script, which can be restarted on the same port."""

    def __init__(self, script: str, log: IO[bytes]) -> None:
        with socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.script = script
        self.address = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None
        self.log = log

    def start(self) -> None:
        port = ["--server.port", str(self.port)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", self.script, *port],
            cwd=ROOT,
            stdout=self.log,
            stderr=subprocess.STDOUT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},  # for scripts in other folders
        )
        until = time.monotonic() + 60
        while time.monotonic() < until and self.process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.address}/_stcore/health", timeout=5):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        raise TimeoutError(f"The app did not start; its exit status is {self.process.poll()}.")

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(timeout=20)
        self.process = None


@contextmanager
def serving(script: str = "app.py") -> Iterator[Server]:
    """A fresh server that is stopped after the block; its log must have no traceback."""
    with TemporaryFile() as log:
        server = Server(script, log)
        try:
            server.start()
            yield server
        finally:
            server.stop()
        log.seek(0)
        output = log.read().decode()
    assert "Traceback" not in output, output


@contextmanager
def served(script: str = "app.py") -> Iterator[str]:
    """The address of a fresh server."""
    with serving(script) as server:
        yield server.address


@contextmanager
def launched() -> Iterator[Browser]:
    """A Chromium."""
    path = find_chromium()
    assert path, "There is no Chromium; python tests/install_chromium.py installs one."
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@dataclass
class Visit:
    """A page of the app in the browser; ``wrong`` collects its errors."""

    page: Page
    address: str
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.set_default_timeout(PATIENCE)
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.wrong.append(f"page error: {error}"))
        self.page.on("requestfailed", self._failed)
        self.page.on("request", self._requested)
        self.page.on("response", self._answered)
        self.page.on("dialog", self._asked)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not LOOKED_FOR.search(message.location["url"]):
            self.wrong.append(f"console: {message.text}")

    def _failed(self, request: Request) -> None:
        # a reload aborts the requests in flight, and the browser reports each of them
        if request.failure != "net::ERR_ABORTED":
            self.wrong.append(f"failed: {request.url} {request.failure}")

    def _requested(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in ("data", "blob") and parts.netloc != urlsplit(self.address).netloc:
            self.wrong.append(f"another host: {request.url}")

    def _answered(self, response: object) -> None:
        status, url = getattr(response, "status", 0), getattr(response, "url", "")
        if status >= 400 and not LOOKED_FOR.search(url):
            self.wrong.append(f"status {status}: {url}")

    def _asked(self, dialog: object) -> None:
        self.wrong.append(f"dialog: {getattr(dialog, 'message', '')}")
        dialog.dismiss()  # pyright: ignore[reportAttributeAccessIssue]  # Playwright's Dialog

    def open(self, path: str = "/", **query: object) -> "Visit":
        self.page.goto(f"{self.address}{path}?{urlencode(query)}")
        self.page.wait_for_selector(".rnnviz-count, .rnnviz-verdict")
        return self.settle()

    def settle(self) -> "Visit":
        """Waits until the server is done and the page has been idle for a moment."""
        try:
            self.page.evaluate("() => { window.still = 0; }")
            self.page.wait_for_function(STILL, polling=50)
        except TimeoutError as error:
            raise AssertionError("The page does not become idle.") from error
        return self

    def until(self, wanted: str, expression: str) -> None:
        """Waits until a JavaScript function returns true; ``wanted`` describes the condition.

        The function may throw while elements are missing; that counts as false.
        """
        try:
            self.page.wait_for_function(
                f"() => {{ try {{ return ({expression})(); }} catch {{ return false; }} }}"
            )
        except Exception as error:
            raise AssertionError(f"{wanted}: {expression}") from error

    def eventually(self, check: Callable[[], object]) -> None:
        """Repeats a check while it fails, until the page has followed or the patience is over."""
        until = time.monotonic() + PATIENCE / 1000
        while True:
            try:
                check()
                return
            except AssertionError:
                if time.monotonic() > until:
                    raise
                self.page.wait_for_timeout(50)

    def wait_frames(self, count: int) -> None:
        """Waits for a number of animation frames, in each of which the page could have changed."""
        self.page.evaluate(FRAMES, count)

    def check(self) -> None:
        """Asserts that there was no error so far and that the page shows no exception."""
        boxes = self.page.locator("[data-testid=stException], .katex-error").all_inner_texts()
        assert not self.wrong + boxes, "\n".join(self.wrong + boxes)

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.page.url).query, keep_blank_values=True))

    @property
    def count(self) -> str:
        return self.page.locator(".rnnviz-count").inner_text()

    @property
    def messages(self) -> list[str]:
        """The texts of the warning and error boxes, without the names of their icons."""
        boxes = self.page.get_by_test_id("stAlert").all_inner_texts()
        return [box.splitlines()[-1] for box in boxes]

    @property
    def cells(self) -> Locator:
        """The characters of the strip."""
        return self.page.locator(".strip button")

    def key(self, name: str) -> Locator:
        return self.page.locator(f".st-key-{name}")

    def choose_cell(self, cell: str) -> None:
        """Selects the network that reads the text and waits until the page shows it."""
        name = cell.upper()
        self.key("cell").get_by_role("radio", name=name, exact=True).or_(
            self.key("cell").get_by_role("button", name=name, exact=True)
        ).first.click()
        self.until(
            f"a {name}",
            "() => /^(LSTM|GRU|RNN)/.exec("
            f"document.querySelector('.st-key-card_equations').innerText)[0] === '{name}'",
        )
        self.settle()

    def wait_for_step(self, t: int) -> None:
        self.until(
            f"step {t}",
            f"() => /^(step {t} of|{t} \\/) /.test("
            "document.querySelector('.rnnviz-count').innerText)",
        )
        self.settle()

    def wait_until_played_to(self, t: int) -> None:
        """Waits until the instrument has played to step t or further: one step may pass unseen."""
        self.until(
            f"step {t} or a later one",
            "() => Number(/\\d+/.exec(document.querySelector('.rnnviz-count').innerText)[0])"
            f" >= {t}",
        )

    @contextmanager
    def own_time(self) -> Iterator[None]:
        """Lets time stand still for the page in the block, but for ``page.clock.run_for``.

        Only for a context with a clock.
        """
        self.page.clock.pause_at(self.page.evaluate("Date.now() / 1000") + 1)
        yield
        self.page.clock.resume()

    def read(self, text: str) -> None:
        """Types a text, submits it, and waits until the page shows it."""
        area = self.key("text").locator("textarea")
        area.fill(text)
        area.press("Control+Enter")
        self.settle()


def on_stream(page: Page, **listeners: Callable[[str | bytes], object]) -> None:
    """Adds listeners, by event, to Streamlit's WebSocket; not to that of live updates."""

    def opened(wire: WebSocket) -> None:
        if wire.url.endswith("/_stcore/stream"):
            for event, listener in listeners.items():
                wire.on(event, listener)  # pyright: ignore[reportArgumentType, reportCallIssue]  # its events are literals

    page.on("websocket", opened)


@contextmanager
def windows(
    browser: Browser, address: str | None = None, **options: object
) -> Iterator[BrowserContext]:
    """A browser context, whose pages share storage and cache like the windows of one user.

    With an address, one page stays open at it. All pages share its process and so Streamlit's
    compiled scripts, which halves the time in which a page opens.
    """
    settings: dict[str, object] = {"viewport": {"width": 1440, "height": 1500}, "locale": "en-GB"}
    context = browser.new_context(**settings | options)  # pyright: ignore[reportArgumentType]  # Playwright's own options
    if address is not None:
        context.new_page().goto(f"{address}/_stcore/health")
    yield context
    context.close()


@contextmanager
def visiting(context: BrowserContext, address: str) -> Iterator[Visit]:
    """A visit in a new window; at its end there must have been no error."""
    page = context.new_page()
    try:
        visit = Visit(page, address)
        yield visit
        visit.check()
    finally:
        page.close()
