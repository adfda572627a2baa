"""Visitors without a browser, who do over the wire what one with a browser has done.

That is: ask for what follows at every change, and tell the page's script of the last value once the
hand has been still for a while, which one who makes a change a second does at the end alone.
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
from rnnviz.ui.live_figures import END

GAINS = itertools.count(1)  # ten thousandths, each another's: no cache knows them


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
            f"{address.replace('http', 'ws')}/rnnviz/follow", max_size=None
        )
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
        """Milliseconds from a change to the last of what follows it."""
        self.number += 1
        self.question["query"]["gain"] = f"{0.8 + next(GAINS) / 10_000:.4f}"
        begun = time.perf_counter()
        self.asks.send(json.dumps(self.question))
        lines = 0
        while (answer := self.asks.recv(timeout=120)) != END:
            lines += str(answer).count("\n")
        assert lines == len(self.question["seen"])
        return 1000 * (time.perf_counter() - begun)

    def tells(self) -> None:
        """Sends the last value, and waits until it has been taken over."""
        for widget in filter(_is_moved, self.change.rerun_script.widget_states.widgets):
            value = {"at": 80 + self.number % 60, "number": 10_000 + self.number, "followed": True}
            widget.json_trigger_value = json.dumps([{"event": "moved", "value": value}])
        self.wire.send(self.change.SerializeToString())
        self._finish()


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
        client.tells()
        client.wire.close()
        client.asks.close()

    threads = [Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found
