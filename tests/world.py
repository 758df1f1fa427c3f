"""Small worlds for tests: a registry, settings, packs, stored rows, and an HTTP server that answers as it is told.
Everything that a test does not speak of has a default.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from gateway import config, settings, wire
from gateway.bridge.store import Store
from gateway.bridge.work import Memory, Rules, Work
from gateway.errors import FaultCode
from gateway.model import ClockState, Flag, Message, Observation, Reading, Sample
from gateway.stations import Channel, Contract, Level, Limits, Registry, Station, Threshold

T0 = 1_764_000_000_000  # 2025-11-24 16:00 UTC
TENANT, DEVICE, STATION = "takamatsu", "kasuga-01", "kasuga-bridge"
SERIES_KEY = (TENANT, STATION, "water_level")
LOG = "7d1f9c2ab4e0"
LEVELS = config.load_levels("jp-2026")
EVERY = {"caution": 2.0, "evacuation": 2.5, "danger": 3.0}


# --- configuration -----------------------------------------------------------------------------------------------


def threshold(level: str, value: float) -> Threshold:
    found: Level | None = LEVELS.by_key(level)
    assert found is not None
    return Threshold(level, found.rank, value, "県", "基準水位観測所", "a test")


def channel(
    name: str = "water_level",
    quantity: str | None = None,
    thresholds: Mapping[str, float] | None = None,
    interval_s: float = 60.0,
) -> Channel:
    graded = tuple(threshold(level, value) for level, value in (thresholds or {}).items())
    return Channel(
        name, quantity or name, Contract(interval_s, interval_s), limits=Limits(sensor=(-5.0, 15.0)), thresholds=graded
    )


def station(name: str = STATION, device: str = DEVICE, channels: Sequence[Channel] | None = None) -> Station:
    """With a graded water level and a battery, unless told otherwise."""
    found = channels or (channel(thresholds=EVERY), channel("battery_voltage"))
    return Station(
        TENANT, name, "春日橋", "Kasuga Bridge", 34.3, 134.0, device, "T.P.", 0.0, {c.name: c for c in found}
    )


def registry(*stations: Station) -> Registry:
    return Registry(stations or (station(),), LEVELS)


def bridge(store: Path, broker_port: int = 1, **changes: Any) -> settings.Bridge:
    broker = settings.Broker(port=broker_port, keepalive_s=changes.pop("keepalive_s", 20))
    return replace(settings.Bridge(store, broker, trust_clock="always"), **changes)


# --- rows --------------------------------------------------------------------------------------------------------


def observation(seq: int, value: float | None = 1.0, **changes: Any) -> Observation:
    """One a second from T0; None is a fault."""
    given: dict[str, Any] = {
        "tenant": TENANT,
        "device": DEVICE,
        "station": STATION,
        "channel": "water_level",
        "log": LOG,
        "seq": seq,
        "record": 0,
        "observed_ms": T0 + 1000 * seq,
        "received_ms": T0 + 1000 * seq + 250,
        "raw": value,
        "value": value,
        "flag": Flag.MISSING if value is None else Flag.GOOD,
        "fault": FaultCode.NO_ECHO if value is None else None,
    }
    return Observation(**(given | changes))


def work(
    memory: Memory,
    bridge: settings.Bridge,
    now_ms: int = T0,
    reg: Registry | None = None,
    subscribed: bool = False,
    steady_s: float = 0,
) -> Work:
    steady_ms = round(steady_s * 1000)
    return Work(memory, Rules(reg or registry(), bridge, now_ms, None, T0 if subscribed else None, steady_ms))


def add(path: Path, observations: Iterable[Observation], reg: Registry | None = None) -> None:
    """Commit rows to a store, which is made where it is missing, and close it."""
    store = Store(path)
    batch = work(store.load(), bridge(path), reg=reg)
    batch.observations += observations
    store.commit(batch)
    store.close()


# --- messages ----------------------------------------------------------------------------------------------------


def sample(seq: int, value: float, at_ms: int | None = None, log: str = LOG, station: str = STATION) -> Sample:
    at = T0 + 1000 * seq if at_ms is None else at_ms
    return Sample(log, seq, at, ClockState.SYNCED, (Reading(station, "water_level", "m", value),))


def pack(*samples: Sample) -> bytes:
    return wire.encode_pack(samples)


def statement(oldest: int = 1, next_: int = 1, log: str = LOG, others: Sequence[wire.StatementLog] = ()) -> bytes:
    return wire.encode(wire.Statement(log, [*others, wire.StatementLog(log, oldest, next_)]))


def message(payload: bytes, kind: str = "data", device: str = DEVICE, at_ms: int = T0) -> Message:
    return Message(wire.topic(TENANT, device, kind), payload, at_ms)


def arrived(topic: str, payload: bytes, at_ms: int = T0) -> Message:
    """As it came from a broker."""
    return Message(topic, payload, at_ms)


# --- an HTTP server ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Request:
    path: str
    headers: Mapping[str, str]
    body: bytes
    at_s: float


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


HANG = Reply(0)  # no answer, until the server ends
NOT_HTTP = Reply(-1)  # an answer, but not of HTTP
RESET = Reply(-2)  # the connection is reset after the request was read
TORN = Reply(-3)  # a head that promises more than comes, then a reset


class HttpServer:
    """A real server on loopback. `answer` decides each reply, one request at a time; every request is kept."""

    def __init__(self, answer: Callable[[Request], Reply], port: int = 0) -> None:
        self.answer, self.requests = answer, list[Request]()
        self._lock, self._ended = threading.Lock(), threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1  # one segment a reply

            def do_POST(self) -> None:
                outer._serve(self)

            def do_GET(self) -> None:  # what a client that follows a redirect would send
                outer._serve(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads, self._server.block_on_close = True, False
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def _serve(self, h: BaseHTTPRequestHandler) -> None:
        body = h.rfile.read(int(h.headers.get("Content-Length") or 0))
        request = Request(h.path, dict(h.headers.items()), body, time.monotonic())
        with self._lock:
            self.requests.append(request)
            reply = self.answer(request)
        h.close_connection = reply in (HANG, NOT_HTTP, RESET, TORN)
        if reply == HANG:
            self._ended.wait(60)
            return
        with contextlib.suppress(OSError):  # the client did not wait
            if reply in (RESET, TORN):
                if reply == TORN:
                    h.wfile.write(b'HTTP/1.1 400 Bad Request\r\nContent-Length: 5000\r\n\r\n{"error": ')
                    h.wfile.flush()
                h.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return
            if reply == NOT_HTTP:
                h.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n")
                h.wfile.flush()
                return
            h.send_response(reply.status)
            for name, value in reply.headers.items():
                h.send_header(name, value)
            if reply.status != 204:
                h.send_header("Content-Length", str(len(reply.body)))
            h.end_headers()
            h.wfile.write(reply.body)
            h.wfile.flush()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextlib.contextmanager
def http_server(answer: Callable[[Request], Reply], port: int = 0) -> Iterator[HttpServer]:
    server = HttpServer(answer, port)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def post(url: str, body: bytes = b"") -> bytes:
    with urllib.request.urlopen(url, body, timeout=30) as answer:
        return bytes(answer.read())
