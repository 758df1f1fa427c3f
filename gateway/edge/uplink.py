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

import msgspec

from gateway import settings, wire
from gateway.edge.backlog import Backlog
from gateway.edge.dating import Dates, Dating
from gateway.edge.flights import Failures, Flight, Flights, Key
from gateway.edge.spool import Spool
from gateway.loops import Loop
from gateway.model import Sample
from gateway.mqtt import Delivery, Session

log = logging.getLogger(__name__)

LIVE_IN_FLIGHT = 200  # unacknowledged live messages; beyond, a sample waits for the backlog
RESEND_FIRST_S, RESEND_MAX_S = 60.0, 3600.0
STATEMENT_EVERY_S = 60.0
STATEMENT_RETRY_S = 5.0  # while the bridge is online and no receipt for this opening was heard
UNDATED_LIVE = 1000  # live samples that wait for the clock to be set; beyond, they wait on the card
STALLED_S = 5.0  # without a PUBACK
ALONE_PAUSE_S = (60.0, 600.0)  # between the sends of a sample that fails alone: a broker that drops gets over it
TOO_LARGE_PAUSE_S = 600.0  # before a single sample, at which the connection is lost each time, is tried again
PAHO_IN_FLIGHT = 1000  # above all that we hand over: nothing waits in the library, where we could not overtake it
IDLE_S = 0.2


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
        resend: bool,
        on_up: Callable[[Transport], None],
        on_message: Callable[[Delivery], None],
        on_published: Callable[[int], None],
    ) -> Transport: ...


class Conditions(Protocol):
    """What of the device, beside its spool, concerns staff."""

    def heard(self, receipt: wire.Receipt) -> None:
        """A receipt that was believed."""
        ...

    def notices(self) -> list[str]:
        """Codes of what lasts."""
        ...


@dataclass(frozen=True, slots=True)
class _Up:
    """A new connection. What was published up to `order` went over an earlier one."""

    order: int


class Uplink:
    """One per agent. `birth` and `status` are JSON texts, published at each connect; `contact`: the bridge spoke."""

    contact = False

    def __init__(
        self,
        edge: settings.Edge,
        spool: Spool,
        birth: bytes,
        status: Callable[[str, str], bytes],
        connect: Connect = Session,
        now: Callable[[], float] = time.monotonic,
        turned: Callable[[], None] = lambda: None,
        dating: Dating | None = None,
        conditions: Conditions | None = None,
        command: Callable[[Delivery], None] | None = None,
    ) -> None:
        """`turned` is called on every round of its loop. Without `dating` no sample lacks a time. `command` notes."""
        self._edge, self._spool, self._birth, self._status = edge, spool, birth, status
        self._now, self._turned, self._conditions, self._command = now, turned, conditions, command
        self._told: list[str] = []  # the notices of the last statement
        self._lock = threading.RLock()
        self._wake, self._stop = threading.Event(), threading.Event()
        self._flights, self._failures = Flights(), Failures()
        self._dates = Dates(dating, spool)
        self._packs = Backlog(edge, spool, self._flights, self._failures, self._dates)
        # What the network thread heard: a PUBACK and when, a message, a connection and the number of the last publish
        # before it. It only notes: paho calls back with its own locks held, and taking ours there while another thread
        # publishes would be a deadlock.
        self._heard_of: deque[tuple[int, float] | Delivery | _Up] = deque()
        self._sampled: deque[Sample] = deque()  # to be published live; a sensor's thread does not wait for the lock
        self._undated: deque[Sample] = deque()  # live ones that wait for the clock to be set
        self._again: deque[Sample] = deque()  # live ones whose connection was lost before their PUBACK, once each
        self._resend_s = RESEND_FIRST_S  # the patience with the next backlog; one for all, so that it needs no memory
        self._card_failures = 0
        self._store: str | None = None  # the store that the bridge announces
        self._bridge_online = False
        self._backlog_paused = False  # by the bridge, which has no room for it now
        self._heard = False  # a receipt that names this opening and that store
        self._last_receipt: wire.Receipt | None = None
        self._statement_due = 0.0
        self.thread = Loop("uplink", self._run)
        self.session = connect(
            edge.broker,
            f"{edge.tenant}:{edge.device}",  # no slash: rumqttd panics at one
            will=(self._topic("status"), status("offline", "connection lost")),
            subscribe=[self._topic("receipt"), wire.BRIDGE_STATUS, *([self._topic("cmd")] if command else [])],
            inflight=PAHO_IN_FLIGHT,
            resend=False,
            on_up=self._up,
            on_message=self._message,
            on_published=self._published,
        )

    def _topic(self, kind: str) -> str:
        return wire.topic(self._edge.tenant, self._edge.device, kind)

    def start(self) -> None:
        self.session.start()
        self.thread.start()

    def stop(self) -> None:
        """Say good-bye and disconnect. What is not settled stays in the spool."""
        self._stop.set()
        self._wake.set()
        self.thread.join(5.0)
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
            self._reconsider()
            self._publish_live()
            self._dates.freeze(self._now())
            if not self.session.connected.is_set():
                return
            self._flights.release_due(self._now())
            self._give_up_waiting()
            self._state()
            while not self._stop.is_set() and self._backlog():
                self._publish_live()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.wait(IDLE_S)
            self._wake.clear()
            self._turned()
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
        while self._again and self.session.connected.is_set():
            self._live(self._again.popleft(), again=True)
        while self._sampled:
            self._live(self._sampled.popleft(), again=False)

    def _reconsider(self) -> None:
        """The clock may have been set, or the minute be over."""
        waiting, self._undated = self._undated, deque()
        for sample in waiting:
            self._flights.release((sample.log, sample.seq))
            self._live(sample, again=False)

    def _live(self, sample: Sample, again: bool) -> None:
        """Publish it, or let it wait for its date, or leave it to the backlog."""
        key = (sample.log, sample.seq)
        if key in self._flights:
            return
        sample = self._dates.dated(sample)
        if self._dates.relative(sample):
            waits_s = self._dates.waits_s(sample)
            if waits_s and len(self._undated) < UNDATED_LIVE:
                self._undated.append(sample)
                self._flights.hold(key, self._now() + waits_s)
                return
            if waits_s or not self._ages():
                return
        if not again and len(self._flights.waiting("data")) >= LIVE_IN_FLIGHT:
            return
        flight = self._send("data", [sample], wire.encode_pack([sample], None, self._dates.here()))
        if flight is not None and not again:
            flight.samples = (sample,)

    def _ages(self) -> bool:
        """Whether an age may be sent: it is right only if it does not wait on its way, neither in the broker for an
        absent bridge nor in a connection that stands still."""
        there = self._bridge_online or self._edge.delivery == "puback"
        return there and not self._flights.stalled(self._now() - STALLED_S)

    def _send(self, kind: str, samples: list[Sample], payload: bytes) -> Flight | None:
        """Publish one pack; under the lock. None: there is no connection."""
        mid = self.session.publish(self._topic(kind), payload)
        if mid is None:
            return None
        patience_s = RESEND_FIRST_S if kind == "data" else self._resend_s
        return self._flights.add(kind, mid, samples, len(payload), self._now(), patience_s)

    def _state(self) -> None:
        """The spool statement: when due, and at once when what concerns staff changes."""
        if not self._spool.is_open:
            return  # what a card holds that cannot be read yet, nobody can say
        now, notices = self._now(), self._notices()
        if now < self._statement_due and notices == self._told:
            return
        self._told = notices
        statement = msgspec.structs.replace(self._spool.statement(), notices=notices)
        self.session.publish(self._topic("spool"), wire.encode(statement), retain=True)
        waiting = self._bridge_online and not self._heard
        self._statement_due = now + (STATEMENT_RETRY_S if waiting else STATEMENT_EVERY_S)

    def _notices(self) -> list[str]:
        own = self._conditions.notices() if self._conditions else []
        return [*self._spool.notices(), *own]

    def _give_up_waiting(self) -> None:
        """A flight whose receipt is overdue becomes backlog again, with twice the patience."""
        now = self._now()
        overdue = self._flights.overdue(now)
        for flight in overdue:
            self._flights.land_all(flight)
            self._resend_s = max(self._resend_s, min(flight.patience_s * 2, RESEND_MAX_S))
        if overdue:
            self._statement_due = 0.0
        # Taken by the broker, while the bridge speaks, and yet it did not come: brokers drop what is too large.
        self._doubt_size([f for f in overdue if f.kind == "backlog" and f.answered])

    def _doubt_size(self, flights: Sequence[Flight]) -> None:
        """These did not get through, all for one reason: one sign against the size of the smallest."""
        if not flights:
            return
        size = min(flight.size for flight in flights)
        if self._packs.size.strike(size, self._now()):
            text = "packs of %d bytes do not get through; they are made smaller, at most %d bytes now"
            log.warning(text, size, self._packs.size.limit)

    def _backlog(self) -> bool:
        """Send one backlog pack, if the bridge is there, has answered this opening, and has room. Whether one went."""
        if self._backlog_paused or (self._edge.delivery == "receipt" and not (self._bridge_online and self._heard)):
            return False
        pack = self._packs.next(self._now(), self._store or "", self._ages())
        return pack is not None and self._send("backlog", *pack) is not None

    # --- network thread ----------------------------------------------------------------------------------------

    def _up(self, session: Transport) -> None:
        session.publish(self._topic("status"), self._status("online", ""), retain=True)
        session.publish(self._topic("birth"), self._birth, retain=True)
        self._heard_of.append(_Up(self._flights.order))
        self._wake.set()

    def _published(self, mid: int) -> None:
        self._heard_of.append((mid, self._now()))
        self._wake.set()

    def _message(self, d: Delivery) -> None:
        self.session.ack(d)
        self._heard_of.append(d)
        self._wake.set()

    # --- what was heard, on our own thread and under the lock ------------------------------------------------------

    def _listen(self, what: tuple[int, float] | Delivery | _Up) -> None:
        if isinstance(what, _Up):
            self._connected_anew(what.order)
            return
        if isinstance(what, tuple):
            self._taken(*what)
            return
        try:
            if self._command and what.topic == self._topic("cmd"):
                self._command(what)
            elif what.topic == wire.BRIDGE_STATUS:
                self._presence(wire.decode_bridge_status(what.payload))
            else:
                self._receipt(wire.decode_receipt(what.payload))
        except ValueError as e:
            log.warning("%s cannot be read: %s", what.topic, str(e)[:200])

    def _connected_anew(self, order: int) -> None:
        """What the last connection took with it. Live samples are published once more, at once and encoded anew; packs
        are backlog again. A connection that is lost each time at the same pack may be lost because of it."""
        self._statement_due = self._now()
        self._packs.another_link()
        lost = self._flights.lost(order)
        self._again.extend(sample for flight in lost for sample in flight.samples)
        if lost and lost[0].kind == "backlog":
            self._doubt_size(lost[:1])
            if lost[0].alone and self._packs.size.limit == 1:
                for key in lost[0].tried:
                    self._flights.hold(key, self._now() + TOO_LARGE_PAUSE_S)

    def _taken(self, mid: int, at: float) -> None:
        """PUBACK: the broker's word. By configuration only, it is taken for the bridge's."""
        under_way = sum(flight.size for flight in self._flights.waiting("backlog"))
        flight = self._flights.taken(mid, at)
        if flight is None:
            return
        if flight.kind == "backlog":
            self._packs.window.taken(flight.size, at - flight.sent, under_way, at)
        else:
            self._packs.window.live(at - flight.sent)
        if self._edge.delivery == "puback":
            self.contact = True
            self._spool.delete_acknowledged(flight.keys)
            self._flights.land_all(flight)

    def _presence(self, status: wire.BridgeStatus) -> None:
        was_online, self._bridge_online = self._bridge_online, status.state == "online"
        self._backlog_paused = status.backlog == "paused"
        if self._bridge_online and not was_online:
            self._statement_due = 0.0
        if self._store != status.store:
            # Another store knows nothing of what the last one had: everything is unsettled again.
            self._store, self._heard = status.store, False
            self._statement_due = 0.0
            self._spool.unsettle()
            for flight in self._flights.all():
                if flight.settle_by is not None:
                    self._flights.land_all(flight)
            if self._last_receipt is not None:
                self._receipt(self._last_receipt)

    def _receipt(self, receipt: wire.Receipt) -> None:
        self._last_receipt = receipt
        if receipt.opening != self._spool.opening or receipt.store != self._store:
            return  # of an earlier opening, or of a store that is not announced: it settles nothing
        self._heard = self.contact = True
        if self._edge.delivery == "receipt" and any(self._spool.contradicts(entry) for entry in receipt.logs):
            # The same store knows less than before: somebody put an older file back by hand.
            log.warning("the bridge's store went back in time; everything is sent again that it does not name")
            self._spool.unsettle()
        self._spool.settle(receipt)
        if self._conditions:
            self._conditions.heard(receipt)
        self._land(receipt)

    def _land(self, receipt: wire.Receipt) -> None:
        """Flights that the receipt settles are over. One that it passes over, although something published later on
        the same topic is settled, was dropped on the way and is backlog at once."""
        now = self._now()
        self._resend_s = RESEND_FIRST_S  # any receipt shows that the way is open
        newest: dict[str, int] = {}
        settled = {entry.log: self._spool.settled(entry.log) for entry in receipt.logs}
        known = {e.log: e.settled[0][0] if len(e.settled) >= wire.RECEIPT_RANGES else 0 for e in receipt.logs}
        for flight in self._flights.all():
            landed = [key for key in flight.keys if key[0] in settled and key[1] in settled[key[0]]]
            for key in landed:
                newest[flight.kind] = flight.order
                self._flights.land(key)
                self._failures.forget(key)
            if landed and not flight.keys and flight.kind == "backlog":
                self._packs.size.arrived(flight.size, now)
        passed: list[tuple[Flight, Key]] = []
        for flight in self._flights.all():
            flight.patience_s = RESEND_FIRST_S
            if flight.settle_by is None:
                continue
            flight.settle_by, flight.answered = min(flight.settle_by, now + RESEND_FIRST_S), True
            if flight.order < newest.get(flight.kind, 0):
                passed += [(flight, key) for key in flight.keys if key[0] in known and key[1] >= known[key[0]]]
        self._passed_over(passed)

    def _passed_over(self, sends: list[tuple[Flight, Key]]) -> None:
        """Failed sends. A sample that failed in three packs is sent alone; one that fails alone waits before it is
        tried again, so that a broker which drops at random for a while costs none; after the third time it is set
        aside."""
        now = self._now()
        for flight, key in sends:
            self._flights.land(key)
            was_suspect = flight.alone and self._failures.suspect(key)
            times = self._failures.count(key, flight.alone)
            if was_suspect and times <= len(ALONE_PAUSE_S):
                self._flights.hold(key, now + ALONE_PAUSE_S[times - 1])
        if sends:
            self._statement_due = min(self._statement_due, now + 1.0)
            self._doubt_size([flight for flight, _ in sends if flight.kind == "backlog"])
        for name, seq in [key for _, key in sends if self._failures.hopeless(key)]:
            self._spool.set_aside(name, seq)
            self._failures.forget((name, seq))
            log.error("sample %d of log %s was sent alone three times and never arrived: it is set aside", seq, name)
