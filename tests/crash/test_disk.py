"""The recording disk itself: it behaves as the real one, and what it leaves after a cut is what POSIX promises."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.disk import Disk
from simulators.faults.disk import Recording
from simulators.faults.platter import SECTOR, Journal, Op, Platter, cut, read

TRIES = 200


@pytest.fixture(params=["real", "recording"])
def disk(request: pytest.FixtureRequest) -> Iterator[Disk]:
    if request.param == "real":
        yield Disk()
    else:
        found = Recording(lambda op: None)
        yield found
        found.close()


# --- one suite for the seam, on the real disk and on the recording one ------------------------------------------------


def test_a_connection_has_the_interface_that_spool_and_store_use(disk: Disk, tmp_path: Path) -> None:
    """Rows, one row, rows one by one, the last id, scripts, many, and transactions begun by name."""
    db = disk.connect(tmp_path / "a.db")
    assert db.execute("PRAGMA journal_mode = WAL").fetchone()[0] == "wal"
    db.executescript("BEGIN; CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b REAL); COMMIT;")
    assert db.execute("INSERT INTO t (a, b) VALUES (?, ?)", ("一", None)).lastrowid == 1
    db.executemany("INSERT INTO t (a, b) VALUES (?, ?)", [("二", 2.0), ("三", 3.5)])
    assert db.execute("INSERT INTO t (a) VALUES ('四') RETURNING id").fetchone() == (4,)
    assert not db.in_transaction
    db.execute("BEGIN IMMEDIATE")
    assert db.in_transaction
    db.execute("DELETE FROM t WHERE id = ?", (2,))
    db.execute("ROLLBACK")
    assert list(db.execute("SELECT * FROM t ORDER BY id LIMIT 2")) == [(1, "一", None), (2, "二", 2.0)]
    assert db.execute("SELECT count(*) FROM t").fetchall() == [(4,)]
    assert db.execute("SELECT a FROM t WHERE id = 9").fetchone() is None
    db.close()


def test_a_reader_sees_what_is_committed_and_may_not_write(disk: Disk, tmp_path: Path) -> None:
    """Readers of the store open their own connections while the writer writes."""
    writer = disk.connect(tmp_path / "a.db")
    writer.execute("PRAGMA journal_mode = WAL")
    writer.execute("CREATE TABLE t (a)")
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("INSERT INTO t VALUES (1)")
    reader = disk.connect(tmp_path / "a.db", write=False)
    assert reader.execute("SELECT * FROM t").fetchall() == []
    writer.execute("COMMIT")
    assert reader.execute("SELECT * FROM t").fetchall() == [(1,)]
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.execute("INSERT INTO t VALUES (2)")
    writer.close()
    reader.close()  # as the last one


def refuse_unique(db: sqlite3.Connection, path: Path) -> None:
    db.executescript("CREATE TABLE t (a UNIQUE); INSERT INTO t VALUES (1);")
    db.execute("INSERT INTO t VALUES (1)")


def refuse_full(db: sqlite3.Connection, path: Path) -> None:
    db.executescript("CREATE TABLE t (a); PRAGMA max_page_count = 3;")
    db.execute("INSERT INTO t VALUES (zeroblob(100000))")


def refuse_damaged(db: sqlite3.Connection, path: Path) -> None:
    path.write_bytes(b"not a database at all" * 100)
    db.execute("SELECT * FROM sqlite_schema").fetchall()


@pytest.mark.parametrize(
    ("act", "error", "code"),
    [
        (refuse_unique, sqlite3.IntegrityError, sqlite3.SQLITE_CONSTRAINT_UNIQUE),
        (refuse_full, sqlite3.OperationalError, sqlite3.SQLITE_FULL),
        (refuse_damaged, sqlite3.DatabaseError, sqlite3.SQLITE_NOTADB),
        (lambda db, _: db.execute("SELECT nonsense"), sqlite3.OperationalError, sqlite3.SQLITE_ERROR),
        (lambda db, _: db.execute("SELECT ?", (1, 2)), sqlite3.ProgrammingError, None),
        (lambda db, _: db.execute("SELECT ?", (object(),)), sqlite3.Error, None),
        (lambda db, _: db.execute("SELECT ?", (1 << 63,)), OverflowError, None),
        (lambda db, _: db.execute("SELECT ?", ("\ud800",)), UnicodeEncodeError, None),
    ],
)  # fmt: skip
def test_errors_have_the_class_and_code_that_our_code_asks_for(
    disk: Disk, tmp_path: Path, act: object, error: type[Exception], code: int | None
) -> None:
    """What the disk refuses, what the content is guilty of, and what is a damaged file are told apart by them."""
    db = disk.connect(tmp_path / "a.db")
    with pytest.raises(error) as caught:
        act(db, tmp_path / "a.db")  # type: ignore[operator]
    assert code is None or caught.value.sqlite_errorcode == code  # type: ignore[attr-defined]
    db.close()


def test_files_are_renamed_copied_removed_and_backed_up(disk: Disk, tmp_path: Path) -> None:
    """The rest of the seam."""
    a, b = tmp_path / "a.db", tmp_path / "b.db"
    db = disk.connect(a)
    db.executescript("CREATE TABLE t (a); INSERT INTO t VALUES (1);")
    target = disk.connect(b)
    db.backup(target)
    target.close()
    db.close()
    disk.rename(b, tmp_path / "c.db")
    disk.link(tmp_path / "c.db", b)
    disk.remove(b)
    disk.copy(tmp_path / "c.db", b)
    disk.remove(a)
    disk.remove(a)
    disk.sync_folder(tmp_path)
    assert sorted(x.name for x in tmp_path.iterdir()) == ["b.db", "c.db"]
    copy = disk.connect(b, write=False)
    assert copy.execute("SELECT * FROM t").fetchall() == [(1,)]
    copy.close()


# --- what a cut leaves ------------------------------------------------------------------------------------------------


def left(ops: list[Op], tries: int = TRIES) -> list[dict[str, bytes]]:
    return [Platter(ops).after_cut(random.Random(seed)) for seed in range(tries)]


OLD, NEW = b"o" * 4 * SECTOR, b"n" * 4 * SECTOR
MADE = [Op("create", 1, name="/d/a"), Op("write", 1, 0, OLD), Op("sync", 1)]


def test_what_was_synced_is_there_and_what_was_not_is_anything() -> None:
    """Old and new sectors in every mixture, never a third content."""
    ops = [*MADE, Op("folder", name="/d"), Op("write", 1, 0, NEW)]
    seen = {disk["/d/a"] for disk in left(ops)}
    assert {OLD, NEW} < seen
    for content in seen:
        assert all(set(content[n : n + SECTOR]) in ({ord("o")}, {ord("n")}) for n in range(0, 4 * SECTOR, SECTOR))
    assert {disk["/d/a"] for disk in left([*ops, Op("sync", 1)])} == {NEW}


def test_a_name_is_there_once_its_folder_was_synced() -> None:
    """A synced file without its name is lost; another folder's sync is of no use."""
    assert {tuple(disk) for disk in left([*MADE, Op("folder", name="/e")])} == {(), ("/d/a",)}
    assert {tuple(disk) for disk in left([*MADE, Op("folder", name="/d")])} == {("/d/a",)}


def test_a_rename_happens_whole_or_not_at_all() -> None:
    """The file has its former name or its new one; what stood there before is replaced."""
    ops = [*MADE, Op("create", 2, name="/d/b"), Op("folder", name="/d"), Op("rename", 1, name="/d/a", to="/d/b")]
    assert {tuple(sorted(disk.items())) for disk in left(ops)} == {
        (("/d/a", OLD), ("/d/b", b"")),
        (("/d/b", OLD),),
    }
    assert {tuple(disk) for disk in left([*ops, Op("folder", name="/d")])} == {("/d/b",)}


def test_a_second_name_is_one_of_the_same_file() -> None:
    """Each is there once the folder was synced, and what is written through one is read through the other."""
    ops = [*MADE, Op("folder", name="/d"), Op("link", 1, name="/d/a", to="/d/b")]
    assert {tuple(disk) for disk in left(ops)} == {("/d/a",), ("/d/a", "/d/b")}
    ops += [Op("write", 1, 0, NEW), Op("sync", 1), Op("folder", name="/d")]
    assert left(ops)[0] == {"/d/a": NEW, "/d/b": NEW}


def test_a_truncated_and_a_removed_file_may_come_back() -> None:
    """Until they are synced; a hole in a file reads as zeros."""
    ops = [*MADE, Op("folder", name="/d"), Op("truncate", 1, 0), Op("write", 1, SECTOR, NEW[:SECTOR])]
    seen = {disk["/d/a"] for disk in left(ops)}
    assert {OLD, b"", bytes(SECTOR) + NEW[:SECTOR]} < seen
    ops = [*MADE, Op("folder", name="/d"), Op("remove", name="/d/a")]
    assert {tuple(disk) for disk in left(ops)} == {(), ("/d/a",)}


# --- the journal of a process -----------------------------------------------------------------------------------------


LIFE = """
import os, signal, sys
from pathlib import Path
from simulators.faults.disk import recording
db = recording(Path(sys.argv[1]), compact_bytes=100_000).connect(Path(sys.argv[2]))
db.execute("PRAGMA journal_mode = WAL")
db.execute("PRAGMA synchronous = FULL")
db.execute("CREATE TABLE IF NOT EXISTS t (a)")
assert db.execute("SELECT count(*) FROM t").fetchone() == (int(sys.argv[3]),)
for _ in range(100):
    db.execute("INSERT INTO t VALUES (zeroblob(1000))")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_journal_goes_on_after_a_kill_and_stays_short(tmp_path: Path) -> None:
    """A killed process left its writes in the page cache, the next one goes on from there; and what was synced needs
    no history."""
    path, file = tmp_path / "journal", tmp_path / "a.db"
    for n in range(3):
        done = subprocess.run([sys.executable, "-c", LIFE, path, file, str(100 * n)], capture_output=True, text=True)
        assert done.returncode == -signal.SIGKILL, done.stderr
    assert path.stat().st_size < 3_000_000
    assert Platter(read(path)).seen() == {str(x): x.read_bytes() for x in (file, tmp_path / "a.db-wal")}
    told = cut(path, seed=1)
    assert told.keys() == {"names", "writes", "bytes"}
    with_plain = sqlite3.connect(file)
    assert with_plain.execute("SELECT count(*) FROM t").fetchone() == (300,)
    assert with_plain.execute("PRAGMA quick_check").fetchone() == ("ok",)
    with_plain.close()


LIMITED = """
import os, resource, signal, sqlite3, sys
from pathlib import Path
from simulators.faults.disk import recording
db = recording(Path(sys.argv[1])).connect(Path(sys.argv[2]))
db.execute("PRAGMA journal_mode = WAL")
db.execute("PRAGMA synchronous = FULL")
db.execute("CREATE TABLE t (a)")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
rows = refused = 0
while refused < 20:
    try:
        db.execute("INSERT INTO t VALUES (zeroblob(1000))")
        rows += 1
    except sqlite3.OperationalError:
        refused += 1
print(rows, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_journal_that_cannot_be_written_refuses_and_stays_whole(tmp_path: Path) -> None:
    """What it could not record was not done, and what was committed before is there after the cut."""
    path, file = tmp_path / "journal", tmp_path / "a.db"
    done = subprocess.run([sys.executable, "-c", LIMITED, path, file], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    cut(path, seed=1)
    db = sqlite3.connect(file)
    assert db.execute("SELECT count(*) FROM t").fetchone()[0] == int(done.stdout) > 10
    db.close()


def test_a_journal_whose_last_word_was_cut_is_read_up_to_it(tmp_path: Path) -> None:
    """The process was killed while it wrote it; the write it announces was not done."""
    journal = Journal(tmp_path / "journal")
    for op in MADE:
        journal.append(op)
    journal.close()
    whole = (tmp_path / "journal").read_bytes()
    (tmp_path / "journal").write_bytes(whole[:-3])
    assert [op.kind for op in read(tmp_path / "journal")] == ["create", "write"]


def test_without_apsw_the_simulators_import_and_a_recording_disk_says_what_it_needs() -> None:
    """The simulators travel in the wheel; apsw does not."""
    code = """
import sys
sys.modules["apsw"] = None
from simulators.faults.disk import Recording
Recording(print)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1].endswith("power cuts are simulated by the package apsw: pip install apsw")
