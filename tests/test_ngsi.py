"""Stations as entities of NGSIv2: what they are called, what they hold, and what never leaves."""

from __future__ import annotations

import math
import string
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import ngsi, ngsild, units
from gateway.board import Latest, Row, Series
from gateway.model import Condition, Flag
from gateway.stations import Station
from simulators.contextbroker import check
from tests import world
from tests.world import STATION, T0, TENANT

ANY_TEXT = st.text(max_size=300) | st.text(string.printable, max_size=300)


def row(station: Station, condition: Condition = Condition.FRESH, rank: int = 2) -> Row:
    return Row(station, station.main_channel, condition, rank=rank)


def newest(value: float | None = 1.25, flag: int = Flag.GOOD, at_ms: int = T0, channel: str = "water_level") -> Any:
    return {(TENANT, STATION, channel): Latest(at_ms, at_ms + 250, value, flag, None, "d")}


def test_a_gauge_is_a_flood_monitor() -> None:
    """Everything that the platform is promised of a station with a water level."""
    found = ngsi.entity(row(world.station()), newest(), T0)
    assert (found.tenant, found.id, found.type) == (
        TENANT,
        f"urn:ngsi-ld:FloodMonitoring:{TENANT}:{STATION}",
        "FloodMonitoring",
    )
    at = {"TimeInstant": {"type": "DateTime", "value": "2025-11-24T16:00:00.000Z"}}
    metres = {"unitCode": {"type": "Text", "value": "MTR"}}
    assert ngsi.written(found, found.attributes) == {
        "id": found.id,
        "type": "FloodMonitoring",
        "stationID": {"type": "Text", "value": STATION},
        "name": {"type": "Text", "value": "春日橋"},
        "location": {"type": "geo:json", "value": {"type": "Point", "coordinates": [134.0, 34.3]}},
        "rank": {"type": "Number", "value": 2},
        "confirmed": {"type": "Boolean", "value": True},
        "held": {"type": "Boolean", "value": False},
        "status": {"type": "Text", "value": "fresh"},
        "alertLevel": {"type": "Number", "value": 2.5, "metadata": metres},
        "dangerLevel": {"type": "Number", "value": 3.0, "metadata": metres},
        "currentLevel": {
            "type": "Number",
            "value": 1.25,
            "metadata": metres | {"flag": {"type": "Number", "value": 1}} | at,
        },
        "dateObserved": {"type": "DateTime", "value": "2025-11-24T16:00:00.000Z", "metadata": at},
    }


@pytest.mark.parametrize(
    ("quantities", "kind"),
    [
        (["battery_voltage", "rain", "water_level"], "FloodMonitoring"),
        (["battery_voltage", "rain"], "WeatherObserved"),
        (["contact", "battery_voltage"], "Device"),
    ],
)
def test_its_type_is_by_what_it_measures(quantities: list[str], kind: str) -> None:
    """A water level before the weather, the weather before anything else."""
    assert ngsild.type_of(world.station(channels=[world.channel(q) for q in quantities])) == kind


def test_what_is_internal_makes_neither_type_nor_attribute() -> None:
    """A station whose only water level is internal is no flood monitor, and shows nothing of it."""
    level = replace(world.channel(), internal=True)
    found = world.station(channels=[level, world.channel("contact")])
    assert ngsild.type_of(found) == "Device"
    assert list(ngsi.named(found)) == ["contact"]
    assert "currentLevel" not in ngsi.entity(row(found), newest(), T0).attributes


def test_every_quantity_has_an_attribute_of_its_own() -> None:
    """A new quantity needs a name and a unit there."""
    station = world.station(channels=[world.channel(q) for q in units.QUANTITIES])
    found = ngsi.named(station)
    assert {channel.quantity for channel, _ in found.values()} == units.QUANTITIES.keys()
    assert not found.keys() & ngsi.STILL


def test_two_channels_of_one_quantity() -> None:
    """The main one has the name of the data model, the other its own behind it; humidity is a share of 1."""
    level = world.channel("down", "water_level")
    main = world.channel("up", "water_level", {"danger": 3.0})
    found = world.station(channels=[level, main, world.channel("humidity")])
    assert {name: channel.name for name, (channel, _) in ngsi.named(found).items()} == {
        "currentLevel": "up",
        "down": "down",
        "relativeHumidity": "humidity",
    }
    told = ngsi.entity(row(found), newest(72.5, channel="humidity"), T0).attributes
    assert told["relativeHumidity"].body["value"] == 0.725


def test_a_level_is_a_water_level_whatever_is_graded() -> None:
    """Where rain alone has thresholds it is no level; a channel that is called like an attribute of ours gets another
    name."""
    rain, level = world.channel("rain", thresholds={"danger": 30.0}), world.channel("rank", "water_level")
    found = world.station(channels=[rain, world.channel("status", "contact"), level])
    assert found.main_channel is rain
    assert {name: channel.name for name, (channel, _) in ngsi.named(found).items()} == {
        "currentLevel": "rank",
        "precipitation": "rain",
        "status_": "status",
    }
    assert "dangerLevel" not in ngsi.entity(row(found), {}, T0).attributes


@pytest.mark.parametrize("seen", [(9.9, Flag.FAIL), (None, Flag.MISSING), (math.nan, Flag.GOOD), (math.inf, Flag.GOOD)])
def test_what_is_no_value_is_null(seen: tuple[float | None, int]) -> None:
    """With its flag and time, so that the older value does not look present; the last observation stays what it was."""
    found = ngsi.entity(row(world.station()), newest(*seen), T0).attributes
    assert found["currentLevel"].body["value"] is None
    assert found["currentLevel"].body["metadata"]["flag"]["value"] == seen[1]
    assert found["currentLevel"].at_ms == T0
    assert "dateObserved" not in found


def test_under_maintenance_it_measures_nothing() -> None:
    """The status says so, and no measured attribute goes out."""
    found = ngsi.entity(row(world.station(), Condition.MAINTENANCE), newest(), T0).attributes
    assert {n: found[n].body["value"] for n in ("status", "rank")} == {"status": "maintenance", "rank": None}
    assert [name for name, a in found.items() if a.at_ms is not None] == []


@given(station=ANY_TEXT, tenant=ANY_TEXT, name=ANY_TEXT, value=st.none() | st.floats(), flag=st.sampled_from(Flag))
def test_nothing_forbidden_ever_leaves(station: str, tenant: str, name: str, value: float | None, flag: Flag) -> None:
    """Whatever a station is called and measures, the broker's rules take it, and Japanese stays as it is."""
    found = replace(world.station(), id=station, tenant=tenant, name_ja=name)
    latest: dict[Series, Latest] = {(tenant, station, "water_level"): Latest(T0, T0, value, flag, None, "d")}
    entity = ngsi.entity(row(found), latest, T0)
    check(ngsi.written(entity, entity.attributes))
    assert ngsi.safe("春日橋（上流）") == "春日橋（上流）"


def test_only_what_is_newer_or_another_is_lacking() -> None:
    """By the time of what was measured, by content else; of the same time the later assessment goes."""
    now = ngsi.entity(row(world.station()), newest(), T0)
    assert ngsi.lacking(now, {}) == now.attributes
    there = ngsi.said(ngsi.written(now, now.attributes))
    assert ngsi.lacking(now, there) == {}
    assessed = ngsi.entity(row(world.station()), newest(flag=Flag.SUSPECT), T0)
    assert list(ngsi.lacking(assessed, there)) == ["currentLevel"]
    for at_ms, names in ((T0 + 1, {"currentLevel", "dateObserved", "rank"}), (T0 - 1, {"rank"})):
        other = ngsi.entity(row(world.station(), rank=3), newest(2.0, at_ms=at_ms), T0)
        assert set(ngsi.lacking(other, there)) == names


@pytest.mark.parametrize("metadata", [None, {}, {"TimeInstant": {}}, {"TimeInstant": {"value": "yesterday"}}, [1]])
def test_a_time_that_cannot_be_read_holds_nothing_up(metadata: object) -> None:
    """What somebody else wrote there without a time is gone over."""
    now = ngsi.entity(row(world.station()), newest(), T0)
    there = ngsi.said({"id": now.id, "currentLevel": {"type": "Number", "value": 7, "metadata": metadata}})
    assert "currentLevel" in ngsi.lacking(now, there)
