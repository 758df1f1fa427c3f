"""Delimited text: the CSV export of the Environment Agency (England), as it is with its metadata lines, and plain
`time,value[,quality]`. Values become metres, times UTC milliseconds; the quality text is kept.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

from gateway import units

from .rows import Recording, RecordingError, Row, appended

_EA_HEADER = "Time stamp"
_EA_VALUE = re.compile(r"Value\[(.+)\]")
_NOTHING = {"", "---"}  # how the agency writes a missing value


@dataclass(frozen=True, slots=True)
class _Form:
    """Where a kind of file has its columns, and how it writes time and value."""

    time: int
    value: int
    quality: int | None
    moment: Callable[[str], datetime]
    scale: units.Scale


def read(path: Path) -> Recording:
    """Raises RecordingError for the first line that cannot be read, OSError where the file cannot."""
    rows: list[Row] = []
    missing = 0
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        lines = _lines(path, file)
        title, form, first = _head(path, lines)
        for number, cells in chain(first, lines):
            if not any(cell.strip() for cell in cells):
                continue
            row = _row(path, number, cells, form)
            if row is None:
                missing += 1
                continue
            appended(path, rows, row, cells[form.time])
    if not rows:
        raise RecordingError(path, 1, "there is no value in this recording")
    return Recording(path, title, tuple(rows), missing)


def _lines(path: Path, file: Iterator[str]) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(file)
    try:
        for cells in reader:
            yield reader.line_num, cells
    except csv.Error as e:
        raise RecordingError(path, reader.line_num, str(e)) from e


def _head(path: Path, lines: Iterator[tuple[int, list[str]]]) -> tuple[str, _Form, list[tuple[int, list[str]]]]:
    """Title and form; and the first data line, where a plain file has no header and it is already read."""
    number, cells = next(lines, (1, []))
    if cells and cells[0].strip() in ("Station name", _EA_HEADER):
        return _ea_head(path, number, cells, lines)
    names = [cell.strip().lower() for cell in cells]
    if names[:2] == ["time", "value"]:
        quality = names.index("quality") if "quality" in names else None
        return path.stem, _Form(0, 1, quality, _iso, (1.0, 0.0)), []
    if len(cells) < 2:
        raise RecordingError(path, number, "neither an export of the Environment Agency nor 'time,value'")
    return path.stem, _Form(0, 1, 2 if len(cells) > 2 else None, _iso, (1.0, 0.0)), [(number, cells)]


def _ea_head(
    path: Path, number: int, cells: list[str], lines: Iterator[tuple[int, list[str]]]
) -> tuple[str, _Form, list[tuple[int, list[str]]]]:
    about: dict[str, str] = {}
    while cells[:1] != [_EA_HEADER]:
        if len(cells) > 1:
            about.setdefault(cells[0], cells[1].strip())
        number, cells = next(lines, (number, [_EA_HEADER]))
    found = next(((i, m[1]) for i, cell in enumerate(cells) if (m := _EA_VALUE.fullmatch(cell))), None)
    if found is None:
        raise RecordingError(path, number, "the header has no column 'Value[m]'")
    column, unit = found
    if unit not in units.QUANTITIES["water_level"].accepts:
        raise RecordingError(path, number, f"the values are in '{unit}', which is no unit of a water level")
    quality = cells.index("State of value") if "State of value" in cells else None
    title = ", ".join(about[key] for key in ("Station name", "River") if about.get(key)) or path.stem
    return title, _Form(0, column, quality, _british, units.scale_of("water_level", unit)), []


def _row(path: Path, line: int, cells: list[str], form: _Form) -> Row | None:
    """None for a line that says that the value is missing."""
    if len(cells) <= form.value:
        raise RecordingError(path, line, f"{len(cells)} column(s), expected at least {form.value + 1}")
    try:
        moment = form.moment(cells[form.time].strip())
    except ValueError as e:
        raise RecordingError(path, line, f"{cells[form.time]!r} is not a time ({e})") from e
    text = cells[form.value].strip()
    if text in _NOTHING:
        return None
    try:
        value = float(text) if "_" not in text else math.nan  # Python reads 1_000 as a number
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise RecordingError(path, line, f"{text!r} is not a number")
    known = form.quality is not None and form.quality < len(cells)
    quality = cells[form.quality].strip() if form.quality is not None and known else ""
    return Row(round(moment.timestamp() * 1000), units.canonical(value, form.scale), quality, line)


def _british(text: str) -> datetime:
    """The agency writes dd/mm/yyyy, and GMT in summer too."""
    return datetime.strptime(text, "%d/%m/%Y %H:%M:%S").replace(tzinfo=UTC)


def _iso(text: str) -> datetime:
    """A time without a zone is UTC."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
