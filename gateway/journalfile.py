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


def rows(path: Path, choice: Choice = Choice(), disk: Disk = DISK) -> Iterator[Row]:
    """In the order in which they were recorded. Raises Unavailable."""
    conditions, values = ["id > ?"], list[object]()
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
    sql = f"SELECT {COLUMNS} FROM journal WHERE {' AND '.join(conditions)} ORDER BY id LIMIT {PAGE}"  # noqa: S608
    after = 0
    while found := storefile.rows(path, sql, (after, *values), disk):
        yield from (Row(*row) for row in found)
        after = found[-1][0]


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
