"""A table of the astronomical tide, as a file beside the configuration.

Two forms. CSV: `time,level`, one a line, a heading allowed; ISO times, without a zone those of Japan, `24:00` is the
next day's 0:00; metres. And the text of the tide tables (潮位表) of the Japan Meteorological Agency: 136 columns a day,
24 hourly levels of three digits (cm above the table's datum, 0 to 23 h of Japan's time), year, month and day of two
digits each, two letters for the place, four high waters (hhmm, cm), four low waters; 9999 and 999 where there is none.
"""

from __future__ import annotations

import csv
import hashlib
import re
from array import array
from datetime import datetime, timedelta, timezone
from pathlib import Path as FilePath

from gateway.tide import HighWater, Table
from gateway.yamlfile import Document, Path

JAPAN = timezone(timedelta(hours=9))
MAX_BYTES = 20_000_000
LEAST = 4  # values that make a curve
HIGHEST_M = 20.0  # the greatest tide of the world is 17 m
_TIME = re.compile(
    r"(\d{4})[-/](\d{1,2})[-/](\d{1,2})[T ]+(\d{1,2}):(\d\d)(?::(\d\d)(?:\.0*)?)?\s*(Z|[+-]\d\d:?\d\d)?", re.ASCII
)
_DAY = re.compile(r"[ \d-]{72}[ \d]{6}[A-Z0-9]{2}")
_HOURS, _DATE, _HIGHS = slice(0, 72), slice(72, 78), slice(80, 108)

Row = tuple[int, float]


class _Bad(ValueError):
    """What is wrong in which line."""


def read(document: Document, path: Path, folder: FilePath, name: str) -> Table | None:
    """The table of that name; None after noting what is wrong with it at `path`."""
    try:
        data = (folder / name).read_bytes()
        if len(data) > MAX_BYTES:
            raise _Bad(f"{len(data)} bytes are no tide table")
        text = _text(data)
        rows, highs = _jma(text) if _DAY.match(text) else (_csv(text), [])
        _rising(rows)
    except (OSError, _Bad) as e:
        why = f"cannot be read ({(e.strerror or '').lower()})" if isinstance(e, OSError) else str(e)
        document.add(path, f"{name}: {why}")
        return None
    times, levels = array("q", (at for at, _ in rows)), array("d", (level for _, level in rows))
    return Table(name, hashlib.sha256(data).hexdigest()[:16], times, levels, tuple(highs))


def _text(data: bytes) -> str:
    for encoding in ("utf-8-sig", "cp932"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise _Bad("is neither UTF-8 nor Shift_JIS. Save it as UTF-8")


def _rising(rows: list[Row]) -> None:
    if len(rows) < LEAST:
        raise _Bad(f"{len(rows)} values make no curve. It has at least {LEAST}")


# --- CSV


def _csv(text: str) -> list[Row]:
    out: list[Row] = []
    for line, cells in enumerate(csv.reader(text.splitlines()), 1):
        if not cells or not any(cell.strip() for cell in cells) or cells[0].lstrip().startswith("#"):
            continue
        at_ms = _time(cells[0].strip())
        if at_ms is None and not out and not cells[0].strip()[:1].isdigit():
            continue  # a heading
        if at_ms is None:
            raise _Bad(f"line {line}: '{cells[0][:40]}' is not a time. Write it like 2026-11-22 03:00")
        out.append((at_ms, _metres(cells[1] if len(cells) > 1 else "", line)))
        if len(out) > 1 and at_ms <= out[-2][0]:
            raise _Bad(f"line {line}: {cells[0].strip()} is not after the line before. Times rise")
    return out


def _time(text: str) -> int | None:
    found = _TIME.fullmatch(text)
    if not found:
        return None
    year, month, day, hour, minute = map(int, found.groups()[:5])
    zone = (
        JAPAN
        if found[7] is None
        else datetime.fromisoformat(f"2000-01-01T00:00{found[7].replace('Z', '+00:00')}").tzinfo
    )
    try:
        at = datetime(year, month, day, hour % 24, minute, int(found[6] or 0), tzinfo=zone)
    except ValueError:
        return None
    if hour > 24 or (hour == 24 and minute):
        return None
    return round((at + timedelta(days=hour // 24)).timestamp() * 1000)


def _metres(text: str, line: int) -> float:
    try:
        level = float(text)
    except ValueError:
        raise _Bad(f"line {line}: '{text.strip()[:20]}' is not a level in metres") from None
    if not abs(level) <= HIGHEST_M:
        raise _Bad(f"line {line}: {text.strip()} m is no tide. Levels are in metres")
    return level


# --- the Meteorological Agency's text


def _jma(text: str) -> tuple[list[Row], list[HighWater]]:
    rows: list[Row] = []
    highs: list[HighWater] = []
    place = ""
    for line, day in enumerate(text.splitlines(), 1):
        if not day.strip():
            continue
        if not _DAY.match(day):
            raise _Bad(f"line {line}: not a day of a tide table (72 columns of levels, 6 of the date, 2 of the place)")
        if place and day[78:80] != place:
            raise _Bad(f"line {line}: the place is {day[78:80]}, and {place} above. One table is for one place")
        place = day[78:80]
        year, month, date = (int(day[_DATE][i : i + 2].strip() or 0) for i in (0, 2, 4))
        try:
            midnight = datetime(2000 + year, month, date, tzinfo=JAPAN)
        except ValueError:
            raise _Bad(f"line {line}: '{day[_DATE]}' is not a day") from None
        begin_ms = round(midnight.timestamp() * 1000)
        if rows and begin_ms <= rows[-1][0]:
            raise _Bad(f"line {line}: {midnight:%Y-%m-%d} is not after the line before. Days rise")
        hours = [day[_HOURS][3 * h : 3 * h + 3].strip() for h in range(24)]
        rows += [(begin_ms + h * 3_600_000, int(cm) / 100) for h, cm in enumerate(hours) if _number(cm, line)]
        highs += _highs(day[_HIGHS], begin_ms, line)
    return rows, highs


def _number(text: str, line: int) -> bool:
    """Whether a level stands there."""
    if not text:
        return False
    if not re.fullmatch(r"-?\d+", text):
        raise _Bad(f"line {line}: '{text}' is not a level in cm")
    return text != "999"


def _highs(text: str, begin_ms: int, line: int) -> list[HighWater]:
    out = []
    for i in range(0, len(text) - 6, 7):
        at, cm = text[i : i + 4].replace(" ", "0"), text[i + 4 : i + 7].strip()
        if at.isdigit() and at != "9999" and _number(cm, line) and int(at[:2]) < 24 and int(at[2:]) < 60:
            out.append(HighWater(begin_ms + (int(at[:2]) * 60 + int(at[2:])) * 60_000, int(cm) / 100))
    return out
