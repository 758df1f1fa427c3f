"""The journal: an append-only chronology of what was known, said and done. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a row of the journal tells."""

    TRANSITION = "transition"
    NOTIFICATION = "notification"
    ACKNOWLEDGED = "acknowledged"
    JUDGED = "judged"  # confirmed, rejected or closed by a person
    SUSPENDED = "suspended"  # mute and maintenance: begin and end
    DRILL = "drill"
    THRESHOLDS = "thresholds"
    BULLETIN = "bulletin"
    MANUAL = "manual"  # calls, patrols, camera, closures, orders of the mayor


@dataclass(frozen=True, slots=True)
class Entry:
    """One row. `at_ms` is when it happened, which a person may state later than it is recorded. `station` and
    `episode` are empty where it concerns none, `by` where no person did it. `body` holds plain JSON values."""

    at_ms: int
    kind: Kind
    tenant: str
    station: str = ""
    episode: str = ""
    by: str = ""
    body: Mapping[str, object] | None = None
