"""What devices on a bus answer, at random: each reading ends, as values that its profile can have or as a named fault,
and the next one is right."""

from __future__ import annotations

import contextlib
import json
import math
import os
import select
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from gateway import config, settings
from gateway.edge.agent import open_bus
from gateway.encodings.frames import CHECKSUMS
from gateway.errors import FaultCode
from gateway.profiles import Asked, Profile, decode
from simulators.serialsensors import Speaker

PROFILES = config.load_profiles(Path("/nonexistent"), [])
HTTP = replace(PROFILES["json_level"], asked=Asked(path="/level"))
MODBUS = PROFILES["sim_river_gauge"]
SOON_S = 0.15  # of an answer that does not come
slow = examples(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture], deadline=None)


class Answering:
    """A server of the loopback that answers each question with what `says` makes of it, then hangs up."""

    def __init__(self) -> None:
        self.says: Callable[[bytes], bytes] = lambda _: b""
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self._thread = threading.Thread(target=self._serve, name="answering")
        self._thread.start()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                line, _ = self._socket.accept()
            except OSError:
                return
            with line, contextlib.suppress(OSError):
                asked = line.recv(4096)
                if asked:
                    line.sendall(self.says(asked))


@pytest.fixture(scope="module")
def server() -> Iterator[Answering]:
    server = Answering()
    yield server
    server.close()


def fate(profile: Profile, bus: Any, unit_id: int = 1) -> object:
    """What one reading comes to."""
    raw = bus.read(settings.Sensor("gauge", "kasuga", "line", profile.id, 60.0, unit_id), profile)
    if isinstance(raw, FaultCode):
        return raw
    found = decode(profile, raw)
    for value in found.values():
        assert isinstance(value, FaultCode) or math.isfinite(value)
    return found["water_level"]


# --- HTTP ---------------------------------------------------------------------------------------------------------

GOOD = b'HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n{"n": 1, "level": {"value": 5}}'.replace(b"30", b"31")
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["n", "level", "value"]), inner),
    max_leaves=8,
)
heads = st.lists(
    st.sampled_from(
        [
            "Content-Length: 5", "Content-Length: -1", "Content-Length: 99999999999999999999", "Content-Length: x",
            "Transfer-Encoding: chunked", "Connection: keep-alive", "Content-Encoding: gzip", "Location: http://h/",
            "Content-Type: text/html; charset=utf-16", " folded", ":", "\x00",
        ]
    )
    | st.text(max_size=20),
    max_size=4,
)  # fmt: skip


def http(server: Answering, answer: bytes) -> object:
    server.says = lambda _: answer
    return fate(HTTP, open_bus(settings.Http("127.0.0.1", server.port, timeout_s=30.0)))


@slow
@given(answer=st.binary(max_size=200) | st.binary(max_size=100).map(lambda b: GOOD[: len(b)] + b))
def test_http_bytes(server: Answering, answer: bytes) -> None:
    http(server, answer)
    assert http(server, GOOD) == 0.05


@slow
@given(status=st.integers(-5, 1000) | st.text(max_size=6), head=heads, body=st.binary(max_size=60))
def test_http_heads(server: Answering, status: object, head: list[str], body: bytes) -> None:
    text = "\r\n".join([f"HTTP/1.1 {status} x", *head, "", ""])
    http(server, text.encode("utf-8", "replace") + body)


@slow
@given(document=documents, level=st.floats() | st.integers() | st.text() | st.none())
def test_http_documents(server: Answering, document: Any, level: object) -> None:
    """NaN, infinities and whole numbers of any length are in them."""
    for said in (document, {"n": 1, "level": {"value": level}}):
        body = json.dumps(said).encode()
        http(server, b"HTTP/1.1 200 OK\r\n\r\n" + body)


@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b'{"level":' * 20_000, b"9" * 100_000, b'{"n":1,"level":{"value":1e999}}']
)
def test_http_bodies_that_go_deep(server: Answering, body: bytes) -> None:
    assert isinstance(http(server, b"HTTP/1.1 200 OK\r\n\r\n" + body), FaultCode)


# --- Modbus -------------------------------------------------------------------------------------------------------

REGISTERS = struct.pack(">HHHH", 0, 17, 1234, 12610)
crc = CHECKSUMS["modbus_crc"][1]
pdus = (
    st.binary(max_size=20)
    | st.tuples(st.sampled_from([0x03, 0x83, 0x04, 0x2B]), st.integers(0, 255), st.binary(max_size=16)).map(
        lambda x: bytes([x[0], x[1]]) + x[2]
    )
    | st.integers(0, 4).map(lambda n: bytes([3, 2 * n]) + REGISTERS[: 2 * n])
)


def tcp(asked: bytes, pdu: bytes, length: int | None = None) -> bytes:
    """An answer over TCP to a question (Modbus Messaging on TCP/IP v1.0b, section 3.1.3)."""
    return asked[:4] + struct.pack(">H", (len(pdu) + 1 if length is None else length) & 0xFFFF) + asked[6:7] + pdu


@pytest.mark.parametrize("count", range(6))
def test_modbus_tcp_answers_of_another_length(server: Answering, count: int) -> None:
    """Fewer registers than were asked for are no reading, nor are more."""
    pdu = bytes([3, 2 * count]) + (REGISTERS * 2)[: 2 * count]
    server.says = lambda asked: tcp(asked, pdu)
    bus = open_bus(settings.ModbusTcp("127.0.0.1", server.port, 30.0 if count == 4 else SOON_S))
    said = fate(MODBUS, bus)
    bus.close()
    assert said == 1.234 if count == 4 else said in (FaultCode.MALFORMED, FaultCode.NO_ANSWER), said


@slow
@given(pdu=pdus, length=st.none() | st.integers(0, 300))
def test_modbus_tcp_answers(server: Answering, pdu: bytes, length: int | None) -> None:
    server.says = lambda asked: tcp(asked, pdu, length)
    bus = open_bus(settings.ModbusTcp("127.0.0.1", server.port, SOON_S))
    said = fate(MODBUS, bus)
    assert said == 1.234 or isinstance(said, FaultCode), (pdu, said)
    bus.close()


@slow
@given(answer=st.binary(max_size=60))
def test_modbus_tcp_bytes(server: Answering, answer: bytes) -> None:
    server.says = lambda _: answer
    bus = open_bus(settings.ModbusTcp("127.0.0.1", server.port, SOON_S))
    assert isinstance(fate(MODBUS, bus), FaultCode)
    bus.close()


@slow
@given(pdu=pdus, sealed=st.booleans(), noise=st.binary(max_size=3))
def test_modbus_rtu_answers(pdu: bytes, sealed: bool, noise: bytes) -> None:
    """With a CRC that is right and one that is not, and noise before it."""
    line = Answers()
    try:
        frame = b"\x01" + pdu
        line.says_to = noise + frame + (crc(frame) if sealed else b"\x00\x00")
        bus = open_bus(settings.ModbusRtu(line.port, 115_200, "8N1", 0.05))
        said = fate(MODBUS, bus)
        assert said == 1.234 or isinstance(said, FaultCode), (pdu, said)
        bus.close()
    finally:
        line.close()


class Answers(Speaker):
    """A line that answers any question with `says_to`."""

    says_to = b""

    def _serve(self) -> None:
        while not self._stop.is_set():
            if select.select([self._line], [], [], 0.01)[0]:
                with contextlib.suppress(OSError):
                    if os.read(self._line, 256):
                        self._put(self.says_to)
