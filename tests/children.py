"""Calls in a process of their own, where a crash is a result and not the end of the tests."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rnnviz.errors import RnnvizError

ROOT = Path(__file__).resolve().parent.parent


def run(code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter that runs this code, with the tree on its path."""
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def outcomes(cases: str, folder: Path) -> dict[str, str]:
    """What each case of ``cases``, "module.function", came to: see ``report``.

    The function takes a folder of its own and returns calls by name. A crash is the outcome of the
    case that it struck, and the last one.
    """
    module, _, function = cases.rpartition(".")
    code = f"import sys\nfrom tests import children\nfrom {module} import {function}\n"
    result = run(code + f"children.report({function}, sys.argv[1])", str(folder))
    lines = [json.loads(line) for line in result.stdout.splitlines() if line.startswith("[")]
    found = {name: outcome for name, outcome in lines if outcome != "begun"}
    begun = [name for name, _ in lines]
    if result.returncode < 0:
        found[begun[-1]] = f"signal {-result.returncode}"
    elif result.returncode:
        raise AssertionError(result.stderr)
    return found


def report(cases: Callable[[Path], Mapping[str, Callable[[], Any]]], folder: str) -> None:
    """Prints for each case the key of its RnnvizError, another error's type, or "accepted"."""
    for name, call in cases(Path(folder)).items():
        print(json.dumps([name, "begun"]), flush=True)
        print(json.dumps([name, _outcome(call)]), flush=True)


def _outcome(call: Callable[[], Any]) -> str:
    try:
        call()
    except RnnvizError as error:
        both = {error.message("en"), error.message("ko")}  # the catalogs take its values
        return error.key if len(both) == 2 else "not translated"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "accepted"
