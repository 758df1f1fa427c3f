"""The bridge in the past, in the future, not synchronised, and then corrected: no alarm is missed, none is invented."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gateway import wire
from gateway.bridge import timekeeping
from gateway.bridge.timekeeping import WITNESS_MS, Witness
from gateway.bridge.work import Memory, Work, rules_at
from gateway.channelstate import ChannelState
from gateway.errors import RejectCode
from gateway.model import ClockState, Reading, Sample
from tests import world
from tests.world import LOG, STATION, T0, TENANT

DAY = 86_400_000
YEARS = 3652 * DAY
MINUTE = 60_000
TOLERANCE = 300_000
SERIES = (TENANT, STATION, "water_level")


# --- whose time --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "own", "synced", "last_commit", "witnessed", "now", "believed"),
    [
        ("synchronised", T0, True, T0 - 1, None, T0, True),
        ("not synchronised, and nobody to ask", T0, False, T0 - 1, None, T0, False),
        ("not synchronised: by the devices", T0 - YEARS, False, 0, T0, T0, False),
        ("behind its last commit, and nobody to ask", T0, True, T0 + DAY, None, T0, False),
        ("behind its last commit: by the devices", T0 - DAY, True, T0, T0, T0, False),
        ("it was wrong at that commit, say the devices", T0, True, T0 + YEARS, T0 - 1000, T0, True),
        ("the devices agree, but nobody synchronises it", T0, False, T0 - 1, T0, T0, False),
        ("one that is synchronised needs no witness", T0, True, T0 - 1, T0 - DAY, T0, True),
    ],
)
def test_whose_time(
    what: str, own: int, synced: bool, last_commit: int, witnessed: int | None, now: int, believed: bool
) -> None:
    """Its own while that is believed, else the devices', else its own for want of better; the future only when sure."""
    t = timekeeping.judge(own, 5000, synced, last_commit, witnessed, TOLERANCE)
    assert (t.now_ms, t.future_ms) == (now, own + TOLERANCE if believed else None), what


def test_one_wrong_witness_moves_nothing() -> None:
    """The median of the devices that were heard within the hour, carried on by the uptime."""
    told = {("t", str(i)): Witness(T0 + d, 1000) for i, d in enumerate((0, 20, -YEARS, YEARS, 10))}
    assert timekeeping.witnessed_ms(told, 61_000) == T0 + 10 + 61_000
    assert timekeeping.witnessed_ms(told, 1000 + WITNESS_MS + 1) is None
    assert timekeeping.witnessed_ms({}, 0) is None


# --- what follows --------------------------------------------------------------------------------------------------


class House:
    """A bridge whose clock is wrong by `error_ms`; `minute` is true time after T0, when it began to listen."""

    def __init__(self, error_ms: int, synced: bool) -> None:
        self.memory, self.error_ms, self.synced = Memory("s"), error_ms, synced
        self.bridge = world.bridge(Path("unused"))
        self.seq = 0
        self.letters: list[str] = []
        self.times: list[int] = []

    def work(self, minute: float) -> Work:
        true_ms, up_ms = T0 + round(minute * MINUTE), 5000 + round(minute * MINUTE)
        own_ms = true_ms + self.error_ms
        told = timekeeping.witnessed_ms(self.memory.witnesses, up_ms)
        t = timekeeping.judge(own_ms, up_ms, self.synced, self.memory.last_commit_ms, told, TOLERANCE)
        return Work(self.memory, rules_at(world.registry(), self.bridge, t, 5000, up_ms))

    def turn(self, minute: float, *payloads: bytes, kind: str = "data") -> list[str]:
        """Messages arrive, time passes, all is committed; the transitions."""
        work = self.work(minute)
        arrived_ms = T0 + round(minute * MINUTE) + self.error_ms
        for payload in payloads:
            work.take(world.message(payload, kind, at_ms=arrived_ms))
        work.tick()
        work.swap_in()
        self.letters += [x.code for x in work.letters]
        self.times += [o.observed_ms for o in work.observations]
        return [
            f"{t.change} {t.from_rank}->{t.to_rank}{'' if t.confirmed else ' unconfirmed'}" for t in work.transitions
        ]

    def reading(self, minute: float, level: float, log: str = LOG) -> bytes:
        self.seq += 1
        return world.pack(world.sample(self.seq, level, T0 + round(minute * MINUTE), log=log))

    def state(self) -> ChannelState:
        return self.memory.states[SERIES]


WRONG = [
    (f"{name} {'and synchronised' if synced else 'not synchronised'}", error, synced)
    for name, error in (("right", 0), ("a day behind", -DAY), ("ten years behind", -YEARS),
                        ("a day ahead", DAY), ("ten years ahead", YEARS))
    for synced in (False, True)
    if not (synced and error)  # what a time server says is believed; a wrong one is not ours to see
]  # fmt: skip


@pytest.mark.parametrize(("what", "error", "synced"), WRONG, ids=[row[0] for row in WRONG])
def test_a_flood_under_a_wrong_clock(what: str, error: int, synced: bool) -> None:
    """With a device whose clock is set, a rise alarms at once, silence is told in time and not before, and the
    correction of the bridge's clock, in the middle of it, tells nothing and hides nothing."""
    house = House(error, synced)
    assert [t for m in range(5) for t in house.turn(m, house.reading(m, 1.0))] == []
    assert house.turn(5, house.reading(5, 3.1)) == ["rise 0->4"]
    house.error_ms, house.synced = 0, True
    assert [t for m in range(6, 20) for t in house.turn(m, house.reading(m, 3.1))] == []
    assert house.work(20).rules.future_ms is not None  # believed again, also where it had been ahead
    assert [t for m in range(20, 23) for t in house.turn(m)] == ["held 4->4"]
    assert house.letters == []
    assert house.times == [T0 + m * MINUTE for m in range(20)]


@pytest.mark.parametrize(("what", "error", "synced"), WRONG, ids=[row[0] for row in WRONG])
def test_silence_under_a_wrong_clock(what: str, error: int, synced: bool) -> None:
    """A station that falls silent while the clock is wrong is told after its three intervals, once."""
    house = House(error, synced)
    assert [t for m in range(5) for t in house.turn(m, house.reading(m, 1.0))] == []
    assert house.turn(6.9) == []
    assert house.turn(7.1) == ["silent 0->0"]
    assert [t for m in range(8, 20) for t in house.turn(m)] == []


@pytest.mark.parametrize("error", [-YEARS, -DAY, DAY, YEARS])
def test_an_age_is_dated_by_the_devices_time(error: int) -> None:
    """A sample that says only how old it is, from a device without a set clock, gets the true time and alarms as
    unconfirmed, though the bridge's own clock is wrong."""
    house = House(error, False)
    house.turn(0, house.reading(0, 1.0, log="other"))
    record = {"bn": f"{STATION}/", "n": "water_level", "u": "m", "v": 3.2, "log": LOG, "seq": 1, "clk": "unsynced"}
    assert house.turn(2, wire.encode([record | {"t": -30.0}])) == ["rise 0->4 unconfirmed"]
    assert house.times == [T0, T0 + round(1.5 * MINUTE)]


@pytest.mark.parametrize("ahead", [DAY, YEARS])
def test_a_time_of_the_future_is_forgotten_when_the_clock_is_believed(ahead: int) -> None:
    """A device far ahead is accepted while the bridge is unsure; once it is sure the channel is blind no longer."""
    house = House(0, False)
    house.turn(0, world.pack(world.sample(900, 1.0, T0 + ahead, log="ahead")))
    assert house.state().last_ms == T0 + ahead
    house.synced = True
    assert house.turn(1) == []
    assert house.turn(2, house.reading(2, 3.1)) == ["rise 0->4"]
    late = world.pack(world.sample(901, 3.2, T0 + ahead, log="ahead"))
    assert house.turn(3, late) == []
    assert house.letters == [RejectCode.TIME_FUTURE]


# --- the device's clock --------------------------------------------------------------------------------------------


def test_a_device_that_is_put_back_begins_a_new_time_line() -> None:
    """A higher number of the same log was read later, whatever its time says; backlog and an old copy are not."""
    house = House(0, True)
    house.turn(0, house.reading(4, 1.0))  # four minutes ahead: within what is believed
    assert house.turn(1, house.reading(1, 3.1)) == ["rise 0->4"]
    house.seq = 0
    assert house.turn(2, house.reading(0.5, 1.0, log=LOG)) == []
    assert house.state().last_ms == T0 + MINUTE
    assert house.state().recent[-1] == (T0 + MINUTE, 3.1)


def test_what_is_late_puts_nothing_back() -> None:
    """A late sample with a higher number and an older time is no news of the present."""
    house = House(0, True)
    house.turn(60, house.reading(60, 1.0))
    house.turn(61, house.reading(10, 3.1))
    assert house.state().last_ms == T0 + 60 * MINUTE


@pytest.mark.parametrize(
    ("what", "clk", "seconds", "code"),
    [
        ("set", ClockState.SYNCED, T0 / 1000, None),
        ("was set since the boot", ClockState.HOLDOVER, T0 / 1000, None),
        ("never set, with an age", ClockState.UNSYNCED, -5.0, None),
        ("never set, with what it shows", ClockState.UNSYNCED, T0 / 1000, RejectCode.UNDATED),
        ("never set, of the year 1973", ClockState.UNSYNCED, 1e8, RejectCode.UNDATED),
    ],
)
def test_a_clock_that_was_never_set(what: str, clk: ClockState, seconds: float, code: RejectCode | None) -> None:
    """It has no times, only ages."""
    house = House(0, True)
    record = {"bn": f"{STATION}/", "n": "water_level", "u": "m", "v": 1.0, "log": LOG, "seq": 1, "clk": clk.value}
    house.turn(0, wire.encode([record | ({"bt": seconds} if seconds > 0 else {"t": seconds})]))
    assert house.letters == ([code] if code else []), what


def test_doubt_about_the_clock_ends_no_rank() -> None:
    """Samples of a clock that was never set raise unconfirmed and lower nothing; those of a set clock decide."""
    house = House(0, True)
    house.turn(0, house.reading(0, 3.1))
    for minute in range(1, 60):
        sample = Sample("unset", minute, 0, ClockState.UNSYNCED, (Reading(STATION, "water_level", "m", 1.0),))
        (record,) = wire.decode_json(world.pack(replace(sample, observed_ms=T0)))
        del record["bt"]
        assert house.turn(minute, wire.encode([record | {"t": -1.0}])) == []
    assert house.state().rank == 4
