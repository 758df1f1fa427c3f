"""How the reading of bulletins stands, as the bridge notes it in its store for whoever looks, and what it has read."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from gateway import storefile
from gateway.disk import DISK, Disk

KEY, READ = "bulletins", "bulletins_read"
UNHEARD_MS = 5 * 60_000  # five rounds of the feed without an answer: whoever looks is told


@dataclass(frozen=True, slots=True)
class Standing:
    """`heard_ms`: when the feed last answered with what it is. `reason` why not since `since_ms`. `updated_ms`: of the
    feed itself. `fates`: what became of documents since the start."""

    heard_ms: int | None = None
    since_ms: int | None = None
    reason: str | None = None
    updated_ms: int | None = None
    fates: dict[str, int] = field(default_factory=dict)

    def unheard(self, now_ms: int) -> bool:
        """Whether nobody can say that there is no newer bulletin."""
        return self.heard_ms is None or self.reason is not None or now_ms - self.heard_ms > UNHEARD_MS


def text(standing: Standing) -> str:
    return msgspec.json.encode(standing).decode()


def read(store: Path, disk: Disk = DISK) -> Standing | None:
    """None where nothing was noted yet. Raises Unavailable."""
    found = storefile.rows(store, "SELECT value FROM meta WHERE key = ?", (KEY,), disk)
    return msgspec.json.decode(found[0][0], type=Standing) if found else None
