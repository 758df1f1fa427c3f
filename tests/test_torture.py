"""The torture's own judgement: a schedule that can be had again, and an account that does find what is wrong."""

from __future__ import annotations

import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from gateway import storefile
from tests.crash import oracle, plan
from tests.crash.oracle import Kill, Shown, Station, Stored
from tests.crash.receiver import Delivery
from tests.crash.town import THRESHOLDS, level_of

A_COMMIT = 12


# --- the schedule ----------------------------------------------------------------------------------------------------


def test_a_seed_is_a_schedule() -> None:
    """The same seed breaks the same things in the same order; another seed others."""
    assert plan.schedule(7, 300, 4) == plan.schedule(7, 300, 4)
    assert plan.schedule(7, 300, 4) != plan.schedule(8, 300, 4)


@pytest.mark.parametrize(("faults", "edges", "a_round"), [(1, 1, 100), (25, 2, 100), (149, 3, 50), (1000, 4, 100)])
def test_exactly_so_many_faults(faults: int, edges: int, a_round: int) -> None:
    """What is asked for is what is done, whatever the rounds."""
    rounds = plan.schedule(3, faults, edges, a_round)
    assert sum(plan.by_kind(rounds).values()) == faults
    assert max(sum(map(len, r.values())) for r in rounds) < 1.5 * a_round


def test_every_kind_occurs() -> None:
    """Chance leaves no kind of fault out of a thousand, nor out of a hundred."""
    every = {kind.name for kinds in plan.KINDS.values() for kind in kinds}
    assert set(plan.by_kind(plan.schedule(1, 1000, 4))) == every
    assert len(every - set(plan.by_kind(plan.schedule(1, 100, 4)))) <= 6  # lanes with few turns have many kinds


# --- samples ---------------------------------------------------------------------------------------------------------


def station(served: int, stored: list[int], carded: list[int] | None = None) -> Station:
    card = set(carded or [])
    return Station([0.2] * served, list(range(served)), Counter(stored), Counter(), card, card - set(stored))


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "store.db"
    db = sqlite3.connect(path, isolation_level=None)
    storefile.migrate(db, path)
    db.close()
    return path


def judged(store: Path, one: Station, *kills: Kill) -> oracle.Samples:
    return oracle.account({"g": one}, {"g": one.served}, kills, A_COMMIT, store)


CASES = [
    ("everything stored", station(30, [*range(1, 31)]), [], ""),
    ("the rest on the card", station(30, [*range(1, 21)], [*range(1, 31)]), [], ""),
    ("one lost, no kill", station(30, [n for n in range(1, 31) if n != 9]), [], "first: g, read 9"),
    ("one lost within a commit before a kill", station(30, [n for n in range(1, 31) if n != 9]), [Kill("g", 15)], ""),
    (
        "one lost longer before a kill",
        station(30, [n for n in range(1, 31) if n != 3]),
        [Kill("g", 15)],
        "first: g, read 3",
    ),
    ("one lost after a kill", station(30, [n for n in range(1, 31) if n != 16]), [Kill("g", 15)], "first: g, read 16"),
    ("a kill of another device", station(30, [n for n in range(1, 31) if n != 9]), [Kill("h", 15)], "lost"),
    ("gone with a card", station(30, [*range(5, 31)]), [Kill("g", 30, frozenset({1, 2, 3, 4}))], ""),
    ("stored twice", station(3, [1, 2, 2, 3]), [], "stored twice"),
    ("stored and never served", station(3, [1, 2, 3, 4]), [], "never served"),
]


@pytest.mark.parametrize(("one", "kills", "problem"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_the_account_of_samples(store: Path, one: Station, kills: list[Kill], problem: str) -> None:
    """Each read is stored once, held, or lost within one commit interval before a kill of its own device."""
    found = judged(store, one, *kills)
    assert (problem in " ".join(found.problems)) if problem else not found.problems
    assert found.served == found.stored + found.held + found.letters + found.gone + found.lost_at_kill


def test_dead_letters_and_what_is_declared_gone_are_counted_from_the_store(store: Path) -> None:
    """A sample set aside as a letter, or given up with a reason, is not lost."""
    db = sqlite3.connect(store, isolation_level=None)
    db.execute("INSERT INTO logs (id, tenant, device, log, top, rejected) VALUES (1, 't', 'd', 'L', 9, '[]')")
    db.execute(
        "INSERT INTO channels (id, tenant, station, channel, quantity) VALUES (1, 't', 'g', 'read_counter', 'n')"
    )
    db.execute("INSERT INTO thinned (channel_id, from_ms, to_ms, rows, at_ms) VALUES (1, 0, 0, 2, 0)")
    db.execute("INSERT INTO ranges VALUES (1, 'no_space', 1, 4), (1, 'lost_at_kill', 5, 5), (1, 'stored', 6, 9)")
    db.execute(
        """INSERT INTO dead_letters (key, tenant, device, topic, code, detail, payload, bytes, received_ms, log, seq,
           record, count) VALUES ('k', 't', 'd', 'x', 'not_json', '', x'', 0, 0, 'L', 9, 0, 1)"""
    )
    db.close()
    found = judged(store, station(20, [*range(1, 9), 20]), Kill("g", 20))
    assert (found.letters, found.gone, found.lost_at_kill) == (1, 4, 6)  # the two were seen stored, or a kill explains
    found = judged(store, station(20, [*range(1, 9), 20]))
    assert (found.letters, found.gone, found.lost_at_kill) == (1, 6, 4)
    assert found.problems  # four more than anybody declared
    assert not judged(store, station(20, [*range(1, 13), 20])).problems


def test_what_a_full_store_gave_up_is_found_in_the_database(store: Path) -> None:
    """A row that was pruned between two looks is stored all the same; one that stands twice there is a duplicate."""
    follower = oracle.Follower(store, {"g": store.parent / "spool.db"}, store.parent)
    one = follower.stations["g"] = station(5, [1, 2, 3], [1, 2, 3, 4, 5])
    assert judged(store, one).held == 2
    follower.written([("g", 4), ("g", 5)])
    assert (judged(store, one).held, judged(store, one).stored) == (0, 5)
    follower.written([("g", n) for n in (1, 2, 3, 4, 4, 5)], whole=True)
    assert judged(store, one).duplicates == 1


# --- alerts ----------------------------------------------------------------------------------------------------------

FLOOD = [(0, 0), (2, 1), (4, 2), (0, 3)]  # rank and number of each plateau, ten reads long


def flooded() -> dict[str, Station]:
    levels = [level_of(rank, plateau) for rank, plateau in FLOOD for _ in range(10)]
    return {"g": Station(levels, [1000 * n for n in range(len(levels))])}


def told(change: str, rank: int, plateau: int, key: str, at: float = 1.0, **more: Any) -> Delivery:
    at_ms = 10_000 * plateau + 1000
    body = {"station": "g", "change": change, "rank": rank, "confirmed": True, "observed_ms": at_ms, "rings": True}
    return Delivery(f"{key}/people", at, body | {"key": key, "value": level_of(rank, plateau)} | more)


def ring_of(d: Delivery) -> Delivery:
    """The ring that follows what could only be told without."""
    return Delivery(f"{d.key}/ring", d.at, d.body | {"rings": True})


GOOD = [told("rise", 2, 1, "a"), told("rise", 4, 2, "b"), told("fall", 0, 3, "c")]


def test_every_crossing_once_closes() -> None:
    """Three crossings were served and three were told; news of the data are no crossings."""
    found = oracle.alerts(flooded(), [*GOOD, told("held", 4, 2, "h"), told("restored", 4, 2, "r")], [])
    assert (found.facts, found.missed, found.repeated, found.deliveries_repeated, found.false) == (3, (), 0, 0, ())


def test_a_crossing_that_nobody_was_told_of_is_missed() -> None:
    """By the sensor's log alone; what the bridge thinks of it is not asked."""
    found = oracle.alerts(flooded(), GOOD[:2], [])
    assert found.missed == (f"g: {level_of(0, 3):.3f} m, reads 31 to 40",)


def test_a_second_key_for_one_crossing_is_a_repeated_alert() -> None:
    """Also where it tells the same."""
    assert oracle.alerts(flooded(), [*GOOD, told("rise", 4, 2, "b2")], []).repeated == 1


def test_a_ring_that_follows_is_no_second_alert() -> None:
    """A phone that had rung too often is told without a ring, and rings for it later: once, and not where it rang."""
    quiet = told("rise", 4, 2, "b", rings=False)
    night = [GOOD[0], quiet, ring_of(quiet), GOOD[2]]
    assert oracle.alerts(flooded(), night, []).repeated == 0
    again = Delivery("b/people/ring.ring", 2.0, GOOD[1].body)
    assert oracle.alerts(flooded(), [*night, again], []).repeated == 2
    assert oracle.alerts(flooded(), [*GOOD, ring_of(GOOD[1])], []).repeated == 1
    assert oracle.alerts(flooded(), [*GOOD, Delivery("b/people/x", 2.0, quiet.body)], []).repeated == 1


def test_a_second_delivery_is_excused_by_a_kill_between_and_by_nothing_else() -> None:
    """The key is the same, so the receiver can tell."""
    twice = [told("rise", 2, 1, "a", 1.0), told("rise", 2, 1, "a", 9.0), *GOOD[1:]]
    excused, not_excused = oracle.alerts(flooded(), twice, [5.0]), oracle.alerts(flooded(), twice, [0.5, 9.5])
    assert (excused.deliveries_repeated, excused.repeated, excused.false) == (1, 0, ())
    assert len(not_excused.false) == 1


@pytest.mark.parametrize(
    "wrong", [told("rise", 3, 1, "w"), told("rise", 2, 1, "w", value=9.9), told("rise", 2, 1, "w", station="h")]
)
def test_an_alert_of_what_was_never_served_is_false(wrong: Delivery) -> None:
    """Another rank than the level's, another level, another station."""
    assert len(oracle.alerts(flooded(), [*GOOD, wrong], []).false) == 1


def test_ranks_of_the_oracle_are_those_of_the_stations() -> None:
    """Two lists that must agree, kept apart on purpose."""
    assert tuple(THRESHOLDS.values()) == oracle.RANKS
    for rank in range(5):
        assert all(oracle.Plateau("g", level_of(rank, n), 1, 1, 0, 0).rank == rank for n in range(500))
    assert len({level_of(3, n) for n in range(500)}) == 500


# --- when a river may move on --------------------------------------------------------------------------------------


def shown(*rows: tuple[int, int], late_ms: int = 600_000) -> Shown:
    """Rows (observed, seen) of one plateau, in milliseconds."""
    out = Shown(late_ms)
    for observed_ms, now_ms in rows:
        out.note(Stored("g", 1, observed_ms), True, now_ms)
    return out


def test_a_level_was_seen_when_it_was_stored_fresh_three_times() -> None:
    """Stale rows and rows that are not the newest show nobody anything."""
    assert shown((1, 1), (2, 2), (3, 3)).enough(fall=False)
    assert not shown((1, 1), (2, 2)).enough(fall=False)
    assert not shown((1, 1), (2, 2), (2, 3)).enough(fall=False)
    assert not shown((1, 600_001), (2, 600_002), (3, 600_003)).enough(fall=False)


def test_a_fall_was_seen_after_half_an_hour_without_a_gap() -> None:
    """A gauge that was silent in between begins again."""
    steady = [(n * 120_000, n * 120_000) for n in range(1, 18)]
    assert shown(*steady).enough(fall=True)
    assert not shown(*steady[:15]).enough(fall=True)
    assert not shown(*steady[:5], *steady[9:]).enough(fall=True)
