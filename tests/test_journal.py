"""The journal: what a batch means for it, that it stands, and that a chain which was touched is known by its row."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway import journal, journalfile
from gateway.bridge.store import Store
from gateway.bridge.work import Memory, Rules, Work
from gateway.journal import Broken, Entry, Kind, Row
from gateway.journalsheet import Sheet, html
from gateway.model import Change, Transition
from gateway.stations import Registry
from tests import world
from tests.world import LEVELS, STATION, T0, TENANT

MINUTE = 60_000
SAID = Entry(T0, Kind.MANUAL, TENANT, STATION, by="田中", body={"kind": "call", "text": '消防団へ電話、"出動"\n1班'})


class Desk:
    """A store and the batches that are written to it, at times of their own."""

    def __init__(self, path: Path, reg: Registry | None = None) -> None:
        self.path, self.registry = path, reg or world.registry()
        self.store = Store(path)
        self.memory: Memory = self.store.load()
        self.seq = 0

    def work(self, at_ms: int) -> Work:
        return Work(self.memory, Rules(self.registry, world.bridge(self.path), at_ms, at_ms + 300_000, T0))

    def write(self, work: Work) -> None:
        self.store.commit(work)
        work.swap_in()

    def tick(self, at_ms: int) -> None:
        work = self.work(at_ms)
        work.tick()
        if not work.empty():
            self.write(work)

    def measured(self, value: float, at_ms: int, late_ms: int = 500) -> None:
        work = self.work(at_ms + late_ms)
        self.seq += 1
        work.observe([world.observation(self.seq, value, observed_ms=at_ms, received_ms=at_ms + late_ms)])
        self.write(work)

    def say(self, *entries: Entry, at_ms: int = T0) -> None:
        work = self.work(at_ms)
        work.entries += entries
        self.write(work)

    def rows(self, kind: Kind | None = None) -> list[Row]:
        return [x for x in journalfile.rows(self.path) if kind is None or x.kind == kind.value]

    def again(self, reg: Registry | None = None) -> None:
        """Restart, by another configuration where one is given."""
        self.store.close()
        self.registry = reg or self.registry
        self.store = Store(self.path)
        self.memory = self.store.load()


@pytest.fixture
def desk(tmp_path: Path) -> Any:
    found = Desk(tmp_path / "store.db")
    yield found
    found.store.close()


# --- the chain -----------------------------------------------------------------------------------------------------


def chained(*entries: Entry) -> list[Row]:
    out, previous = list[Row](), journal.GENESIS
    for number, e in enumerate(entries, 1):
        row = Row(number, e.at_ms, T0 + number, e.kind.value, e.tenant, e.station, e.episode, e.by, e.text)
        previous = journal.link(previous, row)
        out.append(replace(row, hash=previous))
    return out


ROWS = chained(*(replace(SAID, at_ms=T0 + i) for i in range(5)))


def test_a_hash_can_be_computed_by_whoever_has_the_row() -> None:
    """SHA-256 over the hash before, a line feed and one JSON array of the columns: nothing that needs our code."""
    body = '{"kind":"call","text":"消防団へ電話、\\"出動\\"\\n1班"}'
    said = json.dumps([1, T0, T0 + 1, "manual", TENANT, STATION, "", "田中", body], ensure_ascii=False)
    text = said.replace(", ", ",", 8)
    assert journal.canonical(ROWS[0]) == text.encode()
    assert ROWS[0].hash == hashlib.sha256(b"0" * 64 + b"\n" + text.encode()).hexdigest()
    assert journal.verify(ROWS) == (ROWS[-1].hash, 5)
    assert journal.verify([]) == (journal.GENESIS, 0)


def swapped(rows: Sequence[Row], i: int, **changes: Any) -> list[Row]:
    return [*rows[:i], replace(rows[i], **changes), *rows[i + 1 :]]


@pytest.mark.parametrize(
    ("what", "rows", "number"),
    [
        ("another text", swapped(ROWS, 2, body="{}"), 3),
        ("another time of happening", swapped(ROWS, 0, at_ms=T0 - 1), 1),
        ("another time of recording", swapped(ROWS, 4, recorded_ms=T0), 5),
        ("another person", swapped(ROWS, 1, by="佐藤"), 2),
        ("another kind", swapped(ROWS, 1, kind="drill"), 2),
        ("another station", swapped(ROWS, 1, station="elsewhere"), 2),
        ("another episode", swapped(ROWS, 1, episode="e"), 2),
        ("another tenant", swapped(ROWS, 1, tenant="other"), 2),
        ("a row that is gone", [*ROWS[:2], *ROWS[3:]], 3),
        ("the first row gone", ROWS[1:], 1),
        ("a row twice", [*ROWS[:2], ROWS[1], *ROWS[2:]], 3),
        ("two rows exchanged", [ROWS[0], ROWS[2], ROWS[1], *ROWS[3:]], 2),
        ("a row changed with a hash that fits it", chained(SAID)[:1] + ROWS[1:], 2),
    ],
)
def test_what_was_touched_is_named(what: str, rows: list[Row], number: int) -> None:
    """The first row that does not follow from the ones before it."""
    if what.endswith("fits it"):
        rows[0] = replace(rows[0], at_ms=T0 - 5)
        rows[0] = replace(rows[0], hash=journal.link(journal.GENESIS, rows[0]))
    found = journal.verify(rows)
    assert isinstance(found, Broken)
    assert found.number == number, what


# --- the store -----------------------------------------------------------------------------------------------------


def test_no_row_is_changed_or_removed(desk: Desk) -> None:
    """The file itself refuses it, whoever opens it."""
    desk.say(SAID)
    for sql in ("UPDATE journal SET body = '{}'", "DELETE FROM journal", "INSERT OR REPLACE INTO journal "
                "SELECT id, 0, 0, kind, tenant, station, episode, by, body, hash FROM journal"):  # fmt: skip
        with pytest.raises(sqlite3.IntegrityError):
            desk.store.db.execute(sql)
    assert [x.facts for x in desk.rows()] == [dict(SAID.body or {})]


def test_the_chain_goes_on_over_batches_and_restarts(desk: Desk) -> None:
    """Rows of one batch and of later ones, of this process and the next, are one chain; no batch, no row."""
    desk.say(SAID, SAID)
    desk.again()
    desk.say(SAID, at_ms=T0 + MINUTE)
    found = desk.rows()
    assert [x.number for x in found] == [1, 2, 3]
    assert [x.recorded_ms - T0 for x in found] == [0, 0, MINUTE]
    assert journalfile.verify(desk.path) == (found[-1].hash, 3)
    assert journalfile.last(desk.path) == (3, found[-1].hash)


def broken_by(path: Path, *statements: str) -> Broken:
    db = sqlite3.connect(path)
    for sql in ("DROP TRIGGER journal_stands", "DROP TRIGGER journal_stays", *statements):
        db.execute(sql)
    db.commit()
    db.close()
    found = journalfile.verify(path)
    assert isinstance(found, Broken)
    return found


@pytest.mark.parametrize(
    ("sql", "number"),
    [
        ("UPDATE journal SET at_ms = at_ms + 1 WHERE id = 2", 2),
        ("DELETE FROM journal WHERE id = 1", 1),
        ("DELETE FROM journal WHERE id >= 3", 3),
        ("DELETE FROM journal", 1),
        ("INSERT INTO journal SELECT 9, 0, 0, 'manual', '', '', '', '', '{}', hash FROM journal WHERE id = 4", 5),
    ],
)
def test_a_file_that_was_touched_is_known(desk: Desk, sql: str, number: int) -> None:
    """Even by somebody who took the refusing triggers away; rows cut off at the end are known too."""
    desk.say(SAID, SAID, SAID, SAID)
    assert broken_by(desk.path, sql).number == number


def test_a_batch_that_fails_leaves_no_row(desk: Desk) -> None:
    """The journal is written with what it tells or not at all, and the chain has no hole after it."""
    desk.say(SAID)
    work = desk.work(T0)
    work.entries.append(replace(SAID, by="\ud800"))
    with pytest.raises(UnicodeEncodeError):
        desk.store.commit(work)
    desk.say(SAID)
    found = journalfile.verify(desk.path)
    assert isinstance(found, tuple)
    assert found[1] == 2


# --- what a batch tells ------------------------------------------------------------------------------------------


def test_readings_that_change_a_rank_are_told_with_what_they_were_judged_by(desk: Desk) -> None:
    """One row for the rise, none for the readings around it: level, threshold, flag, and when it was known."""
    for i, value in enumerate((1.0, 1.2, 2.6, 2.7)):
        desk.measured(value, T0 + i * MINUTE)
    (row,) = desk.rows(Kind.TRANSITION)
    at = T0 + 2 * MINUTE
    assert (row.at_ms, row.recorded_ms, row.tenant, row.station) == (at, at + 500, TENANT, STATION)
    facts = row.facts
    assert facts.pop("key") == f"{TENANT}/{row.episode}/water_level/rise-0-3/{at}"
    assert facts.pop("threshold") == {
        "level": "evacuation", "rank": 3, "value": 2.5, "authority": "県", "basis": "基準水位観測所",
        "source": "a test",
    }  # fmt: skip
    assert len(str(facts.pop("thresholds"))) == 8
    assert facts == {
        "channel": "water_level", "change": "rise", "from_rank": 0, "to_rank": 3, "value": 2.6, "unit": "m",
        "confirmed": True, "rings": True, "level": "evacuation",
            "name": {"ja": "避難判断水位", "en": "evacuation-judgement level"},
            "table": "jp-2026", "flag": facts["flag"],
        "tests": facts["tests"], "received_ms": at + 500,
    }  # fmt: skip
    assert desk.rows() == [row]


def test_a_transition_that_the_store_knows_is_not_told_twice(desk: Desk) -> None:
    """Its key is a fact: what a replay arrives at again was told already."""
    desk.measured(3.5, T0)
    (told,) = desk.rows(Kind.TRANSITION)
    work = desk.work(T0 + MINUTE)
    work.observe([world.observation(9, 1.0, observed_ms=T0 + MINUTE)])
    key, e = str(told.facts["key"]), desk.memory.episodes[(TENANT, STATION)]
    known = Transition(TENANT, STATION, "water_level", e.id, Change.RISE, 0, 4, T0, 3.5)
    new = replace(known, change=Change.HELD, from_rank=4, at_ms=T0 + MINUTE)
    assert known.key == key
    work.transitions += [known, new, new]
    desk.write(work)
    assert [x.facts["key"] for x in desk.rows(Kind.TRANSITION)] == [key, new.key]


def test_an_episode_that_ends_by_itself_is_told(desk: Desk) -> None:
    """Rank 2 ends without a person: the journal says when."""
    for i in range(2):
        desk.measured(2.1, T0 + i * MINUTE)
    for i in range(2, 45):
        desk.measured(1.0, T0 + i * MINUTE)
    told = [(x.kind, x.facts.get("change")) for x in desk.rows()]
    assert told == [("transition", "rise"), ("transition", "fall"), ("ended", None)]
    assert desk.rows(Kind.ENDED)[0].facts == {"kind": "station", "max_rank": 2}


# --- thresholds in force -------------------------------------------------------------------------------------------


def revised(value: float, **dates: int) -> Registry:
    channel = world.channel(thresholds={})
    first = replace(world.threshold("danger", 3.0), valid_to_ms=dates.get("until"))
    second = replace(world.threshold("danger", value), valid_from_ms=dates.get("until"))
    marks = (first, second) if dates else (second,)
    return world.registry(world.station(channels=[replace(channel, thresholds=marks)]))


def danger(rows: Sequence[Row]) -> list[list[float]]:
    return [[x["value"] for x in row.facts["channels"]["water_level"]["thresholds"]] for row in rows]  # type: ignore[index]


def test_thresholds_are_told_at_the_start_and_once_for_each_change(tmp_path: Path) -> None:
    """At the first start, when a date comes, when the configuration differs; a restart alone says nothing."""
    midnight = T0 + 8 * 60 * MINUTE
    desk = Desk(tmp_path / "store.db", revised(3.2, until=midnight))
    for at in (T0, T0 + MINUTE, midnight - 1):
        desk.tick(at)
    assert danger(desk.rows(Kind.THRESHOLDS)) == [[3.0]]
    desk.tick(midnight)
    desk.tick(midnight + 1)
    desk.again()
    desk.tick(midnight + MINUTE)
    assert danger(desk.rows(Kind.THRESHOLDS)) == [[3.0], [3.2]]
    desk.again(revised(3.5))
    desk.tick(midnight + 2 * MINUTE)
    desk.again(world.registry(world.station("elsewhere")))
    desk.tick(midnight + 3 * MINUTE)
    found = desk.rows(Kind.THRESHOLDS)
    assert danger(found[:3]) == [[3.0], [3.2], [3.5]]
    assert {x.station: x.facts["channels"] == {} for x in found[3:]} == {STATION: True, "elsewhere": False}
    desk.tick(midnight + 4 * MINUTE)
    assert len(desk.rows(Kind.THRESHOLDS)) == len(found)
    desk.store.close()


def test_a_failed_commit_tells_the_thresholds_again(desk: Desk) -> None:
    """What was not committed was not told."""
    work = desk.work(T0)
    work.tick()
    assert len(work.entries) == 1
    desk.tick(T0 + 250)
    desk.tick(T0 + 500)
    assert len(desk.rows(Kind.THRESHOLDS)) == 1


def test_a_clock_that_is_not_believed_tells_no_thresholds(desk: Desk) -> None:
    """Nobody knows then which are in force."""
    work = Work(desk.memory, replace(desk.work(T0).rules, future_ms=None))
    work.tick()
    assert work.entries == []


def test_a_city_of_stations_is_told_in_parts(tmp_path: Path) -> None:
    """A first start with very many stations delays no batch by all of them at once, and leaves none out."""
    many = [world.station(f"s{i}", f"d{i}") for i in range(1200)]
    desk = Desk(tmp_path / "store.db", world.registry(*many))
    counts = []
    for i in range(4):
        desk.tick(T0 + i)
        counts.append(len(desk.rows(Kind.THRESHOLDS)))
    assert counts == [500, 1000, 1200, 1200]
    assert len({x.station for x in desk.rows(Kind.THRESHOLDS)}) == 1200
    desk.store.close()


def test_a_late_entry_on_paper_says_when_it_was_recorded() -> None:
    """The hour alone on the same day, else the day in a line of its own, with another year's number."""
    day = 24 * 3_600_000
    rows = [
        journal.Row(n, T0, T0 + late, "manual", TENANT, STATION, "", "田中", '{"what":"call","text":"x"}')
        for n, late in enumerate((0, 3_600_000, 2 * day, 60 * day), 1)
    ]
    sheet = Sheet("水位監視", "全観測所", "", "", "", (3, "0" * 64), "", {}, LEVELS, {})
    text = "".join(html(sheet, rows))
    assert text.count("記録 0") == 1
    assert "記録 11月27日<br>" in text
    assert "記録 2026年1月24日<br>" in text
