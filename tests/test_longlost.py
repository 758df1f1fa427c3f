"""A station that gives nothing for a day reaches somebody in working hours, and wakes nobody."""

from __future__ import annotations

from datetime import datetime

import pytest

from gateway.episodes import Suspension
from gateway.errors import FaultCode, NoticeCode
from gateway.people import JST, in_office
from gateway.stations import Station
from tests.outages import TENANT, City, Told, gauge
from tests.places import MINUTE, T0
from tests.test_calling import PEOPLE, at

HOUR = 60  # minutes; T0 is a Tuesday, 01:00 in Japan
NEXT_MORNING = 31 * HOUR + 30  # Wednesday 08:30
SATURDAY = 4 * 24 * HOUR


def dead_from(start: int, name: str = "s1", end: int = 10**9) -> City:
    def measured(station: Station, minute: int) -> float | None:
        return None if station.id.startswith(name) and start <= minute < end else 0.5

    return City([gauge(f"s{i}") for i in range(1, 4)], measured)


def words(city: City) -> list[Told]:
    return [t for t in city.told if t.body.get("notice") == NoticeCode.LONG_LOST]


def test_a_station_that_dies_in_a_calm_night() -> None:
    """It is told at once without a ring, and once more when somebody can see to it: after a day, in working hours."""
    city = dead_from(HOUR)
    city.run(NEXT_MORNING - 1)
    assert [t.body.get("change") for t in city.told] == ["silent"]
    city.restart()
    city.run(NEXT_MORNING + 10 * HOUR)
    assert [(t.minute, t.rings, t.body["state"]) for t in words(city)] == [(NEXT_MORNING, False, "begins")]
    assert words(city)[0].body["detail"] == "s1 2025-11-25 01:50"
    text = words(city)[0].body["text"]["ja"]  # type: ignore[index]
    assert "s1" in text
    assert "使える観測値が届いていません" in text
    assert city.rings == []


def test_it_is_over_when_data_come() -> None:
    """The end is told without a ring, at any hour; and a new loss is a new one."""
    city = dead_from(HOUR, end=NEXT_MORNING + 60)
    city.run(NEXT_MORNING + 2 * HOUR)
    assert [t.body["state"] for t in words(city)] == ["begins", "ends"]
    assert city.rings == []


def test_a_fault_that_lasts_counts_as_well() -> None:
    """A gauge that sends a fault every ten minutes is heard, and sees nothing."""
    city = City([gauge("s1"), gauge("s2")], lambda s, m: FaultCode.NO_ECHO if s.id == "s1" and m >= HOUR else 0.5)
    city.run(NEXT_MORNING)
    assert [t.minute for t in words(city)] == [NEXT_MORNING]


def test_less_than_a_day_is_no_more_than_what_was_told() -> None:
    """A night's outage is told as what it is, once."""
    city = dead_from(HOUR, end=24 * HOUR)
    city.run(NEXT_MORNING + HOUR)
    assert words(city) == []


def test_who_works_there_need_not_be_told() -> None:
    """Maintenance that was begun before the morning."""
    city = dead_from(HOUR)
    city.run(30 * HOUR)
    city.memory.suspensions["maintenance", TENANT, "s1"] = Suspension(
        "maintenance", TENANT, "s1", T0, T0 + 100 * HOUR * MINUTE, "somebody"
    )
    city.run(NEXT_MORNING + HOUR)
    assert words(city) == []


def test_a_common_cause_names_its_stations_already() -> None:
    """A district that is down for days is one episode, which rang; whoever is left of it is told alone."""
    stations = [gauge(f"n{i}", area="north", carrier="A") for i in range(4)] + [gauge(f"s{i}") for i in range(5)]

    def measured(station: Station, minute: int) -> float | None:
        end = {"n0": 10**9}.get(station.id, NEXT_MORNING + 60)
        return None if station.id.startswith("n") and HOUR <= minute < end else 0.5

    city = City(stations, measured)
    city.run(NEXT_MORNING + 50)
    assert len(city.causes) == 1
    assert words(city) == []
    city.run(NEXT_MORNING + 3 * HOUR)
    assert city.causes == []
    assert [t.body["device"] for t in words(city)] == ["n0-gw"]


def test_stations_of_one_device_are_one_notice() -> None:
    """Whoever goes there goes once."""
    city = City([gauge(f"s{i}", device="gw") for i in range(5)], lambda s, m: None if m >= HOUR else 0.5)
    city.run(3 * HOUR)
    for episode in city.causes:
        city.memory.episodes.pop(episode.slot)
    city.run(NEXT_MORNING)
    assert [t.body["detail"] for t in words(city)] == ["s0, s1, s2 +2 2025-11-25 01:59"]


def test_over_a_weekend_nobody_is_disturbed() -> None:
    """A gauge that died on Friday evening is for Monday morning."""
    city = City([gauge("s1")], lambda s, m: None if m >= 3 * 24 * HOUR + 18 * HOUR else 0.5)
    city.minute = 3 * 24 * HOUR + 17 * HOUR
    city.subscribed = city.minute
    city.run(city.minute + 3 * HOUR)
    city.minute = 6 * 24 * HOUR + 7 * HOUR  # Monday 08:00
    city.run(city.minute + HOUR)
    (only,) = words(city)
    assert datetime.fromtimestamp(T0 / 1000 + 60 * only.minute, JST).strftime("%a %H:%M") == "Mon 08:30"


@pytest.mark.parametrize(
    ("moment", "without", "with_people"),
    [
        ("2026-09-16T08:29", False, False),
        ("2026-09-16T08:30", True, True),
        ("2026-09-16T17:15", False, False),
        ("2026-09-19T10:00", False, False),  # a Saturday
        ("2026-09-21T10:00", True, False),  # a holiday, which only people.yaml knows
    ],
)
def test_office_hours(moment: str, without: bool, with_people: bool) -> None:
    """Those of people.yaml with its holidays, else of any Monday to Friday."""
    assert (in_office(None, at(moment)), in_office(PEOPLE, at(moment))) == (without, with_people)
