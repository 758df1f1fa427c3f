"""The uplink: what is sent when, what settles a sample, and what is believed. Driven turn by turn, with its clock and
transport in the hands of the test."""

from __future__ import annotations

import contextlib
import logging
import random
import sqlite3
import threading
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from gateway import settings, wire
from gateway.edge import uplink as uplink_module
from gateway.edge.backlog import UNSETTLED
from gateway.edge.dating import Dating
from gateway.edge.pace import MOST_BYTES, PACK_BYTES, Window
from gateway.edge.spool import Spool
from gateway.edge.uplink import (
    LIVE_IN_FLIGHT,
    RESEND_FIRST_S,
    RESEND_MAX_S,
    STATEMENT_EVERY_S,
    STATEMENT_RETRY_S,
    Uplink,
)
from gateway.model import ClockState, Reading, Sample
from gateway.ranges import Range, RangeSet
from tests.transport import FakeTransport, Published
from tests.world import DEVICE, STATION, T0, TENANT


class Wide(Window):
    """Of a link without limits, where a test is about other limits."""

    bytes = MOST_BYTES  # type: ignore[assignment]
    pack_bytes = PACK_BYTES  # type: ignore[assignment]


class Edge:
    """A spool and its uplink on a clock that stands until `turn` moves it."""

    def __init__(self, folder: Path, wide: bool = True, dating: Dating | None = None, **changes: Any) -> None:
        self.wide, self.dating = wide, dating
        given: dict[str, Any] = {"pack_samples": 10, "window_packs": 3} | changes
        spool = settings.Spool(folder / "spool.db")
        self.settings = settings.Edge(TENANT, DEVICE, settings.Broker(), spool, {}, (), **given)
        self.now = 0.0
        self.open()

    def open(self) -> None:
        self.spool = Spool(self.settings.spool.path, 512_000_000, T0)
        self.uplink = Uplink(
            self.settings, self.spool, b'{"agent":"test"}', status, FakeTransport, lambda: self.now, dating=self.dating
        )
        assert isinstance(self.uplink.session, FakeTransport)
        self.transport = self.uplink.session
        if self.wide:
            self.uplink._packs.window = Wide()

    @property
    def log(self) -> str:
        return self.spool.opening

    def append(self, count: int = 1, channels: int = 1) -> list[Sample]:
        readings = [Reading(STATION, "water_level", "m", 1.25)] * channels
        return [self.spool.append(T0, ClockState.SYNCED, readings) for _ in range(count)]

    def fill(self, count: int, channels: int = 1) -> None:
        """Samples that were never sent, on the card."""
        self.append(count, channels)
        self.spool.commit()

    def turn(self, seconds: float = 0.0) -> list[Published]:
        """Let time pass; what was published but statements."""
        self.now += seconds
        self.uplink.step()
        return [m for m in self.transport.take() if m.kind in ("data", "backlog")]

    def statements(self, seconds: float = 0.0) -> list[wire.Statement]:
        self.now += seconds
        self.uplink.step()
        return [wire.decode_statement(m.payload) for m in self.transport.take("spool")]

    def hear(self, topic: str, message: object) -> None:
        self.transport.deliver(topic, wire.encode(message))

    def bridge(self, state: str = "online", store: str = "s1") -> None:
        self.hear(wire.BRIDGE_STATUS, wire.BridgeStatus(state, store))

    def receipt(
        self, through: int = 0, *ranges: Range, store: str = "s1", opening: str | None = None, log: str | None = None
    ) -> None:
        entry = wire.ReceiptLog(log or self.log, through, list(ranges))
        self.hear(wire.topic(TENANT, DEVICE, "receipt"), wire.Receipt(store, opening or self.log, [entry]))

    def ready(self) -> None:
        """Connected, the bridge online, and a receipt heard that names this opening."""
        self.transport.up()
        self.bridge()
        self.receipt()
        self.turn()


def status(state: str, reason: str) -> bytes:
    return f"{state} {reason}".strip().encode()


@contextlib.contextmanager
def closing(edge: Edge) -> Iterator[Edge]:
    try:
        yield edge
    finally:
        edge.spool.close()


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[Edge]:
    with closing(Edge(tmp_path)) as found:
        yield found


def puback(edge: Edge, messages: list[Published], seconds: float = 0.0) -> None:
    """The broker takes all of them; the uplink notes it."""
    edge.transport.puback(*(m.mid for m in messages))
    edge.turn(seconds)


def unsettled(edge: Edge) -> int:
    return edge.spool.depth()[0]


# --- a session -----------------------------------------------------------------------------------------------------


def test_a_session_is_asked_for_what_the_contract_says(edge: Edge) -> None:
    """Its client id is tenant and device, its will says offline, and it hears receipts and the bridge's presence."""
    topic = f"suimon/v1/{TENANT}/{DEVICE}"
    assert edge.transport.client_id == f"{TENANT}:{DEVICE}"
    assert edge.transport.will == (f"{topic}/status", b"offline connection lost")
    assert edge.transport.subscribed == [f"{topic}/receipt", wire.BRIDGE_STATUS]


def test_at_connect_it_says_who_it_is(edge: Edge) -> None:
    """Status, birth and statement, all retained; the same again at each connection."""
    for _ in range(2):
        edge.transport.up()
        edge.uplink.step()
        said = edge.transport.take()
        assert [(m.kind, m.retain) for m in said] == [("status", True), ("birth", True), ("spool", True)]
        assert (said[0].payload, said[1].payload) == (b"online", b'{"agent":"test"}')
        edge.transport.down()


def test_stopping_says_good_bye(edge: Edge) -> None:
    """The last word is offline, for the will is not sent on a clean end."""
    edge.uplink.start()
    edge.transport.up()
    edge.uplink.stop()
    last = edge.transport.sent[-1]
    assert (last.kind, last.payload, last.retain) == ("status", b"offline stopped", True)
    assert (edge.transport.started, edge.transport.stopped) == (True, True)


def test_what_is_heard_is_acknowledged_whatever_it_is(edge: Edge, caplog: pytest.LogCaptureFixture) -> None:
    """A message that cannot be read is told and passed over; the next one counts."""
    edge.transport.up()
    for payload in (b"", b"\xff", b"[]", b'{"store":1}', b"{"):
        edge.transport.deliver(wire.BRIDGE_STATUS, payload)
        edge.transport.deliver(wire.topic(TENANT, DEVICE, "receipt"), payload)
    edge.fill(1)
    edge.bridge()
    edge.receipt()
    assert [m.numbers for m in edge.turn()] == [[1]]
    assert len(edge.transport.acknowledged) == 12
    assert sum("cannot be read" in r.getMessage() for r in caplog.records) == 10


# --- live ------------------------------------------------------------------------------------------------------------


def test_a_live_sample_leaves_at_once(edge: Edge) -> None:
    """Before its commit, without a turn of the loop, and whether or not the bridge is there."""
    edge.transport.up()
    (sample,) = edge.append()
    edge.uplink.live(sample)
    (sent,) = edge.transport.take("data")
    assert (sent.topic, sent.retain) == (wire.topic(TENANT, DEVICE, "data"), False)
    assert [(s.log, s.seq) for s in sent.pack.samples] == [(edge.log, 1)]
    assert sent.pack.span is None
    edge.bridge("offline")
    edge.turn()
    edge.uplink.live(edge.append()[0])
    assert [m.numbers for m in edge.transport.take("data")] == [[2]]


def test_no_more_live_samples_are_in_flight_than_the_limit(edge: Edge) -> None:
    """Beyond it a sample waits for the backlog; a PUBACK makes room for a later one."""
    edge.ready()
    for sample in edge.append(LIVE_IN_FLIGHT + 5):
        edge.uplink.live(sample)
    sent = edge.transport.take("data")
    assert [m.numbers for m in sent] == [[n] for n in range(1, LIVE_IN_FLIGHT + 1)]
    puback(edge, sent[:1])
    edge.uplink.live(edge.append()[0])
    assert [m.numbers for m in edge.transport.take("data")] == [[LIVE_IN_FLIGHT + 6]]
    edge.spool.commit()
    assert [m.numbers for m in edge.turn()] == [list(range(LIVE_IN_FLIGHT + 1, LIVE_IN_FLIGHT + 6))]


def test_what_could_not_be_sent_live_is_backlog(edge: Edge) -> None:
    """Without a connection nothing is in flight: after the commit it is sent when the way is open."""
    edge.uplink.live(edge.append()[0])
    assert edge.transport.sent == []
    edge.spool.commit()
    edge.transport.up()
    edge.bridge()
    edge.receipt()
    (pack,) = edge.turn()
    assert (pack.kind, pack.numbers) == ("backlog", [1])


def test_a_busy_uplink_does_not_keep_a_sensor_from_being_read(edge: Edge) -> None:
    """While the loop waits for the card, a sample is noted; it leaves with the next turn, in order."""
    edge.ready()
    samples = edge.append(3)
    with edge.uplink._lock:  # as the loop holds it
        thread = threading.Thread(target=lambda: [edge.uplink.live(s) for s in samples])
        thread.start()
        thread.join(10)
        assert not thread.is_alive()
        assert edge.transport.sent == []
    assert [m.numbers for m in edge.turn()] == [[1], [2], [3]]


def test_a_sample_that_already_left_as_backlog_is_not_sent_live_too(edge: Edge) -> None:
    """The commit and the loop may be faster than the sensor's thread."""
    edge.ready()
    (sample,) = edge.append()
    edge.spool.commit()
    assert [m.kind for m in edge.turn()] == ["backlog"]
    edge.uplink.live(sample)
    assert edge.turn() == []


def test_the_network_thread_only_notes(edge: Edge) -> None:
    """Its callbacks come with the library's own locks held: while our lock is taken they return all the same."""
    edge.ready()

    def network() -> None:
        edge.transport.puback(1, 2, 3)
        edge.bridge("offline")
        edge.receipt(1)
        edge.transport.up()

    with edge.uplink._lock:
        thread = threading.Thread(target=network)
        thread.start()
        thread.join(10)
        assert not thread.is_alive()


# --- what settles --------------------------------------------------------------------------------------------------


def test_a_puback_settles_nothing(edge: Edge) -> None:
    """It is the broker's word only; the row waits for its receipt."""
    edge.ready()
    edge.uplink.live(edge.append()[0])
    edge.spool.commit()
    puback(edge, edge.transport.take("data"))
    assert unsettled(edge) == 1
    edge.receipt(1)
    edge.turn()
    assert unsettled(edge) == 0


def test_a_puback_settles_where_the_configuration_says_so(tmp_path: Path) -> None:
    """delivery: puback, live and backlog, without any bridge; at most until the next opening."""
    with closing(Edge(tmp_path, delivery="puback")) as edge:
        edge.fill(25)
        edge.transport.up()
        edge.uplink.live(edge.append()[0])
        edge.spool.commit()
        sent = edge.turn()
        assert [m.numbers for m in sent] == [[26], list(range(1, 11)), list(range(11, 21)), list(range(21, 26))]
        puback(edge, sent[:2])
        assert unsettled(edge) == 15
        puback(edge, sent[2:])
        assert unsettled(edge) == 0
        assert edge.turn(4000) == []


def test_a_receipt_settles_what_it_names(edge: Edge) -> None:
    """`through` and the ranges above it; the rest goes out as backlog."""
    edge.fill(20)
    edge.transport.up()
    edge.bridge()
    edge.receipt(5, (8, 9), (15, 18))
    assert [m.numbers for m in edge.turn()] == [[6, 7, 10, 11, 12, 13, 14, 19, 20]]
    assert unsettled(edge) == 9


@pytest.mark.parametrize(
    ("what", "changes"),
    [
        ("of an earlier opening", {"opening": "0123456789ab"}),
        ("of another store", {"store": "s0"}),
        ("of both", {"opening": "0123456789ab", "store": "s0"}),
    ],
)
def test_what_is_not_believed(edge: Edge, what: str, changes: dict[str, str]) -> None:
    """A receipt that does not name the present opening and the announced store settles nothing, and opens no way for
    backlog."""
    edge.fill(5)
    edge.transport.up()
    edge.bridge()
    edge.receipt(5, **changes)  # type: ignore[arg-type]
    assert edge.turn() == []
    assert unsettled(edge) == 5
    edge.receipt(2)
    assert [m.numbers for m in edge.turn()] == [[3, 4, 5]]
    edge.receipt(5, **changes)  # type: ignore[arg-type]
    edge.turn()
    assert unsettled(edge) == 3


def test_nothing_is_believed_before_a_store_is_announced(edge: Edge) -> None:
    """The retained receipt may come before the retained presence: it counts when the store is known."""
    edge.fill(5)
    edge.transport.up()
    edge.receipt(2)
    assert edge.turn() == []
    assert unsettled(edge) == 5
    edge.bridge()
    assert [m.numbers for m in edge.turn()] == [[3, 4, 5]]
    assert unsettled(edge) == 3


def test_another_store_unsettles_everything(edge: Edge) -> None:
    """Nothing of what the former one had is settled, and backlog waits for a receipt that names both; then it is made
    for the new store."""
    edge.fill(5)
    edge.ready()
    edge.receipt(5)
    edge.turn()
    assert unsettled(edge) == 0
    edge.bridge(store="s2")
    assert edge.turn() == []
    assert unsettled(edge) == 5
    edge.receipt(5)  # of the former store
    assert edge.turn() == []
    edge.receipt(2, store="s2")
    (pack,) = edge.turn()
    assert pack.numbers == [3, 4, 5]
    assert pack.pack.span == wire.Span(3, 5, "s2", edge.log)


def test_what_the_former_store_was_sent_goes_to_the_new_one(edge: Edge) -> None:
    """Packs that the broker took are backlog again at once; one that it has not taken yet is still on its way."""
    edge.ready()
    edge.fill(15)
    first, second = edge.turn()
    puback(edge, [first])
    edge.bridge(store="s2")
    edge.receipt(0, store="s2")
    assert [m.numbers for m in edge.turn()] == [first.numbers]
    puback(edge, [second])
    edge.bridge(store="s3")
    edge.receipt(0, store="s3")
    assert [m.numbers for m in edge.turn()] == [second.numbers]


def test_a_store_that_goes_back_unsettles(edge: Edge, caplog: pytest.LogCaptureFixture) -> None:
    """A file copied back by hand keeps its name and is known by a receipt that names less."""
    edge.fill(9)
    edge.ready()
    edge.receipt(9)
    edge.turn()
    edge.receipt(4)
    assert [m.numbers for m in edge.turn()] == [[5, 6, 7, 8, 9]]
    assert any("went back in time" in r.getMessage() for r in caplog.records)


@pytest.mark.parametrize(
    ("before", "after", "back"),
    [
        ((2, (5, 6), (9, 9)), (2, (5, 6)), True),  # a range is missing
        ((2, (5, 6), (9, 9)), (2, (5, 5), (9, 9)), True),  # a part of one
        ((2, (5, 6), (9, 9)), (4, (5, 6), (8, 9)), False),
        ((2, (5, 6), (9, 9)), (9,), False),
    ],
)
def test_a_store_that_goes_back_is_known_by_its_ranges_too(
    edge: Edge, before: tuple[Any, ...], after: tuple[Any, ...], back: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Where `through` stands as it did, what is not named any more tells it."""
    edge.fill(9)
    edge.ready()
    edge.receipt(*before)
    edge.turn()
    edge.receipt(*after)
    edge.turn()
    assert any("went back in time" in r.getMessage() for r in caplog.records) == back
    assert [edge.spool.is_settled(edge.log, n) for n in (5, 6, 9)].count(False) == back


def test_a_full_receipt_that_moved_on_did_not_go_back(edge: Edge, caplog: pytest.LogCaptureFixture) -> None:
    """It names the newest ranges only: what an earlier one named below them may be settled all the same."""
    edge.fill(400)
    edge.ready()
    odd = [(n, n) for n in range(3, 400, 2)]
    edge.receipt(0, *odd[: wire.RECEIPT_RANGES])
    edge.turn()
    edge.receipt(0, *odd[50 : 50 + wire.RECEIPT_RANGES])
    edge.turn()
    assert not any("went back in time" in r.getMessage() for r in caplog.records)
    edge.receipt(0, *odd[49 : 49 + wire.RECEIPT_RANGES - 1])
    edge.turn()
    assert any("went back in time" in r.getMessage() for r in caplog.records)


def test_an_earlier_openings_receipts_do_not_open_the_way_for_a_later_one(edge: Edge) -> None:
    """After a restart the retained receipt is of the last opening: months of history are not sent, and nothing is
    settled by it."""
    edge.fill(5)
    first = edge.log
    edge.ready()
    edge.receipt(5)
    edge.turn()
    edge.spool.close()
    edge.open()
    edge.transport.up()
    edge.bridge()
    edge.receipt(5, opening=first, log=first)
    assert edge.turn() == []
    assert unsettled(edge) == 5
    edge.receipt(5, log=first)
    assert edge.turn() == []
    assert unsettled(edge) == 0


# --- backlog ---------------------------------------------------------------------------------------------------------


def test_backlog_waits_for_the_bridge(edge: Edge) -> None:
    """While it is offline there are live samples only."""
    edge.ready()
    edge.bridge("offline")
    edge.fill(5)
    assert edge.turn() == []
    edge.uplink.live(edge.append()[0])
    assert [m.kind for m in edge.turn()] == ["data"]
    edge.bridge()
    assert [m.numbers for m in edge.turn()] == [[1, 2, 3, 4, 5]]


def test_backlog_waits_while_the_bridge_has_no_room(edge: Edge) -> None:
    """A bridge that says its backlog is paused is sent live samples only, until it says otherwise."""
    edge.ready()
    edge.hear(wire.BRIDGE_STATUS, wire.BridgeStatus("online", "s1", backlog="paused"))
    edge.fill(5)
    assert edge.turn() == []
    edge.uplink.live(edge.append()[0])
    assert [m.kind for m in edge.turn()] == ["data"]
    edge.bridge()
    assert [m.numbers for m in edge.turn()] == [[1, 2, 3, 4, 5]]


def test_the_window_bounds_what_the_broker_has_not_taken(edge: Edge) -> None:
    """Three packs are under way; each PUBACK lets one more go."""
    edge.ready()
    edge.fill(100)
    sent = edge.turn()
    assert [m.numbers for m in sent] == [list(range(n, n + 10)) for n in (1, 11, 21)]
    assert edge.turn() == []
    edge.transport.puback(sent[1].mid)
    assert [m.numbers for m in edge.turn()] == [list(range(31, 41))]


def test_backlog_without_a_receipt_is_bounded(tmp_path: Path) -> None:
    """However willingly the broker takes it: at most 5,000 samples wait for their receipt."""
    with closing(Edge(tmp_path, pack_samples=700)) as edge:
        edge.fill(UNSETTLED + 2000)
        edge.transport.up()
        edge.bridge()
        edge.receipt()
        total = 0
        while sent := edge.turn():
            total += sum(len(m.numbers) for m in sent)
            edge.transport.puback(*(m.mid for m in sent))
        assert total == 4900  # whole packs
        assert UNSETTLED == 5000
        edge.receipt(700)
        assert [len(m.numbers) for m in edge.turn()] == [700]


def test_a_pack_is_bounded_in_bytes(tmp_path: Path) -> None:
    """Samples of many channels travel in smaller packs, and their spans end with them."""
    with closing(Edge(tmp_path, pack_samples=100, window_packs=100)) as edge:
        edge.fill(100, channels=100)
        edge.transport.up()
        edge.bridge()
        edge.receipt()
        packs = edge.turn()
        assert [n for m in packs for n in m.numbers] == list(range(1, 101))
        assert len(packs) > 1
        for m in packs:
            assert len(m.payload) <= PACK_BYTES + 200
            span = m.pack.span
            assert span is not None
            assert (span.first, span.last) == (m.numbers[0], m.numbers[-1])


def test_a_sample_that_alone_is_too_long_travels_alone(tmp_path: Path) -> None:
    """It cannot be made smaller; whether it is accepted is the bridge's to say."""
    with closing(Edge(tmp_path)) as edge:
        edge.fill(3, channels=2000)
        edge.transport.up()
        edge.bridge()
        edge.receipt()
        assert [m.numbers for m in edge.turn()] == [[1], [2], [3]]


def test_the_oldest_log_goes_first(edge: Edge) -> None:
    """A pack is of one log, and its span is of that log and names the opening."""
    logs = []
    for count in (3, 2):
        edge.fill(count)
        logs.append(edge.log)
        edge.spool.close()
        edge.open()
    edge.fill(1)
    edge.transport.up()
    edge.bridge()
    edge.receipt()
    packs = edge.turn()
    assert [(m.pack.span_log, m.numbers) for m in packs] == [(logs[0], [1, 2, 3]), (logs[1], [1, 2]), (edge.log, [1])]
    assert {m.pack.span.opening for m in packs if m.pack.span} == {edge.log}


@pytest.mark.parametrize("order", ["oldest", "newest"])
def test_the_order_is_configured(tmp_path: Path, order: str) -> None:
    """Newest first: the newest pack of the newest log, and so on downwards; within a pack numbers rise. Each span
    claims what lies above the next number that is still to go."""
    with closing(Edge(tmp_path, backlog_order=order)) as edge:
        edge.fill(14)
        first = edge.log
        edge.spool.close()
        edge.open()
        edge.fill(12)
        edge.transport.up()
        edge.bridge()
        edge.receipt(2, log=first)
        sent = edge.turn()
        edge.transport.puback(*(m.mid for m in sent))
        sent += edge.turn()
        told = [(m.pack.span_log, m.numbers, m.pack.span.first) for m in sent if m.pack.span]
        packs = [
            (first, list(range(3, 13)), 3),
            (first, [13, 14], 13),
            (edge.log, list(range(1, 11)), 1),
            (edge.log, [11, 12], 11),
        ]
        downwards = [
            (edge.log, list(range(3, 13)), 3),
            (edge.log, [1, 2], 1),
            (first, list(range(5, 15)), 5),
            (first, [3, 4], 3),
        ]
        assert told == (packs if order == "oldest" else downwards)


def test_a_rate_is_kept(tmp_path: Path) -> None:
    """At most so many samples of backlog a second; live samples are not held back."""
    with closing(Edge(tmp_path, backlog_rate=5.0, window_packs=500)) as edge:
        edge.fill(200)
        edge.ready()
        numbers = []
        for _ in range(200):
            edge.uplink.live(edge.append()[0])
            numbers += [m.numbers for m in edge.turn(0.1)]
        live = [n for n in numbers if n[0] > 200]
        assert len(live) == 200
        assert 95 <= sum(len(n) for n in numbers) - len(live) <= 105


def test_the_window_follows_the_link(tmp_path: Path) -> None:
    """The first pack is small; as PUBACKs come quickly more bytes are under way, and more samples in a pack."""
    with closing(Edge(tmp_path, wide=False, pack_samples=100, window_packs=50)) as edge:
        edge.ready()
        edge.fill(4000)
        largest, under_way = [], []
        waiting: list[Published] = []
        for _ in range(60):
            waiting += edge.turn(0.05)
            largest.append(max((len(m.numbers) for m in waiting), default=0))
            under_way.append(sum(len(m.payload) for m in waiting))
            edge.transport.puback(*(m.mid for m in waiting))
            edge.receipt(max((n for m in waiting for n in m.numbers), default=0))
            waiting = []
        assert under_way[0] <= 4096
        assert largest[0] <= 20
        assert max(largest) == 100
        assert max(under_way) >= 30_000


# --- connections that are lost ---------------------------------------------------------------------------------------


def test_a_live_sample_without_its_puback_is_published_once_more(edge: Edge) -> None:
    """At once on the next connection, in order and before backlog; if that one is lost as well, it is backlog."""
    edge.ready()
    samples = edge.append(4)
    for sample in samples[:3]:
        edge.uplink.live(sample)
    edge.spool.commit()
    first, *_ = edge.transport.take("data")
    puback(edge, [first])
    edge.transport.down()
    edge.transport.up()
    sent = edge.turn()
    assert [(m.kind, m.numbers) for m in sent] == [("data", [2]), ("data", [3]), ("backlog", [4])]
    edge.transport.down()
    edge.transport.up()
    assert [(m.kind, m.numbers) for m in edge.turn()] == [("backlog", [2, 3, 4])]


def test_a_pack_without_its_puback_is_backlog_again(edge: Edge) -> None:
    """At once on the next connection, whatever the patience."""
    edge.ready()
    edge.fill(5)
    (lost,) = edge.turn()
    edge.transport.down()
    edge.transport.up()
    (again,) = edge.turn()
    assert (again.kind, again.numbers) == ("backlog", lost.numbers)


def test_an_acknowledgement_of_an_earlier_connection_ends_nothing(edge: Edge) -> None:
    """Noted before the connection was lost and heard after: its message is known; else it is passed over."""
    edge.ready()
    edge.fill(5)
    (lost,) = edge.turn()
    edge.transport.down()
    edge.transport.up()
    edge.turn()
    edge.transport.puback(lost.mid)
    edge.turn()
    assert len(edge.uplink._flights.waiting("backlog")) == 1


def lose(edge: Edge, largest: int) -> list[Published]:
    """A broker that closes the connection at a message larger than it takes; what it acknowledged."""
    taken = []
    for m in edge.turn(1.0):
        if len(m.payload) > largest:
            edge.transport.down()
            edge.transport.up()
            break
        edge.transport.puback(m.mid)
        taken.append(m)
    return taken


def test_a_broker_that_closes_at_large_packs_gets_smaller_ones(tmp_path: Path) -> None:
    """Nothing later is ever settled then, so no receipt tells it: lost three times at the same oldest pack, packs are
    made smaller until they pass, and no sample is given up."""
    with closing(Edge(tmp_path, pack_samples=100, window_packs=10)) as edge:
        edge.ready()
        edge.fill(400)
        got: set[int] = set()
        for _ in range(200):
            got |= {n for m in lose(edge, 3000) for n in m.numbers}
            edge.receipt(0, *((n, n) for n in sorted(got)[-1:]))
        assert got == set(range(1, 401))
        assert len(edge.statements(60)[0].logs[0].gone) == 0


def test_a_sample_that_is_too_large_alone_does_not_hold_up_the_others(tmp_path: Path) -> None:
    """Lost at it each time even alone, it waits a while and the rest passes; it is not given up for that, since a bad
    link looks the same."""
    with closing(Edge(tmp_path, pack_samples=10)) as edge:
        edge.ready()
        edge.fill(3)
        edge.fill(1, channels=100)
        edge.fill(30)
        got: set[int] = set()
        for _ in range(200):
            got |= {n for m in lose(edge, 3000) for n in m.numbers}
            edge.receipt(0, *((n, n) for n in sorted(got)[-1:]))
        assert got == set(range(1, 35)) - {4}
        assert unsettled(edge) > 0
        got |= {n for _ in range(800) for m in lose(edge, 30_000) for n in m.numbers}
        assert 4 in got


def test_a_broker_that_takes_and_drops_large_packs_gets_smaller_ones(tmp_path: Path) -> None:
    """The broker acknowledges and the bridge speaks, and yet no pack arrives: time-outs tell it, and only the size
    follows."""
    with closing(Edge(tmp_path, pack_samples=100, window_packs=10)) as edge:
        edge.ready()
        edge.fill(400)
        got: set[int] = set()
        for _ in range(900):
            sent = edge.turn(5.0)
            edge.transport.puback(*(m.mid for m in sent))
            got |= {n for m in sent if len(m.payload) <= 3000 for n in m.numbers}
            edge.receipt(0, *((n, n) for n in sorted(got)[-1:]))
            if len(got) == 400:
                break
        assert got == set(range(1, 401))


def test_a_sample_that_packs_fail_for_is_sent_alone(edge: Edge) -> None:
    """Receipts passed over its pack three times: its samples go one by one, and those that are sound are settled."""
    edge.ready()
    edge.fill(40)
    bad, alone = 7, []
    got: set[int] = set()
    for _ in range(60):
        sent = edge.turn(1.0)
        edge.transport.puback(*(m.mid for m in sent))
        for m in sent:
            if bad in m.numbers:
                alone.append(len(m.numbers))
            else:
                got |= set(m.numbers)
        edge.fill(1)  # something later settles always
        edge.receipt(0, *((n, n) for n in sorted(got)[-wire.RECEIPT_RANGES + 1 :]))
    assert alone[:4] == [10, 10, 10, 1]
    assert set(range(1, 41)) - got == {bad}


def test_what_fails_alone_is_set_aside_and_declared(edge: Edge) -> None:
    """Three sends alone, minutes apart; then it is kept apart on the card and its number is gone with its reason. What
    is sound beside it is settled, and time-outs without a later settled one count for nothing."""
    edge.ready()
    edge.fill(20)
    bad, sends = 7, list[tuple[float, int]]()
    got: set[int] = set()
    for _ in range(300):
        sent = edge.turn(5.0)
        edge.transport.puback(*(m.mid for m in sent))
        sends += [(edge.now, len(m.numbers)) for m in sent if bad in m.numbers]
        got |= {n for m in sent if bad not in m.numbers for n in m.numbers}
        edge.fill(1)
        settled = RangeSet((n, n) for n in got)
        edge.receipt(settled.through(), *settled.newest(wire.RECEIPT_RANGES, settled.through()))
    alone = [at for at, count in sends if count == 1]
    assert [count for _, count in sends] == [10, 10, 10, 1, 1, 1]
    assert [b - a >= pause for a, b, pause in zip(alone, alone[1:], uplink_module.ALONE_PAUSE_S, strict=False)] == [
        True,
        True,
    ]
    (said,) = edge.spool.statement().logs
    assert [tuple(g) for g in said.gone] == [(bad, bad, "set_aside")]
    assert edge.spool._db.execute("SELECT log, seq, body LIKE '%water_level%' FROM set_aside").fetchall() == [
        (edge.log, bad, 1)
    ]
    assert len(edge.uplink._failures) == 0


def test_without_a_later_settled_one_nothing_is_set_aside(edge: Edge) -> None:
    """A bridge that is silent for days, time-out after time-out: no send has failed."""
    edge.ready()
    edge.fill(5)
    for _ in range(2000):
        edge.transport.puback(*(m.mid for m in edge.turn(100.0)))
        edge.receipt(0)
    assert unsettled(edge) == 5
    assert edge.spool.statement().logs[0].gone == []


# --- spans -----------------------------------------------------------------------------------------------------------


def test_a_span_begins_after_what_the_receipt_settled(edge: Edge) -> None:
    """From `through` + 1 to the pack's last number: what lies between and is not held is thereby told."""
    edge.fill(15)
    edge.transport.up()
    edge.bridge()
    edge.receipt(5, (8, 9))
    (pack,) = edge.turn()
    assert pack.pack.span == wire.Span(6, 15, "s1", edge.log)
    assert pack.numbers == [6, 7, *range(10, 16)]


def test_a_span_speaks_of_no_sample_that_is_on_its_way(edge: Edge) -> None:
    """A pack ends before a sample in flight, and the next one's span begins after it."""
    edge.ready()
    samples = edge.append(12)
    for n in (4, 5, 9):
        edge.uplink.live(samples[n - 1])
    edge.spool.commit()
    edge.transport.take()
    packs = edge.turn()
    assert [m.numbers for m in packs] == [[1, 2, 3], [6, 7, 8], [10, 11, 12]]
    assert [(m.pack.span.first, m.pack.span.last) for m in packs if m.pack.span] == [(1, 3), (6, 8), (10, 12)]


@hypothesis_settings(deadline=None, max_examples=150)
@given(
    total=st.integers(1, 30),
    sent_live=st.sets(st.integers(1, 30)),
    taken=st.sets(st.integers(1, 30)),
    settled=st.sets(st.integers(1, 30)),
    gone=st.sets(st.integers(1, 30)),
    through=st.integers(0, 10),
    later=st.integers(0, 10),
)
def test_a_span_covers_no_held_unsettled_sample_but_the_packs(
    tmp_path_factory: pytest.TempPathFactory,
    total: int,
    sent_live: set[int],
    taken: set[int],
    settled: set[int],
    gone: set[int],
    through: int,
    later: int,
) -> None:
    """Whatever is in flight, settled or off the card: every number of a span that is held and unsettled is in its pack,
    for the bridge takes what a span lacks for gone."""
    with closing(Edge(tmp_path_factory.mktemp("edge"), pack_samples=4, window_packs=50)) as edge:
        edge.ready()
        samples = edge.append(total)
        for sample in samples:
            if sample.seq in sent_live:
                edge.uplink.live(sample)
        edge.spool.commit()
        for n in gone:
            edge.spool._db.execute("DELETE FROM samples WHERE seq = ?", (n,))
        flights = edge.transport.take("data")
        edge.transport.puback(*(m.mid for m in flights if m.numbers[0] in taken))
        edge.append(later)  # not committed: no span speaks of them
        edge.receipt(through, *((n, n) for n in sorted(settled)))
        for m in edge.turn():
            span = m.pack.span
            assert m.kind == "backlog"
            assert span is not None
            assert span.last == m.numbers[-1]
            assert span.first <= m.numbers[0]
            held = set(range(1, total + 1)) - gone
            unsettled = {n for n in held if n > through and n not in settled}
            assert {n for n in range(span.first, span.last + 1) if n in unsettled} == set(m.numbers)


# --- sent again ------------------------------------------------------------------------------------------------------


def resent_after(edge: Edge, sent: list[Published], limit: float = 2 * RESEND_MAX_S) -> tuple[float, list[Published]]:
    """The broker takes these; the seconds until something is sent again, to a quarter."""
    puback(edge, sent)
    began = edge.now
    while edge.now - began <= limit:
        if again := edge.turn(0.25):
            return edge.now - began, again
    return float("inf"), []


def test_without_a_receipt_it_is_sent_again_later_and_later(edge: Edge) -> None:
    """60 s after the PUBACK, then twice that and so on up to an hour; any receipt begins anew."""
    edge.ready()
    edge.fill(3)
    sent = edge.turn()
    waits = []
    for _ in range(9):
        wait, sent = resent_after(edge, sent)
        assert [m.numbers for m in sent] == [[1, 2, 3]]
        waits.append(wait)
    assert waits == [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]
    assert (RESEND_FIRST_S, RESEND_MAX_S) == (60, 3600)
    edge.receipt(1)
    edge.turn()
    wait, sent = resent_after(edge, sent)
    assert (wait, [m.numbers for m in sent]) == (60, [[2, 3]])
    edge.receipt(3)
    edge.turn()
    edge.fill(1)
    assert resent_after(edge, edge.turn())[0] == 60


def test_a_receipt_shortens_the_wait_that_is_under_way(edge: Edge) -> None:
    """What was told to wait an hour, because no receipt came, waits a minute once one comes."""
    edge.ready()
    edge.fill(3)
    sent = edge.turn()
    for _ in range(7):
        _, sent = resent_after(edge, sent)
    puback(edge, sent, 10)
    edge.receipt(0)
    assert edge.turn() == []
    assert edge.turn(59.5) == []
    assert [m.numbers for m in edge.turn(0.5)] == [[1, 2, 3]]


def test_the_time_runs_from_the_puback(edge: Edge) -> None:
    """As long as the broker has not taken it, it is on its way and nothing is sent twice."""
    edge.ready()
    edge.fill(3)
    sent = edge.turn()
    assert edge.turn(5000) == []
    assert resent_after(edge, sent)[0] == 60


def test_live_samples_wait_no_longer_however_long_the_bridge_is_away(edge: Edge) -> None:
    """Their flight ends after a minute, so that a month without a bridge is remembered by the card alone."""
    edge.transport.up()
    edge.bridge("offline")
    for _ in range(50):
        edge.uplink.live(edge.append()[0])
        puback(edge, edge.transport.take("data"), 60)
    assert len(edge.uplink._flights) <= 2
    edge.spool.commit()
    edge.bridge()
    edge.receipt()
    assert [n for m in edge.turn() for n in m.numbers] == list(range(1, 31))


def test_years_of_live_samples_need_no_memory(edge: Edge) -> None:
    """What was sent and settled leaves nothing behind, sample after sample."""
    edge.ready()
    for n in range(1, 300):
        edge.uplink.live(edge.append()[0])
        edge.spool.commit()
        edge.receipt(n // 3 * 3, *([(n, n)] if n % 3 == 2 else []))  # one is passed over now and then
        edge.uplink.step()
        puback(edge, edge.transport.take())
    edge.receipt(299)
    edge.turn()
    flights = edge.uplink._flights
    ranges = [*flights._numbers.values(), *edge.spool._settled.values()]
    assert sum(len(r) + len(r.changes) for r in ranges) <= 1
    assert not any((flights._by_key, flights._by_mid, flights._held, edge.uplink._again))
    assert len(edge.uplink._failures) == 0


def test_what_a_receipt_passes_over_is_backlog_at_once(edge: Edge) -> None:
    """Something published later on the same topic is settled, so this one was dropped on the way."""
    edge.ready()
    for sample in edge.append(5):
        edge.uplink.live(sample)
    edge.spool.commit()
    puback(edge, edge.transport.take("data"))
    assert edge.turn() == []
    edge.receipt(0, (2, 2), (4, 4))
    packs = edge.turn()
    assert [(m.kind, m.numbers) for m in packs] == [("backlog", [1, 3])]  # 5 may still be on its way
    assert packs[0].pack.span == wire.Span(1, 3, "s1", edge.log)


def test_what_was_settled_on_another_topic_says_nothing(edge: Edge) -> None:
    """The two sessions of the bridge may overtake each other."""
    edge.ready()
    edge.fill(2)
    puback(edge, edge.turn())
    edge.uplink.live(edge.append()[0])
    edge.spool.commit()
    puback(edge, edge.transport.take("data"))
    edge.receipt(0, (3, 3))
    assert edge.turn() == []


def test_what_the_broker_has_not_taken_was_not_passed_over(edge: Edge) -> None:
    """Without a PUBACK a flight is on its way, whatever a receipt says of later ones."""
    edge.ready()
    for sample in edge.append(3):
        edge.uplink.live(sample)
    edge.spool.commit()
    first, *others = edge.transport.take("data")
    puback(edge, others)
    edge.receipt(0, (2, 3))
    assert edge.turn() == []
    puback(edge, [first])
    assert [m.numbers for m in edge.turn(60)] == [[1]]


def test_a_full_receipt_says_nothing_below_its_first_range(edge: Edge) -> None:
    """A receipt names the newest ranges only; what lies below the first of them may be settled all the same."""
    edge.ready()
    count = 2 * wire.RECEIPT_RANGES + 10
    for sample in edge.append(count):
        edge.uplink.live(sample)
    edge.spool.commit()
    puback(edge, edge.transport.take("data"))
    ranges = [(n, n) for n in range(count - 2 * wire.RECEIPT_RANGES + 2, count + 1, 2)]
    edge.receipt(0, *ranges)
    sent = edge.turn()
    assert min(n for m in sent for n in m.numbers) > ranges[0][0]


# --- statements ------------------------------------------------------------------------------------------------------


def test_a_statement_a_minute(edge: Edge) -> None:
    """Once the bridge has answered, one a minute and no more."""
    edge.ready()
    edge.statements(STATEMENT_EVERY_S)
    times = [edge.now for _ in range(1200) if edge.statements(0.25)]
    assert [b - a for a, b in pairwise(times)] == [STATEMENT_EVERY_S] * (len(times) - 1)
    assert len(times) == 5


def test_statements_come_faster_until_the_bridge_answers(edge: Edge) -> None:
    """One that was lost is made again after some seconds, while the bridge is there and no receipt names this
    opening."""
    edge.transport.up()
    edge.bridge()
    assert len(edge.statements()) == 1
    assert sum(len(edge.statements(1.0)) for _ in range(20)) == 20 / STATEMENT_RETRY_S
    edge.receipt()
    assert sum(len(edge.statements(1.0)) for _ in range(20)) <= 1


def test_a_bridge_that_comes_is_told_what_is_held(edge: Edge) -> None:
    """When it comes online, and when another store is announced."""
    edge.ready()
    edge.transport.take()
    edge.bridge("offline")
    assert edge.statements(1.0) == []
    edge.bridge()
    assert len(edge.statements(1.0)) == 1
    assert edge.statements(1.0) == []
    edge.bridge(store="s2")
    assert len(edge.statements(1.0)) == 1


def test_a_statement_follows_what_was_dropped(edge: Edge) -> None:
    """Within a second or so, so that the bridge knows what is still held."""
    edge.ready()
    edge.transport.take()
    for sample in edge.append(3):
        edge.uplink.live(sample)
    edge.spool.commit()
    puback(edge, edge.transport.take("data"))
    edge.transport.take()
    edge.receipt(0, (3, 3))
    edge.statements()
    (said,) = edge.statements(1.0)
    assert said == edge.spool.statement()


# --- trouble ---------------------------------------------------------------------------------------------------------


def test_a_card_that_cannot_be_read_stops_no_live_sample(edge: Edge, caplog: pytest.LogCaptureFixture) -> None:
    """The loop goes on, says so once, and says when it is over with the count."""
    caplog.set_level(logging.INFO)
    edge.ready()
    edge.fill(2)
    edge.transport.take()
    db, edge.spool._db = edge.spool._db, sqlite3.connect(":memory:")  # a card that has lost its tables
    for _ in range(3):
        edge.now += STATEMENT_EVERY_S
        edge.uplink.live(edge.append()[0])
        edge.uplink._turn()
    assert [m.numbers for m in edge.transport.take("data")] == [[3], [4], [5]]
    edge.spool._db.close()
    edge.spool._db = db
    edge.uplink._turn()
    assert [m.numbers for m in edge.transport.take("backlog")] == [[1, 2]]
    said = [r.getMessage() for r in caplog.records]
    assert [text for text in said if "the spool" in text] == [
        "the spool cannot be used (no such table: samples); live samples only, until it can",
        "the spool can be used again after 3 failures",
    ]


def test_the_thread_drives_the_same_turns(tmp_path: Path) -> None:
    """Started, it needs nobody: what is heard wakes it."""
    with closing(Edge(tmp_path)) as edge:
        edge.fill(3)
        published = threading.Event()
        take = edge.transport.publish

        def publish(topic: str, payload: bytes, *, retain: bool = False) -> int | None:
            if topic.endswith("backlog"):
                published.set()
            return take(topic, payload, retain=retain)

        edge.transport.publish = publish  # type: ignore[method-assign]
        edge.uplink.start()
        edge.transport.up()
        edge.bridge()
        edge.receipt()
        assert published.wait(10)
        edge.uplink.stop()


# --- at random -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
def test_whatever_comes_in_whatever_order_it_settles_in_the_end(tmp_path: Path, seed: int) -> None:
    """Pubacks, receipts, connections and presence in any order and often lost: what is in flight is what it believes,
    and with a bridge that answers all is settled."""
    rng = random.Random(seed)
    with closing(Edge(tmp_path, pack_samples=5)) as edge:
        got: set[int] = set()
        waiting: list[int] = []

        def collect() -> None:
            for m in edge.transport.take():
                if m.kind in ("data", "backlog"):
                    waiting.append(m.mid)
                    if rng.random() < 0.6:
                        got.update(m.numbers)

        actions: list[Callable[[], object]] = [
            edge.transport.up,
            edge.transport.down,
            edge.bridge,
            lambda: edge.bridge("offline"),
            lambda: edge.receipt(0, *((n, n) for n in sorted(got)[-64:])),
            lambda: [edge.uplink.live(s) for s in edge.append(rng.randrange(4))],
            edge.spool.commit,
            lambda: edge.transport.puback(*[waiting.pop(0) for _ in range(rng.randint(0, len(waiting)))]),
        ]
        for _ in range(150):
            rng.choice(actions)()
            edge.now += rng.choice([0.1, 1.0, 30.0])
            edge.uplink.step()
            collect()
            flights = edge.uplink._flights
            assert {key for keys in flights._numbers.items() for key in flying_of(*keys)} == flights.keys()
        edge.spool.commit()
        edge.transport.up()
        edge.bridge()
        for _ in range(200):
            edge.receipt(0, *((n, n) for n in sorted(got)))
            edge.transport.puback(*waiting)
            waiting.clear()
            edge.now += 30.0
            edge.uplink.step()
            collect()
            if not unsettled(edge):
                return
        pytest.fail("no rest")


def flying_of(log: str, ranges: Any) -> Iterator[tuple[str, int]]:
    for a, b in ranges:
        yield from ((log, n) for n in range(a, b + 1))


def test_the_limits_are_those_of_the_contract() -> None:
    """wire.md, receipts, rule 7, and what the deployment's figures are computed from."""
    assert (UNSETTLED, uplink_module.RESEND_FIRST_S, uplink_module.RESEND_MAX_S) == (
        5000,
        60,
        3600,
    )
    assert uplink_module.STATEMENT_EVERY_S == 60
