"""What every test and doctest runs under."""

import gc
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import settings

import rnnviz

settings.register_profile("same every time", derandomize=True, deadline=None, database=None)
settings.load_profile("same every time")


def pytest_configure(config: pytest.Config) -> None:
    torch.set_num_threads(1)  # the tests' own processes share the cores
    # torch says this of every LSTM with a projection that it runs without gradients.
    ignored = "ignore:LSTM with projections is not supported with oneDNN:UserWarning"
    config.addinivalue_line("filterwarnings", ignored)


def pytest_collection_finish() -> None:
    # Streamlit collects garbage after every run of a page, and what has been imported is none.
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _names(doctest_namespace: dict[str, Any]) -> None:
    doctest_namespace.update(rnnviz=rnnviz, torch=torch, np=np)
