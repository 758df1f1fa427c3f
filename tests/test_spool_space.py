"""A full spool: what is given up, in which order, and how it is said."""

from __future__ import annotations

import contextlib
import itertools
import random
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from gateway.edge import grouped, thinning
from gateway.edge.held import HeldLog
from gateway.edge.spool import Spool
from gateway.errors import FaultCode, GoneReason
from gateway.model import ClockState, Reading
from gateway.ranges import RangeSet
from tests.spools import filled, kill, opened, rows, settle, stated, unsettled
from tests.world import STATION, T0

MINUTE = 60_000
PAGE = 512  # small pages, so that a few dozen rows fill a card
READINGS = [Reading(STATION, "water_level", "m", 1.5)]
BEGINS = [*READINGS, Reading(STATION, "rain", "mm", fault=FaultCode.COUNT_LOST)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool.db"


def minutes(spool: Spool, count: int, raised: bool = False, commit: int = 1) -> None:
    """One sample a minute, committed one by one."""
    for _ in range(count // commit):
        for _ in range(commit):
            spool.append(T0 + MINUTE * spool._pending.seq, ClockState.SYNCED, READINGS, raised=raised)
        spool.commit()


# --- the shape of a month ------------------------------------------------------------------------------------------


def test_a_long_outage_keeps_its_shape(path: Path) -> None:
    """At ten times what the card holds, every part of the time offline is still there, alike, in few ranges."""
    with opened(path) as spool:
        minutes(spool, 3000, commit=20)
        log = spool.opening
        spool._room.max_bytes = spool.used_bytes()
        minutes(spool, 27_000, commit=20)
        left = rows(spool, log)
        assert 2000 < len(left) < 3100
        entry = stated(spool, log)
        assert entry is not None
        assert {reason for _, _, reason in entry.gone} == {"no_space"}
        assert len(entry.gone) < 60
        longest = max(b - a + 1 for a, b, _ in entry.gone)
        assert longest <= 16 * thinning.BLOCK_ROWS
        for tenth in range(9):
            here = [n for n in left if tenth * 3000 < n <= (tenth + 1) * 3000]
            assert 100 < len(here) < 800, tenth
        assert left[-61:] == list(range(30_000 - 60, 30_001))


def test_what_was_given_up_is_said_once_and_declared_for_good(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Held and declared make up all numbers, also after the next opening, which the bridge computes afresh."""
    with opened(path) as spool:
        filled(spool, 6000)
        log, ceiling = spool.opening, spool.used_bytes()
        spool._room.max_bytes = ceiling - 1
        for _ in range(5):
            filled(spool, 1000)
        assert spool.used_bytes() <= ceiling + 200_000
        before = stated(spool, log)
        assert before is not None
        assert sum("is full" in r.getMessage() for r in caplog.records) == 1
    with opened(path) as spool:
        assert stated(spool, log) == before
        declared = {n for a, b, _ in before.gone for n in range(a, b + 1)}
        held = set(rows(spool, log))
        assert not held & declared
        assert held | declared == set(range(1, 11_001))
        assert spool.depth()[1] == len(held)


def test_of_many_short_logs_every_second_one_goes(path: Path) -> None:
    """A device that restarts all the time keeps the shape of its outage as well."""
    for opening in range(20):
        with opened(path) as spool:
            for n in range(40):
                spool.append(T0 + MINUTE * (40 * opening + n), ClockState.SYNCED, READINGS)
            spool.commit()
    with opened(path) as spool:
        logs = spool.logs()[:-1]
        spool._room.max_bytes = spool.used_bytes() * 5 // 6
        spool.append(T0 + MINUTE * 900, ClockState.SYNCED, READINGS)
        spool.commit()
        left = [bool(rows(spool, log)) for log in logs]
        gone = [n for n, there in enumerate(left) if not there]
        assert 5 <= len(gone) <= 10
        assert all(b - a == 2 for a, b in itertools.pairwise(gone))


# --- what goes last ------------------------------------------------------------------------------------------------


def test_the_raised_interval_and_the_newest_hour_go_last(path: Path) -> None:
    """A flood of last week is whole when all around it was given up."""
    with opened(path) as spool:
        minutes(spool, 600)
        minutes(spool, 300, raised=True)
        minutes(spool, 600)
        log = spool.opening
        keep = {*range(601, 901), *range(1440, 1501)}
        for share in (0.9, 0.7, 0.5, 0.35):
            spool._room.max_bytes = int(spool.used_bytes() * share / 0.95) if share == 0.9 else spool._room.max_bytes
            minutes(spool, 1)
            keep = {n + 1 if n > 900 else n for n in keep}
            assert keep <= set(rows(spool, log))
            spool._room.max_bytes = int(spool._room.max_bytes * 0.8)


def test_raised_samples_among_others_are_kept_alone(path: Path) -> None:
    """Where one sensor of the device reads raised and another does not, only the other's samples are given up."""
    with opened(path) as spool:
        for n in range(3000):
            spool.append(T0 + MINUTE * n, ClockState.SYNCED, READINGS, raised=n % 4 == 0)
        spool.commit()
        log = spool.opening
        spool._room.max_bytes = int(spool.used_bytes() * 0.6)
        minutes(spool, 5)
        left = rows(spool, log)
        assert {n for n in range(1, 3001) if n % 4 == 1} <= set(left)
        assert len(left) < 2500


@pytest.mark.parametrize("step", [-86_400_000, 86_400_000], ids=["back", "forwards"])
def test_a_clock_that_was_set_does_not_stretch_the_newest_hour(path: Path, step: int) -> None:
    """The hour counts in the order of reading: what was read before the clock was set is old."""
    with opened(path) as spool:
        minutes(spool, 300)
        log = spool.opening
        for n in range(50):
            spool.append(T0 + step + MINUTE * (300 + n), ClockState.SYNCED, READINGS)
        spool.commit()
        spool._room.max_bytes = int(spool.used_bytes() * 0.6)
        minutes(spool, 1)
        assert set(range(301, 351)) <= set(rows(spool, log))


def test_an_hour_that_is_more_than_the_card_loses_its_oldest(path: Path) -> None:
    """When nothing else is left the newest hour goes too, oldest first: the agent goes on."""
    with opened(path) as spool:
        for n in range(2000):
            spool.append(T0 + n, ClockState.SYNCED, READINGS)
        spool.commit()
        spool._room.max_bytes = spool.used_bytes() // 2
        spool.append(T0 + 2000, ClockState.SYNCED, READINGS)
        spool.commit()
        left = rows(spool, spool.opening)
        assert left == list(range(left[0], 2002))
        assert left[0] > 800


# --- few words -----------------------------------------------------------------------------------------------------


def test_the_statement_stays_small_whatever_was_settled(path: Path) -> None:
    """Thousands of holes between settled and unsettled samples are never declared one by one."""
    with opened(path) as spool:
        for _ in range(6):
            filled(spool, 1000)
        log = spool.opening
        settle(spool, log, 0, *[(n, n) for n in range(2, 6001, 2)])
        spool._room.max_bytes = spool.used_bytes() // 4
        filled(spool, 1)
        entry = stated(spool, log)
        assert entry is not None
        assert 0 < len(entry.gone) <= thinning.GONE_RANGES + 1
        assert spool.used_bytes() <= spool._room.max_bytes
        declared = RangeSet((a, b) for a, b, _ in entry.gone)
        held = rows(spool, log)
        assert not any(n in declared for n in held)
        assert len(held) + declared.count == 6001


def test_ranges_below_the_oldest_row_become_one(path: Path) -> None:
    """What was declared stands in one range once nothing between is held any more."""
    with opened(path) as spool:
        minutes(spool, 3000, commit=50)
        log, ceiling = spool.opening, spool.used_bytes()
        spool._room.max_bytes = int(ceiling * 0.7)
        minutes(spool, 1)
        before = stated(spool, log)
        assert before is not None
        assert len(before.gone) > 10
        settle(spool, log, 3001)
        spool._room.max_bytes = int(ceiling * 0.1)
        minutes(spool, 1)
        after = stated(spool, log)
        assert after is not None
        assert after.oldest > 2500
        assert len(after.gone) <= 2


@pytest.mark.parametrize("raised", [False, True])
def test_a_count_that_begins_again_is_never_thinned_away(path: Path, raised: bool) -> None:
    """While any other sample is left, each that says `count_lost` stays: without it, the tips before and after it would
    be one count. What is given up around them is declared, and they come back as they were."""
    with opened(path) as spool:
        for n in range(3000):
            begins = n % 97 == 0 or n in (1500, 1501)
            spool.append(T0 + MINUTE * n, ClockState.SYNCED, BEGINS if begins else READINGS, raised=raised)
        spool.commit()
        log = spool.opening
        keep = {n + 1 for n in [*range(0, 3000, 97), 1500, 1501]}
        for share in (0.8, 0.5, 0.6):
            spool._room.max_bytes = int(spool.used_bytes() * share)
            minutes(spool, 1)
            assert keep <= set(rows(spool, log))
        assert len(rows(spool, log)) < 1000
        entry = stated(spool, log)
        assert entry is not None
        declared = RangeSet((a, b) for a, b, _ in entry.gone)
        assert not keep & {n for a, b in declared for n in range(a, b + 1)}
        sent = [s for s in spool.unsettled(log, 10_000, RangeSet()) if s.begins]
        assert {s.seq for s in sent} == keep
        assert {s.raised for s in sent} == {raised}


def test_a_card_full_of_counts_that_begin_again(path: Path) -> None:
    """Where nothing else is left, the oldest go all the same: the card stays within its ceiling."""
    with opened(path) as spool:
        for n in range(1000):
            spool.append(T0 + MINUTE * n, ClockState.SYNCED, BEGINS)
        spool.commit()
        spool._room.max_bytes = ceiling = int(spool.used_bytes() * 0.6)
        minutes(spool, 1)
        assert spool.used_bytes() <= ceiling
        left = rows(spool, spool.opening)
        assert left[-1] == 1001
        assert 300 < len(left) < 700


def test_memory_that_is_full_keeps_a_count_that_begins() -> None:
    """While the card refuses, too: the oldest others are given up."""
    pending = grouped.Pending("a", most=50)
    for n in range(200):
        pending.append(T0 + n, ClockState.SYNCED, BEGINS if n in (0, 7, 30) else READINGS, None, raised=n % 5 == 0)
    left = [s.seq for s in pending]
    assert len(left) == 50
    assert {1, 8, 31} <= set(left)


# --- any life ------------------------------------------------------------------------------------------------------


@dataclass
class Card:
    """What was committed: (log, number) -> (minute, raised), in order of reading. `ever` was settled at some time and
    may be deleted: a log that was killed with nothing left of it does not remember how far it went."""

    rows: dict[tuple[str, int], tuple[int, bool]] = field(default_factory=dict)
    settled: set[tuple[str, int]] = field(default_factory=set)
    ever: set[tuple[str, int]] = field(default_factory=set)
    begins: set[tuple[str, int]] = field(default_factory=set)
    clock: int = 0


LIFE = st.lists(
    st.tuples(
        st.sampled_from(["plain", "plain", "raised", "mixed", "begins", "settle", "unsettle", "reopen", "ceiling"]),
        st.integers(1, 40),
        st.integers(0, 40),
    ),
    max_size=30,
)


@hypothesis_settings(deadline=None, max_examples=60)
@given(LIFE, st.integers(4, 30), st.sampled_from([2, 8]))
def test_whatever_happens_the_account_closes_and_the_last_go_last(
    life: list[tuple[str, int, int]], pages: int, block: int
) -> None:
    """Held, deleted as settled and declared make up what was assigned; no held number is declared; a raised sample or
    one of the newest hour is given up only when no other is left, one in which a count begins only when all are such,
    and nothing is while a settled one is."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "spool.db"
        with contextlib.closing(sqlite3.connect(path)) as db:
            db.execute(f"PRAGMA page_size = {PAGE}")
            db.execute("VACUUM")
        ceiling = (9 + pages) * PAGE
        spool, card = small(path, ceiling, block), Card()
        for what, x, y in life:
            match what:
                case "settle":
                    log = spool.logs()[x % len(spool.logs())]
                    settle(spool, log, y, (y + 2, y + 1 + x))
                    card.settled |= {(log, n) for n in [*range(1, y + 1), *range(y + 2, y + 2 + x)]}
                    card.ever |= card.settled
                case "unsettle":
                    spool.unsettle()
                    card.settled.clear()
                case "reopen":
                    kill(spool)
                    spool = small(path, ceiling, block)
                    card.settled.clear()
                case "ceiling":
                    spool._room.max_bytes = ceiling = (9 + x) * PAGE
                case _:
                    added(spool, card, what, x)
            account(spool, card)
        kill(spool)


def small(path: Path, ceiling: int, block: int) -> Spool:
    spool = Spool(path, ceiling, T0, 3, block_rows=block)
    spool._db.execute("PRAGMA synchronous = OFF")
    return spool


def added(spool: Spool, card: Card, what: str, count: int) -> None:
    """Commit so many samples, and judge what left the card for them."""
    before = held(spool)
    new = {}
    for n in range(count):
        card.clock += 7
        raised = what == "raised" or (what == "mixed" and n % 3 == 0)
        begins = what == "begins" and n % 3 == 0
        readings = BEGINS if begins else READINGS
        sample = spool.append(T0 + MINUTE * card.clock, ClockState.SYNCED, readings, raised=raised)
        new[(sample.log, sample.seq)] = (card.clock, raised or begins)
        card.begins |= {(sample.log, sample.seq)} if begins else set()
    spool.commit()
    after = held(spool)
    assert new.keys() <= after
    newest = max(card.rows[key][0] for key in before) if before else 0
    last = {key for key in before if card.rows[key][1] or card.rows[key][0] >= newest - 60}
    lost = before - after - card.settled
    if lost:
        assert not before & after & card.settled, "a settled sample was left"
    if lost & last:
        assert not before & after - last, "a sample that goes before others was left"
    if lost & card.begins:
        assert not before & after - card.begins, "a count that begins went before another sample"
    card.rows |= new


def held(spool: Spool) -> set[tuple[str, int]]:
    return {(log, n) for log in spool.logs() for n in rows(spool, log)}


def account(spool: Spool, card: Card) -> None:
    there = held(spool)
    declared = {}
    for entry in spool.statement().logs:
        declared[entry.log] = RangeSet((a, b) for a, b, _ in entry.gone)
        assert sum(b - a + 1 for a, b, _ in entry.gone) == declared[entry.log].count, "two reasons for one number"
        assert all(a < entry.next and b < entry.next for a, b, _ in entry.gone)
    for log, n in card.rows:
        is_declared = log in declared and n in declared[log]
        assert not ((log, n) in there and is_declared), "held and declared"
        said = next((e for e in spool.statement().logs if e.log == log), None)
        forgotten = said is None or n < said.oldest or (n >= said.next and (log, n) in card.ever)
        assert (log, n) in there or is_declared or forgotten
    assert spool.depth() == (len(there - card.settled), len(there))
    for log in spool.logs():
        assert unsettled(spool, log) == sorted(n for name, n in there - card.settled if name == log)


# --- arithmetic ----------------------------------------------------------------------------------------------------


def test_what_is_held_follows_every_deletion() -> None:
    """Against a plain set of numbers: held, count and oldest, whatever is deleted and why."""
    rng = random.Random(7)
    for _ in range(300):
        size = rng.randrange(1, 60)
        entry, model = HeldLog(1, "a").grown(size + 1, []), set(range(1, size + 1))
        for _ in range(rng.randrange(12)):
            a = rng.randrange(1, size + 1)
            b = rng.randrange(a, size + 1)
            head = bool(model) and a <= min(model)
            reason = rng.choice([GoneReason.NO_SPACE, GoneReason.DAMAGED, *([None] if head else [])])
            entry, model = entry.without([(a, b)], reason), model - set(range(a, b + 1))
            assert {n for x, y in entry.held(1, size) for n in range(x, y + 1)} == model
            assert entry.count == len(model)
            assert entry.oldest == (min(model) if model else size + 1)
            assert not {n for x, y, _ in entry.gone for n in range(x, y + 1)} & model
            reasons = [reason for _, _, reason in entry.gone]
            for (_, y, one), (x, _, other) in itertools.pairwise(entry.gone):
                assert one != other or model & set(range(y, x)), reasons


def test_the_limits_are_those_of_the_document() -> None:
    """The head of thinning.py and the README name these numbers."""
    assert (thinning.GONE_RANGES, thinning.BLOCK_ROWS, thinning.BLOCKS) == (1000, 64, 256)
    assert thinning.NEWEST_MS == 3_600_000
