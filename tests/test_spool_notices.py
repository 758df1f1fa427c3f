"""What the spool tells staff, what it keeps in memory when the card refuses, and what `delivery: puback` gives away."""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path

import pytest

from gateway.edge.spool import Spool
from gateway.model import ClockState, Reading
from gateway.wire import StatementLog
from tests.spools import ROOM, append, filled, opened, rows, settle, stated, unsettled
from tests.world import STATION, T0

READINGS = [Reading(STATION, "water_level", "m", 1.5)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool.db"


def refusing(spool: Spool) -> None:
    spool._db.execute("PRAGMA query_only = ON")
    with pytest.raises(sqlite3.OperationalError):
        spool.commit()


def working(spool: Spool) -> None:
    spool._db.execute("PRAGMA query_only = OFF")


def test_half_and_nearly_full_are_told_once_and_taken_back(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """By the share that samples without a receipt fill; a receipt takes it back, with some distance."""
    caplog.set_level(logging.INFO)
    with opened(path) as spool:
        filled(spool, 2000)
        log = spool.opening
        spool._room.max_bytes = round(spool.used_bytes() / 0.7)
        for through, want in [(1000, []), (400, ["spool_half"]), (620, ["spool_half"]), (1000, [])]:
            spool.unsettle()
            settle(spool, log, through)
            filled(spool, 1)
            assert spool.statement().notices == want, through
        spool.unsettle()
        settle(spool, log, 0)
        spool._room.max_bytes = round(spool.used_bytes() / 0.85)
        filled(spool, 1)
        assert spool.statement().notices == ["spool_nearly_full"]
        assert spool.statement().used == pytest.approx(0.85, abs=0.02)
    said = [r.getMessage() for r in caplog.records if "filled" in r.getMessage()]
    assert len(said) == 3
    assert "has room again" in said[1]


def test_before_a_receipt_nothing_is_said_of_the_share(path: Path) -> None:
    """Months of settled history are no alarm at a restart: nobody knows yet what the bridge has."""
    with opened(path) as spool:
        filled(spool, 1000)
        log = spool.opening
        size = spool.used_bytes()
    with opened(path, max_bytes=round(size * 1.1)) as spool:
        filled(spool, 1)
        statement = spool.statement()
        assert (statement.notices, statement.used, statement.hours) == ([], None, None)
        settle(spool, log, 1000)
        assert spool.statement().used == pytest.approx(0.0, abs=0.01)


def test_hours_are_what_is_left_at_the_sampling_rates(path: Path) -> None:
    """The ceiling less what is unsettled, by what the sensors add in a second."""
    spool = Spool(path, 36_000_000, T0, bytes_per_s=1.0)
    settle(spool, spool.opening, 0)
    assert spool.statement().hours == 10_000.0
    filled(spool, 5000)
    assert spool.statement().hours == pytest.approx((36_000_000 - spool.used_bytes()) / 3600, abs=0.1)
    spool.close()


def test_thinned_is_told_for_a_day_after_the_last(path: Path) -> None:
    """And across a restart."""
    clock = [0.0]
    spool = Spool(path, ROOM, T0, now=lambda: clock[0])
    filled(spool, 3000)
    spool._room.max_bytes = spool.used_bytes() - 20_000
    filled(spool, 1)
    assert spool.statement().notices == ["spool_thinned"]
    spool._room.max_bytes = ROOM
    clock[0] += 600
    filled(spool, 1)
    spool.close()
    spool = Spool(path, ROOM, T0 + 3_600_000, now=lambda: clock[0])
    assert spool.statement().notices == ["spool_thinned"]
    clock[0] += 86_400
    assert spool.statement().notices == []
    spool.close()


# --- a card that refuses -------------------------------------------------------------------------------------------


def test_a_card_that_refuses_is_told_while_it_lasts(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The first failure and the recovery with the count."""
    caplog.set_level(logging.INFO)
    with opened(path) as spool:
        append(spool, 2)
        for _ in range(3):
            refusing(spool)
        assert spool.statement().notices == ["card_refuses"]
        working(spool)
        spool.commit()
        assert spool.statement().notices == []
    said = [r.getMessage() for r in caplog.records]
    assert sum("cannot be written" in text for text in said) == 1
    assert sum("again after 3 failures" in text for text in said) == 1


def test_memory_is_bounded_and_raised_samples_stay(path: Path) -> None:
    """Beyond so many samples the oldest that are not raised are given up, and declared when the card works again."""
    spool = Spool(path, ROOM, T0, max_pending=200)
    filled(spool, 10)
    log = spool.opening
    append(spool, 1)
    refusing(spool)
    for n in range(500):
        spool.append(T0 + 1000 * (100 + n), ClockState.SYNCED, READINGS, raised=20 <= n < 60)
        assert len(spool._pending) <= 200
    refusing(spool)
    working(spool)
    assert spool.commit() == len(rows(spool, log)) - 10
    left = rows(spool, log)
    assert {*range(1, 11), *range(32, 72), *range(400, 512)} <= set(left)
    entry = stated(spool, log)
    assert entry is not None
    declared = {n for a, b, why in entry.gone for n in range(a, b + 1) if why == "no_space"}
    assert declared | set(left) == set(range(1, 512))
    assert not declared & set(left)
    assert entry.next == 512
    assert spool.depth() == (len(left), len(left))
    spool.close()


def test_raised_samples_alone_are_bounded_too(path: Path) -> None:
    """When all that waits was raised, the oldest of it goes."""
    spool = Spool(path, ROOM, T0, max_pending=50)
    for n in range(120):
        spool.append(T0 + n, ClockState.SYNCED, READINGS, raised=True)
    assert spool.commit() == 50
    assert rows(spool, spool.opening) == list(range(71, 121))
    assert stated(spool, spool.opening) == StatementLog(spool.opening, 71, 121, [(1, 70, "no_space")])
    spool.close()


# --- delivery: puback ----------------------------------------------------------------------------------------------


def test_what_the_broker_acknowledged_is_deleted_and_not_sent_after_a_restart(path: Path) -> None:
    """By configuration only: settled at once, off the card at the next commit, declared as what it is."""
    with opened(path) as spool:
        filled(spool, 10)
        log = spool.opening
        spool.delete_acknowledged([(log, n) for n in (1, 2, 3, 6)] + [("another", 1)])
        assert unsettled(spool, log) == [4, 5, 7, 8, 9, 10]
        assert len(rows(spool, log)) == 10
        assert spool.commit() == 0
        assert rows(spool, log) == [4, 5, 7, 8, 9, 10]
        assert stated(spool, log) == StatementLog(log, 4, 11, [(1, 3, "puback"), (6, 6, "puback")])
    with opened(path) as spool:
        assert unsettled(spool, log) == [4, 5, 7, 8, 9, 10]


def test_what_was_acknowledged_before_its_commit_is_never_written(path: Path) -> None:
    """The card is spared; the number is accounted for."""
    with opened(path) as spool:
        append(spool, 5)
        log = spool.opening
        spool.delete_acknowledged([(log, n) for n in (1, 2, 3, 5)])
        assert spool.commit() == 5
        assert rows(spool, log) == [4]
        assert stated(spool, log) == StatementLog(log, 4, 6, [(1, 3, "puback"), (5, 5, "puback")])
        spool.delete_acknowledged([(log, 4)])
        spool.commit()
        assert stated(spool, log) == StatementLog(log, 6, 6, [(1, 5, "puback")])
        assert spool.depth() == (0, 0)


def test_an_acknowledged_row_outlives_a_card_that_refuses(path: Path) -> None:
    """It is deleted when the card works again."""
    with opened(path) as spool:
        filled(spool, 3)
        log = spool.opening
        spool.delete_acknowledged([(log, 1)])
        refusing(spool)
        assert stated(spool, log) == StatementLog(log, 1, 4)
        working(spool)
        spool.commit()
        assert stated(spool, log) == StatementLog(log, 2, 4, [(1, 1, "puback")])
