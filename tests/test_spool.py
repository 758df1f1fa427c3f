"""The device's spool: numbers, durability, damage, space, and what it says of itself."""

from __future__ import annotations

import contextlib
import logging
import shutil
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from gateway.edge import spool as spool_module
from gateway.edge.spool import MAX_LOGS, RECLAIM_ROWS, Spool
from gateway.errors import FaultCode, GoneReason, Unavailable
from gateway.model import ClockState, Reading, Sample
from gateway.ranges import RangeSet
from gateway.wire import Statement, StatementLog
from tests.spools import ROOM, append, filled, kill, opened, rows, settle, stated, unsettled
from tests.world import STATION, T0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool.db"


# --- numbers and logs ----------------------------------------------------------------------------------------------


def test_numbers_run_from_one_within_a_log(path: Path) -> None:
    """A sample has its log and number at once, before any commit."""
    with opened(path) as spool:
        assert [(s.log, s.seq) for s in append(spool, 3)] == [(spool.opening, n) for n in (1, 2, 3)]
        spool.commit()
        assert [s.seq for s in append(spool, 2)] == [4, 5]


def test_every_opening_begins_a_log_of_its_own_and_rows_keep_theirs(path: Path) -> None:
    """No log is ever continued, so no number can be used twice; what waits on the card stays what it was."""
    samples: list[Sample] = []
    openings = []
    for _ in range(3):
        with opened(path) as spool:
            openings.append(spool.opening)
            samples += filled(spool, 2)
    assert len(set(openings)) == 3
    with opened(path) as spool:
        assert spool.logs() == [*openings, spool.opening]
        found = [s for log in spool.logs() for s in spool.unsettled(log, 10, RangeSet())]
        assert found == samples
        assert [s.seq for s in samples] == [1, 2, 1, 2, 1, 2]


def test_an_opening_that_never_wrote_leaves_no_log_behind(path: Path) -> None:
    """A device that restarts in a loop does not fill its statements."""
    for _ in range(5):
        with opened(path) as spool:
            assert [entry.log for entry in spool.statement().logs] == [spool.opening]


def test_log_ids_do_not_come_back(path: Path) -> None:
    """What was noted about a log that left the card can never be taken for a later one's, whatever else was lost."""
    ids = []
    for _ in range(3):
        with opened(path) as spool:
            ids.append(spool._log_id)
        with contextlib.closing(sqlite3.connect(path)) as db:
            db.execute("DELETE FROM logs")
            db.commit()
    assert ids == [1, 2, 3]


def test_a_sample_comes_back_as_it_was(path: Path) -> None:
    """Readings, faults, unit, time and the state of the clock survive the card."""
    readings = [
        Reading(STATION, "water_level", "m", 1.234),
        Reading(STATION, "雨量", "mm", None, FaultCode.NO_ECHO),
        Reading("kasuga-01", "battery_voltage", "V", -0.0),
    ]
    with opened(path) as spool:
        sample = spool.append(T0, ClockState.HOLDOVER, readings)
    with opened(path) as spool:
        assert spool.unsettled(sample.log, 10, RangeSet()) == [sample]


# --- durable -------------------------------------------------------------------------------------------------------


def test_commits_are_durable_at_their_return(path: Path) -> None:
    """The write-ahead log is on and every commit is synced: a commit that returned survives a power cut."""
    with opened(path) as spool:
        assert spool._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert spool._db.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL


def test_a_commit_is_grouped(path: Path) -> None:
    """What was appended since the last commit becomes durable together; with nothing new nothing is written."""
    with opened(path) as spool:
        append(spool, 5)
        assert unsettled(spool, spool.opening) == []
        assert spool.commit() == 5
        assert unsettled(spool, spool.opening) == [1, 2, 3, 4, 5]
        before = spool._db.total_changes
        assert spool.commit() == 0
        assert spool._db.total_changes == before


def test_what_was_committed_is_there_after_a_kill(path: Path, tmp_path: Path) -> None:
    """The files as they stand while the agent runs hold every commit, and nothing of what was not committed."""
    copy = tmp_path / "copy.db"
    with opened(path) as spool:
        committed = filled(spool, 10)
        append(spool, 3)
        for suffix in ("", "-wal"):
            shutil.copy(path.with_name(path.name + suffix), copy.with_name(copy.name + suffix))
        log = spool.opening
    with opened(copy) as spool:
        assert spool.unsettled(log, 100, RangeSet()) == committed
        assert stated(spool, log) == StatementLog(log, 1, 11)
        assert spool.opening != log


def test_closing_commits(path: Path) -> None:
    """An agent that is stopped leaves nothing in memory."""
    with opened(path) as spool:
        append(spool, 2)
        log = spool.opening
    with opened(path) as spool:
        assert unsettled(spool, log) == [1, 2]


def full(spool: Spool) -> Callable[[], object]:
    pages = spool._db.execute("PRAGMA page_count").fetchone()[0]
    spool._db.execute(f"PRAGMA max_page_count = {pages}")
    return lambda: spool._db.execute("PRAGMA max_page_count = 1000000")


def locked(spool: Spool) -> Callable[[], object]:
    spool._db.execute("PRAGMA busy_timeout = 0")
    file = spool._db.execute("PRAGMA database_list").fetchone()[2]
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    return other.close


def read_only(spool: Spool) -> Callable[[], object]:
    spool._db.execute("PRAGMA query_only = ON")
    return lambda: spool._db.execute("PRAGMA query_only = OFF")


@pytest.mark.parametrize("refuse", [full, locked, read_only])
def test_what_the_card_refuses_stays_pending(path: Path, refuse: Callable[[Spool], Callable[[], object]]) -> None:
    """A failed commit loses nothing and numbers nothing anew: the next one that succeeds has it all, in order."""
    with opened(path) as spool:
        filled(spool, 3)
        relent = refuse(spool)
        append(spool, 500)
        for _ in range(2):
            with pytest.raises(sqlite3.OperationalError):
                spool.commit()
            assert stated(spool, spool.opening) == StatementLog(spool.opening, 1, 4)
            assert rows(spool, spool.opening) == [1, 2, 3]
        append(spool, 1)
        relent()
        assert spool.commit() == 501
        assert unsettled(spool, spool.opening) == list(range(1, 505))


def test_a_card_filled_by_others_takes_the_room_of_what_is_settled(path: Path) -> None:
    """Where the disk has no room although the ceiling is far, the oldest settled rows give theirs."""
    with opened(path) as spool:
        filled(spool, 3000)
        settle(spool, spool.opening, 2500)
        relent = full(spool)
        filled(spool, 500)
        assert rows(spool, spool.opening) == list(range(RECLAIM_ROWS + 1, 3501))
        assert unsettled(spool, spool.opening) == list(range(2501, 3501))
        relent()


def test_closing_a_spool_that_cannot_be_written_lets_go_of_it(path: Path) -> None:
    """The error is told, and the file is free."""
    spool = Spool(path, ROOM, T0)
    append(spool, 1)
    read_only(spool)
    with pytest.raises(sqlite3.OperationalError):
        spool.close()
    Spool(path, ROOM, T0).close()


def test_a_slow_card_does_not_keep_a_sensor_from_being_read(path: Path) -> None:
    """While a commit is at work, samples are given their numbers."""
    with opened(path) as spool, spool._lock:  # as a commit holds it
        thread = threading.Thread(target=append, args=(spool, 3))
        thread.start()
        thread.join(10)
        assert [s.seq for s in spool._pending] == [1, 2, 3]


# --- the file ------------------------------------------------------------------------------------------------------


def garbage(content: bytes) -> bytes:
    return b"not a database at all " * 500


def truncated(content: bytes) -> bytes:
    return content[: len(content) // 2 + 100]


def zero_pages(content: bytes) -> bytes:
    middle = len(content) // 2 // 4096 * 4096
    return content[:middle] + bytes(8192) + content[middle + 8192 :]


def null(content: bytes) -> bytes:
    return content[:16] + bytes(len(content) - 16)


@pytest.mark.parametrize("damage", [garbage, truncated, zero_pages, null])
def test_a_damaged_file_is_set_aside_and_a_new_one_begun(
    path: Path, damage: Callable[[bytes], bytes], caplog: pytest.LogCaptureFixture
) -> None:
    """The agent starts whatever the card did to its file: it is kept under its date, and said once."""
    with opened(path) as spool:
        filled(spool, 2000)
    path.write_bytes(damaged := damage(path.read_bytes()))
    with opened(path) as spool:
        opening = spool.opening
        assert [s.seq for s in filled(spool, 2)] == [1, 2]
    (aside,) = path.parent.glob("spool.db.damaged-*Z")
    assert aside.read_bytes() == damaged
    errors = [r for r in caplog.records if r.levelno >= logging.ERROR]
    assert len(errors) == 1
    assert aside.name in errors[0].getMessage()
    with opened(path) as spool:
        assert opening in spool.logs()


def test_two_damaged_files_of_one_second_are_both_kept(path: Path) -> None:
    """A device that starts each time at the same moment of a clock without battery loses none of them."""
    for n in range(3):
        path.write_bytes(b"damaged %d " % n * 1000)
        Spool(path, ROOM, T0).close()
    kept = sorted(path.parent.glob("spool.db.damaged-*"))
    assert {p.read_bytes()[:9] for p in kept if p.suffix not in ("-wal", "-shm")} == {
        b"damaged %d" % n for n in range(3)
    }


@pytest.mark.parametrize("rot", [bytes(60), b"\xff" * 60, b'[["a","b","c",1'], ids=["zeros", "noise", "torn"])
def test_a_damaged_row_is_given_up_alone(path: Path, rot: bytes) -> None:
    """Zeros or noise within a row that no check of the file sees cost that sample and no other, and are declared."""
    with opened(path) as spool:
        samples = filled(spool, 300)
        log = spool.opening
        body = spool._db.execute("SELECT body FROM samples WHERE seq = 150").fetchone()[0].encode()
        spool._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = path.read_bytes()
    at = content.index(body)
    path.write_bytes(content[:at] + rot[: len(body)].ljust(len(body), b" ") + content[at + len(body) :])
    with opened(path) as spool:
        assert spool.unsettled(log, 1000, RangeSet()) == samples[:149] + samples[150:]
        assert stated(spool, log) == StatementLog(log, 1, 301, [(150, 150, "damaged")])
        assert len(rows(spool, log)) == 299


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("a folder", "cannot use the spool"),
        ("no such place", "cannot use"),
        pytest.param("locked", "is locked", marks=pytest.mark.slow),  # SQLite waits ten seconds for it
    ],
)
def test_a_sound_file_that_cannot_be_opened_is_left_alone(path: Path, what: str, message: str) -> None:
    """What may pass, a lock or a missing right, is said and is no reason to set months of samples aside."""
    with opened(path) as spool:
        filled(spool, 3)
        log = spool.opening
    target = path
    with contextlib.ExitStack() as stack:
        if what == "locked":
            other = stack.enter_context(contextlib.closing(sqlite3.connect(path, isolation_level=None)))
            other.execute("PRAGMA locking_mode = EXCLUSIVE")
            other.execute("BEGIN EXCLUSIVE")
        elif what == "a folder":
            target = path.parent / "folder"
            target.mkdir()
        else:
            target = path / "below-a-file.db"
        with pytest.raises(Unavailable, match=message):
            Spool(target, ROOM, T0)
    assert not list(path.parent.glob("*damaged*"))
    with opened(path) as spool:
        assert unsettled(spool, log) == [1, 2, 3]


def test_two_agents_on_one_spool_are_refused(path: Path) -> None:
    """The second is told what to do; after the first has ended it may."""
    with opened(path), pytest.raises(Unavailable, match=r"in use by another agent\. Stop that one first"):
        Spool(path, ROOM, T0)
    Spool(path, ROOM, T0).close()


# --- settled -------------------------------------------------------------------------------------------------------


def test_unsettled_is_what_no_receipt_names(path: Path) -> None:
    """Everything to `through` and every range above it is settled; the rest comes in order, without what is skipped."""
    with opened(path) as spool:
        filled(spool, 20)
        log = spool.opening
        settle(spool, log, 3, (6, 8), (15, 15))
        assert unsettled(spool, log) == [4, 5, 9, 10, 11, 12, 13, 14, 16, 17, 18, 19, 20]
        assert unsettled(spool, log, limit=4) == [4, 5, 9, 10]
        assert unsettled(spool, log, limit=4, skip=RangeSet([(4, 4), (9, 12)])) == [5, 13, 14, 16]
        assert unsettled(spool, "another") == []
        assert [n for n in range(1, 21) if spool.is_settled(log, n)] == [1, 2, 3, 6, 7, 8, 15]
        assert (spool.through(log), spool.through("another")) == (3, 0)
        assert spool.depth() == (13, 20)


def test_receipts_add_up(path: Path) -> None:
    """A receipt says nothing about what it does not name: what an earlier one settled stays settled."""
    with opened(path) as spool:
        filled(spool, 20)
        settle(spool, spool.opening, 3, (6, 8))
        settle(spool, spool.opening, 4, (18, 20))
        assert unsettled(spool, spool.opening) == [5, *range(9, 18)]
        assert spool.through(spool.opening) == 4


def test_a_receipt_of_logs_that_are_not_here_is_passed_over(path: Path) -> None:
    """The bridge may know logs that this card never had."""
    with opened(path) as spool:
        filled(spool, 2)
        settle(spool, "another", 10)
        assert not spool.is_settled("another", 1)
        assert unsettled(spool, spool.opening) == [1, 2]


def test_another_store_unsettles_everything(path: Path) -> None:
    """Nothing is settled until the new store says so; no row has gone."""
    with opened(path) as spool:
        filled(spool, 5)
        settle(spool, spool.opening, 4)
        spool.unsettle()
        assert unsettled(spool, spool.opening) == [1, 2, 3, 4, 5]
        assert spool.through(spool.opening) == 0


def test_nothing_is_settled_after_an_opening(path: Path) -> None:
    """What was settled is memory, not disk: the card may be an old image of itself."""
    with opened(path) as spool:
        filled(spool, 5)
        log = spool.opening
        settle(spool, log, 5)
        assert unsettled(spool, log) == []
    with opened(path) as spool:
        assert unsettled(spool, log) == [1, 2, 3, 4, 5]


# --- what it says of itself ------------------------------------------------------------------------------------------


def test_the_statement_lists_the_openings_own_log_always(path: Path) -> None:
    """Empty as `oldest` = `next`: before the first commit, and when all was reclaimed."""
    with opened(path, max_bytes=1) as spool:
        log = spool.opening
        assert spool.statement() == Statement(log, [StatementLog(log, 1, 1)])
        append(spool, 3)
        assert spool.statement() == Statement(log, [StatementLog(log, 1, 1)])
        spool.commit()
        assert spool.statement() == Statement(log, [StatementLog(log, 1, 4)])
        settle(spool, log, 3)
        filled(spool, 1)
        assert spool.statement().logs == [StatementLog(log, 4, 5)]


def test_the_statement_lists_what_is_held_of_each_log(path: Path) -> None:
    """From its oldest row to its newest, the opening's own log last."""
    logs = []
    for count in (3, 1):
        with opened(path) as spool:
            filled(spool, count)
            logs.append(spool.opening)
    with opened(path) as spool:
        expected = [StatementLog(logs[0], 1, 4), StatementLog(logs[1], 1, 2), StatementLog(spool.opening, 1, 1)]
        assert spool.statement() == Statement(spool.opening, expected)


# --- space ---------------------------------------------------------------------------------------------------------


def test_settled_rows_stay_while_there_is_room(path: Path) -> None:
    """Months of history stay on the card, for a bridge that was restored from a backup."""
    with opened(path) as spool:
        filled(spool, 3000)
        settle(spool, spool.opening, 3000)
        filled(spool, 10)
        assert len(rows(spool, spool.opening)) == 3010


def test_the_oldest_settled_rows_go_first(path: Path) -> None:
    """When space is needed reclaimable rows go, oldest log first; what is unsettled stays."""
    with opened(path) as spool:
        filled(spool, 1500)
        first = spool.opening
    with opened(path) as spool:
        filled(spool, 3000)
        second, ceiling = spool.opening, spool.used_bytes()
    with opened(path, max_bytes=ceiling - 20_000) as spool:
        settle(spool, first, 1500)
        settle(spool, second, 0, (1001, 3000))
        filled(spool, 10)
        assert rows(spool, first) == list(range(1001, 1501))
        assert len(rows(spool, second)) == 3000
        for _ in range(30):
            filled(spool, 100)
        assert first not in spool.logs()
        assert unsettled(spool, second) == list(range(1, 1001))
        assert all(a > 1000 for e in spool.statement().logs for a, _, _ in e.gone)


def test_a_full_spool_reclaims_behind_what_is_unsettled(path: Path) -> None:
    """One sample that the bridge lacks holds up neither the commit nor the space behind it. The hole is declared:
    to another store, to which these numbers are not settled, they are gone."""
    with opened(path) as spool:
        filled(spool, 4000)
        log, ceiling = spool.opening, spool.used_bytes()
    with opened(path, max_bytes=ceiling // 2) as spool:
        settle(spool, log, 0, (2, 4000))
        filled(spool, 1)
        left = rows(spool, log)
        assert left[0] == 1
        assert 0 < len(left) < 2500
        (gone,) = (stated(spool, log) or StatementLog("", 1, 1)).gone
        assert gone == (2, left[1] - 1, "no_space")


def test_a_tail_that_was_reclaimed_is_declared_also_at_the_next_opening(path: Path) -> None:
    """`next` does not shrink with the rows: another store must hear of numbers that it will not get."""
    with opened(path) as spool:
        filled(spool, 10)
        log = spool.opening
    for _ in range(2):
        with opened(path, max_bytes=1) as spool:
            settle(spool, log, 0, (4, 10))
            spool._room.reclaim_oldest()
            assert stated(spool, log) == StatementLog(log, 1, 11, [(4, 10, "no_space")])


def test_a_log_that_was_given_up_whole_stays_listed_with_its_reason(path: Path) -> None:
    """Empty, as `oldest` = `next`, in this opening and the next."""
    with opened(path) as spool:
        filled(spool, 10)
        log = spool.opening
    with opened(path, max_bytes=1) as spool:
        filled(spool, 1)
        assert stated(spool, log) == StatementLog(log, 11, 11, [(1, 10, "no_space")])
    with opened(path) as spool:
        assert stated(spool, log) == StatementLog(log, 11, 11, [(1, 10, "no_space")])


def test_giving_up_is_whole_or_nothing(path: Path) -> None:
    """Rows never go undeclared, and none is declared gone that is still held: that would settle it unseen."""
    with opened(path) as spool:
        filled(spool, 10)
        before = spool.statement().logs
        spool._db.execute("CREATE TEMP TRIGGER t BEFORE DELETE ON samples BEGIN SELECT raise(ABORT, 'broken'); END")
        spool._room.max_bytes = 1
        append(spool, 1)
        with pytest.raises(sqlite3.Error, match="broken"):
            spool.commit()
        assert spool.statement().logs == before
        assert rows(spool, spool.opening) == list(range(1, 11))
        spool._db.execute("DROP TRIGGER t")
        spool._room.max_bytes = ROOM
        spool.commit()
        assert rows(spool, spool.opening) == list(range(1, 12))


# --- at most so many logs --------------------------------------------------------------------------------------------


def with_logs(path: Path, count: int) -> list[str]:
    """A card that holds so many logs of two samples each. Written by SQL: opening it so often would take long."""
    Spool(path, ROOM, T0).close()
    names = [f"log{n:04}" for n in range(count)]
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("DELETE FROM logs")
        db.executemany("INSERT INTO logs VALUES (?,?,0)", [(n + 10, name) for n, name in enumerate(names)])
        body = '[["kasuga-bridge","water_level","m",1.0,null]]'
        rows = [(n + 10, seq, T0 + seq, "synced", body) for n in range(count) for seq in (1, 2)]
        db.executemany("INSERT INTO samples (log_id, seq, observed_ms, clk, body) VALUES (?,?,?,?,?)", rows)
        db.commit()
    return names


def held(spool: Spool) -> list[str]:
    return [entry.log for entry in spool.statement().logs if entry.oldest < entry.next]


def test_a_card_keeps_at_most_so_many_logs(path: Path) -> None:
    """Beyond the limit the oldest is given up, and declared with this reason; the opening's own counts."""
    names = with_logs(path, MAX_LOGS)
    with opened(path) as spool:
        assert held(spool) == names
        filled(spool, 1)
        assert held(spool) == [*names[1:], spool.opening]
        assert stated(spool, names[0]) == StatementLog(names[0], 3, 3, [(1, 2, "log_limit")])
        filled(spool, 1)
        assert held(spool) == [*names[1:], spool.opening]


def test_a_wholly_settled_log_goes_before_an_unsettled_one(path: Path) -> None:
    """And no settled row of a log that must stay anyway is taken for nothing."""
    names = with_logs(path, MAX_LOGS)
    with opened(path) as spool:
        settle(spool, names[0], 1)
        settle(spool, names[5], 2)
        settle(spool, names[7], 2)
        filled(spool, 1)
        assert held(spool) == [*names[:5], *names[6:], spool.opening]
        assert rows(spool, names[0]) == [1, 2]
        assert stated(spool, names[5]) is None  # nothing is to be told of it


def test_far_too_many_logs_are_mended_at_once(path: Path) -> None:
    """Whatever made so many: after one commit the limit holds, and so does it at the next opening for empty ones."""
    names = with_logs(path, MAX_LOGS + 60)
    with opened(path) as spool:
        filled(spool, 1)
        assert held(spool) == [*names[61:], spool.opening]
    with opened(path) as spool:
        assert len(spool.statement().logs) == MAX_LOGS + 1
        assert set(names[61:]) <= set(spool.logs())


# --- any sequence, against a model -----------------------------------------------------------------------------------

PAGE = 512  # small pages, so that a few dozen rows fill a card


@dataclass
class Model:
    """What a spool should hold: log -> numbers on the card; settled and declared numbers by log."""

    opening: str
    card: dict[str, set[int]] = field(default_factory=dict)
    settled: dict[str, set[int]] = field(default_factory=dict)
    pending: list[int] = field(default_factory=list)
    assigned: int = 0
    assigned_of: dict[str, int] = field(default_factory=dict)


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["append", "append", "commit", "commit", "settle", "unsettle", "fail", "reopen", "kill"]),
        st.integers(0, 12),
        st.integers(0, 12),
    ),
    max_size=40,
)


@hypothesis_settings(deadline=None, max_examples=60)
@given(OPERATIONS, st.integers(2, 12))
def test_any_life_of_a_spool(operations: list[tuple[str, int, int]], pages: int) -> None:
    """Whatever is appended, committed, settled, refused, reclaimed and reopened: a row leaves the card only settled or
    declared, an unsettled one only when no settled one is left; nothing is renumbered; the statement says what is
    held."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "spool.db"
        with contextlib.closing(sqlite3.connect(path)) as db:
            db.execute(f"PRAGMA page_size = {PAGE}")
            db.execute("VACUUM")
        ceiling = (7 + pages) * PAGE
        spool = Spool(path, ceiling, T0, 3)
        model = Model(spool.opening)
        for what, x, y in operations:
            match what:
                case "append":
                    assert [s.seq for s in append(spool, x)] == [model.assigned + n + 1 for n in range(x)]
                    model.pending += range(model.assigned + 1, model.assigned + x + 1)
                    model.assigned += x
                case "commit":
                    committed(spool, model, ceiling)
                case "fail" if model.pending:
                    relent = read_only(spool)
                    with pytest.raises(sqlite3.OperationalError):
                        spool.commit()
                    relent()
                case "settle":
                    log = spool.logs()[x % len(spool.logs())]
                    settle(spool, log, y, (y + 2, y + 1 + x))
                    model.settled.setdefault(log, set()).update(range(1, y + 1), range(y + 2, y + 2 + x))
                case "unsettle":
                    spool.unsettle()
                    model.settled.clear()
                case "reopen" | "kill":
                    if what == "reopen":
                        committed(spool, model, ceiling)
                        spool.close()
                    else:
                        kill(spool)
                    spool = Spool(path, ceiling, T0, 3)
                    assert spool.opening not in model.card
                    model = Model(spool.opening, model.card)
            compare(spool, model)
        kill(spool)


def committed(spool: Spool, model: Model, ceiling: int) -> None:
    """Commit, and judge what left the card."""
    before = {log: set(rows(spool, log)) for log in spool.logs()}
    spool.commit()
    after = {log: set(rows(spool, log)) for log in before}
    settled = {(log, n) for log in before for n in before[log] & model.settled.get(log, set())}
    for log in before:
        left = before[log] - after[log]
        entry = stated(spool, log)
        declared = RangeSet((a, b) for a, b, _ in entry.gone) if entry else RangeSet()
        given_up = {n for n in left if (log, n) not in settled}
        assert all(n in declared for n in given_up)
        assert not given_up or not any(n in after[name] for name, n in settled), "a settled row was left"
        model.card[log] = after[log]
    model.card[model.opening] = set(rows(spool, model.opening))
    assert set(model.pending) <= model.card[model.opening]
    model.pending = []


def compare(spool: Spool, model: Model) -> None:
    for log, numbers in model.card.items():
        assert set(rows(spool, log)) == numbers
        assert unsettled(spool, log) == sorted(numbers - model.settled.get(log, set()))
        entry = stated(spool, log)
        if entry is None:
            assert not numbers
            continue
        assert not numbers or entry.oldest == min(numbers)
        assert not numbers or entry.next > max(numbers)
        declared = RangeSet((a, b) for a, b, _ in entry.gone)
        assert not any(n in declared for n in numbers)
        if log != spool.opening:  # of a closed log every number below `next` is held, declared or below `oldest`
            assert all(n in numbers or n in declared for n in range(entry.oldest, entry.next))
    own = stated(spool, spool.opening)
    assert own is not None
    assert own.next == model.assigned - len(model.pending) + 1
    held = sum(len(numbers) for numbers in model.card.values()) + len(model.pending)
    assert spool.depth()[1] == held
    assert {reason for e in spool.statement().logs for _, _, reason in e.gone} <= {GoneReason.NO_SPACE}


def test_the_limits_are_those_of_the_contract() -> None:
    """wire.md, receipts, rule 6."""
    assert spool_module.MAX_LOGS == 200
