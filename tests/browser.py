"""The app on a port of its own, and a real browser that takes nothing amiss lightly."""

import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from socket import socket
from tempfile import TemporaryFile
from urllib.parse import parse_qsl, urlencode, urlsplit

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Locator,
    Page,
    Request,
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
)
DONE = "[data-test-script-state=notRunning]"
# Opened at a page's own address, Streamlit tries below it first where its server answers.
LOOKED_FOR = re.compile(r"/(step|gradients)/_stcore/(health|host-config)$")
PATIENCE = 30_000  # milliseconds


@contextmanager
def served(script: str = "app.py") -> Iterator[str]:
    """The address of a fresh server of the app, or of another script; it ends with the block."""
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", script, "--server.port", str(port)]
    inherited = os.environ | {"PYTHONPATH": str(ROOT)}  # of a script that is not beside rnnviz
    with TemporaryFile() as log:
        server = subprocess.Popen(
            command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, env=inherited
        )
        try:
            address = f"http://127.0.0.1:{port}"
            wait_for_health(server, address)
            yield address
        finally:
            server.terminate()
            server.wait(timeout=20)
        log.seek(0)
        said = log.read().decode()
    assert "Traceback" not in said, said


def wait_for_health(server: "subprocess.Popen[bytes]", address: str) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until and server.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise TimeoutError(f"The app did not start; its exit status is {server.poll()}.")


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
    """A page of the app in the browser; whatever goes wrong in it is kept in ``wrong``."""

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
        # a reload gives up what is still under way; the browser says so of itself
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
        """Waits until the server is done and the page has been still for a moment."""
        still = 0
        until = time.monotonic() + PATIENCE / 1000
        while still < 3:
            assert time.monotonic() < until, "The page does not come to rest."
            self.page.wait_for_selector(DONE, state="attached")
            stale = self.page.locator("[data-stale=true]").count()
            self.page.wait_for_timeout(100)
            running = self.page.locator(DONE).count() == 0
            still = 0 if stale or running else still + 1
        return self

    def until(self, wanted: str, expression: str) -> None:
        """Waits for a condition in the page, JavaScript; ``wanted`` says it in words.

        What the condition reads may not be there yet: where it throws, it does not hold.
        """
        try:
            self.page.wait_for_function(
                f"() => {{ try {{ return ({expression})(); }} catch {{ return false; }} }}"
            )
        except Exception as error:
            raise AssertionError(f"{wanted}: {expression}") from error

    def check(self) -> None:
        """Nothing went wrong so far, and no exception stands on the page."""
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
        """What stands in the boxes of warnings and errors, without their icons' names."""
        boxes = self.page.get_by_test_id("stAlert").all_inner_texts()
        return [box.splitlines()[-1] for box in boxes]

    @property
    def cells(self) -> Locator:
        """The characters of the strip."""
        return self.page.locator(".strip button")

    def key(self, name: str) -> Locator:
        return self.page.locator(f".st-key-{name}")

    def wait_for_step(self, t: int) -> None:
        self.until(
            f"step {t}",
            f"() => /step {t} of|중 {t}단계/.test("
            "document.querySelector('.rnnviz-count').innerText)",
        )
        self.settle()

    def read(self, text: str) -> None:
        """Types a text as a reader would and waits until it is read."""
        area = self.key("text").locator("textarea")
        area.fill(text)
        area.press("Control+Enter")
        self.settle()


@contextmanager
def windows(browser: Browser, **options: object) -> Iterator[BrowserContext]:
    """Windows that share what the browser keeps, as those of one reader do."""
    settings: dict[str, object] = {"viewport": {"width": 1440, "height": 1500}, "locale": "en-GB"}
    context = browser.new_context(**settings | options)  # pyright: ignore[reportArgumentType]  # Playwright's own options
    yield context
    context.close()


@contextmanager
def visiting(context: BrowserContext, address: str) -> Iterator[Visit]:
    """A visit in a new window; at its end nothing may have gone wrong."""
    page = context.new_page()
    try:
        visit = Visit(page, address)
        yield visit
        visit.check()
    finally:
        page.close()
