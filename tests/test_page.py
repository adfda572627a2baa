"""The step page in Streamlit's AppTest: every cell, every language."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from rnnviz.cells import GATE_NAMES, GATES_AS_READ
from rnnviz.experiment import FASTEST, FIRST_TEXT, MOST_CHARACTERS
from rnnviz.explain.equations import equation_templates
from rnnviz.explain.terms import gate_terms
from rnnviz.explain.unit_order import ORDERS, order_units
from rnnviz.inputs.vocabulary import picture
from rnnviz.instrument.formulas import html_of
from rnnviz.instrument.payload import WORDS
from rnnviz.locale import LANGUAGES, labels
from rnnviz.ui.cache import character_model

pytestmark = [
    pytest.mark.slow,
    # Streamlit itself triggers it: it creates its event loop in a thread without one.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:streamlit"),
]

ROOT = Path(__file__).resolve().parent.parent
STEPS = len(FIRST_TEXT)
KEY = re.compile("|".join(re.escape(key) for key in sorted(labels("en"), key=len, reverse=True)))


def opened(**query: str) -> AppTest:
    page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    for name, value in query.items():
        page.query_params[name] = value
    page.run()
    assert [error.value for error in page.exception] == []
    return page


def run(page: AppTest) -> AppTest:
    page.run()
    assert [error.value for error in page.exception] == []
    return page


def choice(page: AppTest, key: str) -> Any:
    """A segmented control, which AppTest calls a button group."""
    (found,) = (group for group in page.get("button_group") if group.key == key)
    return found


# The mark of a term of the glossary, in HTML or in HTML within JSON.
TERM = re.compile(r"<button[^>]*rnnviz-term[^>]*>(.*?)</button>")


def texts(value: Any) -> Iterator[str]:
    """Every string in a message to the browser."""
    if isinstance(value, str):
        yield value
        if value[:1] in "{[":
            try:
                yield from texts(json.loads(value))
            except ValueError:
                return
    elif isinstance(value, dict):
        for part in value.values():
            yield from texts(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from texts(part)
    elif hasattr(value, "ListFields"):  # a protobuf message
        for field, part in value.ListFields():
            if field.name not in ("js_content", "css_content"):
                yield from texts(part)
    elif hasattr(value, "__iter__") and not isinstance(value, bytes):
        for part in value:
            yield from texts(part)


def shown(page: AppTest) -> list[str]:
    """Every text, label, tooltip, option and figure text on the page, without marks of terms."""

    def walk(block: Any) -> Iterator[str]:
        for child in block.children.values():
            if getattr(child, "proto", None) is not None:
                yield from texts(child.proto)
            if hasattr(child, "children"):
                yield from walk(child)

    return [TERM.sub(r"\1", text) for text in walk(page._tree)]


def instrument(page: AppTest, part: str) -> Any:
    """The last data sent to the live instrument for one of its parts."""

    def walk(block: Any) -> Iterator[Any]:
        for child in block.children.values():
            proto: Any = getattr(child, "proto", None)
            if getattr(proto, "component_name", "").endswith("rnnviz_instrument"):
                yield json.loads(proto.bytes.split(b"\n")[0] if proto.bytes else proto.json)
            if hasattr(child, "children"):
                yield from walk(child)

    (found,) = (data for data in walk(page._tree) if data["part"] == part)
    return found


def go(page: AppTest, t: int) -> AppTest:
    """Moves to another step, as by the browser's message."""
    page.session_state.t = t
    return run(page)


def settings_of(page: AppTest) -> dict[str, str]:
    """The query; AppTest has given parameters as texts and written ones as lists."""
    items = page.query_params.items()
    return {name: value if isinstance(value, str) else value[0] for name, value in items}


def messages_of(boxes: Any) -> list[str]:
    """The messages of warnings or errors, as Markdown renders them: code spans line by line."""
    return [re.sub(r"(?m)^(`+) (.*) \1\\?$", r"\2", box.value) for box in boxes]


def errors_of(page: AppTest) -> list[str]:
    return messages_of(page.error)


@pytest.mark.parametrize("cell", sorted(GATES_AS_READ))
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_first_view(cell: str, language: str):
    page = opened(cell=cell, language=language)
    words, model = labels(language), character_model(cell)
    page_texts = shown(page)
    # no untranslated key, except the names of the app's widgets and arrays
    assert [text for text in page_texts if KEY.fullmatch(text) or "{" + "t}" in text] == []
    assert any(words["page.step.title"] in text for text in page_texts)
    for key in ("control.cell", "control.order", "control.unit"):
        assert words[key] in page_texts
    sent = instrument(page, "text")
    assert sent["words"] == {key: words[key] for key in WORDS}
    assert (sent["cell"], sent["steps"], sent["fastest"]) == (cell, STEPS, FASTEST)
    trace = model.read(FIRST_TEXT)
    order = order_units(trace, "inside_string", FIRST_TEXT).units
    assert sent["units"] == order.tolist()
    unit = int(order[0])
    gate = GATES_AS_READ[cell][0]
    position = {"t": 37, "unit": unit, "gate": gate, "speed": 4}
    assert instrument(page, "drawing") == {
        "part": "drawing",
        **position,
        "first": position,
        "answered": 0,
        "plays": 0,
    }
    assert page.session_state.unit == page.selectbox(key="unit").value == unit
    explained = instrument(page, "unit")
    assert (explained["unit"], explained["reading"]) == (unit, sent["reading"])
    lines = {line["name"]: line for line in explained["equations"]}
    for name, line in equation_templates(trace.form).items():
        html = {part: html_of(latex) for part, latex in line._asdict().items()}
        assert lines[name] == {"name": name, "label": words[f"gate.{name}"], **html}
    gates = GATE_NAMES[cell]
    assert explained["questions"] == {name: words[f"question.{name}"] for name in gates}
    assert sent["predictions"]["words"]["card.next"] == words["card.next"]
    names = [row["name"] for row in sent["rows"]]
    assert names[-1] == "hidden_state"
    assert [row["label"] for row in sent["rows"]] == [words[f"gate.{name}"] for name in names]
    assert [row["gate"] for row in sent["rows"]][: len(GATES_AS_READ[cell])] == [
        *GATES_AS_READ[cell]
    ]
    for kind in ("lines", "terms", "predictions", "gates", "states"):
        assert instrument(page, kind) == {"part": kind}
    assert not page.error
    assert not page.warning


def test_no_untranslated_key_is_shown_with_everything_open():
    for language in LANGUAGES:
        page = opened(
            language=language, text="안녕\tx", cell="gru", all_terms="true", order="index"
        )
        for text in shown(page):
            assert not KEY.fullmatch(text), text
            keys = [key for key in KEY.findall(text) if key in labels("en")]
            assert keys == [], f"{keys} in {text[:200]}"


def test_the_page_takes_over_the_instruments_step():
    page = opened(cell="rnn")
    before = instrument(page, "unit"), instrument(page, "text")
    for t in (38, 1, STEPS):
        go(page, t)
        assert settings_of(page) == {"cell": "rnn", "t": str(t)}
        assert instrument(page, "drawing")["t"] == t
        assert (instrument(page, "unit"), instrument(page, "text")) == before


def test_units_in_every_order():
    page = opened(cell="lstm")
    trace = character_model("lstm").read(FIRST_TEXT)
    for order in ORDERS:
        page.selectbox(key="order").set_value(order)
        units = order_units(trace, order, FIRST_TEXT).units
        assert run(page).session_state.unit == units[0]
        assert len(page.selectbox(key="unit").options) == len(units)
        expected = {} if order == "inside_string" else {"order": order}
        assert settings_of(page) == expected
    page.selectbox(key="unit").set_value(7)
    run(page)
    assert settings_of(page) == {"order": "indentation", "unit": "7"}
    assert instrument(page, "unit")["unit"] == 7


def test_units_are_sorted_by_variance_if_the_property_is_constant():
    page = opened(text="aaaa", order="indentation")
    h = character_model("lstm").read("aaaa").array("hidden_state")[0, 0, :, 0]
    assert page.session_state.unit == h.astype(np.float64).var(0).argmax()
    captions = [caption.value for caption in page.caption]
    assert "“indentation” is constant in this text, so units are sorted by variance." in captions
    assert any("sorted by: variance over the text." in text for text in shown(page))
    assert settings_of(page) == {"text": "aaaa", "t": "4", "order": "indentation"}


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_every_gate_can_be_selected(cell: str):
    page = opened(cell=cell, t="3")
    for gate in reversed(GATES_AS_READ[cell]):
        choice(page, "gate").set_value(gate)
        run(page)
        assert instrument(page, "drawing")["gate"] == gate
        assert settings_of(page).get("gate", GATES_AS_READ[cell][0]) == gate


def test_the_table_lists_every_term():
    page = opened(t="9", gate="output_gate")
    page.toggle(key="all_terms").set_value(True)
    (table,) = run(page).dataframe
    terms = gate_terms(
        character_model("lstm").read(FIRST_TEXT), "output_gate", page.session_state.unit, 8
    )
    rows: Any = table.value  # pandas is only partly typed
    assert list(rows.columns) == ["term", "weight", "× value", "= contribution"]
    assert len(rows) == 2 + len(terms.u)
    assert abs(rows["= contribution"].sum() - terms.preactivation) < 1e-5
    assert (rows["= contribution"].abs().diff().dropna() <= 0).all()
    max_diff = (rows["weight"] * rows["× value"] - rows["= contribution"]).abs().max()
    assert max_diff < 1e-12, f"{max_diff=:.1e}"


def test_changing_the_cell_keeps_text_and_step_and_selects_one_of_its_gates():
    page = opened(t="7", gate="forget_gate", unit="3", text="x = [1]")
    choice(page, "cell").set_value("gru")
    run(page)
    assert page.session_state.gate == "update_gate"
    assert settings_of(page) == {"cell": "gru", "t": "7", "text": "x = [1]"}
    explained, sent = instrument(page, "unit"), instrument(page, "text")
    assert explained["gates"] == list(GATE_NAMES["gru"])
    assert explained["reading"] == sent["reading"]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("text", "key", "values"),
    [
        ("", "error.empty_text", {}),
        ("x" * 2001, "error.text_limit", {"came": 2001, "most": MOST_CHARACTERS}),
        ("한" * 1_000_000, "error.text_limit", {"came": 1_000_000, "most": MOST_CHARACTERS}),
    ],
    ids=["empty", "one too many", "a million"],
)
def test_an_invalid_text_keeps_the_previous_one(
    language: str, text: str, key: str, values: dict[str, int]
):
    page = opened(language=language, text="x = 'a'", t="3")
    before = instrument(page, "unit")
    page.text_area(key="text").set_value(text)
    run(page)
    assert errors_of(page) == [labels(language)(key, **values)]
    assert page.text_area(key="text").value == text
    assert instrument(page, "unit") == before
    assert settings_of(page).get("text") == "x = 'a'"
    assert go(page, 4).session_state.t == 4  # the previous text is still shown
    assert instrument(page, "text")["characters"] == list("x·=·'a'")
    page.text_area(key="text").set_value("ab")
    run(page)
    assert errors_of(page) == []
    assert page.session_state.t == 2


@pytest.mark.parametrize(
    "text",
    ["a", "안녕 😀 שלום", "\x00\x01\x7f\u202e", "\n\n\n", "e\u0301", "<script>alert(1)</script>"],
)
def test_any_text_can_be_read(text: str):
    page = opened(text=text)
    assert page.session_state.t == len(text)
    sent = instrument(page, "text")
    assert sent["characters"] == [picture(character) for character in text]
    assert sent["breaks"] == [i for i, character in enumerate(text) if character == "\n"]
    assert errors_of(page) == []
    assert go(page, 1).session_state.t == 1


def test_the_longest_text_is_sent_whole():
    page = opened(text="x = 1\n" * 333 + "ab", t="401", cell="rnn")
    assert instrument(page, "text")["steps"] == 2000
    assert instrument(page, "drawing")["t"] == 401


def test_the_address_sets_every_widget():
    query = {
        "cell": "gru",
        "text": "a = 'b'\n",
        "t": "4",
        "unit": "9",
        "order": "variance",
        "gate": "reset_gate",
        "speed": "7",
        "language": "ko",
    }
    page = opened(**query)
    assert choice(page, "cell").value == "gru"
    assert page.text_area(key="text").value == "a = 'b'\n"
    now = {"t": 4, "unit": 9, "gate": "reset_gate", "speed": 7}
    drawing = instrument(page, "drawing")
    rest = {"first": drawing["first"], "answered": 0, "plays": 0}
    assert drawing == {"part": "drawing", **now, **rest}
    assert page.selectbox(key="unit").value == 9
    assert page.selectbox(key="order").value == "variance"
    assert choice(page, "gate").value == "reset_gate"
    assert choice(page, "language").value == "ko"
    assert settings_of(page) == query
    choice(page, "language").set_value("en")
    run(page)
    assert settings_of(page) == {n: value for n, value in query.items() if n != "language"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_problems_of_an_address_are_shown_until_a_change(language: str):
    page = opened(language=language, t="99", cell="cnn", speed="8")
    words = labels(language)
    expected = [
        words(
            "error.query_choice", field="cell", came="cnn", expected="rnn, lstm, gru", shown="lstm"
        ),
        words("error.query_step", t="99", steps=STEPS),
    ]
    assert messages_of(page.warning) == expected
    assert page.session_state.t == STEPS
    assert instrument(page, "drawing")["speed"] == 8
    run(page)
    assert messages_of(page.warning) == expected
    page.session_state.speed = 2
    run(page)
    assert messages_of(page.warning) == []


def test_an_address_with_a_missing_unit_is_reported():
    page = opened(unit="500", order="index")
    assert messages_of(page.warning) == [
        (
            "There is no unit 500; units run from 0 to 127. The page shows the first unit of the "
            "order instead."
        )
    ]
    assert page.session_state.unit == 0


def test_text_of_an_address_is_shown_as_it_came():
    """In code spans, in which CommonMark reads nothing but backticks as markup."""
    for came in (
        "![a](http://a.example/a.png)",
        "**b** $c$ :red[d]",
        "`e` ``f",
        "https://g.example",
    ):
        (warning,) = opened(cell=came).warning
        first, message = warning.value.split(" ", 1)
        assert set(first) == {"`"}
        assert message.endswith(f" {first}")
        assert first not in message[: -len(first)].replace(f"{first}`", "")
        assert f"cell={came}," in message


# Keys that the code composes: none may be missing from the catalogs


def families(path: Path) -> Iterator[str]:
    """The pattern of every composed key, f"gate.{name}" as "gate.*"."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Subscript) and getattr(node.value, "id", "") == "words":
            key = node.slice
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "words":
            key = node.args[0]
        else:
            continue
        if isinstance(key, ast.IfExp):
            yield from (re.escape(str(part.value)) for part in (key.body, key.orelse))  # pyright: ignore[reportAttributeAccessIssue]  # two constants
        elif isinstance(key, ast.Constant):
            yield re.escape(str(key.value))
        elif isinstance(key, ast.JoinedStr):
            yield "".join(
                re.escape(str(part.value)) if isinstance(part, ast.Constant) else r"[a-z_0-9]+"
                for part in key.values
            )


def test_every_composed_key_of_pages_and_figures_exists():
    paths = [*(ROOT / "rnnviz" / "ui").rglob("*.py"), *(ROOT / "rnnviz" / "plots").glob("*.py")]
    wanted = {pattern for path in paths for pattern in families(path)}
    assert len(wanted) > 40
    for pattern in wanted:
        assert any(re.fullmatch(pattern, key) for key in labels("en")), pattern
    gates = {gate for gates in GATES_AS_READ.values() for gate in gates}
    states = {"hidden_state", "cell_state", "hidden_preactivation"}
    known = set(labels("en"))
    assert {f"gate.{name}" for name in gates | states} <= known
    assert {f"question.{gate}" for gate in gates} <= known
    assert {f"order.{order}" for order in ORDERS} <= known


def test_every_text_of_the_pages_is_used():
    paths = [*(ROOT / "rnnviz").rglob("*.py")]
    wanted = {pattern for path in paths for pattern in families(path)}
    named = {
        word for path in paths for word in re.findall(r'"([a-z_.]+)"', path.read_text("utf-8"))
    }
    unused = [
        key
        for key in labels("en")
        if not key.startswith("error.")
        and key not in named
        and not any(re.fullmatch(pattern, key) for pattern in wanted)
    ]
    assert unused == []
