"""Vocabularies, pictures of characters, properties of a text, and orders of units by them."""

import io
import keyword
import tokenize

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import rnnviz
from rnnviz.errors import RnnvizError
from rnnviz.explain.text_properties import PROPERTIES, correlation, text_properties
from rnnviz.explain.unit_order import ORDERS, order_units
from rnnviz.inputs.vocabulary import Vocabulary, picture

ANY = st.text(st.characters(exclude_categories=["Cs"]))


def property_of(name: str, text: str) -> list[int]:
    return text_properties(text)[name].astype(int).tolist()


def marks(text: str) -> str:
    """1 under every character inside a string, 0 under the others."""
    return "".join(map(str, property_of("inside_string", text)))


# Vocabulary


def test_a_vocabulary_numbers_its_characters_and_has_one_code_for_all_others():
    vocabulary = Vocabulary("a\nb")
    assert vocabulary.encode("ab\n").tolist() == [0, 2, 1]
    assert vocabulary.encode("A한😀\x00").tolist() == [3, 3, 3, 3]
    assert vocabulary.encode("a").dtype == torch.int64
    assert (len(vocabulary), vocabulary.unknown) == (4, 3)
    assert [vocabulary.character(code) for code in range(4)] == ["a", "\n", "b", None]
    assert "a" in vocabulary
    assert "한" not in vocabulary
    assert "ab" not in vocabulary


@given(ANY.filter(bool), st.sampled_from([torch.float32, torch.float64]))
def test_one_hot_is_1_at_each_code_and_0_elsewhere(text: str, dtype: torch.dtype):
    vocabulary = Vocabulary("ab (")
    codes, read = vocabulary.encode(text), vocabulary.one_hot(text, dtype)
    assert read.dtype == dtype
    assert read.equal(torch.eye(5, dtype=dtype)[codes])
    known = [vocabulary.character(int(code)) for code in codes]
    assert known == [c if c in "ab (" else None for c in text]


@pytest.mark.parametrize("characters", ["", "aba"])
def test_empty_and_duplicate_vocabularies_raise(characters: str):
    with pytest.raises(RnnvizError) as caught:
        Vocabulary(characters)
    assert str(caught.value) == (
        f'Got the vocabulary "{characters}"; expected at least one character, and each only '
        "once. Leave repeated characters out."
    )


def test_encoding_an_empty_text_raises():
    vocabulary = Vocabulary("ab")
    for read in (vocabulary.encode, vocabulary.one_hot):
        with pytest.raises(RnnvizError) as caught:
            read("")
        assert str(caught.value) == (
            "The text is empty; expected at least one character. Enter some text."
        )


# Pictures


@pytest.mark.parametrize(
    ("character", "seen"),
    [
        ("a", "a"),
        ("<", "<"),
        (" ", "·"),
        ("\n", "⏎"),
        ("\t", "⇥"),
        ("\r", "^M"),
        ("\x00", "^@"),
        ("\x01", "^A"),
        ("\x1b", "^["),
        ("\x1f", "^_"),
        ("\x7f", "^?"),
        ("\x85", "U+0085"),  # a control character of Latin-1
        ("\u0301", "◌\u0301"),  # a combining accent
        ("\u0e31", "◌\u0e31"),  # a Thai vowel sign
        ("\ufe0f", "◌\ufe0f"),  # a variation selector
        ("ש", "ש"),
        ("ع", "ع"),
        ("\u200f", "U+200F"),  # the right-to-left mark
        ("\u202e", "U+202E"),  # right-to-left override
        ("😀", "😀"),
        ("한", "한"),
        ("ㅎ", "ㅎ"),
        ("\u1112", "\u1112"),  # a conjoining Hangul letter
        ("\u3164", "U+3164"),  # the Hangul filler: a blank letter
        ("\u1160", "U+1160"),
        ("\u2800", "U+2800"),  # blank Braille
        ("\u00a0", "␣"),
        ("\u3000", "␣"),
        ("\u200b", "U+200B"),
        ("\u200d", "U+200D"),
        ("\ufeff", "U+FEFF"),
        ("\u00ad", "U+00AD"),  # a soft hyphen
        ("\u2028", "U+2028"),
        ("\u2029", "U+2029"),
        ("\ud800", "U+D800"),
        ("\ue000", "U+E000"),
        ("\U0010ffff", "U+10FFFF"),
    ],
)
def test_pictures_of_characters(character: str, seen: str):
    assert picture(character) == seen


@given(st.characters(exclude_categories=["Cs"]))
def test_no_picture_is_empty_or_breaks_a_line(character: str):
    seen = picture(character)
    assert seen.strip() == seen != ""
    assert len(seen.splitlines()) == 1
    assert seen.isprintable() or seen[0] == "◌"


# Properties of a text, by hand


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        ("x = 'ab'", "00001110"),
        ('x = "ab"', "00001110"),
        ('"it\'s"', "111110"),  # the other kind of quote does not end it
        ("'' a", "1000"),
        ("'a' 'b'", "1100110"),
        (r"'a\'b' c", "11111000"),
        (r"'a\\' c", "1111000"),  # an escaped backslash, then the end
        ('"""a"b""c""" d', "11111111111000"),
        ("'''a\nb''' c", "111111110" + "00"),
        ("''''a'''", "11111110"),  # the fourth quote is the first character
        ('""""""a', "1111100"),
        (r'"""a\"""b"""c', "1111111111100"),
        ("x  # don't\ny", "0" * 12),
        ("'# no' # it's", "1111100000000"),
        ("'ab\nc", "11100"),  # ends with its line
        ("'a\\\nb'", "111110"),  # continues after a backslash
        ("'a\\\r\nb'", "1111110"),
        ("'a\r\nb", "11100"),
        ('"""ab\n', "111111"),  # never ends
        ("'", "1"),
        ("'\\", "11"),
        ("r'a' f\"b\"", "0110001" + "10"),
        ("\\'a'", "0110"),
        ("안'녕'", "0110"),
    ],
)
def test_inside_a_string(text: str, inside: str):
    assert marks(text) == inside


@pytest.mark.parametrize(
    ("text", "depth"),
    [
        ("f(a[0])", [0, 1, 1, 2, 2, 1, 0]),
        ("{(", [1, 2]),
        (")a(", [0, 0, 1]),  # never below 0
        ("(']')", [1, 1, 1, 1, 0]),
        ("( # )\n)", [1, 1, 1, 1, 1, 1, 0]),
        ('("""(\n""")', [1, 1, 1, 1, 1, 1, 1, 1, 1, 0]),
        ("'(\n(", [0, 0, 0, 1]),
        ("(]", [1, 0]),  # any bracket closes
        ("(\n\n)", [1, 1, 1, 0]),
    ],
)
def test_bracket_depth(text: str, depth: list[int]):
    assert property_of("bracket_depth", text) == depth


@pytest.mark.parametrize(
    ("text", "position", "indentation"),
    [
        ("ab\nc", [1, 2, 0, 1], [0, 0, 0, 0]),
        ("a\r\nb", [1, 2, 0, 1], [0, 0, 0, 0]),
        ("\n\n a", [0, 0, 1, 2], [0, 0, 1, 1]),
        ("\t a  b", [1, 2, 3, 4, 5, 6], [1, 2, 2, 2, 2, 2]),
        ("  \n \n", [1, 2, 0, 1, 0], [1, 2, 0, 1, 0]),
        ("\u00a0a", [1, 2], [0, 0]),  # a no-break space indents nothing in Python
        ("  # a\n", [1, 2, 3, 4, 5, 0], [1, 2, 2, 2, 2, 0]),
    ],
)
def test_position_in_line_and_indentation(text: str, position: list[int], indentation: list[int]):
    assert property_of("position_in_line", text) == position
    assert property_of("indentation", text) == indentation


@given(st.text(st.sampled_from("ab'\"\\#([{)]}\n\r\t 한")))
def test_properties_are_causal_except_within_triple_quotes(text: str):
    """One number per character, which later characters change only within a triple quote."""
    whole = text_properties(text)
    assert tuple(whole) == PROPERTIES
    for name, values in whole.items():
        assert values.shape == (len(text),)
        assert values.dtype == np.float64
        assert (values >= 0).all()
        if "'''" not in text and '"""' not in text:
            for cut in range(len(text)):
                np.testing.assert_array_equal(text_properties(text[:cut])[name], values[:cut])


# Properties of a text, as Python's own tokenizer sees them

names = st.sampled_from(["a", "x1", "한글", "_", "True"]).filter(
    lambda name: name == "True" or not keyword.iskeyword(name)
)
inner = st.text(st.sampled_from("ab'\"#([{)]} 한")).map(
    lambda text: text.replace("'", "\\'").replace('"', '\\"')
)
strings = st.builds(
    lambda prefix, quote, text: f"{prefix}{quote}{text}{quote}",
    st.sampled_from(["", "b", "r", "Rb"]),
    st.sampled_from(["'", '"', "'''", '"""']),
    inner,
)
long_strings = st.builds(
    lambda quote, parts: quote + "\n".join(parts) + quote,
    st.sampled_from(["'''", '"""']),
    st.lists(inner, min_size=1, max_size=3),
)
atoms = st.one_of(names, strings, long_strings)
values_in_brackets = st.recursive(
    atoms,
    lambda part: st.builds(
        lambda pair, parts, comment: pair[0] + f",{comment}".join(parts) + pair[1],
        st.sampled_from(["()", "[]", "{}"]),
        st.lists(part, max_size=3),
        st.sampled_from(["", " ", "\n", "  # it's (\n\t"]),
    ),
    max_leaves=6,
)
statements = st.builds(
    lambda value, comment: f"x = {value}{comment}\n",
    values_in_brackets,
    st.sampled_from(["", "  # don't [", " # '''"]),
)
programs = st.lists(
    st.builds(
        lambda block, body: f"if x:\n{block}{body}" if block else body,
        st.sampled_from(["", "  ", "\t", "    "]),
        statements,
    ),
    min_size=1,
    max_size=4,
).map("".join)


@given(programs)
def test_strings_comments_and_brackets_are_those_of_pythons_tokenizer(program: str):
    inside, comment, depth = (np.zeros(len(program)) for _ in range(3))
    last, logical = 0, True
    for token in tokenize.generate_tokens(io.StringIO(program).readline):
        # Only spaces are between two tokens. Their columns are not used: Python 3.12.1 counts those
        # after the last line of a long string in bytes.
        first = program.find(token.string, last) if token.string.strip() else last
        last = first + len(token.string)
        if token.type == tokenize.STRING:
            opening = min(token.string.find(quote) % 99 for quote in "'\"")
            inside[first + opening : last - 1] = 1
        elif token.type == tokenize.COMMENT:
            comment[first:last] = 1
        elif token.type == tokenize.OP and token.string in "([{":
            depth[first:] += 1
        elif token.type == tokenize.OP and token.string in ")]}":
            depth[first:] -= 1
        marker = token.type in (tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
        if logical and not marker:
            assert text_properties(program)["indentation"][first] == token.start[1]
        logical = token.type == tokenize.NEWLINE or (logical and marker)
    np.testing.assert_array_equal(text_properties(program)["inside_string"], inside)
    np.testing.assert_array_equal(text_properties(program)["inside_comment"], comment)
    np.testing.assert_array_equal(text_properties(program)["bracket_depth"], depth)


# Correlation and orders


@given(st.integers(0, 2**32 - 1), st.integers(2, 40), st.integers(1, 6))
def test_correlation_is_pearsons(seed: int, steps: int, units: int):
    random = np.random.default_rng(seed)
    values = random.normal(size=(steps, units)) * 10.0 ** random.integers(-5, 5, units)
    wanted = random.integers(0, 4, steps).astype(float)
    wanted[:2] = 0, 1  # so that the property is not constant
    expected = [np.corrcoef(unit, wanted)[0, 1] for unit in values.T]
    max_diff = np.abs(correlation(values, wanted) - expected).max()
    assert max_diff < 1e-12, f"{max_diff=:.1e}"


def test_correlation_with_a_constant_is_nan():
    values = np.array([[1.0, 0.1], [2.0, 0.1], [4.0, 0.1]], dtype=np.float32)
    assert np.isnan(correlation(values, np.array([3.0, 3.0, 3.0]))).tolist() == [True, True]
    assert np.isnan(correlation(values, np.array([0.0, 1.0, 3.0]))).tolist() == [False, True]
    assert np.isnan(correlation(values[:1], np.array([1.0]))).tolist() == [True, True]


def hand_made(hidden: list[list[float]]) -> rnnviz.Trace:
    """A trace of these hidden states, (time, unit): a ReLU network that copies its input."""
    x = torch.tensor(hidden, dtype=torch.float64)
    module = torch.nn.RNN(x.shape[1], x.shape[1], nonlinearity="relu", bias=False).double()
    weights = {"weight_ih_l0": torch.eye(x.shape[1]), "weight_hh_l0": torch.zeros(5, 5)}
    module.load_state_dict(weights)
    return rnnviz.trace(module, x)


TEXT = "a('b')"
# Unit 0 is constant; 1 and 3 are the quotes, 2 nearly their negative; 4 has a large offset.
TRACE = hand_made(
    [
        [1, 0, 2, 0, 1],
        [1, 0, 2, 0, 5],
        [1, 1, 1, 3, 1],
        [1, 1, 0, 3, 5],
        [1, 0, 2, 0, 1],
        [1, 0, 2, 0, 5],
    ]
)


def test_units_by_index():
    order = order_units(TRACE, "index")
    assert order.units.tolist() == [0, 1, 2, 3, 4]
    assert order.scores.tolist() == [0, 1, 2, 3, 4]
    assert order.is_defined


def test_units_by_variance_largest_first():
    order = order_units(TRACE, "variance")
    h = TRACE["hidden_state"].values[0, 0, :, 0]
    assert order.units.tolist() == [4, 3, 2, 1, 0]
    max_diff = np.abs(order.scores - h.var(0)).max()
    assert max_diff < 1e-12, f"{max_diff=:.1e}"


def test_units_by_a_property_of_the_text():
    order = order_units(TRACE, "inside_string", TEXT)
    inside = text_properties(TEXT)["inside_string"]
    assert inside.tolist() == [0, 0, 1, 1, 0, 0]
    assert order.units.tolist() == [1, 3, 2, 0, 4]  # ties by index; r = nan counts as r = 0
    h = TRACE["hidden_state"].values[0, 0, :, 0]
    assert np.isnan(order.scores[0])
    expected = [np.corrcoef(unit, inside)[0, 1] for unit in h.T[1:]]
    max_diff = np.abs(order.scores[1:] - expected).max()
    assert max_diff < 1e-12, f"{max_diff=:.1e}"
    assert order.is_defined


@pytest.mark.parametrize("by", PROPERTIES)
def test_a_constant_property_sorts_units_by_variance(by: str):
    order = order_units(TRACE, by, "\n" * 6)
    assert not order.is_defined
    assert (order.by, order.sorted_by) == (by, "variance")
    assert order.units.tolist() == [4, 3, 2, 1, 0]
    assert np.isnan(order.scores).all()


def test_the_orders_are_index_variance_and_the_properties():
    assert ("index", "variance", *PROPERTIES) == ORDERS


def test_units_of_another_layer():
    torch.manual_seed(0)
    trace = rnnviz.trace(torch.nn.GRU(1, 4, 2).double(), torch.randn(9, 1).double())
    variance = trace["hidden_state"].values[1, 0, :, 0].var(0)
    expected = sorted(range(4), key=lambda unit: -variance[unit])
    assert order_units(trace, "variance", layer=1).units.tolist() == expected


def test_an_unknown_order_raises():
    with pytest.raises(RnnvizError) as caught:
        order_units(TRACE, "size")
    assert str(caught.value) == (
        'Units cannot be sorted by "size"; they can be sorted by index, variance, inside_string, '
        "inside_comment, bracket_depth, position_in_line, indentation. Choose one of these."
    )


def test_ordering_by_a_text_of_another_length_raises():
    with pytest.raises(RnnvizError) as caught:
        order_units(TRACE, "indentation", "a")
    assert str(caught.value) == (
        "The text length is 1 and the trace's number of time steps is 6; expected one character "
        "per step. Pass the text that the trace was made from."
    )
