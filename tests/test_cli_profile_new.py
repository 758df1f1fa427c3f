"""`suimon profile new`: from what a datasheet says to a file that checks, asked or by options."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator
from typer.testing import CliRunner, Result

from gateway import editorschema, profiledraft, profilefile, yamlfile
from gateway.cli.main import app
from gateway.errors import ConfigError, Problem
from gateway.profiledraft import Draft
from gateway.profiles import Profile

LEVEL = "water_level: {unit: mm, address: 2, type: int16, span: [0 m, 10 m], faults: {-32768: no_echo}, source: p. 12}"
VOLTAGE = "battery_voltage: {unit: mV, address: 3, type: uint16}"
# encoding -> further keys and values, as options
OPTIONS = {
    "registers": (["function: input", "sampled: {warm_up: 10s}"], [LEVEL, VOLTAGE]),
    "binary": (
        ["frame: {start: FF, length: 4, checksum: sum8}"],
        ['distance: {unit: mm, byte: 1, type: uint16, span: [30 mm, 4500 mm], faults: {"<30": above_span}}'],
    ),
    "text": (
        ['frame: {start: R, end: "\\r", separator: ","}'],
        [
            "distance: {unit: mm, field: 0, span: [300 mm, 5 m], faults: {9999: no_echo}}",
            "battery_voltage: {unit: V, field: 1, after: V}",
        ],
    ),
    "json": (
        [],
        [
            "water_level: {unit: cm, path: level.0.v, span: [0 m, 4 m]}",
            "door: {quantity: contact, unit: /, path: d, words: {open: 1, shut: 0}}",
        ],
    ),
    "named": ([], ["water_temperature: {unit: Cel, input: temperature, scale: 0.001, span: [-55 Cel, 125 Cel]}"]),
    "radio": (
        ["frame: {tags: {04 82: 2, 01 75: 1}}"],
        [
            "distance: {unit: mm, tag: 04 82, byte: 0, type: uint16, span: [0 m, 10 m]}",
            "battery_level: {unit: '%', tag: 01 75, byte: 0, type: uint8, span: [0 %, 100 %], optional: true}",
        ],
    ),
}
# what is typed after vendor and model: name of the file, source, encoding, what belongs to it, values, answers
ASKED = {
    "registers": [
        *("", "", "registers", "x", "input", "x", "8N1", "19200", "8E1"),
        *("water_level", "mm", "2", "int16", "", "0 m", "10 m", "5 mm", "-32768", "no_echo", "p. 12"),
        *("flow", "l/s", "4", "uint32", "little", "0.1", "", "", "", ""),
        *("", ""),
    ],
    "binary": [
        *("", "", "binary", "XX", "", "4", "sum8", "FF", "", "4", "sum8", ""),
        *("distance", "mm", "1", "", "", "", "30 mm", "4500 mm", "", "<30", "above_span", "", "", ""),
    ],
    "text": [
        *("", "", "text", "R", "\\r", "", "", "9600", "", "R?\\n"),
        *("distance", "mm", "", "", "", "300 mm", "5000 mm", "", "5000", "no_echo", ""),
        *("mm", "", "", "", "300 mm", "4999 mm", "", "5000", "no_echo", "", "", ""),
    ],
    "json": [
        *("", "", "json", "water_level", "cm", "level.value", "", "0 m", "4 m", "", "", "", ""),
        *('{"level": {"value": 123}}', "normal", "manual, p. 3", "1.23 m", ""),
    ],
    "named": ["", "", "named", "water_temperature", "", "temperature", "0.001", "-55 Cel", "125 Cel", *[""] * 5],
}


def new(folder: Path, *words: str, typed: Sequence[str] = (), expect: int = 0) -> Result:
    command = ["profile", "new", "--folder", str(folder), "--vendor", "Acme", "--model", "US-10", *words]
    done = CliRunner().invoke(app, command, input="".join(f"{line}\n" for line in typed))
    assert done.exit_code == expect, done.output
    return done


def written(folder: Path, name: str = "acme_us_10") -> Profile:
    """The file: it checks, its examples hold, an editor marks nothing."""
    text = (folder / f"{name}.yaml").read_text(encoding="utf-8")
    document = yamlfile.parse(text.encode(), name)
    profile = profilefile.profile(document, name)
    assert document.problems == []
    assert profile is not None
    assert text.splitlines()[0] == editorschema.MODELINE
    schema = json.loads((folder / editorschema.FILE).read_text(encoding="utf-8"))
    marked = Draft7Validator(schema).iter_errors(json.loads(json.dumps(document.value)))
    assert [error.message for error in marked] == []
    assert CliRunner().invoke(app, ["profile", "test", str(folder / f"{name}.yaml")]).exit_code == 0
    return profile


def options(form: str) -> list[str]:
    keys, values = OPTIONS[form]
    words = ["--encoding", "binary" if form == "radio" else form, "--source", "US-10 manual: 1.2"]
    return [*words, *(w for key in keys for w in ("--key", key)), *(w for one in values for w in ("--value", one))]


@pytest.mark.parametrize("form", OPTIONS)
def test_every_answer_as_an_option(form: str, tmp_path: Path) -> None:
    """Nothing is asked; the file has every mandatory example, made by us and marked so, and is unverified for it."""
    done = new(tmp_path, *options(form))
    profile = written(tmp_path)
    assert [value.name for value in profile.values] == [x.partition(":")[0] for x in OPTIONS[form][1]]
    names = {example.name: example.derived for example in profile.examples}
    fault = {"fault": True} if any(value.faults for value in profile.values) else {}
    assert names == {"normal": True, "lowest": True, "highest": True, **fault, "malformed": False}
    assert not profile.verified
    assert "it is unverified until real ones stand in their place" in done.stdout
    assert "US-10 manual: 1.2" in (tmp_path / "acme_us_10.yaml").read_text()


@pytest.mark.parametrize("form", ASKED)
def test_every_answer_asked(form: str, tmp_path: Path) -> None:
    """A person is asked, and asked again where an answer cannot be."""
    done = new(tmp_path, typed=ASKED[form])
    profile = written(tmp_path)
    assert profile.encoding == form
    again = {"binary": "'XX' are no bytes", "text": "would be read as the fault no_echo", "registers": "'x' is none of"}
    assert again.get(form, "") in done.output


def test_what_was_asked_is_what_is_written(tmp_path: Path) -> None:
    """Each answer stands where it belongs."""
    new(tmp_path, typed=ASKED["registers"])
    profile = written(tmp_path)
    level, flow = profile.values
    assert (profile.function, level.accuracy, level.source) == ("input", 0.005, "p. 12")
    assert (level.span, level.scale, level.at.address) == ((0.0, 10.0), 0.001, 2)  # type: ignore[union-attr]
    assert (flow.at.type, flow.at.word_order) == ("uint32", "little")  # type: ignore[union-attr]
    assert flow.scale == pytest.approx(0.0001)
    assert (profile.asked.baud, profile.asked.format) == (19200, "8E1")
    new(tmp_path / "text", typed=ASKED["text"])
    assert written(tmp_path / "text").asked.send == b"R?\n"
    new(tmp_path / "json", typed=ASKED["json"])
    (normal,) = (x for x in written(tmp_path / "json").examples if x.name == "normal")
    assert (normal.derived, normal.place, normal.expect) == (False, "manual, p. 3", {"water_level": 1.23})


def test_real_examples_make_it_verified(tmp_path: Path) -> None:
    """With every mandatory example from the document, the file names it as its source."""
    examples = [
        "{name: normal, place: 'manual, p. 14', registers: {2: [1234]}, expect: {water_level: 1.234 m}}",
        "{name: lowest, registers: {2: [0]}, expect: {water_level: 0 m}}",
        "{name: highest, registers: {2: [10000]}, expect: {water_level: 10 m}}",
        "{name: fault, registers: {2: [0x8000]}, expect: {water_level: {fault: no_echo}}}",
    ]
    given = [word for example in examples for word in ("--example", example)]
    words = ["--encoding", "registers", "--source", "US-10 manual 1.2", "--value", LEVEL, "--id", "us10", *given]
    assert "unverified" not in new(tmp_path, *words).stdout
    profile = written(tmp_path, "us10")
    assert profile.verified
    assert profile.source == "US-10 manual 1.2"
    assert len(profile.examples) == 5


FAILS = "{name: normal, registers: {2: [1]}, expect: {water_level: 1 m}}"
WRONG = [
    ("an unknown unit", ["--value", LEVEL.replace("mm", "mX")], "values.water_level.unit: unknown unit 'mX'"),
    ("a range that does not fit", ["--value", LEVEL.replace("10 m", "40 m")], "values.water_level: the highest value"),
    ("a range that is a fault", ["--value", LEVEL.replace("-32768", "0")], "its lowest value 0 would be read as the f"),
    ("a value without a name", ["--value", "water_level"], "'water_level' is no 'key: value'. Write it as in the fi"),
    ("no YAML", ["--value", "water_level: {unit"], "this '{' is not closed"),
    ("an unknown key", ["--value", LEVEL, "--key", "functoin: input"], "functoin: unknown key 'functoin'. Did"),
    ("an example that is none", ["--value", LEVEL, "--example", "normal"], "write it as in the file: '{name: normal"),
    ("an example that fails", ["--value", LEVEL, "--example", FAILS], "example 'normal': decoded 0.001 m, expected "),
    ("an unknown encoding", ["--value", LEVEL, "--encoding", "modbus"], "encoding: 'modbus' is not known"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "expected"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_what_is_wrong_is_told_and_nothing_written(words: list[str], expected: str, tmp_path: Path) -> None:
    """Each mistake with its remedy; no half of a file stays."""
    given = ["--source", "unverified", *([] if "--encoding" in words else ["--encoding", "registers"])]
    assert expected in new(tmp_path, *given, *words, expect=3).stderr
    assert list(tmp_path.iterdir()) == []


def test_no_file_is_overwritten(tmp_path: Path) -> None:
    """What somebody has mended by hand stays."""
    new(tmp_path, *options("registers"))
    (tmp_path / "acme_us_10.yaml").write_text("mine")
    assert "is there already" in new(tmp_path, *options("registers"), expect=3).stderr
    assert (tmp_path / "acme_us_10.yaml").read_text() == "mine"


def test_words_and_columns(tmp_path: Path) -> None:
    """A value that is said in words has its examples in words; a line that is too short is its broken answer."""
    words = ["--encoding", "text", "--source", "unverified", "--key", 'frame: {end: "\\n"}']
    new(tmp_path, *words, "--value", "contact: {unit: /, columns: [0, 0], words: {a: 1}}")
    assert [x.name for x in written(tmp_path).examples] == ["normal", "lowest", "highest", "malformed"]


def test_a_fault_that_its_type_cannot_say(tmp_path: Path) -> None:
    """A number that stands for a fault and that the type never has is a problem, told with its place."""
    frame = ["--encoding", "binary", "--source", "manual", "--key", "frame: {start: FF, length: 4, checksum: sum8}"]
    value = 'distance: {unit: mm, byte: 1, type: uint16, span: [30 mm, 4500 mm], faults: {"<-.7": above_span}}'
    told = new(tmp_path, *frame, "--value", value, expect=3).stderr
    assert "values.distance: the fault example does not fit its place (distance: -1.7 does not fit uint16)" in told


@given(st.sampled_from(list(OPTIONS)), st.data())
def test_no_answer_crashes_it(form: str, data: st.DataObject) -> None:
    """Whatever is typed becomes a file that checks, or problems."""
    keys, values = OPTIONS[form]
    texts = [*keys, *values]
    which = data.draw(st.integers(0, len(texts) - 1))
    a, b = sorted(data.draw(st.tuples(*[st.integers(0, len(texts[which]))] * 2)))
    texts[which] = texts[which][:a] + data.draw(st.text("{}[]:,'\"#&*-0x1.m \n", max_size=4)) + texts[which][b:]
    problems, out = list[Problem](), ""
    try:
        found = [profiledraft.parsed(text, "") for text in texts]
        if not all(isinstance(x, dict) for x in found):
            return
        more = {name: part for one in found[: len(keys)] for name, part in one.items()}
        stated = {str(name): part for one in found[len(keys) :] for name, part in one.items()}
        encoding = "binary" if form == "radio" else form
        out = profiledraft.text(Draft("acme", "Acme", "X", "manual", encoding, more, stated))
    except ConfigError as e:
        problems = e.problems
    assert bool(out) != bool(problems)
