"""Publishes what the spool holds: live samples at once, everything unsettled as backlog, and the device's word on
itself. A PUBACK ends a flight; only a receipt settles a sample.

Times in here are real (monotonic) seconds: a link's time-outs do not run on a simulated clock. Clock and transport
are given, and `step` is one turn of the loop, so that all of it can be driven without a network and without threads.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway import settings, wire
from gateway.edge.spool import Spool
from gateway.model import Sample
from gateway.mqtt import Delivery, Session
from gateway.ranges import RangeSet

log = logging.getLogger(__name__)

LIVE_IN_FLIGHT = 200  # unacknowledged live messages; beyond, a sample waits for the backlog
BACKLOG_UNSETTLED = 5000  # backlog samples sent and not yet settled
RESEND_FIRST_S, RESEND_MAX_S = 60.0, 3600.0
PACK_BYTES = 65_536  # of one backlog message, well below what brokers and the bridge accept
STATEMENT_EVERY_S = 60.0
STATEMENT_RETRY_S = 5.0  # while the bridge is online and no receipt for this opening was heard
IDLE_S = 0.2

Key = tuple[str, int]  # log, seq


class Transport(Protocol):
    """What the uplink needs of an MQTT session. `publish` returns a message id, None where it was not taken."""

    connected: threading.Event

    def start(self) -> None: ...

    def stop(self, farewell: tuple[str, bytes] | None = None) -> None: ...

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> int | None: ...

    def ack(self, delivery: Delivery) -> None: ...


class Connect(Protocol):
    """Makes a transport. The callbacks are those of `mqtt.Session`, and as short."""

    def __call__(
        self,
        broker: settings.Broker,
        client_id: str,
        *,
        will: tuple[str, bytes],
        subscribe: Sequence[str],
        inflight: int,
        on_up: Callable[[Transport], None],
        on_message: Callable[[Delivery], None],
        on_published: Callable[[int], None],
    ) -> Transport: ...


@dataclass(slots=True)
class _Flight:
    """One sample on its way. `order` rises with each publish; `settle_by` is None until the PUBACK."""

    topic: str
    order: int
    mid: int
    resend_s: float
    settle_by: float | None = None


class Uplink:
    """One per agent. `birth` and `status` are JSON texts, published at each connect."""

    def __init__(
        self,
        edge: settings.Edge,
        spool: Spool,
        birth: bytes,
        status: Callable[[str, str], bytes],
        connect: Connect = Session,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._edge, self._spool, self._birth, self._status = edge, spool, birth, status
        self._now = now
        self._lock = threading.RLock()
        self._wake, self._stop = threading.Event(), threading.Event()
        self._flights: dict[Key, _Flight] = {}
        self._flying: dict[str, RangeSet] = {}  # the numbers of `_flights`, by log
        self._by_mid: dict[int, list[Key]] = {}
        # What the network thread heard: a PUBACK, a message, None for a connection. It only notes: paho calls back
        # with its own locks held, and taking ours there while another thread publishes would be a deadlock.
        self._heard_of: deque[int | Delivery | None] = deque()
        self._sampled: deque[Sample] = deque()  # to be published live; a sensor's thread does not wait for the lock
        self._resend_s = RESEND_FIRST_S  # the patience with the next backlog; one for all, so that it needs no memory
        self._card_failures = 0
        self._order = 0
        self._store: str | None = None  # the store that the bridge announces
        self._bridge_online = False
        self._heard = False  # a receipt that names this opening and that store
        self._last_receipt: wire.Receipt | None = None
        self._statement_due = 0.0
        self._thread = threading.Thread(target=self._run, name="uplink", daemon=True)
        self.session = connect(
            edge.broker,
            f"{edge.tenant}:{edge.device}",  # no slash: rumqttd panics at one
            will=(self._topic("status"), status("offline", "connection lost")),
            subscribe=[self._topic("receipt"), wire.BRIDGE_STATUS],
            inflight=100,
            on_up=self._up,
            on_message=self._message,
            on_published=self._published,
        )

    def _topic(self, kind: str) -> str:
        return wire.topic(self._edge.tenant, self._edge.device, kind)

    def start(self) -> None:
        self.session.start()
        self._thread.start()

    def stop(self) -> None:
        """Say good-bye and disconnect. What is not settled stays in the spool."""
        self._stop.set()
        self._wake.set()
        self._thread.join(5.0)
        self.session.stop(farewell=(self._topic("status"), self._status("offline", "stopped")))

    def live(self, sample: Sample) -> None:
        """Publish a sample at once where that is possible; otherwise it is backlog. Waits for nothing."""
        self._sampled.append(sample)
        if self._lock.acquire(blocking=False):
            try:
                self._publish_live()
            finally:
                self._lock.release()
        else:
            self._wake.set()

    def step(self) -> None:
        """One turn: what was heard, then what is due."""
        with self._lock:
            while self._heard_of:
                self._listen(self._heard_of.popleft())
            self._publish_live()
            if not self.session.connected.is_set():
                return
            self._give_up_waiting()
            self._state()
            while not self._stop.is_set() and self._backlog():
                self._publish_live()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.wait(IDLE_S)
            self._wake.clear()
            self._turn()

    def _turn(self) -> None:
        """A step that outlives a card which fails."""
        try:
            self.step()
        except sqlite3.Error as e:
            if self._card_failures == 0:
                log.error("the spool cannot be used (%s); live samples only, until it can", e)
            self._card_failures += 1
        else:
            if self._card_failures:
                log.info("the spool can be used again after %d failures", self._card_failures)
            self._card_failures = 0

    # --- sending ---------------------------------------------------------------------------------------------

    def _publish_live(self) -> None:
        while self._sampled:
            sample = self._sampled.popleft()
            if len(self._by_mid) < LIVE_IN_FLIGHT and (sample.log, sample.seq) not in self._flights:
                self._send("data", [sample], None)

    def _send(self, kind: str, samples: list[Sample], span: wire.Span | None) -> bool:
        """Publish one pack; under the lock. Whether it went out."""
        mid = self.session.publish(self._topic(kind), wire.encode_pack(samples, span))
        if mid is None:
            return False
        self._order += 1
        keys = [(s.log, s.seq) for s in samples]
        resend_s = RESEND_FIRST_S if kind == "data" else self._resend_s
        for key in keys:
            self._flights[key] = _Flight(kind, self._order, mid, resend_s)
            self._flying.setdefault(key[0], RangeSet()).add(key[1])
        self._by_mid[mid] = keys
        return True

    def _landed(self, key: Key) -> _Flight:
        """The flight is over, one way or another."""
        flying = self._flying[key[0]]
        flying.remove(key[1])
        flying.changes.clear()  # they are for a copy on disk; here they would only grow
        return self._flights.pop(key)

    def _state(self) -> None:
        """The spool statement: when due."""
        now = self._now()
        if now < self._statement_due:
            return
        self.session.publish(self._topic("spool"), wire.encode(self._spool.statement()), retain=True)
        waiting = self._bridge_online and not self._heard
        self._statement_due = now + (STATEMENT_RETRY_S if waiting else STATEMENT_EVERY_S)

    def _give_up_waiting(self) -> None:
        """A flight whose receipt is overdue becomes backlog again, with twice the patience."""
        now = self._now()
        overdue = [k for k, f in self._flights.items() if f.settle_by is not None and f.settle_by <= now]
        for key in overdue:
            flight = self._landed(key)
            self._resend_s = max(self._resend_s, min(flight.resend_s * 2, RESEND_MAX_S))
        if overdue:
            self._statement_due = 0.0

    def _backlog(self) -> bool:
        """Send one backlog pack, if the bridge is there, has answered this opening, and has room. Whether one went."""
        if self._edge.delivery == "receipt" and not (self._bridge_online and self._heard):
            return False
        mids = {f.mid for f in self._flights.values() if f.topic == "backlog" and f.settle_by is None}
        unsettled = sum(1 for f in self._flights.values() if f.topic == "backlog")
        if len(mids) >= self._edge.window_packs or unsettled + self._edge.pack_samples > BACKLOG_UNSETTLED:
            return False
        for name in self._spool.logs():
            pack, first = self._pack(name)
            if pack:
                return self._send("backlog", pack, self._span(first, pack))
        return False

    def _span(self, first: int, pack: list[Sample]) -> wire.Span:
        return wire.Span(first, pack[-1].seq, self._store or "", self._spool.opening)

    def _pack(self, name: str) -> tuple[list[Sample], int]:
        """The next unsettled samples of a log that are not on their way, and the first number the pack accounts for.

        The span may only cover numbers of which every held and unsettled one is in the pack: the bridge takes what
        a span lacks for gone. So a pack ends before a sample that is on its way, and its span begins after one.
        """
        flying = self._flying.get(name) or RangeSet()
        pack = self._spool.unsettled(name, self._edge.pack_samples, flying)
        if not pack:
            return [], 0
        first = max(self._spool.through(name), flying.before(pack[0].seq) or 0) + 1
        stop = flying.after(pack[0].seq)
        if stop is not None:
            pack = [sample for sample in pack if sample.seq < stop]
        while len(pack) > 1 and len(wire.encode_pack(pack)) > PACK_BYTES:
            pack = pack[: len(pack) // 2]
        return pack, first

    # --- network thread ----------------------------------------------------------------------------------------

    def _up(self, session: Transport) -> None:
        session.publish(self._topic("status"), self._status("online", ""), retain=True)
        session.publish(self._topic("birth"), self._birth, retain=True)
        self._heard_of.append(None)
        self._wake.set()

    def _published(self, mid: int) -> None:
        self._heard_of.append(mid)
        self._wake.set()

    def _message(self, d: Delivery) -> None:
        self.session.ack(d)
        self._heard_of.append(d)
        self._wake.set()

    # --- what was heard, on our own thread and under the lock ------------------------------------------------------

    def _listen(self, what: int | Delivery | None) -> None:
        if what is None:
            self._statement_due = self._now()
            return
        if isinstance(what, int):
            self._flight_ended(what, self._by_mid.pop(what, []))
            return
        try:
            if what.topic == wire.BRIDGE_STATUS:
                self._presence(wire.decode_bridge_status(what.payload))
            else:
                self._receipt(wire.decode_receipt(what.payload))
        except ValueError as e:
            log.warning("%s cannot be read: %s", what.topic, str(e)[:200])

    def _flight_ended(self, mid: int, keys: list[Key]) -> None:
        """PUBACK: the broker's word. By configuration only, it is taken for the bridge's."""
        now = self._now()
        for key in keys:
            flight = self._flights.get(key)
            if flight is not None and flight.mid == mid:
                flight.settle_by = now + flight.resend_s
        if self._edge.delivery == "puback":
            by_log: dict[str, list[tuple[int, int]]] = {}
            for name, seq in keys:
                by_log.setdefault(name, []).append((seq, seq))
                if (name, seq) in self._flights:
                    self._landed((name, seq))
            logs = [wire.ReceiptLog(name, 0, ranges) for name, ranges in by_log.items()]
            self._spool.settle(wire.Receipt("", self._spool.opening, logs))

    def _presence(self, status: wire.BridgeStatus) -> None:
        was_online, self._bridge_online = self._bridge_online, status.state == "online"
        if self._bridge_online and not was_online:
            self._statement_due = 0.0
        if self._store != status.store:
            # Another store knows nothing of what the last one had: everything is unsettled again.
            self._store, self._heard = status.store, False
            self._statement_due = 0.0
            self._spool.unsettle()
            for key in [k for k, f in self._flights.items() if f.settle_by is not None]:
                self._landed(key)
            if self._last_receipt is not None:
                self._receipt(self._last_receipt)

    def _receipt(self, receipt: wire.Receipt) -> None:
        self._last_receipt = receipt
        if receipt.opening != self._spool.opening or receipt.store != self._store:
            return  # of an earlier opening, or of a store that is not announced: it settles nothing
        self._heard = True
        if any(entry.through < self._spool.through(entry.log) for entry in receipt.logs):
            # The same store knows less than before: somebody put an older file back by hand.
            log.warning("the bridge's store went back in time; everything is sent again that it does not name")
            self._spool.unsettle()
        self._spool.settle(receipt)
        self._land(receipt)

    def _land(self, receipt: wire.Receipt) -> None:
        """Flights that the receipt settles are over. One that it passes over, although something published later on
        the same topic is settled, was dropped on the way and is backlog at once."""
        now = self._now()
        newest: dict[str, int] = {}
        known: dict[str, int] = {}
        for entry in receipt.logs:
            known[entry.log] = entry.settled[0][0] if len(entry.settled) >= wire.RECEIPT_RANGES else 0
        for key, flight in list(self._flights.items()):
            if self._spool.is_settled(*key):
                newest[flight.topic] = max(newest.get(flight.topic, 0), flight.order)
                self._landed(key)
        for key, flight in list(self._flights.items()):
            named = key[0] in known and key[1] >= known[key[0]]
            if named and flight.settle_by is not None and flight.order < newest.get(flight.topic, 0):
                self._landed(key)
                self._statement_due = min(self._statement_due, now + 1.0)
        self._resend_s = RESEND_FIRST_S  # any receipt shows that the way is open
        for flight in self._flights.values():
            flight.resend_s = RESEND_FIRST_S
            if flight.settle_by is not None:
                flight.settle_by = min(flight.settle_by, now + RESEND_FIRST_S)
