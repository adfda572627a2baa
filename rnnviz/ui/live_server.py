"""The live figures and texts of each page, and the server side of their WebSocket."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache, partial
from os import getpid
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
from rnnviz.ui.components.live_updates import LiveParts
from rnnviz.ui.gradients import norms, scenes, stability, weights
from rnnviz.ui.pages import PAGES
from rnnviz.ui.theme import seen_by

MAX_CHARACTERS = 100_000  # per question
END = "\n"  # ends an answer: a message of one empty line


@cache
def worker(process: int) -> ThreadPoolExecutor:
    """The thread that answers in the process of this id; a forked child starts its own.

    One question at a time: more threads would not be faster, and the caches hold few networks.
    """
    return ThreadPoolExecutor(1, thread_name_prefix=f"live-{process}")


class Makers(NamedTuple):
    """Functions that make the live figures of a page, by name, and its texts, by key."""

    figures: Mapping[str, Any]
    texts: Mapping[str, Any]

    def of(self, settings: Any, words: Labels) -> LiveParts:
        """The parts for these settings."""
        return LiveParts(
            {f"figure_{n}": partial(make, settings, words) for n, make in self.figures.items()},
            {n: partial(make, settings, words) for n, make in self.texts.items()},
        )


LIVE_PARTS = {
    "gradients": Makers(
        norms.LIVE_FIGURES | weights.LIVE_FIGURES | stability.LIVE_FIGURES,
        scenes.LIVE_TEXTS | norms.LIVE_TEXTS | weights.LIVE_TEXTS | stability.LIVE_TEXTS,
    ),
    "compare": Makers(cards.LIVE_FIGURES | hold.LIVE_FIGURES, hold.LIVE_TEXTS),
}


class Question(BaseModel):
    """A browser's request while a value changes: the address, and the keys in sight."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    page: str
    query: dict[str, str]
    language: LanguageName
    dark: bool
    seen: list[str]

    def lines(self) -> Iterator[str]:
        """One line per part; none for an unknown page or invalid settings."""
        if self.page not in LIVE_PARTS:
            return iter(())
        page = PAGES[self.page].settings
        settings, problems = page.from_query(self.query, self.language)
        if problems:
            return iter(())
        return LIVE_PARTS[self.page].of(settings, labels(settings.language)).lines(self.seen)


async def answer(channel: WebSocket) -> None:
    """Answers questions one after another: the lines of ``LiveParts.lines``, then an empty line.

    Lines are sent as soon as they are made, in one message if several are ready; none for an
    unknown page or invalid settings. An invalid question closes the connection, as does a page of
    another site.
    """
    if not _is_ours(channel):
        await channel.close(code=WS_1008_POLICY_VIOLATION)
        return
    await channel.accept()
    with suppress(WebSocketDisconnect):
        while (message := await channel.receive())["type"] == "websocket.receive":
            asked = message.get("text") or ""
            if len(asked) > MAX_CHARACTERS:
                await channel.close(code=WS_1009_MESSAGE_TOO_BIG)
                return
            try:
                question = Question.model_validate_json(asked)
            except ValidationError:
                await channel.close(code=WS_1007_INVALID_FRAME_PAYLOAD_DATA)
                return
            async for lines in _made(question.lines(), question.dark):
                await channel.send_text(lines)
            await channel.send_text(END)


def _is_ours(channel: WebSocket) -> bool:
    """Whether the client is the app's page or not a browser; browsers let any page connect."""
    origin = channel.headers.get("origin")
    if origin is None or not get_option("server.enableCORS"):  # as for Streamlit's WebSocket
        return True
    return urlsplit(origin).netloc == channel.headers.get("host")


async def _made(lines: Iterator[str], dark: bool) -> AsyncIterator[str]:
    """The lines as the worker makes them; those that are ready together as one text."""
    loop, made = asyncio.get_running_loop(), asyncio.Queue[str]()
    gone = Event()

    def work() -> None:
        try:
            with seen_by(dark=dark):
                for line in lines:
                    if gone.is_set():
                        return
                    loop.call_soon_threadsafe(made.put_nowait, line)
        finally:
            loop.call_soon_threadsafe(made.put_nowait, "")

    at_work = loop.run_in_executor(worker(getpid()), work)
    try:
        while line := await made.get():
            ready = [line]
            while not made.empty() and (line := made.get_nowait()):
                ready.append(line)
            yield "".join(ready)
            if not line:
                break
        await at_work  # raises the worker's exception
    finally:
        gone.set()
