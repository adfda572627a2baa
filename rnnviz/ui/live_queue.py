"""The one place that schedules the live questions of all visitors.

A visitor is a connection. A question is a request for the live figures of some settings.

            ask()                  a worker is free               the last part is made
   (none) ─────────▶ waiting ───────────────────────▶ running ──────────────────────────▶ done
                        │                                │
                        └──────────── leave() ───────────┴──▶ left: waiting, it is dropped at once;
                                                              running, it stops at its next part

Rules
1. A visitor has at most one question here. The newest question that comes while it is answered is
   kept by the connection (live_server.py) and replaces an older one there.
2. The next question is the one with the lowest rank: the work of all questions that have been
   started when it came, plus its own. So the shortest comes first among those that came together,
   and questions that come later overtake a large one only until their work adds up to its own.
   Visitors with equal work take turns, since each comes again behind the others.
3. One worker takes no large question, so that a small one never waits for a large one to end.
4. Large questions also take a turn among the large page runs (turns.py).

Workers are daemon threads: the end of the process waits for none that is waiting.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from threading import Condition, Thread

from rnnviz.ui.turns import AT_ONCE, LARGE, LARGE_WORK, stopped_by

WORKERS = AT_ONCE + (AT_ONCE == 1)  # at least one for large and one for small questions


class Left(Exception):
    """Stops the computation of a question whose visitor has left."""


@dataclass(eq=False)
class Ticket:
    """A question in the queue. make: computes its answer. rank, has_left: set by the queue."""

    work: float
    make: Callable[[], None]
    rank: float = 0.0
    has_left: bool = False

    @property
    def is_large(self) -> bool:
        """Whether it takes a turn among the large computations."""
        return self.work > LARGE_WORK

    def check(self) -> None:
        """Raises Left if the visitor has left."""
        if self.has_left:
            raise Left


class LiveQueue:
    """Questions that wait or run. ``start`` starts the workers; without them it only schedules."""

    def __init__(self, workers: int = WORKERS) -> None:
        self.workers = workers
        self.started = 0.0  # the work of all questions that have been started
        self.waiting: list[Ticket] = []
        self.running: list[Ticket] = []
        self._changed = Condition()

    def start(self) -> "LiveQueue":
        for number in range(self.workers):
            Thread(target=self._work, name=f"live-{number}", daemon=True).start()
        return self

    def ask(self, ticket: Ticket) -> None:
        """Puts a question into the queue."""
        with self._changed:
            ticket.rank = self.started + ticket.work
            self.waiting.append(ticket)
            self._changed.notify()

    def leave(self, ticket: Ticket) -> None:
        """Cancels a question; one that is done stays done."""
        with self._changed:
            ticket.has_left = True
            if ticket in self.waiting:
                self.waiting.remove(ticket)

    def take(self) -> Ticket | None:
        """Moves the next question from waiting to running; None if no worker may take one."""
        with self._changed:
            return self._take()

    def done(self, ticket: Ticket) -> None:
        """Removes a question that is no longer running."""
        with self._changed:
            self.running.remove(ticket)
            self._changed.notify_all()  # a large one may be next

    def _take(self) -> Ticket | None:
        is_full = sum(other.is_large for other in self.running) >= max(1, self.workers - 1)
        allowed = [other for other in self.waiting if not (is_full and other.is_large)]
        if not allowed or len(self.running) >= self.workers:
            return None
        ticket = min(allowed, key=lambda other: other.rank)  # the first of equal ones
        self.waiting.remove(ticket)
        self.running.append(ticket)
        self.started += ticket.work
        return ticket

    def _work(self) -> None:
        while True:
            with self._changed:
                while (ticket := self._take()) is None:
                    self._changed.wait()
            try:
                run(ticket)
            finally:
                self.done(ticket)


def run(ticket: Ticket) -> None:
    """Computes one answer, in its turn; ends early if its visitor leaves."""
    try:
        with stopped_by(ticket.check):
            if not ticket.is_large:
                ticket.make()
                return
            with LARGE.hold(lambda _: ticket.check()):
                ticket.make()
    except Left:
        pass


@cache
def _queue(_process: int) -> LiveQueue:
    return LiveQueue().start()


def live_queue() -> LiveQueue:
    """The queue of this process; a forked child has its own."""
    return _queue(os.getpid())
