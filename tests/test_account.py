"""The account of the demonstration finds every kind of difference between what was served and what is stored."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from gateway import storefile
from gateway.demo import account

START, STEP = 1_764_000_000_000, 60_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten reads of one sensor, served and stored."""
    (tmp_path / "served").mkdir()
    db = storefile.connect(tmp_path / "store.db", write=True)
    storefile.migrate(db, tmp_path / "store.db")
    for i, (channel, quantity) in enumerate((("water_level", "water_level"), ("read_counter", "count")), 1):
        db.execute(
            "INSERT INTO channels (id, tenant, station, channel, quantity) VALUES (?,?,?,?,?)",
            (i, "t", "s", channel, quantity),
        )
    db.execute("INSERT INTO logs (id, tenant, device, log, top, rejected) VALUES (1, 't', 'd', 'l', 10, '[]')")
    db.execute("INSERT INTO ranges VALUES (1, 'stored', 1, 10)")
    for n in range(1, 11):
        store(db, n, n / 10, START + n * STEP)
        serve(tmp_path, n, n / 10, START + n * STEP)
    db.close()
    return tmp_path


def store(db: sqlite3.Connection, n: int, level: float, at_ms: int, seq: int | None = None) -> None:
    for channel_id, value in ((1, level), (2, float(n))):
        db.execute(
            """INSERT INTO observations (channel_id, observed_ms, received_ms, log_id, seq, record, raw, value, flag,
               device) VALUES (?,?,?,1,?,?,?,?,1,'d')""",
            (channel_id, at_ms, at_ms, seq or n, channel_id - 1, value, value),
        )


def serve(folder: Path, n: int, level: float, at_ms: int) -> None:
    line = {"station": "s", "values": {"water_level": level}, "counter": n, "served_ms": at_ms}
    with (folder / "served" / "s.jsonl").open("a") as log:
        log.write(json.dumps(line) + "\n")


def change(folder: Path, sql: str) -> None:
    with sqlite3.connect(folder / "store.db") as db:
        db.execute(sql)


def close(folder: Path) -> account.Account:
    return account.close(folder / "store.db", folder / "served", STEP)


def test_an_account_without_differences_closes(folder: Path) -> None:
    """Served equals stored, value by value."""
    closed = close(folder)
    assert closed.closes
    assert (closed.sampled, closed.stored, closed.missing, closed.duplicates, closed.values) == (10, 10, 0, 0, 20)
    assert closed.peak == {"s/water_level": 1.0}


@pytest.mark.parametrize(
    ("what", "sql", "missing", "problem"),
    [
        ("a value is deleted", "DELETE FROM observations WHERE id = 5", 1, "served and not stored"),
        ("a counter is deleted", "DELETE FROM observations WHERE id = 6", 1, "served and not stored"),
        ("a value is changed", "UPDATE observations SET value = 9.9 WHERE id = 5", 1, "stored and never served"),
        ("a value is lost as null", "UPDATE observations SET value = NULL WHERE id = 5", 1, "served and not stored"),
        ("a time is off", "UPDATE observations SET observed_ms = observed_ms + 150000 WHERE seq = 10", 0, "dated"),
    ],
)
def test_a_difference_is_found(folder: Path, what: str, sql: str, missing: int, problem: str) -> None:
    """Each way in which the store can differ keeps the account from closing."""
    change(folder, sql)
    closed = close(folder)
    assert not closed.closes, what
    assert closed.missing == missing
    assert any(problem in p for p in closed.problems)


def test_a_sample_stored_twice_is_a_duplicate(folder: Path) -> None:
    """The same read under another number."""
    with sqlite3.connect(folder / "store.db") as db:
        store(db, 3, 0.3, START + 3 * STEP + 1, seq=11)
    closed = close(folder)
    assert closed.duplicates == 1
    assert not closed.closes


def test_a_read_that_was_never_stored_is_missing(folder: Path) -> None:
    """The sensor's log has one line more."""
    serve(folder, 11, 1.1, START + 11 * STEP)
    closed = close(folder)
    assert (closed.sampled, closed.stored, closed.missing) == (11, 10, 1)
    assert not closed.closes


def test_the_json_object_has_the_keys_that_scripts_read(folder: Path) -> None:
    """`influx_points` only where InfluxDB was given."""
    found = json.loads(close(folder).as_json())
    assert set(found) == {
        *("sampled", "stored", "missing", "duplicates", "values", "rejected", "gone"),
        *("alerts_raised", "alerts_cleared", "peak"),
    }
