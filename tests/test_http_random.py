"""Whatever a neighbour device answers over HTTP, a reading is finite numbers or a named fault; on a real loopback."""

from __future__ import annotations

import json
import math
import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from gateway import config, settings
from gateway.edge.agent import open_bus
from gateway.edge.buses.http import MAX_BYTES
from gateway.encodings import jsonpath
from gateway.errors import FaultCode
from gateway.profiles import Asked, Decoded, Faults, Status, decode
from tests.loopback import Loopback

JSON_LEVEL = config.load_profiles(Path("/nonexistent"), [])["json_level"]
BITS = Status(
    jsonpath.At(("status",)), Faults(), {0: FaultCode.WARMING_UP, 3: FaultCode.NO_ECHO}, ("water_level",), True
)
LEVEL = replace(JSON_LEVEL, asked=Asked(path="/api/level"), status=(BITS,))
SENSOR = settings.Sensor("gauge", "kasuga", "lan", LEVEL.id, 60.0)
TIMEOUT_S, SOON_S = 30.0, 0.05  # of a device that ends its answer, of one that does not
SLOW = int(os.environ.get("SUIMON_FUZZ", "0")) // 10 or 10  # examples that each take a time-out


class Anything(Loopback):
    """Answers every request with the bytes of `says`; then it hangs up, or `holds` the connection."""

    says, holds, asked = b"", False, 0

    def answer(self, line: socket.socket) -> None:
        heard = b""
        while b"\r\n\r\n" not in heard:
            if not (piece := line.recv(4096)):
                return
            heard += piece
        self.asked += 1
        line.sendall(self.says)
        if not self.holds:
            line.shutdown(socket.SHUT_WR)


@pytest.fixture(scope="module")
def device() -> Iterator[Anything]:
    device = Anything()
    yield device
    device.close()


def read(device: Anything, says: bytes, holds: bool = False) -> FaultCode | Decoded:
    """What a reading says, which is checked: finite numbers of the profile's values, or faults."""
    device.says, device.holds = says, holds
    bus = open_bus(settings.Http("127.0.0.1", device.port, timeout_s=SOON_S if holds else TIMEOUT_S))
    raw = bus.read(SENSOR, LEVEL)
    bus.close()
    if isinstance(raw, FaultCode):
        return raw
    assert isinstance(raw, bytes)
    assert len(raw) <= MAX_BYTES
    found = decode(LEVEL, raw)
    assert set(found) == {value.name for value in LEVEL.values}
    assert all(isinstance(x, FaultCode) or math.isfinite(x) for x in found.values())
    return found


# --- answers

NUMBERS = (
    st.floats(allow_nan=True, allow_infinity=True)
    | st.integers()
    | st.sampled_from([10**400, -(10**308), 2**63, 1.7976931348623157e308, -9999, 5e-324, -0.0])
)
SCALARS = NUMBERS | st.none() | st.booleans() | st.text(max_size=5) | st.sampled_from(["NaN", "inf", "1e5"])
JSONS = st.recursive(SCALARS, lambda x: st.lists(x, max_size=3) | st.dictionaries(st.text(max_size=3), x, max_size=3))
DOCUMENTS = st.fixed_dictionaries(
    {}, optional={"n": JSONS, "status": JSONS, "level": JSONS | st.fixed_dictionaries({"value": JSONS})}
)
DEEP = st.builds(
    lambda inside, ends, n: inside[0] * n + b"1" + inside[1] * (n if ends else 0),
    st.sampled_from([(b"[", b"]"), (b'{"level":', b"}"), (b'{"level":{"value":', b"}}")]),
    st.booleans(),
    st.integers(1, 25_000),
)
BODIES = (
    st.binary(max_size=300)
    | DOCUMENTS.map(json.dumps).map(str.encode)
    | DOCUMENTS.map(json.dumps).flatmap(lambda x: st.sampled_from(["utf-16", "utf-32", "utf-8-sig"]).map(x.encode))
    | DEEP
    | st.integers(1, 6000).map(lambda n: b'{"n": 1' + b"0" * n + b', "level": {"value": 1e' + b"9" * n + b"}}")
)
LENGTHS = st.sampled_from([b"0", b"1", b"-1", b"+5", b"0x10", b"1_0", b"", b"99999999999", b"9" * 5000, b"5, 6"])
WORDS = st.sampled_from(
    [
        b"Content-Type: text/html",
        b"Content-Type: multipart/mixed; boundary=x",
        b"Content-Type: application/json; charset=\xe6\xb0\xb4",
        b"Content-Encoding: gzip",
        b"Transfer-Encoding: gzip, chunked",
        b"Location: http://192.0.2.1/",
        b"Connection: keep-alive",
        b"Upgrade: websocket",
        b"\xff: \x00",
        b" folded",
        b":",
        b"X: " + b"y" * 70_000,
    ]
)
STATUSES = st.integers(0, 1100).map(lambda n: b"HTTP/1.1 %d X" % n) | st.sampled_from(
    [b"HTTP/1.1 200 OK"] * 6
    + [b"HTTP/1.0 200", b"HTTP/0.9 200", b"HTTP/2 200", b"ICY 200 OK", b"200 OK", b"HTTP/1.1 -5"]
)


def chunked(sizes: list[tuple[bytes, bytes]]) -> bytes:
    return b"".join(said + b"\r\n" + data + b"\r\n" for said, data in sizes)


CHUNKS = st.lists(
    st.binary(max_size=20).map(lambda x: (b"%x" % len(x), x))
    | st.tuples(
        st.sampled_from([b"0", b"-1", b"-5", b"ffffffffffffffffff", b"5;x=y", b"", b"g"]), st.binary(max_size=9)
    ),
    max_size=6,
).map(chunked)


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    """Something like an answer: the right and wrong words of HTTP, a body with or without its length, cut anywhere."""
    body = draw(BODIES)
    framing = draw(st.sampled_from(["right", "wrong", "chunked", "mangled", "none"]))
    lines = [draw(STATUSES), *draw(st.lists(WORDS, max_size=2)), *draw(st.sampled_from([[], [], [], [b"A: b"] * 200]))]
    if framing in ("right", "wrong"):
        lines.append(b"Content-Length: " + (b"%d" % len(body) if framing == "right" else draw(LENGTHS)))
    elif framing in ("chunked", "mangled"):
        lines.append(b"Transfer-Encoding: chunked")
        body = chunked([(b"%x" % len(body), body), (b"0", b"")]) if framing == "chunked" else draw(CHUNKS)
    interim = b"HTTP/1.1 100 Continue\r\n\r\n" * draw(st.sampled_from([0, 0, 0, 1, 2000]))
    whole = interim + b"\r\n".join([*lines, b"", body])
    return whole[: draw(st.integers(0, len(whole)))] if draw(st.booleans()) else whole


def ok(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body


# --- what must hold


@given(st.binary(max_size=400))
def test_any_bytes_for_an_answer(device: Anything, says: bytes) -> None:
    """What is not HTTP is a fault, not a reading."""
    assert isinstance(read(device, says), FaultCode)


@given(answers())
def test_any_answer_that_looks_like_http(device: Anything, says: bytes) -> None:
    """Wrong lengths and chunks, headers without number or end, other versions and states: a reading or a fault. One
    question was asked: nothing is followed or repeated."""
    before = device.asked
    read(device, says)
    assert device.asked == before + 1


@given(BODIES)
def test_any_body(device: Anything, body: bytes) -> None:
    """JSON of any depth, with NaN and numbers that no float holds, or none: a reading or a fault."""
    read(device, ok(body))


@given(NUMBERS)
def test_the_number_that_is_said_is_the_reading(device: Anything, said: float) -> None:
    """A number is its value in metres, a hundredth; one that is not finite is a fault, and so is the one that the
    profile names."""
    found = read(device, ok(json.dumps({"n": 1, "level": {"value": said}}).encode()))
    assert isinstance(found, dict)
    assert found["read_counter"] == 1.0
    if said == -9999:
        assert found["water_level"] is FaultCode.NO_ECHO
    elif isinstance(said, int) and abs(said) > 10**308:
        assert found["water_level"] is FaultCode.MALFORMED
    elif not math.isfinite(said):
        assert found["water_level"] is FaultCode.SENSOR_ERROR
    else:
        assert found["water_level"] == round(said * 0.01, 9)


@pytest.mark.parametrize(
    ("status", "fault"),
    [
        ("NaN", FaultCode.SENSOR_ERROR),
        ("Infinity", FaultCode.SENSOR_ERROR),
        ("-Infinity", FaultCode.SENSOR_ERROR),
        ("1", FaultCode.WARMING_UP),
        ("8.0", FaultCode.NO_ECHO),
        ("{}", 1.0),
    ],
)
def test_a_status_that_is_no_number(device: Anything, status: str, fault: object) -> None:
    """The bits of NaN are asked of nobody: it is a fault of the values that it speaks of, and nothing ends."""
    says = ok(b'{"n": 1, "level": {"value": 100}, "status": %s}' % status.encode())
    assert read(device, says) == {"read_counter": 1.0, "water_level": fault}


@given(st.integers(0, 200), st.integers(0, 200))
def test_a_body_that_is_cut_off(device: Anything, told: int, sent: int) -> None:
    """A body that ends before the length that was announced is no reading, however whole it looks."""
    body = (b'{"n": 1, "level": {"value": 100}}' + b" " * 200)[:sent]
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % told
    found = read(device, head + body)
    if sent < told:
        assert found is FaultCode.MALFORMED
    elif told >= 33:
        assert found == {"read_counter": 1.0, "water_level": 1.0}
    else:
        assert isinstance(found, dict)
        assert set(found.values()) == {FaultCode.MALFORMED}


@given(st.sampled_from([301, 302, 303, 307, 308]), st.text("abc/:.@?#%\\ ", max_size=20), BODIES)
def test_a_redirect_is_a_refusal(device: Anything, status: int, to: str, body: bytes) -> None:
    """Wherever it leads, and whatever it carries."""
    before = device.asked
    head = f"HTTP/1.1 {status} Moved\r\nLocation: {to}\r\nContent-Length: {len(body)}\r\n\r\n"
    assert read(device, head.encode() + body) is FaultCode.REFUSED
    assert device.asked == before + 1


@hypothesis_settings(max_examples=SLOW)
@given(answers())
def test_an_answer_that_does_not_end(device: Anything, says: bytes) -> None:
    """The connection stays open behind it: the reading ends all the same, at its time-out at the latest."""
    read(device, says, holds=True)


@hypothesis_settings(max_examples=SLOW)
@given(
    st.sampled_from([b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: y\r\n", b""]),
    st.binary(min_size=1, max_size=9),
)
def test_an_answer_beyond_the_limit(device: Anything, head: bytes, again: bytes) -> None:
    """More than the limit of anything, in body or headers, is a fault, though the answer would end."""
    assert isinstance(read(device, head + again * (MAX_BYTES // len(again) + 1)), FaultCode)
