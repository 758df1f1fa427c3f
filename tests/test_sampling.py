"""Sampling one bus: when sensors are read, and what time a sample bears whatever is done to the device's clock."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import config, settings
from gateway.edge.sampling import WAIT_MARGIN_S, Sampling
from gateway.edge.spool import Spool
from gateway.edge.stamping import BRIDGED_MS, Stamp, Stamper
from gateway.errors import FaultCode
from gateway.model import ClockState, Reading, Sample
from gateway.profiles import Profile, Words, encode
from gateway.ranges import RangeSet
from tests.clocks import BOOT, HOUR, YEAR, S, Set, SetClock
from tests.world import STATION, T0

PROFILES = config.load_profiles(Path("/nonexistent"), [])
PROFILE = PROFILES["sim_river_gauge"]
CHANNELS = {"water_level": "water_level", "read_counter": "read_counter"}
SYNCED, HOLDOVER, UNSYNCED = ClockState.SYNCED, ClockState.HOLDOVER, ClockState.UNSYNCED


@dataclass
class FakeBus:
    """Serves a counter of its reads, and notes when by true time and uptime; each read takes `takes_ms`."""

    clock: SetClock
    level: Callable[[int], float | FaultCode] = lambda _: 1.0
    takes_ms: Callable[[int], int] = lambda _: 0
    where: str = "192.0.2.7:502"
    read_at: list[tuple[int, int, int]] = field(default_factory=list)  # unit id, true time, uptime
    closed: bool = False

    def patience_s(self, profile: Profile) -> float:
        return 5.0

    def read(self, sensor: settings.Sensor, profile: Profile) -> Words | FaultCode:
        self.read_at.append((sensor.unit_id, self.clock.true_ms(), self.clock.uptime_ms()))
        count = len(self.read_at)
        level = self.level(count)
        self.clock.pass_(self.takes_ms(count))
        if isinstance(level, FaultCode):
            return level
        words = encode(profile, {"water_level": level, "read_counter": float(count)})
        assert isinstance(words, dict)
        return dict.fromkeys(range(profile.blocks()[0][0], sum(profile.blocks()[0])), 0) | words

    def close(self) -> None:
        self.closed = True


def sensor(interval_s: float = 10.0, name: str = "level", unit_id: int = 1, **more: object) -> settings.Sensor:
    return settings.Sensor(name, STATION, "mast", PROFILE.id, interval_s, unit_id, CHANNELS, **more)  # type: ignore[arg-type]


def sample_all(
    clock: SetClock, bus: FakeBus, path: Path, sensors: Sequence[settings.Sensor] = (sensor(),)
) -> list[Sample]:
    """Sample until the clock ends, into a real spool; what it took, each of which is on the card."""
    spool, taken = Spool(path, 10**8, clock.now_ms()), list[Sample]()

    def take(stamp: Stamp, readings: Sequence[Reading], raised: bool) -> None:
        taken.append(spool.append(stamp.observed_ms, stamp.clk, readings, stamp.moment, raised))

    Sampling(bus, sensors, PROFILES, clock, Stamper(clock), take).run(threading.Event())
    try:
        spool.commit()
        assert spool.unsettled(spool.opening, 10**6, RangeSet()) == taken
        return taken
    finally:
        spool.close()


def counters(samples: Sequence[Sample]) -> list[float | None]:
    return [r.value for s in samples for r in s.readings if r.channel == "read_counter"]


# --- the clock is set --------------------------------------------------------------------------------------------

SET_AT = 30 * 60 * S + 3 * S
UNSET_1970 = -T0 + 60 * S  # the wall clock began at 1970 when the device did


@pytest.mark.parametrize("by_ms", [S, -S, 4 * S, -4 * S, HOUR, -HOUR, 10 * YEAR, -10 * YEAR])
def test_a_step_of_the_clock_neither_stops_nor_doubles_the_sampling(by_ms: int, tmp_path: Path) -> None:
    """The clock was off, claims to be synced, and is put right in the middle: read every ten seconds all the same,
    every read is on the card once, and every sample after the step bears the true time, a small step back within the
    seconds that it is bridged."""
    clock = SetClock([Set(SET_AT, by_ms)], ahead_ms=-by_ms)
    bus = FakeBus(clock)
    samples = sample_all(clock, bus, tmp_path / "spool.db")
    assert counters(samples) == list(range(1, len(bus.read_at) + 1))
    assert {b[2] - a[2] for a, b in pairwise(bus.read_at)} == {10 * S}
    assert len(samples) == 6 * 59 + 1
    before = [s for s, (_, _, up) in zip(samples, bus.read_at, strict=True) if up < SET_AT]
    for part in (before, samples[len(before) :]):
        assert all(a.observed_ms < b.observed_ms for a, b in pairwise(part))
    off = [s.observed_ms - true for s, (_, true, _) in zip(samples, bus.read_at, strict=True)]
    assert set(off[: len(before)]) == {-by_ms}
    assert set(off[len(before) :]) == {0}


@pytest.mark.parametrize(("behind_ms", "bridged"), [(0, 1), (S, 1), (BRIDGED_MS, 1), (BRIDGED_MS + 1, 0), (HOUR, 0)])
def test_a_small_step_back_is_bridged_and_a_correction_begins_anew(behind_ms: int, bridged: bool) -> None:
    """A clock that comes to stand a little behind the last sample is bridged by a millisecond; what is further behind
    was wrong before, and the clock is right."""
    clock = SetClock([Set(61 * S, -behind_ms - S)])
    stamper = Stamper(clock)
    first = stamper.stamp("level").observed_ms
    clock.pass_(S)
    second = stamper.stamp("level").observed_ms
    assert second - first == (1 if bridged else -behind_ms)


def test_a_bridge_ends_when_the_clock_has_come_up_again() -> None:
    """It is never further off than the step was, and then off no more."""
    clock = SetClock([Set(61 * S, -2 * S)])
    stamper = Stamper(clock)
    off = []
    for _ in range(10):
        off.append(stamper.stamp("level").observed_ms - clock.now_ms())
        clock.pass_(S)
    assert off == [0, 1001, 2, 0, 0, 0, 0, 0, 0, 0]


def test_channels_have_times_of_their_own() -> None:
    """Two sensors read in the same millisecond bear the same time; one sensor never twice."""
    stamper = Stamper(SetClock())
    times = [stamper.stamp(name).observed_ms - T0 - 60 * S for name in ("a", "b", "a", "b", "b")]
    assert times == [0, 0, 1, 1, 2]


@pytest.mark.parametrize(
    ("what", "set_at"),
    [("after 30 s", 90 * S), ("after 10 min", 660 * S), ("never", None)],
)
def test_a_boot_in_1970(what: str, set_at: int | None, tmp_path: Path) -> None:
    """What is read before the clock is set says when by uptime, what is read after it bears the true time; all of it
    is on the card once."""
    sets = [] if set_at is None else [Set(set_at, -UNSET_1970)]
    clock = SetClock(sets, ahead_ms=UNSET_1970, state=UNSYNCED)
    bus = FakeBus(clock)
    samples = sample_all(clock, bus, tmp_path / "spool.db")
    assert counters(samples) == list(range(1, len(bus.read_at) + 1))
    for sample, (_, true, up) in zip(samples, bus.read_at, strict=True):
        if set_at is None or up < set_at:
            assert sample.clk is UNSYNCED
            assert sample.moment is not None
            assert (sample.moment.boot, sample.moment.uptime_ms) == (BOOT, up)
        else:
            assert (sample.clk, sample.moment, sample.observed_ms) == (SYNCED, None, true), what


def test_a_clock_set_between_two_questions_is_never_taken_for_right_too_early() -> None:
    """The state is asked before the time: a sample that says synced bears a time of the clock that was set."""
    clock = SetClock(ahead_ms=UNSET_1970, state=UNSYNCED)
    asked: list[str] = []
    state, now = clock.sync_state, clock.now_ms
    clock.sync_state = lambda: asked.append("state") or state()  # type: ignore[method-assign,func-returns-value]
    clock.now_ms = lambda: asked.append("time") or now()  # type: ignore[method-assign,func-returns-value]
    Stamper(clock).stamp("level")
    assert asked == ["state", "time"]


steps = st.lists(
    st.tuples(
        st.integers(60 * S, 600 * S),
        st.one_of(st.integers(-10 * S, 10 * S), st.integers(-10 * YEAR, 10 * YEAR)),
        st.sampled_from(ClockState),
    ),
    max_size=6,
)


@given(steps, st.integers(1000, 20_000))
def test_whatever_is_done_to_the_clock(steps: list[tuple[int, int, ClockState]], interval_ms: int) -> None:
    """Every read becomes one sample, at its interval; a sample says synced or holdover with the clock's own time, or
    unsynced with its moment; a time differs from the clock's by less than a bridge, and is never one just given."""
    clock = SetClock([Set(*s) for s in sorted(steps, key=lambda s: s[0])], end_ms=600 * S)
    bus = FakeBus(clock)
    taken: list[tuple[Stamp, int]] = []
    sampling = Sampling(
        bus,
        [sensor(interval_ms / 1000)],
        PROFILES,
        clock,
        Stamper(clock),
        lambda s, *_: taken.append((s, clock.now_ms())),
    )
    sampling.run(threading.Event())
    assert len(taken) == len(bus.read_at) == 540 * S // interval_ms + 1
    assert {b[2] - a[2] for a, b in pairwise(bus.read_at)} <= {interval_ms}
    for (stamp, now), (_, _, up) in zip(taken, bus.read_at, strict=True):
        assert 0 <= stamp.observed_ms - now <= BRIDGED_MS + 1
        assert (stamp.moment is not None) == (stamp.clk is UNSYNCED)
        assert stamp.moment is None or stamp.moment.uptime_ms == up
    for (a, _), (b, now) in pairwise(taken):
        assert b.observed_ms > a.observed_ms or a.observed_ms - now > BRIDGED_MS


def test_what_is_done_to_the_clock_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """Not set, set, and set by how much: once each."""
    caplog.set_level(logging.INFO)
    clock = SetClock([Set(70 * S, HOUR), Set(80 * S, -2 * HOUR, UNSYNCED), Set(90 * S, 10, HOLDOVER)])
    stamper = Stamper(clock)
    for _ in range(20):
        stamper.stamp("level")
        clock.pass_(2 * S)
    assert [r.getMessage() for r in caplog.records] == [
        "the device's clock was set forwards by 1 h",
        "the device's clock was set backwards by 2 h",
        "the device's clock is not set. Each sample waits a minute for it, then the bridge dates it and it "
        "alarms as unconfirmed. Mend time synchronisation, or say 'clock: {trust: always}' in edge.yaml if it is right",
        "the device's clock is set now (holdover)",
    ]


# --- when a sensor is read -----------------------------------------------------------------------------------------


def test_a_sensor_slower_than_its_interval_does_not_accumulate(tmp_path: Path) -> None:
    """Reads of 25 s at an interval of 10 s: one after the other, and no more of them once the sensor is quick again."""
    clock = SetClock(end_ms=660 * S)
    bus = FakeBus(clock, takes_ms=lambda n: 25 * S if n <= 10 else 0)
    samples = sample_all(clock, bus, tmp_path / "spool.db")
    ups = [up - 60 * S for _, _, up in bus.read_at]
    gaps = [b - a for a, b in pairwise(ups)]
    assert min(gaps[:10]) >= 25 * S
    assert max(gaps[:10]) <= 40 * S
    assert set(gaps[11:]) == {10 * S}
    assert all(up % (10 * S) == 0 for up in ups[11:])
    assert counters(samples) == list(range(1, len(samples) + 1))


def test_a_slow_sensor_holds_up_its_neighbour_by_one_read_at_most(tmp_path: Path) -> None:
    """On a bus with a sensor that always times out, the other one is still read at every interval of its own."""
    clock = SetClock(end_ms=660 * S)
    bus = FakeBus(clock)
    bus.takes_ms = lambda n: 3 * S if bus.read_at[-1][0] == 9 else 0
    sample_all(clock, bus, tmp_path / "spool.db", [sensor(1.0, "dead", 9), sensor(10.0, "level", 1)])
    ups = [up for unit, _, up in bus.read_at if unit == 1]
    assert len(ups) == 61
    assert max(b - a for a, b in pairwise(ups)) <= 13 * S


def test_every_round_is_announced(tmp_path: Path) -> None:
    """A loop says how long it will wait and how long the bus may take, so that a hanging one can be told from one that
    has nothing to do; and it leaves the bus closed."""
    clock, beats = SetClock(end_ms=100 * S), list[float]()
    bus = FakeBus(clock)
    nothing = lambda *_: None  # noqa: E731
    Sampling(bus, [sensor(30.0)], PROFILES, clock, Stamper(clock), nothing, beat=beats.append).run(threading.Event())
    wait, read = 30 + WAIT_MARGIN_S, 5 + WAIT_MARGIN_S
    assert beats == [WAIT_MARGIN_S, read, wait, read, wait]
    assert bus.closed


def test_a_fault_is_told_once_with_the_place_and_its_end_with_the_count(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """First failure with sensor, station, bus and address, recovery with the count; every read is a sample."""
    caplog.set_level(logging.INFO)
    clock = SetClock(end_ms=160 * S)
    bus = FakeBus(clock, level=lambda n: FaultCode.BUS_ERROR if 3 <= n <= 6 else 1.0)
    samples = sample_all(clock, bus, tmp_path / "spool.db")
    assert [s.readings[0].fault for s in samples] == [None] * 2 + [FaultCode.BUS_ERROR] * 4 + [None] * 5
    assert [r.getMessage() for r in caplog.records] == [
        "sensor level at kasuga-bridge (bus mast, 192.0.2.7:502): the bus could not be reached; "
        "a fault is sent instead",
        "sensor level at kasuga-bridge answers again after 4 failures",
    ]
