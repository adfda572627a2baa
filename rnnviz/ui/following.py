"""What follows the hand on each page, and the server's answer to who asks for it."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from threading import Event
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.status import (
    WS_1007_INVALID_FRAME_PAYLOAD_DATA,
    WS_1008_POLICY_VIOLATION,
    WS_1009_MESSAGE_TOO_BIG,
)
from starlette.websockets import WebSocket, WebSocketDisconnect
from streamlit import get_option

from rnnviz.experiment import LanguageName
from rnnviz.locale import Labels, labels
from rnnviz.ui.compare import cards, hold
from rnnviz.ui.components.follow import Followed
from rnnviz.ui.gradients import norms, scenes, stability, weights
from rnnviz.ui.pages import PAGES as ALL_PAGES
from rnnviz.ui.theme import seen_by

MOST = 100_000  # characters of a question
END = "\n"  # of an answer: a message of one line, which is empty

# One question at a time and in turn: together they take no less, and the caches hold few networks.
WORKER = ThreadPoolExecutor(1, thread_name_prefix="follow")


class Makers(NamedTuple):
    """What makes the figures, by name, and the words, by key, that follow on a page."""

    figures: Mapping[str, Any]
    words: Mapping[str, Any]

    def of(self, settings: Any, words: Labels) -> Followed:
        """They, for a reader who sees these settings."""
        return Followed(
            {f"figure_{n}": partial(make, settings, words) for n, make in self.figures.items()},
            {n: partial(make, settings, words) for n, make in self.words.items()},
        )


PAGES = {
    "gradients": Makers(
        norms.FIGURES | weights.FIGURES | stability.FIGURES,
        scenes.WORDS | norms.WORDS | weights.WORDS | stability.WORDS,
    ),
    "compare": Makers(cards.FIGURES | hold.FIGURES, hold.WORDS),
}


class Question(BaseModel):
    """What a browser asks while a hand moves: the address as it would be, and what is in sight."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    page: str
    query: dict[str, str]
    language: LanguageName
    dark: bool
    seen: list[str]

    def parts(self) -> Iterator[str]:
        """A line for each part; none where there are no such page or settings."""
        if self.page not in PAGES:
            return iter(())
        page = ALL_PAGES[self.page].settings
        settings, problems = page.from_query(self.query, self.language)
        if problems:
            return iter(())
        return PAGES[self.page].of(settings, labels(settings.language)).parts(self.seen)


async def answer(wire: WebSocket) -> None:
    """Answers question after question: the lines of ``Followed.parts``, then an empty line.

    Lines are sent as soon as they are made, those together that came together; none where there are
    no such page or settings. What is no question, or comes from another site's page, closes the
    connection.
    """
    if not _is_ours(wire):
        await wire.close(code=WS_1008_POLICY_VIOLATION)
        return
    await wire.accept()
    with suppress(WebSocketDisconnect):
        while (message := await wire.receive())["type"] == "websocket.receive":
            asked = message.get("text") or ""
            if len(asked) > MOST:
                await wire.close(code=WS_1009_MESSAGE_TOO_BIG)
                return
            try:
                question = Question.model_validate_json(asked)
            except ValidationError:
                await wire.close(code=WS_1007_INVALID_FRAME_PAYLOAD_DATA)
                return
            async for lines in _made(question.parts(), question.dark):
                await wire.send_text(lines)
            await wire.send_text(END)


def _is_ours(wire: WebSocket) -> bool:
    """Whether one of the app's own pages asks, or no page; browsers let any page connect."""
    origin = wire.headers.get("origin")
    if origin is None or not get_option("server.enableCORS"):  # which frees Streamlit's own, too
        return True
    return urlsplit(origin).netloc == wire.headers.get("host")


async def _made(parts: Iterator[str], dark: bool) -> AsyncIterator[str]:
    """The lines as the worker makes them, those together that came together."""
    loop, made = asyncio.get_running_loop(), asyncio.Queue[str]()
    gone = Event()

    def work() -> None:
        try:
            with seen_by(dark=dark):
                for line in parts:
                    if gone.is_set():
                        return
                    loop.call_soon_threadsafe(made.put_nowait, line)
        finally:
            loop.call_soon_threadsafe(made.put_nowait, "")

    at_work = loop.run_in_executor(WORKER, work)
    try:
        while line := await made.get():
            lines = [line]
            while not made.empty() and (line := made.get_nowait()):
                lines.append(line)
            yield "".join(lines)
            if not line:
                break
        await at_work  # to raise what it raised
    finally:
        gone.set()
