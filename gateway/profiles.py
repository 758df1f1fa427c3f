"""Profiles: how a sensor model is read and decoded. `decode` turns what the bus gave into readings, `encode` is its
inverse for the simulators. Both are pure; units were compiled to one scale and offset when the profile was loaded.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from gateway.encodings import binary, jsonpath, named, registers, text
from gateway.encodings.frames import Frame
from gateway.errors import FaultCode

Words = registers.Words
Raw = Words | bytes | named.Named
Decoded = dict[str, "float | FaultCode"]
At = registers.At | binary.At | text.At | jsonpath.At | named.At
EncodingName = Literal["registers", "binary", "text", "json", "named"]


class Encoding(Protocol):
    """One file of `encodings`."""

    def opened(self, frame: Any, raw: Any) -> Any: ...

    def number(self, at: Any, content: Any) -> float | str | None: ...

    def assembled(self, frame: Any, found: Iterable[tuple[Any, Any]]) -> Any: ...


ENCODINGS: dict[EncodingName, Encoding] = {
    "registers": registers,
    "binary": binary,
    "text": text,
    "json": jsonpath,
    "named": named,
}
Limit = tuple[float, FaultCode]


@dataclass(frozen=True, slots=True)
class Faults:
    """What stands for a fault instead of a value, as it is on the bus, before scaling: these numbers or texts, whatever
    lies below or above a limit."""

    these: Mapping[float | str, FaultCode] = field(default_factory=dict)
    below: Limit | None = None
    above: Limit | None = None

    def __bool__(self) -> bool:
        return bool(self.these or self.below or self.above)

    def of(self, found: float | str) -> FaultCode | None:
        fault = self.these.get(found)
        if fault is not None or isinstance(found, str):
            return fault
        if self.below is not None and found < self.below[0]:
            return self.below[1]
        if self.above is not None and found > self.above[0]:
            return self.above[1]
        return None

    def saying(self, fault: FaultCode) -> float | str | None:
        """What a sensor would serve for that fault."""
        found = next((x for x, meant in self.these.items() if meant is fault), None)
        if found is None and self.below is not None and self.below[1] is fault:
            return self.below[0] - 1
        if found is None and self.above is not None and self.above[1] is fault:
            return self.above[0] + 1
        return found

    def codes(self) -> set[FaultCode]:
        return {*self.these.values(), *(x[1] for x in (self.below, self.above) if x)}


@dataclass(frozen=True, slots=True)
class Value:
    """One value that a profile yields. canonical = number * scale + offset; `words` are texts that mean a number.

    `span` is the physical span of the sensor, canonical unit; `tests` the quality tests that it states, by their names
    in `QualityTests` (None: off); `accuracy` and `resolution` as its maker states them, canonical unit, and `source`
    where that is said. `optional`: a message without it says nothing of it, which is no fault. `internal`: it is
    personal or sensitive, and so are the channels that take it, unless the station says otherwise.
    """

    name: str
    quantity: str
    unit: str
    scale: float
    offset: float
    at: At
    span: tuple[float, float] | None = None
    tests: Mapping[str, Any] = field(default_factory=dict)
    faults: Faults = Faults()
    words: Mapping[str, float] = field(default_factory=dict)
    accuracy: float | None = None
    resolution: float | None = None
    source: str = ""
    optional: bool = False
    internal: bool = False

    @property
    def is_float(self) -> bool:
        """Whether fractions can stand on the bus."""
        return not isinstance(self.at, (registers.At, binary.At)) or self.at.type.startswith("float")


@dataclass(frozen=True, slots=True)
class Status:
    """A number that says how the sensor is: what it stands for, or a bit that is set, is the fault of `values`. An
    `optional` one says nothing where it is not there."""

    at: At
    faults: Faults
    bits: Mapping[int, FaultCode]
    values: tuple[str, ...]
    optional: bool = False

    def fault(self, number: float | str | None) -> FaultCode | None:
        if number is None:
            return None if self.optional else FaultCode.MALFORMED
        fault = self.faults.of(number)
        if fault is not None or isinstance(number, str):
            return fault
        if not math.isfinite(number):  # as of a value: NaN and infinities are what JSON and floats can hold
            return FaultCode.SENSOR_ERROR
        return next((code for bit, code in self.bits.items() if int(number) >> bit & 1), None)

    def saying(self, fault: FaultCode) -> float | str | None:
        """What a sensor would serve for that fault."""
        said = self.faults.saying(fault)
        return said if said is not None else next((1 << bit for bit, code in self.bits.items() if code is fault), None)


@dataclass(frozen=True, slots=True)
class Example:
    """What the bus gave and what it must decode to (None: a value that is not in it). `place` says where
    the bytes were taken from (a page of a datasheet, a recording); `derived` that our own encoder made them."""

    name: str
    raw: Raw
    expect: Mapping[str, float | FaultCode | None]
    line: int = 0
    col: int = 0
    place: str = ""
    derived: bool = False


@dataclass(frozen=True, slots=True)
class Sampled:
    """How often a model is read for one sample: the median of `burst` readings, `pause_s` apart. What it says within
    `warm_up_s` after it got power is no reading."""

    burst: int = 1
    pause_s: float = 0.0
    warm_up_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Asked:
    """How a model is asked. On a serial line: at `baud` in `format` (data bits, parity, stop bits); it is sent `send`
    before each reading, or speaks by itself where that is empty. Over HTTP: for `path`. Over SDI-12: by the
    command `measure`. Through a driver of the kernel: in a `folder` under /sys, in which the file `name` says
    `device`. At lines of a GPIO chip (`gpio`): their pulses are counted, or their levels read; a level counts once it
    has stood for `debounce_s`, a pulse where it comes `between_s` or more after the one before. On I2C: at one of its
    `addresses`; `send` is written, and after `pause_s` as many bytes are read as its frame has, of `register` (its
    address as it is written) behind a repeated start, or behind a `stop`."""

    baud: int = 9600
    format: str = "8N1"
    send: bytes = b""
    path: str = ""
    measure: str = ""
    folder: str = ""
    device: str = ""
    gpio: Literal["", "count", "level"] = ""
    debounce_s: float = 0.005
    between_s: float = 0.0
    addresses: tuple[str, ...] = ()
    register: bytes = b""
    stop: bool = False
    pause_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Profile:
    """A sensor model. `digest` is the hash of the file, so that a birth says exactly which profile is in use."""

    id: str
    vendor: str
    model: str
    source: str
    encoding: EncodingName
    values: tuple[Value, ...]
    examples: tuple[Example, ...] = ()
    function: Literal["holding", "input"] = "holding"
    digest: str = ""
    frame: Frame | None = None
    status: tuple[Status, ...] = ()
    sampled: Sampled = Sampled()
    asked: Asked = Asked()

    def value(self, name: str) -> Value | None:
        return next((v for v in self.values if v.name == name), None)

    @property
    def verified(self) -> bool:
        """Its facts have a source, and some example was taken from one."""
        return self.source != UNVERIFIED and any(example.place for example in self.examples)

    def blocks(self, gap: int = 8) -> list[tuple[int, int]]:
        """(first address, count) of the reads that cover every value and status."""
        places = (*(value.at for value in self.values), *(status.at for status in self.status))
        return registers.blocks((at for at in places if isinstance(at, registers.At)), gap)


UNVERIFIED = "unverified"


def decode(profile: Profile, raw: Raw) -> Decoded:
    """Every value of the profile, in canonical unit, or the fault it stands for; without the optional ones that are not
    there. Never raises for bad input: what does not have the profile's form decodes to `malformed`."""
    encoding = ENCODINGS[profile.encoding]
    content = encoding.opened(profile.frame, raw)
    if content is None:
        return dict.fromkeys((v.name for v in profile.values), FaultCode.MALFORMED)
    numbers = ((v, encoding.number(v.at, content)) for v in profile.values)
    found = {v.name: _judge(v, number) for v, number in numbers if number is not None or not v.optional}
    for status in profile.status:
        fault = status.fault(encoding.number(status.at, content))
        if fault is not None:
            found.update(dict.fromkeys((name for name in status.values if name in found), fault))
    return found


def encode(profile: Profile, values: Mapping[str, float | FaultCode]) -> Any:
    """What a sensor of this model would serve for these values (canonical unit): words by address, bytes, or numbers by
    name. The inverse of `decode` up to the resolution of the profile; a status says that all is well, or the fault of a
    value that cannot say it itself. Raises KeyError for a value the profile does not have, ValueError for one that its
    type cannot hold or a fault it cannot express."""
    encoding = ENCODINGS[profile.encoding]
    told: set[str] = set()  # names of values whose fault a status says
    found: list[tuple[At, float | str]] = []
    for status in profile.status:
        said, names = _said(profile, status, values)
        found.append((status.at, said))
        told |= names
    for name, wanted in values.items():
        value = profile.value(name)
        if value is None:
            raise KeyError(name)
        if name in told:
            found += [(value.at, 0.0)] if value.optional else []  # it is there, whatever it says
            continue
        found.append((value.at, _raw_number(value, wanted)))
        try:
            encoding.assembled(None, found[-1:])
        except ValueError as e:
            raise ValueError(f"{name}: {e}") from e
    return encoding.assembled(profile.frame, found)


def _said(profile: Profile, status: Status, values: Mapping[str, float | FaultCode]) -> tuple[float | str, set[str]]:
    """What the status says, and of which values it is the fault: of those at one for which they have no number."""
    said: float | str = 0.0
    names: set[str] = set()
    for name in status.values:
        wanted, value = values.get(name), profile.value(name)
        if isinstance(wanted, FaultCode) and value is not None and value.faults.saying(wanted) is None:
            mine = status.saying(wanted)
            if mine is not None:
                said, names = mine, names | {name}
    return said, names


def _judge(value: Value, number: float | str | None) -> float | FaultCode:
    if isinstance(number, str):
        fault = value.faults.of(number)
        number = value.words.get(number) if fault is None else None
        if fault is not None:
            return fault
    if number is None:
        return FaultCode.MALFORMED
    fault = value.faults.of(number)
    if fault is not None:
        return fault
    if not math.isfinite(number):
        return FaultCode.SENSOR_ERROR
    result = round(number * value.scale + value.offset, 9)
    return result if math.isfinite(result) else FaultCode.SENSOR_ERROR


def _raw_number(value: Value, wanted: float | FaultCode) -> float | str:
    if isinstance(wanted, FaultCode):
        raw = value.faults.saying(wanted)
        if raw is None and wanted is FaultCode.SENSOR_ERROR and isinstance(value.at, (registers.At, binary.At)):
            raw = math.nan if value.is_float else None
        if raw is None:
            raise ValueError(f"{value.name} cannot express the fault {wanted}")
        return raw
    number = (wanted - value.offset) / value.scale
    if value.words:
        said = next((word for word, meant in value.words.items() if meant == round(number, 9)), None)
        if said is not None:
            return said
    return round(number, 9) if value.is_float else round(number)
