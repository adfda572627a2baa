"""A visitor without a browser, who speaks Streamlit's protocol and asks for live figures."""

import asyncio
import itertools
import json
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from rnnviz.ui.live_server import END

NUMBERS = itertools.count(1)  # each used once, so that no visitor asks for what is cached
PATIENCE = 300  # seconds


@dataclass(frozen=True)
class Change:
    """What a visitor does once a second.

    page, query: the address. live: whether figures are asked for on the WebSocket of live updates;
    else the value of a widget is sent to the page's script. widget: the key of the component or
    widget. event: of the component; None for a text field. seen: the parts in sight.
    """

    page: str
    query: Mapping[str, str]
    widget: str = ""
    event: str | None = None
    live: str | None = None
    seen: tuple[str, ...] = ()


@dataclass
class Visitor:
    """One page in one window."""

    address: str
    change: Change
    number: int = field(default_factory=lambda: next(NUMBERS))
    sent: int = 0  # the number of the last message of the component
    received: int = 0  # bytes since the last change
    cached: list[str] = field(default_factory=list)  # hashes of messages that a browser would keep

    async def open(self) -> "Visitor":
        headers = {"Cookie": await asyncio.to_thread(_cookie, self.address)}
        base = self.address.replace("http", "ws")
        options: dict[str, Any] = {"max_size": None, "additional_headers": headers}
        options |= {"compression": None, "ping_timeout": None, "open_timeout": PATIENCE}
        protocols = [Subprotocol("streamlit")]
        self.wire: ClientConnection = await connect(
            f"{base}/_stcore/stream", subprotocols=protocols, **options
        )
        self.asks: ClientConnection = await connect(f"{base}/rnnviz/live", **options)
        self.query = {**self.change.query, "seed": str(self.number % 1000)}
        self.widget_id = self.fragment_id = ""
        message = BackMsg()
        message.rerun_script.query_string = urlencode(self.query)
        message.rerun_script.page_name = self.change.page
        await self._send(message)
        return self

    async def close(self) -> None:
        await self.wire.close()
        await self.asks.close()

    async def make(self) -> float:
        """Milliseconds from a change until everything that it asked for has come."""
        self.received = 0
        begun = time.perf_counter()
        if self.change.live is None:
            await self._send(self._widget_message(next(NUMBERS)))
        else:
            await self._ask(next(NUMBERS))
        return 1000 * (time.perf_counter() - begun)

    async def _ask(self, number: int) -> None:
        query = {**self.query, str(self.change.live): _value(str(self.change.live), number)}
        page = self.change.page
        question = {"page": page, "query": query, "language": "en", "dark": False}
        await self.asks.send(json.dumps(question | {"seen": self.change.seen}))
        lines = 0
        while (answer := await self.asks.recv()) != END:
            lines += str(answer).count("\n")
            self.received += len(answer)
        assert lines == len(self.change.seen), (lines, self.change)

    def _widget_message(self, number: int) -> BackMsg:
        message = BackMsg()
        run = message.rerun_script
        run.query_string = urlencode(self.query)
        run.page_script_hash = self.page_hash
        run.cached_message_hashes.extend(self.cached)
        state = WidgetState(id=self.widget_id)
        if self.change.event is None:
            state.string_value = f"def visitor_{self.number}(n):\n    return {number} * n\n"
        else:
            self.sent += 1
            run.fragment_id = self.fragment_id
            state.id = f"$$STREAMLIT_INTERNAL_KEY_{self.widget_id}__events"
            # neither the default nor, for any number of visitors, the value before
            value = {"at": 101 + number % 79, "t": 1 + number % 53, "number": self.sent}
            state.json_trigger_value = json.dumps([{"event": self.change.event, "value": value}])
        run.widget_states.widgets.append(state)
        return message

    async def _send(self, message: BackMsg) -> None:
        """Sends a message to the page's script, and waits until the script has run."""
        await self.wire.send(message.SerializeToString())
        is_fragment = bool(message.rerun_script.fragment_id) and self.change.event == "position"
        ended = {0, 3} if is_fragment else {0}  # successfully; as a fragment
        kept: list[str] = []
        drawn = 0
        while True:
            data = await self.wire.recv()
            assert isinstance(data, bytes)
            self.received += len(data)
            came = ForwardMsg.FromString(data)
            kind = came.WhichOneof("type")
            if kind == "delta":
                drawn += came.delta.WhichOneof("type") == "new_element"
                self._note(came, kept)
            elif kind == "ref_hash":
                kept.append(came.ref_hash)
            elif kind == "navigation":
                self.page_hash = came.navigation.page_script_hash
            elif kind == "script_finished" and came.script_finished in ended:
                break
        assert drawn, self.change  # a change of which the server takes no notice draws nothing
        self.cached = [*self.cached[-200:], *kept]

    def _note(self, came: ForwardMsg, kept: list[str]) -> None:
        """Notes the widget's identity, and what a browser would keep."""
        if came.metadata.cacheable:
            kept.append(came.hash)
        element = came.delta.new_element
        for place in (element.bidi_component.id, element.text_area.id):
            if self.change.widget and place.endswith(self.change.widget):
                self.widget_id, self.fragment_id = place, came.delta.fragment_id


def _value(setting: str, number: int) -> str:
    """A value of a setting that no other visitor has; with the visitor's seed, at least."""
    return str(80 + number % 40) if setting == "length" else f"{0.8 + number % 4000 / 10_000:.4f}"


def _cookie(address: str) -> str:
    """The cookie that keeps a visitor at a server, if there is a proxy."""
    with urllib.request.urlopen(f"{address}/", timeout=PATIENCE) as response:
        return (response.headers["set-cookie"] or "").split(";")[0]
