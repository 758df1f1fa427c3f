"""WaterML in JSON, as the US Geological Survey gives its instantaneous values
(https://waterservices.usgs.gov/docs/instantaneous-values/): one series for each site, variable and method.

Only gauge heights are taken, by their parameter codes. Times carry their zone; where one does not, it is that of the
site. `noDataValue` is a missing value; qualifiers (A approved, P provisional, Ice, Eqp, ...) are kept, joined by `;`.
"""

from __future__ import annotations

import html
import math
from datetime import datetime
from pathlib import Path
from typing import Any

from .jsontext import Document
from .rows import Recording, RecordingError, Row, appended

_HEIGHTS = {"00065", "30207", "99065"}  # parameter codes: gage height in feet; in metres, twice
_METRES = {"ft": 0.3048, "m": 1.0}


def read(path: Path) -> tuple[Recording, ...]:
    """Every gauge height in the file. Raises RecordingError, or OSError where it cannot be read."""
    document = Document(path, path.read_text(encoding="utf-8-sig"))
    answer = document.get(document.value, "value", dict, 1)
    lines = iter(document.lines("dateTime"))
    found: list[Recording] = []
    for series in document.get(answer, "timeSeries", list, 1):
        for number, values in enumerate(document.get(series, "values", list, 1)):
            places = [next(lines, 1) for _ in document.get(values, "value", list, 1)]
            code = document.get(document.get(series, "variable", dict, 1), "variableCode", list, 1)
            if not any(isinstance(x, dict) and x.get("value") in _HEIGHTS for x in code):
                continue
            recording = _recording(document, series, values["value"], places, number)
            if recording.rows:
                found.append(recording)
    if not found:
        raise RecordingError(path, 1, "there is no gauge height in this recording (parameter 00065)")
    return tuple(found)


def _recording(document: Document, series: Any, values: list[Any], places: list[int], number: int) -> Recording:
    source, variable = document.get(series, "sourceInfo", dict, 1), series["variable"]
    unit = document.get(document.get(variable, "unit", dict, 1), "unitCode", str, 1)
    if unit not in _METRES:
        raise document.wrong(places[0] if places else 1, f"the values are in '{unit}', expected ft or m")
    nothing = variable.get("noDataValue")
    zone = _zone(source)
    rows: list[Row] = []
    missing = 0
    for cell, line in zip(values, places, strict=True):
        row = _row(document, cell, line, _METRES[unit], nothing, zone)
        if row is None:
            missing += 1
        else:
            appended(document.path, rows, row, cell["dateTime"])
    site = next((str(x["value"]) for x in source.get("siteCode", []) if isinstance(x, dict) and "value" in x), "")
    site = f"{site}/{number + 1}" if number else site
    return Recording(document.path, html.unescape(str(source.get("siteName", site))), tuple(rows), missing, site)


def _zone(source: dict[str, Any]) -> str:
    """The site's own offset without summer time, as ISO writes it."""
    zone = (source.get("timeZoneInfo") or {}).get("defaultTimeZone") or {}
    return str(zone.get("zoneOffset", ""))


def _row(document: Document, cell: Any, line: int, scale: float, nothing: Any, zone: str) -> Row | None:
    """None for a value that says that there is none."""
    text, when = document.get(cell, "value", str, line), document.get(cell, "dateTime", str, line)
    try:
        moment = datetime.fromisoformat(when)
        moment = moment if moment.tzinfo else datetime.fromisoformat(when + zone)
    except ValueError as e:
        raise document.wrong(line, f"{when!r} is not a time ({e})") from e
    if moment.tzinfo is None:
        raise document.wrong(line, f"{when!r} has no zone, and neither has its site")
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if text == "" or (isinstance(nothing, int | float) and value == nothing):
        return None
    if not math.isfinite(value) or "_" in text:
        raise document.wrong(line, f"{text!r} is not a number")
    quality = ";".join(str(q) for q in cell.get("qualifiers", []))
    return Row(round(moment.timestamp() * 1000), round(value * scale, 4), quality, line)
