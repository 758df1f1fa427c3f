"""The bridge's loop: commit, acknowledge, receipt, in this order; what the disk refuses leaves no trace and comes
again."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.bridge.receiver import Arrival
from gateway.bridge.service import Service
from gateway.clock import SystemClock
from gateway.disk import Disk
from gateway.mqtt import Delivery
from tests import world
from tests.world import DEVICE, LOG, TENANT

DEV = (TENANT, DEVICE)


class Tracks:
    """What had happened when. Stands where a session takes acknowledgements, and where a crash would be marked."""

    def __init__(self, store: Path) -> None:
        self._store = store
        self.service: Service | None = None
        self.events: list[tuple[str, int, int, bool]] = []  # what; rows and settled numbers on the disk; receipt due

    def note(self, what: str) -> None:
        assert self.service is not None
        with contextlib.closing(sqlite3.connect(f"file:{self._store}?mode=ro", uri=True)) as db:
            rows = db.execute("SELECT count(*) FROM observations").fetchone()[0]
            settled = db.execute("SELECT coalesce(sum(b - a + 1), 0) FROM ranges").fetchone()[0]
        self.events.append((what, rows, settled, bool(self.service._receipts._due)))

    def ack(self, delivery: Delivery) -> None:
        self.note(f"ack {delivery.mid}")


@pytest.fixture
def tracks(tmp_path: Path) -> Tracks:
    return Tracks(tmp_path / "store.db")


@pytest.fixture
def service(tmp_path: Path, tracks: Tracks) -> Iterator[Service]:
    """Never started: there is no broker, and its loop's one turn is called by the test."""
    settings = world.bridge(tmp_path / "store.db")
    tracks.service = service = Service(settings, world.registry(), SystemClock(), tracks.note)
    try:
        yield service
    finally:
        service._store.close()


def arrivals(tracks: Tracks) -> list[Arrival]:
    """A statement and two live samples."""
    payloads = [("spool", world.statement(1, 1)), *(("data", world.pack(world.sample(n, 1.0))) for n in (1, 2))]
    return [
        Arrival(world.message(payload, kind), Delivery("", payload, False, mid, 1, 1), tracks)  # type: ignore[arg-type]
        for mid, (kind, payload) in enumerate(payloads, 1)
    ]


def test_commit_then_acknowledge_then_receipt(service: Service, tracks: Tracks) -> None:
    """When a message is acknowledged its rows are on the disk, for any reader; only after that is a receipt due."""
    assert service._settle(arrivals(tracks))
    assert tracks.events == [
        ("taken", 0, 0, False),
        ("committed", 2, 2, False),
        ("ack 1", 2, 2, False),
        ("ack 2", 2, 2, False),
        ("ack 3", 2, 2, False),
        ("acknowledged", 2, 2, False),
    ]
    assert set(service._receipts._due) == {DEV}
    receipt = service._memory.ledgers[DEV].receipt(service.store_id)
    assert receipt is not None
    assert [(e.log, e.through) for e in receipt.logs] == [(LOG, 2)]


def test_what_the_disk_refuses_is_neither_acknowledged_nor_promised(service: Service, tracks: Tracks) -> None:
    """Memory is as before, no receipt is due, and the same messages are taken again when the disk can be written."""
    assert service._settle(arrivals(tracks)[:2])
    service._receipts._due.clear()
    tracks.events.clear()
    before = service._memory.ledgers[DEV].receipt(service.store_id)
    service._store._db.execute("PRAGMA query_only = ON")
    batch = arrivals(tracks)
    for _ in range(3):
        assert not service._settle(batch)
    assert tracks.events == [("taken", 1, 1, False)] * 3
    assert service._memory.ledgers[DEV].receipt(service.store_id) == before
    assert service._receipts._due == {}
    service._store._db.execute("PRAGMA query_only = OFF")
    assert service._settle(batch)
    assert [what for what, *_ in tracks.events[3:]] == ["taken", "committed", "ack 1", "ack 2", "ack 3", "acknowledged"]
    assert tracks.events[-1][1:] == (2, 2, False)
    assert service.counts["duplicate"] == 1


def test_a_duplicate_makes_a_receipt_due(service: Service, tracks: Tracks) -> None:
    """And so does a statement that says nothing new: else a receipt that was lost once is lost for ever."""
    assert service._settle(arrivals(tracks))
    for again in (arrivals(tracks)[1:2], arrivals(tracks)[:1]):
        service._receipts._due.clear()
        assert service._settle(again)
        assert set(service._receipts._due) == {DEV}


class Slow(Disk):
    """A disk whose syncs take their time: every commit does."""

    def connect(self, path: Path, *, write: bool = True, timeout_s: float = 10.0) -> sqlite3.Connection:
        db = super().connect(path, write=write, timeout_s=timeout_s)
        db.set_trace_callback(lambda sql: time.sleep(0.05) if sql == "COMMIT" else None)
        return db


def test_a_slow_disk_loses_nothing_and_holds_no_more_than_it_may(tmp_path: Path) -> None:
    """While each commit takes its time, messages come faster than they are stored: what is held in memory stays within
    its bound, the network waits, and in the end every message is stored and acknowledged in order."""
    payloads = [world.pack(world.sample(n, 1.0)) for n in range(1, 401)]
    held = 40 * len(payloads[-1])
    bridge = world.bridge(tmp_path / "store.db", max_held_bytes=2 * held)
    service = Service(bridge, world.registry(), SystemClock(), disk=Slow())
    acknowledged: list[int] = []
    session = Acknowledged(acknowledged)
    topic = world.message(b"").topic

    def network() -> None:
        for mid, payload in enumerate(payloads, 1):
            service.receiver._arrived("live", session, Delivery(topic, payload, False, mid, 1, 1))  # type: ignore[arg-type]

    sender = threading.Thread(target=network)
    sender.start()
    most = 0
    with contextlib.closing(service._store):
        while len(acknowledged) < len(payloads):
            most = max(most, service.receiver._queues["live"].held)
            batch = service.receiver.take(1000, 1.0)
            assert service._settle(batch)
        sender.join()
        assert acknowledged == list(range(1, 401))
        assert list(service._memory.ledgers[DEV].logs[LOG].settled) == [(1, 400)]
    assert 0 < most <= held + len(payloads[-1])


class Acknowledged:
    """A session that only takes acknowledgements."""

    def __init__(self, mids: list[int]) -> None:
        self._mids = mids

    def ack(self, delivery: Delivery) -> None:
        self._mids.append(delivery.mid)


def test_connected_but_no_data(service: Service, tracks: Tracks, caplog: pytest.LogCaptureFixture) -> None:
    """Staff are told when nothing came for five minutes from devices that were heard before, and both sessions begin
    anew; a word from any device ends it."""
    assert service._settle(arrivals(tracks))
    receiver = service.receiver
    for connected_s, heard_s, expected in ((299, 1000, []), (301, 299, []), (301, 1000, ["no_data"])):
        receiver._connected_s = time.monotonic() - connected_s
        receiver._heard_s = time.monotonic() - heard_s
        service._ticked = 0.0
        assert service._settle([])
        assert [code for code, *_ in service._memory.notices] == expected
    assert receiver.live._dropped == receiver.live._connection
    assert receiver.backlog._dropped == receiver.backlog._connection
    assert "nothing arrives from any device" in caplog.text
    receiver._heard_s = time.monotonic()
    service._ticked = 0.0
    assert service._settle([])
    assert [x.on for x in service._memory.pending.values()] == [False]
