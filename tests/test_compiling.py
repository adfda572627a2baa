"""The first start on a machine: the line about the compilation, and processes that share it."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Timer

import pytest
from streamlit.testing.v1 import AppTest

from rnnviz.locale import labels
from rnnviz.ui import warm_up
from rnnviz.ui.compiling import Compilation, compilation
from tests import children
from tests.test_kernel_cache import CALL, KERNEL, NUMBERS

ROOT = Path(__file__).resolve().parent.parent
ONCE = "This happens once on a machine; until then some figures come late."
LINE = "<p class='rnnviz-note' role='status'>Compiling: stage {} of 33. {}</p>"


@pytest.fixture
def running() -> Iterator[Compilation]:
    """A compilation of 33 stages, of which the gradients wait for three."""
    compilation.begin(33, {"gradients": range(3)}, is_kept=True)
    yield compilation
    compilation.begin(0, {}, is_kept=True)


def test_the_line_counts_what_any_process_has_done(running: Compilation):
    words = labels("en")
    assert running.line(words) == LINE.format(1, ONCE)
    running.done |= {32, 31}  # by the helper
    assert running.line(words) == LINE.format(3, ONCE)
    running.finish(0)
    running.finish(32)
    assert running.line(words) == LINE.format(4, ONCE)
    assert running.is_awaited("gradients")
    assert not running.is_awaited("step")
    running.finish(1)
    running.finish(2)
    assert not running.is_awaited("gradients")
    assert running.is_running()
    for stage in range(33):
        running.finish(stage)
    assert not running.is_running()


def test_the_line_says_when_nothing_is_kept():
    own = Compilation()
    own.begin(33, {}, is_kept=False)
    assert own.line(labels("en")) == LINE.format(
        1,
        "The compiled code cannot be kept here, so every start compiles again: set"
        " NUMBA_CACHE_DIR to a folder that can be written.",
    )
    assert own.line(labels("ko")) == (
        "<p class='rnnviz-note' role='status'>컴파일 중: 33단계 중 1단계. 컴파일한 코드를 저장할 수"
        " 없어 시작할 때마다 다시 컴파일합니다. 환경 변수 NUMBA_CACHE_DIR에 쓸 수 있는 폴더를"
        " 지정하세요.</p>"
    )


def lines(page: AppTest) -> list[str]:
    """Every line about the compilation on a page."""
    bodies = [element.proto.body for element in page.get("html")]
    return [body for body in bodies if "Compiling" in body]


def opened(name: str) -> AppTest:
    page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
    page.switch_page(f"pages/{name}.py").run()
    assert [error.value for error in page.exception] == []
    return page


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:streamlit")
def test_a_page_waits_for_what_it_needs_and_tells_of_the_rest(running: Compilation):
    assert lines(opened("step")) == [LINE.format(1, ONCE)]
    finish = [Timer(0.5 * (stage + 1), running.finish, [stage]) for stage in range(3)]
    for timer in finish:
        timer.start()
    page = opened("gradients")
    assert running.ready == {0, 1, 2}
    assert lines(page) == [LINE.format(4, ONCE)]
    compilation.begin(0, {}, is_kept=True)
    assert lines(page.run()) == []


# What it prints last is how many versions of ``twice`` this process compiled.
SHARED = CALL.format(before="", after="") + "print(sum(twice.stats.cache_misses.values()))\n"


@pytest.mark.slow
def test_processes_on_an_empty_cache_share_the_work(tmp_path: Path):
    (tmp_path / "kernel.py").write_text(KERNEL)
    (tmp_path / "kernel.py").touch()
    command = [sys.executable, "-c", SHARED, str(tmp_path)]
    both = [
        subprocess.Popen(command, cwd=children.ROOT, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    found = [process.communicate()[0].split() for process in both]
    assert [" ".join(numbers[:2]) for numbers in found] == [NUMBERS, NUMBERS]
    assert sum(int(numbers[3]) for numbers in found) == 2


def test_stages_are_the_same_in_every_process_and_the_first_are_the_gradients():
    cells, first, rest = warm_up._groups()
    assert [stage.args for stage in cells] == [("rnn",), ("gru",), ("lstm",)]
    assert [stage.args[0] for stage in first] == ["gradients", "compare"]
    assert len([*cells, *first, *rest]) == 35


@pytest.mark.slow
def test_the_helper_ends_with_the_server_that_started_it():
    command = [sys.executable, "-c", warm_up.HELPER, str(ROOT)]
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (0, b"", b"")
