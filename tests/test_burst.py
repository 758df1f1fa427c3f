"""Several readings for one sample, and a sensor that is not ready yet."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import settings
from gateway.edge.burst import middle
from gateway.edge.sampling import Sampling
from gateway.edge.stamping import Stamper
from gateway.encodings import binary
from gateway.encodings.frames import Frame
from gateway.errors import FaultCode
from gateway.model import Reading
from gateway.profiles import Faults, Profile, Raw, Sampled, Value, encode
from tests.clocks import S, SetClock
from tests.test_sampling import PROFILE, sensor

NO_ECHO, NO_ANSWER, MALFORMED = FaultCode.NO_ECHO, FaultCode.NO_ANSWER, FaultCode.MALFORMED


@pytest.mark.parametrize(
    ("what", "found", "of", "expected"),
    [
        ("one", [1.0], 1, 1.0),
        ("a stray echo", [1.0, 9.0, 1.1], 3, 1.1),
        ("an even number", [1.0, 1.2, 1.4, 9.0], 4, 1.2),
        ("some without an echo", [1.0, NO_ECHO, 1.1, NO_ECHO, 1.2], 5, 1.1),
        ("most without an echo", [1.0, NO_ECHO, NO_ECHO], 3, NO_ECHO),
        ("it broke off", [1.0, NO_ANSWER], 5, NO_ANSWER),
        ("it broke off late", [1.0, 1.1, 1.2, NO_ANSWER], 5, 1.1),
        ("the fault that was met most often", [FaultCode.SENSOR_ERROR, NO_ECHO, NO_ECHO], 3, NO_ECHO),
    ],
)
def test_the_middle(what: str, found: list[float | FaultCode], of: int, expected: float | FaultCode) -> None:
    """The median of the values where at least half of the burst are values, else the commonest fault."""
    assert middle([{"v": x} for x in found], of) == {"v": expected}, what


def test_a_value_that_some_readings_leave_out() -> None:
    """It is the median of those that hold it; a fault among them counts as ever."""
    assert middle([{"v": 1.0, "w": 5.0}, {"v": 2.0}, {"w": NO_ECHO}], 3) == {"v": 1.0, "w": NO_ECHO}


@given(st.lists(st.floats(0, 10), min_size=1, max_size=9), st.floats(100, 1000))
def test_fewer_than_half_wild_readings_change_nothing_beyond_the_others(calm: list[float], wild: float) -> None:
    """Whatever the wild ones say, the sample lies within what the others said, and is one of them."""
    readings = [*calm, *[wild] * ((len(calm) - 1) // 2)]
    assert middle([{"v": x} for x in readings], len(readings))["v"] in calm


@dataclass
class Bus:
    """Serves a level for each reading, or a fault of the bus; a reading takes a second."""

    clock: SetClock
    serves: Callable[[int], float | FaultCode]
    where: str = "pole"
    at: list[int] = field(default_factory=list)

    def patience_s(self, profile: Profile) -> float:
        return 1.0

    def read(self, sensor: settings.Sensor, profile: Profile) -> Raw | FaultCode:
        self.at.append(self.clock.uptime_ms())
        found = self.serves(len(self.at))
        self.clock.pass_(S)
        return found if isinstance(found, FaultCode) else encode(profile, {"water_level": found, "read_counter": 1.0})

    def close(self) -> None:
        pass


def samples(serves: Callable[[int], float | FaultCode], sampled: Sampled, reads: int) -> tuple[list[object], list[int]]:
    """The levels of the samples until so many readings were made, and when those were made, in seconds."""
    clock, stop, taken = SetClock([]), threading.Event(), list[object]()
    bus = Bus(clock, serves)

    def take(stamp: object, readings: list[object], raised: bool) -> None:
        level = next(r for r in readings if r.channel == "water_level")  # type: ignore[attr-defined]
        taken.append(level.value if level.fault is None else level.fault)  # type: ignore[attr-defined]
        if len(bus.at) >= reads:
            stop.set()

    level = PROFILE.values[1]
    assert level.name == "water_level"
    begun = replace(level, faults=Faults({-30_000.0: FaultCode.COUNT_LOST}))
    values = tuple(begun if v is level else v for v in PROFILE.values)
    profile = replace(PROFILE, sampled=sampled, values=values)
    one = replace(sensor(60.0), burst=sampled.burst)
    Sampling(bus, [one], {profile.id: profile}, clock, Stamper(clock), take).run(stop)  # type: ignore[arg-type]
    return taken, [(at - bus.at[0]) // S for at in bus.at]


def test_a_sample_of_a_burst() -> None:
    """Five readings a pause apart make one sample, and the next burst comes at the interval."""
    levels = [1.0, 1.1, 9.0, 1.2, 1.05, 2.0, 2.0, 2.0, 2.0, 2.0]
    found, at = samples(lambda n: levels[n - 1], Sampled(burst=5, pause_s=2.0), 10)
    assert found == [1.1, 2.0]
    assert at == [0, 3, 6, 9, 12, 60, 63, 66, 69, 72]


def test_a_sensor_that_does_not_answer_is_not_asked_for_the_rest_of_a_burst() -> None:
    found, at = samples(lambda n: NO_ANSWER if n <= 2 else 1.5, Sampled(burst=3), 5)
    assert found == [NO_ANSWER, NO_ANSWER, 1.5]
    assert at == [0, 60, 120, 121, 122]


def test_what_is_said_while_it_warms_up_is_no_reading() -> None:
    """After the start, and again after it had not answered: it may have been without power."""
    found, _ = samples(lambda n: NO_ANSWER if n == 4 else float(n), Sampled(warm_up_s=62.0), 7)
    warm = FaultCode.WARMING_UP
    assert found == [warm, warm, 3.0, NO_ANSWER, warm, warm, 7.0]


def test_a_count_that_begins_again_while_it_warms_up_is_told() -> None:
    """It is said once, at the first reading after a start, which no warming up may hide."""
    found, _ = samples(lambda n: -30.0 if n == 1 else float(n), Sampled(warm_up_s=62.0), 3)
    assert found == [FaultCode.COUNT_LOST, FaultCode.WARMING_UP, 3.0]


@dataclass
class Radio:
    """Serves these payloads, one each reading."""

    payloads: list[str]
    where: str = "pole"
    stop: threading.Event = field(default_factory=threading.Event)

    def patience_s(self, profile: Profile) -> float:
        return 1.0

    def read(self, sensor: settings.Sensor, profile: Profile) -> Raw | FaultCode:
        payload = self.payloads.pop(0)
        if not self.payloads:
            self.stop.set()
        return bytes.fromhex(payload)

    def close(self) -> None:
        pass


def test_what_a_message_leaves_out_is_no_reading() -> None:
    """An optional value is in the sample where the message holds it; a message that holds nothing of the sensor is
    malformed."""
    clock, taken = SetClock([]), list[dict[str, object]]()
    frame = Frame(tags=((b"\x01", 1), (b"\x02", 1), (b"\x03", 1)))
    values = tuple(
        Value(name, quantity, unit, 1.0, 0.0, binary.At(0, tag=tag), optional=True)
        for name, quantity, unit, tag in (("contact", "contact", "/", b"\x01"), ("heard", "count", "count", b"\x02"))
    )
    profile = Profile("acme", "", "", "", "binary", values, frame=frame)
    one = replace(sensor(60.0), profile="acme", channels={"contact": "contact", "heard": "heard"})
    bus = Radio(["01 01 02 07", "01 00", "03 05"])

    def take(stamp: object, readings: list[Reading], raised: bool) -> None:
        taken.append({r.channel: r.value if r.fault is None else r.fault for r in readings})

    Sampling(bus, [one], {"acme": profile}, clock, Stamper(clock), take).run(bus.stop)  # type: ignore[arg-type]
    assert taken == [{"contact": 1.0, "heard": 7.0}, {"contact": 0.0}, dict.fromkeys(("contact", "heard"), MALFORMED)]
