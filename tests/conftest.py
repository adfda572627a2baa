"""A browser, a server of the app and a window, one each for a file of browser tests."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext

from tests.browser import Visit, launched, served, visiting, windows


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as browser:
        yield browser


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with served() as address:
        yield address


@pytest.fixture(scope="module")
def reader(browser: Browser) -> Iterator[BrowserContext]:
    with windows(browser) as context:
        yield context


@pytest.fixture
def visit(reader: BrowserContext, address: str) -> Iterator[Visit]:
    with visiting(reader, address) as visit:
        yield visit
