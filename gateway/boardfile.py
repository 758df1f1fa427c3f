"""The board as it stands in the store: read in one short transaction, closed at once."""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import dataclass
from pathlib import Path

import msgspec

from gateway import storefile
from gateway.board import Latest, Row, Series, rows
from gateway.channelstate import ChannelState
from gateway.disk import DISK, Disk
from gateway.episodes import Episode, Suspension
from gateway.errors import Unavailable
from gateway.stations import Registry

_SUSPENDED = "SELECT kind, tenant, station, since_ms, until_ms, by, note, rank FROM suspensions WHERE until_ms > ?"
# The newest of each series, found at the end of its index: CROSS JOIN keeps SQLite from walking all observations.
_NEWEST = f"""SELECT c.tenant, c.station, c.channel, o.observed_ms, o.received_ms, o.value, {storefile.LATEST_FLAG},
 o.fault, o.device FROM channels c CROSS JOIN observations o
 WHERE o.id = (SELECT id FROM observations WHERE channel_id = c.id ORDER BY observed_ms DESC LIMIT 1)"""  # noqa: S608 - ours
_LAST = "SELECT received_ms FROM observations ORDER BY id DESC LIMIT 1"


@dataclass(frozen=True, slots=True)
class Board:
    """What is known at `now_ms`. `received_ms`: when the bridge got its newest reading, None without any."""

    now_ms: int
    rows: list[Row]
    episodes: list[Episode]
    suspensions: list[Suspension]
    states: dict[Series, ChannelState]
    latest: dict[Series, Latest]
    received_ms: int | None


def read(path: Path, registry: Registry, now_ms: int, disk: Disk = DISK) -> Board:
    """Every station of the registry; what is internal is not read into `latest`. Raises Unavailable."""
    with contextlib.closing(storefile.connect(path, disk=disk)) as db:
        try:
            db.execute("BEGIN")
            open_ = db.execute(f"{storefile.EPISODE} WHERE closed_ms IS NULL").fetchall()
            states = db.execute(storefile.LATEST).fetchall()
            suspended = db.execute(_SUSPENDED, (now_ms,)).fetchall()
            newest = db.execute(_NEWEST).fetchall()
            last = db.execute(_LAST).fetchone()
        except sqlite3.OperationalError as e:
            raise Unavailable(f"cannot read the store {path}: {e}") from e
    known = {(t, s, c): msgspec.json.decode(text, type=ChannelState) for t, s, c, _, text in states}
    latest = {(t, s, c): Latest(*facts) for t, s, c, *facts in newest if registry.may_leave(t, s, c)}
    episodes = [storefile.episode_of(row) for row in open_]
    suspensions = [Suspension(*row) for row in suspended]
    working = {(x.tenant, x.station) for x in suspensions if x.kind == "maintenance"}
    found = rows(registry, known, latest, now_ms, working)
    return Board(now_ms, found, episodes, suspensions, known, latest, last[0] if last else None)


def latest(path: Path, registry: Registry, disk: Disk = DISK) -> dict[Series, Latest]:
    """The newest observation of every channel that may leave. Raises Unavailable."""
    found = storefile.rows(path, _NEWEST, disk=disk)
    return {(t, s, c): Latest(*facts) for t, s, c, *facts in found if registry.may_leave(t, s, c)}


def working(path: Path, now_ms: int, disk: Disk = DISK) -> set[tuple[str, str]]:
    """(tenant, station) of those under maintenance. Raises Unavailable."""
    found = storefile.rows(path, _SUSPENDED, (now_ms,), disk)
    return {(tenant, station) for kind, tenant, station, *_ in found if kind == "maintenance"}


def health(path: Path, registry: Registry, disk: Disk = DISK) -> dict[Series, Latest]:
    """What devices last said of themselves, under their own names. Raises Unavailable."""
    found = storefile.rows(path, _NEWEST, disk=disk)
    return {(t, s, c): Latest(*facts) for t, s, c, *facts in found if (t, s) in registry.devices}
