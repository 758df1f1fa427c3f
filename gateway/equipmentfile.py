"""The keys `calibrations` and `replaced` of a channel in stations.yaml: what was done to its sensor, and when."""

from __future__ import annotations

from typing import Any, Literal

from gateway import fields as f
from gateway import units
from gateway.equipment import Calibration, Equipment, Replacement
from gateway.schema import Row, need
from gateway.validation import amount_of, validate
from gateway.yamlfile import Document, Path


class CalibrationRow(Row):
    at: f.Moment = need("2026-04-01 09:00")
    by: f.Text = need("河川課 山田")
    basis: f.Text = need("水準測量 2026-04-01")
    scale: float | None = None
    offset: f.Amount | None = None
    points: list[f.Span] | None = None


class ReplacementRow(Row):
    at: f.Moment = need("2026-04-01 10:20")
    old: f.Text = need("SN 1042")
    new: f.Text = need("SN 2210")
    why: f.Text = need("落雷")
    zero: Literal["checked", "unknown"] = "unknown"


def equipment(document: Document, path: Path, quantity: str, now_ms: int | None) -> Equipment:
    """What the channel at `path` says; mistakes are problems of the document. `now_ms` where it is to be judged whether
    something lies in the future: a bridge that starts with a wrong clock does not ask."""
    found: dict[str, list[Any]] = {"calibrations": [], "replaced": []}
    for key, kept in found.items():
        stated = document.mapping(path).get(key)
        if stated is not None and not isinstance(stated, list):
            document.add((*path, key), "a list stands here, one entry for each. Begin the line with '- {at: …'")
            continue
        for i in range(len(stated or ())):
            row = (
                _calibration(document, (*path, key, i), quantity)
                if key == "calibrations"
                else _replacement(document, (*path, key, i))
            )
            if row is not None:
                _in_order(document, (*path, key, i), row, kept[-1] if kept else None, now_ms)
                kept.append(row)
    if found["calibrations"]:
        _alone(document, path, quantity)
    return Equipment(tuple(found["calibrations"]), tuple(found["replaced"]))


def _replacement(document: Document, path: Path) -> Replacement | None:
    row = validate(ReplacementRow, document, path)
    return None if row is None else Replacement(row.at, row.old, row.new, row.why, row.zero == "checked")


def _calibration(document: Document, path: Path, quantity: str) -> Calibration | None:
    row = validate(CalibrationRow, document, path)
    if row is None:
        return None
    plain = row.scale is not None or row.offset is not None
    if plain == (row.points is not None):
        message = (
            "both ways at once: leave points out, or scale and offset" if plain else "it says nothing of the reading"
        )
        document.add(path, message + ". Write 'offset: 3 cm', or 'points: [[0.52 m, 0.50 m], [3.10 m, 3.00 m]]'")
        return None
    if row.points is not None:
        way = _through(document, (*path, "points"), row.points, quantity)
    else:
        way = _by(document, path, row, quantity)
    return way and Calibration(row.at, *way, row.by, row.basis)


def _by(document: Document, path: Path, row: CalibrationRow, quantity: str) -> tuple[float, float] | None:
    scale, offset = 1.0 if row.scale is None else row.scale, 0.0
    if scale <= 0:
        document.add((*path, "scale"), f"{scale:g} is not above zero. A sensor that reads right has 1")
        return None
    if row.offset is not None:
        found = amount_of(document, (*path, "offset"), row.offset, quantity, units.parse_difference)
        if found is None:
            return None
        offset = found
    return scale, offset


def _through(
    document: Document, path: Path, points: list[tuple[str, str]], quantity: str
) -> tuple[float, float] | None:
    """Scale and offset of the line through two points of (what the sensor said, what was true)."""
    if len(points) != 2:
        document.add(path, f"{len(points)} points. Write two, of the sensor's reading and the true value each")
        return None
    read = [[amount_of(document, (*path, i, j), x, quantity) for j, x in enumerate(p)] for i, p in enumerate(points)]
    (a, b), (c, d) = read
    if a is None or b is None or c is None or d is None:
        return None
    if a == c or (d - b) / (c - a) <= 0:
        document.add(path, "no line that rises goes through them. The sensor's reading stands first in each point")
        return None
    scale = (d - b) / (c - a)
    return round(scale, 12), round(b - scale * a, 12)


def _in_order(
    document: Document,
    path: Path,
    row: Calibration | Replacement,
    before: Calibration | Replacement | None,
    now: int | None,
) -> None:
    at, earlier = _time(row), None if before is None else _time(before)
    if earlier is not None and at <= earlier:
        what = "the same time as" if at == earlier else "before"
        document.add(
            (*path, "at"),
            f"{f.at_words(at)} is {what} the entry above. The oldest stands first, each with a time of its own",
        )
    elif now is not None and at > now:
        message = f"{f.at_words(at)} lies in the future. Write it down when it has been done"
        document.add((*path, "at"), message)


def _time(row: Calibration | Replacement) -> int:
    return row.from_ms if isinstance(row, Calibration) else row.at_ms


def _alone(document: Document, path: Path, quantity: str) -> None:
    """Where a calibration has no place."""
    stated = document.mapping(path)
    if "correction" in stated:
        message = (
            "calibrations say the same with their dates. Leave correction out; a correction from the beginning is "
        )
        document.add((*path, "correction"), message + "the first entry, in the sensor's reading", at_key=True)
    counter = quantity == "rain" and document.mapping((*path, "rain")).get("kind") == "counter"
    if counter or quantity == "contact":
        what = "a counter would jump by it" if counter else "a contact is 0 or 1"
        document.add(
            (*path, "calibrations"), f"{what}. Leave it out; a new sensor stands under 'replaced'", at_key=True
        )
