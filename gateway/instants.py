"""Times on the wire: ISO 8601 in UTC, to the millisecond. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST_MS, LAST_MS = -62_135_596_800_000, 253_402_300_799_999  # the years 1 to 9999
_MS = timedelta(milliseconds=1)


def iso(ms: int | None) -> str | None:
    """'2026-11-24T03:12:40.000Z'; None for None, and the nearest there is for what lies beyond the calendar."""
    if ms is None:
        return None
    at = _EPOCH + max(FIRST_MS, min(LAST_MS, ms)) * _MS
    return f"{at.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def parse(text: str) -> int:
    """Milliseconds of a time with its offset. Raises ValueError for anything else."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("a time without its offset: write …Z or …+09:00")
    try:
        return (at - _EPOCH) // _MS
    except OverflowError:
        raise ValueError("a time beyond the calendar") from None
