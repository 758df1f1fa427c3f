"""What editors are told of a profile: the JSON Schema in the repository is that of the code, takes every profile, and
marks what people mistype."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from gateway import editorschema, yamlfile

FOLDER = Path(__file__).parent.parent / "device_profiles"
FILES = sorted(FOLDER.glob("*.yaml"))
SCHEMA = editorschema.schema()

REGISTERS = """\
version: 1
id: acme
vendor: Acme
model: US10
source: unverified
encoding: registers
values:
  water_level: {unit: cm, address: 2, type: int16, span: [0 m, 10 m], faults: {-1: no_echo}}
  read_counter: {quantity: count, unit: count, address: 0, type: uint32}
examples:
  - {name: normal, registers: {0: [0, 1, 995]}, expect: {water_level: 9.950 m}}
  - {name: lowest, registers: {2: [0]}, expect: {water_level: 0 cm}}
  - {name: highest, registers: {2: [1000]}, expect: {water_level: 10 m}}
  - {name: fault, registers: {2: [0xFFFF]}, expect: {water_level: {fault: no_echo}}}
  - {name: malformed, registers: {9: [1]}, expect: {fault: malformed}}
"""
MISTAKES = [
    ("a key that there is not", "unit: cm,", "units: cm,"),
    ("a key that there is not at the top", "vendor:", "maker:"),
    ("a unit of another quantity", "unit: cm,", "unit: Cel,"),
    ("an unknown unit", "unit: cm,", "unit: furlong,"),
    ("an unknown quantity", "quantity: count", "quantity: counter"),
    ("a name that is no quantity", "quantity: count, ", ""),
    ("an unknown type", "type: int16", "type: int61"),
    ("an unknown encoding", "encoding: registers", "encoding: register"),
    ("a frame of registers", "encoding: registers", "encoding: registers\nframe: {length: 4}"),
    ("a byte of registers", "address: 2", "byte: 2"),
    ("an address that is none", "address: 2", "address: 65536"),
    ("an unknown fault", "-1: no_echo", "-1: no_ecko"),
    ("an example without unit", "9.950 m", "9.950"),
    ("an unknown fault in an example", "{fault: malformed}", "{fault: broken}"),
    ("an example in bytes", "registers: {2: [0]}", "hex: FF 00"),
    ("a span of one end", "[0 m, 10 m]", "[0 m]"),
    ("a name with capitals", "id: acme", "id: Acme"),
    ("another version", "version: 1", "version: 2"),
    ("no examples", "  - {name: normal", "  # {name: normal"),
]


def _mistakes(text: str) -> list[str]:
    """What an editor marks: JSON knows no keys that are numbers."""
    document = yamlfile.parse(text.encode(), "")
    assert document.readable
    return [error.message for error in Draft7Validator(SCHEMA).iter_errors(json.loads(json.dumps(document.value)))]


def test_the_schema_is_current() -> None:
    """The file beside the profiles is what `suimon profile schema` prints."""
    remedy = f"write it anew: .venv/bin/suimon profile schema > device_profiles/{editorschema.FILE}"
    assert (FOLDER / editorschema.FILE).read_text(encoding="utf-8") == editorschema.text(), remedy


def test_it_is_draft_7() -> None:
    """The dialect that yaml-language-server reads."""
    assert SCHEMA["$schema"] == Draft7Validator.META_SCHEMA["$id"]
    Draft7Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_profile_fits(file: Path) -> None:
    """What loads is not marked, and its first line leads an editor to the schema."""
    text = file.read_text(encoding="utf-8")
    assert text.splitlines()[0] == editorschema.MODELINE
    assert _mistakes(text) == []


def test_the_good_profile_fits() -> None:
    """What the mistakes are made in has none."""
    assert _mistakes(REGISTERS) == []


@pytest.mark.parametrize(("old", "new"), [row[1:] for row in MISTAKES], ids=[row[0] for row in MISTAKES])
def test_a_mistake_is_marked(old: str, new: str) -> None:
    """Each mistake is seen in the editor, before any check."""
    assert old in REGISTERS
    assert _mistakes(REGISTERS.replace(old, new, 1)) != []


def _keys(node: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(node, list):
        for item in node:
            yield from _keys(item)
    elif isinstance(node, dict):
        if node.get("additionalProperties") is False:
            yield from node["properties"].items()
        for item in node.values():
            yield from _keys(item)


def test_every_key_is_described() -> None:
    """Whoever points at a key reads what it means."""
    assert sorted({key for key, form in _keys(SCHEMA) if "description" not in form and form.get("$ref") is None}) == []
