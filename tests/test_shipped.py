"""Files that come with rnnviz, whole and damaged, and what the pages show then."""

import gzip
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import parse_tree_from_messages

from rnnviz.errors import RnnvizError
from rnnviz.instrument import modules
from rnnviz.shipped import read_shipped
from rnnviz.ui import cache, cards, frame
from rnnviz.ui.components import script

ROOT = Path(__file__).resolve().parent.parent
SHIPPED = sorted(
    path for path in (ROOT / "rnnviz").rglob("*") if path.suffix in (".js", ".css")
) + sorted((ROOT / "assets").glob("*.svg"))

UNREADABLE = (
    '"{name}", a file of rnnviz, cannot be read: {why}. Install rnnviz again, then reload the page.'
)
DAMAGED = (
    '"{name}", a file of rnnviz, is damaged; expected a whole {kind} file. Install rnnviz again, '
    "then reload the page."
)


def missing(path: Path) -> str:
    path.unlink()
    return UNREADABLE.format(name=path.name, why="No such file or directory")


def unreadable(path: Path) -> str:
    path.unlink()
    path.mkdir()
    return UNREADABLE.format(name=path.name, why="Is a directory")


def empty(path: Path) -> str:
    path.write_bytes(b"")
    return DAMAGED.format(name=path.name, kind=path.suffix)


def cut(path: Path) -> str:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return DAMAGED.format(name=path.name, kind=path.suffix)


def binary(path: Path) -> str:
    path.write_bytes(b"\x89PNG\r\n\x1a\n\x00")
    return DAMAGED.format(name=path.name, kind=path.suffix)


def web_page(path: Path) -> str:
    path.write_text("<!doctype html><title>404</title>")
    return DAMAGED.format(name=path.name, kind=path.suffix)


DAMAGES = [missing, unreadable, empty, cut, binary, web_page]
Damage = Callable[[Path], str]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_every_shipped_file_is_whole(path: Path):
    assert read_shipped(path) == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["chart.js", "chart.css", "icon.svg"])
def test_a_damaged_file_raises(name: str, damage: Damage, tmp_path: Path):
    (path,) = (path for path in SHIPPED if path.name == name)
    copy = Path(shutil.copy(path, tmp_path))
    said = damage(copy)
    with pytest.raises(RnnvizError) as caught:
        read_shipped(copy)
    assert str(caught.value) == said
    assert caught.value.message("ko") != said


def request(name: str, **headers: str) -> Request:
    pairs = [(key.replace("_", "-").encode(), value.encode()) for key, value in headers.items()]
    return Request({"type": "http", "path_params": {"name": name}, "headers": pairs})


@pytest.mark.parametrize("name", script.SOURCES)
def test_a_script_is_served_by_the_hash_of_its_content(name: str):
    found = script.script_of(name)
    packed = script.answer(request(found.name, accept_encoding="gzip, br"))
    plain = script.answer(request(found.name))
    assert gzip.decompress(bytes(packed.body)) == plain.body
    assert packed.headers["content-encoding"] == "gzip"
    assert plain.headers["cache-control"] == "public, immutable, max-age=31536000"
    assert plain.headers["content-type"] == "text/javascript; charset=utf-8"
    first, _, rest = bytes(plain.body).decode().partition("\n")
    styles = json.loads(first.removeprefix("const STYLES = ").removesuffix(";"))
    assert styles == "\n".join(path.read_text() for path in script.SOURCES[name].styles)
    content = script.SOURCES[name].content
    if content is not None:
        second, _, rest = rest.partition("\n")
        sent = second.removeprefix("const CONTENT = ").removesuffix(";")
        assert json.loads(sent) == content()
    assert rest == modules.join_modules(script.HERE / f"{name}.js")


@pytest.mark.parametrize("name", ["chart.js", "chart.0123456789abcdef.js", "other.js", "", ".."])
def test_other_addresses_have_no_script(name: str):
    assert script.answer(request(name)).status_code == 404


def test_another_content_has_another_address(monkeypatch: pytest.MonkeyPatch):
    before = script.script_of("live_text").name
    monkeypatch.setattr(script, "join_modules", lambda _: "export default () => {};\n")
    assert script.script_of.__wrapped__("live_text").name != before


@pytest.fixture
def copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the app's assets, which the pages use instead."""
    for path in (ROOT / "assets").iterdir():
        if path.suffix in (".svg", ".json", ".safetensors"):
            shutil.copy(path, tmp_path)
    for module in (cache, frame):
        monkeypatch.setattr(module, "ASSETS", tmp_path)
    forget()
    yield tmp_path
    forget()


def forget() -> None:
    cache.character_model.clear()
    frame.drawing.cache_clear()
    for found in (script.script_of, script.served):
        found.cache_clear()


pages = pytest.mark.filterwarnings("ignore::DeprecationWarning:streamlit")  # as in test_page.py


def opened(page: str = "step") -> AppTest:
    shown = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    shown.switch_page(f"pages/{page}.py").run()
    assert [error.value for error in shown.exception] == []
    return shown


@pages
@pytest.mark.slow
@pytest.mark.parametrize(("page", "most"), [("step", 250_000), ("gradients", 90_000)])
def test_a_page_run_sends_no_script_and_little_else(
    page: str, most: int, monkeypatch: pytest.MonkeyPatch
):
    """Scripts and styles come by address; they would be most of a run's bytes.

    The step page's first run has all steps of its network, which browsers keep.
    """
    sent: list[bytes] = []

    def reading(messages: list[Any]) -> Any:
        sent[:] = [message.SerializeToString() for message in messages]
        return parse_tree_from_messages(messages)

    reader = "streamlit.testing.v1.local_script_runner.parse_tree_from_messages"
    monkeypatch.setattr(reader, reading)
    opened(page)
    assert sum(map(len, sent)) < most
    for name in script.SOURCES:
        content = bytes(script.answer(request(script.script_of(name).name)).body)
        part = content[len(content) // 2 :][:200]
        assert not any(part in message for message in sent), name


def errors(page: AppTest) -> list[str]:
    """The errors on a page, without the code spans that show them literally."""
    return [error.value.removeprefix("` ").removesuffix(" `") for error in page.error]


@pages
@pytest.mark.slow
@pytest.mark.parametrize(("name", "damage"), [("icon", missing), ("logo_light", cut)])
def test_the_pages_do_without_a_drawing(name: str, damage: Damage, copies: Path):
    damage(copies / f"{name}.svg")
    assert errors(opened("gradients")) == []


@pages
@pytest.mark.slow
@pytest.mark.parametrize(
    ("page", "ending", "damage"),
    [
        ("step", "safetensors", cut),
        ("step", "json", missing),
        ("step", "json", web_page),
        ("compare", "safetensors", empty),
        ("compare", "json", unreadable),
    ],
)
def test_a_page_names_the_damaged_model(page: str, ending: str, damage: Damage, copies: Path):
    damage(copies / f"characters_lstm.{ending}")
    found = errors(opened(page))
    (said,) = {*found}
    if damage in (missing, unreadable):
        name = f"characters_lstm.{ending}"
        assert said == f'There is no file "{name}". Check its name and folder.'
    else:
        assert said.startswith('The character model "characters_lstm.safetensors" cannot be read: ')


@pages
@pytest.mark.slow
def test_a_page_names_the_model_of_another_cell(copies: Path):
    for ending in ("safetensors", "json"):
        shutil.copy(copies / f"characters_gru.{ending}", copies / f"characters_lstm.{ending}")
    assert errors(opened()) == [
        'The character model "characters_lstm.safetensors" has the cell "gru"; expected "lstm". '
        "Make the files again with make models."
    ]


@pages
@pytest.mark.slow
@pytest.mark.parametrize("notes", [{}, {"bits_per_character": None}, {"a": 1.0}])
def test_a_page_names_the_model_without_measures(notes: object, copies: Path):
    path = copies / "characters_lstm.json"
    content = json.loads(path.read_text())
    if notes == {"bits_per_character": None}:
        content |= {"bits_per_character": None}
    else:
        content["baseline_bits_per_character"] = notes
    path.write_text(json.dumps(content))
    (said,) = errors(opened())
    assert said.startswith(
        'The character model "characters_lstm.safetensors" cannot be read: bits_per_character. '
    )


@pages
@pytest.mark.slow
@pytest.mark.parametrize(
    ("page", "name", "damage"),
    [
        ("step", "instrument.js", missing),
        ("step", "frame.css", empty),
        ("gradients", "chart.css", web_page),
        ("gradients", "slider.css", binary),
        ("compare", "instrument.js", cut),
        ("compare", "courier.js", unreadable),
    ],
)
def test_a_page_names_the_damaged_script_or_style_sheet(
    page: str, name: str, damage: Damage, copies: Path, monkeypatch: pytest.MonkeyPatch
):
    *_, path = (path for path in SHIPPED if path.name == name)
    copy = Path(shutil.copy(path, copies))
    said = damage(copy)
    for module in (modules, cards):
        read = lambda asked: read_shipped(copy if asked == path else asked)  # noqa: E731
        monkeypatch.setattr(module, "read_shipped", read)
    assert {*errors(opened(page))} == {said}
