"""Dead letters in the store: how they are chosen, read, and what became of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from gateway import storefile
from gateway.disk import DISK, Disk
from gateway.errors import RejectCode
from gateway.letters import Letter, Verdict, stations_of

PAGE = 200
_COLUMNS = "id, tenant, device, topic, code, detail, payload, bytes, received_ms, log, seq, record, count"


class Choice(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Which letters are meant: those for which everything stated holds. A letter belongs to `station` where it names
    it, and where it names none but comes from `station_device`. `through` is the newest id that is meant."""

    ids: list[int] = []
    device: str | None = None
    station: str | None = None
    station_device: str | None = None
    code: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    through: int | None = None

    def meant(self, letter: Letter) -> bool:
        """What SQL cannot say."""
        if self.station is None:
            return True
        names = stations_of(letter)
        return self.station in names or (not names and letter.device == self.station_device)


def page(
    path: Path, choice: Choice, after: int = 0, limit: int = PAGE, disk: Disk = DISK
) -> tuple[list[Letter], int | None]:
    """At most `limit` letters above an id, in order, and the id to go on from; None at the end. Raises Unavailable."""
    where, values = _where(choice, after)
    rows = storefile.rows(path, f"SELECT {_COLUMNS} {where} ORDER BY id LIMIT ?", (*values, limit), disk)
    letters = [_letter(row) for row in rows]
    return [x for x in letters if choice.meant(x)], letters[-1].id if len(letters) == limit else None


def every(path: Path, choice: Choice) -> Iterator[Letter]:
    """All that are meant, a page at a time, so that no reader holds the store. Raises Unavailable."""
    after: int | None = 0
    while after is not None:
        letters, after = page(path, choice, after)
        yield from letters


def newest(path: Path) -> int:
    """The newest id. Raises Unavailable."""
    return int(storefile.rows(path, "SELECT coalesce(max(id), 0) FROM dead_letters")[0][0])


def tallies(path: Path) -> list[tuple[str, str, str, str, int]]:
    """(tenant, device, code, fate, letters) of those that are no more: replayed, dropped, or given up for space
    (folded). Raises Unavailable."""
    sql = """SELECT tenant, device, code, fate, letters FROM letter_tallies
             UNION ALL SELECT tenant, device, code, 'folded', count FROM letters_folded ORDER BY 1, 2, 3, 4"""
    return [(t, d, c, f, int(n)) for t, d, c, f, n in storefile.rows(path, sql)]


def has_record(path: Path, tenant: str, device: str, log: str, seq: int, disk: Disk = DISK) -> bool:
    """Whether some record of this sample is a letter of its own."""
    first = f"{tenant}/{device}/{log}/{seq}"  # of the key; '0' follows '/'
    sql = "SELECT 1 FROM dead_letters WHERE key > ? AND key < ? LIMIT 1"
    return bool(storefile.rows(path, sql, (f"{first}/", f"{first}0"), disk))


def _where(choice: Choice, after: int) -> tuple[str, list[Any]]:
    terms: list[tuple[str, Any]] = [("id > ?", after)]
    if choice.ids:
        terms.append(("id IN (SELECT value FROM json_each(?))", msgspec.json.encode(choice.ids).decode()))
    named = (
        ("device = ?", choice.device),
        ("code = ?", choice.code),
        ("received_ms >= ?", choice.since_ms),
        ("received_ms < ?", choice.until_ms),
        ("id <= ?", choice.through),
    )
    terms += [(term, value) for term, value in named if value is not None]
    return "FROM dead_letters WHERE " + " AND ".join(term for term, _ in terms), [value for _, value in terms]


def _letter(row: tuple[Any, ...]) -> Letter:
    i, tenant, device, topic, code, *rest = row
    return Letter(i, tenant, device, topic, RejectCode(code), *rest)


def write(db: sqlite3.Connection, verdicts: Iterable[Verdict]) -> None:
    """What became of letters, in the transaction of a batch. Those that go leave their number behind."""
    for x in verdicts:
        if x.fate == "again":
            db.execute(
                "UPDATE dead_letters SET code = coalesce(?, code), detail = ?, count = count + 1 WHERE id = ?",
                (x.code, x.detail, x.letter),
            )
            continue
        db.execute(
            """INSERT INTO letter_tallies (tenant, device, code, fate, letters)
               SELECT tenant, device, code, ?, 1 FROM dead_letters WHERE id = ?
               ON CONFLICT DO UPDATE SET letters = letters + 1""",
            (x.fate, x.letter),
        )
        db.execute("DELETE FROM dead_letters WHERE id = ?", (x.letter,))
