"""What the town must have, by witnesses that are no part of it: the sensors' logs of what they served, the people's log
of what they were told, and, by SQL, what stands in the store, on the cards and in the database.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.crash.receiver import Delivery

COUNTER = "read_counter"
LEVEL = "water_level"
RANKS = (1.0, 2.0, 3.0, 4.0)  # the thresholds of the town's stations: rank n begins at n metres
FALL_MS = 31 * 60_000  # below threshold for so long, and a gauge has fallen
ROWS = 20_000  # of one look at a file


@dataclass(frozen=True, slots=True)
class Stored:
    """One sample in the store, in the order in which it came."""

    station: str
    counter: int
    observed_ms: int


@dataclass(slots=True)
class Station:
    """What is known of one station. `levels[n - 1]` and `served_ms[n - 1]` belong to read number n."""

    levels: list[float] = field(default_factory=list)
    served_ms: list[int] = field(default_factory=list)
    stored: Counter[int] = field(default_factory=Counter)  # by the store, whether or not the row was pruned since
    written: Counter[int] = field(default_factory=Counter)  # by InfluxDB, as far as it was asked
    carded: set[int] = field(default_factory=set)  # numbers of reads that stand on the card
    unstored: set[int] = field(default_factory=set)  # of those, the ones that nobody else has

    @property
    def served(self) -> int:
        return len(self.levels)

    def has(self, number: int) -> bool:
        return number in self.stored or number in self.written


class Follower:
    """Reads every file again and again, each time only what is new."""

    def __init__(self, store: Path, spools: Mapping[str, Path], served: Path) -> None:
        self._store, self._spools, self._served = store, spools, served
        self.stations = {name: Station() for name in spools}
        self._read_to = dict.fromkeys(spools, 0)
        self._card_at: dict[str, dict[int, int]] = {name: {} for name in spools}
        self._row = 0
        self.thinned = 0  # samples that a full store gave up before InfluxDB had them, declared
        self.influx_row = self.owed_from = self.last_outbox = 0
        self.last_row = 0

    def look(self) -> list[Stored]:
        """What was stored since the last look. A file that cannot be read now is read the next time."""
        for name in self.stations:
            self._look_at_log(name)
            self._look_at_card(name)
        new = self._look_at_store()
        for row in new:
            station = self.stations[row.station]
            station.stored[row.counter] += 1
            station.unstored.discard(row.counter)
        return new

    def written(self, counters: Iterable[tuple[str, int]], whole: bool = False) -> None:
        """What InfluxDB has, each as (station, number): of some time, or `whole` of all. A full store may have given
        a row up between two looks."""
        found: dict[str, Counter[int]] = {name: Counter() for name in self.stations}
        for name, number in counters:
            found[name][number] += 1
        for name, numbers in found.items():
            station = self.stations[name]
            station.written = numbers if whole else station.written | numbers
            station.unstored -= set(numbers)

    def forget_store(self) -> None:
        """Another file stands in its place; what it lacks must come again, though InfluxDB has it."""
        self._row = 0
        for station in self.stations.values():
            station.stored.clear()
            station.unstored = set(station.carded)

    def forget_card(self, name: str) -> None:
        self._card_at[name].clear()
        self.stations[name].carded.clear()
        self.stations[name].unstored.clear()

    def _look_at_log(self, name: str) -> None:
        with (self._served / f"{name}.jsonl").open("rb") as log:
            log.seek(self._read_to[name])
            for line in log:
                if not line.endswith(b"\n"):
                    break
                read = json.loads(line)
                station = self.stations[name]
                assert read["counter"] == station.served + 1, f"{name}: read {read['counter']} follows {station.served}"
                station.levels.append(read["values"][LEVEL])
                station.served_ms.append(read["served_ms"])
                self._read_to[name] += len(line)

    def _look_at_card(self, name: str) -> None:
        station, at = self.stations[name], self._card_at[name]
        with contextlib.suppress(sqlite3.OperationalError), _reading(self._spools[name]) as db:
            for (log_id,) in db.execute("SELECT id FROM logs ORDER BY id DESC LIMIT 5").fetchall():
                sql = "SELECT seq, body FROM samples WHERE log_id = ? AND seq > ? ORDER BY seq LIMIT ?"
                for seq, body in db.execute(sql, (log_id, at.get(log_id, 0), ROWS)).fetchall():
                    at[log_id] = seq
                    for number in _counter_in(body):
                        station.carded.add(number)
                        if not station.has(number):
                            station.unstored.add(number)

    def _look_at_store(self) -> list[Stored]:
        out: list[Stored] = []
        with contextlib.suppress(sqlite3.OperationalError), _reading(self._store) as db:
            rows = db.execute(_NEW, (self._row, ROWS)).fetchall()
            out = [Stored(s, int(v), ms) for _, s, v, ms in rows]
            self._row = rows[-1][0] if rows else self._row
            (self.last_row,) = db.execute("SELECT coalesce(max(id), 0) FROM observations").fetchone()
            found = db.execute("SELECT position FROM cursors WHERE name = 'influx'").fetchone()
            self.influx_row = found[0] if found else 0
            (self.last_outbox,) = db.execute("SELECT coalesce(max(id), 0) FROM outbox").fetchone()
            (self.thinned,) = db.execute(_THINNED, (COUNTER,)).fetchone()
            (owed,) = db.execute("SELECT min(id) FROM outbox WHERE state = 'owed'").fetchone()
            self.owed_from = owed or self.last_outbox + 1
        return out


_NEW = """SELECT o.id, c.station, o.value, o.observed_ms FROM observations o JOIN channels c ON c.id = o.channel_id
          WHERE o.id > ? AND c.channel = 'read_counter' AND o.value IS NOT NULL ORDER BY o.id LIMIT ?"""


_THINNED = """SELECT coalesce(sum(t.rows), 0) FROM thinned t JOIN channels c ON c.id = t.channel_id
              WHERE c.channel = ?"""


@contextlib.contextmanager
def _reading(path: Path) -> Iterable[sqlite3.Connection]:
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=0.2)
    try:
        yield db
    finally:
        db.close()


def _counter_in(body: str) -> list[int]:
    return [int(row[3]) for row in json.loads(body) if row[1] == COUNTER and row[3] is not None]


# --- the account of samples ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Kill:
    """A device's process was killed when its sensor had served `served` reads. `swapped`: numbers that stood only on a
    card that was then replaced."""

    station: str
    served: int
    swapped: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Samples:
    """The account of samples up to a read of each station. `problems`: why it does not close."""

    served: int
    stored: int
    held: int
    letters: int
    gone: int
    lost_at_kill: int
    duplicates: int
    problems: tuple[str, ...]


def account(
    stations: Mapping[str, Station], upto: Mapping[str, int], kills: Sequence[Kill], a_commit: int, store: Path
) -> Samples:
    """Stored ⊆ served, each once; what is missing lies within one commit interval of reads (`a_commit` numbers) before
    a kill of that very device, or stood on a card that was replaced."""
    problems: list[str] = []
    served = stored = held = lost = duplicates = 0
    letters, gone, thinned = _settled_otherwise(store)
    unexplained: list[tuple[str, int]] = []
    for name, station in stations.items():
        last = upto[name]
        served += last
        known = station.stored | station.written
        numbers = {n for n in known if n <= last}
        stored += len(numbers)
        duplicates += sum(known[n] - 1 for n in numbers)
        if never := [n for n in known if not 1 <= n <= station.served]:
            problems.append(f"{name}: read {min(never)} is stored and was never served")
        missing = set(range(1, last + 1)) - numbers
        on_card = missing & station.unstored
        held += len(on_card)
        missing -= on_card
        lost += len(missing)
        unexplained += [(name, n) for n in sorted(missing) if not _explained(n, name, kills, a_commit)]
    # Of these only how many is known, not which; what a full store gave up may have been seen in it before.
    gone += min(thinned, max(0, len(unexplained) - letters - gone))
    lost -= letters + gone
    if len(unexplained) > letters + gone:
        count, (of, first) = len(unexplained), unexplained[0]
        others = ", ".join(str(n) for station, n in unexplained if station == of)[:200]
        problems.append(f"{count} reads are lost without a kill near them; first: {of}, read {first} ({others})")
    if duplicates:
        problems.append(f"{duplicates} samples are stored twice")
    return Samples(served, stored, held, letters, gone, lost, duplicates, tuple(problems))


def _explained(number: int, name: str, kills: Sequence[Kill], a_commit: int) -> bool:
    return any(k.station == name and (k.served - a_commit < number <= k.served or number in k.swapped) for k in kills)


def _settled_otherwise(store: Path) -> tuple[int, int, int]:
    """(samples in dead letters, samples that a device declared gone for another reason than a kill, samples that a full
    store declared as given up before InfluxDB had them)."""
    with _reading(store) as db:
        (letters,) = db.execute("SELECT count(DISTINCT log || '/' || seq) FROM dead_letters").fetchone()
        kinds = "('stored', 'rejected', 'lost_at_kill')"
        (gone,) = db.execute(f"SELECT coalesce(sum(b - a + 1), 0) FROM ranges WHERE kind NOT IN {kinds}").fetchone()
        (thinned,) = db.execute(_THINNED, (COUNTER,)).fetchone()
    return letters, gone, thinned


# --- the account of alerts -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Plateau:
    """A level that a sensor served without a change: reads `first` to `last`."""

    station: str
    level: float
    first: int
    last: int
    from_ms: int
    to_ms: int

    @property
    def rank(self) -> int:
        return sum(self.level >= threshold for threshold in RANKS)


def plateaus(name: str, station: Station) -> list[Plateau]:
    out: list[Plateau] = []
    for number, (level, at_ms) in enumerate(zip(station.levels, station.served_ms, strict=True), 1):
        if out and out[-1].level == level:
            last = out[-1]
            out[-1] = Plateau(name, level, last.first, number, last.from_ms, at_ms)
        else:
            out.append(Plateau(name, level, number, number, at_ms, at_ms))
    return out


class Shown:
    """Whether a plateau was in people's sight: it was stored, while fresh and the newest, so often and so long that the
    rules of ringing leave no doubt. The river waits for that before it moves, so every crossing must have rung."""

    def __init__(self, late_ms: int) -> None:
        self._late_ms = late_ms
        self._newest = 0
        self._seen: list[int] = []  # observed times of this plateau's effective samples, without a gap

    def begin(self) -> None:
        """Another level."""
        self._seen.clear()

    def note(self, row: Stored, this_plateau: bool, now_ms: int) -> None:
        """A row of the store in its order. `now_ms`: when we saw it, which is no earlier than when it was judged."""
        if row.observed_ms <= self._newest:
            return
        self._newest = row.observed_ms
        if not this_plateau or now_ms - row.observed_ms > self._late_ms * 0.9:
            return
        if self._seen and row.observed_ms - self._seen[-1] > self._late_ms / 2:
            self._seen.clear()
        self._seen.append(row.observed_ms)
        if len(self._seen) > 1000:
            del self._seen[1:500]

    def enough(self, fall: bool) -> bool:
        if not fall:
            return len(self._seen) >= 3
        return len(self._seen) >= 5 and self._seen[-1] - self._seen[0] > FALL_MS


@dataclass(frozen=True, slots=True)
class Alerts:
    """The account of alerts. `false`: notifications of what never happened, as texts."""

    facts: int
    missed: tuple[str, ...]
    repeated: int
    deliveries_repeated: int
    false: tuple[str, ...]


def alerts(stations: Mapping[str, Station], deliveries: Sequence[Delivery], bridge_kills: Sequence[float]) -> Alerts:
    """Every plateau of another rank than the one before is one fact, and has exactly one transition, by its key. A
    phone that may not ring now is told at once and rings later for the same transition (ALARM.md, "What rings"),
    under a key of its own: once, and after it was told. A second delivery of a key is excused only by a kill of the
    bridge between the two."""
    runs = {name: plateaus(name, station) for name, station in stations.items()}
    facts = {(p.station, p.first): p for name in runs for before, p in zip(runs[name], runs[name][1:], strict=False)
             if p.rank != before.rank}  # fmt: skip
    keys: dict[tuple[str, int], set[str]] = {fact: set() for fact in facts}
    told: dict[str, list[bool]] = {}  # by transition: of each delivery with a key of its own, whether it rang
    false: list[str] = []
    first_at: dict[str, float] = {}
    again = 0
    for d in deliveries:
        if d.key in first_at:
            again += 1
            if not any(first_at[d.key] <= at <= d.at for at in bridge_kills):
                false.append(f"{d.key} was delivered twice, and the bridge was not killed between")
            first_at[d.key] = d.at
            continue
        first_at[d.key] = d.at
        if d.body.get("change") not in ("rise", "fall") or not d.body["confirmed"]:
            continue
        about = _plateau_of(d, runs.get(d.body["station"], []))
        fact = (about.station, about.first) if about else ("", 0)
        if about is None or about.rank != d.body["rank"] or fact not in facts:
            false.append(f"{d.key} tells rank {d.body['rank']} at {d.body['value']}, which was not served so")
            continue
        keys[fact].add(d.body["key"])
        told.setdefault(d.body["key"], []).append(d.body["rings"])
    missed = [f"{p.station}: {p.level:.3f} m, reads {p.first} to {p.last}" for f, p in facts.items() if not keys[f]]
    repeated = sum(len(k) - 1 for k in keys.values() if len(k) > 1)
    repeated += sum(len(rang) - 1 for rang in told.values() if len(rang) > 1 and rang != [False, True])
    return Alerts(len(facts), tuple(missed), repeated, again, tuple(false))


def _plateau_of(d: Delivery, runs: Sequence[Plateau]) -> Plateau | None:
    same = [p for p in runs if abs(p.level - d.body["value"]) < 0.0005]
    at = d.body["observed_ms"]
    return min(same, key=lambda p: max(p.from_ms - at, at - p.to_ms, 0), default=None)
