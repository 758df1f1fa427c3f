"""The stream of events over a real socket: its shape is the document's, and whoever does not read it stops nobody."""

from __future__ import annotations

import json
import logging
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from gateway.web.serving import Server
from gateway.web.site import Site
from tests import servers
from tests.test_cli_alert import STATIONS
from tests.test_cli_journal import House
from tests.webschema import Served, closed
from tests.website import VIEWER, site

HERE = "127.0.0.1"


@contextmanager
def serving(of: Site, send_buffer: int | None = None) -> Iterator[tuple[Server, threading.Thread]]:
    server = Server(of, 0)
    server.bind()
    if send_buffer is not None:
        assert server._socket is not None
        server._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)  # of each that is accepted
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    servers.wait_for("the page", lambda: servers.port_open(server.port))
    try:
        yield server, thread
    finally:
        server.stop()
        thread.join(20)
        assert not thread.is_alive()


def first(port: int, headers: dict[str, str]) -> tuple[int, str, bytes]:
    """(status, type, the first board of a stream, or the whole answer)."""
    request = urllib.request.Request(f"http://{HERE}:{port}/api/v1/events", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            kind = answer.headers["Content-Type"].partition(";")[0]
            for line in answer:
                if line.startswith(b"data: "):
                    return answer.status, kind, line[6:]
            raise AssertionError("a stream without a board")
    except urllib.error.HTTPError as e:
        return e.code, e.headers["Content-Type"], e.read()


def test_every_event_is_a_board(tmp_path: Path) -> None:
    """For each role what the document says of `/board`, with no key beside it; each refusal is one that it names."""
    served = Served(tmp_path)
    try:
        document = closed(served.app.openapi())
        responses = document["paths"]["/api/v1/events"]["get"]["responses"]
        schema: dict[str, Any] = {"$ref": "#/components/schemas/Board", "components": document["components"]}
        asking = {name: served.headers(name) for name in ("", "viewer", "operator", "administrator", "elsewhere")}
        asking |= {"resumed": asking["viewer"] | {"Last-Event-ID": "\t'; --"}, "wrong": {"Authorization": "Bearer x"}}
        with serving(served.app.state.site) as (server, _):
            told = {name: first(server.port, headers) for name, headers in asking.items()}
    finally:
        served.bridge.stop()
    for name, (status, kind, body) in told.items():
        assert kind in responses[str(status)]["content"], name
        assert status == (401 if name == "wrong" else 200)
        if status == 200:
            jsonschema.Draft202012Validator(schema).validate(json.loads(body))
    assert "episodes" in json.loads(told["viewer"][2])
    assert "episodes" not in json.loads(told[""][2])
    assert json.loads(told["elsewhere"][2])["stations"] == []


def many(folder: Path, count: int) -> Site:
    """A city whose board is some hundred kilobytes."""
    with House(folder) as house:
        house.reads(0, 1.0)
    head, _, rest = STATIONS.partition("  koto-bridge:")
    more = "".join(
        f"  g{n}: {{name: {{ja: 観測所, en: Gauge}}, position: {{latitude: 34.3, longitude: 134.0}}, datum: T.P., "
        f"gauge_zero: 0.00 m, device: g-{n}, channels: {{water_level: {{interval: 10min}}}}}}\n"
        for n in range(count)
    )
    (folder / "stations.yaml").write_text(f"{head}{more}  koto-bridge:{rest}")
    return site(house, 1)


def test_a_reader_who_does_not_read_does_not_hold_the_end_up(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The page ends within its time while the stream of somebody stands still in the middle of a board, and whoever
    does read is served until then."""
    of = many(tmp_path, 400)
    size = len(of.boards.encoded(VIEWER)[1])
    assert size > 150_000
    with socket.socket() as stalled, serving(of, 8192) as (server, thread):
        stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stalled.connect((HERE, server.port))
        stalled.sendall(b"GET /api/v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer viewer\r\n\r\n")
        servers.wait_for("a listener", lambda: server._app.state.watcher.listeners == 1)
        status, _, board = first(server.port, {"Authorization": "Bearer viewer"})
        assert (status, len(board) > 150_000) == (200, True)
        with caplog.at_level(logging.WARNING):
            server.stop()
            thread.join(20)
        assert not thread.is_alive()
        stalled.settimeout(5)
        received = b""
        try:
            while piece := stalled.recv(65_536):
                received += piece
        except ConnectionError:
            pass
        assert 0 < len(received) < size, "it stood still in the middle"
    assert [r for r in caplog.records if r.exc_info] == []
