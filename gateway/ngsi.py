"""Stations as entities of NGSIv2, for a context broker of the city's platform (FIWARE Orion). Pure.

What was measured carries its time as metadata `TimeInstant`, by which nothing older ever goes over it. What the broker
forbids in any text (its manual, "Forbidden characters") is written full-width.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway import ngsild
from gateway.board import Latest, Row, Series
from gateway.instants import iso, parse
from gateway.model import Condition, Flag
from gateway.stations import Channel, Station

Body = dict[str, Any]  # an attribute as it goes out: type, value, metadata

FORBIDDEN = "<>\"'=;()"
_WIDE = str.maketrans(FORBIDDEN, "＜＞＂＇＝；（）")
_NOT_IN_NAMES = re.compile(r"[^!-~]|[<>\"'=;()&?/#]")
MAX_NAME = 256
LEVEL, OBSERVED = "currentLevel", "dateObserved"
MARKS = ("evacuation", "alertLevel"), ("danger", "dangerLevel")  # key of a level, and its attribute
STILL = {
    *("id", "type", "stationID", "name", "location", "rank", "confirmed", "held", "status", "alertLevel"),
    *("dangerLevel", OBSERVED),
}


@dataclass(frozen=True, slots=True)
class Attribute:
    """`at_ms`: when it was measured; None where it is not a measurement, and simply holds now."""

    body: Body
    at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Entity:
    """A station as the broker is to have it."""

    tenant: str
    id: str
    type: str
    attributes: Mapping[str, Attribute]
    may: frozenset[str] = frozenset()  # what may stand there, though nothing is said of it now


def safe(text: str) -> str:
    """A text that may stand in a value: forbidden characters full-width, control characters a space."""
    return "".join(c if c.isprintable() else " " for c in text.translate(_WIDE))


def safe_name(text: str) -> str:
    """A text that may be an id, a type or the name of an attribute: visible ASCII, at most 256 characters."""
    return _NOT_IN_NAMES.sub("_", text)[:MAX_NAME]


def id_of(station: Station) -> str:
    return safe_name(ngsild.id_of(station))


def named(station: Station) -> dict[str, tuple[Channel, float]]:
    """Attribute -> channel and factor, of what may leave; names as in NGSI-LD, but none twice."""
    level = ngsild.level_of(station)
    found: dict[str, tuple[Channel, float]] = {} if level is None else {LEVEL: (level, 1.0)}
    for channel in station.channels.values():
        if channel.internal or channel is level:
            continue
        name, factor = ngsild.attribute_of(station, channel)
        name = safe_name(channel.name if name == LEVEL else name)
        while name in found or name in STILL:
            name += "_"
        found[name] = channel, factor
    return found


def entity(row: Row, latest: Mapping[Series, Latest], now_ms: int) -> Entity:
    """A station by its row of the board and its latest observations. Under maintenance it has no measured attributes:
    what the broker has of them stays."""
    station = row.station
    found = _still(row, now_ms)
    if row.condition is not Condition.MAINTENANCE:
        found |= _measured(station, latest)
    may = frozenset(named(station))
    return Entity(station.tenant, id_of(station), ngsild.type_of(station), found, may | ({OBSERVED} if may else set()))


def _still(row: Row, now_ms: int) -> dict[str, Attribute]:
    """What holds now, whenever something was measured. Of a station under maintenance nobody says a rank."""
    station, seen = row.station, row.condition is not Condition.MAINTENANCE
    position = {"type": "Point", "coordinates": [station.longitude, station.latitude]}
    found = {
        "stationID": _body("Text", safe(station.id)),
        "name": _body("Text", safe(station.name_ja)),
        "location": _body("geo:json", position),
        "rank": _body("Number", row.claim if seen else None),
        "confirmed": _body("Boolean", row.unconfirmed <= row.rank if seen else None),
        "held": _body("Boolean", row.held if seen else None),
        "status": _body("Text", row.condition.value),
    }
    level = ngsild.level_of(station)
    for key, name in MARKS:
        mark = next((t for t in level.in_force(now_ms) if t.level == key), None) if level is not None else None
        if mark is not None:
            found[name] = _body("Number", mark.value, {"unitCode": _body("Text", "MTR")})
    return {name: Attribute(body) for name, body in found.items()}


def _measured(station: Station, latest: Mapping[Series, Latest]) -> dict[str, Attribute]:
    """A value that failed its tests, or is missing, is no value: null, with its flag and its time, so that no older one
    looks present."""
    found: dict[str, Attribute] = {}
    newest: int | None = None
    for name, (channel, factor) in named(station).items():
        seen = latest.get((station.tenant, station.id, channel.name))
        if seen is None:
            continue
        unit = "C62" if factor != 1.0 else ngsild.CODES.get(channel.unit, "C62")
        value = _usable(seen, factor)
        about = {"unitCode": _body("Text", unit), "flag": _body("Number", int(seen.flag))} | _instant(seen.observed_ms)
        found[name] = Attribute(_body("Number", value, about), seen.observed_ms)
        if value is not None:
            newest = max(seen.observed_ms, newest or seen.observed_ms)
    if newest is not None:
        found[OBSERVED] = Attribute(_body("DateTime", iso(newest), _instant(newest)), newest)
    return found


def _usable(seen: Latest, factor: float) -> float | None:
    if seen.value is None or seen.flag in (Flag.FAIL, Flag.MISSING) or not math.isfinite(seen.value):
        return None
    return round(seen.value * factor, 9)


def _instant(at_ms: int) -> Body:
    return {"TimeInstant": _body("DateTime", iso(at_ms))}


def _body(kind: str, value: object, metadata: Body | None = None) -> Body:
    return {"type": kind, "value": value} | ({"metadata": metadata} if metadata is not None else {})


# --- what the broker lacks --------------------------------------------------------------------------------------------


def said(answer: Mapping[str, Any]) -> dict[str, Attribute]:
    """An entity as the broker told it. A time that cannot be read is none."""
    found: dict[str, Attribute] = {}
    for name, body in answer.items():
        if not isinstance(body, dict):
            continue  # id and type
        metadata = body.get("metadata")
        own: Body = {"type": body.get("type"), "value": body.get("value")}
        own |= {"metadata": metadata} if metadata else {}
        found[name] = Attribute(own, _time(metadata))
    return found


def _time(metadata: object) -> int | None:
    try:
        return parse(metadata["TimeInstant"]["value"])  # type: ignore[index]
    except (KeyError, TypeError, ValueError):
        return None


def lacking(wanted: Entity, has: Mapping[str, Attribute]) -> dict[str, Attribute]:
    """What of it the broker does not have. What was measured goes over nothing that was measured later."""
    return {
        name: own
        for name, own in wanted.attributes.items()
        if (there := has.get(name)) is None
        or (own.body != there.body and (own.at_ms is None or there.at_ms is None or own.at_ms >= there.at_ms))
    }


def surplus(wanted: Entity, has: Mapping[str, Attribute]) -> list[str]:
    """What the broker has by us and ought not to have any more: of a channel that was removed or is internal now, of a
    threshold that is not in force. What others put there has no quality flag beside its time."""
    own = {name for _, name in MARKS} | {OBSERVED}
    return [
        name
        for name, a in has.items()
        if name not in wanted.attributes
        and name not in wanted.may
        and (name in own or {"flag", "TimeInstant"} <= (a.body.get("metadata") or {}).keys())
    ]


def unwritten(found: Entity, names: Iterable[str]) -> Body:
    """As it stands in a batch that deletes these attributes."""
    return {"id": found.id, "type": found.type} | {name: {"type": "Text", "value": ""} for name in names}


def written(found: Entity, attributes: Mapping[str, Attribute]) -> Body:
    """The entity as it stands in a batch."""
    return {"id": found.id, "type": found.type} | {name: a.body for name, a in attributes.items()}
