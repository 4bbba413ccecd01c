"""The guarded composer and the shapes that read, write and describe its values."""

import json
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from abplatform.errors import SpecError
from abplatform.yaml_text import nearest, parse, plain, read
from abplatform.yaml_text.composer import MAX_BYTES, MAX_DEPTH
from abplatform.yaml_text.quantities import write_duration, write_share

HERE = Path("file.yaml")

REFUSED = {
    "%YAML 1.2\n---\na: 1": ("directive", 1, 1),
    "%TAG ! tag:x,2000:\n---\na: 1": ("directive", 1, 1),
    "%FOO x\n---\na: 1": ("directive", 1, 5),
    "a: !!str x": ("tag", 1, 4),
    "a: ! x": ("tag", 1, 4),
    "!!python/object/apply:os.system [ls]": ("tag", 1, 1),
    "? !!str a\n: b": ("tag", 1, 3),
    "a: &x 1": ("anchor", 1, 4),
    "&x a: 1": ("anchor", 1, 1),
    "a: 1\nb: *x": ("alias", 2, 4),
    "? *x\n: b": ("alias", 1, 3),
    "<<: *x": ("alias", 1, 5),
    "- a\n---\n- b": ("second_document", 2, 1),
    "a: 1\nb: 2\na: 3": ("duplicate_key", 3, 1),
    '1: a\n"1": b': ("duplicate_key", 2, 1),
    "? [a]\n: b": ("complex_key", 1, 3),
    "? a: b\n: c": ("complex_key", 1, 3),
    '"": b': ("complex_key", 1, 1),
    "a: [1\nb: 2": ("syntax", 1, 4),
    'a: "x': ("syntax", 1, 4),
    "a: b: c": ("syntax", 1, 5),
    "a:\n\tb: 1": ("tab", 2, 1),
    "ab: \x00": ("control_character", 1, 5),
    "a: 1\nab: \ud800": ("control_character", 2, 5),
    'a: "\\0"': ("control_character", 1, 4),
    '"\\e": 1': ("control_character", 1, 1),
    "a: 1e999": ("not_finite", 1, 4),
    "a: .NaN": ("not_finite", 1, 4),
    "a: -.inf": ("not_finite", 1, 4),
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_refused_names_its_rule_line_and_column(text):
    """Everything that gives YAML its surprises is refused, at its own line and column."""
    with pytest.raises(SpecError) as caught:
        parse(text, path=HERE)
    error = caught.value
    assert (error.code, error.line, error.column) == REFUSED[text]
    assert error.path == HERE
    assert error.remedy


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("NO", "NO"),
        ("yes", "yes"),
        ("on", "on"),
        ("y", "y"),
        ("true", True),
        ("False", False),
        ("1:30", "1:30"),
        ("190:20:30", "190:20:30"),
        ("0777", 777),
        ("0o17", 15),
        ("0xFf", 255),
        ("-0x1", "-0x1"),
        ("0b1", "0b1"),
        ("1_000", "1_000"),
        ("+12", 12),
        ("-1", -1),
        (".5", 0.5),
        ("5.", 5.0),
        ("1e3", 1000.0),
        ("1.5E-3", 0.0015),
        (".", "."),
        ("2026-11-22", "2026-11-22"),
        ("2026-11-22T10:00:00Z", "2026-11-22T10:00:00Z"),
        ("=", "="),
        ("<<", "<<"),
        ("~", None),
        ("", None),
        ("nUll", "nUll"),
        ("'1'", "1"),
        ('"true"', "true"),
        ("|\n  1", "1"),
        ("9" * 5000, "9" * 5000),
        ("40%", "40%"),
    ],
)
def test_scalars_follow_the_core_schema(text, value):
    """A plain scalar means what the YAML 1.2 core schema says, and a quoted one is a text."""
    found = plain(parse(f"a: {text}", path=HERE))
    assert found == {"a": value}
    assert type(found["a"]) is type(value)


def test_every_node_knows_its_place():
    """Values and keys know the line and column at which they begin, counted from 1."""
    root = parse("a: 1\nb:\n  - x\n  - {c: y, d: [z]}\n", path=HERE)
    assert (root.line, root.column) == (1, 1)
    assert root.key_places == {"a": (1, 1), "b": (2, 1)}
    assert (root.child("b", 0).line, root.child("b", 0).column) == (3, 5)
    assert root.child("b", 1).key_places == {"c": (4, 6), "d": (4, 12)}
    assert (root.child("b", 1, "d", 0).line, root.child("b", 1, "d", 0).column) == (4, 16)
    with pytest.raises(LookupError):
        root.child("a", 0)


def test_keys_are_words_as_written():
    """A key is a text even where a value would be a number, a truth value or nothing."""
    assert plain(parse("1: a\nno: b\nnull: c\n2.50: d", path=HERE)) == {
        "1": "a",
        "no": "b",
        "null": "c",
        "2.50": "d",
    }


@pytest.mark.parametrize("text", ["", "# only a comment", "---\n", "\ufeff"])
def test_an_empty_file_holds_nothing(text):
    """A file without a value is a node that holds nothing."""
    assert parse(text, path=HERE).value is None


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "{a: " * 60_000,
        "- " * 100_000 + "x",
        "".join("  " * depth + "a:\n" for depth in range(300)),
        "? " * 100_000,
    ],
)
def test_deep_nesting_is_refused(text):
    """Deep nesting is refused before it costs anything."""
    with pytest.raises(SpecError) as caught:
        parse(text, path=HERE)
    assert caught.value.code in {"too_deep", "complex_key", "syntax"}


def test_the_deepest_valid_nesting_is_read():
    """Nesting up to the limit is read, one more is refused."""
    parse("[" * MAX_DEPTH + "]" * MAX_DEPTH, path=HERE)
    with pytest.raises(SpecError, match="nested deeper than 32"):
        parse("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), path=HERE)


def test_the_billion_laughs_stay_silent():
    """A file of anchors that multiply is refused at its first anchor."""
    laughs = "a0: &a0 [lol]\n" + "".join(
        f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 10)
    )
    with pytest.raises(SpecError) as caught:
        parse(laughs, path=HERE)
    assert (caught.value.code, caught.value.line) == ("anchor", 1)


def test_size_is_bounded_in_text_and_on_disk(tmp_path):
    """At most 256 KB are read, counted in bytes."""
    path = tmp_path / "large.yaml"
    path.write_text("a: " + "x" * (MAX_BYTES - 3))
    assert len(read(path).child("a").value) == MAX_BYTES - 3
    path.write_text("a: " + "x" * (MAX_BYTES - 2))
    for attempt in (lambda: read(path), lambda: parse("é" * (MAX_BYTES // 2 + 1), path=path)):
        with pytest.raises(SpecError) as caught:
            attempt()
        assert caught.value.code == "too_large"


def test_bytes_that_are_no_utf8_are_placed(tmp_path):
    """A byte that is not UTF-8 is named with its line and column."""
    path = tmp_path / "latin1.yaml"
    path.write_bytes("owner: ü\nteam: ".encode() + b"\xfc\n")
    with pytest.raises(SpecError) as caught:
        read(path)
    assert (caught.value.code, caught.value.line, caught.value.column) == ("bad_encoding", 2, 7)
    assert "0xfc" in str(caught.value)


def test_unreadable_files_are_errors_of_ours(tmp_path):
    """A file that is absent, or is a folder, is refused with a sentence."""
    for path in (tmp_path / "absent.yaml", tmp_path):
        with pytest.raises(SpecError) as caught:
            read(path)
        assert caught.value.code == "unreadable"


def test_a_byte_order_mark_does_no_harm(tmp_path):
    """A file that an editor began with a byte order mark reads as if it had none."""
    path = tmp_path / "bom.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert read(path).key_places == {"a": (1, 1)}


_YAMLISH = st.text(alphabet=st.sampled_from("ab: -\n\t\r[]{},&*!|>'\"%#?@`~\\0\x00\u2028é.1<="))


def _answer(attempt):
    try:
        return attempt()
    except SpecError as error:
        return error


@given(st.one_of(st.text(), _YAMLISH, st.binary().map(lambda raw: raw.decode("latin-1"))))
@example("a: *\n")
@example("- !<x> y")
@example("a: |9\n x")
def test_hostile_text_never_crashes(text):
    """Whatever the text, the answer is a node or a SpecError with a place inside the text."""
    answer = _answer(lambda: parse(text, path=HERE))
    if isinstance(answer, SpecError):
        assert answer.remedy
        assert 1 <= (answer.line or 1) <= len(text) + 1


@given(st.binary(max_size=200))
def test_hostile_bytes_never_crash(tmp_path_factory, raw):
    """Whatever the bytes of a file, the answer is a node or a SpecError."""
    path = tmp_path_factory.getbasetemp() / "hostile.yaml"
    path.write_bytes(raw)
    assert _answer(lambda: read(path)).path == path


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**15), 10**15)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(min_codepoint=32, max_codepoint=126)),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(st.characters(min_codepoint=97, max_codepoint=122), min_size=1), inner
        )
    ),
    max_leaves=20,
)


@given(_JSON)
def test_plain_json_means_what_json_means(value):
    """JSON is YAML 1.2: what json.dumps writes is read back, type for type."""
    assert plain(parse(json.dumps(value), path=HERE)) == value


@given(st.lists(st.from_regex(r"\A[a-z]{1,8}\Z"), unique=True, min_size=1))
def test_common_ground_with_pyyaml(words):
    """Where YAML 1.1 and 1.2 agree, the composer agrees with PyYAML."""
    text = yaml.safe_dump({f"k{word}": [f"v{word}", 1, 2.5, None, True] for word in words})
    assert plain(parse(text, path=HERE)) == yaml.safe_load(text)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("hypotesis", "hypothesis"),
        ("Owner", "owner"),
        ("crt", "ctr"),
        ("zzz", None),
        ("", None),
        ("x" * 100_000, None),
    ],
)
def test_nearest_guesses_what_was_meant(word, expected):
    """A misspelt word finds the valid one; a stranger finds none, however long it is."""
    assert nearest(word, ["hypothesis", "owner", "ctr", "cvr", "layer"]) == expected


@given(st.floats(min_value=0, max_value=10))
def test_shares_are_written_exactly(value):
    """A share written in percent is the very same float when it is read."""
    assert float(Decimal(write_share(value).removesuffix("%")) / 100) == value


@pytest.mark.parametrize(
    ("hours", "text"), [(0, "0d"), (24, "24h"), (72, "3d"), (168, "7d"), (25, "25h"), (0.5, "30m")]
)
def test_durations_are_written_as_people_do(hours, text):
    """A length of time is written in the largest unit that people would use."""
    assert write_duration(timedelta(hours=hours)) == text


def test_fractions_of_a_second_are_no_duration():
    """A length of time that YAML cannot say is refused, not rounded."""
    with pytest.raises(ValueError, match="fraction"):
        write_duration(timedelta(microseconds=1))
