"""The journal of a store, read: rows in pages, so that no reader stays open, and the chain over all of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gateway import journal, storefile
from gateway.disk import DISK, Disk
from gateway.journal import Broken, Row

PAGE = 5000
COLUMNS = "id, at_ms, recorded_ms, kind, tenant, station, episode, by, body, hash"


@dataclass(frozen=True, slots=True)
class Choice:
    """Which rows: what happened from `from_ms` (included) to `to_ms` (excluded), of a station or episode, recorded by
    `known_ms`. None and empty leave out nothing."""

    from_ms: int | None = None
    to_ms: int | None = None
    station: str = ""
    episode: str = ""
    known_ms: int | None = None
    tenant: str = ""


def rows(path: Path, choice: Choice = Choice(), disk: Disk = DISK, happened: bool = False) -> Iterator[Row]:
    """In the order in which they were recorded, or with `happened` in the order of what they tell. Raises
    Unavailable."""
    conditions, values = ["(at_ms, id) > (?, ?)" if happened else "id > ?"], list[object]()
    for condition, value in (
        ("at_ms >= ?", choice.from_ms),
        ("at_ms < ?", choice.to_ms),
        ("recorded_ms <= ?", choice.known_ms),
        ("tenant = ?", choice.tenant or None),
        ("station = ?", choice.station or None),
        ("episode = ?", choice.episode or None),
    ):
        if value is not None:
            conditions.append(condition)
            values.append(value)
    order = "at_ms, id" if happened else "id"
    sql = f"SELECT {COLUMNS} FROM journal WHERE {' AND '.join(conditions)} ORDER BY {order} LIMIT {PAGE}"  # noqa: S608
    after: tuple[int, ...] = (-(1 << 62), 0) if happened else (0,)
    while found := storefile.rows(path, sql, (*after, *values), disk):
        yield from (Row(*row) for row in found)
        after = (found[-1][1], found[-1][0]) if happened else (found[-1][0],)


def row(path: Path, number: int, disk: Disk = DISK) -> Row | None:
    found = storefile.rows(path, f"SELECT {COLUMNS} FROM journal WHERE id = ?", (number,), disk)  # noqa: S608
    return Row(*found[0]) if found else None


def last(path: Path, disk: Disk = DISK) -> tuple[int, str]:
    """(number, hash) of the last row; (0, the hash before the first) of an empty journal."""
    found = storefile.rows(path, "SELECT id, hash FROM journal ORDER BY id DESC LIMIT 1", disk=disk)
    return (found[0][0], found[0][1]) if found else (0, journal.GENESIS)


def verify(path: Path, disk: Disk = DISK) -> tuple[str, int] | Broken:
    """(hash, number) of the last row, or the first row at which the chain does not hold. Rows that were cut off at the
    end are known by the counter of numbers, which only rises. Raises Unavailable."""
    count = "SELECT seq FROM sqlite_sequence WHERE name = 'journal'"
    given = storefile.rows(path, count, disk=disk)
    found = journal.verify(rows(path, disk=disk))
    if isinstance(found, tuple) and given and given[0][0] > found[1]:
        return Broken(found[1] + 1, "it is missing, and whatever followed it")
    return found


# --- what was known at a time ------------------------------------------------------------------------------------

LOOK_BACK = 500  # rows of a station that its state is folded from; more than any flood has made
_STATION = f"""
SELECT {COLUMNS} FROM (
  SELECT * FROM journal WHERE tenant = ? AND station = ? AND recorded_ms <= ? AND kind <> 'thresholds'
  ORDER BY id DESC LIMIT {LOOK_BACK}) ORDER BY id"""  # noqa: S608
_IN_FORCE = f"""
SELECT {COLUMNS} FROM journal WHERE tenant = ? AND station = ? AND kind = 'thresholds' AND recorded_ms <= ?
ORDER BY id DESC LIMIT 1"""  # noqa: S608
_NEWEST = """
SELECT o.observed_ms, o.received_ms, o.value, o.flag, o.fault
FROM observations o JOIN channels c ON c.id = o.channel_id
WHERE c.tenant = ? AND c.station = ? AND c.channel = ? AND o.observed_ms <= ? AND o.received_ms <= ?
ORDER BY o.observed_ms DESC LIMIT 1"""
_CORRECTIONS = """
SELECT json_extract(body, '$.corrects'), id FROM journal
WHERE kind IN ('manual', 'bulletin') AND json_extract(body, '$.corrects') IS NOT NULL AND recorded_ms <= ?
ORDER BY id"""
FUTURE_MS = 300_000  # of a device's clock that runs ahead


@dataclass(frozen=True, slots=True)
class Measured:
    """The newest observation of a channel that had come by a time."""

    observed_ms: int
    received_ms: int
    value: float | None
    flag: int
    fault: str | None


def of_station(path: Path, tenant: str, station: str, known_ms: int, disk: Disk = DISK) -> list[Row]:
    """The rows that say how a station stood then, the desk's own where `station` is empty. Raises Unavailable."""
    place = (tenant, station, known_ms)
    found = [*storefile.rows(path, _IN_FORCE, place, disk), *storefile.rows(path, _STATION, place, disk)]
    return [Row(*x) for x in found]


def newest(path: Path, series: tuple[str, str, str], known_ms: int, disk: Disk = DISK) -> Measured | None:
    """What was newest then; None where nothing had come, or nothing of it is kept. Raises Unavailable."""
    found = storefile.rows(path, _NEWEST, (*series, known_ms + FUTURE_MS, known_ms), disk)
    return Measured(*found[0]) if found else None


def corrections(path: Path, known_ms: int, disk: Disk = DISK) -> dict[int, int]:
    """Rows that were corrected, and by which. Raises Unavailable."""
    return dict(storefile.rows(path, _CORRECTIONS, (known_ms,), disk))
