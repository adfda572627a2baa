"""Settings written to and read from the address, and the problems of invalid addresses."""

import math
from typing import Any, get_args
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from rnnviz.cells import GATES_AS_READ
from rnnviz.errors import RnnvizError
from rnnviz.experiment import (
    FASTEST,
    FIRST_TEXT,
    FORMS,
    MOST_CHARACTERS,
    MOST_EDITED,
    SCENES,
    CellName,
    ComparePage,
    ComparisonSettings,
    Edit,
    EqualName,
    GateName,
    GradientsPage,
    InitName,
    InputName,
    LanguageName,
    LossName,
    NetworkSettings,
    NetworkSpec,
    NonlinearityName,
    PageSettings,
    PartName,
    StepPage,
    keys_of,
    limits_of,
    with_edit,
)
from rnnviz.experiment.network_spec import DEFAULT_NETWORKS
from rnnviz.experiment.settings import (
    OLD_NAMES,
    CellChoice,
    Settings,
    SizeAndSignal,
    value_text,
)
from rnnviz.explain.unit_order import ORDERS
from rnnviz.inputs.signals import SIGNALS
from rnnviz.locale import LANGUAGES

languages = st.sampled_from(get_args(LanguageName))
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)


def gates_of(cell: str) -> st.SearchStrategy[Any]:
    return st.none() | st.sampled_from(GATES_AS_READ[cell])


@st.composite
def step_pages(draw: st.DrawFn) -> StepPage:
    cell = draw(st.sampled_from(get_args(CellName)))
    text = draw(texts)
    return StepPage(
        cell=cell,
        text=text,
        t=draw(st.integers(1, len(text))),
        unit=draw(st.none() | st.integers(0, 10**6)),
        order=draw(st.sampled_from(ORDERS)),  # pyright: ignore[reportArgumentType]  # its names
        gate=draw(gates_of(cell)),
        all_terms=draw(st.booleans()),
        speed=draw(st.integers(1, FASTEST)),
        language=draw(languages),
    )


@st.composite
def gradients_pages(draw: st.DrawFn) -> GradientsPage:
    cell = draw(st.sampled_from(get_args(CellName)))
    fields = draw(network_fields())
    return GradientsPage(cell=cell, gate=draw(gates_of(cell)), language=draw(languages), **fields)


@st.composite
def compare_pages(draw: st.DrawFn) -> ComparePage:
    text, fields = draw(texts), draw(comparison_fields())
    steps = fields["length"] if fields["input_source"] == "signal" else len(text)
    t = draw(st.integers(1, steps))
    return ComparePage(text=text, t=t, language=draw(languages), **fields)


@st.composite
def network_fields(draw: st.DrawFn) -> dict[str, Any]:
    """The fields of the networks."""
    hidden = draw(st.integers(2, 256))
    edits: tuple[Edit, ...] = ()
    if hidden <= MOST_EDITED:
        place = st.tuples(
            st.sampled_from(
                [(cell, gate) for cell, gates in GATES_AS_READ.items() for gate in gates]
            ),
            st.integers(0, hidden - 1),
            st.integers(0, hidden - 1),
            st.floats(allow_nan=False, allow_infinity=False),
        )
        for (cell, gate), row, column, value in draw(st.lists(place, max_size=5)):
            edits = with_edit(edits, Edit(cell, gate, row, column, value))
    return {
        "hidden": hidden,
        "edit": edits,
        "length": draw(st.integers(2, 2000)),
        "seed": draw(st.integers(0, 9999)),
        "init": draw(st.sampled_from(get_args(InitName))),
        "nonlinearity": draw(st.sampled_from(get_args(NonlinearityName))),
        "gain": draw(st.floats(0, 3)),
        "spectral_radius": draw(st.none() | st.floats(0, 2)),
        "forget_bias": draw(st.none() | st.floats(-6, 10)),
        "signal": draw(st.sampled_from(SIGNALS)),
        "input_scale": draw(st.floats(0, 5)),
        "loss": draw(st.sampled_from(get_args(LossName))),
        "clip": draw(st.none() | st.floats(0.001, 1000)),
        "claim": draw(st.booleans()),
    }


@st.composite
def comparison_fields(draw: st.DrawFn) -> dict[str, Any]:
    """The fields of the comparison besides the text, the step and the language."""
    source = draw(st.sampled_from(get_args(InputName)))
    fresh = st.builds(NetworkSpec, st.sampled_from(list(FORMS)), st.integers(1, 4), st.booleans())
    one = fresh if source == "signal" else st.sampled_from(DEFAULT_NETWORKS)
    networks = tuple(draw(st.lists(one, min_size=2, max_size=4)))
    return {
        "networks": networks,
        "input_source": source,
        "selected": draw(st.none() | st.sampled_from(keys_of(networks))),
        "hidden": draw(st.integers(2, 256)),
        "length": draw(st.integers(2, 2000)),
        "seed": draw(st.integers(0, 9999)),
        "signal": draw(st.sampled_from(SIGNALS)),
        "loss": draw(st.sampled_from(get_args(LossName))),
        "equal": draw(st.sampled_from(get_args(EqualName))),
        "budget": draw(st.integers(10, 60_000)),
        "difference": draw(st.booleans()),
        "part": draw(st.sampled_from(get_args(PartName))),
        "layer": draw(st.integers(1, 4)),
        "direction": draw(st.sampled_from(("forward", "backward"))),
        "speed": draw(st.integers(1, FASTEST)),
        "hold_units": tuple(draw(st.lists(st.integers(0, 300), max_size=3))),
        "hold_value": draw(st.floats(-3, 3)),
    }


every_page = step_pages() | gradients_pages() | compare_pages()
PAGES: tuple[type[PageSettings], ...] = (StepPage, GradientsPage, ComparePage)


def through_address(query: dict[str, str]) -> dict[str, str]:
    return dict(parse_qsl(urlencode(query), keep_blank_values=True, strict_parsing=bool(query)))


@given(every_page)
def test_settings_are_read_back_from_their_address(settings: PageSettings):
    query = settings.to_query()
    assert type(settings).from_query(through_address(query)) == (settings, [])
    assert set(query) <= set(type(settings).model_fields)


@given(every_page, languages)
def test_settings_are_read_back_in_every_browser_language(
    settings: PageSettings, spoken: LanguageName
):
    query = settings.to_query(spoken)
    assert type(settings).from_query(through_address(query), spoken) == (settings, [])
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
def test_a_text_is_read_back_from_its_address(text: str):
    settings = StepPage(text=text, t=len(text))
    assert StepPage.from_query(through_address(settings.to_query())) == (settings, [])


@pytest.mark.parametrize("page", PAGES)
def test_the_first_view_has_an_empty_query(page: type[PageSettings]):
    first = page.first()
    assert first.to_query() == {}
    assert page.from_query({}) == (first, [])
    korean = first.model_copy(update={"language": "ko"})
    assert page.from_query({}, "ko") == (korean, [])
    assert page.from_query({"language": "ko", "utm_source": "a"}) == (korean, [])
    assert korean.to_query() == {"language": "ko"}
    assert StepPage.first().text == ComparePage.first().text == FIRST_TEXT


@pytest.mark.parametrize("page", PAGES)
def test_the_defaults_are_named_where_the_first_view_differs(page: type[PageSettings]):
    texts = {"init": "torch_default"}
    named = {name: text for name, text in texts.items() if name in page.model_fields}
    assert page().to_query() == named
    assert page.from_query(named) == (page(), [])
    assert page(language="ko").to_query() == {"language": "ko", **named}
    # an address that names any other setting means what it always did
    query = {"seed": "7"} if "seed" in page.model_fields else {"cell": "gru"}
    settings, _ = page.from_query(query)
    assert all(getattr(settings, name) == getattr(page(), name) for name in named)
    assert settings.to_query() == query


def test_the_networks_do_not_depend_on_display_settings():
    one = GradientsPage(cell="rnn", gate="hidden", clip=1.0, claim=True, gain=1.1)
    other = GradientsPage(cell="gru", gain=1.1)
    assert one.network() == other.network() == NetworkSettings(gain=1.1)


@pytest.mark.parametrize("name", SCENES)
def test_every_scene_has_an_address(name: str):
    query = SCENES[name].to_query()
    assert GradientsPage.from_query(through_address(query)) == (SCENES[name], [])


def test_published_limits_are_those_validated():
    for name in ("hidden", "length", "seed", "gain", "spectral_radius", "input_scale", "clip"):
        low, high = limits_of(GradientsPage, name)
        settings: Any = GradientsPage
        for value in (low, high):
            assert getattr(settings(**{name: value}), name) == value
        for value in (low - 1e-3, high + 1):
            with pytest.raises(RnnvizError):
                settings(**{name: value})


def classes(base: type[Settings]) -> set[type[Settings]]:
    return {base}.union(*(classes(kind) for kind in base.__subclasses__()))


def test_every_field_is_declared_once():
    """Its type, limits and default are then the same on every page."""
    fields = [
        name
        for kind in classes(Settings)
        if kind.__module__.startswith("rnnviz.")
        for name in kind.__annotations__
        if name in kind.model_fields
    ]
    assert len(fields) > 40
    assert sorted(fields) == sorted(set(fields))


def test_pages_share_the_fields_of_one_name():
    shared = [name for page in PAGES for name in page.model_fields]
    for name in set(shared):
        found = {repr(page.model_fields[name]) for page in PAGES if name in page.model_fields}
        assert len(found) == 1, name


@pytest.mark.parametrize(
    ("old", "page", "query"),
    [
        ("reads", ComparePage, {"reads": "signal"}),
        ("looked_at", ComparePage, {"looked_at": "gru"}),
    ],
)
def test_a_link_with_an_old_name_is_read(old: str, page: type[PageSettings], query: dict[str, str]):
    (value,), name = query.values(), OLD_NAMES[old]
    settings, problems = page.from_query(query)
    assert (settings, problems) == page.from_query({name: value})
    assert getattr(settings, name) == value
    assert settings.to_query() == {name: value}
    other = {"reads": "text", "looked_at": "rnn"}[old]
    assert page.from_query({old: other, name: value}) == (settings, [])
    _, (problem,) = page.from_query({old: "nobody"})
    assert f"The link asks for {old}=nobody" in str(problem)


def test_every_old_name_maps_to_a_field():
    fields = {name for page in PAGES for name in page.model_fields}
    assert set(OLD_NAMES.values()) <= fields
    assert set(OLD_NAMES) & fields == set()


def test_the_languages_are_those_of_the_catalogs():
    assert set(get_args(LanguageName)) == set(LANGUAGES)
    assert set(get_args(GateName)) == {gate for gates in GATES_AS_READ.values() for gate in gates}


def test_unknown_parameters_are_ignored():
    assert StepPage.from_query({"utm_source": "a", "T": "0", "gain": "9"}) == (StepPage.first(), [])


CHOICE = "The link asks for {}, which must be one of {}. The page shows {} instead."
WHOLE = "The link asks for {}, which must be a positive integer. The page shows {} instead."
WHOLE_FROM = (
    "The link asks for {}, which must be an integer from {} to {}. The page shows {} instead."
)
NUMBER_FROM = (
    "The link asks for {}, which must be a number from {} to {}. The page shows {} instead."
)
UNSET = (
    "The link asks for {}, which must be a number from {} to {}. The page leaves it unset instead."
)
EDIT = (
    "The link asks for edit={}, which must be cell.gate.row.column:value, several of them "
    "separated by commas, such as rnn.hidden.0.1:0.5. The page shows the initial weights instead."
)
GATES = {
    "rnn": "hidden",
    "lstm": "forget_gate, input_gate, cell_candidate, output_gate",
    "gru": "update_gate, reset_gate, hidden_candidate",
}


OTHERS: dict[type[PageSettings], dict[str, str]] = {
    StepPage: {"order": "variance", "unit": "7", "speed": "9", "t": "12"},
    GradientsPage: {"gain": "1.5", "seed": "7", "loss": "all", "init": "xavier"},
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
        ({"t": "0"}, WHOLE.format("t=0", "37"), "t", 37),
        ({"t": "-3"}, WHOLE.format("t=-3", "37"), "t", 37),
        ({"t": "2.5"}, WHOLE.format("t=2.5", "37"), "t", 37),
        ({"t": ""}, WHOLE.format("t=", "37"), "t", 37),
        ({"t": "nan"}, WHOLE.format("t=nan", "37"), "t", 37),
        ({"t": "{t}"}, WHOLE.format("t={t}", "37"), "t", 37),
        ({"t": "9" * 5000}, WHOLE.format("t=" + "9" * 40, "37"), "t", 37),
        (
            {"t": "99"},
            "The link asks for t=99, but the last step of the text is 61. The page shows that "
            "step instead.",
            "t",
            61,
        ),
        (
            {"unit": "-1"},
            "The link asks for unit=-1, which must be an integer from 0. The page shows the first "
            "unit of the order instead.",
            "unit",
            None,
        ),
        (
            {"unit": "first"},
            "The link asks for unit=first, which must be an integer from 0. The page shows the "
            "first unit of the order instead.",
            "unit",
            None,
        ),
        (
            {"text": "x" * (MOST_CHARACTERS + 1)},
            "The text has 2,001 characters; the limit is 2,000. Shorten it; until then the page "
            "shows the previous text.",
            "text",
            FIRST_TEXT,
        ),
        (
            {"text": "한" * 1_000_000},
            "The text has 1,000,000 characters; the limit is 2,000. Shorten it; until then the "
            "page shows the previous text.",
            "text",
            FIRST_TEXT,
        ),
        (
            {"text": ""},
            "The text is empty; expected at least one character. Enter some text.",
            "text",
            FIRST_TEXT,
        ),
        ({"hidden": "1"}, WHOLE_FROM.format("hidden=1", 2, 256, 16), "hidden", 16),
        ({"hidden": "257"}, WHOLE_FROM.format("hidden=257", 2, 256, 16), "hidden", 16),
        ({"hidden": "8.5"}, WHOLE_FROM.format("hidden=8.5", 2, 256, 16), "hidden", 16),
        ({"length": "1"}, WHOLE_FROM.format("length=1", 2, 2000, 100), "length", 100),
        ({"seed": "-1"}, WHOLE_FROM.format("seed=-1", 0, 9999, 0), "seed", 0),
        ({"gain": "nan"}, NUMBER_FROM.format("gain=nan", 0, 3, 1), "gain", 1.0),
        ({"gain": "inf"}, NUMBER_FROM.format("gain=inf", 0, 3, 1), "gain", 1.0),
        ({"gain": "-0.1"}, NUMBER_FROM.format("gain=-0.1", 0, 3, 1), "gain", 1.0),
        ({"input_scale": "x"}, NUMBER_FROM.format("input_scale=x", 0, 5, 1), "input_scale", 1.0),
        ({"forget_bias": "11"}, UNSET.format("forget_bias=11", -6, 10), "forget_bias", None),
        ({"clip": "0"}, UNSET.format("clip=0", 0.001, 1000), "clip", None),
        (
            {"spectral_radius": "nan"},
            UNSET.format("spectral_radius=nan", 0, 2),
            "spectral_radius",
            None,
        ),
        (
            {"nonlinearity": "softplus"},
            CHOICE.format("nonlinearity=softplus", "tanh, relu, sigmoid, identity", "tanh"),
            "nonlinearity",
            "tanh",
        ),
        *(
            ({"hidden": "4", "edit": came}, EDIT.format(came), "edit", ())
            for came in (
                "rnn.hidden.0.1:nan",
                "rnn.hidden.0.1:inf",
                "rnn.hidden.0.1:1e999",
                "rnn.hidden.0.1",
                "rnn.forget_gate.0.1:1",
                "lstm.hidden.0.1:1",
                "rnn.hidden.-1.1:1",
                "rnn.hidden.0.1:1,",
                "",
            )
        ),
        (
            {"hidden": "2", "edit": "rnn.hidden.0.1:1,gru.update_gate.2.0:0.5"},
            "The link edits gru.update_gate.2.0:0.5, which does not exist or is not shown: "
            "weights can be edited up to 8 hidden units, and rows and columns here run from 0 to "
            "1. The page ignores these edits.",
            "edit",
            (Edit("rnn", "hidden", 0, 1, 1.0),),
        ),
        (
            {"hidden": "9", "edit": "rnn.hidden.0.1:1"},
            "The link edits rnn.hidden.0.1:1.0, which does not exist or is not shown: weights can "
            "be edited up to 8 hidden units, and rows and columns here run from 0 to 7. The page "
            "ignores these edits.",
            "edit",
            (),
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
def test_an_invalid_value_is_reported_and_the_others_are_kept(
    query: dict[str, str], message: str, field: str, shown: object
):
    page = next(page for page in PAGES if set(query) <= set(page.model_fields))
    others = {"cell": "gru"} | OTHERS[page]
    others = {name: value for name, value in others.items() if name not in query}
    settings, problems = page.from_query(others | query)
    assert [str(problem) for problem in problems] == [message]
    assert getattr(settings, field) == shown
    wanted = {name: value for name, value in settings if name in others}
    assert {name: value_text(value) for name, value in wanted.items()} == others


def test_every_invalid_value_is_reported():
    query = {
        "cell": "x",
        "text": "",
        "t": "x",
        "unit": "x",
        "order": "x",
        "gate": "x",
        "speed": "x",
    }
    settings, problems = StepPage.from_query(query | {"language": "x"}, "ko")
    assert settings == StepPage()
    assert len(problems) == 8
    for name in ("cell", "t", "unit", "order", "gate", "speed", "language"):
        assert sum(f"asks for {name}=x" in str(problem) for problem in problems) == 1
    assert all(problem.message("ko") != str(problem) for problem in problems)


def test_a_text_shorter_than_the_default_step_is_valid():
    assert StepPage.from_query({"text": "ab"}) == (StepPage(text="ab", t=2), [])


NAMES = sorted({name for page in PAGES for name in page.model_fields} | {*OLD_NAMES, "x"})


@given(st.sampled_from(PAGES), st.dictionaries(st.sampled_from(NAMES), st.text(max_size=50)))
def test_any_query_is_read_without_exception(page: type[PageSettings], query: dict[str, str]):
    settings, problems = page.from_query(query)
    assert settings == page(**dict(settings))
    if isinstance(settings, CellChoice):
        assert settings.gate is None or settings.gate in GATES_AS_READ[settings.cell]
    if isinstance(settings, StepPage):
        assert settings.t <= len(settings.text)
    if isinstance(settings, ComparePage):
        assert settings.t <= settings.steps
        assert settings.selected in (None, *keys_of(settings.networks))
    for problem in problems:
        assert all(len(problem.message(language)) < 300 for language in LANGUAGES)


def test_settings_are_immutable():
    with pytest.raises(ValidationError):
        StepPage().t = 4  # pyright: ignore[reportAttributeAccessIssue]  # the error under test


@pytest.mark.parametrize(
    ("page", "values", "message"),
    [
        (GradientsPage, {"hidden": 300}, "hidden is 300; expected 2 – 256."),
        (GradientsPage, {"hidden": True}, "hidden is true; expected 2 – 256."),
        (NetworkSettings, {"gain": math.nan}, "gain is nan; expected 0 – 3."),
        (GradientsPage, {"clip": 0}, "clip is 0; expected 0.001 – 1000."),
        (GradientsPage, {"loss": "first"}, "loss is first; expected last, all."),
        (GradientsPage, {"claim": "x"}, "claim is x; expected true, false."),
        (GradientsPage, {"edit": "x"}, "edit is x; expected cell.gate.row.column:value."),
        (StepPage, {"text": ""}, "text is ; expected len(text) = 1 – 2000."),
        (StepPage, {"t": 0}, "t is 0; expected 1 – ∞."),
        (StepPage, {"unit": -1}, "unit is -1; expected 0 – ∞."),
        (ComparePage, {"selected": 3}, "selected is 3; expected string."),
        (
            ComparisonSettings,
            {"networks": (NetworkSpec("lstm", 5), NetworkSpec("gru"))},
            "networks is lstm.5,gru; expected form.layers.both, ….",
        ),
    ],
)
def test_a_value_beyond_its_limits_raises(
    page: type[Settings], values: dict[str, Any], message: str
):
    with pytest.raises(RnnvizError) as caught:
        page(**values)
    assert str(caught.value) == f"{message} Pass such a value."
    assert caught.value.message("ko") != str(caught.value)


def test_an_unknown_setting_raises():
    with pytest.raises(RnnvizError) as caught:
        SizeAndSignal(hiden=3)  # pyright: ignore[reportCallIssue]  # the error under test
    assert str(caught.value) == (
        "There is no setting hiden; expected one of hidden, length, seed, signal, loss. "
        "Correct the name."
    )
