"""Many visitors at once, who speak a browser's protocol (``make bench-load``).

Each makes one change per second, to networks that nobody has asked for before, and waits for the
answer. asked: what a browser causes while a control is dragged or a step is made: a live answer
where the page has one (the gain of /gradients, the length of /compare), else the run of a fragment
(a step of /). forced: a run of the page per change. Milliseconds until everything has come,
p50/p95, and p50 as a multiple of one visitor's; kB received and the servers' processor time per
change; MB of all servers' memory. load: the processor time of the visitors themselves, who share
the machine with the servers.

beside: one visitor at T = 100, H = 16 drags alone, then beside five at T = 2,000, H = 256 who
ask again as soon as they are answered.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import socket
from statistics import median
from typing import NamedTuple
from urllib.error import URLError
from urllib.request import urlopen

from benchmarks.load.visitor import Change, Visitor
from benchmarks.ui.visit import ROOT, resident

COUNTS = (1, 10, 30, 60)
SIGNAL = {"input_source": "signal"}
LARGEST = {"length": "2000", "hidden": "256"}
FIGURES = ("figure_gradient_norms", "verdicts", "scene_words")
GAIN = Change("gradients", {}, live="gain", seen=FIGURES)
LENGTH = Change(
    "compare", SIGNAL, live="length", seen=("figure_comparison", "figure_comparison_lines")
)
ASKED = {
    "/": Change("", {}, "instrument_cell", "position"),
    "/gradients": GAIN,
    "/compare": LENGTH,
}
FORCED = {
    "/": Change("", {}, "text"),
    "/gradients": Change("gradients", {}, "gain_slider", "moved"),
    "/compare": Change("compare", SIGNAL, "length_slider", "moved"),
}


class Served(NamedTuple):
    """The address of servers, and the process that has started them."""

    address: str
    pid: int


@contextmanager
def serving(workers: int) -> Iterator[Served]:
    """Fresh servers."""
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "rnnviz.ui.serve", "--workers", str(workers)]
    command += ["--server.port", str(port)]
    server = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    address = f"http://127.0.0.1:{port}"
    try:
        while True:
            try:
                urlopen(f"{address}/_stcore/health", timeout=5).close()
                break
            except (URLError, OSError):
                time.sleep(0.2)
        yield Served(address, server.pid)
    finally:
        server.terminate()
        server.wait(timeout=60)


class Load(NamedTuple):
    """Milliseconds of each change, kB received and processor milliseconds per change.

    own: the visitors' share of one core.
    """

    took: list[float]
    kb: float
    processor: float
    own: float


async def many(served: Served, change: Change, count: int, seconds: int) -> Load:
    """The load of so many visitors."""
    visitors = [Visitor(served.address, change) for _ in range(count)]
    for start in range(0, count, 4):
        await asyncio.gather(*(visitor.open() for visitor in visitors[start : start + 4]))
    took: list[float] = []
    received: list[int] = []

    async def one(visitor: Visitor, delay: float) -> None:
        await asyncio.sleep(delay)
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            each = await visitor.make()
            took.append(each)
            received.append(visitor.received)
            await asyncio.sleep(max(0.0, 1 - each / 1000))

    begun, own, used = time.perf_counter(), time.process_time(), processor_time(served.pid)
    await asyncio.gather(*(one(visitor, k / count) for k, visitor in enumerate(visitors)))
    processor = 1000 * (processor_time(served.pid) - used) / len(took)
    own = (time.process_time() - own) / (time.perf_counter() - begun)
    for visitor in visitors:
        await visitor.close()
    return Load(took, median(received) / 1000, processor, own)


async def beside(address: str, seconds: int) -> tuple[list[float], list[float]]:
    """Milliseconds of a small drag alone, and beside five at the largest size."""
    small = await Visitor(address, GAIN).open()
    large = [
        await Visitor(address, Change("gradients", LARGEST, live="gain", seen=FIGURES)).open()
        for _ in range(5)
    ]
    found: list[list[float]] = []
    for others in ([], large):
        is_over = asyncio.Event()

        async def drag(visitor: Visitor, is_over: asyncio.Event = is_over) -> None:
            while not is_over.is_set():
                await visitor.make()

        tasks = [asyncio.create_task(drag(visitor)) for visitor in others]
        await asyncio.sleep(1)
        took: list[float] = []
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            took.append(await small.make())
            await asyncio.sleep(0.1)
        found.append(took)
        is_over.set()
        await asyncio.gather(*tasks)
    return found[0], found[1]


def quantiles(values: list[float]) -> str:
    late = sorted(values)[int(0.95 * (len(values) - 1))]
    return f"{median(values):.0f}/{late:.0f}"


def tree(pid: int) -> list[int]:
    """A process and all that it has started."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return [pid, *(each for child in children for each in tree(int(child)))]


def memory(pid: int) -> float:
    """MB of a process and all that it has started."""
    return sum(map(resident, tree(pid)))


def processor_time(pid: int) -> float:
    """Seconds of processor time that these processes have used."""
    stats = [Path(f"/proc/{each}/stat").read_text(encoding="ascii") for each in tree(pid)]
    fields = [stat.rpartition(")")[2].split() for stat in stats]
    return sum(int(field[11]) + int(field[12]) for field in fields) / os.sysconf("SC_CLK_TCK")


def show(name: str, changes: dict[str, Change], workers: int, seconds: int) -> None:
    """Prints a row per page and number of visitors."""
    for page, change in changes.items():
        alone = 0.0
        with serving(workers) as served:
            asyncio.run(many(served, change, workers, 3))  # warms every server up
            for count in COUNTS:
                load = asyncio.run(many(served, change, count, seconds))
                alone = alone or median(load.took)
                print(
                    f"| {name} | {page} | {workers} | {count} | {quantiles(load.took)} |"
                    f" {median(load.took) / alone:.1f} | {load.kb:.0f} | {load.processor:.0f} |"
                    f" {memory(served.pid):.0f} | {load.own:.0%} |",
                    flush=True,
                )


def main() -> None:
    """Prints the table of many visitors, then the small drag beside large ones."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load")
    parser.add_argument("--seconds", type=int, default=10, help="per row")
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--modes", nargs="*", default=["asked", "forced", "beside"])
    given = parser.parse_args()
    print(f"{os.cpu_count()} cores")
    print(
        "| mode | page | servers | visitors | ms | / alone | kB | processor ms | MB | load |\n"
        "|---|---|---|---|---|---|---|---|---|---|"
    )
    for workers in given.workers:
        for name, changes in (("asked", ASKED), ("forced", FORCED)):
            if name in given.modes:
                show(name, changes, workers, given.seconds)
    if "beside" in given.modes:
        with serving(1) as served:
            alone, besides = asyncio.run(beside(served.address, given.seconds))
        print(
            f"a small drag: {quantiles(alone)} ms alone, {quantiles(besides)} ms beside five at the"
            f" largest size, {median(besides) / median(alone):.1f} × alone"
        )


if __name__ == "__main__":
    main()
