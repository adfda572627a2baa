"""Browser tests share one browser and one server of the app; each file has its own context."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext

from tests.browser import Visit, launched, served, visiting, windows

collect_ignore = ["grid_app.py", "live_app.py"]  # scripts of servers; one adds a page to the app's


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with launched() as browser:
        yield browser


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    with served() as address:
        yield address


@pytest.fixture(scope="module")
def reader(browser: Browser, address: str) -> Iterator[BrowserContext]:
    with windows(browser, address) as context:
        yield context


@pytest.fixture(scope="session")
def timed_reader(browser: Browser, address: str) -> Iterator[BrowserContext]:
    with windows(browser, address) as context:
        context.clock.install()
        yield context


@pytest.fixture
def timed(timed_reader: BrowserContext, address: str) -> Iterator[Visit]:
    """A visit whose clock the test may drive."""
    with visiting(timed_reader, address) as visit:
        yield visit


@pytest.fixture
def visit(reader: BrowserContext, address: str) -> Iterator[Visit]:
    with visiting(reader, address) as visit:
        yield visit
