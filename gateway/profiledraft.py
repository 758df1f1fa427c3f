"""A new profile from what somebody read in a datasheet: a commented file, with examples. Pure.

Examples that nobody took from a document or a sensor are computed from the values, and say so (`derived`). A profile
with such examples is unverified, whatever document its facts come from.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway import editorschema, profilefile, profiles, profileschema, readout, yamlfile
from gateway.encodings import binary, numbers, registers
from gateway.errors import ConfigError, FaultCode, Problem
from gateway.examplefile import MANDATORY
from gateway.profiles import UNVERIFIED, Profile, Raw, Value

_PLAIN = re.compile(r"[A-Za-z0-9_.+-][A-Za-z0-9_./+ %()-]*")
_UNSTATED = (0.0, 100.0)  # numbers on the bus of a value without a range
Row = Mapping[str | int, Any]


@dataclass(frozen=True, slots=True)
class Draft:
    """The answers. `more`: further keys of the profile (frame, function, sampled, …), `values` and `examples`: all as
    YAML would read them. `source`: the document; the file says `unverified` as long as examples are derived."""

    id: str
    vendor: str
    model: str
    source: str
    encoding: str
    more: Row = field(default_factory=dict)
    values: Mapping[str, Row] = field(default_factory=dict)
    examples: Sequence[Row] = ()


def parsed(text: str, whose: str) -> Any:
    """An answer in YAML, as it would stand in the file. Raises ConfigError."""
    document = yamlfile.parse(text.encode(), whose)
    if document.problems:
        raise ConfigError(document.problems)
    return document.value


def problems(draft: Draft, under: str = "") -> list[Problem]:
    """What is wrong with the answers so far; only below a key where it is named."""
    if under:
        return [x for x in _compiled(draft)[1] if x.path.startswith(under)]
    try:
        text(draft)
    except ConfigError as e:
        return e.problems
    return []


def text(draft: Draft) -> str:
    """The file. Raises ConfigError with every problem of the answers."""
    profile, found = _compiled(draft)
    if profile is None:
        raise ConfigError(found)
    lines = list(_examples(profile, draft.examples))
    derived = any("derived: true" in line for line in lines[len(draft.examples) :])
    out = "\n".join([*_head(draft, derived), *_values(draft), "examples:", *_told(derived), *lines]) + "\n"
    document = yamlfile.parse(out.encode(), f"{draft.id}.yaml")
    if profilefile.profile(document, draft.id) is None:
        raise ConfigError(document.problems)
    return out


def _compiled(draft: Draft) -> tuple[Profile | None, list[Problem]]:
    bare = "\n".join([*_head(draft, True), *_values(draft), "examples: []"]) + "\n"
    document = yamlfile.parse(bare.encode(), f"{draft.id}.yaml")
    if not document.readable:
        return None, document.problems
    return profilefile.compiled(document, draft.id, with_examples=False), document.problems


# --- the file


def _head(draft: Draft, derived: bool) -> Iterator[str]:
    fields = profileschema.Profile.model_fields
    verified = draft.source != UNVERIFIED and not derived
    yield editorschema.MODELINE
    yield f"# {_one_line(draft.vendor)} {_one_line(draft.model)}. Say here what only the sensor itself can show."
    yield "version: 1"
    for key in ("id", "vendor", "model"):
        yield f"{key}: {_scalar(getattr(draft, key))}"
    if verified or draft.source == UNVERIFIED:
        yield f"source: {_scalar(draft.source)}  # {fields['source'].description}"
    else:
        yield f"source: {UNVERIFIED}  # facts: {_one_line(draft.source)}. Write that here once no example is derived"
    yield f"encoding: {_scalar(draft.encoding)}  # {fields['encoding'].description}"
    for further, value in draft.more.items():
        known = fields.get(str(further))
        yield f"{_scalar(further)}: {_flow(value)}" + (f"  # {known.description}" if known else "")


def _values(draft: Draft) -> Iterator[str]:
    row = profileschema.VALUES.get(draft.encoding)
    said: set[str] = set()
    yield "values:"
    for name, value in draft.values.items():
        if not isinstance(value, Mapping) or not value:
            yield f"  {_scalar(name)}: {_flow(value)}"
            continue
        yield f"  {_scalar(name)}:"
        for key, part in value.items():
            known = row.model_fields.get(str(key)) if row and key not in said else None
            said.add(str(key))
            yield f"    {_scalar(key)}: {_flow(part)}" + (f"  # {known.description}" if known else "")


def _told(derived: bool) -> Iterator[str]:
    if derived:
        yield "  # derived: computed from the values above, so they prove nothing of the sensor. Put answers of its"
        yield "  # datasheet, or what 'suimon edge read' prints at the sensor, in their place; 'place' says where from."


def _flow(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_scalar(key)}: {_flow(part)}" for key, part in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return _scalar(value)


def _scalar(value: Any) -> str:
    """As YAML reads it back: plain where that says the same, else in quotes."""
    if not isinstance(value, str):
        return json.dumps(value)
    plain = _PLAIN.fullmatch(value) and yamlfile.parse(f"[{value}]".encode(), "").value == [value]
    return value if plain else json.dumps(value, ensure_ascii=False)


def _one_line(text: str) -> str:
    return " ".join(text.split())


# --- its examples


def _examples(profile: Profile, given: Sequence[Row]) -> Iterator[str]:
    """Those that were given, then the mandatory ones that are missing."""
    yield from (f"  - {_flow(example)}" for example in given)
    names = {example.get("name") for example in given}
    for name in MANDATORY:
        if name in names:
            continue
        raw = _broken(profile) if name == "malformed" else _computed(profile, name)
        if raw is not None:
            found = readout.readout(profile, raw)
            yield "  " + readout.example(found, name, stated="" if name == "malformed" else "derived: true")


def _computed(profile: Profile, name: str) -> Raw | None:
    """What the bus would give; None for a fault where the profile knows none. Raises ConfigError where its place
    cannot say it."""
    wanted: dict[str, float | FaultCode] = {}
    code: dict[str, FaultCode] | None = None
    for value in profile.values:
        amount = _amount(value, name)
        try:
            served = profiles.decode(profile, profiles.encode(profile, {value.name: amount})).get(value.name)
        except ValueError as e:
            raise _unfit(profile, value, f"the {name} value does not fit its place ({e})") from e
        if isinstance(served, FaultCode):
            raise _unfit(profile, value, f"its {name} value {amount:g} would be read as the fault {served}")
        wanted[value.name] = amount
    if name == "fault":
        code = _known_fault(profile)
        if code is None:
            return None
        wanted |= code
    try:
        raw: Raw = profiles.encode(profile, wanted)
    except ValueError as e:
        first = next(x for x in profile.values if x.name in (code or wanted))
        raise _unfit(profile, first, f"the {name} example does not fit its place ({e})") from e
    return raw


def _unfit(profile: Profile, value: Value, what: str) -> ConfigError:
    remedy = "Check its type, its unit and scale, its span and its faults"
    return ConfigError([Problem(f"{profile.id}.yaml", 1, 1, f"values.{value.name}", f"{what}. {remedy}")])


def _known_fault(profile: Profile) -> dict[str, FaultCode] | None:
    """A fault that the first value that can say one says, or the status says of all of its values."""
    for value in profile.values:
        code = next((x for x in value.faults.codes() if value.faults.saying(x) is not None), None)
        if code is not None:
            return {value.name: code}
    for status in profile.status:
        codes = (*status.faults.codes(), *status.bits.values())
        code = next((x for x in codes if status.saying(x) is not None), None)
        if code is not None:
            return dict.fromkeys(status.values, code)
    return None


def _amount(value: Value, name: str) -> float:
    """In canonical unit: the ends of its range, or about its middle."""
    share = {"lowest": 0.0, "highest": 1.0}.get(name, 0.5)
    if value.words:
        meant = sorted(value.words.values())
        number = meant[round(share * (len(meant) - 1))]
        return number * value.scale + value.offset
    low, high = value.span or _whole_range(value)
    return low if share == 0 else high if share == 1 else round((low + high) / 2, 3)


def _whole_range(value: Value) -> tuple[float, float]:
    ends = _UNSTATED
    if isinstance(value.at, (registers.At, binary.At)) and not numbers.is_float(value.at.type):
        ends = (0.0, float(min(numbers.span(value.at.type, value.at.bits)[1], 1_000_000)))
    low, high = sorted(end * value.scale + value.offset for end in ends)
    return low, high


def _broken(profile: Profile) -> Raw:
    """An answer that has not the profile's form, whatever its place in it."""
    whole = _computed(profile, "normal")
    candidates: list[Raw]
    if isinstance(whole, bytes):
        end = profile.frame.end if profile.frame else b""
        candidates = [whole[:-1], whole[: len(whole) // 2], b"?" + end, b"{"]
    elif profile.encoding == "registers":
        candidates = [{0: 0}, {65535: 0}, *({address: 0} for address in range(1, 200))]
    else:
        candidates = [{}]
    malformed = {FaultCode.MALFORMED}
    found = (raw for raw in candidates if raw != b"" and set(profiles.decode(profile, raw).values()) == malformed)
    raw = next(found, None)
    if raw is None:
        remedy = "Add a frame (start, end, length, checksum), by which a broken answer is known"
        raise ConfigError([Problem(f"{profile.id}.yaml", 1, 1, "", f"any answer looks right to it. {remedy}")])
    return raw
