"""What a device says of itself: read from real places, left out where there is none."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from gateway.edge.health import FIRST_S, Health
from gateway.edge.spool import Spool
from gateway.edge.stamping import Stamp, Stamper
from gateway.model import ClockState, Moment, Reading
from gateway.stations import HEALTH_CHANNELS
from gateway.wire import Receipt, ReceiptLog
from tests import world
from tests.clocks import BOOT, HOUR, S, Set, SetClock
from tests.world import DEVICE, T0

SYNCED, UNSYNCED = ClockState.SYNCED, ClockState.UNSYNCED


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    spool = Spool(tmp_path / "spool.db", 10**8, T0)
    yield spool
    spool.close()


def zones(folder: Path, *found: tuple[str, str]) -> Path:
    """A tree of thermal zones as the kernel shows them."""
    for i, (kind, temp) in enumerate(found):
        zone = folder / f"thermal_zone{i}"
        zone.mkdir(parents=True)
        (zone / "type").write_text(kind + "\n")
        (zone / "temp").write_text(temp + "\n")
    return folder


def said(health: Health) -> dict[str, float | None]:
    return {r.channel: r.value for r in health.readings()}


def test_a_device_in_order(spool: Spool, tmp_path: Path) -> None:
    """Every channel that it can fill, each one of those the bridge knows, under the device's own name."""
    clock = SetClock()
    health = Health(DEVICE, spool, tmp_path, clock, zones(tmp_path / "t", ("cpu-thermal", "48312")))
    for age_s in (90, 30, 10):
        spool.append(clock.now_ms() - age_s * S, SYNCED, [])
    spool.commit()
    readings = health.readings()
    assert {r.channel for r in readings} == HEALTH_CHANNELS.keys() - {"battery_voltage"}
    assert {r.station for r in readings} == {DEVICE}
    found = said(health)
    free = found.pop("disk_free")
    assert free is not None
    assert free > 0
    assert found == {
        "spool_depth": 3.0,
        "oldest_unsettled": 90.0,
        "cpu_temperature": 48.312,
        "clock_offset": 0.25,
        "uptime": 60.0,
    }
    spool.settle(Receipt("s1", spool.opening, [ReceiptLog(spool.opening, 3)]))
    assert (said(health)["spool_depth"], said(health)["oldest_unsettled"]) == (0.0, 0.0)


def test_the_bridge_takes_what_a_device_says_of_itself(spool: Spool, tmp_path: Path) -> None:
    """Channel and unit of every reading are those of the registry."""
    health = Health(DEVICE, spool, tmp_path, SetClock(), zones(tmp_path / "t", ("soc_thermal", "51000")))
    registry = world.registry()
    for reading in health.readings():
        channel = registry.channel(world.TENANT, DEVICE, reading.channel)
        assert channel is not None
        assert channel.unit == reading.unit


@pytest.mark.parametrize(
    ("what", "found", "expected"),
    [
        ("no zones at all", [], None),
        ("only others", [("acpitz", "27800"), ("iwlwifi_1", "40000")], None),
        (
            "the hottest of the processor's",
            [("x86_pkg_temp", "45000"), ("cpu-thermal", "61000"), ("gpu", "90000")],
            61.0,
        ),
        ("one that cannot be read", [("cpu-thermal", ""), ("cpu1-thermal", "-4000")], -4.0),
    ],
)
def test_temperature(
    what: str, found: Sequence[tuple[str, str]], expected: float | None, spool: Spool, tmp_path: Path
) -> None:
    """A machine that shows none says none."""
    health = Health(DEVICE, spool, tmp_path, SetClock(), zones(tmp_path / "t", *found))
    assert said(health).get("cpu_temperature") == expected, what


@pytest.mark.parametrize(
    ("what", "moment", "now", "expected"),
    [
        ("clock set, sample dated", None, SYNCED, 40.0),
        ("clock not set, sample dated", None, UNSYNCED, None),
        ("not dated, of this boot", Moment(BOOT, 25 * S), UNSYNCED, 35.0),
        ("not dated, of an earlier boot", Moment("earlier", 25 * S), SYNCED, None),
    ],
)
def test_the_age_of_the_oldest(
    what: str, moment: Moment | None, now: ClockState, expected: float | None, spool: Spool, tmp_path: Path
) -> None:
    """Told only where it is known."""
    clock = SetClock(state=now)
    spool.append(clock.now_ms() - 40 * S, SYNCED, [], moment)
    spool.commit()
    assert said(Health(DEVICE, spool, tmp_path, clock, tmp_path / "t")).get("oldest_unsettled") == expected, what


def test_a_card_that_is_gone_is_left_out(spool: Spool, tmp_path: Path) -> None:
    """And with it nothing else."""
    found = said(Health(DEVICE, spool, tmp_path / "gone", SetClock(), tmp_path / "t"))
    assert found.keys() == {"spool_depth", "oldest_unsettled", "clock_offset", "uptime"}


def test_health_is_said_every_five_minutes_whatever_the_clock(spool: Spool, tmp_path: Path) -> None:
    """First a minute after the start, then by uptime, with times that rise."""
    clock = SetClock([Set(600 * S, 10 * HOUR), Set(1200 * S, -S)])
    taken: list[tuple[int, Stamp]] = []

    def take(stamp: Stamp, readings: Sequence[Reading], raised: bool) -> None:
        assert readings
        assert not raised
        taken.append((clock.uptime_ms(), stamp))

    health = Health(DEVICE, spool, tmp_path, clock, tmp_path / "t")
    health.run(300.0, Stamper(clock), take, threading.Event(), lambda _: None)
    assert [up for up, _ in taken] == [60 * S + round(FIRST_S * S) + 300 * S * i for i in range(12)]
    assert all(a.observed_ms < b.observed_ms for (_, a), (_, b) in pairwise(taken))
