"""Turns: at most so many computations at once, in the order of arrival.

            hold()                       a turn is free and nobody came earlier
   (none) ─────────▶ waiting in a place ───────────────────────────────────────▶ computing
                        │                                                          │
                        └── its ``waiting`` raises ──▶ left         end ──▶ the next in line

``LARGE`` and ``SMALL`` are those of this process, so that small work never waits for large work.
Live questions with large work take turns with page runs that have large work.
"""

import os
from bisect import insort
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import count
from threading import Event, Lock
from typing import NamedTuple

from rnnviz.experiment.settings import Settings
from rnnviz.experiment.work import work_of

LARGE_WORK = 2e7  # as ``work_of`` has it: about 0.05 s on one core
# Of each process; more at once would not be faster, and a large one needs up to 250 MB. workers.py
# sets the number of processes.
AT_ONCE = max(1, min(4, (os.cpu_count() or 1) // int(os.environ.get("RNNVIZ_SERVERS", "1"))))
LOOK_EVERY = 0.25  # seconds between two calls of ``waiting``


class Waiting(NamedTuple):
    """Who waits. granted: set when it has a turn."""

    place: int
    granted: Event


class Turns:
    """A semaphore that serves in the order of places; a lower place is served earlier.

    A turn goes directly to the next in line, so that the others need not wake up.
    """

    def __init__(self, at_once: int) -> None:
        self.at_once = at_once
        self.computing = 0
        self._lock = Lock()
        self._places = count()
        self._waiting: list[Waiting] = []  # sorted by place

    def place(self) -> int:
        """A place behind all others."""
        return next(self._places)

    @contextmanager
    def hold(self, waiting: Callable[[int], object], place: int | None = None) -> Iterator[None]:
        """Waits for a turn, and ends it after the block.

        waiting: called with the number of computations ahead while there is no turn, every
        ``LOOK_EVERY`` seconds; leaves the line if it raises. place: one that was left before; by
        default a new one.
        """
        self._enter(self.place() if place is None else place, waiting)
        try:
            yield
        finally:
            with self._lock:
                self._end()

    def ahead(self, place: int) -> int:
        """How many computations this place waits for, those that are computing included."""
        with self._lock:
            return self.computing + sum(other.place < place for other in self._waiting)

    def _enter(self, place: int, waiting: Callable[[int], object]) -> None:
        own = Waiting(place, Event())
        with self._lock:
            insort(self._waiting, own, key=lambda other: other.place)
            self._grant()
        try:
            while not own.granted.wait(LOOK_EVERY):
                waiting(self.ahead(place))
        except BaseException:
            with self._lock:
                if own.granted.is_set():
                    self._end()
                else:
                    self._waiting.remove(own)
            raise

    def _grant(self) -> None:
        while self._waiting and self.computing < self.at_once:
            self.computing += 1
            self._waiting.pop(0).granted.set()

    def _end(self) -> None:
        self.computing -= 1
        self._grant()


LARGE, SMALL = Turns(AT_ONCE), Turns(AT_ONCE)


def is_large(settings: Settings) -> bool:
    """Whether the networks of these settings take their turns among the large computations."""
    return work_of(settings) > LARGE_WORK


_check: ContextVar[Callable[[], None]] = ContextVar("check", default=lambda: None)


@contextmanager
def stopped_by(check: Callable[[], None]) -> Iterator[None]:
    """A context in which ``checkpoint`` calls ``check``, which raises to stop the computation."""
    token = _check.set(check)
    try:
        yield
    finally:
        _check.reset(token)


def checkpoint() -> None:
    """Called between the parts of a computation: stops it if nobody waits for it any more."""
    _check.get()()
