"""What the demonstration runs: stations, devices, clock; written as the YAML that an operator would write."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

# The network does not run on the simulated clock: its delays, multiplied by the clock's factor, must not look like
# a late gauge. So much real time is granted to it, and to a bridge that is killed and comes back.
NETWORK_S = 8.0
COMMIT_INTERVAL = "500ms"
PROFILE = "sim_river_gauge"
QUANTITIES = {"water_level": "water_level", "read_counter": "count", "battery_voltage": "battery_voltage"}


@dataclass(frozen=True, slots=True)
class Place:
    """A station of the demonstration; thresholds level -> metres."""

    id: str
    name_ja: str
    name_en: str
    latitude: float
    longitude: float
    gauge_zero: float
    thresholds: Mapping[str, float]
    datum: str = "T.P."

    @property
    def device(self) -> str:
        return f"{self.id}-edge"


@dataclass(frozen=True, slots=True)
class Plan:
    """One run. `factor` None is the stepped clock of `--speed max`."""

    title: str
    places: Sequence[Place]
    origin_ms: int
    interval_s: float
    factor: float | None
    sim_arguments: Sequence[str]
    source: str
    channels: tuple[str, ...] = tuple(QUANTITIES)
    tenant: str = "takamatsu"
    zone: str = "JST"
    utc_hours: int = 9
    level_table: str = "jp-2026"
    influx: Mapping[str, object] | None = field(default=None)

    @property
    def grace_s(self) -> float:
        if self.factor is None:
            return 4 * self.interval_s  # the clock waits for the store
        return max(2 * self.interval_s, NETWORK_S * self.factor)


def write(plan: Plan, folder: Path, broker_port: int, ports: Mapping[str, int]) -> dict[str, Path]:
    """Configuration folders by process: `bridge` and one for each device."""
    broker = {"host": "127.0.0.1", "port": broker_port}
    folders = {"bridge": folder / "config" / "bridge"}
    _dump(folders["bridge"] / "stations.yaml", _stations(plan))
    _dump(folders["bridge"] / "bridge.yaml", _bridge(plan, folder, broker))
    _dump(folders["bridge"] / "web.yaml", {"version": 1, "map": {"outlines": "outlines.geojson"}})
    (folders["bridge"] / "outlines.geojson").write_text(json.dumps(_outlines(plan)), encoding="utf-8")
    for place in plan.places:
        path = folders[place.device] = folder / "config" / place.device
        _dump(path / "edge.yaml", _edge(plan, folder, broker, place, ports[place.id]))
    return folders


def _dump(path: Path, document: Mapping[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(document, allow_unicode=True, sort_keys=False), encoding="utf-8")


def _stations(plan: Plan) -> dict[str, object]:
    contract = {"interval": f"{plan.interval_s:g}s", "grace": f"{plan.grace_s:g}s"}
    stations: dict[str, Any] = {}
    for order, place in enumerate(plan.places):
        thresholds = {
            level: {"value": f"{value} m", "authority": "県", "basis": "基準水位観測所", "source": plan.source}
            for level, value in place.thresholds.items()
        }
        stations[place.id] = {
            "name": {"ja": place.name_ja, "en": place.name_en},
            "position": {"latitude": place.latitude, "longitude": place.longitude},
            "datum": place.datum,
            "gauge_zero": f"{place.gauge_zero} m",
            "device": place.device,
            "order": order,
            "channels": {name: {"quantity": QUANTITIES[name], **contract} for name in plan.channels},
        }
        level: dict[str, object] = stations[place.id]["channels"]["water_level"]
        level.update(unit="m", span=["-1.0 m", "15.0 m"], thresholds=thresholds)
    return {"version": 1, "tenant": plan.tenant, "stations": stations}


def _bridge(plan: Plan, folder: Path, broker: Mapping[str, object]) -> dict[str, object]:
    document: dict[str, object] = {
        "version": 1,
        "simulation": True,
        "store": {"path": str(folder / "store.db")},
        "broker": broker,
        "level_table": plan.level_table,
        "clock": {"trust": "always", "future_tolerance": "5min"},
        "notify": {"alert_topic": True, "recipients": {"screen": {"medium": "console", "min_rank": 1}}},
    }
    if plan.influx:
        document["influx"] = plan.influx
    return document


def _outlines(plan: Plan) -> dict[str, object]:
    """The simulated river, from gauge to gauge: no survey, a line to look along."""
    course = [[p.longitude, p.latitude] for p in plan.places]
    line = {"type": "LineString", "coordinates": course}
    features = [{"type": "Feature", "properties": {"kind": "river", "name": plan.title}, "geometry": line}]
    return {"type": "FeatureCollection", "features": features if len(course) > 1 else []}


def _edge(plan: Plan, folder: Path, broker: Mapping[str, object], place: Place, port: int) -> dict[str, object]:
    return {
        "version": 1,
        "simulation": True,
        "tenant": plan.tenant,
        "device": place.device,
        "broker": broker,
        "clock": {"trust": "always"},
        "health": "off",  # the account compares what sensors served
        "spool": {"path": str(folder / f"{place.device}.spool.db"), "commit_interval": COMMIT_INTERVAL},
        "buses": {"mast": {"type": "modbus_tcp", "host": "127.0.0.1", "port": port}},
        "sensors": {
            "gauge": {
                "station": place.id,
                "bus": "mast",
                "profile": PROFILE,
                "interval": f"{plan.interval_s:g}s",
                "channels": {name: name for name in plan.channels},
            }
        },
    }
