"""The keys in stations.yaml about rain gauges, tides and contacts: what they mean, and which channels follow from them.

`rain` of a channel says how a rain gauge reports; five channels of sums follow. `tide` names a table of the
astronomical tide; a channel of the deviation follows. `contact` says which level a contact stands for. `steps` of a
station are the named steps of rain of the city's rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from gateway import fields as f
from gateway import schema, thresholdfile, tidefile, units
from gateway.fields import instead
from gateway.raingauge import ENDS_AFTER_S, SUMS, WINDOWS, Gauge, RainStep, derived_name
from gateway.schema import LocalName, Row
from gateway.stations import DEVIATION as OF_TIDE
from gateway.stations import Channel, Contract, LevelTable, Limits, Threshold
from gateway.thresholdfile import midnight
from gateway.tide import Tide
from gateway.validation import amount_of, validate
from gateway.yamlfile import Document, Path

MARGIN_M = 0.20  # a deviation of this much is no surge
DEVIATION = "deviation"
LONGEST_PAUSE_S = 86_400.0  # a day is kept of each gauge
_KINDS = ("counter", "amount")
_WHAT = {
    "rain": ("rain", "for rain gauges (quantity rain)"),
    "tide": ("water_level", "for water levels"),
    "contact": ("contact", "for contacts (quantity contact)"),
}


def _need(example: str) -> Any:
    return Field(examples=[example])


class RainRow(Row):
    kind: Literal["counter", "amount"] = _need("counter")
    wraps_at: f.Amount | None = None
    ends_after: f.Duration | None = None


class TideRow(Row):
    table: f.Text = _need("tide/takamatsu.csv")
    zero: f.Length | None = None
    margin: f.Amount | None = None
    thresholds: dict[f.Text, Any] = Field(default={})


class ContactRow(Row):
    level: f.Text = _need("closure")
    wet: Literal[0, 1] = _need("1")
    authority: Literal["国", "県", "市独自"] = "市独自"
    basis: Literal["基準水位観測所", "危機管理型", "市の目安"] = "市の目安"
    source: f.Text = "接点"


class StepRow(Row):
    name: Annotated[LocalName, BeforeValidator(f.localised)] = _need("{ja: 第1配備, en: first stage}")
    channel: f.ChannelName = _need("rain_continuous")
    value: f.Amount = _need("80 mm")
    authority: Literal["国", "県", "市独自"] = _need("市独自")
    source: f.Text = _need("配備基準 2026-05")
    valid_from: f.Day | None = None
    valid_to: f.Day | None = None
    rings: bool = False


@dataclass(frozen=True, slots=True)
class Kind:
    """What a channel is beside its quantity."""

    rain: Gauge | None = None
    tide: Tide | None = None
    contact: Threshold | None = None
    wet: int = 1


# --- channels


def kind(
    document: Document,
    path: Path,
    row: schema.Channel,
    quantity: str,
    levels: LevelTable,
    hazard: str,
    folder: FilePath,
) -> Kind:
    """What the keys of a channel say; what is wrong with them is noted."""
    stated = document.mapping(path)
    for key, (wanted, words) in _WHAT.items():
        if key in stated and quantity != wanted:
            document.add((*path, key), f"{key} is {words}, and this is {quantity}. Leave it out", at_key=True)
            return Kind()
    if "rain" in stated:
        gauge = _rain(document, (*path, "rain"))
        if "thresholds" in stated and gauge is not None and gauge.kind == "counter":
            message = "a counter has no level that could be reached. Write 'steps' of the station, by its sums"
            document.add((*path, "thresholds"), message, at_key=True)
        return Kind(rain=gauge)
    if "tide" in stated:
        return Kind(tide=_tide(document, path, folder))
    if "contact" in stated:
        return _contact(document, path, levels, hazard)
    return Kind()


def _rain(document: Document, path: Path) -> Gauge | None:
    word = document.at(path)
    if isinstance(word, str):
        if word not in _KINDS:
            document.add(path, f"'{word}' is not known{instead(word, _KINDS)}")
            return None
        return Gauge(word)  # type: ignore[arg-type]
    row = validate(RainRow, document, path)
    if row is None:
        return None
    wraps_at = None if row.wraps_at is None else amount_of(document, (*path, "wraps_at"), row.wraps_at, "rain")
    if wraps_at is not None and (row.kind == "amount" or wraps_at <= 0):
        what = "is for counters" if row.kind == "amount" else "is not above zero"
        document.add((*path, "wraps_at"), f"{row.wraps_at} {what}. Leave it out", at_key=True)
    if row.ends_after is not None and row.ends_after > LONGEST_PAUSE_S:
        document.add((*path, "ends_after"), f"{row.ends_after:g} s is longer than the day that is kept of a gauge")
    return Gauge(row.kind, wraps_at, row.ends_after or ENDS_AFTER_S)


def _tide(document: Document, path: Path, folder: FilePath) -> Tide | None:
    where = (*path, "tide")
    row = validate(TideRow, document, where)
    if document.mapping(path).get("reference") != "elevation":
        message = "a tide is told in elevations (T.P.). Add 'reference: elevation' to the channel"
        document.add(where, message, at_key=True)
    if row is None:
        return None
    margin: float | None = MARGIN_M
    if row.margin is not None:
        margin = amount_of(document, (*where, "margin"), row.margin, "water_level", units.parse_difference)
    if margin is not None and margin < 0:
        document.add((*where, "margin"), f"{row.margin} is below zero")
    table = tidefile.read(document, (*where, "table"), folder, row.table)
    return None if table is None or margin is None else Tide(table, margin, row.zero or 0.0)


def _deviations(document: Document, path: Path, levels: LevelTable) -> tuple[Threshold, ...]:
    """The levels of the deviation, which are apart from those of the water: `thresholds` of `tide`."""
    own = {x.key: x for x in levels.levels if x.hazard == OF_TIDE}
    for key in document.mapping((*path, "thresholds")):
        where = (*path, "thresholds", key)
        if str(key) not in own and levels.by_key(str(key), OF_TIDE):  # else it is unknown, which is told below
            message = f"'{key}' is no level of deviations in level table {levels.name}"
            document.add(where, message + instead(str(key), own), at_key=True)
        elif "reference" in document.mapping(where):
            message = "a deviation is measured from the tide. Leave it out"
            document.add((*where, "reference"), message, at_key=True)
    found = thresholdfile.rows(document, path, levels, OF_TIDE)
    graded = [(level, row) for level, row in found if level.key in own and row.reference is None]
    return thresholdfile.thresholds(document, path, None, OF_TIDE, graded, 0.0, None)


def _contact(document: Document, path: Path, levels: LevelTable, hazard: str) -> Kind:
    where = (*path, "contact")
    row = validate(ContactRow, document, where)
    for key in ("thresholds", "span", "plausible", "correction"):
        if key in document.mapping(path):
            document.add((*path, key), f"{key} is not for a contact, which is wet or dry. Leave it out", at_key=True)
    if row is None:
        return Kind()
    level = levels.by_key(row.level, hazard)
    if level is None or level.rank == 0:
        keys = levels.keys(hazard)
        message = f"'{row.level}' is no level of level table {levels.name} for 'hazard: {hazard}'"
        document.add((*where, "level"), message + instead(row.level, keys))
        return Kind()
    threshold = Threshold(level.key, level.rank, 1.0, row.authority, row.basis, row.source)
    return Kind(contact=threshold, wet=row.wet)


def fitted(channel: Channel, found: Kind) -> Channel:
    """The channel with what it is. A contact reads 1 when it is wet, whichever way it is wired."""
    if found.contact is not None:
        factor, offset = (1.0, 0.0) if found.wet == 1 else (-1.0, 1.0)
        limits = Limits(sensor=(0.0, 1.0))
        return replace(channel, factor=factor, offset=offset, limits=limits, thresholds=(found.contact,), contact=True)
    return replace(channel, rain=found.rain, tide=found.tide)


def derived(document: Document, path: Path, channels: Mapping[str, Channel], levels: LevelTable) -> dict[str, Channel]:
    """The channels, and after them those that are derived of them; the deviation of a tide may have its own levels."""
    out = dict(channels)
    for channel in channels.values():
        for name, quantity, interval_s in _made_of(channel):
            if name in channels:
                message = f"'{name}' is what the bridge derives from {channel.name}. Choose another name"
                document.add((*path, name), message, at_key=True)
                continue
            contract = Contract(interval_s, max(channel.contract.grace_s, interval_s))
            marks: tuple[Threshold, ...] = ()
            if channel.tide is not None:
                contract = Contract(interval_s, channel.contract.grace_s)  # it fails with what it is made of
                marks = _deviations(document, (*path, channel.name, "tide"), levels)
            out[name] = Channel(name, quantity, contract, thresholds=marks, derived=channel.name)
    return out


def _made_of(channel: Channel) -> list[tuple[str, str, float]]:
    """(name, quantity, interval). A gauge that reports once an hour has no sum of ten minutes."""
    interval_s = channel.contract.interval_s
    if channel.tide is not None:
        return [(f"{channel.name}_{DEVIATION}", OF_TIDE, interval_s)]
    if channel.rain is None:
        return []
    sums = [name for name in SUMS if WINDOWS.get(name, interval_s) >= interval_s]
    return [(derived_name(channel.name, name), "rain", max(600.0, interval_s)) for name in sums]


# --- stations


def steps(document: Document, path: Path, channels: Mapping[str, Channel], whole: bool) -> tuple[RainStep, ...]:
    """The named steps of rain; what is wrong with them is noted. `whole`: all channels of the station are there."""
    sums = {
        derived_name(c.name, name): (c.name, name)
        for c in channels.values()
        if c.rain is not None
        for name in SUMS
        if derived_name(c.name, name) in channels
    }
    stated = document.mapping((*path, "steps"))
    found = [_step(document, (*path, "steps", key), str(key), sums, whole) for key in stated]
    return tuple(step for step in found if step)


def _step(
    document: Document, path: Path, key: str, sums: Mapping[str, tuple[str, str]], whole: bool
) -> RainStep | None:
    row = validate(StepRow, document, path)
    if row is None:
        return None
    if row.channel not in sums and whole:
        hint = instead(row.channel, sums) if sums else ". No channel of this station is a rain gauge ('rain: counter')"
        document.add((*path, "channel"), f"'{row.channel}' is not a sum of rain{hint}")
    value = amount_of(document, (*path, "value"), row.value, "rain")
    if value is not None and value <= 0:
        document.add((*path, "value"), f"{row.value} is no rain. Write what must fall, like '80 mm'")
    begin, end = midnight(row.valid_from), midnight(row.valid_to)
    if begin is not None and end is not None and begin >= end:
        document.add((*path, "valid_to"), f"{row.valid_to} is not after valid_from ({row.valid_from})")
    if row.channel not in sums or value is None:
        return None
    channel, name = sums[row.channel]
    ja, en = row.name.ja, row.name.en
    return RainStep(key, ja, en, channel, name, value, row.authority, row.source, row.rings, begin, end)


def fits(document: Document, path: Path, row: schema.Station, channels: Mapping[str, Channel]) -> None:
    """What a station must state for its hazard, and what does not belong to it."""
    if row.verified_until is not None and not any(c.quantity == "rain" for c in channels.values()):
        message = "verified_until is for rain gauges (検定), and this station has none. Leave it out"
        document.add((*path, "verified_until"), message, at_key=True)
    for channel in channels.values():
        tidal = channel.tide is not None or (row.hazard == "tide" and channel.quantity == "water_level")
        if not tidal or not (channel.tide or channel.thresholds):
            continue
        where = (*path, "channels", channel.name)
        if channel.tide is None and document.mapping(where).get("reference") != "elevation":
            message = "the thresholds of a tide station are elevations (T.P.). Add 'reference: elevation'"
            document.add(where, message, at_key=True)
        if row.datum is not None and not row.datum.startswith("T.P."):
            document.add((*path, "datum"), f"tides are told in T.P., and this datum is '{row.datum}'")
