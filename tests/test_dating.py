"""Samples of a clock that was not set: how long they wait, in which time they travel, what is frozen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway import wire
from gateway.model import ClockState, Moment, Reading, Sample
from tests.test_uplink import Edge, closing, puback
from tests.transport import Published
from tests.world import STATION, T0

SINCE_1970 = 5_000_000  # what a clock shows that nobody set


@dataclass
class Clock:
    """Uptime passes as the test says; the wall clock shows 1970 until it is set."""

    boot: str = "boot-1"
    up: int = 10_000
    ahead: int = SINCE_1970
    state: ClockState = ClockState.UNSYNCED

    def uptime_ms(self) -> int:
        return self.up

    def now_ms(self) -> int:
        return self.up + self.ahead

    def sync_state(self) -> ClockState:
        return self.state

    def set(self, now_ms: int, state: ClockState = ClockState.SYNCED) -> None:
        self.ahead, self.state = now_ms - self.up, state


class Device(Edge):
    """An edge whose clock is the test's, and passes with `turn`."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        self.clock = Clock()
        super().__init__(folder, dating=self.clock, **changes)

    def read(self, raised: bool = False, channels: int = 1) -> Sample:
        """One sample, stamped as the agent does, and published live."""
        unset = self.clock.state is ClockState.UNSYNCED
        moment = Moment(self.clock.boot, self.clock.up) if unset else None
        readings = [Reading(STATION, "water_level", "m", 1.25)] * channels
        sample = self.spool.append(self.clock.now_ms(), self.clock.state, readings, moment, raised)
        self.uplink.live(sample)
        return sample

    def pass_time(self, seconds: float) -> list[Published]:
        self.clock.up += round(seconds * 1000)
        return self.turn(seconds)

    def reboot(self) -> None:
        self.spool.close()
        self.clock.boot, self.clock.up, self.clock.ahead, self.clock.state = (
            "boot-2",
            3_000,
            SINCE_1970,
            ClockState.UNSYNCED,
        )
        self.open()


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Device]:
    with closing(Device(tmp_path)) as found:
        assert isinstance(found, Device)
        yield found


def times(messages: list[Published]) -> list[tuple[str, int, int | None, int, str]]:
    """(kind, number, absolute time, age, clk) of every sample."""
    return [(m.kind, s.seq, s.observed_ms, s.age_ms, s.clk.value) for m in messages for s in m.pack.samples]


def test_it_waits_for_the_clock_and_is_dated_then(device: Device) -> None:
    """Within the minute the clock is set: what was read before has its true time, live, and each its own."""
    device.ready()
    device.read()
    assert device.pass_time(20) == []
    device.read()
    device.spool.commit()
    assert device.pass_time(10) == []
    device.clock.set(T0)
    sent = device.pass_time(0)
    assert times(sent) == [("data", 1, T0 - 30_000, 0, "synced"), ("data", 2, T0 - 10_000, 0, "synced")]


def test_after_a_minute_it_goes_with_its_age(device: Device) -> None:
    """The bridge dates it then. Backlog waits the same minute, so nothing leaves by that way before."""
    device.ready()
    device.read()
    device.spool.commit()
    for _ in range(59):
        assert device.pass_time(1) == []
    assert times(device.pass_time(1)) == [("data", 1, None, 60_000, "unsynced")]


def test_a_raised_one_does_not_wait(device: Device) -> None:
    """It may be the alarm."""
    device.ready()
    device.read(raised=True)
    assert times(device.transport.take("data")) == [("data", 1, None, 0, "unsynced")]


def test_sent_again_it_carries_its_present_age(device: Device) -> None:
    """After a lost connection at once, and after a receipt that does not come as backlog; never an old payload."""
    device.ready()
    device.read(raised=True)
    device.spool.commit()
    device.transport.take()
    device.clock.up += 7_000
    device.transport.down()
    device.transport.up()
    (again,) = device.pass_time(0)
    assert times([again]) == [("data", 1, None, 7_000, "unsynced")]
    puback(device, [again])
    device.clock.up += 53_000
    later = device.pass_time(60)
    assert times(later) == [("backlog", 1, None, 120_000, "unsynced")]


def test_once_the_clock_is_set_it_is_dated_also_where_its_age_was_sent(device: Device) -> None:
    """Whichever copy the bridge stores first stands."""
    device.ready()
    device.read(raised=True)
    device.spool.commit()
    sent = device.transport.take("data")
    device.clock.set(T0)
    puback(device, sent)
    assert times(device.pass_time(60)) == [("backlog", 1, T0, 0, "synced")]


def test_a_frozen_time_stays(device: Device) -> None:
    """The clock is stepped after the first send with an absolute time: what is sent again has the first one."""
    device.ready()
    device.read()
    device.clock.set(T0, ClockState.HOLDOVER)
    sent = device.pass_time(1)
    assert times(sent) == [("data", 1, T0, 0, "holdover")]
    device.spool.commit()
    device.clock.set(T0 + 3_600_000)
    puback(device, sent)
    assert times(device.pass_time(60)) == [("backlog", 1, T0, 0, "holdover")]


def test_no_age_is_sent_where_it_would_wait(device: Device) -> None:
    """While the bridge is offline the broker would keep it, and its age grow wrong: it stays on the card."""
    device.transport.up()
    device.bridge("offline")
    device.read(raised=True)
    device.spool.commit()
    assert device.pass_time(100) == []
    device.bridge()
    device.receipt()
    assert times(device.pass_time(0)) == [("backlog", 1, None, 100_000, "unsynced")]


def test_no_age_is_sent_into_a_connection_that_stands_still(device: Device) -> None:
    """Something waits for its PUBACK for seconds: what is handed over now would wait behind it."""
    device.ready()
    device.read(raised=True)
    device.transport.take()
    device.pass_time(6)
    device.read(raised=True)
    device.spool.commit()
    assert device.pass_time(2) == []
    device.transport.puback(*range(1, 50))
    assert times(device.pass_time(1.0)) == [("backlog", 2, None, 3_000, "unsynced")]


@pytest.mark.parametrize(("shows", "absolute", "age"), [(T0, T0 + 10_000, 0), (SINCE_1970, None, -5_010_000)])
def test_what_an_earlier_boot_could_not_date_goes_with_its_own_clocks_time(
    device: Device, shows: int, absolute: int | None, age: int
) -> None:
    """Marked as not set; the bridge makes a dead letter of it, so that it is accounted for. (A time just after 1970
    reads as one after now, which is as undated.)"""
    device.clock.ahead = shows
    device.read()
    device.spool.commit()
    device.reboot()
    device.read()
    device.spool.commit()
    device.transport.up()
    device.bridge()
    device.receipt()
    sent = device.pass_time(1)
    assert times(sent) == [("backlog", 1, absolute, age, "unsynced")]
    puback(device, sent)
    assert times(device.pass_time(59)) == [("data", 1, None, 60_000, "unsynced")]


def test_a_boot_dates_what_it_can_before_the_next(device: Device) -> None:
    """Offline all the time: the clock was set, then the device rebooted. The time is on the card."""
    device.read()
    device.clock.up += 5_000
    device.spool.commit()
    device.clock.set(T0)
    device.pass_time(2)
    device.spool.commit()
    device.reboot()
    device.transport.up()
    device.bridge()
    device.receipt()
    assert times(device.pass_time(1)) == [("backlog", 1, T0 - 5_000, 0, "synced")]


def test_a_span_claims_no_sample_that_waits_for_its_date(device: Device) -> None:
    """It is held, and its number must not be taken for gone."""
    device.ready()
    device.fill(2)
    device.read()
    device.spool.commit()
    device.fill(2)
    device.transport.take()
    spans = [(m.numbers, m.pack.span.first) for m in device.pass_time(1) if m.pack.span]
    assert spans == [([1, 2], 1), ([4, 5], 4)]


@pytest.mark.parametrize("ages", [(None, 1, None), (1, None, 2), (1, 2, None), (None, None, 1)])
def test_relative_and_absolute_times_share_a_pack(ages: tuple[int | None, ...]) -> None:
    """In any order each sample is read as it was written, and every record of it has its time, as RFC 8428 asks."""
    here = Moment("b", 100_000)
    readings = (Reading("s", "a", "m", 1.0), Reading("s", "b", "V", 2.0))
    samples = [
        Sample("l", n, T0, ClockState.SYNCED, readings)
        if age is None
        else Sample("l", n, 77, ClockState.UNSYNCED, readings, Moment("b", 100_000 - age))
        for n, age in enumerate(ages, 1)
    ]
    payload = wire.encode_pack(samples, None, here)
    pack = wire.decode_pack(payload)
    assert pack.rejects == []
    told = [(s.observed_ms, s.age_ms, s.clk, len(s.records)) for s in pack.samples]
    assert told == [
        (T0, 0, ClockState.SYNCED, 2) if age is None else (None, age, ClockState.UNSYNCED, 2) for age in ages
    ]
    base = 0.0
    plain = []
    for record in msgspec.json.decode(payload):  # as a reader that does not know our labels
        base = record.get("bt", base)
        plain.append(base + record.get("t", 0))
    assert plain == [T0 / 1000 if age is None else -age / 1000 for age in ages for _ in readings]
