"""Days that are remembered give what reading them gives, whatever came, went or was restored in between."""

from __future__ import annotations

import contextlib
import sqlite3
import tempfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import pastrows, seriesfile
from gateway.bridge.store import Store
from gateway.disk import Disk
from gateway.pastfile import PastFile
from gateway.pastrows import DAY_MS, Past
from gateway.web.ahead import Ahead
from tests import world
from tests.website import Stopped
from tests.world import STATION, TENANT

DAYS = 6
ROW = """INSERT OR IGNORE INTO observations
 (channel_id, observed_ms, received_ms, record, value, flag, tests, fault, device)
 VALUES (1, ?, 0, 0, ?, ?, ?, ?, 'd')"""
SERIES = (TENANT, STATION, "water_level")
times = st.integers(0, DAYS * 8 - 1).map(lambda n: n * DAY_MS // 8)
rows = st.tuples(times, st.one_of(st.none(), st.floats(-5, 5)), st.sampled_from([1, 3, 4]), st.booleans())
steps = st.one_of(
    st.tuples(st.just("came"), st.lists(rows, max_size=12)),
    st.tuples(st.just("went"), times),
    st.tuples(st.just("restored"), st.lists(rows, max_size=5)),
    st.tuples(st.just("assessed"), times),
    st.tuples(st.sampled_from(["packed", "again", "damaged"]), st.none()),
    st.tuples(st.just("looked"), st.tuples(times, times, st.booleans())),
)


def happens(db: sqlite3.Connection, what: str, facts: object) -> None:
    if what == "restored":  # another store in its place, with ids of its own
        db.execute("DELETE FROM observations")
        db.execute("DELETE FROM sqlite_sequence")
        db.execute("UPDATE meta SET value = value || 'x' WHERE key = 'store'")
    if what in ("came", "restored"):
        for at, value, flag, working in facts:  # type: ignore[attr-defined]
            flag, fault = (9, "no_answer") if value is None else (flag, None)
            db.execute(ROW, (at, value, flag, "maintenance" if working else None, fault))
    elif what == "went":
        db.execute("DELETE FROM observations WHERE observed_ms < ?", (facts,))
    elif what == "assessed":
        sql = "INSERT INTO assessments (channel_id, observed_ms, flag, tests, assessed_ms) VALUES (1, ?, 3, '', 0)"
        db.execute(sql, (facts,))


PLAIN = """SELECT observed_ms, value, flag, fault FROM observations WHERE channel_id = 1 AND observed_ms >= ?
 AND observed_ms < ? AND (? OR tests IS NULL) ORDER BY observed_ms"""


def look(db: sqlite3.Connection, path: Path, past: Past, facts: tuple[int, int, bool]) -> None:
    a, b, worked = facts
    span = (min(a, b), max(a, b) + 1)
    plain = db.execute(PLAIN, (*span, worked)).fetchall()
    assert list(past.rows(path, 1, *span, worked)) == plain
    channel = world.channel("water_level")
    known = seriesfile.line(path, SERIES, channel, *span, 20, worked)
    assert seriesfile.line(path, SERIES, channel, *span, 20, worked, past) == known


@given(story=st.lists(steps, max_size=15), most=st.sampled_from([0, 7, 1000]), kept=st.booleans())
def test_what_is_remembered_is_what_is_read(story: list[tuple[str, object]], most: int, kept: bool) -> None:
    """The same rows and the same line with and without memory and file, for whoever looks, also while the memory is
    too small, the file was damaged and the page was started again."""
    with tempfile.TemporaryDirectory() as folder:
        path, file = Path(folder) / "store.db", Path(folder) / "past.db"
        Store(path).close()
        past = Past(most, PastFile(file) if kept else None)
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
            sql = "INSERT INTO channels (id, tenant, station, channel, quantity) VALUES (1, ?, ?, ?, 'water_level')"
            db.execute(sql, SERIES)
            for what, facts in [*story, ("packed", None), ("looked", (0, DAYS * DAY_MS, True))] * 2:
                happens(db, what, facts)
                if what == "packed":
                    list(past.ahead(path, 1, 0, DAYS))
                elif what in ("again", "damaged") and kept:
                    past.close()
                    if what == "damaged":
                        damage(file)
                    past = Past(most, PastFile(file))
                elif what == "looked":
                    look(db, path, past, facts)  # type: ignore[arg-type]
        past.close()


def damage(file: Path) -> None:
    """Days of others, and what a disk leaves behind."""
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as db:
        days = db.execute("SELECT rowid, packed FROM days ORDER BY day").fetchall()
        for (row, _), (_, packed) in pairwise(days):
            db.execute("UPDATE days SET packed = ? WHERE rowid = ?", (packed, row))
        for row, packed in days[-1:]:
            db.execute("UPDATE days SET packed = ? WHERE rowid = ?", (packed[:-1] + b"x", row))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """Three readings on three days."""
    path = tmp_path / "store.db"
    Store(path).close()
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("INSERT INTO channels (id, tenant, station, channel, quantity) VALUES (1, 'a', 'b', 'c', 'q')")
        for day in (1, 2, 3):
            db.execute(ROW, (day * DAY_MS, 1.0, 1, None, None))
        yield db


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The days that were read from the store."""
    found: list[tuple[int, int]] = []

    def read(path: Path, channel: int, from_ms: int, to_ms: int, disk: Disk) -> list[pastrows.Row]:
        if from_ms < to_ms:
            found.append((from_ms // DAY_MS, to_ms // DAY_MS))
        return real(path, channel, from_ms, to_ms, disk)

    real = pastrows._read
    monkeypatch.setattr(pastrows, "_read", read)
    return found


def test_a_second_look_reads_no_row_of_the_past(
    store: sqlite3.Connection, asked: list[tuple[int, int]], tmp_path: Path
) -> None:
    """What is known is not read again; what came late is."""
    past = Past()
    for late, expected in ((False, [(1, 4)]), (False, []), (True, [(2, 3)])):
        if late:
            store.execute(ROW, (2 * DAY_MS + 5, 2.0, 1, None, None))
        asked.clear()
        assert len(list(past.rows(tmp_path / "store.db", 1, DAY_MS, 4 * DAY_MS))) == 3 + late
        assert asked == expected


def test_a_first_look_reads_what_was_packed(
    store: sqlite3.Connection, asked: list[tuple[int, int]], tmp_path: Path
) -> None:
    """By the page before it was started again; what nobody has any longer is forgotten."""
    path, file = tmp_path / "store.db", tmp_path / "past.db"
    assert list(Past(file=PastFile(file)).ahead(path, 1, 0, 9)) == [3, 2, 1]
    assert file.stat().st_mode & 0o777 == 0o600
    again = Past(file=PastFile(file))
    assert list(again.ahead(path, 1, 0, 9)) == []
    asked.clear()
    assert len(list(again.rows(path, 1, DAY_MS, 4 * DAY_MS))) == 3
    assert asked == []
    store.execute("DELETE FROM observations WHERE observed_ms < ?", (2 * DAY_MS,))
    assert list(again.ahead(path, 1, 0, 9)) == []
    assert set(PastFile(file).stamps(id_of(store), 1)) == {2, 3}


@pytest.mark.parametrize("what", ["came", "went", "restored", "damaged"])
def test_what_was_packed_is_shown_while_it_is_true(store: sqlite3.Connection, tmp_path: Path, what: str) -> None:
    """Late rows, pruned ones, another store, and a disk that mixed up what it had."""
    path, file = tmp_path / "store.db", tmp_path / "past.db"
    span = (DAY_MS, 4 * DAY_MS)
    with contextlib.closing(Past(file=PastFile(file))) as before:
        assert len(list(before.ahead(path, 1, 0, 9))) == 3
    if what == "damaged":
        damage(file)
    else:
        facts = {"came": [(2 * DAY_MS + 5, 2.0, 1, False)], "went": 2 * DAY_MS, "restored": [(DAY_MS, 9.0, 1, False)]}
        happens(store, what, facts[what])
    with contextlib.closing(Past(file=PastFile(file))) as again:
        assert list(again.rows(path, 1, *span)) == store.execute(PLAIN, (*span, True)).fetchall()


def id_of(db: sqlite3.Connection) -> str:
    return str(db.execute("SELECT value FROM meta WHERE key = 'store'").fetchone()[0])


@pytest.mark.parametrize("bad", [b"no database at all" * 300, b"", None])
def test_a_file_that_is_none(
    store: sqlite3.Connection, tmp_path: Path, bad: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    """Is made anew; where there can be none, it goes without, and says so once."""
    file = tmp_path / "past.db"
    if bad is None:
        file.mkdir()
    else:
        file.write_bytes(bad)
    past = Past(file=PastFile(file))
    packed = list(past.ahead(tmp_path / "store.db", 1, 0, 9))
    assert packed == ([] if bad is None else [3, 2, 1])
    assert len(list(past.rows(tmp_path / "store.db", 1, DAY_MS, 4 * DAY_MS))) == 3
    assert [r.getMessage().startswith(f"{file} cannot be used") for r in caplog.records] == [True] * (bad is None)


def test_a_file_that_is_full(store: sqlite3.Connection, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Keeps what it has; the rest is read from the store."""
    file = PastFile(tmp_path / "past.db")
    assert file._db is not None
    file._db.execute("PRAGMA max_page_count = 1")  # never below what it has
    for n in range(1500):
        store.execute(ROW, (2 * DAY_MS + n * n * 7919 % DAY_MS, n**0.5, 1, None, None))
    past = Past(file=file)
    assert len(list(past.ahead(tmp_path / "store.db", 1, 0, 9))) < 3
    assert len(list(past.rows(tmp_path / "store.db", 1, DAY_MS, 4 * DAY_MS))) > 1000
    assert len(caplog.records) == 1


def test_the_page_packs_by_itself(store: sqlite3.Connection, tmp_path: Path) -> None:
    """Every channel of the store, up to yesterday."""
    store.execute("INSERT INTO channels (id, tenant, station, channel, quantity) VALUES (2, 'a', 'b', 'd', 'q')")
    store.execute(ROW.replace("VALUES (1,", "VALUES (2,"), (2 * DAY_MS, 1.0, 1, None, None))
    file = PastFile(tmp_path / "past.db")
    ahead = Ahead(Past(file=file), tmp_path / "store.db", Stopped(3 * DAY_MS + 5), rest=0, least_s=0)
    assert ahead.once() == 3
    assert ahead.once() == 0
    assert set(file.stamps(id_of(store), 1)) == {1, 2}
    assert set(file.stamps(id_of(store), 2)) == {2}
