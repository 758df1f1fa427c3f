"""device_profiles/<id>.yaml -> a profile: scales compiled, addresses and faults checked, every example executed.

An example is documentation, test and contract in one block, so a profile whose examples fail is not used.
"""

from __future__ import annotations

import math
import struct
from dataclasses import replace
from typing import Literal

from gateway import fields, profiles, qualityfile, schema, units
from gateway.errors import FaultCode, Problem
from gateway.fields import instead
from gateway.profiles import Example, Profile, Value
from gateway.validation import amount_of, loosely, quantity_of, span_of, unit_of, validate
from gateway.yamlfile import Document, Path

Encoding = Literal["registers", "json"]
MANDATORY = ("normal", "lowest", "highest", "fault", "malformed")  # `fault` where the profile knows one
LAST_REGISTER = 65535


def profile(document: Document, stem: str) -> Profile | None:
    """The profile, or None where the document has problems. `stem` is the file's name without `.yaml`."""
    head = validate(schema.Profile, document)
    if head is not None and head.id != stem:
        document.add(("id",), f"'{head.id}' is not the file's name. Did you mean '{stem}'?")
    encoding: Encoding = "json" if document.mapping(()).get("encoding") == "json" else "registers"
    if head is not None and encoding == "json" and head.function is not None:
        document.add(("function",), "function is for registers only. Leave it out", at_key=True)
    names = document.mapping(("values",))
    found = [_value(document, ("values", name), encoding) for name in names]
    values = tuple(value for value in found if value)
    (_no_overlap if encoding == "registers" else _no_shared_path)(document, values)
    examples = _examples(document, encoding, values)
    if head is None or document.problems:
        return None
    result = Profile(
        id=head.id,
        vendor=head.vendor,
        model=head.model,
        source=head.source,
        encoding=head.encoding,
        values=values,
        examples=examples,
        function=head.function or "holding",
        digest=document.digest,
    )
    for example, sentence in failures(result):
        place = (example.line, example.col)
        document.problems.append(Problem(document.file, *place, f"example '{example.name}'", sentence))
    return None if document.problems else result


# --- values


def _value(document: Document, path: Path, encoding: Encoding) -> Value | None:
    before = len(document.problems)
    model: type[schema.RegisterValue] | type[schema.JsonValue]
    model = schema.RegisterValue if encoding == "registers" else schema.JsonValue
    row: schema.RegisterValue | schema.JsonValue | None = validate(model, document, path)
    judged = row or loosely(model, document, path)
    quantity = quantity_of(document, path, judged.quantity if judged else None, str(path[-1]))
    if judged is None or quantity is None:
        return None
    if judged.scale == 0:
        document.add((*path, "scale"), "0 would make every number the same. Write the size of one step")
    scale, offset = unit_of(document, path, judged.unit, quantity) or (1.0, 0.0)
    value = Value(
        name=str(path[-1]),
        quantity=quantity,
        unit=judged.unit,
        scale=(judged.scale or 1.0) * scale,
        offset=(judged.offset or 0.0) * scale + offset,
        span=span_of(document, (*path, "span"), judged.span, quantity),
        tests=qualityfile.of_sensor(document, path, quantity),
        faults=judged.faults or {},
    )
    if isinstance(row, schema.RegisterValue):
        value = replace(value, address=row.address, type=row.type, word_order=row.word_order)
        _fits_registers(document, path, value)
    elif isinstance(row, schema.JsonValue):
        value = replace(value, type="float64", path=row.path)
    return None if row is None or len(document.problems) > before else value


def _fits_registers(document: Document, path: Path, value: Value) -> None:
    if value.address + value.length - 1 > LAST_REGISTER:
        message = f"a {value.type} at {value.address} ends above {LAST_REGISTER}, the last register"
        document.add((*path, "address"), message)
    for key in document.mapping((*path, "faults")):
        if not _holds(value, fields.fault_number(key)):
            document.add((*path, "faults", key), f"{key} can never stand in {_range(value.type)}", at_key=True)


def _holds(value: Value, number: float) -> bool:
    """Whether the value's registers can say exactly this number."""
    fault = FaultCode.SENSOR_ERROR
    alone = Profile("", "", "", "", "registers", (replace(value, faults={number: fault}),))
    try:
        return profiles.decode(alone, profiles.encode(alone, {value.name: fault})) == {value.name: fault}
    except ValueError:
        return False


def _range(type_: str) -> str:
    if type_.startswith("float"):
        return f"a {type_}" + (" (seven digits)" if type_ == "float32" else "")
    bits = struct.calcsize(profiles.TYPES[type_]) * 8
    low, high = (0, 2**bits - 1) if type_.startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    return f"the type {type_} (whole numbers from {low} to {high})"


def _no_overlap(document: Document, values: tuple[Value, ...]) -> None:
    taken: dict[int, str] = {}
    for value in values:
        mine = range(value.address, value.address + value.length)
        other = next((taken[a] for a in mine if a in taken), None)
        if other is not None:
            message = f"registers {mine[0]} to {mine[-1]} overlap those of '{other}'"
            document.add(("values", value.name, "address"), message)
        taken.update((a, value.name) for a in mine if a not in taken)


def _no_shared_path(document: Document, values: tuple[Value, ...]) -> None:
    """Two paths part at some step, by two keys or two indexes: a number, a mapping and a list exclude each other."""
    for i, value in enumerate(values):
        for other in values[:i]:
            parting = next(((a, b) for a, b in zip(value.path, other.path, strict=False) if a != b), None)
            if parting is None or type(parting[0]) is not type(parting[1]):
                message = f"no text can have a number here and at the path of '{other.name}'"
                document.add(("values", value.name, "path"), message)


# --- examples


def _examples(document: Document, encoding: Encoding, values: tuple[Value, ...]) -> tuple[Example, ...]:
    stated = document.mapping(()).get("examples")
    items = stated if isinstance(stated, list) else []
    found: list[Example] = []
    seen: set[object] = set()
    for i, item in enumerate(items):
        example = _example(document, ("examples", i), encoding, values)
        found += [example] if example else []
        name = item.get("name") if isinstance(item, dict) else None
        if isinstance(name, str) and name in seen:
            document.add(("examples", i, "name"), f"a second example is named '{name}'. Choose another name")
        seen.add(name if isinstance(name, str) else None)
    wanted = [name for name in MANDATORY if name != "fault" or any(value.faults for value in values)]
    missing = [name for name in wanted if name not in seen]
    if missing:
        are = "example is" if len(missing) == 1 else "examples are"
        document.add(
            ("examples",), f"{are} missing: {', '.join(missing)}. Each profile has {', '.join(wanted)}", at_key=True
        )
    return tuple(found)


def _example(document: Document, path: Path, encoding: Encoding, values: tuple[Value, ...]) -> Example | None:
    row = validate(schema.Example, document, path)
    if row is None:
        return None
    raw = _raw(document, path, row, encoding)
    expect = _expect(document, (*path, "expect"), row, values)
    for name, fits in (("malformed", {FaultCode.MALFORMED}), ("fault", set(FaultCode))):
        if row.name == name and expect and not fits & {x for x in expect.values() if isinstance(x, FaultCode)}:
            remedy = "{fault: malformed}" if name == "malformed" else "{<value>: {fault: <code>}}"
            document.add((*path, "expect"), f"the example '{name}' expects no such fault. Write {remedy}", at_key=True)
    return Example(row.name, raw, expect, *document.place(path)) if raw is not None else None


def _raw(document: Document, path: Path, row: schema.Example, encoding: Encoding) -> dict[int, int] | bytes | None:
    """What the bus gave: words by address, or the bytes of a JSON text."""
    given = {"registers": row.registers, "json": row.json_text}
    other = "json" if encoding == "registers" else "registers"
    if given[other] is not None:
        document.add((*path, other), f"{other} does not belong to 'encoding: {encoding}'. Leave it out", at_key=True)
    if given[encoding] is None:
        form = "registers: {0: [0, 17, 1234]}" if encoding == "registers" else """json: '{"level": 123}'"""
        document.add(path, f"'{encoding}' is missing. Add for example {form}", at_key=True)
        return None
    if encoding == "json":
        return (row.json_text or "").encode()
    words: dict[int, int] = {}
    for address, block in (row.registers or {}).items():
        for i, word in enumerate(block):
            if address + i > LAST_REGISTER:
                document.add(
                    (*path, "registers", address, i), f"{address + i} is above {LAST_REGISTER}, the last register"
                )
            elif address + i in words:
                document.add((*path, "registers", address, i), f"register {address + i} stands twice. Keep one of them")
            words[address + i] = word
    return words


def _expect(
    document: Document, path: Path, row: schema.Example, values: tuple[Value, ...]
) -> dict[str, float | FaultCode]:
    """What each value must decode to; the key `fault` stands for every value."""
    known = {value.name: value for value in values}
    declared = [str(name) for name in document.mapping(("values",))]
    expect: dict[str, float | FaultCode] = {}
    for name, wanted in row.expect.items():
        if name == "fault":
            code = _fault(document, (*path, name), wanted)
            expect.update(dict.fromkeys(known, code) if code else {})
        elif name not in declared:
            message = f"the profile has no value '{name}'{instead(name, declared)}"
            document.add((*path, name), message, at_key=True)
        elif isinstance(wanted, FaultCode):
            expect[name] = wanted
        elif name in known:
            value = amount_of(document, (*path, name), wanted, known[name].quantity)
            expect.update({} if value is None else {name: value})
    return expect


def _fault(document: Document, path: Path, wanted: str | FaultCode) -> FaultCode | None:
    try:
        return fields.fault(wanted)
    except ValueError as e:
        document.add(path, str(e))
        return None


def failures(profile: Profile) -> list[tuple[Example, str]]:
    """The examples that do not decode to what they expect, each with a sentence."""
    out = []
    for example in profile.examples:
        decoded = profiles.decode(profile, example.raw)
        for name, wanted in example.expect.items():
            if not _same(decoded[name], wanted):
                whose = f"{name} " if len(example.expect) > 1 else ""
                out.append((example, f"{whose}{_compare(profile, name, decoded[name], wanted)}"))
    return out


def _same(a: float | FaultCode, b: float | FaultCode) -> bool:
    if isinstance(a, FaultCode) or isinstance(b, FaultCode):
        return a == b
    return math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-9)


def _compare(profile: Profile, name: str, decoded: float | FaultCode, wanted: float | FaultCode) -> str:
    value = profile.value(name)
    unit = units.QUANTITIES[value.quantity].unit if value else ""
    numbers = [f"{x:.9g}" for x in (decoded, wanted) if not isinstance(x, FaultCode)]
    # Both with the decimals of the finer one, so that the difference shows in one place.
    decimals = 9 if any("e" in n for n in numbers) else max((len(n.partition(".")[2]) for n in numbers), default=0)
    said = [f"the fault {x}" if isinstance(x, FaultCode) else f"{x:.{decimals}f} {unit}" for x in (decoded, wanted)]
    return f"decoded {said[0]}, expected {said[1]}"
