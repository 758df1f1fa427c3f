"""Days that are remembered give what reading them gives, whatever came, went or was restored in between."""

from __future__ import annotations

import contextlib
import sqlite3
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from gateway import seriesfile
from gateway.bridge.store import Store
from gateway.pastrows import DAY_MS, Past
from tests import world
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


@given(story=st.lists(steps, max_size=15), most=st.sampled_from([0, 7, 1000]))
def test_what_is_remembered_is_what_is_read(story: list[tuple[str, object]], most: int) -> None:
    """The same line with and without memory, for whoever looks, also while the memory is too small."""
    past, channel = Past(most), world.channel("water_level")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.db"
        Store(path).close()
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
            sql = "INSERT INTO channels (id, tenant, station, channel, quantity) VALUES (1, ?, ?, ?, 'water_level')"
            db.execute(sql, SERIES)
            for what, facts in [*story, ("looked", (0, DAYS * DAY_MS, True))] * 2:
                happens(db, what, facts)
                if what == "looked":
                    a, b, worked = facts  # type: ignore[misc]
                    span = (min(a, b), max(a, b) + 1)
                    plain = seriesfile.line(path, SERIES, channel, *span, 20, worked)
                    assert seriesfile.line(path, SERIES, channel, *span, 20, worked, past) == plain


def test_a_second_look_reads_no_row_of_the_past(tmp_path: Path) -> None:
    """What is known is not read again; what came late is."""
    path = tmp_path / "store.db"
    Store(path).close()
    asked: list[tuple[int, int]] = []
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("INSERT INTO channels (id, tenant, station, channel, quantity) VALUES (1, 'a', 'b', 'c', 'q')")
        for day in (1, 2, 3):
            db.execute(ROW, (day * DAY_MS, 1.0, 1, None, None))

        def read(since: int, until: int) -> list[tuple[int, float | None, int, str | None]]:
            asked.append((since // DAY_MS, until // DAY_MS))
            sql = "SELECT observed_ms, value, flag, fault FROM observations WHERE observed_ms >= ? AND observed_ms < ?"
            return db.execute(sql + " ORDER BY observed_ms", (since, until)).fetchall()

        past = Past()
        for late in (False, False, True):
            if late:
                db.execute(ROW, (2 * DAY_MS + 5, 2.0, 1, None, None))
            asked.clear()
            found = list(past.rows(path, 1, DAY_MS, 4 * DAY_MS, True, read))
            assert len(found) == 3 + late
    assert asked == [(2, 3), (1, 1), (4, 4)]
