"""Episodes as NGSI-LD entities by the Smart Data Model Alert (dataModel.Alert). Pure.

What is told is our own 『水位情報』, never the name of a bulletin. A drill is none, nor is the silence of a gauge
alone: that is the `status` of its station. The model has no ranks: they stand beside its severity.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from gateway.ngsild import id_of as station_id
from gateway.stations import Station

ALERT = "Alert"
SEVERITY = ("informational", "low", "medium", "high", "critical", "critical")  # of rank 0 to 5
_KINDS = {"tide": ("naturalDisaster", "coastalEvent"), "rain": ("weather", "rainfall")}
_FLOOD = ("naturalDisaster", "flood")
_ID = re.compile(r"urn:ngsi-ld:Alert:([a-z0-9][a-z0-9._-]*):([A-Za-z0-9][A-Za-z0-9._-]{0,159})")

Described = Mapping[str, Any]  # an episode as alertrows tells it


def id_of(tenant: str, episode: str) -> str:
    return f"urn:ngsi-ld:{ALERT}:{tenant}:{episode}"


def place_of(entity: str) -> tuple[str, str] | None:
    """(tenant, episode) of an id of ours."""
    found = _ID.fullmatch(entity)
    return (found[1], found[2]) if found else None


def is_alert(x: Described) -> bool:
    """What reached a rank or a step of rain, and no drill."""
    return x["kind"] == "station" and not x["drill"] and bool(x["highest"] or x["unconfirmed"] or x["steps"])


def entity(x: Described, station: Station | None) -> dict[str, Any]:
    """The normalised representation. Of a closed one, `severity` is that of the highest rank it had."""
    over = x.get("closed") is not None
    rank = x["highest"] if over else max(x["rank"], x["unconfirmed"])
    category, sub = _KINDS.get(station.hazard if station else "", _FLOOD)
    names = x["name"] or {"ja": x["station"], "en": x["station"]}
    found: dict[str, Any] = {
        "id": id_of(x["tenant"], x["episode"]),
        "type": ALERT,
        "name": _property(f"水位情報 {names['ja']}"),
        "alternateName": _property(f"Water level information: {names['en']}"),
        "category": _property(category),
        "subCategory": _property(sub),
        "severity": _property(SEVERITY[rank]),
        "description": _property(_sentence(x, names["ja"], over)),
        "dateIssued": _time(x["since"]),
        "validFrom": _time(x["since"]),
        "owner": _property(x["tenant"]),
        "rank": _property(rank),
        "highestRank": _property(x["highest"]),
        "confirmed": _property(x["unconfirmed"] <= x["rank"]),
        "held": _property(x["held"]),
        "acknowledged": _property(x["acknowledged"] is not None),
        "status": _property("closed" if over else "open"),
    }
    if over:
        found["validTo"] = _time(x["closed"])
    if x["judgement"] is not None:
        found["judgement"] = _property(x["judgement"]["what"])
    if station is not None:
        at = {"type": "Point", "coordinates": [station.longitude, station.latitude]}
        found["location"] = {"type": "GeoProperty", "value": at}
        found["alertSource"] = {"type": "Relationship", "object": station_id(station)}
    return found


def _sentence(x: Described, name: str, over: bool) -> str:
    """春日橋 氾濫危険水位超過（未確認）"""
    said = x["level"]["exceeded_ja"] if x["level"] and not over and max(x["rank"], x["unconfirmed"]) else ""
    steps = "・".join(step["ja"] for step in x["steps"])
    doubt = "（未確認）" if not over and x["unconfirmed"] > x["rank"] else ""
    lost = "以後観測不能" if x["held"] and not over else ""
    parts = [name, f"{said}{doubt}" if said else "", steps, lost or ("終了" if over else "")]
    return "　".join(part for part in parts if part)


def evolution(x: Described, changes: list[Mapping[str, Any]]) -> dict[str, Any]:
    """How its rank went, a change at a time."""
    ranks = [
        _property(c["to_rank"]) | {"observedAt": c["at"], "confirmed": _property(c["confirmed"])}
        for c in changes
        if c["change"] != "step"
    ]
    found: dict[str, Any] = {"id": id_of(x["tenant"], x["episode"]), "type": ALERT}
    return found | ({"rank": ranks} if ranks else {})


def _property(value: object) -> dict[str, Any]:
    return {"type": "Property", "value": value}


def _time(at: str) -> dict[str, Any]:
    return _property({"@type": "DateTime", "@value": at})
