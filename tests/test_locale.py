"""The catalogs have the same keys in every language, and every key that the code uses."""

import ast
import re
import string
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

from rnnviz.errors import RnnvizError
from rnnviz.locale import LANGUAGES, labels

ROOT = Path(__file__).resolve().parent.parent
LOCALE = ROOT / "rnnviz" / "locale"
CATALOGS = sorted(path.name for path in (LOCALE / "en").glob("*.po"))
KEY = re.compile(r"[a-z_]+(\.[a-z_0-9]+)+")
NAMES = {"tanh", "Xavier"}  # the same in every language


def messages(language: str, catalog: str) -> dict[str, str]:
    with (LOCALE / language / catalog).open("rb") as file:
        return {str(m.id): str(m.string) for m in read_po(file, locale=language) if m.id}


def placeholders(text: str) -> list[str]:
    """Names and formats of {…} in a text, in alphabetical order."""
    parts = string.Formatter().parse(text)
    return sorted({f"{name}:{form}" for _, name, form, _ in parts if name is not None})


def test_every_language_has_the_same_catalogs():
    folders = {path.name for path in LOCALE.iterdir() if path.is_dir() and path.name[0] != "_"}
    assert folders == set(LANGUAGES)
    for language in LANGUAGES:
        assert sorted(path.name for path in (LOCALE / language).iterdir()) == CATALOGS
    assert CATALOGS != []


@pytest.mark.parametrize("catalog", CATALOGS)
def test_every_language_has_the_same_keys_and_placeholders(catalog: str):
    english = messages("en", catalog)
    for language in LANGUAGES:
        found = messages(language, catalog)
        assert list(found) == list(english)
        for key, text in found.items():
            assert placeholders(text) == placeholders(english[key]), f"{language}: {key}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_is_empty_and_no_key_is_defined_twice(language: str):
    keys: Counter[str] = Counter()
    for catalog in CATALOGS:
        text = (LOCALE / language / catalog).read_text(encoding="utf-8")
        keys.update(re.findall(r'^msgid "(.+)"$', text, re.MULTILINE))
        for key, message in messages(language, catalog).items():
            assert message.strip() == message != "", f"{catalog}: {key}"
            assert KEY.fullmatch(key), f"{catalog}: {key}"
    assert [key for key, count in keys.items() if count > 1] == []
    assert set(keys) == set(labels(language))


def test_korean_texts_contain_hangul():
    """Texts without Hangul are only numbers, symbols and names."""
    words = {key: re.sub("<.*?>|{.*?}", "", text) for key, text in labels("ko").items()}
    left = {
        key: text
        for key, text in words.items()
        if re.search("[a-z]{3}", text) and not re.search("[가-힣]", text) and text not in NAMES
    }
    assert left == {}


def test_no_korean_particle_depends_on_an_inserted_value():
    """The choice of 을 or 를 depends on the last sound, which is unknown for an inserted value."""
    either = r"[가-힣]\([가-힣]\)(?=\s)|\(으\)로"
    after = r"[^%]\}[\"’”]?(을|를|은|는|이|가|와|과|로|으로)(?=[\s,.]|$)"
    found = {k: t for k, t in labels("ko").items() if re.search(f"{either}|{after}", t)}
    assert found == {}


def python_trees() -> Iterator[ast.AST]:
    paths = [*(ROOT / "rnnviz").rglob("*.py"), *ROOT.glob("pages/*.py"), *ROOT.glob("app.py")]
    yield from (ast.parse(path.read_bytes()) for path in paths)


def called_with_keys() -> Iterator[tuple[str, str]]:
    """The called name and the key of every call whose first argument is a literal key."""
    for tree in python_trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                function = node.func
                name = function.attr if isinstance(function, ast.Attribute) else ""
                name = function.id if isinstance(function, ast.Name) else name
                arguments = node.args[:1]
            elif isinstance(node, ast.Subscript):
                name = node.value.id if isinstance(node.value, ast.Name) else ""
                arguments = [node.slice]
            else:
                continue
            for argument in arguments:
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    yield name, argument.value


def test_every_key_used_in_the_code_exists():
    known = set(labels("en"))
    asked = {
        key
        for name, key in called_with_keys()
        if name in ("RnnvizError", "words", "labels") and KEY.fullmatch(key)
    }
    assert asked - known == set()
    assert {key for name, key in called_with_keys() if name == "RnnvizError"} <= known


def test_every_error_of_the_catalogs_is_used():
    constants = {
        node.value
        for tree in python_trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert {key for key in labels("en") if key.startswith("error.")} - constants == set()


def raised_with() -> Iterator[tuple[str, set[str]]]:
    for tree in python_trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "RnnvizError":
                first = node.args[0] if node.args else None
                whole = all(word.arg for word in node.keywords)  # no **values
                if whole and isinstance(first, ast.Constant) and isinstance(first.value, str):
                    yield first.value, {word.arg for word in node.keywords if word.arg}


def test_errors_are_raised_with_the_placeholders_of_their_text():
    for key, given in raised_with():
        named = {place.partition(":")[0] for place in placeholders(labels("en")[key])}
        assert named == given, key


def test_an_error_has_the_same_values_in_both_languages():
    error = RnnvizError("error.no_file", path="a.nc")
    assert str(error) == 'There is no file "a.nc". Check its name and folder.'
    assert error.message("ko") == '"a.nc" 파일이 없습니다. 이름과 폴더를 확인하세요.'


def test_an_unknown_language_or_key_raises():
    with pytest.raises(LookupError, match="No texts for language 'fr'; there are en, ko"):
        labels("fr")
    with pytest.raises(KeyError, match="nothing"):
        labels("en")["nothing"]
