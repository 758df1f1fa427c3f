"""How the push to a context broker stands, as the bridge notes it in its store for whoever looks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from gateway import storefile

KEY = "orion"


@dataclass(frozen=True, slots=True)
class Standing:
    """How the push stands, for whoever looks. `refused` by the answer's status, since the start; `refuses` are the
    entities that the broker does not take as they are now, and why."""

    waiting: int = 0
    since_ms: int | None = None
    reason: str | None = None
    answer_ms: int | None = None
    refused: tuple[tuple[int, int], ...] = ()
    refuses: tuple[tuple[str, str], ...] = ()


def text(standing: Standing) -> str:
    return msgspec.json.encode(standing).decode()


def read(store: Path) -> Standing | None:
    """None where nothing was noted yet. Raises Unavailable."""
    found = storefile.rows(store, "SELECT value FROM meta WHERE key = ?", (KEY,))
    return msgspec.json.decode(found[0][0], type=Standing) if found else None
