"""The live figures and texts of each page, and the server side of their WebSocket.

One connection, in both directions at once:

    reader   takes messages as they come: one is kept for the writer, a newer one replaces it
    writer   takes the kept message, waits for the queue (live_queue.py), and sends the answer's
             parts as they are made

So a client that leaves is noticed at once, and what waits for it or runs for it is cancelled.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing, suppress
from functools import partial
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.status import (
    WS_1007_INVALID_FRAME_PAYLOAD_DATA,
    WS_1008_POLICY_VIOLATION,
    WS_1009_MESSAGE_TOO_BIG,
    WS_1013_TRY_AGAIN_LATER,
)
from starlette.websockets import WebSocket, WebSocketDisconnect

from rnnviz.experiment import LanguageName, PageSettings
from rnnviz.experiment.work import work_of
from rnnviz.locale import Labels, labels
from rnnviz.ui.compare import cards, hold
from rnnviz.ui.components.live_updates import LiveParts
from rnnviz.ui.gradients import norms, scenes, stability, story, weights
from rnnviz.ui.live_queue import Ticket, live_queue
from rnnviz.ui.origin import may_connect
from rnnviz.ui.pages import PAGES
from rnnviz.ui.theme import seen_by
from rnnviz.ui.turns import checkpoint

MAX_CHARACTERS = 100_000  # per message
MOST_CONNECTIONS = 1000  # at once; each holds at most one answer in memory
SHORT = 5000  # characters of a message that is read at once; a page sends fewer than 1,000
WORK_PER_CHARACTER = 100.0  # of reading a longer one, as work_of has it: up to 0.1 s
STALLED_SECONDS = 60  # after which a client that does not read is disconnected
ALIVE_SECONDS = 5  # after which a client that waits gets an empty message
REPLACED_SECONDS = 0.01  # until the next message of a client that sends more than are answered
END = "\n"  # ends an answer: a message of one empty line

Item = TypeVar("Item")

connections: set[WebSocket] = set()


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
        story.LIVE_TEXTS
        | scenes.LIVE_TEXTS
        | norms.LIVE_TEXTS
        | weights.LIVE_TEXTS
        | stability.LIVE_TEXTS,
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

    def settings(self) -> PageSettings | None:
        """Those of the address; None for an unknown page or invalid settings."""
        if self.page not in LIVE_PARTS:
            return None
        settings, problems = PAGES[self.page].settings.from_query(self.query, self.language)
        return None if problems else settings

    def lines(self, settings: PageSettings) -> Iterator[str]:
        """One line per part in sight, as it is made."""
        parts = LIVE_PARTS[self.page].of(settings, labels(settings.language))
        return parts.lines(self.seen)


class Inbox:
    """The newest message of a client that has not been answered.

    replaced: how many older ones have no answer but an empty one.
    """

    def __init__(self) -> None:
        self.replaced = 0
        self._kept: str | None = None
        self._came = asyncio.Event()

    def put(self, message: str) -> bool:
        """Keeps a message; returns whether it replaces another one."""
        replaces = self._kept is not None
        self.replaced += replaces
        self._kept = message
        self._came.set()
        return replaces

    async def take(self) -> tuple[str, int]:
        """The message, and how many it has replaced."""
        await self._came.wait()
        message, replaced = self._kept or "", self.replaced
        self._kept, self.replaced = None, 0
        self._came.clear()
        return message, replaced


async def serve_live_updates(channel: WebSocket) -> None:
    """Answers questions one after another: the lines of ``LiveParts.lines``, then an empty line.

    Lines are sent as soon as they are made, in one message if several are ready; an empty message
    while there are none, so that the client knows that it is waiting. No lines for an unknown page,
    for invalid settings, and for a question that a newer one has replaced. An invalid question
    closes the connection. Clients that may not connect get status 403.
    """
    if not may_connect(channel):
        await channel.close(code=WS_1008_POLICY_VIOLATION)
        return
    await channel.accept()
    if len(connections) >= MOST_CONNECTIONS:
        await channel.close(code=WS_1013_TRY_AGAIN_LATER)
        return
    connections.add(channel)
    inbox = Inbox()
    both = asyncio.create_task(_read(channel, inbox)), asyncio.create_task(_write(channel, inbox))
    try:
        done, _ = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            with suppress(WebSocketDisconnect, OSError):  # the client is gone
                code = task.result()
                if code is not None:
                    await channel.close(code=code)
    finally:
        connections.discard(channel)
        for task in both:
            task.cancel()
        await asyncio.gather(*both, return_exceptions=True)


async def _read(channel: WebSocket, inbox: Inbox) -> int | None:
    """Takes messages until the client leaves; returns the code of a connection to be closed."""
    while (message := await channel.receive())["type"] == "websocket.receive":
        text = message.get("text") or ""
        if len(text) > MAX_CHARACTERS:
            return WS_1009_MESSAGE_TOO_BIG
        if inbox.put(text):
            await asyncio.sleep(REPLACED_SECONDS)
    return None


async def _write(channel: WebSocket, inbox: Inbox) -> int | None:
    """Answers messages; returns the code of a connection to be closed."""

    async def send(text: str) -> None:
        async with asyncio.timeout(STALLED_SECONDS):  # a TimeoutError is an OSError
            await channel.send_text(text)

    while True:
        message, replaced = await inbox.take()
        for _ in range(replaced):
            await send(END)
        try:
            question, settings = await _read_question(message)
        except ValidationError:
            return WS_1007_INVALID_FRAME_PAYLOAD_DATA
        if settings is not None:
            async with aclosing(_made(question, settings)) as made:
                async for lines in made:
                    await send(lines)
        await send(END)


async def _read_question(message: str) -> tuple[Question, PageSettings | None]:
    """The question of a message, and its settings; a long one is read by a worker."""

    def read() -> Iterator[tuple[Question, PageSettings | None]]:
        question = Question.model_validate_json(message)
        yield question, question.settings()

    if len(message) <= SHORT:
        return next(read())
    async with aclosing(_in_turn(len(message) * WORK_PER_CHARACTER, read)) as found:
        (item,) = [item async for items in found for item in items]
        return item


async def _made(question: Question, settings: PageSettings) -> AsyncGenerator[str, None]:
    """The lines as a worker makes them; those that are ready together as one text, or none yet."""

    def lines() -> Iterator[str]:
        with seen_by(dark=question.dark):
            yield from question.lines(settings)

    async with aclosing(_in_turn(work_of(settings), lines)) as made:
        async for ready in made:
            yield "".join(ready)


async def _in_turn(
    work: float, make: Callable[[], Iterator[Item]]
) -> AsyncGenerator[list[Item], None]:
    """What a worker makes in its turn, as lists of what is ready together.

    An empty list after every ``ALIVE_SECONDS`` in which nothing was ready.
    """
    loop, made = asyncio.get_running_loop(), asyncio.Queue[Item | None]()
    failed: list[Exception] = []

    def put(item: Item | None) -> None:
        with suppress(RuntimeError):  # the server has stopped
            loop.call_soon_threadsafe(made.put_nowait, item)

    def compute() -> None:
        try:
            for item in make():
                put(item)
                checkpoint()
        except Exception as error:
            failed.append(error)
        finally:
            put(None)

    ticket = Ticket(work, compute)
    live_queue().ask(ticket)
    try:
        ready: list[Item | None] = []
        while None not in ready:
            try:
                ready = [await asyncio.wait_for(made.get(), ALIVE_SECONDS)]
            except TimeoutError:
                yield []
                continue
            while not made.empty():
                ready.append(made.get_nowait())
            if items := [item for item in ready if item is not None]:
                yield items
        if failed:
            raise failed[0]
    finally:
        live_queue().leave(ticket)
