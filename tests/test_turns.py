"""Whose question is answered next, and how many computations run at once: states, not times."""

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack, suppress
from threading import Event, Thread
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from streamlit.runtime.scriptrunner import StopException
from streamlit.testing.v1 import AppTest

from rnnviz.experiment import ComparePage, GradientsPage, PageSettings, StepPage
from rnnviz.experiment.network_spec import read_networks
from rnnviz.experiment.work import work_of
from rnnviz.locale import labels
from rnnviz.ui import page_turn
from rnnviz.ui.live_queue import LiveQueue, Ticket, run
from rnnviz.ui.session import session
from rnnviz.ui.turns import LARGE, LARGE_WORK, SMALL, Turns, checkpoint, is_large, stopped_by
from tests.children import ROOT

SMALL_ONE, LARGE_ONE = 1e5, 4e8


def question(work: float, make: Callable[[], None] = lambda: None) -> Ticket:
    return Ticket(work, make)


def asked(queue: LiveQueue, *works: float) -> list[Ticket]:
    questions = [question(work) for work in works]
    for one in questions:
        queue.ask(one)
    return questions


def taken(queue: LiveQueue) -> list[Ticket]:
    """All questions in the order in which one worker after another takes them."""
    order: list[Ticket] = []
    while (one := queue.take()) is not None:
        order.append(one)
        queue.done(one)
    return order


def test_the_shortest_of_those_that_wait_comes_first():
    queue = LiveQueue()
    large, small, middle, other = asked(queue, LARGE_ONE, SMALL_ONE, 3 * SMALL_ONE, SMALL_ONE)
    assert taken(queue) == [small, other, middle, large]


def test_later_ones_overtake_a_large_one_until_their_work_adds_up_to_its_own():
    queue = LiveQueue()
    (large,) = asked(queue, 10.0)
    overtook = 0
    while True:
        asked(queue, 1.0)
        one = queue.take()
        assert one is not None
        queue.done(one)
        if one is large:
            break
        overtook += 1
    assert overtook == 9  # the tenth would end at the same work, and came later


def test_visitors_with_equal_work_take_turns():
    queue = LiveQueue(workers=1)
    visitors = dict(zip(asked(queue, 5, 5, 5), "abc", strict=True))
    order = ""
    for _ in range(9):
        one = queue.take()
        assert one is not None
        order += visitors[one]
        queue.done(one)
        (again,) = asked(queue, 5)  # the same visitor's next question
        visitors[again] = visitors[one]
    assert order == "abcabcabc"


def test_one_worker_is_left_for_small_questions():
    queue = LiveQueue(workers=3)
    large = asked(queue, *[LARGE_ONE] * 5)
    assert [queue.take() for _ in range(3)] == [large[0], large[1], None]
    (small,) = asked(queue, SMALL_ONE)
    assert queue.take() is small
    assert queue.take() is None  # three workers
    queue.done(large[0])
    assert queue.take() is large[2]
    assert [len(queue.running), len(queue.waiting)] == [3, 2]


def test_a_question_whose_visitor_leaves_is_dropped_or_stopped():
    queue = LiveQueue()
    made: list[str] = []

    def make() -> None:
        made.append("begun")
        queue.leave(running)
        checkpoint()
        made.append("went on")

    running = question(SMALL_ONE, make)
    waiting, _ = asked(queue, SMALL_ONE, SMALL_ONE)
    queue.leave(waiting)
    assert waiting not in queue.waiting
    queue.ask(running)
    run(running)
    assert made == ["begun"]
    queue.leave(running)  # once more: nothing happens


def test_forty_large_questions_of_visitors_who_left_cost_nothing():
    queue = LiveQueue(workers=2)
    left = asked(queue, *[LARGE_ONE] * 40)
    for one in left:
        queue.leave(one)
    (small,) = asked(queue, SMALL_ONE)
    assert taken(queue) == [small]
    assert queue.started == SMALL_ONE


def test_a_small_question_is_answered_while_large_ones_are_computed():
    """Five visitors at the largest size: one is computed, four wait, and a sixth is answered."""
    queue = LiveQueue(workers=2).start()
    begun, may_end, answered = Event(), Event(), Event()
    order: list[str] = []

    def large() -> None:
        begun.set()
        assert may_end.wait(60)
        order.append("large")

    for _ in range(5):
        queue.ask(question(LARGE_ONE, large))
    assert begun.wait(60)
    queue.ask(question(SMALL_ONE, lambda: (order.append("small"), answered.set())[1]))
    assert answered.wait(60)
    assert order == ["small"]
    assert len(queue.waiting) == 4
    may_end.set()
    with queue._changed:
        assert queue._changed.wait_for(lambda: not queue.running and not queue.waiting, 60)
    assert order == ["small", *["large"] * 5]


@given(st.lists(st.tuples(st.sampled_from("astlmd"), st.integers(0, 9)), max_size=60))
def test_the_queue_is_bounded_and_loses_nothing(acts: list[tuple[str, int]]):
    """Any order of asking, taking, leaving and finishing keeps the rules."""
    queue = LiveQueue(workers=3)
    all_asked: list[Ticket] = []
    finished: list[Ticket] = []
    for act, number in acts:
        if act in "as":
            all_asked += asked(queue, LARGE_ONE if number > 6 else number)
        elif act in "tm":
            lowest = min((one.rank for one in queue.waiting if not one.is_large), default=None)
            one = queue.take()
            if one is not None and not one.is_large:
                assert one.rank == lowest
        elif act == "l" and all_asked:
            queue.leave(all_asked[number % len(all_asked)])
        elif queue.running:
            finished.append(queue.running[number % len(queue.running)])
            queue.done(finished[-1])
        assert len(queue.running) <= 3
        assert sum(one.is_large for one in queue.running) <= 2
        assert not any(one.has_left for one in queue.waiting)
        left = [one for one in all_asked if one.has_left]
        found = {*queue.waiting, *queue.running, *finished, *left}
        assert found == set(all_asked)


def test_turns_are_taken_in_the_order_of_arrival():
    turns = Turns(2)
    order: list[str] = []
    gates = {name: Event() for name in "abcd"}
    began = {name: Event() for name in "abcd"}
    places = {name: turns.place() for name in "abcd"}

    def compute(name: str) -> None:
        with turns.hold(lambda _: None, places[name]):
            order.append(name)
            began[name].set()
            assert gates[name].wait(60)

    threads = [Thread(target=compute, args=(name,), daemon=True) for name in "abdc"]
    for thread, name in zip(threads, "ab", strict=False):
        thread.start()
        assert began[name].wait(60)
    for thread, number in zip(threads[2:], (1, 2), strict=True):
        thread.start()
        until(lambda number=number: len(turns._waiting) == number)
    assert (turns.computing, turns.ahead(places["d"])) == (2, 3)
    gates["b"].set()
    assert began["c"].wait(60)  # came before d, although its thread was later
    assert not began["d"].is_set()
    for gate in gates.values():
        gate.set()
    for thread in threads:
        thread.join(60)
    assert (order, turns.computing, turns._waiting) == (list("abcd"), 0, [])


def until(condition: Callable[[], bool]) -> None:
    tries = 0
    while not condition():
        tries += 1
        assert tries < 6000
        Event().wait(0.01)


def test_who_leaves_the_line_lets_the_next_one_in():
    turns = Turns(1)

    class Gone(Exception):
        pass

    def gone(ahead: int) -> None:
        raise Gone(ahead)

    with turns.hold(gone):
        for _ in range(3):
            with pytest.raises(Gone, match="1"), turns.hold(gone):
                raise AssertionError
        assert (turns.computing, turns._waiting) == (1, [])
    with suppress(ZeroDivisionError), turns.hold(gone):
        raise ZeroDivisionError
    assert turns.computing == 0


def test_a_large_question_waits_for_a_turn_and_leaves_it_with_its_visitor():
    made: list[str] = []
    with_all = [LARGE.hold(lambda _: None) for _ in range(LARGE.at_once)]
    for turn in with_all:
        turn.__enter__()
    try:
        one = question(LARGE_ONE, lambda: made.append("made"))
        thread = Thread(target=run, args=(one,), daemon=True)
        thread.start()
        until(lambda: len(LARGE._waiting) == 1)
        one.has_left = True
        thread.join(60)
        assert (made, LARGE._waiting) == ([], [])
        run(question(SMALL_ONE, lambda: made.append("small")))
        assert made == ["small"]
    finally:
        for turn in with_all:
            turn.__exit__(None, None, None)
    assert LARGE.computing == 0


def test_a_checkpoint_outside_of_a_question_does_nothing():
    checkpoint()
    with pytest.raises(KeyError), stopped_by(lambda: {}["no"]):
        checkpoint()
    checkpoint()


@pytest.mark.parametrize(
    ("page", "work"),
    [
        (GradientsPage(hidden=256, length=2000), 3 * 2000 * 256**2),
        (GradientsPage(hidden=16, length=100), 3 * 100 * 16**2),
        (GradientsPage(hidden=16, length=100, claim=True), 43 * 100 * 16**2),
        (GradientsPage(hidden=16, length=100).network(), 3 * 100 * 16**2),
        (StepPage(text="a" * 2000), 2000 * 128**2),
        (ComparePage(text="abc"), 3 * 3 * 128**2),
        (PageSettings(), 0),
    ],
)
def test_work_is_cells_times_steps_times_units_squared(page: Any, work: float):
    assert work_of(page) == work


def test_the_work_of_compared_networks_grows_with_their_parameters():
    def compared(networks: str, **of: Any) -> float:
        form = ComparePage.model_fields["networks"]
        assert form
        return work_of(ComparePage(networks=read_networks(networks), input_source="signal", **of))

    one = compared("lstm,lstm", hidden=64, length=100)
    assert one == 100 * 2 * (4 * 64 * (1 + 64) + 8 * 64) / 4
    assert compared("lstm,lstm", hidden=64, length=200) == 2 * one
    assert compared("lstm.2,lstm.2.both", hidden=64, length=100) > 2 * one
    refused = {"equal": "parameters", "budget": 10}
    assert compared("lstm.4.both,lstm", **refused) == 0


def test_what_is_large():
    assert not is_large(GradientsPage(hidden=64, length=1000))
    assert is_large(GradientsPage(hidden=256, length=2000))
    assert work_of(GradientsPage(hidden=256, length=2000)) > LARGE_WORK


PAGE = """
import streamlit as st
from rnnviz.experiment import GradientsPage
from rnnviz.locale import labels
from rnnviz.ui.page_turn import page_turn

with page_turn(GradientsPage(), labels("ko")):
    st.write("computed")
"""


def test_a_page_says_that_it_waits_and_keeps_its_place(monkeypatch: pytest.MonkeyPatch):
    """The first run is stopped while it waits, the second one waits in its place."""
    said: list[str] = []
    places: list[tuple[str, int] | None] = []
    show = page_turn._Notice.show

    def shown(notice: Any, ahead: int) -> None:
        show(notice, ahead)
        assert notice.shown is not None
        said.append(labels("ko")("turn.waiting", ahead=ahead))
        places.append(session.place)
        if len(said) == 1:
            raise StopException  # as Streamlit does when the visitor changes something
        for turn in turns:
            turn.__exit__(None, None, None)

    monkeypatch.setattr(page_turn, "SAY_AFTER", 0)
    monkeypatch.setattr(page_turn._Notice, "show", shown)
    turns = [SMALL.hold(lambda _: None) for _ in range(SMALL.at_once)]
    for turn in turns:
        turn.__enter__()
    page = AppTest.from_string(PAGE, default_timeout=60).run()
    assert [info.value for info in page.info] == said
    assert page.markdown.values == []
    later = SMALL.place()
    page.run()
    assert page.exception.values == []
    assert (page.markdown.values, page.info.values) == (["computed"], [])
    assert said == [labels("ko")("turn.waiting", ahead=SMALL.at_once)] * 2
    assert places[0] == places[1]
    assert places[0] is not None
    assert places[0][1] < later
    assert page.session_state["rnnviz.place"] is None
    assert (SMALL.computing, SMALL._waiting) == (0, [])


def test_a_page_run_whose_visitor_has_left_leaves_the_line(monkeypatch: pytest.MonkeyPatch):
    instance = SimpleNamespace(is_active_session=lambda _session: False)
    runtime = SimpleNamespace(exists=lambda: True, get_instance=lambda: instance)
    monkeypatch.setattr(page_turn, "runtime", runtime)
    with ExitStack() as stack:
        for _ in range(SMALL.at_once):
            stack.enter_context(SMALL.hold(lambda _: None))
        page = AppTest.from_string(PAGE, default_timeout=60).run()
        assert page.exception.values == []
        assert page.markdown.values == []
        assert (SMALL.computing, SMALL._waiting) == (SMALL.at_once, [])


STOPPED = """
import os, signal, sys, time
from rnnviz.locale import labels
from rnnviz.ui import page_turn
from rnnviz.ui.live_queue import LiveQueue, Ticket

queue = LiveQueue(workers=2).start()
for _ in range(40):
    queue.ask(Ticket(4e8, lambda: time.sleep(600)))
while not queue.running:
    time.sleep(0.01)
print(len(queue.waiting), flush=True)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
os.kill(os.getpid(), signal.SIGTERM)
time.sleep(600)
"""


@pytest.mark.slow
def test_the_end_of_the_process_waits_for_no_question():
    environment = os.environ | {"STREAMLIT_LOGGER_LEVEL": "error"}
    command = [sys.executable, "-c", STOPPED]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300
    )
    assert (done.returncode, done.stdout) == (0, "39\n"), done.stderr
