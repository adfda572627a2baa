"""What follows the hand: the server's answers, without a browser."""

import asyncio
import json
from typing import Any

import plotly.graph_objects as go
import pytest
from starlette.requests import Request

from rnnviz.errors import RnnvizError
from rnnviz.experiment import Settings
from rnnviz.locale import labels
from rnnviz.plots.eigenvalues import plot_eigenvalues
from rnnviz.plots.style import palette
from rnnviz.ui.cache import networks
from rnnviz.ui.following import MOST_BYTES, PAGES, answer
from rnnviz.ui.live.chart import written
from rnnviz.ui.live.follow import Followed

QUESTION: dict[str, Any] = {
    "page": "gradients",
    "query": {"gain": "0.7", "hidden": "4", "length": "12", "embed": "true"},
    "language": "en",
    "dark": False,
    "seen": ["figure_eigenvalues", "verdicts"],
}


async def _ask(body: bytes) -> tuple[int, str]:
    """Status and text of the server's answer."""
    waiting = [{"type": "http.request", "body": body, "more_body": False}]
    said: list[Any] = []

    async def receive() -> Any:
        return waiting.pop() if waiting else await asyncio.Event().wait()

    async def send(message: Any) -> None:
        said.append(message)

    scope = {"type": "http", "method": "POST", "headers": [], "asgi": {"spec_version": "2.4"}}
    response = await answer(Request(scope, receive))
    await response(scope, receive, send)
    text = b"".join(message.get("body", b"") for message in said).decode()
    return said[0]["status"], text


def ask(question: object) -> tuple[int, str]:
    return asyncio.run(_ask(json.dumps(question).encode()))


def parts(question: object) -> dict[str, str]:
    """What came, by key."""
    status, text = ask(question)
    assert status == 200
    assert text.endswith("\n")
    return {line.partition(" ")[0]: line.partition(" ")[2] for line in text.splitlines()}


@pytest.mark.parametrize("dark", [False, True])
def test_what_is_in_sight_is_as_the_settings_have_it(dark: bool):
    found = parts(QUESTION | {"dark": dark})
    assert list(found) == ["figure_eigenvalues", "verdicts"]
    settings = Settings(gain=0.7, hidden=4, length=12)
    trace = networks(settings.network())["lstm"]
    figure = plot_eigenvalues.drawn({"LSTM": trace}, height=372, dark=dark)
    assert found["figure_eigenvalues"] == written(figure)
    words = json.loads(found["verdicts"])
    assert palette(dark=dark).cells["gru"] in words
    assert labels("en")("verdict.float32_right") in words


def test_it_is_said_in_the_readers_language():
    english, korean = (parts(QUESTION | {"language": name})["verdicts"] for name in ("en", "ko"))
    assert labels("ko")["verdict.float32_right"] in json.loads(korean)
    assert labels("ko")["verdict.float32_right"] not in json.loads(english)
    named = parts(QUESTION | {"query": QUESTION["query"] | {"language": "ko"}})["verdicts"]
    assert named == korean


def test_a_weight_under_the_hand_is_the_networks_own():
    query = {"hidden": "2", "cell": "rnn", "edit": "rnn.hidden.0.1:5.5"}
    found = parts(QUESTION | {"query": query, "seen": ["figure_weights"]})
    figure = json.loads(found["figure_weights"])
    trace = networks(Settings.from_query(query)[0].network())["rnn"]
    assert trace.parameters["weight_hh_l0"][0, 1] == 5.5
    assert figure["data"][0]["zmax"] == 7.0


@pytest.mark.parametrize("page", list(PAGES))
def test_every_part_of_a_page_can_follow(page: str):
    makers = PAGES[page]
    seen = [*(f"figure_{name}" for name in makers.figures), *makers.words]
    query = {"reads": "signal", "length": "12", "hidden": "4"}
    found = parts(QUESTION | {"page": page, "query": query, "seen": seen})
    assert list(found) == seen
    assert all(found.values())


def test_layers_that_the_address_leaves_out_are_those_that_the_page_shows():
    found = parts(
        QUESTION
        | {"page": "compare", "seen": ["figure_comparison"]}
        | {"query": {"reads": "signal"}}
    )
    by_name = parts(
        QUESTION
        | {"page": "compare", "seen": ["figure_comparison"]}
        | {"query": {"reads": "signal", "layer": "1"}}
    )
    assert found == by_name


def test_what_is_not_there_is_left_out_and_what_cannot_be_had_is_empty():
    def refused() -> go.Figure:
        raise RnnvizError("error.empty_text")

    made: list[str] = []
    followed = Followed(
        {"lines": lambda: go.Figure(), "not yet": lambda: None, "refused": refused},
        {"said": lambda: made.append("said") or "<b>\n</b>", "nothing": lambda: None},
    )
    seen = ["said", "other", "lines", "lines", "nothing", "not yet", "refused"]
    assert list(followed.parts(seen)) == [
        'said "<b>\\n</b>"\n',
        f"lines {written(go.Figure())}\n",
        "nothing \n",
        "not yet \n",
        "refused \n",
    ]
    assert made == ["said"]


WRONG: list[dict[str, Any]] = [
    {"page": "elsewhere"},
    {"page": 3},
    {"query": {"gain": "99"}},
    {"query": {"gain": 1.5}},
    {"query": {"edit": "rnn.hidden.9.9:1"}},
    {"query": []},
    {"language": "xx"},
    {"dark": "perhaps"},
    {"seen": [["verdicts"]]},
    {"seen": "verdicts"},
    {"more": 1},
]


@pytest.mark.parametrize("change", WRONG)
def test_a_question_that_is_none_is_refused(change: dict[str, Any]):
    assert ask(QUESTION | change) == (422, "")


def test_what_is_no_json_or_too_long_is_refused():
    for body in (b"", b"{", b"[]", b"\xff", b"null"):
        assert asyncio.run(_ask(body)) == (422, "")
    assert ask(QUESTION | {"query": {"text": "a" * MOST_BYTES}}) == (413, "")


def test_questions_asked_at_once_are_all_answered():
    bodies = [
        json.dumps(QUESTION | {"query": {"gain": f"{k / 10}", "hidden": "3"}}).encode()
        for k in range(1, 9)
    ]

    async def together() -> list[tuple[int, str]]:
        return await asyncio.gather(*map(_ask, bodies))

    assert asyncio.run(together()) == [asyncio.run(_ask(body)) for body in bodies]
