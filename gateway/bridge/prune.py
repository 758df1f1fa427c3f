"""What leaves the store, in small steps of one transaction each: readings, never what was decided from them.

Rows go oldest first by id, which is the order of receipt. The newest row always stays: it tells when the bridge last
committed. What a channel last measured is noted before its rows go, or the next one would not know of a gap.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from gateway.disk import transaction

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
SPARED = 8  # of so many readings of a channel, the first pass of thinning leaves one
PASSES = 4  # of thinning; each gives up what the one before spared
MARK_MS = 600_000  # between two notes of how far InfluxDB was
_POSITION, _PASS = "thin", "thin_pass"


@dataclass(frozen=True, slots=True)
class Row:
    """As much of an observation as the choice needs."""

    id: int
    channel_id: int
    observed_ms: int
    received_ms: int
    station: tuple[str, str]  # tenant, station


@dataclass(frozen=True, slots=True)
class Night:
    """An episode with the hour before and after it."""

    station: tuple[str, str]
    from_ms: int
    to_ms: int


def given_up(rows: Iterable[Row], nights: Iterable[Night], pass_: int, now_ms: int) -> list[Row]:
    """Which of these rows, oldest first, a pass of thinning takes. 1: of each channel all but one in SPARED; 2: those
    too; neither touches a night nor the newest hour. 3: the nights; 4: the newest hour."""
    around: dict[tuple[str, str], list[Night]] = {}
    for night in nights:
        around.setdefault(night.station, []).append(night)
    seen: dict[int, int] = {}
    out = []
    for row in rows:
        nth = seen[row.channel_id] = seen.get(row.channel_id, 0) + 1
        if pass_ < 4 and row.received_ms > now_ms - HOUR_MS:
            continue
        if pass_ < 3 and any(n.from_ms <= row.observed_ms <= n.to_ms for n in around.get(row.station, ())):
            continue
        if pass_ == 1 and nth % SPARED == 1:
            continue
        out.append(row)
    return out


def oldest(db: sqlite3.Connection, upto: int, before_ms: int | None, limit: int) -> int:
    """Delete up to `limit` of the oldest rows with id <= `upto`, received before `before_ms` where given; how many
    went. Raises sqlite3.Error; then none."""
    newest = db.execute("SELECT max(id) FROM observations").fetchone()[0]
    if newest is None:
        return 0
    found = db.execute(
        "SELECT id, received_ms FROM observations WHERE id <= ? ORDER BY id LIMIT ?", (min(upto, newest - 1), limit)
    ).fetchall()
    last = 0
    for id_, received_ms in found:
        if before_ms is not None and received_ms >= before_ms:
            break
        last = id_
    if not last:
        return 0
    with transaction(db):
        db.execute(
            """UPDATE channels SET newest_ms = max(coalesce(newest_ms, 0), gone.at) FROM
               (SELECT channel_id, max(observed_ms) AS at FROM observations WHERE id <= ? GROUP BY channel_id) AS gone
               WHERE channels.id = gone.channel_id""",
            (last,),
        )
        return db.execute("DELETE FROM observations WHERE id <= ?", (last,)).rowcount


def thin(db: sqlite3.Connection, after: int, now_ms: int, limit: int) -> int | None:
    """Look at the next `limit` rows above id `after`, which InfluxDB has not got, and delete those that the present
    pass takes, each channel's loss declared in `thinned`; how many went. None: every pass has come to its end and
    nothing is left to give. Raises sqlite3.Error; then nothing changed."""
    stood = dict(db.execute("SELECT name, position FROM cursors WHERE name IN (?,?)", (_POSITION, _PASS)))
    position, pass_ = max(stood.get(_POSITION, 0), after), stood.get(_PASS, 1)
    found = db.execute(
        """SELECT o.id, o.channel_id, o.observed_ms, o.received_ms, c.tenant, c.station
           FROM observations o JOIN channels c ON c.id = o.channel_id
           WHERE o.id > ? AND o.id < (SELECT max(id) FROM observations) ORDER BY o.id LIMIT ?""",
        (position, limit),
    ).fetchall()
    rows = [Row(i, c, at, got, (tenant, station)) for i, c, at, got, tenant, station in found]
    taken = given_up(rows, _nights(db, rows), pass_, now_ms) if rows else []
    ended = len(rows) < limit
    with transaction(db):
        if taken:
            _declare(db, taken, now_ms)
            db.executemany("DELETE FROM observations WHERE id = ?", [(r.id,) for r in taken])
        at = rows[-1].id if rows else position
        after_pass = (0, pass_ % PASSES + 1) if ended else (at, pass_)
        values = [(_POSITION, after_pass[0], now_ms), (_PASS, after_pass[1], now_ms)]
        db.executemany("INSERT OR REPLACE INTO cursors VALUES (?,?,?)", values)
    return None if ended and pass_ == PASSES and not taken else len(taken)


def first_pass(db: sqlite3.Connection, now_ms: int) -> None:
    """There is room again: what was spared is safe, until the next time has thinned what is younger than it."""
    row = db.execute("SELECT position FROM cursors WHERE name = ?", (_PASS,)).fetchone()
    if row and row[0] != 1:
        newest = db.execute("SELECT coalesce(max(id), 0) FROM observations").fetchone()[0]
        with transaction(db):
            values = [(_POSITION, newest, now_ms), (_PASS, 1, now_ms)]
            db.executemany("INSERT OR REPLACE INTO cursors VALUES (?,?,?)", values)


def _nights(db: sqlite3.Connection, rows: list[Row]) -> list[Night]:
    first, last = min(r.observed_ms for r in rows), max(r.observed_ms for r in rows)
    found = db.execute(
        """SELECT tenant, station, opened_ms, coalesce(closed_ms, ?) FROM episodes
           WHERE opened_ms <= ? AND coalesce(closed_ms, ?) >= ?""",
        (last, last + HOUR_MS, last, first - HOUR_MS),
    )
    return [Night((t, s), opened - HOUR_MS, closed + HOUR_MS) for t, s, opened, closed in found]


def _declare(db: sqlite3.Connection, rows: list[Row], now_ms: int) -> None:
    """One line a channel and day of thinning, so that the table stays small however long it lasts."""
    lost: dict[int, list[int]] = {}
    for r in rows:
        lost.setdefault(r.channel_id, []).append(r.observed_ms)
    for channel_id, times in lost.items():
        newest = max(times)
        db.execute(
            "UPDATE channels SET newest_ms = ? WHERE id = ? AND coalesce(newest_ms, 0) < ?",
            (newest, channel_id, newest),
        )
        same = db.execute(
            "SELECT id FROM thinned WHERE channel_id = ? AND at_ms > ? ORDER BY id DESC LIMIT 1",
            (channel_id, now_ms - DAY_MS),
        ).fetchone()
        if same:
            db.execute(
                """UPDATE thinned SET from_ms = min(from_ms, ?), to_ms = max(to_ms, ?), rows = rows + ?
                   WHERE id = ?""",
                (min(times), newest, len(times), same[0]),
            )
        else:
            sql = "INSERT INTO thinned (channel_id, from_ms, to_ms, rows, at_ms) VALUES (?,?,?,?,?)"
            db.execute(sql, (channel_id, min(times), newest, len(times), now_ms))


# --- how far InfluxDB was, and when ------------------------------------------------------------------------------


def mark(db: sqlite3.Connection, position: int, now_ms: int) -> None:
    """Within a transaction: note that InfluxDB has everything up to here. A few notes a day are kept, so that a row's
    time of acceptance is known to ten minutes; where the cursor went back, later ones are void."""
    db.execute("DELETE FROM cursor_marks WHERE position > ?", (position,))
    newest = db.execute("SELECT max(at_ms) FROM cursor_marks").fetchone()[0]
    if newest is None or not 0 <= now_ms - newest < MARK_MS:
        db.execute("DELETE FROM cursor_marks WHERE at_ms > ?", (now_ms,))  # a clock that was ahead
        db.execute("INSERT OR IGNORE INTO cursor_marks VALUES (?,?)", (position, now_ms))
        old = "SELECT coalesce(max(position), 0) FROM cursor_marks WHERE at_ms <= ?"
        db.execute(f"DELETE FROM cursor_marks WHERE position < ({old})", (now_ms - DAY_MS,))  # noqa: S608 - ours


def accepted_a_day_ago(db: sqlite3.Connection, now_ms: int) -> int:
    """Up to which id InfluxDB has had everything for a day."""
    sql = "SELECT coalesce(max(position), 0) FROM cursor_marks WHERE at_ms <= ?"
    return int(db.execute(sql, (now_ms - DAY_MS,)).fetchone()[0])
