"""The rows of the store that gaps are made of. Each read is short: an open reader lets the write-ahead log grow."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from gateway import storefile
from gateway.errors import Unavailable
from gateway.gaps import Device, Gap, LogRow, Said, thinned
from gateway.ranges import RangeSet
from gateway.stations import Registry

MARK = 64  # every so many-th sample has its place in observations_marks
WALK = 5 * MARK  # rows of a channel looked at from a mark on

_LOGS = "SELECT id, tenant, device, log, top, held_oldest, held_next, rejected FROM logs ORDER BY tenant, device, id"
_RANGES = "SELECT log_id, kind, a, b FROM ranges ORDER BY log_id, a"
_SAID = "SELECT tenant, device, statement_ms, used, hours FROM devices"
_CODES = "SELECT log, seq, code FROM dead_letters WHERE tenant = ? AND device = ? AND seq IS NOT NULL"
_NEWEST = """SELECT c.tenant, c.station, c.id, max(coalesce(c.newest_ms, 0),
 coalesce((SELECT max(observed_ms) FROM observations WHERE channel_id = c.id), 0)) FROM channels c"""
_THINNED = """SELECT c.tenant, c.station, c.channel, sum(t.rows), min(t.from_ms), max(t.to_ms)
 FROM thinned t JOIN channels c ON c.id = t.channel_id GROUP BY t.channel_id ORDER BY t.channel_id"""


@dataclass(slots=True)
class Ledger:
    """What the store knows of every device. `newest` is the newest reading of each, `channels` its channels' ids,
    `unaccounted` those that send readings without log and number."""

    store: str
    logs: list[LogRow] = field(default_factory=list)
    said: dict[Device, Said] = field(default_factory=dict)
    newest: dict[Device, int] = field(default_factory=dict)
    channels: dict[Device, list[int]] = field(default_factory=dict)
    unaccounted: list[Device] = field(default_factory=list)
    thinned: list[Gap] = field(default_factory=list)


def read(path: Path, registry: Registry) -> Ledger:
    """One consistent look. Raises Unavailable."""
    with contextlib.closing(storefile.connect(path)) as db:
        try:
            db.execute("BEGIN")
            ledger = Ledger(db.execute("SELECT value FROM meta WHERE key = 'store'").fetchone()[0])
            ledger.logs = _logs(db)
            ledger.said = {(t, d): Said(at, used, hours) for t, d, at, used, hours in db.execute(_SAID)}
            series = db.execute(_NEWEST).fetchall()
            lost = db.execute(_THINNED).fetchall()
        except sqlite3.OperationalError as e:
            raise Unavailable(f"cannot read the store {path}: {e}") from e
    for tenant, station, channel_id, at_ms in series:
        device = _device(registry, tenant, station)
        ledger.channels.setdefault(device, []).append(channel_id)
        if at_ms:
            ledger.newest[device] = max(at_ms, ledger.newest.get(device, 0))
    counted = {row.whose for row in ledger.logs}
    ledger.unaccounted = sorted(d for d in ledger.newest if d not in counted and registry.knows_device(*d))
    ledger.thinned = [
        thinned(t, _device(registry, t, s)[1], s, channel, rows, a, b) for t, s, channel, rows, a, b in lost
    ]
    return ledger


def _device(registry: Registry, tenant: str, station: str) -> Device:
    """Who serves a station; a device's own channels stand under its name."""
    found = registry.station(tenant, station)
    return (tenant, found.device if found else station)


def _logs(db: sqlite3.Connection) -> list[LogRow]:
    kinds: dict[int, dict[str, RangeSet]] = {}
    for log_id, kind, a, b in db.execute(_RANGES):
        kinds.setdefault(log_id, {}).setdefault(kind, RangeSet()).add(a, b)
    codes: dict[Device, dict[str, dict[int, str]]] = {}
    rows = []
    for i, tenant, device, name, top, oldest, following, rejected in db.execute(_LOGS).fetchall():
        known: dict[int, str] = {}
        if "rejected" in kinds.get(i, {}):
            if (tenant, device) not in codes:
                codes[(tenant, device)] = _codes(db, tenant, device)
            named = msgspec.json.decode(rejected, type=list[tuple[int, int, str]])
            within = kinds[i]["rejected"]
            known = {n: code for a, b, code in named for n in range(a, b + 1) if n in within}
            known.update(codes[(tenant, device)].get(name, {}))
        held = None if oldest is None else (oldest, following)
        rows.append(LogRow(i, tenant, device, name, top, held, kinds.get(i, {}), known))
    return rows


def _codes(db: sqlite3.Connection, tenant: str, device: str) -> dict[str, dict[int, str]]:
    found: dict[str, dict[int, str]] = {}
    for name, seq, code in db.execute(_CODES, (tenant, device)):
        found.setdefault(name, {})[seq] = code
    return found


# --- the time of a sample ----------------------------------------------------------------------------------------


class Times:
    """When samples were read, by number. Only every 64th has an index entry, because one for each would make the store
    a fifth larger; from there a few rows of its device's channels are looked at."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def of(self, log_id: int, seq: int, channels: Iterable[int]) -> int | None:
        """Of that sample or, where its row is gone, of the nearest that is found; None where none is."""
        best: tuple[int, int] | None = None
        for order, sign in (("DESC", "<="), ("ASC", ">=")):
            mark = self._mark(log_id, seq, order, sign)
            if mark is None:
                continue
            for found_seq, at_ms in [mark, *self._near(log_id, seq, mark, channels, forwards=order == "DESC")]:
                if best is None or abs(found_seq - seq) < abs(best[0] - seq):
                    best = (found_seq, at_ms)
            if best is not None and best[0] == seq:
                break
        return best[1] if best else None

    def _mark(self, log_id: int, seq: int, order: str, sign: str) -> tuple[int, int] | None:
        found: tuple[int, int] | None = self._db.execute(
            f"""SELECT seq, observed_ms FROM observations INDEXED BY observations_marks
                WHERE log_id = ? AND seq {sign} ? AND seq % 64 = 1 ORDER BY seq {order} LIMIT 1""",  # noqa: S608
            (log_id, seq),
        ).fetchone()
        return found

    def _near(
        self, log_id: int, seq: int, mark: tuple[int, int], channels: Iterable[int], forwards: bool
    ) -> list[tuple[int, int]]:
        """(number, time) of the log's samples from a mark on, towards the one that is sought."""
        sign, order = (">=", "ASC") if forwards else ("<=", "DESC")
        sql = f"""SELECT log_id, seq, observed_ms FROM observations WHERE channel_id = ? AND observed_ms {sign} ?
                  ORDER BY observed_ms {order} LIMIT {WALK}"""  # noqa: S608
        out = []
        for channel in channels:
            for found_log, found_seq, at_ms in self._db.execute(sql, (channel, mark[1])):
                if found_log != log_id:
                    continue
                if (found_seq > seq) if forwards else (found_seq < seq):
                    break
                out.append((found_seq, at_ms))
        return out
