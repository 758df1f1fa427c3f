"""One device, a forgetful broker and a bridge, all of it real but the network: Spool, Uplink, Work, Store and ledger on
SQLite files, and between them a broker that acknowledges everything and keeps what it likes. Every fault is a method;
`tests/test_receipts_property.py` throws them at random, as receipts_model.py does.
"""

from __future__ import annotations

import os
import random
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway import settings, storefile, wire
from gateway.bridge.ledger import DeviceLedger
from gateway.bridge.store import Store
from gateway.bridge.work import Rules, Work
from gateway.disk import DISK, Disk
from gateway.edge.spool import Spool
from gateway.edge.uplink import Uplink
from gateway.model import ClockState, Message, Reading
from gateway.ranges import RangeSet
from tests import world
from tests.crash.power import Losing
from tests.transport import FakeTransport, Published

DEVICE = (world.TENANT, world.DEVICE)
CHANNEL = "battery_voltage"  # no thresholds: alerts are not the matter here
REGISTRY = world.registry(world.station(channels=[world.channel(CHANNEL)]))
RECEIPT = wire.topic(*DEVICE, "receipt")
STATEMENT = wire.topic(*DEVICE, "spool")
PAGE = 512  # small, so that a few dozen rows fill a card
SCHEMA_BYTES = 7 * PAGE
RECLAIM_ROWS = 3
HELD = "SELECT l.log, s.seq FROM samples s JOIN logs l ON l.id = s.log_id"
SETTLED = "SELECT l.log, r.kind, r.a, r.b FROM ranges r JOIN logs l ON l.id = r.log_id"

Key = tuple[str, int]


def fast(db: sqlite3.Connection) -> None:
    """No power cuts here: what was written need not reach the disk."""
    db.execute("PRAGMA synchronous = OFF")


def disk_of(power: Losing | None) -> Disk:
    """One whose power may be cut, or the real one."""
    return power.disk if power else DISK


@dataclass
class Broker:
    """Acknowledges whatever it is given. Beyond `limit` waiting messages it drops the newest in silence."""

    rng: random.Random
    limit: float = 6
    live: list[Published] = field(default_factory=list)  # two sessions of the bridge: one may overtake the other
    backlog: list[Published] = field(default_factory=list)
    retained: dict[str, bytes] = field(default_factory=dict)
    device: FakeTransport | None = None
    to_device: list[tuple[str, bytes, bool]] = field(default_factory=list)
    unacknowledged: dict[int, Published] = field(default_factory=dict)

    def collect(self) -> None:
        """Take what the device published."""
        assert self.device is not None
        for m in self.device.take():
            self.unacknowledged[m.mid] = m
            self._enqueue(m)

    def _enqueue(self, m: Published) -> None:
        if m.retain:
            self.retained[m.topic] = m.payload
        queue = self.backlog if m.kind == "backlog" else self.live
        if len(queue) < self.limit:
            queue.append(m)

    def from_bridge(self, topic: str, payload: bytes) -> None:
        self.retained[topic] = payload
        if self.device is not None and self.device.connected.is_set():
            self.to_device.append((topic, payload, False))

    def connect(self, device: FakeTransport) -> None:
        """A clean session: what waited for the last one is gone, acknowledgements too; what is retained comes."""
        self.unacknowledged.clear()
        self.device = device
        self.to_device = [(t, p, True) for t, p in self.retained.items() if t in device.subscribed]
        self.rng.shuffle(self.to_device)
        device.up()

    def disconnect(self) -> None:
        assert self.device is not None
        self.device.down()

    def deliver(self, share: float = 1.0) -> None:
        """Give the device acknowledgements and messages: all, or only some of those that wait first."""
        assert self.device is not None
        if not self.device.connected.is_set():
            return
        for mid in list(self.unacknowledged)[: round(share * len(self.unacknowledged))]:
            del self.unacknowledged[mid]
            self.device.puback(mid)
        n = round(share * len(self.to_device))
        first, self.to_device[:n] = self.to_device[:n], []
        for message in first:
            self.device.deliver(*message)

    def forget_queued(self) -> None:
        for queue in (self.live, self.backlog, self.to_device):
            queue[:] = [m for m in queue if self.rng.random() < 0.5]

    def forget_retained(self) -> None:
        for topic in (RECEIPT, STATEMENT):
            if self.rng.random() < 0.5:
                self.retained.pop(topic, None)


class Bridge:
    """The service's loop in slow motion: take, commit, acknowledge, receipt, each when the test says so."""

    def __init__(self, folder: Path, broker: Broker, ranges: int, power: Losing | None = None) -> None:
        self._path, self._broker, self._ranges = folder / "store.db", broker, ranges
        self._settings = world.bridge(self._path)
        self._power = power
        self._backup = folder / "backup.db"
        self.store: Store | None = None
        self.lost: set[Key] = set()  # what only a store had that was replaced
        self.up()

    def up(self) -> None:
        """Start where it is down; connect anew in any case."""
        if self.store is None:
            self.store = Store(self._path, disk=disk_of(self._power))
            if not self._power:
                fast(self.store._db)
            self.memory = self.store.load()
            self.due: set[tuple[str, str]] = set()
        if STATEMENT in self._broker.retained:
            self._broker.live.append(Published(0, STATEMENT, self._broker.retained[STATEMENT], True))
        self._announce("online")

    def die(self) -> None:
        """Without a farewell: the broker publishes the will."""
        if self.store is not None:
            self.store.close()
            self.store = None
            self._announce("offline")

    def _announce(self, state: str) -> None:
        status = wire.encode(wire.BridgeStatus(state, self.memory.store))
        self._broker.from_bridge(wire.BRIDGE_STATUS, status)

    def ledger(self) -> DeviceLedger:
        return self.memory.ledgers.get(DEVICE) or DeviceLedger()

    def take(self, now_ms: int, fails: bool = False, killed: bool = False) -> None:
        """A batch of at most four messages of one session. `fails`: the disk refuses. `killed`: after the commit."""
        broker = self._broker
        if self.store is None:
            return
        queue = broker.rng.choice([q for q in (broker.live, broker.backlog) if q] or [broker.live])
        batch = queue[:4]
        work = Work(self.memory, Rules(REGISTRY, self._settings, now_ms, None, None))
        for m in batch:
            work.take(Message(m.topic, m.payload, now_ms, m.retain))
        if fails and not work.empty():
            self._refused(work)
            return
        if not work.empty():
            self.store.commit(work)
        if killed:
            self.die()
            return
        work.swap_in()
        self.due |= work.due.keys()
        del queue[:4]

    def _refused(self, work: Work) -> None:
        assert self.store is not None
        self.store._db.execute("PRAGMA query_only = ON")
        try:
            self.store.commit(work)
        except sqlite3.OperationalError:
            pass
        else:
            raise AssertionError("a read-only file took a commit")
        finally:
            self.store._db.execute("PRAGMA query_only = OFF")

    def receipt(self) -> None:
        """Where one is due: the word on what is committed, never more than stands on the disk."""
        if self.store is None or DEVICE not in self.due:
            return
        self.due.clear()
        receipt = self.ledger().receipt(self.memory.store, self._ranges)
        if receipt is None:
            return
        disk: dict[str, RangeSet] = {}
        for log, _, a, b in self.store._db.execute(SETTLED):
            disk.setdefault(log, RangeSet()).add(a, b)
        for entry in receipt.logs:
            assert len(entry.settled) <= self._ranges, "I4: the receipt is not bounded"
            for a, b in [(1, entry.through), *entry.settled]:
                missing = disk.get(entry.log, RangeSet()).missing(a, b)
                assert not missing, f"the receipt promises what no disk holds: {entry.log} {missing}"
        self._broker.from_bridge(RECEIPT, wire.encode(receipt))

    def has(self, key: Key) -> bool:
        """Stored or rejected."""
        return self.ledger().arrived(*key)

    def backup(self) -> None:
        self._backup.unlink(missing_ok=True)
        storefile.backup(self._path, self._backup, disk_of(self._power))

    def restore(self) -> None:
        """The store of the last backup comes back, under a name of its own."""
        former = {(log, n) for log, kind, n in self.numbers() if kind in ("stored", "rejected")}
        self.die()
        kept = storefile.restore(self._backup, self._path, disk_of(self._power))
        assert kept is not None
        for part in kept.parent.glob(kept.name + "*"):
            disk_of(self._power).remove(part)
        self.lost |= former
        self.up()

    def power_cut(self) -> None:
        """What was committed is there afterwards, and that is what receipts were read from."""
        if self.store is None or self._power is None:
            return
        before = set(self.numbers())
        self._power.cut(self._broker.rng, self.die)
        self.up()
        assert set(self.numbers()) == before, "the ledger is not what it was before the power was cut"

    def rows(self, sql: str) -> list[Any]:
        return storefile.rows(self._path, sql, (), disk_of(self._power))

    def numbers(self) -> Iterator[tuple[str, str, int]]:
        """(log, kind, number) of everything the ledger knows, from the file."""
        for log, kind, a, b in self.rows(SETTLED):
            yield from ((log, kind, n) for n in range(a, b + 1))


class Device:
    """Spool and uplink without the agent's threads. A reading is a number; `truth` is what the sensor gave."""

    def __init__(
        self, folder: Path, broker: Broker, bridge: Bridge, rng: random.Random, pages: int, power: Losing | None = None
    ) -> None:
        self.path, self._power = folder / "spool.db", power
        self._broker, self._bridge, self._rng = broker, bridge, rng
        self._edge = settings.Edge(
            *DEVICE, settings.Broker(), settings.Spool(self.path), {}, (), pack_samples=4, window_packs=2
        )
        self.now, self.ms, self.max_bytes = 1000.0, world.T0, SCHEMA_BYTES + pages * PAGE
        self.truth: dict[Key, int] = {}
        self.bad: set[Key] = set()
        self.killed: set[Key] = set()  # in no spool when the power went
        self.thinned: set[Key] = set()  # given up for want of space, and declared
        self.overwritten: set[Key] = set()  # on a card that an older image replaced
        self.reclaimed: set[Key] = set()  # given away as settled
        with sqlite3.connect(self.path) as db:
            db.execute(f"PRAGMA page_size = {PAGE}")
            db.execute("VACUUM")
        db.close()
        self.open()

    def open(self) -> None:
        self.spool = Spool(self.path, self.max_bytes, self.ms, RECLAIM_ROWS, block_rows=2, disk=disk_of(self._power))
        if not self._power:
            fast(self.spool._db)
        self.uplink = Uplink(
            self._edge, self.spool, b"{}", lambda s, r: b'{"state":"x"}', FakeTransport, lambda: self.now
        )
        assert isinstance(self.uplink.session, FakeTransport)
        self.transport = self.uplink.session
        self._broker.connect(self.transport)

    def sample(self) -> None:
        self.ms += 1000
        value = len(self.truth) + 1
        bad = self._rng.random() < 0.05
        reading = Reading(world.STATION, "no_such_channel" if bad else CHANNEL, "V", float(value))
        sample = self.spool.append(self.ms, ClockState.SYNCED, [reading])
        key = (sample.log, sample.seq)
        assert key not in self.truth, f"I1: {key} stands for two readings"
        self.truth[key] = value
        if bad:
            self.bad.add(key)
        if self._rng.random() < 0.8:
            self.uplink.live(sample)  # possibly before its commit
            self._broker.collect()

    def turn(self, seconds: float) -> None:
        self.now += seconds
        self.uplink.step()
        self._broker.collect()

    def held(self) -> set[Key]:
        return set(self.spool._db.execute(HELD))

    def pending(self) -> set[Key]:
        return {(s.log, s.seq) for s in self.spool._pending}

    def commit(self, fails: bool = False) -> None:
        """What leaves the card was settled by the store that the device knows, or is declared."""
        if fails and self.pending():
            self._refused()
            return
        before, pending = self.held(), self.pending()
        settled = {key for key in before if self.spool.is_settled(*key)}
        self.spool.commit()
        left = before - self.held()
        assert pending <= self.held()
        for key in left & settled:
            known = self.uplink._store == self._bridge.memory.store
            assert self._bridge.has(key) or not known, f"I5: given away, not at the bridge: {key}"
        declared = {e.log: RangeSet((a, b) for a, b, _ in e.gone) for e in self.spool.statement().logs}
        for log, seq in left - settled:
            assert seq in declared[log], f"given up and not declared: {log} {seq}"
        self.thinned |= left - settled
        self.reclaimed |= left & settled

    def _refused(self) -> None:
        """The card refuses; the samples stay in memory and keep their numbers."""
        before = self.held(), self.pending()
        self.spool._db.execute("PRAGMA query_only = ON")
        try:
            self.spool.commit()
        except sqlite3.OperationalError:
            pass
        else:
            raise AssertionError("a read-only card took a commit")
        finally:
            self.spool._db.execute("PRAGMA query_only = OFF")
        assert (self.held(), self.pending()) == before

    def kill(self) -> None:
        """What was not committed is lost."""
        self.killed |= self.pending()
        self._power_off()
        self.open()

    def power_cut(self) -> None:
        """What was committed and not given away is on the card afterwards, and nothing else."""
        if self._power is None:
            return
        before = self.held()
        self.killed |= self.pending()
        self._power.cut(self._rng, self._power_off)
        self.open()
        assert self.held() == before, "the card is not what it was before the power was cut"

    def _power_off(self) -> None:
        self.spool._db.close()
        os.close(self.spool._file_lock)

    def image(self) -> dict[str, bytes]:
        """The card's files as they are now, uncommitted log and all."""
        parts = {suffix: self.path.with_name(self.path.name + suffix) for suffix in ("", "-wal")}
        return {suffix: part.read_bytes() for suffix, part in parts.items() if part.exists()}

    def put_back(self, image: dict[str, bytes]) -> None:
        self.overwritten |= self.held() | self.pending()
        self._power_off()
        for part in self.path.parent.glob(self.path.name + "-*"):
            part.unlink()
        for suffix, content in image.items():
            self.path.with_name(self.path.name + suffix).write_bytes(content)
        if self._power:
            self._power.begin()
        self.open()

    def restart_with(self, pages: int) -> None:
        """Another ceiling."""
        self.max_bytes = SCHEMA_BYTES + pages * PAGE
        self.kill()
