"""The examples of a profile: what the bus gave and what it must decode to, each executed."""

from __future__ import annotations

import math
from typing import Any

from gateway import fields, profiles, profileschema, units
from gateway.errors import FaultCode
from gateway.fields import instead
from gateway.profiles import UNVERIFIED, EncodingName, Example, Profile, Raw, Value
from gateway.validation import amount_of, loosely, validate
from gateway.yamlfile import Document, Path

MANDATORY = ("normal", "lowest", "highest", "fault", "malformed")  # `fault` where the profile knows one
LAST_REGISTER = 65535
RAW = {  # how an example of each encoding says what the bus gave: its key, and the form of it
    "registers": ("registers", "registers: {0: [0, 17, 1234]}"),
    "binary": ("hex", "hex: 'FF 04 D2 D5'"),
    "text": ("text", 'text: "R1234\\r"'),
    "json": ("json", """json: '{"level": 123}'"""),
    "named": ("named", "named: {in_temp_input: 21500}"),
}


def examples(
    document: Document, encoding: EncodingName, values: tuple[Value, ...], with_fault: bool
) -> tuple[Example, ...]:
    stated = document.mapping(()).get("examples")
    verified = document.mapping(()).get("source") != UNVERIFIED
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
        if isinstance(item, dict) and name in MANDATORY and item.get("derived") is True and verified:
            message = f"'{name}' is one that every profile must have from its sensor, not from our own encoder. "
            message += f"Put a real one in its place, or write 'source: {UNVERIFIED}'"
            document.add(("examples", i, "derived"), message, at_key=True)
    wanted = [name for name in MANDATORY if name != "fault" or with_fault]
    missing = [name for name in wanted if name not in seen]
    if missing:
        are = "example is" if len(missing) == 1 else "examples are"
        document.add(
            ("examples",), f"{are} missing: {', '.join(missing)}. Each profile has {', '.join(wanted)}", at_key=True
        )
    return tuple(found)


def sourced(document: Document, profile: Profile) -> None:
    """A profile that names its source shows some bytes from one."""
    if profile.source != UNVERIFIED and not profile.verified:
        message = (
            "none says where its bytes were taken from. Add 'place: manual, p. 12' to one, or 'source: unverified'"
        )
        document.add(("examples",), message, at_key=True)


def _example(document: Document, path: Path, encoding: EncodingName, values: tuple[Value, ...]) -> Example | None:
    row = validate(profileschema.Example, document, path)
    judged = row or loosely(profileschema.Example, document, path)
    if judged is None:
        return None
    raw = _raw(document, path, row, encoding) if row else None
    expect = _expect(document, (*path, "expect"), judged, values)
    for name, fits in (("malformed", {FaultCode.MALFORMED}), ("fault", set(FaultCode))):
        if judged.name == name and expect and not fits & {x for x in expect.values() if isinstance(x, FaultCode)}:
            remedy = "{fault: malformed}" if name == "malformed" else "{<value>: {fault: <code>}}"
            document.add((*path, "expect"), f"the example '{name}' expects no such fault. Write {remedy}", at_key=True)
    if row is None or raw is None:
        return None
    return Example(row.name, raw, expect, *document.place(path), row.place or "", row.derived)


def _raw(document: Document, path: Path, row: profileschema.Example, encoding: EncodingName) -> Raw | None:
    """What the bus gave: words by address, bytes, or numbers by name."""
    given: dict[str, Any] = {
        "registers": row.registers,
        "hex": row.hex,
        "text": row.text,
        "json": row.json_text,
        "named": row.named,
    }
    wanted, form = RAW[encoding]
    for key, what in given.items():
        if what is not None and key != wanted:
            document.add((*path, key), f"{key} does not belong to 'encoding: {encoding}'. Leave it out", at_key=True)
    if given[wanted] is None:
        document.add(path, f"'{wanted}' is missing. Add for example {form}", at_key=True)
        return None
    if encoding == "registers":
        return _words(document, path, row.registers or {})
    found: Raw = given[wanted].encode() if isinstance(given[wanted], str) else given[wanted]
    return found


def _words(document: Document, path: Path, blocks: dict[int, list[int]]) -> dict[int, int]:
    words: dict[int, int] = {}
    for address, block in blocks.items():
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
    document: Document, path: Path, row: profileschema.Example, values: tuple[Value, ...]
) -> dict[str, float | FaultCode | None]:
    """What each value must decode to; the key `fault` stands for every value."""
    known = {value.name: value for value in values}
    declared = [str(name) for name in document.mapping(("values",))]
    expect: dict[str, float | FaultCode | None] = {}
    for name, wanted in (row.expect or {}).items():
        if name == "fault":
            code = _fault(document, (*path, name), wanted)
            expect.update(dict.fromkeys(known, code) if code else {})
        elif name not in declared:
            message = f"the profile has no value '{name}'{instead(name, declared)}"
            document.add((*path, name), message, at_key=True)
        elif isinstance(wanted, FaultCode):
            expect[name] = wanted
        elif wanted == fields.ABSENT and (name not in known or known[name].optional):
            expect[name] = None
        elif isinstance(wanted, str) and wanted in FaultCode._value2member_map_:
            document.add((*path, name), f"'{wanted}' is a fault. Write '{name}: {{fault: {wanted}}}'")
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


def failures(profile: Profile, *, by: bool = False) -> list[tuple[Example, str]]:
    """The examples that do not decode to what they expect, each with a sentence; `by`: also by how much."""
    out = []
    for example in profile.examples:
        decoded = profiles.decode(profile, example.raw)
        for name, wanted in example.expect.items():
            found = decoded.get(name)
            if not _same(found, wanted):
                whose = f"{name} " if len(example.expect) > 1 else ""
                out.append((example, f"{whose}{_compare(profile, name, found, wanted, by)}"))
    return out


def _same(a: float | FaultCode | None, b: float | FaultCode | None) -> bool:
    if a is None or b is None or isinstance(a, FaultCode) or isinstance(b, FaultCode):
        return a == b
    return math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-9)


def _compare(
    profile: Profile, name: str, decoded: float | FaultCode | None, wanted: float | FaultCode | None, by: bool
) -> str:
    value = profile.value(name)
    unit = units.QUANTITIES[value.quantity].unit if value else ""
    numbers = [f"{x:.9g}" for x in (decoded, wanted) if x is not None and not isinstance(x, FaultCode)]
    # Both with the decimals of the finer one, so that the difference shows in one place.
    decimals = 9 if any("e" in n for n in numbers) else max((len(n.partition(".")[2]) for n in numbers), default=0)
    said = [
        "nothing" if x is None else f"the fault {x}" if isinstance(x, FaultCode) else f"{x:.{decimals}f} {unit}"
        for x in (decoded, wanted)
    ]
    much = f" ({_difference(decoded, wanted, decimals, unit)})" if by and len(numbers) == 2 else ""
    return f"decoded {said[0]}, expected {said[1]}{much}"


def _difference(decoded: Any, wanted: Any, decimals: int, unit: str) -> str:
    return f"{abs(decoded - wanted):.{decimals}f} {unit} too {'high' if decoded > wanted else 'low'}"
