"""The thresholds of a channel in stations.yaml: which level each is, in the reference of the channel, rising with the
rank, within what the sensor can see."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, timezone

from gateway import schema, units
from gateway.fields import did_you_mean
from gateway.stations import Level, LevelTable, Threshold
from gateway.validation import amount_of, validate
from gateway.yamlfile import Document, Key, Path

# The days in stations.yaml are days of Japan's calendar, where the authorities that set thresholds are.
_JAPAN = timezone(timedelta(hours=9))

Graded = list[tuple[Level, schema.Threshold]]


def rows(document: Document, channel: Path, levels: LevelTable, hazard: str) -> Graded:
    """The thresholds as they stand, each with its level; what is wrong with their form is noted."""
    keys = document.mapping((*channel, "thresholds"))
    found = [(key, validate(schema.Threshold, document, (*channel, "thresholds", key))) for key in keys]
    graded = [(_level(document, channel, key, levels, hazard), row) for key, row in found]
    return [(level, row) for level, row in graded if level and row]


def thresholds(
    document: Document,
    channel: Path,
    of: schema.Channel | None,
    quantity: str,
    graded: Graded,
    zero: float,
    span: tuple[float, float] | None,
) -> tuple[Threshold, ...]:
    """In canonical unit, lowest rank first. `of` is the channel as it is stated; `span` is what the sensor can see, in
    observations."""
    found = [_threshold(document, channel, of, quantity, level, row, zero) for level, row in graded]
    good = sorted((t for t in found if t), key=lambda t: t.rank)
    _rising(document, channel, good, units.QUANTITIES[quantity].unit)
    _within(document, channel, good, span, units.QUANTITIES[quantity].unit)
    return tuple(good)


def _level(document: Document, path: Path, key: Key, levels: LevelTable, hazard: str) -> Level | None:
    level = levels.by_key(str(key), hazard)
    if level is not None and level.rank > 0:
        return level
    keys = levels.keys(hazard)
    what = f"'{key}' is what lies below every threshold" if level else f"unknown level '{key}'"
    if level is None and (other := next((x for x in levels.levels if x.key == str(key)), None)):
        what = f"'{key}' is a level of 'hazard: {other.hazard}', and this station's is {hazard}"
    hint = "" if level else did_you_mean(key, keys)
    message = f"{what}{hint} (level table {levels.name} has {', '.join(keys)})"
    document.add((*path, "thresholds", key), message, at_key=True)
    return None


def _threshold(
    document: Document,
    channel: Path,
    of: schema.Channel | None,
    quantity: str,
    level: Level,
    row: schema.Threshold,
    zero: float,
) -> Threshold | None:
    path = (*channel, "thresholds", level.key)
    value = amount_of(document, (*path, "value"), row.value, quantity)
    begin, end = midnight(row.valid_from), midnight(row.valid_to)
    if begin is not None and end is not None and begin >= end:
        document.add((*path, "valid_to"), f"{row.valid_to} is not after valid_from ({row.valid_from})")
    if value is None:
        return None
    reference = (of and of.reference) or document.mapping(channel).get("reference", "gauge_height")
    if (row.reference or reference) != reference:
        moved = value + (zero if reference == "elevation" else -zero)
        message = f"{row.value} is {_words(row.reference)}, the channel's observations are {_words(reference)}. "
        document.add((*path, "reference"), message + f"Did you mean {moved:.2f} m as {_words(reference)}?")
        return None
    return Threshold(level.key, level.rank, value, row.authority, row.basis, row.source, begin, end)


def _words(reference: str | None) -> str:
    return str(reference).replace("_", " ")


def midnight(day: date | None) -> int | None:
    return None if day is None else int(datetime.combine(day, time(), _JAPAN).timestamp()) * 1000


def _rising(document: Document, path: Path, thresholds: list[Threshold], unit: str) -> None:
    """Any level may be absent; the order never changes. Two levels of one rank may stand either way."""
    for upper in thresholds:
        lower = max((t for t in thresholds if t.rank < upper.rank), key=lambda t: t.value, default=None)
        if lower is not None and upper.value <= lower.value:
            message = (
                f"{upper.level} (rank {upper.rank}) at {upper.value:.2f} {unit} is not above "
                f"{lower.level} (rank {lower.rank}) at {lower.value:.2f} {unit}. Values rise with the rank"
            )
            document.add((*path, "thresholds", upper.level, "value"), message)


def _within(
    document: Document, path: Path, thresholds: list[Threshold], span: tuple[float, float] | None, unit: str
) -> None:
    """A threshold that the sensor cannot reach would never ring."""
    for t in thresholds:
        if span is not None and not span[0] <= t.value <= span[1]:
            message = (
                f"{t.level} at {t.value:.2f} {unit} lies outside the sensor's span "
                f"({span[0]:.2f} to {span[1]:.2f} {unit}), so it could never be seen"
            )
            document.add((*path, "thresholds", t.level, "value"), message)
