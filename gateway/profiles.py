"""Profiles: how a sensor model is read and decoded. `decode` turns what the bus gave into readings, `encode` is its
inverse for the simulators. Both are pure; units were compiled to one scale and offset when the profile was loaded.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from gateway.errors import FaultCode

Words = Mapping[int, int]  # register address -> 16-bit word
Decoded = dict[str, "float | FaultCode"]

# struct codes of the register types, big-endian words; length in registers follows from the size.
TYPES: dict[str, str] = {
    "uint16": ">H",
    "int16": ">h",
    "uint32": ">I",
    "int32": ">i",
    "float32": ">f",
    "uint64": ">Q",
    "int64": ">q",
    "float64": ">d",
}
MAX_BLOCK = 125  # registers in one Modbus read (Modbus Application Protocol v1.1b3, section 6.3)


@dataclass(frozen=True, slots=True)
class Value:
    """One value that a profile yields. canonical = number * scale + offset.

    `address`, `type`, `word_order` are used by register profiles, `path` by JSON profiles. `faults` maps numbers
    as they stand on the bus (before scaling) to what they mean. `span` is the physical span of the sensor,
    canonical unit; `tests` the quality tests that it states, by their names in `QualityTests` (None: off).
    """

    name: str
    quantity: str
    unit: str
    scale: float
    offset: float
    span: tuple[float, float] | None = None
    tests: Mapping[str, Any] = field(default_factory=dict)
    faults: Mapping[float, FaultCode] = field(default_factory=dict)
    address: int = 0
    type: str = "uint16"
    word_order: Literal["big", "little"] = "big"
    path: tuple[str | int, ...] = ()

    @property
    def length(self) -> int:
        """In registers."""
        return struct.calcsize(TYPES[self.type]) // 2

    @property
    def is_float(self) -> bool:
        return self.type.startswith("float")


@dataclass(frozen=True, slots=True)
class Example:
    """Raw bytes or words and what they must decode to: documentation, test and contract in one block."""

    name: str
    raw: Words | bytes
    expect: Mapping[str, float | FaultCode]
    line: int = 0
    col: int = 0


@dataclass(frozen=True, slots=True)
class Profile:
    """A sensor model. `digest` is the hash of the file, so that a birth says exactly which profile is in use."""

    id: str
    vendor: str
    model: str
    source: str
    encoding: Literal["registers", "json"]
    values: tuple[Value, ...]
    examples: tuple[Example, ...] = ()
    function: Literal["holding", "input"] = "holding"
    digest: str = ""

    def value(self, name: str) -> Value | None:
        return next((v for v in self.values if v.name == name), None)

    def blocks(self, gap: int = 8) -> list[tuple[int, int]]:
        """(first address, count) of the reads that cover every value; values at most `gap` registers apart share
        a read, because a round trip costs more than a few words and one read is one moment."""
        out: list[tuple[int, int]] = []
        for value in sorted(self.values, key=lambda v: v.address):
            end = value.address + value.length
            if out and value.address <= out[-1][0] + out[-1][1] + gap and end - out[-1][0] <= MAX_BLOCK:
                first, count = out[-1]
                out[-1] = (first, max(count, end - first))
            else:
                out.append((value.address, value.length))
        return out


def decode(profile: Profile, raw: Words | bytes) -> Decoded:
    """Every value of the profile, in canonical unit, or the fault it stands for. Never raises for bad input:
    what does not have the profile's form decodes to `malformed`."""
    if profile.encoding == "json":
        return _decode_json(profile, raw)
    if isinstance(raw, bytes):
        return {v.name: FaultCode.MALFORMED for v in profile.values}
    return {v.name: _judge(v, _number(v, raw)) for v in profile.values}


def encode(profile: Profile, values: Mapping[str, float | FaultCode]) -> dict[int, int] | bytes:
    """What a sensor of this model would serve for these values (canonical unit). The inverse of `decode` up to the
    resolution of the profile. Raises KeyError for a value the profile does not have, ValueError for one that its
    type cannot hold or a fault it cannot express."""
    if profile.encoding == "json":
        return _encode_json(profile, values)
    words: dict[int, int] = {}
    for name, wanted in values.items():
        value = profile.value(name)
        if value is None:
            raise KeyError(name)
        words.update(_words(value, _raw_number(value, wanted)))
    return words


def _judge(value: Value, number: float | None) -> float | FaultCode:
    if number is None:
        return FaultCode.MALFORMED
    fault = value.faults.get(number)
    if fault is not None:
        return fault
    if not math.isfinite(number):
        return FaultCode.SENSOR_ERROR
    result = round(number * value.scale + value.offset, 9)
    return result if math.isfinite(result) else FaultCode.SENSOR_ERROR


def _number(value: Value, words: Words) -> float | None:
    """The number at the value's registers. Word n of a wide type is the more significant one at the lower address
    where `word_order` is big (as Modbus itself orders bytes), the other way round where little."""
    try:
        parts = [words[value.address + i] for i in range(value.length)]
        if value.word_order == "little":
            parts.reverse()
        data = b"".join(word.to_bytes(2, "big") for word in parts)
    except (KeyError, OverflowError, AttributeError):
        return None
    number: float = struct.unpack(TYPES[value.type], data)[0]
    # A float32 carries seven digits: 1.234 is served as 1.2339999675750732 and means 1.234.
    return float(f"{number:.7g}") if value.type == "float32" and math.isfinite(number) else number


def _raw_number(value: Value, wanted: float | FaultCode) -> float:
    if isinstance(wanted, FaultCode):
        raw = next((number for number, fault in value.faults.items() if fault is wanted), None)
        if raw is None:
            raise ValueError(f"{value.name} cannot express the fault {wanted}")
        return raw
    number = (wanted - value.offset) / value.scale
    return number if value.is_float else round(number)


def _words(value: Value, number: float) -> dict[int, int]:
    try:
        data = struct.pack(TYPES[value.type], number if value.is_float else int(number))
    except (struct.error, OverflowError) as e:
        raise ValueError(f"{value.name}: {number:g} does not fit {value.type}") from e
    parts = [int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2)]
    if value.word_order == "little":
        parts.reverse()
    return {value.address + i: word for i, word in enumerate(parts)}


def _decode_json(profile: Profile, raw: Words | bytes) -> Decoded:
    try:
        document = json.loads(raw) if isinstance(raw, bytes) else None
    except (ValueError, RecursionError):
        document = None
    return {v.name: _judge(v, _at(document, v.path)) for v in profile.values}


def _at(document: Any, path: tuple[str | int, ...]) -> float | None:
    for step in path:
        try:
            document = document[step]
        except (KeyError, IndexError, TypeError):
            return None
    if isinstance(document, bool) or not isinstance(document, (int, float)):
        return None
    try:
        return float(document)
    except OverflowError:
        return None


def _encode_json(profile: Profile, values: Mapping[str, float | FaultCode]) -> bytes:
    document: Any = None
    for name, wanted in values.items():
        value = profile.value(name)
        if value is None:
            raise KeyError(name)
        number = (
            _raw_number(value, wanted)
            if isinstance(wanted, FaultCode)
            else round((wanted - value.offset) / value.scale, 9)
        )
        document = _with(document, value.path, number)
    return json.dumps({} if document is None else document).encode()


def _with(document: Any, path: tuple[str | int, ...], number: float) -> Any:
    """The JSON document with the number at the path; what is missing on the way is made, a list where a step is an
    index."""
    if not path:
        return number
    step, rest = path[0], path[1:]
    if isinstance(step, int):
        items = [] if document is None else list(document)
        items += [None] * (step + 1 - len(items))
        items[step] = _with(items[step], rest, number)
        return items
    fields = {} if document is None else dict(document)
    fields[step] = _with(fields.get(step), rest, number)
    return fields
