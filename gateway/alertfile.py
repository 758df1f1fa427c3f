"""Alerts in the store, as the console and a page read them: what is open, one episode with everybody who was told, and
the tests of the call."""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import dataclass
from pathlib import Path

import msgspec

from gateway import storefile
from gateway.channelstate import ChannelState
from gateway.disk import DISK, Disk
from gateway.episodes import Episode, Suspension
from gateway.errors import Unavailable

_STATES = storefile.LATEST
_SUSPENDED = "SELECT kind, tenant, station, since_ms, until_ms, by, note, rank FROM suspensions WHERE until_ms > ?"
_TRANSITIONS = """SELECT channel, change, from_rank, to_rank, at_ms, value, confirmed, rings, decided_ms, key, level
 FROM transitions WHERE tenant = ? AND episode = ? ORDER BY id"""
_NOTIFIED = """SELECT key, medium, recipient, state, attempts, reason, owed_ms, done_ms, next_ms, again FROM outbox
 WHERE key >= ? AND key < ? ORDER BY id"""
_TESTS = (
    "SELECT test, count(*), count(answered_ms), min(asked_ms) FROM alert_tests GROUP BY test ORDER BY 4 DESC LIMIT ?"
)
_ASKED = """SELECT a.recipient, o.medium, o.state, o.attempts, o.reason, o.done_ms, a.answered_ms, a.answered_by
 FROM alert_tests a LEFT JOIN outbox o ON o.key = 'test/' || a.test || '/' || a.recipient
 WHERE a.test = ? ORDER BY a.recipient"""


@dataclass(frozen=True, slots=True)
class Now:
    """What is open, and the states of every channel by (tenant, station, channel)."""

    episodes: list[Episode]
    states: dict[tuple[str, str, str], ChannelState]
    suspensions: list[Suspension]


@dataclass(frozen=True, slots=True)
class Change:
    """A transition as it was decided."""

    channel: str
    change: str
    from_rank: int
    to_rank: int
    at_ms: int
    value: float | None
    confirmed: bool
    rings: bool
    decided_ms: int
    key: str
    level: str


@dataclass(frozen=True, slots=True)
class Notified:
    """A notification and what became of it: owed, sent or given_up. `next_ms`: when it is tried again. `again`: how
    often it was handed over once more, after a kill."""

    key: str
    medium: str
    recipient: str
    state: str
    attempts: int
    reason: str | None
    owed_ms: int
    done_ms: int | None
    next_ms: int | None
    again: int


@dataclass(frozen=True, slots=True)
class Asked:
    """A recipient in a test of the call."""

    recipient: str
    medium: str | None
    state: str | None
    attempts: int | None
    reason: str | None
    done_ms: int | None
    answered_ms: int | None
    answered_by: str | None


def now(path: Path, now_ms: int, disk: Disk = DISK) -> Now:
    """Raises Unavailable."""
    with contextlib.closing(storefile.connect(path, disk=disk)) as db:
        try:
            rows = db.execute(f"{storefile.EPISODE} WHERE closed_ms IS NULL").fetchall()
            states = db.execute(_STATES).fetchall()
            suspended = db.execute(_SUSPENDED, (now_ms,)).fetchall()
        except sqlite3.OperationalError as e:
            raise Unavailable(f"cannot read the store {path}: {e}") from e
    found = {(t, s, c): msgspec.json.decode(text, type=ChannelState) for t, s, c, _, text in states}
    return Now([storefile.episode_of(row) for row in rows], found, [Suspension(*row) for row in suspended])


def changes(path: Path, e: Episode, disk: Disk = DISK) -> list[Change]:
    rows = storefile.rows(path, _TRANSITIONS, (e.tenant, e.id), disk)
    return [
        Change(channel, change, a, b, at_ms, value, bool(confirmed), bool(rings), decided_ms, key, level)
        for channel, change, a, b, at_ms, value, confirmed, rings, decided_ms, key, level in rows
    ]


def notified(path: Path, e: Episode, disk: Disk = DISK) -> list[Notified]:
    """Everybody who was told of an episode: its keys begin with it."""
    begin = f"{e.tenant}/{e.id}/"
    return [Notified(*row) for row in storefile.rows(path, _NOTIFIED, (begin, begin[:-1] + "0"), disk)]


def past_tests(path: Path, most: int = 20, disk: Disk = DISK) -> list[tuple[str, int, int, int]]:
    """(test, recipients asked, answers, when), the newest first."""
    return storefile.rows(path, _TESTS, (most,), disk)


def asked(path: Path, test: str, disk: Disk = DISK) -> list[Asked]:
    return [Asked(*row) for row in storefile.rows(path, _ASKED, (test,), disk)]
