"""What no honest program sends, over a real socket: a clear refusal, never a failure of ours, and others go on."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.web.serving import Server
from tests import servers, website
from tests.test_cli_journal import STATION, House

HERE = "127.0.0.1"
ACTS = "POST /api/v1/acts HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer operator\r\nContent-Type: application/json\r\n"
SERIES = f"/api/v1/stations/takamatsu/{STATION}/channels/water_level/series"
WRITE = '{"kind": "write", "what": "other", "tenant": "takamatsu", "text": %s}'


@contextlib.contextmanager
def served(folder: Path, connections: int = 100, patience_s: float = 15.0) -> Iterator[int]:
    """The port of a page whose house has a reading; no bridge runs."""
    with House(folder) as house:
        house.reads(0, 1.0)
    server = Server(website.site(house, 1, public=True), 0, None, connections, patience_s)
    server.bind()
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    servers.wait_for("the page", lambda: servers.port_open(server.port))
    try:
        yield server.port
    finally:
        server.stop()
        thread.join(20)
        assert not thread.is_alive()


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with served(tmp_path_factory.mktemp("attacked")) as found:
        yield found


def status(port: int, request: bytes) -> int:
    """0: it hung up without a word."""
    with socket.create_connection((HERE, port), 20) as to:
        found = b""
        with contextlib.suppress(ConnectionError):  # it may hang up in the middle of a flood
            to.sendall(request)
        with contextlib.suppress(ConnectionError):
            while b"\r\n" not in found and (piece := to.recv(65_536)):
                found += piece
    line = found.partition(b"\r\n")[0].split()
    return int(line[1]) if line else 0


def get(path: str, more: str = "") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{more}\r\n".encode("latin-1")


def act(body: str) -> bytes:
    data = body.encode()
    return f"{ACTS}Content-Length: {len(data)}\r\nConnection: close\r\n\r\n".encode() + data


GARBAGE = [
    (get("/api/v1/board", "".join(f"X-{n}: {'a' * 90}\r\n" for n in range(1000))), {400, 431}),
    (get("/api/v1/board", f"X-Long: {'a' * 200_000}\r\n"), {400, 431, 0}),
    (get("/" + "a" * 100_000), {400, 431, 0}),
    (get("/api/v1/board", f"Content-Length: {'9' * 5000}\r\n"), {400, 413}),
    (get("/api/v1/board", "Content-Length: -1\r\n"), {400}),
    (get("/api/v1/board", "Content-Length: 3\r\nContent-Length: 4\r\n"), {400}),
    (get("/api/v1/board", "Authorization: Bearer \xff\xfe\r\n"), {401}),
    (get("/api/v1/board", "Authorization: Bearer\r\n"), {401}),
    (get("/api/v1/board", "Cookie: suimon_session=\xff; =; ;;;\r\n"), {200}),
    (get("/api/v1/board", f"If-None-Match: {'W/' * 4000}\r\n"), {200}),
    (get("/api/v1/board", "X-Forwarded-For: ,,\xff,::1%eth0\r\nX-Forwarded-Proto: https\r\n"), {200}),
    (get("/api/v1/board", "Range: bytes=5-1\r\nAccept-Encoding: \xff\r\n"), {200}),
    (b"GET /api/v1/board HTTP/1.1\r\nHost: [::\r\nConnection: close\r\n\r\n", {200, 400}),
    (b"GET /api/v1/board HTTP/1.1\r\n\r\n", {400}),
    (b"GET /\xff\xfe\x00 HTTP/1.1\r\nHost: x\r\n\r\n", {400}),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 50, {400}),
    (b"BREW /api/v1/board HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", {405}),
    (b"POST /api/v1/acts HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfffffffff\r\n", {413}),
    (get("/api/v1/%00"), {404}),
    (get("/%ff%fe/%ed%a0%80"), {404}),
    (get("/static/..%2f..%2fserving.py"), {404}),
    (get("/static/%2e%2e/serving.py"), {404}),
    (get("//etc/passwd"), {404}),
    (get("/static//etc/passwd"), {404}),
    (get("/api/v1/stations/takamatsu/%ed%a0%80"), {422}),
    (get("/api/v1/stations?after=%ff%00%ed%a0%80"), {200}),
    (get("/api/v1/stations?limit=1&limit=2&limit=x"), {200, 422}),
    (get(f"{SERIES}?from=%00&to=%ff"), {422}),
    (get(f"{SERIES}?points=1e9&points=2"), {200, 422}),
    (get(f"{SERIES}?from={'9' * 39}"), {422}),
    (get("/api/v1/episodes/takamatsu/%ed%a0%80%00", "Authorization: Bearer viewer\r\n"), {404}),
    (get("/api/v1/journal?hours=nan", "Authorization: Bearer viewer\r\n"), {422}),
    (get("/api/v1/journal?hours=1e-320&station=%00", "Authorization: Bearer viewer\r\n"), {422}),
    (act("[" * 60_000), {400, 422}),
    (act('{"a":' * 10_000), {400, 422}),
    (act('{"kind":"write","at_ms":' + "9" * 6000 + "}"), {400, 422}),
    (act('{"kind":"mute","tenant":"a","station":"b","for_s":1e999}'), {422}),
    (act('{"kind":"mute","tenant":"a","station":"b","for_s":NaN}'), {422}),
    (act(WRITE % '"\\ud800"'), {422, 503}),
    (act(WRITE % '"\\u0000"'), {422, 503}),
    (act('{"kind":"acknowledge","kind":"drill"}'), {422}),
    (act("\ufeff{}"), {400, 422}),
    (act(WRITE % '"x"'), {503}),  # nothing wrong with it, but no bridge runs
]


@pytest.mark.parametrize(("request_", "expected"), GARBAGE, ids=range(len(GARBAGE)))
def test_garbage(port: int, request_: bytes, expected: set[int], caplog: pytest.LogCaptureFixture) -> None:
    """Each is refused or answered as what it is; nothing is a surprise to us."""
    with caplog.at_level(logging.WARNING):
        assert status(port, request_) in expected
    assert [r for r in caplog.records if r.exc_info or "Traceback" in r.getMessage()] == []
    assert status(port, get("/readyz")) == 200


def test_who_dawdles_keeps_nobody_waiting(tmp_path: Path) -> None:
    """Connections that say nothing, a header at a time, or half a body are closed; meanwhile others are served."""
    with served(tmp_path, patience_s=1.0) as port:
        beginnings = (b"", b"GET /api/v1/board HTTP/1.1\r\nHo", (ACTS + "Content-Length: 900\r\n\r\n{").encode())
        slow = [socket.create_connection((HERE, port), 20) for _ in beginnings]
        for to, beginning in zip(slow, beginnings, strict=True):
            to.sendall(beginning)
        assert status(port, get("/api/v1/board")) == 200
        end = time.monotonic() + 20
        while time.monotonic() < end and slow:
            for to in slow.copy():
                to.settimeout(0.05)
                with contextlib.suppress(TimeoutError):
                    if to.recv(65_536) == b"":
                        to.close()
                        slow.remove(to)
        assert slow == []


def test_more_connections_than_there_are_places(tmp_path: Path) -> None:
    """Whoever comes too late is told so, and is served once another has gone."""
    with served(tmp_path, connections=10) as port:
        held = [socket.create_connection((HERE, port), 20) for _ in range(10)]
        for to in held:
            to.sendall(b"GET / HTTP/1.1\r\nHo")
        end = time.monotonic() + 20
        while (found := status(port, get("/readyz"))) == 200 and time.monotonic() < end:
            time.sleep(0.05)  # until the server has taken them all
        assert found == 503
        for to in held:
            to.close()
        while (found := status(port, get("/readyz"))) == 503 and time.monotonic() < end:
            time.sleep(0.05)
        assert found == 200
