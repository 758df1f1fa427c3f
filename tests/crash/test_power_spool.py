"""Power cuts of the device: after each the spool opens, holds what was committed, and invents nothing."""

from __future__ import annotations

import os
import random
import sqlite3
from pathlib import Path

import pytest

from gateway import wire
from gateway.edge.spool import Spool
from gateway.errors import GoneReason
from gateway.model import ClockState, Reading
from gateway.ranges import RangeSet
from tests.crash.power import CUTS, SEEDS, Powered
from tests.forgetful import HELD, PAGE, RECLAIM_ROWS, SCHEMA_BYTES, Key
from tests.world import STATION, T0

ROUNDS = 3  # lives one after the other, each on what the last cut left

# Version 1 of the spool, released as 0.1.0: as it was written then, whatever the code makes today.
VERSION_1 = """
PRAGMA journal_mode = WAL;
CREATE TABLE logs (id INTEGER PRIMARY KEY AUTOINCREMENT, log TEXT NOT NULL UNIQUE, opened_ms INTEGER NOT NULL);
CREATE TABLE samples (
  log_id INTEGER NOT NULL, seq INTEGER NOT NULL, observed_ms INTEGER NOT NULL, clk TEXT NOT NULL,
  body TEXT NOT NULL, PRIMARY KEY (log_id, seq)) WITHOUT ROWID;
CREATE TABLE gone (log_id INTEGER NOT NULL, a INTEGER NOT NULL, b INTEGER NOT NULL, reason TEXT NOT NULL,
  PRIMARY KEY (log_id, a)) WITHOUT ROWID;
INSERT INTO logs VALUES (7, 'aaaaaaaaaaaa', 1), (9, 'bbbbbbbbbbbb', 2);
INSERT INTO gone VALUES (7, 1, 3, 'no_space');
PRAGMA user_version = 1;
"""
BODY_1 = '[["kasuga-bridge","water_level","m",{},null]]'


class Life:
    """A spool and its promises: what a commit returned for, what was declared gone, which logs there were."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.rng = random.Random(seed)
        self.power = Powered(folder)
        self.path = folder / "spool.db"
        self.max_bytes = SCHEMA_BYTES + self.rng.randrange(4, 40) * PAGE
        self.truth: dict[Key, float] = {}
        self.logs: set[str] = set()
        with sqlite3.connect(self.path) as db:
            db.execute(f"PRAGMA page_size = {PAGE}")
            db.execute("VACUUM")
        db.close()
        self.begin(set(), set())

    def begin(self, held: set[Key], gone: set[Key]) -> None:
        """What the card holds now is promised; nothing is settled before a receipt says so."""
        self.promised: list[tuple[int, set[Key]]] = [(0, held)]
        self.declared: list[tuple[int, set[Key]]] = [(0, gone)]
        self.settled: set[Key] = set()
        self.power.begin()

    # --- living --------------------------------------------------------------------------------------------------

    def open(self, disk: bool = True) -> Spool:
        more = {"disk": self.power.disk} if disk else {}
        spool = Spool(self.path, self.max_bytes, T0, RECLAIM_ROWS, **more)
        assert spool.opening not in self.logs, "a log was used twice"
        self.logs.add(spool.opening)
        return spool

    def live(self, steps: int) -> None:
        spool = self.open()
        for _ in range(steps):
            x = self.rng.random()
            if x < 0.55:
                self.append(spool)
            elif x < 0.80:
                self.commit(spool)
            elif x < 0.92:
                self.settle(spool)
            elif x < 0.95:
                spool.unsettle()
            elif x < 0.97:
                self.commit(spool)
                spool.close()
                spool = self.open()
        self.power.off()
        spool._db.close()
        os.close(spool._file_lock)

    def append(self, spool: Spool) -> None:
        for _ in range(self.rng.randrange(1, 6)):
            value = float(len(self.truth))
            sample = spool.append(
                T0 + len(self.truth), ClockState.SYNCED, [Reading(STATION, "water_level", "m", value)]
            )
            self.truth[(sample.log, sample.seq)] = value

    def commit(self, spool: Spool) -> None:
        pending = {(s.log, s.seq) for s in spool._pending}
        spool.commit()
        self.promised.append((self.power.now(), pending))
        gone = {(e.log, n) for e in spool.statement().logs for a, b, _ in e.gone for n in range(a, b + 1)}
        self.declared.append((self.power.now(), gone))

    def settle(self, spool: Spool) -> None:
        """A receipt for some of what the card holds."""
        logs = []
        for entry in spool.statement().logs:
            if entry.next > entry.oldest:
                through = self.rng.randrange(entry.next)
                a = self.rng.randrange(entry.oldest, entry.next)
                logs.append(wire.ReceiptLog(entry.log, through, [(a, min(a + 3, entry.next - 1))]))
                numbers = {*range(1, through + 1), *range(a, min(a + 4, entry.next))}
                self.settled |= {(entry.log, n) for n in numbers}
        spool.settle(wire.Receipt("a store", spool.opening, logs))

    # --- after a cut ---------------------------------------------------------------------------------------------

    def check(self, at: int) -> tuple[set[Key], set[Key]]:
        """What is held and what is declared gone."""
        spool = self.open(disk=False)
        said = spool.statement()
        held = set(spool._db.execute(HELD))
        values = {
            (s.log, s.seq): s.readings[0].value for log in spool.logs() for s in spool.unsettled(log, 10**6, RangeSet())
        }
        spool.close()
        assert not list(self.path.parent.glob("*damaged*")), "a power cut made a sound spool look damaged"
        assert values.keys() == held
        for key, value in values.items():
            assert self.truth.get(key) == value, f"{key} was never sampled"
        gone = {(e.log, n): why for e in said.logs for a, b, why in e.gone for n in range(a, b + 1)}
        promised = {key for when, keys in self.promised if when <= at for key in keys}
        lost = promised - held - self.settled - gone.keys()
        assert not lost, f"committed, not settled, neither held nor declared gone: {sorted(lost)[:5]}"
        assert set(gone.values()) <= {GoneReason.NO_SPACE, GoneReason.LOG_LIMIT}
        assert not gone.keys() & held, "declared gone and still held"
        forgotten = {key for when, keys in self.declared if when <= at for key in keys} - gone.keys()
        assert not forgotten, f"a loss that was declared is declared no more: {sorted(forgotten)[:5]}"
        for entry in said.logs:
            numbers = [n for log, n in held if log == entry.log]
            assert all(entry.oldest <= n < entry.next for n in numbers)
            assert entry.next > max((n for log, n in promised & (held | gone.keys()) if log == entry.log), default=0)
        return held, {*gone}


@pytest.mark.parametrize("seed", range(SEEDS))
def test_what_the_spool_committed_survives_any_power_cut(tmp_path: Path, seed: int) -> None:
    """It opens, sets nothing aside, and holds every committed sample that was not settled or declared gone; what it
    declared stays declared, no log is used twice and no sample is invented. Life after life on what was left."""
    life = Life(tmp_path / "card", seed)
    for _ in range(ROUNDS):
        life.live(steps=60)
        for at in life.power.cuts(life.rng, max(1, CUTS // SEEDS // ROUNDS)):
            left = life.check(at)
        life.power.lay_out()  # the next life begins where the last cut ended, with the recovery
        life.begin(*left)


def version_1(path: Path, rows: int = 40) -> dict[Key, float]:
    with sqlite3.connect(path, isolation_level=None) as db:
        db.executescript(VERSION_1)
        db.executemany("INSERT INTO samples VALUES (?,?,?,'synced',?)", [
            (log_id, n, T0 + n, BODY_1.format(float(n))) for log_id in (7, 9) for n in range(4, rows)
        ])  # fmt: skip
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    return {(log, n): float(n) for log in ("aaaaaaaaaaaa", "bbbbbbbbbbbb") for n in range(4, rows)}


@pytest.mark.parametrize("seed", range(4))
def test_a_power_cut_while_a_spool_of_version_1_is_opened_costs_nothing(tmp_path: Path, seed: int) -> None:
    """Its rows and what it declared are there, whatever part of the migration reached the card."""
    life = Life(tmp_path / "card", seed)
    life.path.unlink()
    life.max_bytes = 10**7
    life.truth = version_1(life.path)
    life.begin(set(life.truth), {("aaaaaaaaaaaa", n) for n in (1, 2, 3)})
    life.live(steps=0)
    for at in life.power.cuts(life.rng, CUTS // 8):
        life.check(at)


@pytest.mark.parametrize("seed", range(4))
def test_a_power_cut_while_a_damaged_spool_is_set_aside_keeps_it_and_a_working_one(tmp_path: Path, seed: int) -> None:
    """The damaged file is there under some name, and the agent starts; what the new spool committed is there."""
    life = Life(tmp_path / "card", seed)
    damaged = b"SQLite format 3\0" + random.Random(seed).randbytes(8000)
    life.path.write_bytes(damaged)
    life.path.with_name("spool.db-wal").write_bytes(damaged[:5000])
    life.begin(set(), set())
    life.live(steps=30)
    renames = [n for n, op in enumerate(life.power.ops, 1) if op.kind == "rename"]
    for n in renames * 20:
        life.power.cut_at(n, life.rng)
        assert damaged in [path.read_bytes() for path in life.power.files()], "the damaged spool has vanished"
    for at in life.power.cuts(life.rng, CUTS // 8):
        assert damaged in [path.read_bytes() for path in life.power.files()], "the damaged spool has vanished"
        spool = life.open(disk=False)
        held = set(spool._db.execute(HELD))
        gone = {(e.log, n) for e in spool.statement().logs for a, b, _ in e.gone for n in range(a, b + 1)}
        spool.close()
        promised = {key for when, keys in life.promised if when <= at for key in keys}
        assert promised <= held | life.settled | gone
