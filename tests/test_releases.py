"""What released versions left behind: their stores are taken over whole, their messages are understood."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway import settings, storefile, storeschema, wire
from gateway.bridge.store import Store
from gateway.bridge.work import Memory
from gateway.disk import Disk
from gateway.errors import Unavailable
from gateway.model import Condition
from tests import world
from tests.test_uplink import Edge, closing
from tests.world import DEVICE, LOG, STATION, T0, TENANT

RELEASES = Path(__file__).parent / "releases"
STORES = sorted(path.parent.name for path in RELEASES.glob("*/store.sql"))
TALKS = sorted(path.parent.name for path in RELEASES.glob("*/messages.json"))
DEV = (TENANT, DEVICE)


def left_by(release: str, path: Path) -> Path:
    """A store as that release left it."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.executescript((RELEASES / release / "store.sql").read_text(encoding="utf-8"))
        db.execute("PRAGMA journal_mode = WAL")
    return path


def contents(path: Path, like: dict[str, list[str]] | None = None) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table; of `like` only the columns named there."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        wanted = like or columns(path)
        return {
            table: db.execute(f"SELECT {', '.join(names)} FROM {table} ORDER BY 1").fetchall()
            for table, names in wanted.items()
        }


def columns(path: Path) -> dict[str, list[str]]:
    with contextlib.closing(sqlite3.connect(path)) as db:
        tables = [t for (t,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {t: [row[1] for row in db.execute(f"PRAGMA table_info({t})")] for t in tables}


def version(path: Path) -> int:
    with contextlib.closing(sqlite3.connect(path)) as db:
        return int(db.execute("PRAGMA user_version").fetchone()[0])


# --- stores --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("release", STORES)
def test_a_store_is_taken_over_with_every_row(release: str, tmp_path: Path) -> None:
    """After the migration every row of every table of the release stands there unchanged, and nothing else."""
    path = left_by(release, tmp_path / "store.db")
    known, before = columns(path), contents(path)
    Store(path).close()
    assert version(path) == storeschema.VERSION
    assert contents(path, known) == before
    assert sum(map(len, before.values())) > 30, "the store of the release holds something"


def test_the_bridge_works_on_where_0_1_0_stopped(tmp_path: Path) -> None:
    """Name, ledger, alert state, open episode, newest times, cursor and what is owed are what 0.1.0 had committed; a
    sample that it had stored is a duplicate, a new one is stored, a transition of that night is not told twice."""
    path = left_by("0.1.0", tmp_path / "store.db")
    store = Store(path)
    with contextlib.closing(store):
        memory = store.load()
        assert memory.store == "0123456789abcdef"
        ledger = memory.ledgers[DEV]
        assert ledger.opening == LOG
        assert [n for n in range(1, 25) if ledger.arrived(LOG, n)] == [3, 4, 5, 7, 8, 9, 20, 21]
        assert list(ledger.logs["0ldlog000000"].kinds["no_space"]) == [(1, 21)]
        assert ledger.arrived("0ldlog000000", 23)
        assert memory.states[(TENANT, STATION, "water_level")].condition is Condition.SILENT
        assert memory.episodes[(TENANT, STATION)].max_rank == 3
        assert memory.newest[(TENANT, STATION, "water_level")] == T0 + 21_000
        night = f"{TENANT}/{STATION}.20251124T160000.000Z/water_level/rise-0-3/{T0}"
        assert [row[1] for row in storefile.rows(path, storefile.OWED, ("duty", 9))] == [f"{night}/duty"]
        assert storefile.rows(path, "SELECT recipient, state FROM outbox WHERE state <> 'owed' ORDER BY 1") == [
            ("desk", "sent"), ("old", "given_up")]  # fmt: skip
        assert storefile.rows(path, "SELECT position FROM cursors WHERE name = 'influx'") == [(4,)]
        work = world.work(memory, world.bridge(path), T0 + 60_000)
        for seq in (5, 30):
            work.take(world.message(world.pack(world.sample(seq, 1.0)), at_ms=T0 + 30_000))
        assert (work.counts["duplicate"], work.counts["accepted"]) == (1, 1)
        store.commit(work)
        work.swap_in()
        assert memory.ledgers[DEV].arrived(LOG, 30)
        assert storefile.rows(path, "SELECT max(seq) FROM observations") == [(30,)]
        assert dict(storefile.rows(path, storefile.LETTERS))["not_json"] == 2


DYING = """
import os, signal, sys
from pathlib import Path
from gateway.bridge.store import Store
from gateway.disk import Disk
class Dying(Disk):
    def connect(self, path, **given):
        db = super().connect(path, **given)
        db.set_trace_callback(lambda sql: os.kill(os.getpid(), signal.SIGKILL) if sys.argv[2] in sql else None)
        return db
Store(Path(sys.argv[1]), disk=Dying()).close()
"""


@pytest.mark.parametrize(
    "at", ["CREATE TABLE requests", "ALTER TABLE channels", "CREATE INDEX", "user_version = ", "COMMIT"]
)
def test_a_migration_that_is_killed_leaves_the_old_store_whole(at: str, tmp_path: Path) -> None:
    """Whatever statement it had come to: the store is of the old version with every row, and the next start takes it
    over."""
    path = left_by("0.1.0", tmp_path / "store.db")
    before = contents(path)
    done = subprocess.run([sys.executable, "-c", DYING, str(path), at], capture_output=True, check=False)
    assert done.returncode == -9, done.stderr.decode()
    assert version(path) == 1
    assert contents(path) == before
    Store(path).close()
    assert version(path) == storeschema.VERSION


class Full(Disk):
    """Not a page more than there is."""

    def connect(self, path: Path, *, write: bool = True, timeout_s: float = 10.0) -> sqlite3.Connection:
        db = super().connect(path, write=write, timeout_s=timeout_s)
        db.execute("PRAGMA max_page_count = 1")
        return db


def test_a_migration_without_room_leaves_the_old_store_whole(tmp_path: Path) -> None:
    """The reason is told in a sentence; with room the store is taken over."""
    path = left_by("0.1.0", tmp_path / "store.db")
    before = contents(path)
    with pytest.raises(Unavailable, match=r"cannot open the store .*store\.db: database or disk is full"):
        Store(path, disk=Full())
    assert (version(path), contents(path)) == (1, before)
    Store(path).close()
    assert version(path) == storeschema.VERSION


# --- backups -------------------------------------------------------------------------------------------------------


def test_a_backup_of_a_release_can_be_restored(tmp_path: Path) -> None:
    """It becomes the store, under a name of its own, and the bridge takes it over when it starts."""
    old = left_by("0.1.0", tmp_path / "old.db")
    storefile.backup(old, tmp_path / "backup.db")
    path = tmp_path / "store.db"
    world.add(path, [world.observation(1)])
    storefile.restore(tmp_path / "backup.db", path)
    with contextlib.closing(Store(path)) as store:
        memory: Memory = store.load()
    assert memory.store != "0123456789abcdef"
    assert memory.ledgers[DEV].arrived(LOG, 21)
    assert version(path) == storeschema.VERSION


def test_a_backup_is_whole_while_the_bridge_writes(tmp_path: Path) -> None:
    """What was committed stands in it, though it is still in the write-ahead log; what is under way does not."""
    path = tmp_path / "store.db"
    with contextlib.closing(Store(path)) as store:
        work = world.work(store.load(), world.bridge(path))
        work.observations.append(world.observation(1))
        store.commit(work)
        store.db.execute("BEGIN IMMEDIATE")
        store.db.execute("DELETE FROM observations")
        storefile.backup(path, tmp_path / "backup.db")
        store.db.execute("ROLLBACK")
    assert len(contents(tmp_path / "backup.db")["observations"]) == 1
    assert not (tmp_path / "backup.db-wal").exists()


@pytest.mark.parametrize("left", [0, 1, 1000, 4096, 20_000])
def test_a_backup_that_was_cut_short_is_refused(tmp_path: Path, left: int) -> None:
    """The store that is there stays, byte for byte, and nothing is left beside it."""
    old = left_by("0.1.0", tmp_path / "old.db")
    storefile.backup(old, tmp_path / "backup.db")
    with (tmp_path / "backup.db").open("r+b") as file:
        file.truncate(left)
    path = tmp_path / "here" / "store.db"
    path.parent.mkdir()
    world.add(path, [world.observation(1)])
    before = {p.name: p.read_bytes() for p in path.parent.iterdir()}
    with pytest.raises(Unavailable):
        storefile.restore(tmp_path / "backup.db", path)
    assert {p.name: p.read_bytes() for p in path.parent.iterdir()} == before
    shutil.rmtree(path.parent)


# --- messages ------------------------------------------------------------------------------------------------------


def talk(release: str) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = json.loads((RELEASES / release / "messages.json").read_text("utf-8"))
    return found


@pytest.mark.parametrize("clk", ["synced", "unsynced"])
@pytest.mark.parametrize("release", TALKS)
def test_the_bridge_understands_an_agent_of_a_release(release: str, clk: str, tmp_path: Path) -> None:
    """Birth, status, statements, live samples and backlog with its span, as they were recorded: nothing is refused,
    every sample is settled, and the receipt says what that release's own bridge said at the end."""
    said = talk(release)
    receipts = [wire.decode_receipt(payload.encode()) for topic, payload in said["bridge"] if "receipt" in topic]
    place = world.station("gauge-1", "gauge-1-edge", [world.channel(), world.channel("read_counter", "count"),
                                                      world.channel("battery_voltage")])  # fmt: skip
    memory = Memory(receipts[-1].store)
    (*_, newest) = (json.loads(payload) for topic, payload in said["device"] if topic.endswith("/data"))
    then = round(newest[0]["bt"] * 1000) + 1000  # heard when it was recorded
    work = world.work(memory, world.bridge(tmp_path / "store.db"), then, world.registry(place))
    for topic, payload in said["device"]:
        work.take(world.arrived(topic, payload.replace('"unsynced"', f'"{clk}"').encode(), then))
    assert work.letters == []
    assert (work.counts["rejected"], work.counts["refused"]) == (0, 0)
    receipt = work.ledger(("takamatsu", "gauge-1-edge")).receipt(memory.store)
    assert receipt is not None
    last = receipts[-1]
    assert [(e.log, e.through, e.settled) for e in receipt.logs] == [(e.log, e.through, e.settled) for e in last.logs]
    assert receipt.opening == last.opening
    assert work.counts["accepted"] == last.logs[0].through > 60
    assert {note.kind for note in work.notes} == {"birth", "status"}


@pytest.mark.parametrize("release", TALKS)
def test_the_agent_understands_a_bridge_of_a_release(release: str, tmp_path: Path) -> None:
    """Its presence and its receipts, as they were recorded, settle every sample that they name."""
    with closing(Edge(tmp_path)) as edge:
        said = talk(release)["bridge"]
        last = [wire.decode_receipt(payload.encode()) for topic, payload in said if "receipt" in topic][-1]
        edge.append(last.logs[0].through + 5)
        edge.transport.up()
        for topic, payload in said:
            here = topic.replace("takamatsu/gauge-1-edge", f"{TENANT}/{DEVICE}")
            edge.transport.deliver(here, payload.replace(last.opening, edge.log).encode())
            edge.turn()
            if '"through":66' in payload:
                break
        assert list(edge.spool.settled(edge.log)) == [(1, last.logs[0].through)]
        assert edge.spool.through(edge.log) == last.logs[0].through
        assert isinstance(edge.settings, settings.Edge)
