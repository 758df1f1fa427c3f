"""Stations as NGSI-LD entities (ETSI GS CIM 009), by Smart Data Models: FloodMonitoring for water levels,
WeatherObserved for weather and rain, Device for what has no model (`ngsialert` has Alert). Pure.

None of the models has five ranks: `alertLevel` is the evacuation-judgement level, `dangerLevel` the danger level, the
other thresholds stand beside them under their own keys. Values are those of the board and of the newest observations; a
value that failed or is missing is no property.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from gateway.board import Latest, Row, Series
from gateway.instants import iso
from gateway.model import Condition, Flag
from gateway.stations import Channel, Station

CONTEXT = "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context.jsonld"
FLOOD, WEATHER, DEVICE = "FloodMonitoring", "WeatherObserved", "Device"
TYPES = (FLOOD, WEATHER, DEVICE)
# UN/CEFACT common codes (Recommendation 20) of our canonical units.
CODES = {
    "m": "MTR", "mm": "MMT", "mm/h": "H67", "m3/s": "MQS", "m/s": "MTS", "deg": "DD", "Cel": "CEL", "%RH": "P1",
    "hPa": "A97", "V": "VLT", "%EL": "P1", "A": "AMP", "s": "SEC", "/": "C62", "count": "C62", "B": "AD",
}  # fmt: skip
# Quantity -> attribute of WeatherObserved, and what its value is multiplied by: humidity is a share of one there.
_WEATHER = {
    "air_temperature": ("temperature", 1.0),
    "humidity": ("relativeHumidity", 0.01),
    "air_pressure": ("atmosphericPressure", 1.0),
    "wind_speed": ("windSpeed", 1.0),
    "wind_direction": ("windDirection", 1.0),
    "rain": ("precipitation", 1.0),
}
_LEVELS = {"evacuation": "alertLevel", "danger": "dangerLevel"}
_ID = re.compile(r"urn:ngsi-ld:([A-Za-z]+):([a-z0-9][a-z0-9._-]*):([a-z0-9][a-z0-9._-]*)")


def type_of(station: Station) -> str:
    quantities = {c.quantity for c in station.channels.values() if not c.internal}
    if "water_level" in quantities:
        return FLOOD
    return WEATHER if quantities & _WEATHER.keys() else DEVICE


def id_of(station: Station) -> str:
    """Made of facts: the same for ever, and the same in every broker."""
    return f"urn:ngsi-ld:{type_of(station)}:{station.tenant}:{station.id}"


def place_of(entity: str) -> tuple[str, str, str] | None:
    """(type, tenant, station) of an id of ours."""
    found = _ID.fullmatch(entity)
    return (found[1], found[2], found[3]) if found else None


def level_of(station: Station) -> Channel | None:
    """The channel that is `currentLevel`: the main one where it is a water level, else the first that is."""
    main = station.main_channel
    found = [c for c in station.channels.values() if c.quantity == "water_level" and not c.internal]
    return main if main in found else next(iter(found), None)


def attribute_of(station: Station, channel: Channel) -> tuple[str, float]:
    """The name of a channel's attribute, and its factor."""
    if channel is level_of(station):
        return "currentLevel", 1.0
    name, factor = _WEATHER.get(channel.quantity, (_camel(channel.name), 1.0))
    alone = sum(c.quantity == channel.quantity for c in station.channels.values()) == 1
    return (name, factor) if alone else (_camel(channel.name), factor)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def number(value: float, channel: Channel, factor: float, at_ms: int, flag: int | None = None) -> dict[str, Any]:
    """A property of a measured value."""
    unit = "C62" if factor != 1.0 else CODES.get(channel.unit, "C62")
    found = {"type": "Property", "value": round(value * factor, 9), "unitCode": unit, "observedAt": iso(at_ms)}
    if flag is not None:
        found["flag"] = {"type": "Property", "value": flag}
    return found


def entity(row: Row, latest: Mapping[Series, Latest], now_ms: int, staff: bool) -> dict[str, Any]:
    """The normalised representation. What is internal is not in it, nor what a station under work measures."""
    s = row.station
    hidden = row.condition is Condition.MAINTENANCE
    found: dict[str, Any] = {
        "id": id_of(s),
        "type": type_of(s),
        "name": _text(s.name_ja),
        "alternateName": _text(s.name_en),
        "stationID": _text(s.id),
        "owner": _text(s.tenant),
        "location": {"type": "GeoProperty", "value": {"type": "Point", "coordinates": [s.longitude, s.latitude]}},
        "status": _text(row.condition.value),
    }
    newest = 0
    for channel in () if hidden else s.channels.values():
        if channel.internal:
            continue
        x = latest.get((s.tenant, s.id, channel.name))
        if x is None or x.value is None or x.flag in (Flag.FAIL, Flag.MISSING):
            continue
        name, factor = attribute_of(s, channel)
        found[name] = number(x.value, channel, factor, x.observed_ms, x.flag)
        newest = max(newest, x.observed_ms)
    if newest:
        found["dateObserved"] = {"type": "Property", "value": {"@type": "DateTime", "@value": iso(newest)}}
    if found["type"] == FLOOD and not hidden:
        found["rank"] = {"type": "Property", "value": row.claim}
        found["confirmed"] = {"type": "Property", "value": row.unconfirmed <= row.rank}
        found["held"] = {"type": "Property", "value": row.held}
        _thresholds(found, s, now_ms)
    return found


def _thresholds(found: dict[str, Any], s: Station, now_ms: int) -> None:
    channel = level_of(s)
    for t in channel.in_force(now_ms) if channel is not None else ():
        unit = CODES.get(channel.unit, "C62") if channel is not None else "C62"
        found[_LEVELS.get(t.level, f"{_camel(t.level)}Level")] = {
            "type": "Property", "value": t.value, "unitCode": unit,
            "authority": _text(t.authority), "basis": _text(t.basis),
        }  # fmt: skip


def _text(text: str) -> dict[str, Any]:
    return {"type": "Property", "value": text}


def simplified(x: dict[str, Any]) -> dict[str, Any]:
    """keyValues: every property as its value."""
    return {k: v.get("value", v.get("object", v)) if isinstance(v, dict) else v for k, v in x.items()}


def only(x: dict[str, Any], attributes: Iterable[str]) -> dict[str, Any]:
    """With these attributes; id and type stay."""
    wanted = {"id", "type", *attributes}
    return {k: v for k, v in x.items() if k in wanted}
