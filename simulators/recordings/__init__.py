"""Reads recorded water levels, one file for each form:

- `delimited`: the CSV export of the Environment Agency (England), and plain `time,value[,quality]`
- `mlit`: the hourly `.dat` files of Japan's Ministry of Land (www1.river.go.jp)
- `usgs`: WaterML in JSON, of the US Geological Survey's instantaneous values
- `snapshots`: lists of Japan's crisis-management gauges, one at a time or many (files of another kind: see there)

Values become metres, times UTC milliseconds. What cannot be read is told with file and line; nothing is guessed.
"""

from __future__ import annotations

from pathlib import Path

from . import delimited, jsontext, mlit, usgs
from .rows import Item, Recording, RecordingError, Row, Snapshot
from .snapshots import are_snapshots
from .snapshots import read as read_snapshots

__all__ = [
    "Item", "Recording", "RecordingError", "Row", "Snapshot", "are_snapshots", "read", "read_all", "read_snapshots",
]  # fmt: skip


def read_all(path: Path) -> tuple[Recording, ...]:
    """Every water level in the file, at least one. Raises RecordingError, or OSError where it cannot be read."""
    with path.open("rb") as file:
        head = file.read(4096)
    if mlit.is_one(head):
        return (mlit.read(path),)
    if jsontext.is_one(head):
        return usgs.read(path)
    return (delimited.read(path),)


def read(path: Path, site: str | None = None) -> Recording:
    """The one water level in the file, or that of a site. Raises RecordingError where there is no such one."""
    found = read_all(path)
    chosen = [r for r in found if site in (None, r.site)]
    if len(chosen) != 1:
        raise RecordingError(path, 1, f"choose one site: {', '.join(r.site for r in found)}")
    return chosen[0]
