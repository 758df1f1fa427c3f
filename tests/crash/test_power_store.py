"""Power cuts of the bridge: after each the store is what it was after some commit, and never less than was promised:
acknowledged, told in a receipt, or backed up.
"""

from __future__ import annotations

import contextlib
import random
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway import journalfile, restoring, settings, storefile, wire
from gateway.bridge import prune
from gateway.bridge.notify import Outcome
from gateway.bridge.receiver import Arrival
from gateway.bridge.service import Service
from gateway.bridge.store import Store
from gateway.clock import SystemClock
from gateway.disk import DISK, Disk
from gateway.mqtt import Delivery
from gateway.ranges import RangeSet
from tests import world
from tests.crash.power import CUTS, SEEDS, Powered
from tests.world import DEVICE, LOG, STATION, T0, TENANT

ROUNDS = 2
DEV = (TENANT, DEVICE)
DUTY = settings.Recipient("duty", "console")

Dump = dict[str, list[tuple[Any, ...]]]


def dump(db: sqlite3.Connection) -> Dump:
    """Every row of every table, the counters of ids among them."""
    tables = [name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()]
    return {table: sorted(db.execute(f"SELECT * FROM {table}").fetchall(), key=repr) for table in tables}


def content(path: Path) -> Dump:
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        assert db.execute("PRAGMA quick_check").fetchone() == ("ok",)
        return dump(db)
    finally:
        db.close()


@contextlib.contextmanager
def opened(path: Path, disk: Disk = DISK) -> Iterator[Store]:
    store = Store(path, disk=disk)
    try:
        yield store
    finally:
        store.close()


def reopened(path: Path) -> Dump:
    """What the bridge finds when it starts again."""
    with opened(path) as store:
        store.load()
        assert isinstance(journalfile.verify(path), tuple)
        return dump(store._db)


class Life:
    """A store, every state that it committed, and every receipt that was given."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.rng = random.Random(seed)
        self.power = Powered(folder)
        self.path = folder / "store.db"
        self.settings = world.bridge(self.path, recipients=(DUTY,), cap=settings.Cap(folder / "cap", "a.sender"))
        self.seq, self.now_ms = 0, T0
        self.begin(None)

    def begin(self, state: Dump | None) -> None:
        self.power.begin()
        self.states: list[tuple[int, Dump]] = [(0, state)] if state else []
        self.receipts: list[tuple[int, wire.Receipt]] = []

    def live(self, batches: int) -> None:
        store = Store(self.path, disk=self.power.disk)
        self.memory = store.load()
        self.states.append((self.power.now(), dump(store._db)))
        for _ in range(batches):
            self.rng.choices((self.batch, self.prune), (9, 1))[0](store)
            self.states.append((self.power.now(), dump(store._db)))
            receipt = self.memory.ledgers[DEV].receipt(self.memory.store) if DEV in self.memory.ledgers else None
            if receipt:
                self.receipts.append((self.power.now(), receipt))
        self.power.off()
        store.close()

    def batch(self, store: Store) -> None:
        """Some of everything: samples that alarm, faults of the wire, statements, births, outcomes, a cursor."""
        rng = self.rng
        self.now_ms += 60_000
        work = world.work(self.memory, self.settings, self.now_ms, subscribed=True)
        for _ in range(rng.randrange(1, 5)):
            self.seq += rng.choice((1, 1, 1, 2))
            level = rng.choice((1.0, 2.1, 2.6, 3.1, 99.0))
            at_ms = self.now_ms + self.seq
            station = rng.choice((STATION, STATION, STATION, "nowhere"))
            work.take(world.message(world.pack(world.sample(self.seq, level, at_ms, station=station)), at_ms=at_ms))
        if rng.random() < 0.4:
            work.take(world.message(world.statement(rng.randrange(1, self.seq + 1), self.seq + 1), "spool"))
        if rng.random() < 0.2:
            work.take(world.message(b"no pack", rng.choice(("data", "birth"))))
        if rng.random() < 0.5:
            work.tick()
        if rng.random() < 0.4:
            work.cursors["influx"] = self.seq
        for (i,) in store._db.execute("SELECT id FROM outbox WHERE state = 'owed'").fetchall():
            if rng.random() < 0.5:
                work.jobs.append(Outcome(i, "sent", 1))
        store.commit(work)
        work.swap_in()

    def prune(self, store: Store) -> None:
        prune.oldest(store._db, self.seq, None, self.rng.randrange(1, 5))

    def check(self, at: int) -> Dump:
        """The state is that of the last commit that returned, or of the one under way."""
        found = reopened(self.path)
        before = [n for n, (when, _) in enumerate(self.states) if when <= at]
        if before:
            possible = [state for _, state in self.states[before[-1] : before[-1] + 2]]
            assert found in possible, f"not a state that was committed: {differences(found, possible)}"
        with opened(self.path) as store:
            memory = store.load()
        for when, receipt in self.receipts:
            if when <= at:
                assert receipt.store == memory.store
                for entry in receipt.logs:
                    settled = memory.ledgers[DEV].logs[entry.log].settled
                    assert all(not settled.missing(a, b) for a, b in [(1, entry.through), *entry.settled])
        return found


def differences(found: Dump, possible: list[Dump]) -> list[str]:
    return [table for table in found if all(found[table] != state.get(table) for state in possible)]


@pytest.mark.parametrize("seed", range(SEEDS))
def test_the_store_is_what_a_commit_left_after_any_power_cut(tmp_path: Path, seed: int) -> None:
    """A batch is there whole or not at all, every batch whose commit returned is there, with its alerts, its outbox,
    its ledger and its counters of ids; and no receipt said more than the store says afterwards."""
    life = Life(tmp_path / "bridge", seed)
    for _ in range(ROUNDS):
        life.live(batches=12)
        for at in life.power.cuts(life.rng, max(1, CUTS // SEEDS // ROUNDS)):
            found = life.check(at)
        life.power.lay_out()
        life.begin(found)


# --- the service: what was acknowledged -------------------------------------------------------------------------------


class Acknowledged:
    """Stands where the MQTT session of a delivery does; an acknowledgement is a promise from this moment on."""

    def __init__(self, power: Powered) -> None:
        self._power, self.at = power, dict[int, int]()

    def ack(self, delivery: Delivery) -> None:
        self.at.setdefault(delivery.mid, self._power.now())


@pytest.mark.parametrize("seed", range(max(4, SEEDS // 2)))
def test_what_the_bridge_acknowledged_survives_any_power_cut(tmp_path: Path, seed: int) -> None:
    """A broker forgets what was acknowledged: at that moment it stands in the store, accepted or as a dead letter."""
    rng = random.Random(seed)
    power = Powered(tmp_path / "bridge")
    path = power.folder / "store.db"
    service = Service(world.bridge(path), world.registry(), SystemClock(), disk=power.disk)
    acks = Acknowledged(power)
    for first in range(1, 40, 4):
        batch = []
        for mid in range(first, first + 4):
            payload = world.pack(world.sample(mid, 1.0, station=rng.choice((STATION, "nowhere"))))
            batch.append(Arrival(world.message(payload), Delivery("", payload, False, mid, 1, 1), acks))  # type: ignore[arg-type]
        assert service._settle(batch)
    power.off()
    service._store.close()
    assert len(acks.at) == 40
    for at in power.cuts(rng, max(1, CUTS // SEEDS)):
        with opened(path) as store:
            ledger = store.load().ledgers.get(DEV)
        settled = ledger.logs[LOG].settled if ledger else RangeSet()
        assert {mid for mid, when in acks.at.items() if when <= at} <= {n for a, b in settled for n in range(a, b + 1)}


# --- migrations, backup, restore --------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_a_power_cut_while_a_store_of_version_1_is_taken_over_costs_nothing(tmp_path: Path, seed: int) -> None:
    """Its rows are there, whatever part of the migration reached the disk, and the next start ends it."""
    rng, power = random.Random(seed), Powered(tmp_path / "bridge")
    path = power.folder / "store.db"
    with sqlite3.connect(path, isolation_level=None) as db:
        db.executescript(f"PRAGMA journal_mode = WAL; {storefile.SCHEMA} PRAGMA user_version = 1;")
        db.execute("INSERT INTO meta VALUES ('store', 'the name')")
        db.execute("INSERT INTO channels VALUES (1, 't', 's', 'water_level', 'water_level')")
        db.executemany("INSERT INTO observations VALUES (?,1,?,?,NULL,NULL,0,1.0,1.0,1,NULL,NULL,NULL,'d')",
                       [(n, T0 + n, T0) for n in range(1, 200)])  # fmt: skip
    db.close()
    power.begin()
    store = Store(path, disk=power.disk)
    power.off()
    after = dump(store._db)
    store.close()
    for _ in power.cuts(rng, CUTS // 8):
        assert reopened(path) == after


@pytest.fixture
def filled(tmp_path: Path) -> tuple[Powered, Path, Dump]:
    """A store with a day in it, and a backup of an earlier state beside it."""
    life = Life(tmp_path / "bridge", 1)
    life.live(batches=3)
    storefile.backup(life.path, tmp_path / "earlier.db")
    life.begin(None)
    life.live(batches=6)
    return life.power, life.path, content(life.path)


def exhaustive(power: Powered, rng: random.Random, check: Callable[[int], None]) -> None:
    for at in power.cuts(rng, CUTS // 2):
        check(at)


def test_a_backup_that_was_said_to_be_written_survives_any_power_cut(
    filled: tuple[Powered, Path, Dump], tmp_path: Path
) -> None:
    """From the moment on that the command ended; the store itself is untouched in any case."""
    power, store, state = filled
    power.begin()
    target = power.folder / "backup.db"
    storefile.backup(store, target, power.disk)
    done = power.now()

    def check(at: int) -> None:
        assert content(store) == state
        if at >= done:
            assert content(target) == state

    exhaustive(power, random.Random(1), check)
    for seed in range(20):
        power.cut_at(done, random.Random(seed))
        check(done)


@pytest.mark.parametrize("damage", [False, True])
def test_a_power_cut_while_a_backup_is_restored_leaves_the_one_or_the_other(
    filled: tuple[Powered, Path, Dump], tmp_path: Path, damage: bool
) -> None:
    """The store is the former one or the backup under a new name, whole, and there at every moment; the former one,
    damaged or not, is never lost; and after the command returned it is the backup."""
    power, store, state = filled
    if damage:
        store.write_bytes(store.read_bytes()[:5000])
    former = store.read_bytes()
    earlier = content(tmp_path / "earlier.db")
    power.begin()
    kept = storefile.restore(tmp_path / "earlier.db", store, power.disk)
    done = power.now()
    assert kept is not None

    def is_earlier(found: Dump) -> bool:
        return found["meta"] != earlier["meta"] and found | {"meta": []} == earlier | {"meta": []}

    def check(at: int) -> None:
        if at >= done or not damage or store.read_bytes() != former:
            found = content(store)
            assert is_earlier(found) or (found == state and at < done)
        if damage:
            assert former in [path.read_bytes() for path in power.files()]
        else:
            assert state in [content(path) for path in (store, kept) if path.exists()]

    exhaustive(power, random.Random(1), check)
    for seed in range(20):
        power.cut_at(done, random.Random(seed))
        check(done)


def test_a_power_cut_while_a_backup_is_restored_leaves_a_whole_journal(
    filled: tuple[Powered, Path, Dump], tmp_path: Path
) -> None:
    """At every moment the journal has each row of the former store, in one chain; afterwards also that it was
    restored, and every CAP document."""
    power, store, state = filled
    rows = len(state["journal"])
    assert rows > len(content(tmp_path / "earlier.db")["journal"])
    assert state["cap"]
    power.begin()
    storefile.restore(
        tmp_path / "earlier.db", store, power.disk, finish=lambda db: restoring.finish(db, store, T0, power.disk)
    )
    done = power.now()

    def check(at: int) -> None:
        found = journalfile.verify(store)
        assert isinstance(found, tuple)
        assert found[1] in ((rows + 1,) if at >= done else (rows, rows + 1))
        assert len(content(store)["cap"]) == len(state["cap"])

    exhaustive(power, random.Random(1), check)


def test_a_restore_after_one_that_was_cut_is_not_spoiled_by_its_remains(
    filled: tuple[Powered, Path, Dump], tmp_path: Path
) -> None:
    """The journal of a half-made file must not be played back into the next one."""
    power, store, _ = filled
    power.begin()
    storefile.restore(tmp_path / "earlier.db", store, power.disk)
    power.off()
    earlier = content(tmp_path / "earlier.db")
    for _ in power.cuts(random.Random(2), CUTS // 4):
        storefile.restore(tmp_path / "earlier.db", store)
        assert content(store) | {"meta": []} == earlier | {"meta": []}
