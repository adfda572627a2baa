"""The app in a real browser: what a change takes until it is painted (``make bench-ui``).

floor: st.slider → one st.html. first: the figure that a slider is about. in sight: all figures and
words that are to be seen in a window of 1,440 × 900. all: every figure of the page, in a window so
high that all are seen. A change is one press of an arrow key on the gain's slider; painted is the
frame after Plotly is done. live: updates a second of the first figure while the slider is dragged
for 4 s, an input event every 10 ms. blank: frames of that time in which the figure had no line.
bytes: all that is sent and received for one change. Milliseconds, p50/p95. step: an arrow key
on the first page → the frame in which its instrument says the next step. Cold start: from the start
of the server's process, with a browser that asks for the page all the while, to the first painting.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from socket import socket
from statistics import median
from threading import Barrier, Thread

from playwright.sync_api import Browser, Error, Page, Request, WebSocket
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.browser import DONE, launched

ROOT = Path(__file__).resolve().parent.parent
SIZES = ((100, 16), (1000, 64), (2000, 256))
CHANGES = 40
HIGH = 2600  # pixels, where every figure of the page is in sight
VISITORS = (1, 10, 30)
MAIN = "figure_gradient_norms"
FIRST = {"/gradients": f".st-key-{MAIN} .scatterlayer .js-line", "/": ".strip button"}
STARTS = 5
RESTS = 0.15  # seconds until the page follows
ASKING: dict[Page, int] = {}  # questions under way

RECORD = """() => {
    window.painted = {};
    const pressed = (event) => { window.painted = {at: event.timeStamp}; };
    document.addEventListener("keydown", pressed, true);
    const note = (part) => requestAnimationFrame(() => {
        const took = performance.now() - window.painted.at;
        const { top, bottom } = part.getBoundingClientRect();
        window.painted.any = took;
        if (bottom > 0 && top < innerHeight) window.painted.sight = took;
        if (part.closest(".st-key-MAIN") && !window.painted.first) window.painted.first = took;
    });
    for (const plot of document.querySelectorAll(".js-plotly-plot"))
        plot.on("plotly_afterplot", () => note(plot));
    const floor = document.querySelector(".floor") ? ".stMain" : "[aria-live=polite]";
    const what = {subtree: true, childList: true, characterData: true};
    for (const part of document.querySelectorAll(floor))
        new MutationObserver(() => note(part)).observe(part, what);
}""".replace("MAIN", MAIN)

STEP = """() => {
    window.painted = {};
    const pressed = (event) => { window.painted = {at: event.timeStamp}; };
    document.addEventListener("keydown", pressed, true);
    const note = () => requestAnimationFrame(() => {
        window.painted.any ??= performance.now() - window.painted.at;
    });
    const what = {subtree: true, childList: true, characterData: true};
    new MutationObserver(note).observe(document.querySelector(".player .rnnviz-count"), what);
}"""

# Six texts of 200 characters that no cache knows.
TEXTS, READ = 6, "def add(a, b):\n    return a + b\n" * 8
COMPARED = """() => {
    const plot = document.querySelector(".st-key-figure_comparison .js-plotly-plot");
    window.compared = {at: performance.now()};
    const drawn = () => plot._fullData.find((part) => part.z)?.z[0].length === 200;
    plot.on("plotly_afterplot", () => requestAnimationFrame(() => requestAnimationFrame(() => {
        if (drawn()) window.compared.took ??= performance.now() - window.compared.at;
    })));
}"""

DRAG = """async () => {
    const input = document.querySelector(".st-key-gain [data-testid=stBidiComponentIsolated]")
        .shadowRoot.querySelector("input");
    const plot = document.querySelector(".st-key-MAIN .js-plotly-plot");
    let updates = 0, blank = 0, frames = 0, going = true;
    const count = () => { updates += 1; };
    plot.on("plotly_afterplot", count);
    const look = () => {
        frames += 1;
        if (!plot.querySelector(".scatterlayer .js-line")) blank += 1;
        if (going) requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
    const first = input.valueAsNumber;
    input.dispatchEvent(new PointerEvent("pointerdown", {bubbles: true, button: 0}));
    const begun = performance.now();
    for (let k = 1; performance.now() - begun < 4000; k++) {
        input.value = first + 1 + (k % 60);
        input.dispatchEvent(new Event("input", {bubbles: true}));
        await new Promise((done) => setTimeout(done, 10));
    }
    const took = (performance.now() - begun) / 1000;
    going = false;
    plot.removeListener("plotly_afterplot", count);
    window.dispatchEvent(new PointerEvent("pointerup"));
    return {rate: updates / took, blank, frames};
}""".replace("MAIN", MAIN)


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
    """A page of its own, and what goes through its WebSocket."""

    def __init__(self, browser: Browser, address: str, ready: str, height: int = 900) -> None:
        self.page = browser.new_page(viewport={"width": 1440, "height": height})
        self.sent: list[bytes] = []
        self.received: list[bytes] = []
        self.asked: list[str] = []  # beside the WebSocket
        self.answered = 0  # bytes
        self.page.on("websocket", self._opened)
        self.page.on("request", lambda request: self._asks(request, +1))
        self.page.on("requestfinished", lambda request: self._asks(request, -1))
        self.page.on("requestfailed", lambda request: self._asks(request, -1))
        knock(self.page, address)
        self.page.wait_for_selector(ready, timeout=120_000)
        rest(self.page)

    def _opened(self, wire: WebSocket) -> None:
        wire.on("framesent", lambda frame: self._kept(self.sent, frame))
        wire.on("framereceived", lambda frame: self._kept(self.received, frame))

    def _kept(self, frames: list[bytes], frame: bytes | str) -> None:
        frames.append(frame if isinstance(frame, bytes) else frame.encode())

    def _asks(self, request: Request, more: int) -> None:
        if not request.url.endswith("/follow"):
            return
        ASKING[self.page] = ASKING.get(self.page, 0) + more
        if more < 0:
            self.asked.append(request.post_data or "")
            self.answered += request.sizes()["responseBodySize"]

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


def new_texts(page: Page) -> list[float]:
    """Milliseconds from a new text of 200 characters to its painted heatmaps, side by side."""
    found: list[float] = []
    for number in range(TEXTS):
        page.locator("textarea").first.fill(READ[number : number + 200])
        page.evaluate(COMPARED)
        page.keyboard.press("Control+Enter")
        page.wait_for_function("() => window.compared.took", timeout=60_000)
        rest(page)
        found.append(page.evaluate("() => window.compared.took"))
    return found


def cold_start(browser: Browser, path: str) -> float:
    """Seconds from the start of a fresh server to the first painting, in a window of its own."""
    begun = time.perf_counter()
    with served("app.py") as (address, _), browser.new_context() as context:
        page = context.new_page()
        knock(page, address + path)
        page.wait_for_selector(FIRST[path], state="attached", timeout=120_000)
        page.evaluate("() => new Promise(requestAnimationFrame)")
        return time.perf_counter() - begun


def rest(page: Page) -> None:
    """Waits until script, questions and drawing have been still for a while."""
    still, looked = 0, "() => window.painted?.any"
    while still < 3:
        page.wait_for_selector(DONE, state="attached", timeout=120_000)
        before = page.evaluate(looked)
        page.wait_for_timeout(100)
        same = page.evaluate(looked) == before and not ASKING.get(page)
        still = still + 1 if same and page.locator(DONE).count() else 0


def quantiles(values: list[float], digits: int = 0) -> str:
    return f"{median(values):.{digits}f}/{late(values):.{digits}f}"


def late(values: list[float]) -> float:
    """p95."""
    return sorted(values)[int(0.95 * (len(values) - 1))]


def changes(page: Page, slider: str, count: int) -> tuple[list[float], list[float]]:
    """Milliseconds to the first figure and to all that is in sight, for so many key presses."""
    page.evaluate(RECORD)
    first: list[float] = []
    sight: list[float] = []
    page.locator(slider).focus()
    for number in range(count):
        page.keyboard.press("ArrowRight" if number % 2 else "ArrowLeft")
        rest(page)
        found = page.evaluate("() => window.painted")
        sight.append(found["sight"])
        first.append(found.get("first", found["sight"]))
    return first, sight


def steps(page: Page, count: int) -> list[float]:
    """Milliseconds until the instrument has painted the next step, for so many key presses."""
    page.evaluate(STEP)
    page.keyboard.press("Home")
    rest(page)
    found: list[float] = []
    for number in range(count):
        page.keyboard.press("ArrowLeft" if number % 2 else "ArrowRight")
        rest(page)
        found.append(page.evaluate("() => window.painted.any"))
    return found


def resident(pid: int) -> float:
    """MB of a process."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


class Replayed:
    """A visitor without a browser: asks what follows, then has the page follow, as one does."""

    def __init__(self, address: str, visit: Visit, number: int) -> None:
        """visit: of a browser that has made changes."""
        runs = {frame: BackMsg.FromString(frame).rerun_script for frame in visit.sent}
        moved = [
            frame
            for frame, run in runs.items()
            if any(_is_moved(widget) for widget in run.widget_states.widgets)
        ]
        self.wire: ClientConnection = connect(
            f"{address.replace('http', 'ws')}/_stcore/stream",
            subprotocols=[Subprotocol("streamlit")],
            max_size=None,
        )
        self.http = HTTPConnection(address.partition("//")[2])
        self.question = json.loads(visit.asked[-1])
        self.change = BackMsg.FromString(moved[-1])
        self.number = 7 * number  # each at another value
        self.wire.send(next(frame for frame, run in runs.items() if run.ByteSize()))
        self._finish()

    def _finish(self) -> None:
        """Waits for the end of the run that stands for the last message."""
        while True:
            message = ForwardMsg.FromString(self.wire.recv(timeout=120))  # pyright: ignore[reportArgumentType]  # bytes
            if message.WhichOneof("type") == "script_finished":
                return

    def moves(self) -> float:
        """Milliseconds from a change to the last of what follows it; then the page follows, too."""
        self.number += 1
        at = 80 + self.number % 60
        self.question["query"]["gain"] = str(at / 100)
        begun = time.perf_counter()
        self.http.request("POST", "/rnnviz/follow", json.dumps(self.question))
        answer = self.http.getresponse()
        assert answer.status == 200
        assert answer.read().count(b"\n") == len(self.question["seen"])
        took = 1000 * (time.perf_counter() - begun)
        time.sleep(RESTS)
        for widget in filter(_is_moved, self.change.rerun_script.widget_states.widgets):
            value = {"at": at, "number": 10_000 + self.number, "followed": True}
            widget.json_trigger_value = json.dumps([{"event": "moved", "value": value}])
        self.wire.send(self.change.SerializeToString())
        self._finish()
        return took


def _is_moved(widget: WidgetState) -> bool:
    return "gain_slider" in widget.id and bool(widget.json_trigger_value)


def visitors(address: str, visit: Visit, count: int, seconds: int = 10) -> list[float]:
    """Milliseconds of each change of so many visitors, each of whom makes one a second."""
    found: list[float] = []
    start = Barrier(count)

    def one(number: int) -> None:
        client = Replayed(address, visit, number)
        start.wait()
        time.sleep(number / count)
        for _ in range(seconds):
            begun = time.perf_counter()
            found.append(client.moves())
            time.sleep(max(0.0, 1 - (time.perf_counter() - begun)))
        client.wire.close()
        client.http.close()

    threads = [Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def main() -> None:
    """Prints the floor, each size, the visitors, memory and first paints."""
    with launched() as browser:
        with served("benchmarks/floor_page.py") as (address, _):
            visit = Visit(browser, address, ".floor")
            _, floor = changes(visit.page, ".st-key-value input", CHANGES)
            visit.page.close()
        print(f"floor: {quantiles(floor)} ms (p50/p95)\n")
        print(
            "| T | H | first | in sight | / floor (p95) | all | / floor (p95) |"
            " live / s | blank | bytes a change |"
        )
        print("|---|---|---|---|---|---|---|---|---|---|")
        with served("app.py") as (address, pid):
            visit = Visit(browser, f"{address}/gradients", f".st-key-{MAIN} .main-svg")
            for length, hidden in SIZES:
                place = f"{address}/gradients?length={length}&hidden={hidden}"
                ready, slider = f".st-key-{MAIN} .main-svg", ".st-key-gain input"
                visit.page.close()
                visit = Visit(browser, place, ready, height=HIGH)
                _, everything = changes(visit.page, slider, CHANGES)
                visit.page.close()
                visit = Visit(browser, place, ready)
                before = visit.bytes
                first, sight = changes(visit.page, slider, CHANGES)
                a_change = (visit.bytes - before) / CHANGES
                live = visit.page.evaluate(DRAG)
                rest(visit.page)
                print(
                    f"| {length:,} | {hidden} | {quantiles(first)} |"
                    f" {quantiles(sight)} | {late(sight) / late(floor):.1f} |"
                    f" {quantiles(everything)} | {late(everything) / late(floor):.1f} |"
                    f" {live['rate']:.1f} | {live['blank']} of {live['frames']} |"
                    f" {a_change:,.0f} |",
                    flush=True,
                )
            visit.page.close()
            visit = Visit(browser, address, FIRST["/"])
            stepped = steps(visit.page, CHANGES)
            print(
                f"\nstep: {quantiles(stepped)} ms, / floor {late(stepped) / late(floor):.1f} (p95)"
            )
            visit.page.close()
            visit = Visit(browser, f"{address}/compare", ".st-key-figure_comparison .main-svg")
            print(f"side by side, a new text: {quantiles(new_texts(visit.page))} ms", flush=True)
            visit.page.close()
            visit = Visit(browser, f"{address}/gradients", f".st-key-{MAIN} .main-svg")
            warm = visit.page.evaluate(
                "() => performance.getEntriesByName('first-contentful-paint')[0].startTime"
            )
            changes(visit.page, ".st-key-gain input", 4)
            print("\nA change a second, question → all that is in sight (ms, p50/p95):")
            for count in VISITORS:
                print(f"{count} visitors: {quantiles(visitors(address, visit, count))}", flush=True)
            memory = [resident(pid)]
            visit.page.locator(".st-key-gain input").focus()
            for _ in range(4):
                for number in range(100):
                    visit.page.keyboard.press("ArrowRight" if number % 2 else "ArrowLeft")
                    visit.page.wait_for_timeout(200)
                rest(visit.page)
                memory.append(resident(pid))
            print(f"\nServer memory every 100 of 400 changes: {[round(m) for m in memory]} MB")
            print(f"Warm first paint: {warm:.0f} ms")
        for path in FIRST:
            took = [cold_start(browser, path) for _ in range(STARTS)]
            print(f"Cold start to the first painting of {path}: {quantiles(took, 1)} s (p50/p95)")


if __name__ == "__main__":
    main()
