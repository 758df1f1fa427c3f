"""Hourly levels of Japan's Ministry of Land, Infrastructure, Transport and Tourism (`.dat` of www1.river.go.jp):
Shift_JIS, a title, lines with the names of water system, river and station, comments after `#`, a header, then one
line a day: `yyyy/mm/dd,v1,f1,...,v24,f24`.

Column N is N o'clock in Japan; column 24 is midnight, 00:00 of the next day. Flags: `*` provisional, `$` missing,
`#` closed, `-` not registered, blank good; a value of -9999 or less is missing whatever its flag.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

from .rows import Recording, RecordingError, Row, appended

_JAPAN = timezone(timedelta(hours=9))
_DAY = re.compile(r"\d{4}/\d{1,2}/\d{1,2}\s*,")
_HOURS = 24
_NO_VALUE = {"$", "#", "-"}
_KNOWN = _NO_VALUE | {"", "*"}
_MISSING = -9999.0  # and below


def is_one(head: bytes) -> bool:
    """Whether a file that begins so is one of these."""
    return "水系名".encode("cp932") in head or "水系名".encode() in head


def read(path: Path) -> Recording:
    """Raises RecordingError for the first line that cannot be read, OSError where the file cannot."""
    about: dict[str, str] = {}
    rows: list[Row] = []
    missing = 0
    days = 0
    for line, text in enumerate(_text(path).splitlines(), 1):
        if _DAY.match(text):
            days += 1
            missing += _day(path, line, text, rows)
        elif days and text.strip() and not text.startswith("#"):
            raise RecordingError(path, line, f"{text[:40]!r} is not a day 'yyyy/mm/dd,…'")
        elif not text.startswith("#"):
            key, _, value = text.partition(",")
            about.setdefault(key.strip(), value.strip(" ,"))
    if not rows:
        raise RecordingError(path, 1, "there is no value in this recording")
    title = ", ".join(about[key] for key in ("観測所名", "河川名") if about.get(key)) or path.stem
    return Recording(path, title, tuple(rows), missing, about.get("観測所記号", ""))


def _text(path: Path) -> str:
    raw = path.read_bytes()
    for encoding in ("cp932", "utf-8-sig"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError as e:
            line = raw.count(b"\n", 0, e.start) + 1
    raise RecordingError(path, line, "the text is neither Shift_JIS nor UTF-8")


def _day(path: Path, line: int, text: str, rows: list[Row]) -> int:
    """Adds a day's values; returns how many are missing."""
    cells = [cell.strip() for cell in text.split(",")]
    if len(cells) < 1 + 2 * _HOURS:
        raise RecordingError(path, line, f"{len(cells)} columns, expected a date and 24 values with flags")
    try:
        midnight = datetime.strptime(cells[0], "%Y/%m/%d").replace(tzinfo=_JAPAN)
    except ValueError as e:
        raise RecordingError(path, line, f"{cells[0]!r} is not a day") from e
    missing = 0
    for hour in range(1, _HOURS + 1):
        value, flag = cells[2 * hour - 1], cells[2 * hour]
        found = _value(path, line, f"column {hour}", value, flag)
        if found is None:
            missing += 1
            continue
        at = (midnight + timedelta(hours=hour)).astimezone(UTC)
        appended(path, rows, Row(round(at.timestamp() * 1000), found, flag, line), f"{cells[0]} {hour}:00")
    return missing


def _value(path: Path, line: int, place: str, text: str, flag: str) -> float | None:
    if flag not in _KNOWN:
        raise RecordingError(path, line, f"{place}: unknown flag {flag!r}")
    if flag in _NO_VALUE or text == "":
        return None
    try:
        value = float(text) if "_" not in text else math.nan
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise RecordingError(path, line, f"{place}: {text!r} is not a number")
    return None if value <= _MISSING else value
