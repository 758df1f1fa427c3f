"""What an editor is told of a profile: the rows of `profileschema` as one JSON Schema, draft 7, which editors use for
completion, for documentation on hover, and for marking what is wrong as it is typed.

It says the form and, of the rest, which unit belongs to which quantity; what numbers mean to each other only
`suimon profile check` knows. Nothing that loads is refused by it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from gateway import fields, profileschema, qualityfile, units, yamlfile
from gateway.examplefile import MANDATORY, RAW
from gateway.profiles import ENCODINGS

FILE = "profile.schema.json"  # beside the profiles, where their modeline finds it
MODELINE = f"# yaml-language-server: $schema={FILE}"
_DRAFT = "http://json-schema.org/draft-07/schema#"
_FRAMES: dict[str, type[BaseModel]] = {"binary": profileschema.BinaryFrame, "text": profileschema.TextFrame}
_QUALITY: dict[str, type[BaseModel]] = {
    "spike": qualityfile.SpikeRow,
    "flat_line": qualityfile.FlatLineRow,
    "attenuated": qualityfile.AttenuatedRow,
}
Schema = dict[str, Any]


def text() -> str:
    """The file `profile.schema.json`."""
    return json.dumps(schema(), ensure_ascii=False, indent=1) + "\n"


def schema() -> Schema:
    """The JSON Schema of a profile."""
    rows: list[type[BaseModel]] = [profileschema.Profile, profileschema.Example, qualityfile.SensorQuality]
    rows += [*_FRAMES.values(), *profileschema.VALUES.values(), *profileschema.STATUS.values(), *_QUALITY.values()]
    known = _definitions(rows)
    head, example = known.pop("Profile"), known.pop("Example")
    for name, row in _QUALITY.items():
        _refine(known["SensorQuality"], name, {"anyOf": [{"const": "off"}, _ref(row.__name__)]})
    for row in profileschema.VALUES.values():
        _value(known[row.__name__])
    head["properties"]["values"] |= _by_name()
    return {
        "$schema": _DRAFT,
        "title": "A sensor model of Suimon, version 1",
        "description": "How a sensor model is read and decoded. 'suimon profile check' knows more than an editor.",
        **head,
        "allOf": [_encoded(encoding, example) for encoding in ENCODINGS],
        "definitions": known | _words(),
    }


# --- what belongs together


def _encoded(encoding: str, example: Schema) -> Schema:
    """What follows from an encoding: the form of its values, status, frame and examples."""
    value, status = profileschema.VALUES[encoding].__name__, profileschema.STATUS[encoding].__name__
    whole: Schema = {
        "values": {"additionalProperties": _ref(value)},
        "status": {"items": _ref(status)},
        "frame": _ref(_FRAMES[encoding].__name__) if encoding in _FRAMES else False,
        "examples": {
            "items": _example(example, RAW[encoding][0]),
            "allOf": [{"contains": {"properties": {"name": {"const": name}}}} for name in MANDATORY if name != "fault"],
        },
    }
    if encoding != "registers":
        whole["function"] = False
    when = {"properties": {"encoding": {"const": encoding}}, "required": ["encoding"]}
    return {"if": when, "then": {"properties": whole}}


def _by_name() -> Schema:
    """A value whose name is a quantity need not say which."""
    named = {q: {"if": {"required": ["quantity"]}, "else": _ref(f"unit of {q}")} for q in units.QUANTITIES}
    return {"properties": named, "additionalProperties": {"required": ["quantity"]}}


def _value(row: Schema) -> None:
    """Quantity and unit are among those there are, and fit each other."""
    _refine(row, "quantity", _ref("quantity"))
    _refine(row, "unit", _ref("unit"))
    _refine(row, "quality", _ref("SensorQuality"))
    row["allOf"] = [
        {"if": {"properties": {"quantity": {"const": q}}, "required": ["quantity"]}, "then": _ref(f"unit of {q}")}
        for q in units.QUANTITIES
    ]


def _words() -> Schema:
    """The lists that words are chosen from."""
    every = sorted({unit for quantity in units.QUANTITIES.values() for unit in quantity.accepts})
    closed = {"fault": fields.A_FAULT, "quantity": {"enum": list(units.QUANTITIES)}, "unit": {"enum": every}}
    return closed | {
        f"unit of {name}": {"properties": {"unit": {"enum": list(quantity.accepts)}}}
        for name, quantity in units.QUANTITIES.items()
    }


def _example(row: Schema, raw: str) -> Schema:
    """An example says what the bus gave in the one way of its encoding."""
    others = {key for key, _ in RAW.values()} - {raw}
    kept = {key: form for key, form in row["properties"].items() if key not in others}
    kept["expect"] = {**kept["expect"], "properties": {"fault": _ref("fault")}}  # of every value
    return {**row, "properties": kept, "required": [*row["required"], raw]}


# --- from pydantic's form to that of draft 7


def _definitions(rows: list[type[BaseModel]]) -> dict[str, Schema]:
    wanted = [(row, "validation") for row in dict.fromkeys(rows)]
    _, found = models_json_schema(wanted, ref_template="#/definitions/{model}")  # type: ignore[arg-type]
    tidy: dict[str, Schema] = {name: _tidy(row) for name, row in found["$defs"].items()}
    return tidy


def _tidy(node: Any) -> Any:
    """Without what editors would only be confused by: names of our classes, nothing as a value, what says nothing."""
    if isinstance(node, list):
        return [_tidy(item) for item in node]
    if not isinstance(node, dict):
        return node
    if node == fields.A_FAULT:
        return _ref("fault")
    out: Schema = {}
    for key, value in node.items():
        if key == "properties":
            out[key] = {name: _tidy(form) for name, form in value.items()}
        elif key == "anyOf" and (some := [x for x in value if x != {"type": "null"}]) != value:
            out.update(_tidy(some[0]) if len(some) == 1 else {"anyOf": _tidy(some)})
        elif key == "patternProperties":  # of pydantic for the form of names, which hides what other names are
            out["propertyNames"] = {"pattern": next(iter(value))}
        elif key == "examples":
            out |= {"examples": meant} if (meant := [_meant(x) for x in value if x]) else {}
        elif not _says_nothing(key, value):
            out[key] = _tidy(value)
    said = node.get("description")  # of the key, before that of its kind
    if not isinstance(said, str):
        return out
    return (_referred(out) if "$ref" in out else out) | {"description": said}


def _says_nothing(key: str, value: object) -> bool:
    return (
        (key == "title" and isinstance(value, str))
        or (key == "default" and value in (None, "", [], {}))
        or (key == "additionalProperties" and value is True)
    )


def _meant(example: str) -> object:
    """An example of `need`, as YAML reads it."""
    value: Mapping[str, object] = yamlfile.parse(f"it: {example}".encode(), "").value
    return value["it"]


def _refine(row: Schema, key: str, form: Schema) -> None:
    """The form of a key that pydantic leaves open, or says too little of. Its description stays."""
    said = row["properties"][key].get("description")
    row["properties"][key] = _referred(form) if "$ref" in form else dict(form)
    if said:
        row["properties"][key]["description"] = said


def _referred(form: Schema) -> Schema:
    """A reference with something beside it: draft 7 reads nothing beside `$ref`."""
    return {"allOf": [{"$ref": form["$ref"]}]}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/definitions/{name}"}
