"""Thresholds from a table as authorities publish it (CSV), and how they differ from those in stations.yaml. Reads text,
writes nothing.

Columns: station, channel, level, value, unit, authority, basis, source, valid_from, valid_to; `reference` may stand
beside them. UTF-8, with or without a mark, or Shift_JIS. Full-width digits and signs are read, and said.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Literal, get_args

from gateway import units
from gateway.errors import Problem
from gateway.fields import did_you_mean, instead
from gateway.schema import Threshold as Row
from gateway.stations import Channel, Registry, Station, Threshold
from gateway.thresholdfile import midnight

NEEDED = ("station", "channel", "level", "value", "unit", "authority", "basis", "source")
OPTIONAL = ("valid_from", "valid_to", "reference")
_JST = timedelta(hours=9)
_DAY = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})", re.ASCII)
Place = tuple[str, str, str]  # tenant, station, channel
Kind = Literal["added", "changed", "removed", "unchanged"]


@dataclass(frozen=True, slots=True)
class Difference:
    """What becomes of one threshold. `written` is its value as the table writes it, in the channel's unit."""

    kind: Kind
    place: Place
    level: str
    old: Threshold | None
    new: Threshold | None
    written: str = ""

    @property
    def by(self) -> float | None:
        """How much the value changes, canonical unit."""
        return None if self.old is None or self.new is None else round(self.new.value - self.old.value, 6)


@dataclass(slots=True)
class Read:
    """What a table holds. With a problem, nothing of it is used."""

    wanted: dict[Place, dict[str, tuple[Threshold, str]]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read(data: bytes, file: str, registry: Registry, references: Mapping[Place, str]) -> Read:
    """The thresholds of a table. `references` are those of the channels (gauge_height or elevation)."""
    out = Read()
    text = _text(data)
    if text is None:
        out.problems.append(Problem(file, 1, 1, "", "neither UTF-8 nor Shift_JIS. Save it as UTF-8"))
        return out
    rows = csv.reader(io.StringIO(text, newline=""))
    heading = [_narrow(cell).strip().lower() for cell in next(rows, [])]
    for name in NEEDED:
        if name not in heading:
            near = did_you_mean(name, heading)
            out.problems.append(Problem(file, 1, 1, "", f"the column '{name}' is missing{near}"))
    out.problems += [
        Problem(file, 1, 1, "", f"unknown column '{name}'{instead(name, (*NEEDED, *OPTIONAL))}")
        for name in heading
        if name and name not in NEEDED + OPTIONAL
    ]
    if out.problems:
        return out
    for cells in rows:
        if any(cell.strip() for cell in cells):
            _row(out, file, rows.line_num, dict(zip(heading, cells, strict=False)), registry, references)
    if not out.wanted and not out.problems:
        out.problems.append(Problem(file, 1, 1, "", "no threshold stands in it"))
    return out


def _text(data: bytes) -> str | None:
    for encoding in ("utf-8-sig", "cp932"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return None


def _narrow(text: str) -> str:
    """Full-width letters, digits and signs as ordinary ones."""
    return unicodedata.normalize("NFKC", text).replace("−", "-")


class _Cells:
    """The cells of one line; what is wrong with one is a problem of the line."""

    def __init__(self, out: Read, file: str, line: int, cells: Mapping[str, str]) -> None:
        self._out, self._file, self._line, self._cells = out, file, line, cells
        self.bad = False

    def wrong(self, column: str, message: str) -> None:
        self.bad = True
        self._out.problems.append(Problem(self._file, self._line, 1, column, message))

    def text(self, column: str) -> str:
        return (self._cells.get(column) or "").strip()

    def narrow(self, column: str) -> str:
        text = self.text(column)
        found = _narrow(text)
        if found != text:
            self._out.notes.append(f"{self._file}:{self._line} {column}: '{text}' is read as {found}")
        return found

    def choice(self, column: str) -> str:
        choices = get_args(Row.model_fields[column].annotation)
        text = self.text(column)
        if text not in choices:
            self.wrong(column, f"'{text}' is not known{instead(text, choices)}")
        return text

    def day(self, column: str) -> date | None:
        text = self.narrow(column)
        if not text:
            return None
        found = _DAY.fullmatch(text)
        try:
            if found:
                return date(*map(int, found.groups()))
        except ValueError:
            pass
        self.wrong(column, f"'{text}' is not a day. Write it like 2026-06-01")
        return None


def _row(
    out: Read, file: str, line: int, cells: Mapping[str, str], registry: Registry, references: Mapping[Place, str]
) -> None:
    row = _Cells(out, file, line, cells)
    found = _channel(row, registry)
    if found is None:
        return
    station, channel = found
    place = (station.tenant, station.id, channel.name)
    key = row.narrow("level")
    level = registry.levels.by_key(key, station.hazard)
    if level is None or level.rank == 0:
        row.wrong("level", f"unknown level '{key}'{instead(key, registry.levels.keys(station.hazard))}")
    reference = row.text("reference") or references.get(place, "")
    if reference != references.get(place, ""):
        message = (
            f"{reference}, and the observations of {channel.name} are {references.get(place)}. Nothing is converted"
        )
        row.wrong("reference", message)
    written = f"{row.narrow('value')} {row.narrow('unit')}".strip()
    value = _value(row, written, channel)
    source = row.text("source")
    if not source:
        row.wrong("source", "has no value. Write document and date")
    authority, basis = row.choice("authority"), row.choice("basis")
    begin, end = row.day("valid_from"), row.day("valid_to")
    if begin and end and begin >= end:
        row.wrong("valid_to", f"{end} is not after valid_from ({begin})")
    if row.bad or level is None or value is None:
        return
    wanted = out.wanted.setdefault(place, {})
    if key in wanted:
        row.wrong("level", f"'{key}' of {station.id} {channel.name} stands twice")
        return
    made = Threshold(key, level.rank, value, authority, basis, source, midnight(begin), midnight(end))
    wanted[key] = made, written


def _channel(row: _Cells, registry: Registry) -> tuple[Station, Channel] | None:
    name = row.narrow("station")
    stations = [s for s in registry.stations.values() if s.id == name]
    if len(stations) != 1:
        what = "is a station of several tenants" if stations else "is not in stations.yaml"
        names = [s.id for s in registry.stations.values()]
        row.wrong("station", f"'{name}' {what}{'' if stations else did_you_mean(name, names)}")
        return None
    name = row.narrow("channel")
    known = {c.name: c for c in stations[0].channels.values() if not c.derived and not c.contact}
    if name not in known:
        row.wrong("channel", f"{stations[0].id} has no channel '{name}' that takes thresholds{instead(name, known)}")
        return None
    return stations[0], known[name]


def _value(row: _Cells, written: str, channel: Channel) -> float | None:
    try:
        return units.parse(written, channel.quantity)
    except ValueError as e:
        row.wrong("value", str(e))
        return None


# --- differences


def differences(found: Read, registry: Registry, replace: bool) -> list[Difference]:
    """What would change. `replace`: thresholds of a channel in the table that the table does not name are removed."""
    out: list[Difference] = []
    for place, wanted in found.wanted.items():
        channel = registry.channel(*place)
        old = {t.level: t for t in channel.thresholds} if channel else {}
        for level, (new, written) in wanted.items():
            before = old.get(level)
            kind: Kind = "added" if before is None else "unchanged" if before == new else "changed"
            out.append(Difference(kind, place, level, before, new, written))
        if replace:
            out += [Difference("removed", place, level, t, None) for level, t in old.items() if level not in wanted]
    return out


def day_of(at_ms: int | None) -> str:
    """A day of Japan's calendar, as stations.yaml writes it; empty without one."""
    return "" if at_ms is None else f"{datetime.fromtimestamp(at_ms / 1000, UTC) + _JST:%Y-%m-%d}"
