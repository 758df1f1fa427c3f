"""A GPS receiver on a serial line, over a real pseudo-terminal: from sentences to one sample of three channels."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from gateway import config, settings
from gateway.clock import SystemClock
from gateway.edge.agent import open_bus
from gateway.edge.sampling import Sampling
from gateway.edge.stamping import Stamp, Stamper
from gateway.errors import FaultCode
from gateway.model import Reading
from gateway.profiles import decode
from simulators.gpsreceiver import Fix, Receiver, rmc, sealed

PROFILES = config.load_profiles(Path("/nonexistent"), [])
GPS = PROFILES["gps_nmea"]
CHANNELS = {"latitude": "latitude", "longitude": "longitude", "velocity": "velocity"}
PLOUGH = settings.Sensor("gps", "plough-3", "cab", "gps_nmea", 60.0, channels=CHANNELS)
TIMEOUT_S = 1.0


def read(receiver: Receiver, times: int = 1) -> list[dict[str, float | FaultCode]]:
    bus = open_bus(settings.Serial(receiver.port, timeout_s=TIMEOUT_S))
    try:
        found = [bus.read(PLOUGH, GPS) for _ in range(times)]
    finally:
        bus.close()
        receiver.close()
    return [dict.fromkeys(CHANNELS, raw) if isinstance(raw, FaultCode) else decode(GPS, raw) for raw in found]


@pytest.mark.parametrize("talker", ["GP", "GN", "GA", "QZ"])
def test_a_position_among_other_sentences(talker: str) -> None:
    """Of what a receiver says each second, the sentence with position and speed is the reading, of any talker."""
    (found,) = read(Receiver(Fix(34.3433, 134.05, 8.0), talker))
    assert found == {
        "latitude": pytest.approx(34.3433, abs=1e-6),
        "longitude": pytest.approx(134.05, abs=1e-6),
        "velocity": pytest.approx(8.0, abs=1e-3),
    }


def test_the_other_halves_of_the_world() -> None:
    """South and west are below zero."""
    (found,) = read(Receiver(Fix(-27.5, -70.25, 0.0)))
    assert (found["latitude"], found["longitude"]) == (pytest.approx(-27.5), pytest.approx(-70.25))


def test_no_fix_is_no_position() -> None:
    """In a tunnel, and until it knows where it is, all three are faults, whatever the last position was."""
    assert read(Receiver(None)) == [dict.fromkeys(CHANNELS, FaultCode.WARMING_UP)]


@pytest.mark.parametrize(
    "says",
    [
        b"$GPRMC,092751.000,A,3420.6000,N,13403.0000,E,8.64,31.66,280526,,,A*00\r\n",  # another checksum
        b"$GPRMC,092751.000,A,3420.6000,N,134",  # broken off
        b"\xff\x00\xa5" * 30,
        sealed(b"GPGGA,092751.000,3420.6000,N,13403.0000,E,1,8,1.03,61.7,M,55.3,M,,"),  # no sentence of ours
    ],
)
def test_what_is_no_position_is_a_fault(says: bytes) -> None:
    """A sentence with a wrong checksum or none of ours is never a position."""
    receiver = Receiver(Fix(34.0, 134.0, 0.0))
    receiver.says = says
    assert read(receiver) == [dict.fromkeys(CHANNELS, FaultCode.MALFORMED)]


def test_a_receiver_that_says_nothing() -> None:
    """Its cable is off, or its speed another."""
    receiver = Receiver(Fix(34.0, 134.0, 0.0))
    receiver.says = b""
    assert read(receiver) == [dict.fromkeys(CHANNELS, FaultCode.NO_ANSWER)]


def test_a_moving_device_is_one_sample_with_three_channels() -> None:
    """Latitude, longitude and speed of one sentence stand in one sample: a plough that drives is never at the latitude
    of one moment and the longitude of another."""
    receiver = Receiver(Fix(34.0, 134.0, 5.0), drives=(0.001, 0.002))
    taken: list[tuple[Stamp, Sequence[Reading]]] = []
    stop = threading.Event()

    def take(stamp: Stamp, readings: Sequence[Reading], _raised: bool) -> None:
        taken.append((stamp, readings))
        if len(taken) == 3:
            stop.set()

    clock = SystemClock()
    sensor = settings.Sensor("gps", "plough-3", "cab", "gps_nmea", 0.05, channels=CHANNELS)
    bus = open_bus(settings.Serial(receiver.port, timeout_s=TIMEOUT_S))
    try:
        Sampling(bus, [sensor], PROFILES, clock, Stamper(clock), take).run(stop)
    finally:
        receiver.close()
    assert len({stamp.observed_ms for stamp, _ in taken}) == 3
    places = []
    for _, readings in taken:
        assert [(r.station, r.channel, r.unit, r.fault) for r in readings] == [
            ("plough-3", "latitude", "lat", None),
            ("plough-3", "longitude", "lon", None),
            ("plough-3", "velocity", "m/s", None),
        ]
        north, east, speed = (r.value for r in readings)
        assert north is not None
        assert east is not None
        assert speed == pytest.approx(5.0, abs=1e-3)
        assert math.isclose((east - 134.0) / 2, north - 34.0, abs_tol=1e-6)  # of one and the same moment
        places.append((north, east))
    assert len(set(places)) == 3


def test_a_simulated_sentence_is_as_a_real_one() -> None:
    """By the checksum of a recorded sentence (nmea.js, Tripmate 850), made again from its content."""
    recorded = b"$GPRMC,092751.000,A,5321.6802,N,00630.3371,W,0.06,31.66,280511,,,A*45\r\n"
    assert sealed(recorded[1:].partition(b"*")[0]) == recorded
    assert rmc("GP", Fix(53.36133667, -6.50561833, 0.0)).startswith(b"$GPRMC,092751.00,A,5321.68020,N,00630.33710,W,")
