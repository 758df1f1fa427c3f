"""Whatever a peer or a line answers to Modbus, a reading is what was asked for, or a named fault."""

from __future__ import annotations

import contextlib
import math
import os
import select
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from gateway import config, settings
from gateway.edge.agent import open_bus
from gateway.edge.sampling import Bus
from gateway.encodings.frames import CHECKSUMS
from gateway.errors import FaultCode
from gateway.profiles import Decoded, decode, encode
from simulators.serialsensors import Line
from tests.loopback import Loopback

PROFILE = config.load_profiles(Path("/nonexistent"), [])["sim_river_gauge"]
((FIRST, COUNT),) = PROFILE.blocks()
UNIT, FUNCTION = 1, 3 if PROFILE.function == "holding" else 4
SENSOR = settings.Sensor("gauge", "kasuga", "line", PROFILE.id, 60.0, UNIT)
SAID = {"read_counter": 17.0, "water_level": 1.234, "battery_voltage": 12.61}
WORDS = b"".join(encode(PROFILE, SAID).get(at, 0).to_bytes(2, "big") for at in range(FIRST, FIRST + COUNT))
TIMEOUT_S, SOON_S = 30.0, 0.02
SLOW = int(os.environ.get("SUIMON_FUZZ", "0")) // 5 or 25  # examples that each take a time-out or two
crc = CHECKSUMS["modbus_crc"][1]


def checked(bus: Bus) -> FaultCode | Decoded:
    """What a reading says: finite numbers of the profile's values, or faults."""
    raw = bus.read(SENSOR, PROFILE)
    if isinstance(raw, FaultCode):
        return raw
    assert isinstance(raw, dict)
    assert all(isinstance(word, int) and 0 <= word <= 0xFFFF for word in raw.values())
    found = decode(PROFILE, raw)
    assert set(found) == {value.name for value in PROFILE.values}
    assert all(isinstance(x, FaultCode) or math.isfinite(x) for x in found.values())
    return found


# --- answers, without their frames

FUNCTIONS = st.sampled_from([FUNCTION, FUNCTION, 3, 4, 0x17, 0x80, 0x83, 0x84]) | st.integers(0, 255)
BODIES = (
    st.just(bytes([len(WORDS)]) + WORDS)
    | st.binary(max_size=250)
    | st.binary(max_size=250).map(lambda x: bytes([len(x)]) + x)
    | st.builds(lambda n, x: bytes([n]) + x, st.integers(0, 255), st.binary(max_size=20))
)
PDUS = st.builds(lambda function, body: bytes([function]) + body, FUNCTIONS, BODIES)
RIGHT = bytes([FUNCTION, len(WORDS)]) + WORDS


def right(pdu: bytes) -> bool:
    """Whether it is an answer to what was asked: that function and as many registers. pymodbus reads an odd number of
    bytes as that of the whole registers in it."""
    return pdu[0] == FUNCTION and pdu[1] & 0xFE == len(WORDS) and len(pdu) >= len(RIGHT)


# --- TCP


class Peer(Loopback):
    """Each request is answered with what `says` makes of its transaction id; then it hangs up, so that what is too
    short is known at once."""

    says: Callable[[bytes], bytes] = staticmethod(lambda _: b"")

    def answer(self, line: socket.socket) -> None:
        line.sendall(self.says(line.recv(12)[:2]))
        line.shutdown(socket.SHUT_WR)


@pytest.fixture(scope="module")
def peer() -> Iterator[Peer]:
    peer = Peer()
    yield peer
    peer.close()


def framed(transaction: bytes, pdu: bytes, unit: int = UNIT, length: int | None = None) -> bytes:
    """Behind a header of Modbus TCP (Messaging on TCP/IP v1.0b, section 3.1.3)."""
    return transaction + b"\0\0" + (len(pdu) + 1 if length is None else length).to_bytes(2, "big") + bytes([unit]) + pdu


def over_tcp(peer: Peer, says: Callable[[bytes], bytes]) -> FaultCode | Decoded:
    peer.says = says
    bus = open_bus(settings.ModbusTcp("127.0.0.1", peer.port, TIMEOUT_S))
    try:
        return checked(bus)
    finally:
        bus.close()


@given(st.binary(max_size=600), st.booleans())
def test_any_bytes_of_a_peer(peer: Peer, says: bytes, ours: bool) -> None:
    """Noise, behind the right transaction id or not, is a reading of it or a fault; the next answer is read."""
    over_tcp(peer, lambda transaction: transaction + b"\0\0" + says if ours else says)
    assert over_tcp(peer, lambda transaction: framed(transaction, RIGHT)) == SAID


@given(
    PDUS, st.sampled_from([UNIT] * 4 + [0, 2, 255]), st.none() | st.none() | st.integers(0, 65535), st.integers(0, 9)
)
def test_any_answer_of_a_peer(peer: Peer, pdu: bytes, unit: int, length: int | None, cut: int) -> None:
    """Another function, unit or number of registers than were asked for is a fault, and never a level."""
    found = over_tcp(peer, lambda t: (whole := framed(t, pdu, unit, length))[: len(whole) - cut])
    if not isinstance(found, FaultCode):
        assert unit == UNIT
        assert right(pdu)


@pytest.mark.parametrize(
    ("what", "pdu", "fault"),
    [
        ("the other kind of register", bytes([7 - FUNCTION]) + RIGHT[1:], FaultCode.MALFORMED),
        ("written and read", b"\x17" + RIGHT[1:], FaultCode.MALFORMED),
        ("one register too few", bytes([FUNCTION, len(WORDS) - 2]) + WORDS[:-2], FaultCode.MALFORMED),
        ("one register too many", bytes([FUNCTION, len(WORDS) + 2]) + WORDS + b"\0\0", FaultCode.MALFORMED),
        ("no register", bytes([FUNCTION, 0]), FaultCode.MALFORMED),
        ("a half register", bytes([FUNCTION, 1, 0]), FaultCode.MALFORMED),
        ("an exception", bytes([FUNCTION | 0x80, 2]), FaultCode.REFUSED),
        ("an exception that there is not", bytes([FUNCTION | 0x80, 99]), FaultCode.REFUSED),
        ("an exception to another question", bytes([(7 - FUNCTION) | 0x80, 2]), FaultCode.MALFORMED),
    ],
)
def test_an_answer_to_another_question(peer: Peer, what: str, pdu: bytes, fault: FaultCode) -> None:
    """A whole frame that answers something else is malformed, over TCP and over a line; and the next reading is
    right."""
    assert over_tcp(peer, lambda transaction: framed(transaction, pdu)) is fault, what
    with serial(0.1) as (line, bus):
        line.says = sealed(pdu)
        assert checked(bus) is fault, what
        line.says = sealed(RIGHT)
        assert checked(bus) == SAID


# --- RTU


class Talker(Line):
    """A line that answers any eight bytes with `says`."""

    says = b""

    def _serve(self) -> None:
        heard = b""
        while not self._stop.is_set():
            if not select.select([self._line], [], [], 0.02)[0]:
                heard = b""
                continue
            heard += os.read(self._line, 256)
            if len(heard) >= 8:
                heard = b""
                self._put(self.says)


@contextlib.contextmanager
def serial(timeout_s: float) -> Iterator[tuple[Talker, Bus]]:
    line = Talker()
    bus = open_bus(settings.ModbusRtu(line.port, 115200, "8N1", timeout_s))
    try:
        yield line, bus
    finally:
        bus.close()
        line.close()


@pytest.fixture(scope="module")
def line() -> Iterator[tuple[Talker, Bus]]:
    with serial(SOON_S) as both:
        yield both


def sealed(pdu: bytes, unit: int = UNIT) -> bytes:
    return bytes([unit]) + pdu + crc(bytes([unit]) + pdu)


@hypothesis_settings(max_examples=SLOW)
@given(st.binary(max_size=600))
def test_any_bytes_of_a_line(line: tuple[Talker, Bus], says: bytes) -> None:
    """Noise is a fault, or a reading where a frame with its CRC stands in it."""
    talker, bus = line
    talker.says = says
    checked(bus)


@hypothesis_settings(max_examples=SLOW)
@given(PDUS, st.sampled_from([UNIT] * 4 + [0, 2, 255]), st.binary(max_size=3), st.binary(max_size=3), st.integers(0, 9))
def test_any_answer_of_a_line(
    line: tuple[Talker, Bus], pdu: bytes, unit: int, before: bytes, after: bytes, cut: int
) -> None:
    """Another function, unit or number of registers, with noise around it, cut off: a fault, and never a level."""
    talker, bus = line
    whole = sealed(pdu, unit)
    talker.says = before + whole[: len(whole) - cut] + after
    found = checked(bus)
    if not isinstance(found, FaultCode) and not before:
        assert unit == UNIT
        assert right(pdu)
