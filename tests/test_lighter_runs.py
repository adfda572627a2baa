"""The changes to Streamlit that make a run of a page cheaper or safer."""

import asyncio
from functools import partial
from threading import Thread

import pytest
from streamlit import config
from streamlit.proto.NewSession_pb2 import CustomThemeConfig, NewSession
from streamlit.runtime import app_session
from streamlit.runtime.app_session import AppSession
from streamlit.runtime.state import SafeSessionState, SessionState

from rnnviz.ui.lighter_runs import read_theme_once, send_in_batches, share_the_lock


def sections(message: NewSession) -> dict[str, CustomThemeConfig]:
    theme = message.custom_theme
    return {
        "theme": theme,
        "theme.light": theme.light,
        "theme.dark": theme.dark,
        "theme.sidebar": theme.sidebar,
        "theme.light.sidebar": theme.light.sidebar,
        "theme.dark.sidebar": theme.dark.sidebar,
    }


def sent() -> NewSession:
    message = NewSession()
    for name, section in sections(message).items():
        app_session._populate_theme_msg(section, name)
    return message


def test_the_theme_is_the_same_and_read_once(monkeypatch: pytest.MonkeyPatch):
    written = app_session._populate_theme_msg
    monkeypatch.setattr(app_session, "_populate_theme_msg", written)  # restored at the end
    expected = sent()
    assert expected.custom_theme.light.primary_color == "#005f73"
    assert expected.custom_theme.dark.sidebar.background_color == "#161b22"
    read_theme_once()
    read = config.get_options_for_section
    asked: list[str] = []
    monkeypatch.setattr(config, "get_options_for_section", lambda n: asked.append(n) or read(n))
    assert [sent(), sent()] == [expected, expected]
    assert sorted(asked) == sorted(sections(NewSession()))


class Session(AppSession):
    """A session that has only an event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._event_loop = loop

    def __del__(self) -> None:
        pass


def batched(monkeypatch: pytest.MonkeyPatch, failing: int | None = None) -> tuple[list[int], int]:
    """The numbers that a thread's hundred callbacks add, and how often they woke the loop."""
    monkeypatch.setattr(AppSession, "_call_soon_on_event_loop", AppSession._call_soon_on_event_loop)
    send_in_batches()
    found: list[int] = []
    woken: list[None] = []

    def take(number: int) -> None:
        found.append(number)
        if number == failing:
            raise ValueError(number)

    async def run() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda *_: None)
        call = loop.call_soon_threadsafe
        wake = lambda *given: woken.append(None) or call(*given)  # noqa: E731
        monkeypatch.setattr(loop, "call_soon_threadsafe", wake)
        session = Session(loop)

        def send() -> None:
            for number in range(100):
                session._call_soon_on_event_loop(partial(take, number))

        thread = Thread(target=send)
        thread.start()
        while len(found) < 100:
            await asyncio.sleep(0.001)
        thread.join()

    asyncio.run(asyncio.wait_for(run(), 30))
    return found, len(woken)


def test_messages_come_in_order_and_in_batches(monkeypatch: pytest.MonkeyPatch):
    found, woken = batched(monkeypatch)
    assert found == list(range(100))
    assert woken < 100


def test_after_an_exception_the_others_come(monkeypatch: pytest.MonkeyPatch):
    found, _ = batched(monkeypatch, failing=3)
    assert found == list(range(100))


def test_the_sender_is_woken_once_for_a_batch(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(AppSession, "_call_soon_on_event_loop", AppSession._call_soon_on_event_loop)
    send_in_batches()
    found: list[int | str] = []

    async def run() -> None:
        session = Session(asyncio.get_running_loop())
        session._message_enqueued_callback = lambda: found.append("woken")

        def take(number: int) -> None:
            found.append(number)
            if session._message_enqueued_callback is not None:  # as Streamlit does
                session._message_enqueued_callback()

        for number in range(5):
            session._call_soon_on_event_loop(partial(take, number))
        await asyncio.sleep(0.05)
        assert found == [0, 1, 2, 3, 4, "woken"]
        assert session._message_enqueued_callback is not None
        session._message_enqueued_callback()
        assert found[-2:] == ["woken", "woken"]

    asyncio.run(asyncio.wait_for(run(), 30))


def test_another_streamlit_is_left_alone(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delattr(app_session, "_populate_theme_msg")
    monkeypatch.delattr(AppSession, "_call_soon_on_event_loop")
    read_theme_once()
    send_in_batches()
    assert not hasattr(app_session, "_populate_theme_msg")
    assert not hasattr(AppSession, "_call_soon_on_event_loop")


def test_the_runs_of_a_session_take_turns_at_its_state(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(SafeSessionState, "__init__", SafeSessionState.__init__)
    share_the_lock()
    state, other = SessionState(), SessionState()
    ending, begun, stranger = (SafeSessionState(s, lambda: None) for s in (state, state, other))
    ending["shown"] = 1
    assert begun["shown"] == 1
    assert "shown" not in stranger
    assert state.filtered_state == {"shown": 1}  # the lock is no value of the session
    free: list[bool] = []

    def look() -> None:
        for each in (begun, stranger):
            free.append(each._lock.acquire(blocking=False))
            if free[-1]:
                each._lock.release()

    with ending._lock:  # as while it forgets its widgets
        thread = Thread(target=look)
        thread.start()
        thread.join()
    assert free == [False, True]
    look()
    assert free[2:] == [True, True]
