"""YAML with line and column: what is read, what is refused, and where it says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import yamlfile


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("False", False),
        ("0", 0),
        ("-17", -17),
        ("+5", 5),
        ("0x8000", 32768),
        ("1.50", 1.5),
        ("-.5", -0.5),
        ("1e3", 1000.0),
        ("60s", "60s"),
        ("on", "on"),  # PyYAML: true
        ("no", "no"),  # PyYAML: false, and Norway
        ("12:30", "12:30"),  # PyYAML: 750
        ("2026-06-01", "2026-06-01"),  # PyYAML: a date
        ("1_000", "1_000"),  # PyYAML: 1000
        ("0o17", "0o17"),
        ("=", "="),
        ("'012'", "012"),
        ('"true"', "true"),
        ("春日橋", "春日橋"),
        ("-", [None]),
        ("18446744073709551615", 2**64 - 1),
    ],
)
def test_scalars(text: str, value: Any) -> None:
    """A plain scalar is read as YAML 1.2 has it; what PyYAML guesses stays text."""
    document = yamlfile.parse(f"key: {text}".encode() if text != "-" else b"key:\n-", "x.yaml")
    assert document.value == {"key": value}
    assert type(document.value["key"]) is type(value)


REFUSED = [
    (
        "a leading zero is ambiguous",
        "a: 012",
        "1:4 a: 012 could be 12 or an octal number. Write 12, or '012' in quotes",
    ),
    ("not a number", "a: .nan", "1:4 a: .nan is not a finite number"),
    ("infinity", "a: [1, -.inf]", "1:8 a[1]: -.inf is not a finite number"),
    ("a number beyond every float", "a: 1e999", "1:4 a: 1e999 is not a finite number"),
    ("more digits than any number here", "a: 123456789012345678901", "1:4 a: 123456789012345678901… has more than 20"),
    ("nothing after a key", "a:\nb: 1", "1:3 a: has no value. Give it one or leave it out"),
    ("null in a list", "a: [1, ~]", "1:8 a[1]: has no value"),
    ("a key twice", "a: 1\nb: 2\na: 3", "3:1 a: the key stands twice, first in line 1. Keep one of them"),
    ("a key twice, once in quotes", 'x: {a: 1, "a": 2}', "1:11 x.a: the key stands twice, first in line 1"),
    ("a merge key", "a: &x {b: 1}\nc:\n  <<: *x", "3:3 c.<<: merge keys are not read. Write the keys out"),
    ("a tag", "a: !!python/name:os.system x", "1:4 a: the tag '!!python/name:os.system' is not read. Leave it out"),
    ("a mapping as key", "? {a: 1}\n: 2", "1:3 a key is one word, not a list or mapping"),
    ("a tab as indentation", "a:\n\tb: 1", "2:1 a tab cannot indent. Use spaces"),
    ("two colons in a line", "a: b: c", "1:5 no key ends at this ':'. Put text that holds ': ' in quotes"),
    ("no space after the colon", "a:1\nb: 2", "2:2 no key ends at this ':'."),
    ("a list that is not closed", "a: [1\nb: 2", "1:4 this '[' is not closed by ']' before line 2"),
    ("a mapping that is not closed", "a: {b: 1\nc: 2", "1:4 this '{' is not closed by '}' before line 2"),
    ("a quote that is not closed", "a: 'b\nc: 2", "1:4 this quote is never closed"),
    ("a key without colon", "a: 1\nb\nc: 2", "2:1 this key has no ':'"),
    (
        "an indentation that fits nothing",
        "a:\n    b: 1\n  c: 2",
        "3:3 the mapping that begins in line 1 does not go on",
    ),
    ("a list under a key's text", "a: - b", "1:4 a list cannot begin here. Put '- ' on a line of its own"),
    ("text that begins with @", "a: @b", "1:4 '@' cannot begin a value. Put the text in quotes"),
    ("an alias of nothing", "a: *x", "1:4 no anchor '&…' of this name stands above"),
    ("an anchor twice", "a: &x 1\nb: &x 2", "2:4 this anchor's name was already used in line 1"),
    ("two documents", "a: 1\n---\nb: 2", "2:1 a second document begins here. Keep one in a file"),
    ("a backslash in double quotes", 'a: "C:\\q"', "1:7 an unknown escape in double quotes"),
    ("half of a pair as escape", 'a: "\\ud83d"', "1:7 this escape is no character"),
    ("a control character", "a: 1\nb: x\x07", "2:5 a control character (U+0007) stands here. Remove it"),
    ("an alias of what contains it", "a: &x [*x]", "1:1 the aliases unfold to too many values"),
]


@pytest.mark.parametrize(("text", "expected"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_refused(text: str, expected: str) -> None:
    """Each mistake is one problem, with its place and what would be right."""
    (problem,) = yamlfile.parse(text.encode(), "x.yaml").problems
    assert str(problem).startswith(f"x.yaml:{expected}")


def test_all_mistakes_are_told_at_once() -> None:
    """A mistake hides none of the others, and what is right is read."""
    document = yamlfile.parse(b"a: 012\nb: .nan\nc: 1\nc: 2\nd: fine\n", "x.yaml")
    assert [problem.line for problem in document.problems] == [1, 2, 4]
    assert document.value["c"] == 1
    assert document.value["d"] == "fine"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("a: 1\n名前: 春日橋\n".encode("cp932"), "x.yaml:2:1 not UTF-8 (byte 0x96). Save the file as UTF-8"),
        (b"\xff\xfea\x00", "x.yaml:1:1 not UTF-8 (byte 0xFF)"),
        (b"a: " + b"x" * yamlfile.MAX_BYTES, "x.yaml:1:1 8000003 bytes are more than the 8000000 that are read"),
    ],
    ids=["Shift_JIS", "UTF-16", "too long"],
)
def test_bytes_that_are_no_text(data: bytes, expected: str) -> None:
    """What is not UTF-8, or far too long, is a problem at its first bad byte."""
    document = yamlfile.parse(data, "x.yaml")
    assert not document.readable
    assert str(document.problems[0]).startswith(expected)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """A missing file and a folder in its place are problems, not exceptions."""
    assert str(yamlfile.read(tmp_path / "no.yaml", "no.yaml").problems[0]) == "no.yaml:1:1 no such file"
    assert str(yamlfile.read(tmp_path, "x.yaml").problems[0]) == "x.yaml:1:1 cannot be read (is a directory)"


def test_byte_order_mark_is_skipped() -> None:
    """A file that an editor on Windows saved is read like any other."""
    assert yamlfile.parse(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n", "x.yaml").value == {"a": 1, "b": 2}


@pytest.mark.parametrize("text", ["[" * 100_000, "- " * 100_000, "{a: " * 100_000, "a: " + "[" * 60 + "]" * 60])
def test_depth_is_bounded(text: str) -> None:
    """Deep nesting is a problem and no crash of the C parser."""
    (problem,) = yamlfile.parse(text.encode(), "x.yaml").problems
    assert "more than 50 levels inside each other" in problem.message


def test_alias_bomb_is_bounded() -> None:
    """Aliases of aliases that would unfold to 10^12 values are refused before they are built."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    (problem,) = yamlfile.parse("\n".join(lines).encode(), "x.yaml").problems
    assert problem.message == "the aliases unfold to too many values. Write them out"


def test_aliases_repeat_a_value() -> None:
    """An alias stands for the whole value, which keeps its own place."""
    document = yamlfile.parse(b"a: &x {unit: m}\nb: *x\n", "x.yaml")
    assert document.value == {"a": {"unit": "m"}, "b": {"unit": "m"}}
    assert document.place(("b", "unit")) == (1, 14)


def test_places() -> None:
    """Keys and values have their own places; what does not exist has that of the nearest thing around it."""
    document = yamlfile.parse("stations:\n  春日橋: {unit: m}\n  b:\n    - x\n    - y: [1, 2]\n".encode(), "x.yaml")
    assert document.key_place(("stations",)) == (1, 1)
    assert document.place(("stations",)) == (2, 3)
    assert document.key_place(("stations", "春日橋", "unit")) == (2, 9)
    assert document.place(("stations", "春日橋", "unit")) == (2, 15)
    assert document.place(("stations", "b", 1, "y", 1)) == (5, 14)
    assert document.key_place(("stations", "b", 0)) == (4, 7)
    assert document.key_place(("stations", "b", "none", "deeper")) == (3, 3)
    document.add(("stations", "b", 1, "y", 1), "is wrong")
    assert str(document.problems[0]) == "x.yaml:5:14 stations.b[1].y[1]: is wrong"


# Text without what YAML forbids; null has no meaning in our files.
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn"], exclude_characters="\ufeff\u2028\u2029"))
VALUES = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_json_is_read_back(value: Any) -> None:
    """Every JSON text is YAML, and reading it gives what was written."""
    document = yamlfile.parse(json.dumps(value, ensure_ascii=False).encode(), "x.yaml")
    assert document.problems == []
    assert document.value == value


@given(VALUES)
def test_every_place_is_where_the_value_stands(value: Any) -> None:
    """At the place of each number, text and key its own text stands in the file."""
    text = json.dumps(value, ensure_ascii=False, indent=1)
    lines = text.split("\n")
    document = yamlfile.parse(text.encode(), "x.yaml")

    def look(part: Any, path: yamlfile.Path) -> None:
        line, col = document.place(path)
        rest = lines[line - 1][col - 1 :]
        if isinstance(part, dict):
            for key, inner in part.items():
                key_line, key_col = document.key_place((*path, key))
                assert lines[key_line - 1][key_col - 1 :].startswith(json.dumps(key, ensure_ascii=False))
                look(inner, (*path, key))
        elif isinstance(part, list):
            for i, inner in enumerate(part):
                look(inner, (*path, i))
        else:
            assert rest.startswith(json.dumps(part, ensure_ascii=False))

    look(value, ())


@given(st.binary() | st.text(alphabet=" \n\t:-[]{}&*!|>'\"%@`#?,.0129abné水<~\\").map(str.encode))
def test_no_content_raises(data: bytes) -> None:
    """Whatever bytes a file holds, reading it gives a document whose problems have a place."""
    document = yamlfile.parse(data, "x.yaml")
    assert all(problem.line >= 1 and problem.col >= 1 for problem in document.problems)
    assert document.readable or document.problems
    assert not any("not YAML: while" in problem.message for problem in document.problems)
