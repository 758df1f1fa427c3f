"""One read of a sensor, for whoever stands beside it: what the bus gave, what each value of the profile makes of it,
and the same as an example that can be put into the profile. Pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gateway import profilefacts, profiles, units
from gateway.errors import FaultCode
from gateway.profiles import Decoded, Profile, Raw

_BREAK = re.compile(r"[ \t]*[\r\n\t]+[ \t\r\n]*")  # between the parts of a JSON text, where it means nothing


@dataclass(frozen=True, slots=True)
class Readout:
    """What came of a read: `fault` where the bus gave nothing, else `raw` and what it decodes to."""

    profile: Profile
    raw: Raw | None
    fault: FaultCode | None
    values: Decoded

    @property
    def in_order(self) -> bool:
        return self.fault is None and not any(isinstance(x, FaultCode) for x in self.values.values())


def readout(profile: Profile, raw: Raw | FaultCode) -> Readout:
    if isinstance(raw, FaultCode):
        return Readout(profile, None, raw, {value.name: raw for value in profile.values})
    return Readout(profile, raw, None, profiles.decode(profile, raw))


def values(found: Readout) -> Iterator[str]:
    """Each value alone."""
    rows = [
        (name, f"fault {x}" if isinstance(x, FaultCode) else f"{x:.9g} {_unit(found, name)}")
        for name, x in found.values.items()
    ]
    yield from profilefacts.table(rows)


def lines(found: Readout) -> Iterator[str]:
    """For people: the raw form, then each value with what stood at its place."""
    if found.raw is None:
        assert found.fault is not None
        yield f"no reading: {found.fault.sentence} ({found.fault})"
        return
    yield "raw"
    yield from (f"  {line}" for line in _raw_lines(found.profile, found.raw))
    yield "decoded"
    rows = [(name, number, said) for name, number, said in _values(found)]
    yield from (f"  {line}" for line in profilefacts.table(rows))


def told(found: Readout) -> dict[str, Any]:
    """For scripts: the raw form as the examples of a profile state it, and each value in canonical unit."""
    return {
        "profile": found.profile.id,
        "verified": found.profile.verified,
        "fault": found.fault,
        "raw": None if found.raw is None else raw_form(found.profile, found.raw),
        "values": {
            name: {"fault": value} if isinstance(value, FaultCode) else {"value": value, "unit": _unit(found, name)}
            for name, value in found.values.items()
        },
    }


def is_example(found: Readout) -> bool:
    """Whether the read can be written into a profile: bytes beyond ASCII in a line cannot, nor one without values."""
    return found.raw is not None and bool(found.values) and len(raw_form(found.profile, found.raw)) == 1


def example(found: Readout, name: str, place: str = "", stated: str = "") -> str:
    """The read as a line of `examples:`, with the place where its bytes came from a sensor or its documents."""
    assert found.raw is not None
    (key, raw), *_ = raw_form(found.profile, found.raw).items()
    expect = {
        name: f"{{fault: {value}}}" if isinstance(value, FaultCode) else f"{value:.9g} {_unit(found, name)}"
        for name, value in found.values.items()
    }
    means = ", ".join(f"{name}: {said}" for name, said in expect.items())
    if found.values and set(found.values.values()) == {FaultCode.MALFORMED}:
        means = "fault: malformed"
    head = ", ".join(x for x in (f"name: {name}", f"place: {_quoted(place)}" if place else stated) if x)
    return f"- {{{head}, {key}: {_flow(raw)}, expect: {{{means}}}}}"


def raw_form(profile: Profile, raw: Raw) -> dict[str, Any]:
    """As an example of this encoding states it, a JSON text on one line; beside a line that holds more than ASCII also
    its bytes."""
    if isinstance(raw, bytes):
        if profile.encoding == "binary":
            return {"hex": raw.hex(" ").upper()}
        line = raw.decode("ascii", "replace")
        said = {"json": _BREAK.sub(" ", line).strip()} if profile.encoding == "json" else {"text": line}
        return said if raw.isascii() else said | {"hex": raw.hex(" ").upper()}
    if profile.encoding == "registers":
        return {"registers": _blocks({int(address): int(word) for address, word in raw.items()})}
    return {"named": {str(name): number for name, number in raw.items()}}


def _blocks(words: Mapping[int, int]) -> dict[int, list[int]]:
    """Words that follow each other, by the address of the first."""
    out: dict[int, list[int]] = {}
    first = 0
    for address in sorted(words):
        if address - 1 not in words:
            first = address
        out.setdefault(first, []).append(words[address])
    return out


def _raw_lines(profile: Profile, raw: Raw) -> Iterator[str]:
    for key, form in raw_form(profile, raw).items():
        match key:
            case "registers":
                for first, block in form.items():
                    words = " ".join(f"{word:04X}" for word in block)
                    yield f"registers from {first}: {' '.join(map(str, block))}  (hex {words})"
            case "named":
                yield from (f"{name} = {number:g}" for name, number in form.items())
            case "hex":
                yield f"{key}: {form}"
            case _:
                yield f"{key}: {json.dumps(form, ensure_ascii=False)}"


def _values(found: Readout) -> Iterator[tuple[str, str, str]]:
    """Name, what stood at its place, what it means."""
    encoding = profiles.ENCODINGS[found.profile.encoding]
    content = encoding.opened(found.profile.frame, found.raw)
    for value in found.profile.values:
        number = encoding.number(value.at, content) if content is not None else None
        stood = "nothing" if number is None else repr(number) if isinstance(number, str) else f"{number:.9g}"
        meant = found.values.get(value.name)
        if meant is None:
            said = "not in this message"
        elif isinstance(meant, FaultCode):
            said = f"fault {meant}: {meant.sentence}"
        else:
            beyond = value.span is not None and not value.span[0] <= meant <= value.span[1]
            said = f"{meant:.9g} {_unit(found, value.name)}" + (" (outside its range)" if beyond else "")
        yield value.name, stood, said


def _unit(found: Readout, name: str) -> str:
    value = found.profile.value(name)
    assert value is not None
    return units.QUANTITIES[value.quantity].unit


def _flow(raw: Any) -> str:
    """A raw form on one line of YAML."""
    if isinstance(raw, dict):
        return "{" + ", ".join(f"{key}: {_flow(part)}" for key, part in raw.items()) + "}"
    return _quoted(raw) if isinstance(raw, str) else json.dumps(raw)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
