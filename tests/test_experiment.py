"""Settings and the address bar: there and back, and what a bad address is told."""

from typing import get_args
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from rnnviz.cells import GATES_AS_READ
from rnnviz.experiment import (
    FASTEST,
    FIRST_TEXT,
    MOST_CHARACTERS,
    CellName,
    GateName,
    LanguageName,
    Settings,
)
from rnnviz.locale import LANGUAGES
from rnnviz.ordering import ORDERS


@st.composite
def every_settings(draw: st.DrawFn) -> Settings:
    cell = draw(st.sampled_from(get_args(CellName)))
    text = draw(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60))
    return Settings(
        cell=cell,
        text=text,
        t=draw(st.integers(1, len(text))),
        unit=draw(st.none() | st.integers(0, 10**6)),
        order=draw(st.sampled_from(ORDERS)),  # pyright: ignore[reportArgumentType]  # its names
        gate=draw(st.none() | st.sampled_from(GATES_AS_READ[cell])),  # pyright: ignore[reportArgumentType]  # its names
        all_terms=draw(st.booleans()),
        speed=draw(st.integers(1, FASTEST)),
        language=draw(st.sampled_from(get_args(LanguageName))),
    )


def through_address(query: dict[str, str]) -> dict[str, str]:
    return dict(parse_qsl(urlencode(query), keep_blank_values=True, strict_parsing=bool(query)))


@given(every_settings())
def test_settings_come_back_from_their_address(settings: Settings):
    query = settings.to_query()
    assert Settings.from_query(through_address(query)) == (settings, [])
    assert set(query) <= set(Settings.model_fields)


@given(every_settings(), st.sampled_from(get_args(LanguageName)))
def test_settings_come_back_whatever_language_the_reader_speaks(settings: Settings, spoken: str):
    query = settings.to_query(spoken)  # pyright: ignore[reportArgumentType]  # one of its names
    found = Settings.from_query(through_address(query), spoken)  # pyright: ignore[reportArgumentType]  # one of its names
    assert found == (settings, [])
    assert ("language" in query) == (settings.language != spoken)


@pytest.mark.parametrize(
    "text",
    [
        "a\nb\r\n\tc",
        "안녕하세요 한글",
        "a&b=c%20d#e?f+g",
        "שלום \u202e abc",
        "😀\u200d\U0001f468",
        "\x00\x01\x7f",
        "<script>alert(1)</script>",
        " ",
        "\n",
        "%",
        "{t} {0} {",
        "x" * MOST_CHARACTERS,
    ],
)
def test_a_text_comes_back_from_its_address(text: str):
    settings = Settings(text=text, t=len(text))
    assert Settings.from_query(through_address(settings.to_query())) == (settings, [])


def test_the_first_view_has_a_bare_address():
    assert Settings().to_query() == {}
    assert Settings.from_query({}) == (Settings(), [])
    assert Settings().text == FIRST_TEXT
    assert Settings.from_query({}, "ko") == (Settings(language="ko"), [])


def test_the_languages_are_those_of_the_catalogs():
    assert set(get_args(LanguageName)) == set(LANGUAGES)
    assert set(get_args(GateName)) == {gate for gates in GATES_AS_READ.values() for gate in gates}


def test_what_is_no_setting_is_let_be():
    assert Settings.from_query({"utm_source": "a", "T": "0", "embed": "true"}) == (Settings(), [])


CHOICE = "The address says {}, which must be one of {}. The page shows {} instead."
WHOLE = "The address says {}, which must be a positive whole number. The page shows {} instead."
GATES = {
    "rnn": "hidden",
    "lstm": "forget_gate, input_gate, cell_candidate, output_gate",
    "gru": "update_gate, reset_gate, hidden_candidate",
}


@pytest.mark.parametrize(
    ("query", "message", "field", "shown"),
    [
        ({"cell": "LSTM"}, CHOICE.format("cell=LSTM", "rnn, lstm, gru", "lstm"), "cell", "lstm"),
        ({"cell": ""}, CHOICE.format("cell=", "rnn, lstm, gru", "lstm"), "cell", "lstm"),
        ({"language": "fr"}, CHOICE.format("language=fr", "en, ko", "en"), "language", "en"),
        (
            {"order": "size"},
            CHOICE.format("order=size", ", ".join(ORDERS), "inside_string"),
            "order",
            "inside_string",
        ),
        (
            {"speed": "11"},
            CHOICE.format("speed=11", "1, 2, 3, 4, 5, 6, 7, 8, 9, 10", "4"),
            "speed",
            4,
        ),
        (
            {"speed": "0.5"},
            CHOICE.format("speed=0.5", "1, 2, 3, 4, 5, 6, 7, 8, 9, 10", "4"),
            "speed",
            4,
        ),
        (
            {"all_terms": "maybe"},
            CHOICE.format("all_terms=maybe", "true, false", "false"),
            "all_terms",
            False,
        ),
        ({"t": "0"}, WHOLE.format("t=0", "36"), "t", 36),
        ({"t": "-3"}, WHOLE.format("t=-3", "36"), "t", 36),
        ({"t": "2.5"}, WHOLE.format("t=2.5", "36"), "t", 36),
        ({"t": ""}, WHOLE.format("t=", "36"), "t", 36),
        ({"t": "nan"}, WHOLE.format("t=nan", "36"), "t", 36),
        ({"t": "{t}"}, WHOLE.format("t={t}", "36"), "t", 36),
        ({"t": "9" * 5000}, WHOLE.format("t=" + "9" * 40, "36"), "t", 36),
        (
            {"t": "99"},
            "The address says t=99, but the text has 61 steps. The page shows the last one "
            "instead.",
            "t",
            61,
        ),
        (
            {"unit": "-1"},
            "The address says unit=-1, which must be a whole number from 0. The page shows the "
            "first unit of the order instead.",
            "unit",
            None,
        ),
        (
            {"unit": "first"},
            "The address says unit=first, which must be a whole number from 0. The page shows the "
            "first unit of the order instead.",
            "unit",
            None,
        ),
        (
            {"text": "x" * (MOST_CHARACTERS + 1)},
            "The text has 2,001 characters; at most 2,000 can be read. Shorten it; until then the "
            "page shows the text before.",
            "text",
            FIRST_TEXT,
        ),
        (
            {"text": "한" * 1_000_000},
            "The text has 1,000,000 characters; at most 2,000 can be read. Shorten it; until then "
            "the page shows the text before.",
            "text",
            FIRST_TEXT,
        ),
        (
            {"text": ""},
            "The text is empty; at least one character was expected. Enter some text.",
            "text",
            FIRST_TEXT,
        ),
        *(
            (
                {"cell": cell, "gate": came},
                CHOICE.format(f"gate={came}", GATES[cell], GATES[cell].partition(",")[0]),
                "gate",
                None,
            )
            for cell, came in (
                ("lstm", "reset_gate"),
                ("gru", "forget_gate"),
                ("rnn", "input_gate"),
                ("gru", "gate"),
                ("lstm", ""),
            )
        ),
    ],
)
def test_a_bad_value_is_told_and_the_others_survive(
    query: dict[str, str], message: str, field: str, shown: object
):
    others = {"cell": "gru", "order": "variance", "unit": "7", "speed": "9", "t": "12"}
    others = {name: value for name, value in others.items() if name not in query}
    settings, problems = Settings.from_query(others | query)
    assert [str(problem) for problem in problems] == [message]
    assert getattr(settings, field) == shown
    wanted = {name: value for name, value in settings if name in others}
    assert {name: str(value) for name, value in wanted.items()} == others


def test_every_bad_value_is_told():
    query = {
        "cell": "x",
        "text": "",
        "t": "x",
        "unit": "x",
        "order": "x",
        "gate": "x",
        "speed": "x",
    }
    settings, problems = Settings.from_query(query | {"language": "x"}, "ko")
    assert settings == Settings()
    assert len(problems) == 8
    for name in ("cell", "t", "unit", "order", "gate", "speed", "language"):
        assert sum(f"says {name}=x" in str(problem) for problem in problems) == 1
    assert all(problem.message("ko") != str(problem) for problem in problems)


def test_a_text_too_short_for_the_first_step_is_no_problem():
    assert Settings.from_query({"text": "ab"}) == (Settings(text="ab", t=2), [])


@given(st.dictionaries(st.sampled_from([*Settings.model_fields, "x"]), st.text(max_size=50)))
def test_no_address_is_too_odd(query: dict[str, str]):
    settings, problems = Settings.from_query(query)
    assert settings == Settings.model_validate(dict(settings))
    assert settings.t <= len(settings.text)
    assert settings.gate is None or settings.gate in GATES_AS_READ[settings.cell]
    for problem in problems:
        assert all(len(problem.message(language)) < 300 for language in LANGUAGES)


def test_settings_cannot_be_changed_or_made_wrong():
    with pytest.raises(ValidationError):
        Settings().t = 4  # pyright: ignore[reportAttributeAccessIssue]  # that is the point
    with pytest.raises(ValidationError):
        Settings(text="")
