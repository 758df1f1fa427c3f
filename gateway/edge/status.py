"""How the spool on a card stands, read beside a running agent: short reads, nothing written.

The card alone does not tell what the bridge's receipts settled: that is memory, and each opening begins by not
believing it. A running agent notes the number at most every ten minutes, in a commit that it makes anyway, so that the
card wears no faster; the note says as of which sample.
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

from gateway import settings
from gateway.disk import DISK, Disk
from gateway.edge import capacity, held, spoolfile
from gateway.edge.room import MAX_LOGS
from gateway.errors import Unavailable

VERSION = 1
OLDEST = "SELECT observed_ms FROM samples WHERE log_id = ? ORDER BY seq LIMIT 1"


def read(edge: settings.Edge, disk: Disk = DISK) -> dict[str, Any]:
    """A JSON object. Raises Unavailable where there is no spool, or none that can be read."""
    path = edge.spool.path
    if not path.exists():
        raise Unavailable(f"there is no spool {path} yet: the agent makes it when it first runs")
    try:
        with contextlib.closing(disk.connect(path, write=False)) as db:
            db.execute("BEGIN")  # one moment for all of it
            found = _card(db, path)
            db.execute("ROLLBACK")
    except sqlite3.Error as e:
        remedy = "The agent sets it aside when it starts next." if spoolfile.is_damage(e) else "Try again."
        raise Unavailable(f"cannot read the spool {path}: {e}. {remedy}") from e
    rate = capacity.bytes_per_s(edge)
    hours = capacity.hours(edge.spool.max_bytes, rate)
    return {
        "version": VERSION,
        "path": str(path),
        **found,
        "bytes_ceiling": edge.spool.max_bytes,
        "hours_total": None if hours is None else round(hours, 1),
        "damaged": sorted(p.name for p in path.parent.glob(f"{path.name}.damaged-*Z*") if _is_file(p.name)),
    }


def _is_file(name: str) -> bool:
    return not name.endswith(("-wal", "-shm", ".new"))


def _card(db: sqlite3.Connection, path: Path) -> dict[str, Any]:
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version > spoolfile.VERSION:
        raise Unavailable(f"{path} was written by a newer suimon (version {version}). Install that version.")
    logs = held.load(db)
    oldest = [db.execute(OLDEST, (entry.id,)).fetchone()[0] for entry in logs if entry.count]
    gone: dict[str, int] = {}
    for entry in logs:
        for a, b, reason in entry.gone:
            gone[reason] = gone.get(reason, 0) + b - a + 1
    note = spoolfile.read_note(db) if version > 1 else None
    pages, free, size = (
        db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return {
        "logs": len([entry for entry in logs if entry.count]),
        "logs_ceiling": MAX_LOGS,
        "samples": sum(entry.count for entry in logs),
        "oldest_ms": min(oldest, default=None),
        "bytes_used": (pages - free) * size,
        "gone": gone,
        "set_aside": db.execute("SELECT count(*) FROM set_aside").fetchone()[0] if version > 1 else 0,
        "agent": None
        if note is None
        else {"at_ms": note.at_ms, "opening": note.opening, "unsettled": note.unsettled, "notices": note.notices},
    }
