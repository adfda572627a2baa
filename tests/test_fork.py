"""A forked child computes the same as its parent, without waiting for the parent's threads."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

SCRIPT = """
import multiprocessing

import numpy as np
import torch

import rnnviz

{setup}

def compute(queue=None):
    found = {call}
    if queue is not None:
        queue.put(found)
    return found

expected = compute()
fork = multiprocessing.get_context("fork")
queue = fork.SimpleQueue()
child = fork.Process(target=compute, args=(queue,), daemon=True)
child.start()
child.join({seconds})
print("equal" if child.exitcode == 0 and queue.get() == expected else f"exit {{child.exitcode}}")
"""
SECONDS = 60  # each takes under a second; waiting for a missing thread would never end
NETWORKS = "from rnnviz.experiment import NetworkSettings, run_networks"
CALLS = {
    "networks": (
        NETWORKS,
        "[t.loss for t in run_networks(NetworkSettings(length=1000, hidden=16)).values()]",
    ),
    "jacobians": (
        f"torch.set_num_threads(2)\n{NETWORKS}\n"
        "trace = run_networks(NetworkSettings(length=300, hidden=64))['gru']",
        "float(np.abs(rnnviz.jacobians(trace)).sum())",
    ),
    "answers": (
        "import asyncio\nfrom rnnviz.ui.live_server import Question, _made\n"
        "question = Question(page='gradients', query={}, language='en', dark=False,"
        " seen=['verdicts'])\n"
        "async def answered():\n"
        "    return ''.join([x async for x in _made(question, question.settings())])\n",
        "asyncio.run(answered())",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CALLS)
def test_a_forked_child_computes_the_same(name: str):
    setup, call = CALLS[name]
    script = SCRIPT.format(setup=setup, call=call, seconds=SECONDS)
    run = [sys.executable, "-W", "ignore", "-c", script]  # Streamlit warns about a missing server
    result = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.stdout == "equal\n", result.stdout + result.stderr
