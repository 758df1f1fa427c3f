"""The spool's file: from version to version, and samples whose date is not known yet."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from gateway.edge import spoolfile
from gateway.edge.spool import Spool
from gateway.errors import FaultCode, Unavailable
from gateway.model import ClockState, Moment, Reading, Sample
from gateway.ranges import RangeSet
from gateway.wire import StatementLog
from tests.spools import ROOM, append, filled, opened, settle, stated, unsettled
from tests.world import STATION, T0

RELEASES = Path(__file__).parent / "releases"
READINGS = [Reading(STATION, "water_level", "m", 1.5)]
BOOT = "b0075"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool.db"


def released(version: str, path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.executescript((RELEASES / version / "spool.sql").read_text(encoding="utf-8"))


# --- from version to version ---------------------------------------------------------------------------------------


def test_a_spool_of_0_1_0_is_taken_over_with_every_row(path: Path) -> None:
    """Logs, rows, times, faults, given up numbers and their reasons stay what they were; the new opening goes on."""
    released("0.1.0", path)
    with opened(path) as spool:
        a, b, c, d = "8d6297099986", "1513c74aeb95", "9e9ab4605b8e", "d734a47337b6"
        assert spool.statement().logs == [
            StatementLog(a, 5, 13, [(1, 4, "no_space")]),
            StatementLog(b, 4, 21, [(6, 8, "no_space")]),
            StatementLog(c, 10, 10, [(1, 9, "log_limit")]),
            StatementLog(d, 1, 4),
            StatementLog(spool.opening, 1, 1),
        ]
        held = {log: spool.unsettled(log, 100, RangeSet()) for log in (a, b, c, d)}
        assert {log: [s.seq for s in found] for log, found in held.items()} == {
            a: [*range(5, 13)], b: [4, 5, *range(9, 21)], c: [], d: [1, 2, 3],
        }  # fmt: skip
        assert {s.clk for s in held[b]} == {ClockState.HOLDOVER}  # refused as undated they would be lost
        assert held[a][2] == Sample(
            a, 7, T0 + 7 * 60_000, ClockState.SYNCED,
            (Reading("kasuga-bridge", "water_level", "m", None, FaultCode.NO_ECHO),
             Reading("kasuga-bridge", "battery_voltage", "V", 12.5)),
        )  # fmt: skip
        assert all(s.moment is None and not s.raised for found in held.values() for s in found)
        filled(spool, 3)
        log = spool.opening
    with opened(path) as spool:
        assert unsettled(spool, log) == [1, 2, 3]
        assert unsettled(spool, a) == [*range(5, 13)]


def test_a_spool_taken_over_looks_like_a_new_one(path: Path, tmp_path: Path) -> None:
    """A migrated file has the schema of one that this version made."""
    new = tmp_path / "new.db"
    released("0.1.0", path)
    for file in (path, new):
        Spool(file, ROOM, T0).close()
    schemas = []
    for file in (path, new):
        with contextlib.closing(sqlite3.connect(file)) as db:
            sql = "SELECT name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY name"
            schemas.append(db.execute(sql).fetchall() + db.execute("PRAGMA user_version").fetchall())
    assert schemas[0] == schemas[1]
    assert schemas[0][-1] == (spoolfile.VERSION,)


def test_a_spool_of_a_later_version_is_refused_and_left_alone(path: Path) -> None:
    """An older program does not touch a newer file, and can be tried again at once."""
    Spool(path, ROOM, T0).close()
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 99")
    before = path.read_bytes()
    for _ in range(2):
        with pytest.raises(Unavailable, match=r"written by a newer suimon \(version 99\)"):
            Spool(path, ROOM, T0)
    assert path.read_bytes() == before
    assert not list(path.parent.glob("*damaged*"))


# --- dates ---------------------------------------------------------------------------------------------------------


def undated(spool: Spool, log: str, boot: str = BOOT) -> list[int]:
    return [s.seq for s in spool.undated(log, 100, RangeSet(), boot)]


def unset(spool: Spool, uptime_ms: int, boot: str = BOOT, raised: bool = False) -> Sample:
    return spool.append(1000 + uptime_ms, ClockState.UNSYNCED, READINGS, Moment(boot, uptime_ms), raised)


def test_a_moment_and_the_raised_interval_survive_the_card(path: Path) -> None:
    """What was read by a clock that was not set comes back with its moment; a raised reading as one."""
    with opened(path) as spool:
        samples = [unset(spool, 1), unset(spool, 2, raised=True), spool.append(T0, ClockState.SYNCED, READINGS)]
        log = spool.opening
    with opened(path) as spool:
        assert spool.unsettled(log, 10, RangeSet()) == samples
        assert samples[1].moment == Moment(BOOT, 2)
        assert [s.raised for s in samples] == [False, True, False]


def test_what_waits_for_a_date_is_found_by_its_boot(path: Path) -> None:
    """Of the present boot alone, without what is settled, skipped, dated or was read by a clock that was set."""
    with opened(path) as spool:
        unset(spool, 5, "earlier")
        for n in range(1, 7):
            unset(spool, n)
        append(spool, 2)
        spool.commit()
        log = spool.opening
        assert undated(spool, log) == [2, 3, 4, 5, 6, 7]
        assert undated(spool, log, "earlier") == [1]
        settle(spool, log, 0, (2, 2))
        spool.date(log, 4, T0, ClockState.SYNCED)
        assert undated(spool, log) == [3, 5, 6, 7]
        spool.commit()
        assert undated(spool, log) == [3, 5, 6, 7]
        assert [s.seq for s in spool.undated(log, 2, RangeSet([(5, 5)]), BOOT)] == [3, 6]


@pytest.mark.parametrize("committed", [True, False], ids=["on the card", "pending"])
def test_the_first_date_of_a_sample_stands(path: Path, committed: bool) -> None:
    """At once in memory, on the card after the next commit; a second date changes nothing."""
    with opened(path) as spool:
        sample = unset(spool, 7, raised=True)
        log = spool.opening
        if committed:
            spool.commit()
        spool.date(log, 1, T0, ClockState.HOLDOVER)
        spool.date(log, 1, T0 + 5, ClockState.SYNCED)
        dated = Sample(log, 1, T0, ClockState.HOLDOVER, sample.readings, None, True)
        if committed:
            assert spool.unsettled(log, 10, RangeSet()) == [dated]
        assert spool.commit() == (0 if committed else 1)
        spool.date(log, 1, T0 + 9, ClockState.SYNCED)
        spool.commit()
        assert spool.unsettled(log, 10, RangeSet()) == [dated]
    with opened(path) as spool:
        assert spool.unsettled(log, 10, RangeSet()) == [dated]


def test_a_date_outlives_a_card_that_refuses(path: Path) -> None:
    """The date that was sent is the one that is kept, however late the card takes it."""
    with opened(path) as spool:
        unset(spool, 7)
        spool.commit()
        spool.date(spool.opening, 1, T0, ClockState.SYNCED)
        spool._db.execute("PRAGMA query_only = ON")
        with pytest.raises(sqlite3.OperationalError):
            spool.commit()
        spool._db.execute("PRAGMA query_only = OFF")
        assert [s.observed_ms for s in spool.unsettled(spool.opening, 10, RangeSet())] == [T0]
        spool.commit()
        log = spool.opening
    with opened(path) as spool:
        assert [s.observed_ms for s in spool.unsettled(log, 10, RangeSet())] == [T0]
        assert stated(spool, log) == StatementLog(log, 1, 2)
