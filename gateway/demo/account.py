"""The account: what the sensors logged that they served, against what stands in the bridge's store.

Both sides are read from files, by SQL and from the sensors' own logs; no counter of a program under test is asked.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from gateway.model import Flag

COUNTER = "read_counter"
DECIMALS = 6

Fact = tuple[str, str, int, float]  # station, channel, read counter, value

_STORED = """
SELECT c.station, c.channel, k.value, o.value, o.observed_ms
FROM observations o JOIN channels c ON c.id = o.channel_id
JOIN observations k ON k.log_id = o.log_id AND k.seq = o.seq
JOIN channels kc ON kc.id = k.channel_id AND kc.station = c.station AND kc.channel = 'read_counter'
WHERE o.value IS NOT NULL"""


@dataclass(frozen=True, slots=True)
class Account:
    """The closing figures; `sampled` to `gone` in samples. `problems` says why it does not close."""

    sampled: int
    stored: int
    missing: int
    duplicates: int
    values: int
    rejected: int
    gone: int
    alerts_raised: int
    alerts_cleared: int
    peak: Mapping[str, float]
    influx_points: int | None = None
    problems: tuple[str, ...] = field(default=())

    @property
    def closes(self) -> bool:
        return not self.problems

    def as_json(self) -> str:
        figures = asdict(self)
        del figures["problems"]
        if self.influx_points is None:
            del figures["influx_points"]
        return json.dumps(figures, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Served:
    """One read as the sensor logged it."""

    station: str
    counter: int
    values: Mapping[str, float]
    served_ms: int


def served(log_dir: Path) -> list[Served]:
    """Every read that any sensor of the folder logged."""
    out = []
    for path in sorted(log_dir.glob("*.jsonl")):
        for line in path.read_text().splitlines():
            row = json.loads(line)
            out.append(Served(row["station"], row["counter"], row["values"], row["served_ms"]))
    return out


def close(store: Path, log_dir: Path, within_ms: int) -> Account:
    """Compare both sides as multisets of (station, channel, read counter, value). `within_ms` is one read: an
    observation may not stand further from the time it was served."""
    reads = served(log_dir)
    db = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
    try:
        rows = db.execute(_STORED).fetchall()
        figures = _figures(db)
    finally:
        db.close()
    wanted = Counter(fact for read in reads for fact in _facts(read))
    found: Counter[Fact] = Counter((s, c, int(k), round(v, DECIMALS)) for s, c, k, v, _ in rows)
    problems = _differences(wanted, found)
    problems += _misdated(reads, rows, within_ms)
    lost = {(s, k) for s, _, k, _ in wanted - found}
    twice = sum(n - 1 for fact, n in Counter((s, int(k)) for s, c, k, _, _ in rows if c == COUNTER).items() if n > 1)
    stored = {(s, int(k)) for s, _, k, _, _ in rows}
    if twice:
        problems.append(f"{twice} samples are stored more than once")
    return Account(
        sampled=len(reads),
        stored=len(stored),
        missing=len(lost),
        duplicates=twice,
        values=len(rows),
        problems=tuple(problems),
        **figures,  # type: ignore[arg-type]
    )


def _facts(read: Served) -> Iterable[Fact]:
    yield read.station, COUNTER, read.counter, float(read.counter)
    for channel, value in read.values.items():
        yield read.station, channel, read.counter, round(value, DECIMALS)


def _differences(wanted: Counter[Fact], found: Counter[Fact]) -> list[str]:
    problems = []
    for text, some in (("served and not stored", wanted - found), ("stored and never served", found - wanted)):
        if some:
            station, channel, counter, value = min(some)
            first = f"first: {station}/{channel}, read {counter}, value {value:g}"
            problems.append(f"{some.total()} values {text} ({first})")
    return problems


def _misdated(reads: list[Served], rows: list[tuple[str, str, float, float, int]], within_ms: int) -> list[str]:
    """Samples whose time is off by more than one read: neither within an interval of the time served, nor between the
    reads before and after it (at high speed a read takes longer than the interval)."""
    at = {(read.station, read.counter): read.served_ms for read in reads}

    def wrong(station: str, counter: int, observed_ms: int) -> bool:
        served_ms = at.get((station, counter))
        if served_ms is None or abs(observed_ms - served_ms) <= within_ms:
            return False  # what was never served is told elsewhere
        before = at.get((station, counter - 1), served_ms - within_ms)
        after = at.get((station, counter + 1), served_ms + within_ms)
        return not before <= observed_ms <= after

    found = {(s, int(k)) for s, _, k, _, ms in rows if wrong(s, int(k), ms)}
    if not found:
        return []
    station, counter = min(found)
    first = f"first: {station}, read {counter}"
    return [f"{len(found)} samples are dated more than one read from when they were served ({first})"]


def _figures(db: sqlite3.Connection) -> dict[str, object]:
    def one(sql: str, *parameters: object) -> int:
        return int(db.execute(sql, parameters).fetchone()[0] or 0)

    peaks = db.execute(
        """SELECT c.station || '/' || c.channel, max(o.value) FROM observations o JOIN channels c ON c.id = o.channel_id
           WHERE o.flag <> ? AND c.quantity <> 'count' AND o.value IS NOT NULL GROUP BY c.id ORDER BY c.id""",
        (int(Flag.FAIL),),
    )
    return {
        "rejected": one("SELECT sum(b - a + 1) FROM ranges WHERE kind = 'rejected'"),
        "gone": one("SELECT sum(b - a + 1) FROM ranges WHERE kind NOT IN ('stored', 'rejected')"),
        "alerts_raised": one("SELECT count(*) FROM transitions WHERE change = 'rise' AND confirmed"),
        "alerts_cleared": one("SELECT count(*) FROM transitions WHERE change = 'fall' AND confirmed"),
        "peak": dict(peaks.fetchall()),
    }


def stored_points(store: Path) -> dict[tuple[str, str, int], float]:
    """(station, channel, observed_ms) -> value of every finite observation in the store."""
    db = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
    try:
        rows = db.execute(
            """SELECT c.station, c.channel, o.observed_ms, o.value FROM observations o
               JOIN channels c ON c.id = o.channel_id WHERE o.value IS NOT NULL"""
        )
        return {(s, c, ms): value for s, c, ms, value in rows}
    finally:
        db.close()
