"""What holds of the tree as a whole: pins, the order of imports, what the wheel contains."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from tests import install_chromium

ROOT = Path(__file__).resolve().parent.parent

# A module of the engine imports from its own room and from those before it.
ROOMS: tuple[str, ...] = (
    "locale",
    "errors",
    "inputs",
    "cells",
    "holding",
    "shapes",
    "recurrent",
    "counting",
    "conventions",
    "initialise",
    "engine",
    "storage",
    "trace_check",
    "trace_file",
    "trace",
    "gradients",
    "stability",
    "explain",
    "formats",
    "experiment",
    "plots",
    "instrument",
    "ui",
)

MADE = {".git", ".venv", "__pycache__", "build", "dist", "test-results", "screenshots"}
MACHINE_PATH = re.compile(
    rb"(?:(?<![\w./~-])|file://)/(?:home|Users|root|work|tmp|private|mnt)/\w"
    rb"|\b[A-Za-z]:\\+(?:Users|Windows|Temp)\\"
)


def files() -> Iterator[Path]:
    """Every file of the tree that was written and not made by a tool."""
    for folder, folders, names in os.walk(ROOT):
        folders[:] = sorted(
            name
            for name in folders
            if name not in MADE and not name.endswith((".egg-info", "_cache", ".hypothesis"))
        )
        yield from (Path(folder, name) for name in sorted(names))


def python_files() -> list[Path]:
    return [path for path in files() if path.suffix == ".py"]


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """Line and dotted name of every import, wherever in the file; `from a import b` is `a.b`."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)


def pins(name: str) -> dict[str, str]:
    lines = [line.split("#")[0].strip() for line in (ROOT / name).read_text().splitlines()]
    matches = [re.fullmatch(r"([\w-]+)==([\w.]+)", line) for line in lines if line[:1].isalnum()]
    assert None not in matches, f"{name}: every requirement is pinned as name==version"
    return {match[1]: match[2] for match in matches if match}


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_pin_is_exact_and_installed(name: str):
    pinned = pins(name)
    # 2.13.0+cpu is a build of 2.13.0.
    installed = {package: version(package).split("+")[0] for package in pinned}
    assert installed == pinned


def room(path: Path) -> str:
    return path.relative_to(ROOT / "rnnviz").parts[0].removesuffix(".py")


def engine_files() -> list[Path]:
    return [path for path in python_files() if path.is_relative_to(ROOT / "rnnviz")]


def test_every_module_has_a_room():
    assert {room(path) for path in engine_files()} - {"__init__", *ROOMS} == set(), "add to ROOMS"


def test_imports_point_one_way():
    wrong: list[str] = []
    for path in engine_files():
        own = room(path)
        last = "plots" if own == "__init__" else own
        allowed = ROOMS[: ROOMS.index(last) + 1] if last in ROOMS else ()
        for line, name in imported(path):
            package, _, rest = name.partition(".")
            if package == "" or (package == "rnnviz" and rest.split(".")[0] not in allowed):
                wrong.append(f"{path.relative_to(ROOT)}:{line} imports {name}")
    assert wrong == [], f"a room imports only by full name and from {' → '.join(ROOMS)}"


def test_the_library_asks_for_all_that_it_imports():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = {re.split(r"[<>=]", line)[0] for line in project["dependencies"]}
    names = {
        name.split(".")[0]
        for path in engine_files()
        if room(path) != "ui"
        for _, name in imported(path)
    }
    assert names - sys.stdlib_module_names - {"rnnviz"} - asked == set()
    assert asked - set(pins("requirements.txt")) == set()


def test_only_the_face_imports_streamlit():
    face = (
        "rnnviz/ui/",
        "pages/",
        "app.py",
        "tests/",
        "benchmarks/compare_time.py",
        "benchmarks/ui/",
    )
    wrong = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in python_files()
        for line, name in imported(path)
        if name.split(".")[0] == "streamlit"
        and not path.relative_to(ROOT).as_posix().startswith(face)
    ]
    assert wrong == []


def python(code: str, folder: Path = ROOT) -> str:
    """What a fresh interpreter, started in folder, prints."""
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_importing_the_library_leaves_the_heavy_ones_out():
    heavy = "{'streamlit', 'plotly', 'pandas'}"
    assert python(f"import rnnviz, sys; print(sorted({heavy} & set(sys.modules)))") == "[]"


def test_no_file_names_a_place_on_one_machine():
    found = {
        str(path.relative_to(ROOT)): match[0].decode()
        for path in files()
        if (match := MACHINE_PATH.search(path.read_bytes()))
    }
    assert found == {}


def test_the_version_is_said_alike():
    said = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert python("import rnnviz; print(rnnviz.__version__)") == said


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    # A copy, for setuptools builds in the tree and would pack what an earlier build left there.
    for path in files():
        copy = folder / "tree" / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    options = ["--no-deps", "--no-build-isolation", "--quiet", "--wheel-dir", str(folder)]
    command = [sys.executable, "-m", "pip", "wheel", str(folder / "tree"), *options]
    subprocess.run(command, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return zipfile.ZipFile(path)


@pytest.mark.slow
def test_wheel_holds_the_library_and_not_the_app(wheel: zipfile.ZipFile):
    held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    modules = {path.relative_to(ROOT).as_posix() for path in engine_files() if room(path) != "ui"}
    catalogs = {
        f"rnnviz/locale/{language}/{name}.po"
        for language in ("en", "ko")
        for name in (
            "compare",
            "conventions",
            "errors",
            "gradients",
            "instrument",
            "interface",
            "interventions",
        )
    }
    data = {*catalogs, "rnnviz/py.typed"}
    assert "rnnviz/cells.py" in held
    assert held == modules | data


@pytest.mark.slow
def test_wheel_asks_for_streamlit_only_with_the_app(wheel: zipfile.ZipFile):
    (metadata,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    lines = wheel.read(metadata).decode().splitlines()
    asked = [line for line in lines if line.startswith("Requires-Dist: streamlit")]
    assert [line.partition(";")[2].strip() for line in asked] == ['extra == "app"']


@pytest.mark.slow
def test_wheel_imports_from_elsewhere(wheel: zipfile.ZipFile, tmp_path: Path):
    wheel.extractall(tmp_path)
    assert python("import rnnviz; print(rnnviz.__file__)", tmp_path) == str(
        tmp_path / "rnnviz" / "__init__.py"
    )


def test_a_chromium_that_does_not_start_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name, status in (("chromium", 1), ("google-chrome", 0)):
        (tmp_path / name).write_text(f"#!/bin/sh\nexit {status}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert install_chromium.find_chromium() == str(tmp_path / "google-chrome")


def test_no_chromium_fails_and_names_what_was_tried(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(install_chromium, "find_chromium", lambda: None)
    monkeypatch.setattr(install_chromium, "can_use_apt", lambda: False)
    monkeypatch.setattr(install_chromium, "attempt", lambda *_: "playwright install: no network")
    assert install_chromium.main() == 1
    assert capsys.readouterr().err == (
        "Installing Chromium by Playwright ...\n"
        "No Chromium for the browser tests.\n"
        "  on PATH: chromium, chromium-browser, google-chrome, google-chrome-stable; "
        "Playwright's own: none that starts\n"
        "  apt-get: needs root and Debian or Ubuntu\n"
        "  playwright install: no network\n"
        "Install Chromium or Chrome, then run make test again.\n"
    )
