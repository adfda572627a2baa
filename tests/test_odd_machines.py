"""The app on machines set up in unusual ways: it is served, or one sentence says why not."""

import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path
from socket import socket

import pytest

from rnnviz.ui import trouble
from tests import children
from tests.test_kernel_cache import KERNEL, NUMBERS, call

ROOT = children.ROOT
PARTS = ("rnnviz", "pages", "assets", ".streamlit")
# For root, who may write anywhere: a user in no list of users, who reads everything, owns nothing.
STRANGER = [
    *("setpriv", "--reuid=54321", "--regid=54321", "--clear-groups"),
    *("--bounding-set=-all,+dac_read_search", "--inh-caps=-all,+dac_read_search"),
    "--ambient-caps=+dac_read_search",
]
# Files with nothing in them, as on a full disk; few open files; files that no one else can read.
POOR = ["sh", "-c", 'ulimit -f 0 -n 64; umask 077; exec "$@"', "sh"]
PLAIN = {"OMP_NUM_THREADS": "1", "NUMBA_DISABLE_JIT": "1", "LC_ALL": "C"}
MISSING = ("HOME", "TZ", "LANG", "XDG_CACHE_HOME", "PYTHONPATH", "NUMBA_CACHE_DIR")


def free_port() -> str:
    with socket() as one:
        one.bind(("127.0.0.1", 0))
        return str(one.getsockname()[1])


def copied(folder: Path) -> Path:
    """A copy of the app without compiled code."""
    for name in PARTS:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    shutil.copy(ROOT / "app.py", folder)
    return folder


def run(*command: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name not in MISSING}
    return subprocess.run(
        command,
        cwd=folder,
        env=kept | environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


def visited(app: Path, cwd: Path, prefix: list[str], *options: str, **env: str) -> str:
    """What a visitor of a server of the app finds: see odd_machine.py."""
    script = str(ROOT / "tests" / "odd_machine.py")
    command = [*prefix, sys.executable, *options, script, str(app), free_port()]
    result = run(*command, folder=cwd, **PLAIN, **env)
    found = [line for line in result.stdout.splitlines() if line.endswith("]")]
    return "; ".join(found) or result.stdout + result.stderr


@pytest.mark.slow
def test_a_read_only_app_for_a_user_without_a_name_or_a_home(tmp_path: Path):
    app, elsewhere = copied(tmp_path / "app"), tmp_path / "elsewhere"
    elsewhere.mkdir()
    for folder in (app, elsewhere, *app.rglob("**/")):
        folder.chmod(0o555)
    prefix = STRANGER if os.geteuid() == 0 else []
    ascii_ = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    try:
        assert visited(app, elsewhere, prefix, **ascii_) == "gradients []; step []"
        assert list(elsewhere.iterdir()) == list(app.rglob("*.nb?")) == []
    finally:
        for folder in (app, elsewhere, *app.rglob("**/")):
            folder.chmod(0o755)


@pytest.mark.slow
def test_a_poor_machine_with_an_odd_path(tmp_path: Path):
    app = copied(tmp_path / """한글 a 'b' "c" %d [x]""")
    home = str(tmp_path / "missing")
    found = visited(app, tmp_path, POOR, "-W", "error", "-OO", HOME=home)
    assert found == "gradients []; step []"


@pytest.mark.slow
def test_compiled_code_beside_an_odd_path_and_without_a_home(tmp_path: Path):
    folder = tmp_path / """한글 a 'b' "c" %d [x]"""
    folder.mkdir()
    nonsense = {"NUMBA_CACHE_DIR": "/proc/no such\nfolder", "HOME": "/proc/none"}
    assert call(folder, **nonsense) == f"{NUMBERS} 0"
    assert call(folder, **nonsense) == f"{NUMBERS} 2"


NOT_COMPILED = f"{KERNEL}\nprint(twice(20), twice(1.5), module.is_kept(twice))"


@pytest.mark.slow
def test_compilation_that_is_switched_off(tmp_path: Path):
    (tmp_path / "kernel.py").write_text(NOT_COMPILED)
    result = run(sys.executable, "kernel.py", folder=tmp_path, NUMBA_DISABLE_JIT="1")
    assert result.stdout == f"{NUMBERS} True\n", result.stderr


PORT_IN_USE = {
    "C": "Port {0} is in use. If that is rnnviz, open http://127.0.0.1:{0}; otherwise choose"
    " another port, such as --server.port 8502.",
    "ko_KR.UTF-8": "포트 {0}번을 이미 다른 프로그램이 쓰고 있습니다. rnnviz가 이미 실행 중이라면"
    " http://127.0.0.1:{0} 주소를 열고, 아니면 --server.port 8502처럼 다른 포트를 지정하세요.",
}


@pytest.mark.slow
@pytest.mark.parametrize("language", PORT_IN_USE)
def test_a_port_in_use(language: str):
    with socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        command = [sys.executable, "-m", "rnnviz.ui.serve", "--server.port", port]
        result = run(*command, folder=ROOT, LC_ALL=language, PYTHONUTF8="1")
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == f"rnnviz: {PORT_IN_USE[language].format(port)}"
    assert "Traceback" not in result.stderr


WITHOUT = """
import os, sys
sys.modules["streamlit"] = None
from rnnviz.ui.serve import main
for os.environ["LC_ALL"] in ("en_GB.UTF-8", "ko_KR.UTF-8"):
    try:
        main()
    except SystemExit as end:
        print(end)
"""


@pytest.mark.slow
def test_the_library_without_the_apps_packages():
    result = children.run(WITHOUT, PYTHONUTF8="1")
    assert result.stdout.splitlines() == [
        "rnnviz: The package streamlit is not installed; the app needs it."
        " Run: pip install 'rnnviz[app]'",
        "rnnviz: 앱에 필요한 다음 패키지가 없습니다: streamlit. 다음 명령을 실행하세요:"
        " pip install 'rnnviz[app]'",
    ], result.stderr


def test_a_user_whom_the_system_does_not_know_gets_a_home(monkeypatch: pytest.MonkeyPatch):
    def unknown(number: int) -> None:
        raise KeyError(number)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.delenv("HOME")
    trouble.find_home()
    assert os.environ.pop("HOME") == "/nonexistent"
    monkeypatch.setenv("HOME", "/somewhere")
    trouble.find_home()
    assert os.environ["HOME"] == "/somewhere"


@pytest.mark.parametrize(
    ("settings", "begins"),
    [
        ({"LC_ALL": "ko_KR.UTF-8"}, "rnnviz: 포트"),
        ({"LC_ALL": "", "LANG": "ko"}, "rnnviz: 포트"),
        ({"LC_ALL": "en_GB", "LANG": "ko"}, "rnnviz: Port"),
        ({"LC_ALL": "", "LC_MESSAGES": "", "LANG": ""}, "rnnviz: Port"),
        ({"LC_ALL": "de_DE.UTF-8"}, "rnnviz: Port"),
    ],
)
def test_the_language_of_the_shell(
    settings: dict[str, str], begins: str, monkeypatch: pytest.MonkeyPatch
):
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    assert trouble.sentence("start.port_in_use", port=1, address="").startswith(begins)
