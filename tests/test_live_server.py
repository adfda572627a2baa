"""Live updates: the server's answers, without a browser."""

import asyncio
import json
import os
import subprocess
import sys
from contextlib import suppress
from functools import partial
from threading import Event
from typing import Any, NamedTuple
from unittest.mock import MagicMock

import plotly.graph_objects as go
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.websockets import WebSocket
from streamlit import config, get_option
from streamlit.web.server.starlette.starlette_websocket import create_websocket_handler

from rnnviz.errors import RnnvizError
from rnnviz.experiment import ComparePage, GradientsPage
from rnnviz.locale import Labels, labels
from rnnviz.plots.eigenvalues import plot_eigenvalues
from rnnviz.plots.style import palette
from rnnviz.ui import live_server
from rnnviz.ui.cache import networks
from rnnviz.ui.components.chart import figure_json
from rnnviz.ui.components.live_updates import LiveParts
from rnnviz.ui.live_queue import live_queue
from rnnviz.ui.live_server import END, LIVE_PARTS, MAX_CHARACTERS, Makers, serve_live_updates
from tests.browser import ROOT

QUESTION: dict[str, Any] = {
    "page": "gradients",
    "query": {"gain": "0.7", "hidden": "4", "length": "12", "embed": "true"},
    "language": "en",
    "dark": False,
    "seen": ["figure_eigenvalues", "verdicts"],
}


class Talk(NamedTuple):
    """The server's messages to one client, and its close code."""

    messages: list[str]
    code: int | None


async def _talk(*questions: str | bytes, headers: dict[str, str] | None = None) -> Talk:
    """Sends these questions one after another over one connection, and leaves after the answers.

    Left out are the empty messages, which say that an answer takes long, as when code is compiled.
    """
    client = Client([*questions])
    lines = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    scope = {"type": "websocket", "headers": lines}
    await serve_live_updates(WebSocket(scope, client.receive, client.send))
    return client.talk._replace(messages=[m for m in client.talk.messages if m])


class Client:
    """A client of the server. together: it does not wait for an answer before its next question."""

    def __init__(self, questions: list[str | bytes], together: bool = False) -> None:
        self.questions = questions
        self.together = together
        self.is_connecting = True
        self.outstanding = 0
        self.changed = asyncio.Event()
        self.talk = Talk([], None)

    async def receive(self) -> Any:
        if self.is_connecting:
            self.is_connecting = False
            return {"type": "websocket.connect"}
        while (
            self.outstanding and self.talk.code is None and not (self.together and self.questions)
        ):
            self.changed.clear()
            await self.changed.wait()
        if not self.questions or self.talk.code is not None:
            return {"type": "websocket.disconnect", "code": 1001}
        question = self.questions.pop(0)
        self.outstanding += 1
        kind = "text" if isinstance(question, str) else "bytes"
        return {"type": "websocket.receive", kind: question}

    async def send(self, message: Any) -> None:
        if message["type"] == "websocket.close":
            self.talk = self.talk._replace(code=message["code"])
        elif message["type"] == "websocket.send":
            self.talk.messages.append(message["text"])
            self.outstanding -= message["text"] == END
        self.changed.set()


def talk(*questions: str | bytes, **headers: str) -> Talk:
    return asyncio.run(_talk(*questions, headers=headers))


def parts(question: object) -> dict[str, str]:
    """The received parts, by key."""
    *messages, end = talk(json.dumps(question)).messages
    assert end == END
    assert all(message.endswith("\n") for message in messages)
    lines = "".join(messages).splitlines()
    return {line.partition(" ")[0]: line.partition(" ")[2] for line in lines}


@pytest.mark.parametrize("dark", [False, True])
def test_parts_in_sight_match_the_settings(dark: bool):
    found = parts(QUESTION | {"dark": dark})
    assert list(found) == ["figure_eigenvalues", "verdicts"]
    settings = GradientsPage(gain=0.7, hidden=4, length=12)
    trace = networks(settings.network())["lstm"]
    figure = plot_eigenvalues.drawn({"LSTM": trace}, height=372, dark=dark)
    assert found["figure_eigenvalues"] == figure_json(figure)
    words = json.loads(found["verdicts"])
    assert palette(dark=dark).cells["gru"] in words
    assert labels("en")("verdict.float32_right") in words


def test_texts_are_in_the_requested_language():
    english, korean = (parts(QUESTION | {"language": name})["verdicts"] for name in ("en", "ko"))
    assert labels("ko")["verdict.float32_right"] in json.loads(korean)
    assert labels("ko")["verdict.float32_right"] not in json.loads(english)
    named = parts(QUESTION | {"query": QUESTION["query"] | {"language": "ko"}})["verdicts"]
    assert named == korean


def test_an_edited_weight_is_in_the_figures():
    query = {"hidden": "2", "cell": "rnn", "edit": "rnn.hidden.0.1:5.5"}
    found = parts(QUESTION | {"query": query, "seen": ["figure_weights"]})
    figure = json.loads(found["figure_weights"])
    trace = networks(GradientsPage.from_query(query)[0].network())["rnn"]
    assert trace.parameters["weight_hh_l0"][0, 1] == 5.5
    assert figure["data"][0]["zmax"] == 7.0


@pytest.mark.parametrize("page", list(LIVE_PARTS))
def test_every_part_of_a_page_can_be_updated_live(page: str):
    makers = LIVE_PARTS[page]
    seen = [*(f"figure_{name}" for name in makers.figures), *makers.texts]
    query = {"input_source": "signal", "length": "12", "hidden": "4"}
    found = parts(QUESTION | {"page": page, "query": query, "seen": seen})
    assert list(found) == seen
    assert all(found.values())


def test_a_layer_missing_in_the_address_is_the_pages_default():
    found = parts(
        QUESTION
        | {"page": "compare", "seen": ["figure_comparison"]}
        | {"query": {"input_source": "signal"}}
    )
    by_name = parts(
        QUESTION
        | {"page": "compare", "seen": ["figure_comparison"]}
        | {"query": {"input_source": "signal", "layer": "1"}}
    )
    assert found == by_name


def test_unknown_keys_are_ignored_and_failing_parts_are_empty():
    def refused() -> go.Figure:
        raise RnnvizError("error.empty_text")

    made: list[str] = []
    live = LiveParts(
        {"lines": lambda: go.Figure(), "not yet": lambda: None, "refused": refused},
        {"said": lambda: made.append("said") or "<b>\n</b>", "nothing": lambda: None},
    )
    seen = ["said", "other", "lines", "lines", "nothing", "not yet", "refused"]
    assert list(live.lines(seen)) == [
        'said "<b>\\n</b>"\n',
        f"lines {figure_json(go.Figure())}\n",
        "nothing \n",
        "not yet \n",
        "refused \n",
    ]
    assert made == ["said"]


UNKNOWN: list[dict[str, Any]] = [
    {"page": "elsewhere"},
    {"query": {"gain": "99"}},
    {"query": {"edit": "rnn.hidden.9.9:1"}},
]
WRONG: list[dict[str, Any]] = [
    {"page": 3},
    {"query": {"gain": 1.5}},
    {"query": []},
    {"language": "xx"},
    {"dark": "perhaps"},
    {"seen": [["verdicts"]]},
    {"seen": "verdicts"},
    {"more": 1},
]


@pytest.mark.parametrize("change", UNKNOWN)
def test_invalid_settings_give_no_parts(change: dict[str, Any]):
    assert talk(json.dumps(QUESTION | change)) == ([END], None)


@pytest.mark.parametrize("change", WRONG)
def test_an_invalid_question_closes_the_connection(change: dict[str, Any]):
    assert talk(json.dumps(QUESTION | change), json.dumps(QUESTION)) == ([], 1007)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=8,
)
FIELDS = [*GradientsPage.model_fields, *ComparePage.model_fields, "text", "hidden", "length"]
QUERIES = st.dictionaries(
    st.sampled_from(FIELDS) | st.text(max_size=9),
    st.text(max_size=20) | st.sampled_from(["1e308", "nan", "-0", "∞", "2", "true", "lstm.2.both"]),
    max_size=4,
)
KEYS = st.lists(st.sampled_from(["verdicts", "bound", "hold_words", "figure_weights", ""]))
QUESTIONS = st.fixed_dictionaries(
    {"page": st.sampled_from(["gradients", "compare", "step", ""]), "query": QUERIES},
    optional={
        "language": st.sampled_from(["en", "ko", "xx"]),
        "dark": JSON,
        "seen": KEYS,
        "x": JSON,
    },
)
CHANGED = QUESTIONS.map(lambda part: json.dumps(QUESTION | {"seen": ["bound"]} | part))
MESSAGES = st.text() | st.binary() | JSON.map(json.dumps) | CHANGED


@settings(max_examples=150)
@given(st.lists(MESSAGES, max_size=5))
def test_any_messages_are_answered_or_close_the_connection(messages: list[str | bytes]):
    """No message raises; every answer is lines of known keys and an end."""
    found = talk(*messages)
    lines = "".join(found.messages).replace(END + END, END).splitlines()
    known = {key for makers in LIVE_PARTS.values() for key in makers.texts}
    known |= {f"figure_{key}" for makers in LIVE_PARTS.values() for key in makers.figures}
    assert {line.partition(" ")[0] for line in lines if line} <= known
    ends = found.messages.count(END)
    assert ends == len(messages) if found.code is None else ends < len(messages)
    assert found.code in (None, 1007)
    assert live_server.connections == set()


def test_invalid_json_and_long_messages_close_the_connection():
    for asked in ("", "{", "[]", "null", b"", b"{}", json.dumps(QUESTION).encode()):
        assert talk(asked) == ([], 1007), asked
    assert talk(json.dumps(QUESTION | {"query": {"text": "a" * MAX_CHARACTERS}})) == ([], 1009)


def test_pages_of_another_site_are_refused():
    asked = json.dumps(QUESTION | {"seen": ["verdicts"]})
    here = talk(asked)
    assert len(here.messages) == 2
    assert talk(asked, host="a.org", origin="https://a.org") == here
    for origin in ("https://b.org", "https://a.org:81", "https://a.org.b.org", "null", ""):
        assert talk(asked, host="a.org", origin=origin) == ([], 1008), origin


ORIGINS = ("https://b.org", "https://c.b.org", "http://[evil", "null", "", "https://a.org")
OPTIONS: list[dict[str, Any]] = [
    {},
    {"server.enableCORS": False},
    {"server.corsAllowedOrigins": ["https://b.org"]},
    {"browser.serverAddress": "b.org"},
    {"server.allowedHosts": ["b.org"]},
    {"server.allowedHosts": ["a.org"]},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_who_may_connect_is_streamlits_own_rule(options: dict[str, Any]):
    """The same answer as Streamlit's WebSocket gives behind a reverse proxy."""
    before = {name: get_option(name) for name in options}
    try:
        for name, value in options.items():
            config.set_option(name, value)
        found = {origin: talk(host="a.org", origin=origin).code is None for origin in ORIGINS}
        expected = {origin: accepts(origin) for origin in ORIGINS}
    finally:
        for name, value in before.items():
            config.set_option(name, value)
    assert found == expected
    assert found["https://a.org"] == (options != {"server.allowedHosts": ["b.org"]})
    assert not found["http://[evil"] or "server.enableCORS" in options


def accepts(origin: str) -> bool:
    """Whether Streamlit's own WebSocket is accepted; the app refuses what is no URL before."""
    sent: list[str] = []

    async def send(message: Any) -> None:
        sent.append(message["type"])

    async def receive() -> Any:
        return {"type": "websocket.disconnect" if sent else "websocket.connect", "code": 1001}

    headers = [(b"host", b"a.org"), (b"origin", origin.encode())]
    channel = WebSocket({"type": "websocket", "headers": headers}, receive, send)
    with suppress(ValueError, RuntimeError):
        asyncio.run(create_websocket_handler(MagicMock())(channel))
    return sent[:1] == ["websocket.accept"]


def test_answers_come_in_the_order_of_the_questions():
    asked = [json.dumps(QUESTION | {"seen": [name]}) for name in ("verdicts", "bound", "verdicts")]
    alone = [talk(one).messages for one in asked]
    assert talk(*asked).messages == [message for messages in alone for message in messages]
    assert alone[0][0].startswith("verdicts ")


def test_no_parts_are_made_after_a_disconnect(monkeypatch: pytest.MonkeyPatch):
    """The worker stops between two parts, and the server notices although it sends nothing."""
    made: list[str] = []
    begun, has_left = Event(), Event()

    def make(name: str, _settings: GradientsPage, _words: Labels) -> str:
        made.append(name)
        begun.set()
        assert has_left.wait(60)
        return name

    parts = {name: partial(make, name) for name in ("one", "two", "three")}
    monkeypatch.setitem(LIVE_PARTS, "gradients", Makers({}, parts))
    question = json.dumps(QUESTION | {"query": {}, "seen": list(parts)})
    coming = [{"type": "websocket.connect"}, {"type": "websocket.receive", "text": question}]

    async def receive() -> Any:
        if coming:
            return coming.pop(0)
        await asyncio.to_thread(begun.wait, 60)
        return {"type": "websocket.disconnect", "code": 1001}

    async def send(message: Any) -> None:
        assert message["type"] == "websocket.accept"

    asyncio.run(serve_live_updates(WebSocket({"type": "websocket", "headers": []}, receive, send)))
    has_left.set()
    until_idle()
    assert made == ["one"]


def until_idle() -> None:
    """Waits until the workers are done with every question."""
    queue = live_queue()
    with queue._changed:
        queue._changed.wait_for(lambda: not queue.waiting and not queue.running)


def test_a_newer_question_replaces_the_one_that_waits(monkeypatch: pytest.MonkeyPatch):
    """While the first is answered, three come: the last of them is answered, the others are not."""
    made: list[str] = []
    begun, all_came = Event(), Event()

    def make(name: str, _settings: GradientsPage, _words: Labels) -> str:
        begun.set()
        assert all_came.wait(60)
        made.append(name)
        return name

    names = ["one", "two", "three", "four"]
    monkeypatch.setitem(LIVE_PARTS, "gradients", Makers({}, {n: partial(make, n) for n in names}))
    asked: list[str | bytes] = [json.dumps(QUESTION | {"query": {}, "seen": [n]}) for n in names]

    class Hasty(Client):
        async def receive(self) -> Any:
            if self.outstanding == 1:
                await asyncio.to_thread(begun.wait, 60)
            if self.outstanding == len(names):
                all_came.set()
            return await super().receive()

    client = Hasty(asked, together=True)
    channel = WebSocket({"type": "websocket", "headers": []}, client.receive, client.send)
    asyncio.run(serve_live_updates(channel))
    assert made == ["one", "four"]
    assert client.talk.messages == ['one "one"\n', END, END, END, 'four "four"\n', END]


def test_more_connections_than_the_limit_are_told_to_come_again(monkeypatch: pytest.MonkeyPatch):
    asked = json.dumps(QUESTION | {"seen": ["verdicts"]})
    monkeypatch.setattr(live_server, "MOST_CONNECTIONS", 0)
    assert talk(asked) == ([], 1013)
    monkeypatch.setattr(live_server, "MOST_CONNECTIONS", 1)
    assert talk(asked).code is None
    assert live_server.connections == set()


def test_a_client_that_does_not_read_is_disconnected(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(live_server, "STALLED_SECONDS", 0.01)
    client = Client([json.dumps(QUESTION | {"seen": ["verdicts"]})])

    async def send(message: Any) -> None:
        if message["type"] == "websocket.send":
            await asyncio.Event().wait()

    channel = WebSocket({"type": "websocket", "headers": []}, client.receive, send)
    asyncio.run(serve_live_updates(channel))  # ends
    until_idle()


def test_a_client_that_waits_gets_empty_messages(monkeypatch: pytest.MonkeyPatch):
    has_waited = Event()

    class Waiting(Client):
        async def send(self, message: Any) -> None:
            if message.get("text") == "":
                has_waited.set()
            await super().send(message)

    def make(_settings: GradientsPage, _words: Labels) -> str:
        assert has_waited.wait(60)
        return "made"

    monkeypatch.setattr(live_server, "ALIVE_SECONDS", 0.01)
    monkeypatch.setitem(LIVE_PARTS, "gradients", Makers({}, {"verdicts": make}))
    client = Waiting([json.dumps(QUESTION | {"seen": ["verdicts"]})])
    channel = WebSocket({"type": "websocket", "headers": []}, client.receive, client.send)
    asyncio.run(serve_live_updates(channel))
    assert [message for message in client.talk.messages if message] == ['verdicts "made"\n', END]


def test_a_long_message_is_read_by_a_worker():
    query = QUESTION["query"] | {"edit": "rnn.hidden.0.0:" + "1" * 90_000}
    long = json.dumps(QUESTION | {"query": query})
    before = live_queue().started
    assert talk(long, json.dumps(QUESTION)).messages[0] == END
    read = len(long) * live_server.WORK_PER_CHARACTER
    assert live_queue().started - before == read + 3 * 12 * 4**2
    assert talk(long[:-1]) == ([], 1007)


def test_a_failure_is_raised_and_the_next_question_is_answered(monkeypatch: pytest.MonkeyPatch):
    def fail(_settings: GradientsPage, _words: Labels) -> str:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setitem(LIVE_PARTS, "gradients", Makers({}, {"verdicts": fail}))
        with pytest.raises(ZeroDivisionError):
            talk(json.dumps(QUESTION))
    assert len(parts(QUESTION)) == 2


def test_concurrent_questions_are_all_answered():
    asked = [
        json.dumps(QUESTION | {"query": {"gain": f"{k / 10}", "hidden": "3"}}) for k in range(1, 9)
    ]

    async def together() -> list[Talk]:
        return await asyncio.gather(*map(_talk, asked))

    found = ["".join(talked.messages) for talked in asyncio.run(together())]
    assert found == ["".join(talk(one).messages) for one in asked]
    assert len(set(found)) == len(asked)


COMPILED = """
import sys
from rnnviz.locale import labels
from rnnviz.ui.cache import reading
from rnnviz.ui.warm_up import compile_ahead
from rnnviz.ui.live_server import LIVE_PARTS
from rnnviz.ui.pages import PAGES
from rnnviz.ui.theme import seen_by

def signatures():
    modules = [module for name, module in list(sys.modules.items()) if name.startswith("rnnviz.")]
    parts = [part for module in modules for part in vars(module).values()]
    return {
        (part.__name__, signature)
        for part in parts if hasattr(part, "py_func")
        for signature in part.signatures
    }

compile_ahead()
before = signatures()
assert len(before) >= 25, len(before)
VIEWS = [
    ("gradients", {"gain": "0.2", "length": "400", "hidden": "20", "clip": "1"}),
    ("gradients", {"gain": "3", "nonlinearity": "sigmoid", "hidden": "70", "loss": "all"}),
    ("gradients", {"hidden": "256", "length": "40", "init": "chrono"}),
    ("gradients", {"hidden": "5", "cell": "gru", "edit": "gru.reset_gate.0.1:5.5"}),
    ("compare", {"networks": "rnn,gru"}),
    ("compare", {"input_source": "signal", "networks": "rnn_relu.3,gru_reset_before.both",
                 "selected": "gru_reset_before.both", "hold_name": "update_gate"}),
    ("compare", {"input_source": "signal", "networks": "lstm_coupled.2,lstm_peephole.both",
                 "hold_name": "forget_gate", "hold_units": "1", "hold_from": "9"}),
]
with seen_by(dark=True):
    for page, query in VIEWS:
        settings, problems = PAGES[page].settings.from_query(query)
        assert not problems, problems
        makers = LIVE_PARTS[page].of(settings, labels("ko"))
        for _ in makers.lines([*makers.figures, *makers.texts]):
            pass
for cell in ("rnn", "lstm", "gru"):
    reading(cell, "def f(x): return x")
print(sorted(signatures() - before))
"""


@pytest.mark.slow
def test_compile_ahead_covers_all_that_the_pages_use():
    """In a new process, in which nothing has been compiled."""
    environment = os.environ | {"STREAMLIT_LOGGER_LEVEL": "error"}
    command = [sys.executable, "-c", COMPILED]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, ["[]"]), done.stderr
