"""Visitors without a browser, who replay the WebSocket messages of a visit with a browser.

A visitor requests live updates at every change. The slider sends its value to the page's script
only once it has not changed for a while; with one change per second, that is after the last one.
"""

import itertools
import json
import time
from threading import Barrier, Thread

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from benchmarks.ui.visit import Visit
from rnnviz.ui.live_server import END

GAINS = itertools.count(1)  # in units of 10⁻⁴, each used once, so that none is cached


class Replayed:
    """A visitor without a browser."""

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
        self.asks: ClientConnection = connect(
            f"{address.replace('http', 'ws')}/rnnviz/live", max_size=None
        )
        self.question = json.loads(visit.asked[-1])
        self.change = BackMsg.FromString(moved[-1])
        self.number = 7 * number  # so that visitors send different values
        self.wire.send(next(frame for frame, run in runs.items() if run.ByteSize()))
        self._finish()

    def _finish(self) -> None:
        """Waits for the end of the script run that the last message started."""
        while True:
            message = ForwardMsg.FromString(self.wire.recv(timeout=120))  # pyright: ignore[reportArgumentType]  # bytes
            if message.WhichOneof("type") == "script_finished":
                return

    def make_change(self) -> float:
        """Milliseconds from a change to the last live update of it."""
        self.number += 1
        self.question["query"]["gain"] = f"{0.8 + next(GAINS) / 10_000:.4f}"
        begun = time.perf_counter()
        self.asks.send(json.dumps(self.question))
        lines = 0
        while (answer := self.asks.recv(timeout=120)) != END:
            lines += str(answer).count("\n")
        assert lines == len(self.question["seen"])
        return 1000 * (time.perf_counter() - begun)

    def send_last_value(self) -> None:
        """Sends the last value to the script, and waits until the script has run."""
        for widget in filter(_is_moved, self.change.rerun_script.widget_states.widgets):
            value = {"at": 80 + self.number % 60, "number": 10_000 + self.number, "updated": True}
            widget.json_trigger_value = json.dumps([{"event": "moved", "value": value}])
        self.wire.send(self.change.SerializeToString())
        self._finish()


def _is_moved(widget: WidgetState) -> bool:
    return "gain_slider" in widget.id and bool(widget.json_trigger_value)


def visitors(address: str, visit: Visit, count: int, seconds: int = 10) -> list[float]:
    """Milliseconds of each change, with ``count`` visitors who make one change per second."""
    found: list[float] = []
    start = Barrier(count)

    def one(number: int) -> None:
        client = Replayed(address, visit, number)
        start.wait()
        time.sleep(number / count)
        for _ in range(seconds):
            begun = time.perf_counter()
            found.append(client.make_change())
            time.sleep(max(0.0, 1 - (time.perf_counter() - begun)))
        client.send_last_value()
        client.wire.close()
        client.asks.close()

    threads = [Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found
