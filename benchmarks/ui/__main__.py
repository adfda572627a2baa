"""The app in a real browser: the time from a change until it is painted (``make bench-ui``).

floor: st.slider → one st.html. first: the page's main figure. in sight: all figures and texts
visible in a window of 1,440 × 900. all: every figure of the page, in a window high enough for all
of them. A change is one press of an arrow key on the gain's slider; it counts as painted in the
frame after Plotly is done. live: updates per second of the first figure while the slider is
dragged for 4 s, with an input event every 10 ms. blank: frames of that drag in which the figure had
no line. bytes: everything sent and received for one change. Milliseconds, p50/p95. step: an arrow
key on the first page → the frame in which its instrument shows the next step. playing: the time
per frame while a text is played at the highest speed, and how many cards change at every step. Cold
start: from the start of the server's process, with a browser that requests the page until it
answers, to the first paint.
"""

import time
from statistics import median
from tempfile import TemporaryDirectory
from urllib.parse import urlencode

from playwright.sync_api import Browser, Page

from benchmarks.ui.scripts import COMPARED, DRAG, MAIN, PLAY, RECORD, STEP
from benchmarks.ui.visit import Visit, knock, resident, rest, served
from benchmarks.ui.visitors import visitors
from rnnviz.experiment import FASTEST
from tests.browser import launched

SIZES = ((100, 16), (1000, 64), (2000, 256))
CHANGES = 40
HIGH = 2600  # pixels, at which every figure of the page is in sight
VISITORS = (1, 10, 30)
FIRST = {
    "/gradients": f".st-key-{MAIN} .scatterlayer .js-line",
    "/": ".strip button",
    "/compare": ".st-key-figure_comparison .main-svg",
}
STARTS = 5
READ = "def add(a, b):\n    return a + b\n" * 63  # 2,016 characters
PLAYED, SECONDS = (100, 1000, 2000), 5
TEXTS = 6  # of 200 characters, none of them cached


def new_texts(page: Page) -> list[float]:
    """Milliseconds from a new text of 200 characters to its painted heatmaps on /compare."""
    found: list[float] = []
    for number in range(TEXTS):
        page.locator("textarea").first.fill(READ[number : number + 200])
        page.evaluate(COMPARED)
        page.keyboard.press("Control+Enter")
        page.wait_for_function("() => window.compared.took", timeout=60_000)
        rest(page)
        found.append(page.evaluate("() => window.compared.took"))
    return found


def cold_start(browser: Browser, path: str, **environment: str) -> float:
    """Seconds from the start of a fresh server to the first paint in a new window."""
    begun = time.perf_counter()
    server = served("app.py", **environment)
    with server as (address, _), browser.new_context() as context:
        page = context.new_page()
        knock(page, address + path)
        page.wait_for_selector(FIRST[path], state="attached", timeout=120_000)
        page.evaluate("() => new Promise(requestAnimationFrame)")
        return time.perf_counter() - begun


def quantiles(values: list[float], digits: int = 0) -> str:
    return f"{median(values):.{digits}f}/{late(values):.{digits}f}"


def late(values: list[float]) -> float:
    """p95."""
    return sorted(values)[int(0.95 * (len(values) - 1))]


def changes(
    page: Page, slider: str, count: int, key: str = "ArrowRight"
) -> tuple[list[float], list[float]]:
    """Milliseconds to the first figure and to everything in sight, per key press.

    Each key press selects a value that is not cached.
    """
    page.evaluate(RECORD)
    first: list[float] = []
    sight: list[float] = []
    page.locator(slider).focus()
    for _ in range(count):
        page.keyboard.press(key)
        rest(page)
        found = page.evaluate("() => window.painted")
        sight.append(found["sight"])
        first.append(found.get("first", found["sight"]))
    return first, sight


def steps(page: Page, count: int) -> list[float]:
    """Milliseconds until the instrument has painted the next step, per key press."""
    page.evaluate(STEP)
    page.keyboard.press("Home")
    rest(page)
    found: list[float] = []
    for number in range(count):
        page.keyboard.press("ArrowLeft" if number % 2 else "ArrowRight")
        rest(page)
        found.append(page.evaluate("() => window.painted.any"))
    return found


def measure_floor(browser: Browser) -> list[float]:
    """Milliseconds of each change on floor_page.py."""
    with served("benchmarks/ui/floor_page.py") as (address, _):
        visit = Visit(browser, address, ".floor")
        _, floor = changes(visit.page, ".st-key-value input", CHANGES)
        visit.page.close()
    return floor


def show_gradients(browser: Browser, address: str, floor: list[float]) -> None:
    """Prints the times of the gradients page after a change of the gain, by size."""
    print(
        "| T | H | first | in sight | / floor (p95) | all | / floor (p95) | live / s | blank |"
        " bytes per change |\n|---|---|---|---|---|---|---|---|---|---|"
    )
    ready, slider = f".st-key-{MAIN} .main-svg", ".st-key-gain input"
    Visit(browser, f"{address}/gradients", ready).page.close()  # warms the server up
    for length, hidden in SIZES:
        place = f"{address}/gradients?length={length}&hidden={hidden}"
        visit = Visit(browser, place, ready, height=HIGH)
        _, everything = changes(visit.page, slider, CHANGES)
        visit.page.close()
        visit = Visit(browser, place, ready)
        before = visit.bytes
        first, sight = changes(visit.page, slider, CHANGES, "ArrowLeft")
        per_change = (visit.bytes - before) / CHANGES
        live = visit.page.evaluate(DRAG)
        rest(visit.page)
        visit.page.close()
        print(
            f"| {length:,} | {hidden} | {quantiles(first)} |"
            f" {quantiles(sight)} | {late(sight) / late(floor):.1f} |"
            f" {quantiles(everything)} | {late(everything) / late(floor):.1f} |"
            f" {live['rate']:.1f} | {live['blank']} of {live['frames']} | {per_change:,.0f} |",
            flush=True,
        )


def show_instrument(browser: Browser, address: str, floor: list[float]) -> None:
    """Prints the time of one step, and the frame times while a text is played."""
    visit = Visit(browser, address, FIRST["/"])
    stepped = steps(visit.page, CHANGES)
    visit.page.close()
    print(f"step: {quantiles(stepped)} ms, / floor {late(stepped) / late(floor):.1f} (p95)")
    for length in PLAYED:
        place = f"{address}/?{urlencode({'text': READ[:length], 'speed': FASTEST})}"
        visit = Visit(browser, place, FIRST["/"])
        sent = len(visit.sent)
        played = visit.page.evaluate(PLAY, SECONDS)
        print(
            f"playing {length:,} steps × 128 units: {quantiles(played['frames'], 1)} ms per frame,"
            f" {played['steps']} steps in {SECONDS} s, {played['moved']} of {played['cards']} cards"
            f" move, {len(visit.sent) - sent} messages",
            flush=True,
        )
        visit.page.close()


def show_comparison(browser: Browser, address: str) -> None:
    """Prints the time of a new text on /compare."""
    visit = Visit(browser, f"{address}/compare", ".st-key-figure_comparison .main-svg")
    print(f"/compare, a new text: {quantiles(new_texts(visit.page))} ms", flush=True)
    visit.page.close()


def show_visitors(browser: Browser, address: str, pid: int) -> None:
    """Prints the warm first paint, the times of many visitors and the server's memory."""
    visit = Visit(browser, f"{address}/gradients", f".st-key-{MAIN} .main-svg")
    warm = visit.page.evaluate(
        "() => performance.getEntriesByName('first-contentful-paint')[0].startTime"
    )
    print(f"warm first paint: {warm:.0f} ms")
    changes(visit.page, ".st-key-gain input", 4)
    visit.page.wait_for_timeout(3000)  # until the script has run with the last value
    print("one change per second, question → everything in sight (ms, p50/p95):")
    for count in VISITORS:
        print(f"{count} visitors: {quantiles(visitors(address, visit, count))}", flush=True)
    memory = [resident(pid)]
    visit.page.locator(".st-key-gain input").focus()
    for key in ("ArrowRight", "ArrowLeft") * 2:
        for _ in range(100):
            visit.page.keyboard.press(key)
            visit.page.wait_for_timeout(200)
        rest(visit.page)
        memory.append(resident(pid))
    visit.page.close()
    print(f"server memory every 100 of 400 changes: {[round(m) for m in memory]} MB", flush=True)


def main() -> None:
    """Prints the floor, then each measurement."""
    with launched() as browser:
        floor = measure_floor(browser)
        print(f"floor: {quantiles(floor)} ms (p50/p95)\n")
        with served("app.py") as (address, pid):
            show_gradients(browser, address, floor)
            print()
            show_instrument(browser, address, floor)
            show_comparison(browser, address)
            show_visitors(browser, address, pid)
        for path in FIRST:
            took = [cold_start(browser, path) for _ in range(STARTS)]
            print(f"cold start to the first paint of {path}: {quantiles(took, 1)} s (p50/p95)")
            with TemporaryDirectory() as folder:
                first = cold_start(browser, path, NUMBA_CACHE_DIR=folder)
            print(f"the first start on a machine, with compilation: {first:.1f} s")


if __name__ == "__main__":
    main()
