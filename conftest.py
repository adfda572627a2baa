"""Setup for every test and doctest."""

import gc
from collections.abc import Generator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import settings

import rnnviz
from tests.seeds import seed_by, seeded_by

settings.register_profile("same every time", derandomize=True, deadline=None, database=None)
settings.load_profile("same every time")


def pytest_configure(config: pytest.Config) -> None:
    torch.set_num_threads(1)  # the test processes share the cores
    # torch warns about every LSTM with a projection that runs without gradients.
    ignored = "ignore:LSTM with projections is not supported with oneDNN:UserWarning"
    config.addinivalue_line("filterwarnings", ignored)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Seeds the import of a test module by its name, as parametrisations may draw networks."""
    with seeded_by(collector.nodeid):
        return (yield)


def pytest_collection_finish() -> None:
    # Streamlit collects garbage after every page run; imported modules need not be scanned.
    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    seed_by(item.nodeid)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any]) -> Generator[None, object, object]:
    """Seeds a shared fixture by its own name, whichever test requests it first."""
    if fixturedef.scope == "function":
        return (yield)
    with seeded_by(f"{fixturedef.baseid}::{fixturedef.argname}"):
        return (yield)


@pytest.fixture(autouse=True)
def _names(doctest_namespace: dict[str, Any]) -> None:
    doctest_namespace.update(rnnviz=rnnviz, torch=torch, np=np)
