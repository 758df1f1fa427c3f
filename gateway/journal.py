"""The journal: an append-only chronology of what was known, said and done. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """One row. `at_ms` is when it happened, which a person may state later than it is recorded. `station` and
    `episode` are empty where it concerns none, `by` where no person did it. `body` holds plain JSON values."""

    at_ms: int
    kind: str
    tenant: str
    station: str = ""
    episode: str = ""
    by: str = ""
    body: Mapping[str, object] | None = None
