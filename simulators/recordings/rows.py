"""What every form of recording becomes: rows in metres and UTC milliseconds, and what is said of a line that cannot be
read."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path


class RecordingError(ValueError):
    """The recording cannot be used; says file, line and what is wrong."""

    def __init__(self, path: Path, line: int, message: str) -> None:
        super().__init__(f"{path.name}:{line}: {message}")


@dataclass(frozen=True, slots=True)
class Row:
    """One recorded value in metres. `line` is its place in the file."""

    at_ms: int
    value: float
    quality: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording; times strictly rise. `missing` counts the lines that say that there is no value. `site` is its name
    among the recordings of one file."""

    path: Path
    title: str
    rows: tuple[Row, ...]
    missing: int = 0
    site: str = ""

    @property
    def shortest_step_s(self) -> float:
        """An agent must read at least this often to meet every row."""
        return min(((b.at_ms - a.at_ms) / 1000 for a, b in pairwise(self.rows)), default=60.0)


@dataclass(frozen=True, slots=True)
class Item:
    """One gauge in a snapshot: the value shown, in metres, when it was measured, and the gauge's own levels: from
    `start` on it transmits; `warn` may be absent; at `overflow` the water leaves the river."""

    code: str
    name: str
    at_ms: int
    value: float
    start: float | None
    warn: float | None
    overflow: float | None
    claims_flood: bool
    line: int = 0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a national list of gauges showed at one moment."""

    path: Path
    shown_ms: int
    items: tuple[Item, ...]
    missing: int = 0


def appended(path: Path, rows: list[Row], row: Row, written: str) -> None:
    """Adds a row, whose time the file writes as `written`. Raises RecordingError where time does not rise."""
    if rows and row.at_ms <= rows[-1].at_ms:
        raise RecordingError(path, row.line, f"{written} is not later than the row before")
    rows.append(row)
