"""Changes to Streamlit: two make a run of a page cheaper for the server, one makes it safe.

They replace private functions, which another version of Streamlit may not have: then it stays as
it is.
"""

from asyncio import AbstractEventLoop
from collections import deque
from collections.abc import Callable
from functools import cache
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary, WeakValueDictionary

from streamlit.proto.NewSession_pb2 import CustomThemeConfig
from streamlit.runtime import app_session
from streamlit.runtime.app_session import AppSession
from streamlit.runtime.state import SafeSessionState

WAIT = 0.002  # seconds that a message waits for others

Callbacks = deque[Callable[[], None]]


def read_theme_once() -> None:
    """Has the theme, which starts every run, read from the configuration once.

    Streamlit searches all its options for each of the theme's six sections.
    """
    write = getattr(app_session, "_populate_theme_msg", None)
    if write is None:
        return

    @cache
    def section_of(name: str) -> CustomThemeConfig:
        message = CustomThemeConfig()
        write(message, name)
        return message

    def write_kept(message: CustomThemeConfig, section: str = "theme") -> None:
        kept = section_of(section)
        if kept.ListFields():
            message.MergeFrom(kept)

    app_session._populate_theme_msg = write_kept


def send_in_batches() -> None:
    """Has the event loop take the messages of a run in batches, in their order.

    Streamlit wakes the event loop for each of a hundred messages, and both threads then wait for
    each other. The loop then wakes itself for each, to send it: here once for a batch.
    """
    call = getattr(AppSession, "_call_soon_on_event_loop", None)
    if call is None:
        return
    queues: WeakKeyDictionary[AppSession, Callbacks] = WeakKeyDictionary()

    def call_in_batch(self: AppSession, callback: Callable[[], None]) -> None:
        queue = queues.setdefault(self, deque())
        queue.append(callback)
        if len(queue) == 1:  # others find it and are taken with it
            loop = self._event_loop
            call(self, lambda: loop.call_later(WAIT, lambda: _take_all(queue, self, loop)))

    AppSession._call_soon_on_event_loop = call_in_batch


def _take_all(queue: Callbacks, session: AppSession, loop: AbstractEventLoop) -> None:
    wake: Callable[[], None] | None = getattr(session, "_message_enqueued_callback", None)
    if wake is not None:
        session._message_enqueued_callback = None
    try:
        while queue:
            queue.popleft()()
    finally:
        if wake is not None:
            session._message_enqueued_callback = wake
            wake()
        if queue:  # after an exception
            loop.call_soon(lambda: _take_all(queue, session, loop))


def share_the_lock() -> None:
    """Has all runs of a session use the same lock for its state.

    Streamlit gives every run a lock of its own. When a browser reloads the page, the run before it
    ends, and forgets its widgets, while the new one registers its own or calls their callbacks.
    """
    prepare = SafeSessionState.__init__
    guard = Lock()
    # by the identity of the state, which lives as long as its lock does: a run holds both
    locks: WeakValueDictionary[int, Any] = WeakValueDictionary()

    def prepare_with_lock(self: SafeSessionState, state: Any, *rest: Any, **options: Any) -> None:
        prepare(self, state, *rest, **options)
        own = vars(self)  # an assignment to an attribute would set a value of the session
        if "_lock" in own:
            with guard:
                own["_lock"] = locks.setdefault(id(state), own["_lock"])

    SafeSessionState.__init__ = prepare_with_lock
