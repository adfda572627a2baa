"""Bytes and server time of one run of a page after a change: ``make bench-page-runs``.

A visitor without a browser, who speaks Streamlit's protocol and keeps messages as a browser does.
Bytes: what the server sends for one change, with those of each kind of element. Server time: the
CPU time of the server's process, per run. First: the run that opens the page.
"""

import itertools
import json
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from statistics import median
from typing import Any, NamedTuple

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from rnnviz.locale import labels
from tests.browser import serving

RUNS = 24
PATIENCE, QUIET = 120, 0.2  # seconds
KEPT = 2  # runs after which a browser drops a message that was not repeated (maxCachedMessageAge)
EARLY = ForwardMsg.ScriptFinishedStatus.FINISHED_EARLY_FOR_RERUN
NUMBERS = itertools.count(1)
TEXT = "def add(a, b):\n    return a + b\n" * 20


class Run(NamedTuple):
    """What the server sent for a change, by kind of element and by message, in bytes."""

    kinds: Counter[str]

    @property
    def size(self) -> int:
        return sum(self.kinds.values())


class Visitor:
    """A session of the app. path: of the page, such as "gradients"; query: of its address."""

    def __init__(self, wire: ClientConnection, path: str, query: str = "") -> None:
        self.wire = wire
        self.ages: dict[str, int] = {}  # of the messages that are kept
        self.widgets: dict[str, tuple[str, str]] = {}  # id and fragment, by key
        self.query, self.page = query, ""
        self.first = self.run(path=path)

    def run(self, *states: WidgetState, path: str = "", fragment: str = "") -> Run:
        """Sends the states, and waits until the page has run and been quiet for a moment."""
        message = BackMsg()
        request = message.rerun_script
        request.query_string, request.page_name = self.query, path
        request.page_script_hash, request.fragment_id = self.page, fragment
        request.widget_states.widgets.extend(states)
        request.cached_message_hashes.extend(self.ages)
        self.wire.send(message.SerializeToString())
        kinds: Counter[str] = Counter()
        patience, finished = PATIENCE, False
        with suppress(TimeoutError):
            while True:
                data = self.wire.recv(timeout=patience)
                assert isinstance(data, bytes)
                came = ForwardMsg.FromString(data)
                kinds[self._take(came)] += len(data)
                if came.WhichOneof("type") == "script_finished":
                    finished = came.script_finished != EARLY
                patience = QUIET if finished else PATIENCE
        assert finished
        self.ages = {digest: age + 1 for digest, age in self.ages.items() if age < KEPT}
        return Run(kinds)

    def _take(self, came: ForwardMsg) -> str:
        """Notes what a browser would; the kind of the message."""
        kind = came.WhichOneof("type") or ""
        if kind == "ref_hash":
            self.ages[came.ref_hash] = 0
        if kind == "navigation":
            self.page = came.navigation.page_script_hash
        if kind == "page_info_changed":
            self.query = came.page_info_changed.query_string
        if kind != "delta" or came.delta.WhichOneof("type") != "new_element":
            return kind
        if came.metadata.cacheable:
            self.ages[came.hash] = 0
        element = came.delta.new_element
        kind = element.WhichOneof("type") or ""
        found = getattr(element, kind)
        name = getattr(found, "id", "")
        key = name.rsplit("-", 1)[-1]
        self.widgets[key] = name, came.delta.fragment_id
        return key if kind == "bidi_component" else kind

    def move(self, key: str, event: str, **value: object) -> Run:
        """A message of a component."""
        name, fragment = self.widgets[key]
        value["number"] = next(NUMBERS)
        state = WidgetState(id=f"$$STREAMLIT_INTERNAL_KEY_{name}__events")
        state.json_trigger_value = json.dumps([{"event": event, "value": value}])
        return self.run(state, fragment=fragment)

    def choose(self, key: str, value: str) -> Run:
        """A choice of a segmented control."""
        name, fragment = self.widgets[key]
        state = WidgetState(id=name)
        state.string_array_value.data.append(value)
        return self.run(state, fragment=fragment)

    def enter(self, key: str, value: str) -> Run:
        """A text, or a choice of a menu."""
        name, fragment = self.widgets[key]
        return self.run(WidgetState(id=name, string_value=value), fragment=fragment)

    def turn(self, key: str, value: bool) -> Run:
        """A toggle."""
        name, fragment = self.widgets[key]
        return self.run(WidgetState(id=name, bool_value=value), fragment=fragment)


def cpu(pid: int) -> float:
    """Milliseconds that a process has computed (Linux's clock of another process)."""
    return 1000 * time.clock_gettime((~pid << 3) | 2)


class Change(NamedTuple):
    """A page, and what a visitor changes on it for the k-th time; each state is a new one."""

    path: str
    query: str
    make: Callable[[Visitor, int], Run]


def step(visitor: Visitor, k: int) -> Run:
    place = {"t": 1 + k, "unit": 111, "gate": "input_gate", "speed": 4}
    return visitor.move("instrument_cell", "position", **place)


def unit(visitor: Visitor, k: int) -> Run:
    place = {"t": 36, "unit": k, "gate": "forget_gate", "speed": 4}
    return visitor.move("instrument_cell", "position", **place)


def text(visitor: Visitor, k: int) -> Run:
    return visitor.enter("text", TEXT[k : k + 61])


def gain(visitor: Visitor, k: int) -> Run:
    return visitor.move("gain_slider", "moved", at=80 + k)


def hidden(visitor: Visitor, k: int) -> Run:
    return visitor.move("hidden_slider", "moved", at=20 + k)


def alternate(choose: Callable[..., Run], key: str, *values: Any) -> Callable[[Visitor, int], Run]:
    return lambda visitor, k: choose(visitor, key, values[k % len(values)])


WORDS = labels("en")
CHANGES = {
    "/ step": Change("", "", step),
    "/ unit": Change("", "", unit),
    "/ text": Change("", "", text),
    "/ cell": Change("", "", alternate(Visitor.choose, "cell", "GRU", "LSTM")),
    "/gradients gain": Change("gradients", "", gain),
    "/gradients loss": Change(
        "gradients", "", alternate(Visitor.choose, "loss", WORDS["loss.all"], WORDS["loss.last"])
    ),
    "/gradients cell": Change("gradients", "", alternate(Visitor.choose, "cell", "GRU", "RNN")),
    "/gradients gain, 1,000 x 64": Change("gradients", "length=1000&hidden=64", gain),
    "/gradients gain, 2,000 x 256": Change("gradients", "length=2000&hidden=256", gain),
    "/compare text": Change("compare", "", text),
    "/compare difference": Change(
        "compare", "", alternate(Visitor.turn, "difference", True, False)
    ),
    "/compare hidden": Change("compare", "input_source=signal&reads=signal", hidden),
}


def measure(
    address: str, pid: int, change: Change, runs: int = RUNS
) -> tuple[Run, Run, list[float]]:
    """The first run, the last one, and the milliseconds of each but the first two."""
    url = f"{address.replace('http', 'ws')}/_stcore/stream"
    with connect(url, subprotocols=[Subprotocol("streamlit")], max_size=None) as wire:
        visitor = Visitor(wire, change.path, change.query)
        last, took = change.make(visitor, 0), []
        for k in range(1, runs + 1):
            before = cpu(pid)
            last = change.make(visitor, k)
            took.append(cpu(pid) - before)
        return visitor.first, last, took


def main() -> None:
    """Prints a table, and below each row the largest kinds of messages of a run."""
    print("| change | first (kB) | a run (kB) | server time (ms) |\n|---|---|---|---|")
    with serving() as server:
        pid = server.process.pid if server.process else 0
        for change in CHANGES.values():  # so that everything is imported
            measure(server.address, pid, change, 1)
        for name, change in CHANGES.items():
            first, last, took = measure(server.address, pid, change)
            sizes = f"{first.size / 1000:.0f} | {last.size / 1000:.1f}"
            print(f"| {name} | {sizes} | {median(took):.0f} |", flush=True)
            print("  ", *(f"{kind} {size:,};" for kind, size in last.kinds.most_common(6)))


if __name__ == "__main__":
    main()
