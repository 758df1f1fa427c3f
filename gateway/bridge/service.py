"""The bridge: one writer loop that turns batches of messages into committed rows, then acknowledges, then receipts.

Alerts, receipts and page read what was committed; InfluxDB and people are served by threads of their own, which hand
their outcomes back to this loop, the only writer of the store.
"""

from __future__ import annotations

import hashlib
import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from gateway import pipeline, settings, wire
from gateway.bridge import influx, timekeeping
from gateway.bridge.commanding import Commands
from gateway.bridge.delivering import Deliverers
from gateway.bridge.media import AlertTopic
from gateway.bridge.notify import Outcome
from gateway.bridge.outlets import Outlets
from gateway.bridge.presence import Displaced, Place, Presence
from gateway.bridge.receipts import Receipts
from gateway.bridge.receiver import Arrival, Receiver
from gateway.bridge.reloading import InForce, Load, Reloader, Where
from gateway.bridge.requests import Requests
from gateway.bridge.room import Room
from gateway.bridge.room import statement as room_in_days
from gateway.bridge.store import REFUSALS, Store
from gateway.bridge.told import Told
from gateway.bridge.unstorable import unstorable
from gateway.bridge.vitals import Sight, Vitals
from gateway.bridge.work import Device, Memory, Rules, Work, rules_at
from gateway.clock import Clock
from gateway.disk import DISK, Disk
from gateway.errors import NoticeCode, RejectCode
from gateway.letters import Verdict
from gateway.model import ClockState, DeadLetter, Message
from gateway.stations import Registry
from gateway.systemd import Supervisor

log = logging.getLogger(__name__)

BATCH = 1000  # messages in one transaction
TICK_S = 0.25  # real time between looks at silence
NO_DATA = (NoticeCode.NO_DATA, "", "")
NO_DATA_S = 300.0  # without a word from any device: each sends a statement every minute
RETRY_S = 1.0  # after a commit that the disk refused


@dataclass(slots=True)
class _Inbox:
    """What the other threads hand to the writer."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    outcomes: list[Outcome] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)
    cursors: dict[str, int] = field(default_factory=dict)
    verdicts: list[Verdict] = field(default_factory=list)


class Service:
    """One bridge. `run` returns when `stop` was called; it raises what must end the process."""

    def __init__(
        self,
        bridge: settings.Bridge,
        registry: Registry,
        clock: Clock,
        mark: Callable[[str], None] = lambda _: None,
        disk: Disk = DISK,
        supervisor: Supervisor | None = None,
        takeover: bool = False,
        load: Load | None = None,
        place: Where = lambda _: (1, 1),
    ) -> None:
        """`mark` is called at the points where a crash matters: taken, committed, acknowledged, receipt, sent, reading,
        swapped. `load` reads the configuration again, of which `place` says where a setting stands; without it there is
        no other while it runs."""
        self._bridge, self._registry, self._clock, self._mark = bridge, registry, clock, mark
        self._store = Store(bridge.store, bridge.letter_bytes_per_device, disk)
        self._memory: Memory = self._store.load()
        self.room = Room(self._store.db, bridge)
        self._stopping = threading.Event()
        self._inbox = _Inbox()
        self._retry: deque[list[Arrival]] = deque()
        self._disk_failures = 0
        self._roomless = False
        self._ticked = 0.0
        self._told = Told()
        self._due: dict[Device, bool] = {}  # receipts for what was committed, to be sent after the acknowledgements
        presence = Presence(self._memory.store, clock.now_ms(), takeover)
        self._place = Place(bridge, presence, self._publish_status, lambda: self.receiver.wake(), self._yielded)
        self.receiver = Receiver(bridge, clock.now_ms, clock.uptime_ms, self._place.announce, self._place.heard)
        self._receipts = Receipts(self._memory, self._publish_receipt, self._beat)
        topic = AlertTopic(lambda topic, body: self.receiver.live.publish_and_wait(topic, body, retain=True))
        self._deliverers = Deliverers(bridge.store, topic, self._report, clock.now_ms, disk)
        self._deliverers.adopt(bridge, registry)
        in_force = InForce(bridge, registry, clock.now_ms())
        wake = self.receiver.wake
        tell = self._store.judge_by
        self._reloader = Reloader(load, in_force, self._adopt, clock.now_ms, wake, mark, place, tell)
        self._drain = self._make_drain(disk)
        now_ms, note = lambda: self._rules().now_ms, self._store.note
        self._outlets = Outlets(bridge, lambda: self._registry, now_ms, disk, self._beat, note)
        resend = self._drain.resend if self._drain else None
        self._commands = Commands(self._command, clock.now_ms)
        self._requests = Requests(bridge.store, resend, self._rewind, disk, self._reloader, self._commands)
        self._asked = 0.0
        sight = Sight(
            *(registry, self._memory, self.receiver, self.room, self._position, self._believed),
            *(self._reloader, self._outlets.orion, self._outlets.bulletins),
        )
        self.vitals = Vitals(bridge, sight, supervisor or Supervisor(), disk)

    def _adopt(self, bridge: settings.Bridge, registry: Registry) -> None:
        """Another configuration is in force from the next batch on. What can fail comes first."""
        self._deliverers.adopt(bridge, registry)
        self.room.adopt(bridge)
        self._store.letter_bytes = bridge.letter_bytes_per_device
        self.vitals.adopt(bridge, registry)
        self._bridge, self._registry = bridge, registry
        log.info("%s", room_in_days(bridge, registry))

    def reload(self) -> None:
        """Read the configuration again, and take it over where it is in order."""
        self._reloader.signalled()

    def _make_drain(self, disk: Disk) -> influx.Drain | None:
        to = self._bridge.influx
        if to is None:
            return None
        return influx.Drain(
            to,
            influx.writer_of(to),
            self._bridge.store,
            partial(self._drained, influx.CURSOR),
            self._clock.now_ms,
            disk=disk,
            resent=self._resent,
            beat=self._beat,
            assessed=partial(self._drained, influx.ASSESSED),
            leaves=lambda *series: self._registry.may_leave(*series),  # by the configuration in force
        )

    @property
    def store_id(self) -> str:
        return self._memory.store

    @property
    def counts(self) -> Mapping[str, int]:
        """Samples since the start, committed."""
        return self.vitals.totals.samples

    def stop(self) -> None:
        """Ask `run` to end after the batch under way."""
        self._stopping.set()
        self.receiver.wake()

    def run(self) -> None:
        """Serve until stopped."""
        stations = len(self._registry.stations)
        plural = "s" * (stations != 1)
        log.info("store %s (%s), %d station%s", self._bridge.store, self._memory.store, stations, plural)
        log.info("%s", room_in_days(self._bridge, self._registry))
        if self._drain:
            assert self._bridge.influx is not None
            log.info("points go to %s", influx.describe(self._bridge.influx))
            self._drain.start()
        self._receipts.start()
        self._place.start()
        self.vitals.start()
        try:
            while not self._stopping.is_set():
                self.vitals.round()
                self._once()
                self._keep_place()
        finally:
            self._shut_down()
        if self._place.lost_to is not None:
            raise Displaced(self._place.lost_to)

    def _shut_down(self) -> None:
        self.vitals.stop()
        self._receipts.stop()
        self._place.stop()
        self.receiver.stop(None if self._place.lost_to else self._place.word("offline"))
        self._deliverers.stop()
        self._outlets.stop()
        if self._drain:
            self._drain.stop()
        self._write_inbox()
        self._store.close()

    def _keep_place(self) -> None:
        match self._place.keep():
            case "unasked":  # nobody can be asked, and people are owed what they are owed
                self._start_delivering()
            case "kept":
                self.pause_backlog(self.room.backlog_waits)
            case "won":
                self.pause_backlog(self.room.backlog_waits)
                self._start_delivering()
                self.receiver.start(self._place.word("offline"))

    def _start_delivering(self) -> None:
        self._deliverers.start()
        self._outlets.start()

    def _yielded(self) -> None:
        """Another bridge has the place: stop notifying at once, and end."""
        self._deliverers.halt()
        self.stop()

    def pause_backlog(self, on: bool) -> None:
        """Let the devices keep their backlog for a while."""
        if on != self.receiver.backlog_paused:
            self._place.pause_backlog(on)
            self.receiver.pause_backlog(on)

    # --- the writer loop -------------------------------------------------------------------------------------

    def _once(self) -> None:
        arrivals = self._retry.popleft() if self._retry else self.receiver.take(BATCH, 0 if self._roomless else TICK_S)
        settled = self._settle(arrivals)
        if not settled:
            self._retry.appendleft(arrivals)
        self._roomless = self._make_room()
        if not settled and not self._roomless:
            self._stopping.wait(RETRY_S)
        self._reloader.step()
        if settled and time.monotonic() - self._asked >= TICK_S:
            self._requests.serve(self._memory, self._rules, self._write)
            self._asked = time.monotonic()

    def _make_room(self) -> bool:
        """One small step, so that a live message waits for no more than that. True: there is more to do."""
        rules = self._rules()
        try:
            more = self.room.step(rules.now_ms, rules.future_ms is not None)
        except sqlite3.Error as e:
            self.room.refused(e)
            return False
        return more

    def _settle(self, arrivals: list[Arrival]) -> bool:
        """Commit, then acknowledge, then receipts. False: the disk refused; the same messages are to be tried again."""
        try:
            self._commit([a.message for a in arrivals])
        except sqlite3.OperationalError as e:
            self.room.refused(e)
            if self._disk_failures == 0:
                log.error(
                    "the store %s cannot be written (%s); messages are kept and tried again", self._bridge.store, e
                )
            self._disk_failures += 1
            self.vitals.refused()
            return False
        except REFUSALS as e:
            if len(arrivals) <= 1:
                self._set_aside(arrivals, e)
                return True
            log.warning("a batch of %d messages was refused (%s); looking for the one", len(arrivals), e)
            middle = len(arrivals) // 2
            halves = [arrivals[:middle], arrivals[middle:]]
            while halves:
                if not self._settle(halves[0]):
                    self._retry.extendleft(reversed(halves[1:]))
                    self._retry.appendleft(halves[0])
                    return True  # nothing of this call is left over: it waits in _retry
                halves.pop(0)
            return True
        if self._disk_failures:
            log.info("the store can be written again after %d failures", self._disk_failures)
            self._disk_failures = 0
        if arrivals:
            self._mark("committed")
        self._commands.heard(a.message for a in arrivals)
        self.receiver.done(arrivals)
        self._finish_batch()
        return True

    def _finish_batch(self) -> None:
        """After the acknowledgements: receipts, and whoever waits for new rows."""
        due, self._due = self._due, {}
        if due:
            self._mark("acknowledged")
        self._receipts.due(due)

    def _set_aside(self, arrivals: list[Arrival], why: Exception) -> None:
        """One message that the database refuses alone: a dead letter, so that it is not met again for ever."""
        log.error("a message is refused by the database (%s): dead letter", why)
        try:
            self._write(unstorable([a.message for a in arrivals], self._memory, self._rules()))
        except REFUSALS as e:
            # Not even as a letter of its own: keep that it was there, and what it was by its digest.
            log.error("nor as a dead letter (%s): its digest is kept", e)
            work = Work(self._memory, self._rules())
            for message in (a.message for a in arrivals):
                digest = hashlib.sha256(message.payload).hexdigest().encode()
                bare = Message(ascii(message.topic), digest, message.received_ms)
                work.letters.append(pipeline.letter(bare, "", "", RejectCode.UNSTORABLE, "digest of the payload"))
            self._write(work)
        self.receiver.done(arrivals)
        self._finish_batch()

    def _commit(self, messages: list[Message]) -> None:
        work = Work(self._memory, self._rules())
        for message in messages:
            work.take(message)
        if time.monotonic() - self._ticked >= TICK_S:
            work.tick()
            self._conditions(work)
            self._ticked = time.monotonic()
        self._write(work)

    def _conditions(self, work: Work) -> None:
        """The bridge's own conditions, as they are now."""
        work.notice(NoticeCode.BRIDGE_CLOCK, work.rules.future_ms is None)
        connected_s = self.receiver.connected_for_s()
        work.notice(NoticeCode.NO_BROKER, connected_s is None)
        for code, on in self.room.conditions().items():
            work.notice(code, on)
        if self._drain:
            why = self._drain.failing
            work.notice(NoticeCode.INFLUX_WAITS, why is not None, detail=why or "")
        self._outlets.conditions(work)
        for code, media in zip(
            (NoticeCode.QUOTA_LOW, NoticeCode.QUOTA_SPENT), self._deliverers.spending.look(), strict=True
        ):
            work.notice(code, bool(media), detail=media)
        if connected_s is None or not self._memory.ledgers:
            return
        unheard_s = self.receiver.unheard_for_s()
        if NO_DATA not in self._memory.notices:
            unheard_s = min(unheard_s, connected_s)
        work.notice(NoticeCode.NO_DATA, unheard_s >= NO_DATA_S)

    def _write(self, work: Work) -> None:
        """One transaction; memory follows only after COMMIT returned."""
        with self._inbox.lock:
            outcomes, letters = self._inbox.outcomes.copy(), self._inbox.letters.copy()
            verdicts = self._inbox.verdicts.copy()
            work.cursors = self._inbox.cursors | work.cursors
        work.report(outcomes)
        work.letters += letters
        work.verdicts += verdicts
        if work.empty():
            work.alerts.causes.swap_in()  # what was looked at; nothing of it can be refused
            self._due |= work.due
            return
        self._mark("taken")
        begun = time.monotonic()
        self._store.commit(work)
        with self._inbox.lock:
            del self._inbox.outcomes[: len(outcomes)], self._inbox.letters[: len(letters)]
            del self._inbox.verdicts[: len(verdicts)]
            for name, position in work.cursors.items():
                if self._inbox.cursors.get(name) == position:
                    del self._inbox.cursors[name]
        work.swap_in()
        self.room.committed(len(work.observations))
        self.vitals.committed(work, time.monotonic() - begun, work.messages)
        for device, live in work.due.items():
            self._due[device] = live or self._due.get(device, False)
        self._told.committed(work)
        if self._memory.notices.get(NO_DATA) in work.notices.values():
            self.receiver.reconnect()  # it begins: a lost subscription looks like this
        self._deliverers.wake({x.recipient for x in work.owed})
        if work.cap.chains:
            self._outlets.documents()
        if work.observations and self._drain:
            self._drain.wake()

    def _write_inbox(self) -> None:
        """At the end: what was sent or drained since the last batch."""
        try:
            self._write(Work(self._memory, self._rules()))
        except sqlite3.Error as e:
            log.error("the last outcomes could not be stored (%s); they will be repeated", e)

    def _rules(self) -> Rules:
        """The future is judged only while our own clock is believed: synchronised, and not behind our last commit."""
        own_ms, up_ms = self._clock.now_ms(), self._clock.uptime_ms()
        synced = self._bridge.trust_clock == "always" or self._clock.sync_state() is not ClockState.UNSYNCED
        tolerance_ms = round(self._bridge.future_tolerance_s * 1000)
        witnessed = timekeeping.witnessed_ms(self._memory.witnesses, up_ms)
        t = timekeeping.judge(own_ms, up_ms, synced, self._memory.last_commit_ms, witnessed, tolerance_ms)
        steady_ms = round(time.monotonic() * 1000)
        return rules_at(self._registry, self._bridge, t, self.receiver.listening_since_ms, steady_ms)

    # --- called by other threads -----------------------------------------------------------------------------

    def _publish_status(self, word: bytes) -> None:
        self.receiver.live.publish(wire.BRIDGE_STATUS, word, retain=True)

    def _position(self) -> int | None:
        return self._drain.position if self._drain else None

    def _believed(self) -> bool:
        return self._rules().future_ms is not None

    def _beat(self, loop: str, within_s: float) -> None:
        self.vitals.pulse.beat(loop, within_s)

    def _command(self, topic: str, payload: bytes) -> bool:
        return self._place.lost_to is None and self.receiver.live.publish(topic, payload) is not None

    def _publish_receipt(self, topic: str, payload: bytes) -> bool:
        if self._place.lost_to is not None:
            return False
        self._mark("receipt")
        return self.receiver.live.publish(topic, payload, retain=True) is not None

    def _report(self, outcome: Outcome) -> None:
        self._mark("sent")
        with self._inbox.lock:
            self._inbox.outcomes.append(outcome)
        self.receiver.wake()

    def _rewind(self, position: int) -> None:
        """The cursor was put back: what the drain says of where it was no longer counts."""
        if self._drain:
            self._drain.rewind(position)
        with self._inbox.lock:
            self._inbox.cursors.pop(influx.CURSOR, None)

    def _resent(self, verdicts: list[Verdict]) -> None:
        with self._inbox.lock:
            self._inbox.verdicts += verdicts
        self.receiver.wake()

    def _drained(self, cursor: str, position: int, letters: list[DeadLetter]) -> None:
        with self._inbox.lock:
            self._inbox.cursors[cursor] = position
            self._inbox.letters += letters
        self.receiver.wake()

    def summary(self) -> str:
        """Samples since the start, for the log."""
        return ", ".join(f"{count} {name}" for name, count in sorted(self.counts.items())) or "none"
