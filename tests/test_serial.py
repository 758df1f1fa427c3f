"""Sensors on a serial line of their own, over a real pseudo-terminal."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway import config, settings
from gateway.edge.agent import open_bus
from gateway.edge.sampling import Bus
from gateway.errors import FaultCode
from gateway.profiles import Profile, decode
from simulators.serialsensors import Speaker

PROFILES = config.load_profiles(Path("/nonexistent"), [])
MAXBOTIX, DFROBOT, RAIN = (PROFILES[x] for x in ("maxbotix_mb7389", "dfrobot_a02yyuw", "hydreon_rg15"))
TIMEOUT_S = 0.3
RG15 = b"Acc  0.20 mm, EventAcc  1.00 mm, TotalAcc %5.2f mm, RInt  2.00 mmph\r\n"


@contextmanager
def on(line: Speaker) -> Iterator[Bus]:
    bus = open_bus(settings.Serial(line.port, timeout_s=TIMEOUT_S))
    try:
        yield bus
    finally:
        bus.close()
        line.close()


def read(bus: Bus, profile: Profile, name: str) -> object:
    """What a read says of a value, or the fault of its bus."""
    raw = bus.read(settings.Sensor("gauge", "kasuga", "line", profile.id, 60.0), profile)
    return raw if isinstance(raw, FaultCode) else decode(profile, raw)[name]


def frame(distance_mm: int) -> bytes:
    """What a DFRobot A02YYUW sends (its wiki, UART output)."""
    body = bytes([0xFF, distance_mm >> 8, distance_mm & 0xFF])
    return body + bytes([sum(body) & 0xFF])


def test_one_that_speaks_in_lines() -> None:
    """A line of text that a sensor sends by itself is a reading."""
    with on(Speaker(b"R1234\r")) as bus:
        assert read(bus, MAXBOTIX, "distance") == 1.234


def test_one_that_speaks_in_bytes() -> None:
    """So is a binary frame with its checksum."""
    with on(Speaker(frame(1953))) as bus:
        assert read(bus, DFROBOT, "distance") == pytest.approx(1.953)


def test_one_that_is_asked() -> None:
    """A sensor that waits for a question is sent what its profile says, once for each reading."""
    line = Speaker(answers={b"R\n": RG15 % 1.23})
    with on(line) as bus:
        assert [read(bus, RAIN, "rain") for _ in range(3)] == [1.23] * 3
    assert line.asked == [b"R\n"] * 3


@pytest.mark.parametrize(
    ("says", "fault"),
    [
        (b"", FaultCode.NO_ANSWER),
        (b"R12", FaultCode.MALFORMED),
        (b"HRXL-MaxSonar-WRMT\rPN:MB7389\r", FaultCode.MALFORMED),
        (b"\xff\x00" * 40, FaultCode.MALFORMED),
    ],
)
def test_what_is_no_frame_is_a_fault_and_the_next_one_is_read(says: bytes, fault: FaultCode) -> None:
    """Half a line, words of start-up and noise are faults at every read, and nothing of them is in the next value."""
    line = Speaker(says)
    with on(line) as bus:
        assert read(bus, MAXBOTIX, "distance") is fault
        line.says = b"R1234\r"
        assert 1.234 in [read(bus, MAXBOTIX, "distance") for _ in range(3)]


def test_a_wrong_checksum_is_no_reading() -> None:
    """A frame with one bit turned over is thrown away; the one behind it is read."""
    good = frame(1953)
    line = Speaker(good[:2] + bytes([good[2] ^ 4]) + good[3:])
    with on(line) as bus:
        assert read(bus, DFROBOT, "distance") is FaultCode.MALFORMED
        line.says += good
        assert read(bus, DFROBOT, "distance") == pytest.approx(1.953)


def test_what_waited_in_the_buffer_is_of_an_unknown_age() -> None:
    """Between two reads a sensor speaks on; the next reading is one that it sends then."""
    line = Speaker(b"R1234\r", every_s=0.02)
    with on(line) as bus:
        assert read(bus, MAXBOTIX, "distance") == 1.234
        time.sleep(0.2)  # ten lines wait
        line.says = b"R4000\r"
        time.sleep(0.05)  # one more of the old ones may be on its way
        assert read(bus, MAXBOTIX, "distance") == 4.0


def test_a_late_answer_is_never_the_next_reading() -> None:
    """What is said after the time-out is thrown away."""
    line = Speaker(answers={b"R\n": RG15 % 1.0})
    with on(line) as bus:
        line.late_s = 1.5 * TIMEOUT_S
        assert read(bus, RAIN, "rain") is FaultCode.NO_ANSWER
        time.sleep(1.5 * TIMEOUT_S)
        line.late_s, line.answers = 0.0, {b"R\n": RG15 % 2.0}
        assert read(bus, RAIN, "rain") == 2.0


def test_a_sensor_that_babbles_does_not_keep_the_thread() -> None:
    """Bytes without end are a fault within the time-out."""
    with on(Speaker(b"U" * 512, every_s=0.001)) as bus:
        assert read(bus, MAXBOTIX, "distance") is FaultCode.MALFORMED


def test_a_port_that_is_not_there(tmp_path: Path) -> None:
    """An adapter that is pulled out is a fault of the bus; when it is back it is read again, by the same bus."""
    port = tmp_path / "ttyUSB0"
    bus = open_bus(settings.Serial(str(port), timeout_s=TIMEOUT_S))
    assert read(bus, MAXBOTIX, "distance") is FaultCode.BUS_ERROR
    line = Speaker(b"R1234\r")
    port.symlink_to(line.port)
    assert read(bus, MAXBOTIX, "distance") == 1.234
    line.close()
    assert read(bus, MAXBOTIX, "distance") in (FaultCode.BUS_ERROR, FaultCode.NO_ANSWER)
    again = Speaker(b"R2000\r")
    port.unlink()
    port.symlink_to(again.port)
    try:
        assert 2.0 in [read(bus, MAXBOTIX, "distance") for _ in range(2)]
    finally:
        bus.close()
        again.close()
