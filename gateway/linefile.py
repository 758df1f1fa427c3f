"""The `lines` of a sensor on a GPIO chip: which line is which input of its profile, and how it is wired."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from gateway import linefields, settings
from gateway.encodings import named
from gateway.errors import FaultCode
from gateway.fields import instead
from gateway.profiles import Profile
from gateway.schema import Row, need
from gateway.validation import validate
from gateway.yamlfile import Document, Path

COUNT, BEGAN = "count", "began"
OWN = {BEGAN, "lost", "bounced", "dropped"}  # what the bus says itself, beside its lines


class Line(Row):
    line: linefields.Line = need("17")
    bias: Literal["up", "down", "off"] | None = None
    active: Literal["high", "low"] = "high"
    debounce: linefields.Debounce | None = None


def inputs(profile: Profile) -> list[str]:
    """What needs a line, in the order of the profile."""
    places = (*(value.at for value in profile.values), *(status.at for status in profile.status))
    names = (x for at in places if isinstance(at, named.At) for x in (at.name, at.times) if x)
    return [name for name in dict.fromkeys(names) if name not in OWN]


def unfit(profile: Profile) -> str:
    """Why such a sensor cannot be at lines; empty where it can."""
    if not profile.asked.gpio:
        return "does not say how lines are read. Add 'asked: {gpio: level}' to it, or count"
    if profile.asked.gpio == "level":
        return ""
    if inputs(profile) != [COUNT]:
        return f"counts pulses, which are its input '{COUNT}', and it has {', '.join(inputs(profile)) or 'none'}"
    told = (s.faults.of(1.0) for s in profile.status if isinstance(s.at, named.At) and s.at.name == BEGAN)
    if FaultCode.COUNT_LOST in told:
        return ""
    remedy = f"Add 'status: [{{input: {BEGAN}, faults: {{1: {FaultCode.COUNT_LOST}}}}}]' to it"
    return f"counts pulses, and does not say when its count began again. {remedy}"


def lines(
    document: Document, path: Path, stated: Mapping[str, Any] | None, profile: Profile
) -> tuple[settings.Line, ...]:
    """Each input's line; what is wrong are problems of the document. `path` is the sensor's."""
    wanted = inputs(profile)
    missing = [name for name in wanted if name not in (stated or {})]
    if missing and ("lines" not in document.mapping(path) or stated):
        example = ", ".join(f"{name}: {17 + i}" for i, name in enumerate(wanted))
        message = f"{' and '.join(missing)} of {profile.id} {'have' if len(missing) > 1 else 'has'} no line"
        at = (*path, "lines") if stated else path
        document.add(at, f"{message}. Add for example 'lines: {{{example}}}'", at_key=True)
    found = []
    for name, what in (stated or {}).items():
        where = (*path, "lines", name)
        if name not in wanted:
            document.add(where, f"{profile.id} has no input '{name}'{instead(name, wanted)}", at_key=True)
            continue
        row = _row(document, where, what)
        if row is not None:
            found.append(settings.Line(name, row.line, row.bias or "", row.active == "low", row.debounce))
    return tuple(found)


def unburst(document: Document, path: Path, burst: int | None, profile: Profile) -> None:
    """A count that began again, or a contact that was wet for a moment, must not go under in a median."""
    if (burst or profile.sampled.burst) > 1:
        document.add(
            (*path, "burst") if burst else path,
            "a count or contact is no median of several. Leave burst out",
            at_key=True,
        )


def _row(document: Document, path: Path, stated: Any) -> Line | None:
    """A mapping, or a line alone."""
    if isinstance(stated, dict):
        return validate(Line, document, path)
    try:
        return Line(line=linefields.line(stated))
    except ValueError as e:
        document.add(path, str(e))
        return None


def apart(document: Document, sensors: Iterable[settings.Sensor], buses: Mapping[str, settings.Bus | None]) -> None:
    """A line is one sensor's, whatever its bus is called."""
    taken: dict[tuple[str, str], str] = {}
    for sensor in sensors:
        bus = buses.get(sensor.bus)
        if not isinstance(bus, settings.Gpio):
            continue
        for line in sensor.lines:
            mine = f"{line.input} of sensor {sensor.name}"
            other = taken.setdefault((bus.chip, line.line), mine)
            if other != mine:
                message = f"line {line.line} of {bus.chip} is already {other}. Name another line"
                document.add(("sensors", sensor.name, "lines", line.input), message)
