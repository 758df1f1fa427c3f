"""The keys about quality in stations.yaml and in profiles -> limits of the tests: `quality`, `plausible_rise`,
`plausible_fall`, `sensor`. What the station states goes before what the sensor's profile states, and that before the
defaults of the quantity. `off` switches a test off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field

from gateway import fields as f
from gateway import qualitylimits, units
from gateway.fields import instead
from gateway.profiles import Profile, Value
from gateway.qualitylimits import (
    BUCKETS,
    Attenuated,
    FlatLine,
    MultiVariate,
    Neighbour,
    QualityTests,
    Season,
    Spike,
)
from gateway.schema import Channel as ChannelRow
from gateway.schema import Row, may, need
from gateway.stations import Channel, Limits
from gateway.validation import amount_of, span_of, validate
from gateway.yamlfile import Document, Path

R = TypeVar("R", bound=Row)
Sensors = Mapping[str, Profile]
OFF = "off"


Month = Annotated[int, Field(ge=1, le=12)]


class SpikeRow(Row):
    suspect: f.Amount = need("0.30 m", "A reading this far from both its neighbours is suspect")
    fail: f.Amount | None = may("One this far fails")


class FlatLineRow(Row):
    tolerance: f.Amount = need("0 mm", "A change up to this is none: the sensor's noise")
    suspect: f.Duration | None = may("A value that has not changed for this long is suspect: '3h'")
    fail: f.Duration | None = may("One that has not for this long fails: '6h'")


class AttenuatedRow(Row):
    measure: Literal["range", "std"] = need("range", "Of what: highest less lowest, or the standard deviation")
    window: f.Duration = need("12h", "Over how long")
    suspect: f.Amount = need("5 mm", "Values that move less are suspect")
    fail: f.Amount | None = may("Values that move less fail")


class SeasonRow(Row):
    months: Annotated[list[Month], Field(min_length=2, max_length=2)] = need("[6, 9]")
    span: f.Span = need("[0.00 m, 4.00 m]")


class MultiVariateRow(Row):
    channel: f.ChannelName = need("rain")
    rise: f.Text | None = None
    least: f.Text | None = None
    differs: f.Amount | None = None


class NeighbourRow(Row):
    rise: f.Text = need("1.00 m/1h")
    least: f.Text = need("0.03 m/1h")
    still: f.Text | None = None
    reporting: Annotated[int, Field(ge=1, le=20)] = 2


class SensorQuality(Row):
    """What belongs to a sensor, wherever it stands: its noise and its resolution."""

    spike: Any = may("A single reading that stands out; 'off' for no such test")
    flat_line: Any = may("A value that does not change; 'off' for no such test")
    attenuated: Any = may("Values that move too little; 'off' for no such test")


class StationQuality(SensorQuality):
    climatology: list[Any] | None = None
    multi_variate: list[Any] | None = None
    neighbour: Any = None
    dry: f.Amount | None = None


# --- amounts


def _difference(document: Document, path: Path, text: str | None, quantity: str) -> float | None:
    """A difference of two values, not below zero."""
    found = None if text is None else amount_of(document, path, text, quantity, units.parse_difference)
    if found is not None and found < 0:
        document.add(path, f"{text} is below zero")
        return None
    return found


def _rate(document: Document, path: Path, text: str | None, quantity: str) -> float | None:
    """Canonical unit an hour."""
    found = None if text is None else amount_of(document, path, text, quantity, units.parse_rate)
    if found is not None and found <= 0:
        document.add(path, f"{text} is no rate at all. Write how much at most, like '{units.rate_example(quantity)}'")
        return None
    return found


def _above(document: Document, path: Path, fail: float | None, suspect: float | None, what: str = "above") -> None:
    wrong = fail is not None and suspect is not None and (fail <= suspect if what == "above" else fail >= suspect)
    if wrong:
        message = f"'fail' is not {what} 'suspect', so nothing would ever be suspect. Write it {what} 'suspect'"
        document.add((*path, "fail"), message)


# --- one test each


def _spike(document: Document, path: Path, row: SpikeRow, quantity: str) -> Spike | None:
    suspect = _difference(document, (*path, "suspect"), row.suspect, quantity)
    fail = _difference(document, (*path, "fail"), row.fail, quantity)
    _above(document, path, fail, suspect)
    return None if suspect is None else Spike(suspect, fail)


def _flat_line(document: Document, path: Path, row: FlatLineRow, quantity: str) -> FlatLine | None:
    tolerance = _difference(document, (*path, "tolerance"), row.tolerance, quantity)
    _above(document, path, row.fail, row.suspect)
    if row.suspect is None and row.fail is None:
        document.add(path, "says nothing of how long. Add for example 'suspect: 3h'", at_key=True)
    return None if tolerance is None else FlatLine(tolerance, row.suspect, row.fail)


def _attenuated(document: Document, path: Path, row: AttenuatedRow, quantity: str) -> Attenuated | None:
    suspect = _difference(document, (*path, "suspect"), row.suspect, quantity)
    fail = _difference(document, (*path, "fail"), row.fail, quantity)
    _above(document, path, fail, suspect, "below")
    return None if suspect is None else Attenuated(row.measure, row.window, suspect, fail)


def _neighbour(document: Document, path: Path, row: NeighbourRow, quantity: str) -> Neighbour | None:
    rise = _rate(document, (*path, "rise"), row.rise, quantity)
    least = _rate(document, (*path, "least"), row.least, quantity)
    still = _rate(document, (*path, "still"), row.still, quantity)
    return None if rise is None or least is None else Neighbour(rise, least, still or 0.0, row.reporting)


Make = Callable[[Document, Path, Any, str], Any]
_MAKE: dict[str, tuple[type[Row], Make]] = {
    "spike": (SpikeRow, _spike),
    "flat_line": (FlatLineRow, _flat_line),
    "attenuated": (AttenuatedRow, _attenuated),
    "neighbour": (NeighbourRow, _neighbour),
}


def _stated(document: Document, path: Path, quantity: str, names: Iterable[str]) -> dict[str, Any]:
    """The tests that stand there; None for one that is off."""
    given, out = document.mapping(path), dict[str, Any]()
    for name in names:
        if name in given:
            model, make = _MAKE[name]
            row = None if given[name] == OFF else validate(model, document, (*path, name))
            out[name] = None if row is None else make(document, (*path, name), row, quantity)
    return out


def of_sensor(document: Document, path: Path, quantity: str) -> Mapping[str, Any]:
    """The `quality` of a profile's value: the tests that it states, by name."""
    if "quality" not in document.mapping(path):
        return {}
    validate(SensorQuality, document, (*path, "quality"))
    return _stated(document, (*path, "quality"), quantity, ("spike", "flat_line", "attenuated"))


def _seasons(document: Document, path: Path, quantity: str) -> tuple[Season, ...]:
    given = document.at(path)
    rows = (
        [(i, validate(SeasonRow, document, (*path, i))) for i in range(len(given))] if isinstance(given, list) else []
    )
    spans = [(row, span_of(document, (*path, i, "span"), row.span, quantity)) for i, row in rows if row]
    return tuple(Season(row.months[0], row.months[1], span) for row, span in spans if span)


def _multi_variates(document: Document, path: Path, quantity: str, name: str) -> tuple[MultiVariate, ...]:
    """What else the station measures; whether the channels are there is checked by `among`."""
    given, out = document.at(path), []
    for i in range(len(given)) if isinstance(given, list) else ():
        where: Path = (*path, i)
        row = validate(MultiVariateRow, document, where)
        if row is None:
            continue
        if (row.rise is None) != (row.least is None) or (row.rise is None and row.differs is None):
            message = "states no pair. Write 'rise: 0.50 m/1h' and 'least: 1 mm/1h', or 'differs: 0.10 m'"
            document.add(where, message, at_key=True)
        if row.channel == name:
            document.add((*where, "channel"), f"'{name}' is this channel itself")
        rise = _rate(document, (*where, "rise"), row.rise, quantity)
        differs = _difference(document, (*where, "differs"), row.differs, quantity)
        other = document.mapping((*path[:-3], row.channel)).get("quantity", row.channel)
        least = None
        if isinstance(other, str) and other in units.QUANTITIES:
            least = _rate(document, (*where, "least"), row.least, other)
            if row.differs is not None and other != quantity:
                message = f"{row.channel} is a {other}, this a {quantity}: they cannot be compared. Use rise and least"
                document.add((*where, "differs"), message)
        out.append(MultiVariate(row.channel, rise, least, differs))
    return tuple(out)


def tests(
    document: Document, path: Path, quantity: str, interval_s: float | None, sensor: Value | None
) -> QualityTests:
    """The tests of a channel of stations.yaml, at `path`. Problems are added to the document."""
    found = replace(qualitylimits.defaults(quantity), **(sensor.tests if sensor else {}))
    where: Path = (*path, "quality")
    given = document.mapping(path).get("quality")
    if given == OFF:
        return qualitylimits.NO_TESTS
    if given is not None:
        row = validate(StationQuality, document, where)
        found = replace(found, **_stated(document, where, quantity, _MAKE))
        if document.mapping(where).get("climatology") is not None:
            found = replace(found, climatology=_seasons(document, (*where, "climatology"), quantity))
        if document.mapping(where).get("multi_variate") is not None:
            pairs = _multi_variates(document, (*where, "multi_variate"), quantity, str(path[-1]))
            found = replace(found, multi_variate=pairs)
        if row is not None and row.dry is not None:
            found = replace(found, dry=amount_of(document, (*where, "dry"), row.dry, quantity))
    if interval_s and found.attenuated and found.attenuated.window_s < BUCKETS * interval_s:
        least = units.in_words(BUCKETS * interval_s)
        message = f"the attenuated signal needs a window of {BUCKETS} intervals at least, which are {least}"
        document.add((*where, "attenuated") if given else path, message, at_key=True)
    return qualitylimits.NO_TESTS if found == qualitylimits.NO_TESTS else found


def rates(document: Document, path: Path, row: ChannelRow, quantity: str, limits: Limits) -> Limits:
    """The limits with the fastest plausible rise and recession of the site: as stated, else those of the quantity."""
    level = quantity == "water_level"
    defaults = (qualitylimits.RISE_PER_H, qualitylimits.FALL_PER_H) if level else (None, None)
    found = [
        None if text == OFF else default if text is None else _rate(document, (*path, key), text, quantity)
        for key, text, default in zip(
            ("plausible_rise", "plausible_fall"), (row.plausible_rise, row.plausible_fall), defaults, strict=True
        )
    ]
    return replace(limits, rise_per_h=found[0], fall_per_h=found[1])


class SensorRow(Row):
    profile: f.Text = need("sim_river_gauge")
    value: f.ChannelName | None = None


def sensor(document: Document, path: Path, quantity: str, distance: bool, profiles: Sensors) -> Value | None:
    """The profile's value that the channel says it is read from, whose span and tests it takes."""
    if document.mapping(path).get("sensor") is None:
        return None
    where: Path = (*path, "sensor")
    row = validate(SensorRow, document, where)
    if row is None:
        return None
    profile = profiles.get(row.profile)
    if profile is None:
        document.add((*where, "profile"), f"there is no profile '{row.profile}'{instead(row.profile, profiles)}")
        return None
    name = row.value or str(path[-1])
    value = profile.value(name)
    if value is None:
        names = [v.name for v in profile.values]
        key: Path = (*where, "value") if row.value else where
        document.add(key, f"{profile.id} has no value '{name}'{instead(name, names)}")
        return None
    wanted = "distance" if distance else quantity
    if value.quantity != wanted:
        document.add(where, f"{name} of {profile.id} is a {value.quantity}, this channel takes a {wanted}")
        return None
    return value


def among(document: Document, path: Path, channels: dict[str, Channel], neighbours: int) -> dict[str, Channel]:
    """The channels of a station with so many neighbours: those marked that others are judged by, and no neighbour test
    where too few are named for it. `path` is that of the channels."""
    declared, referred = document.mapping(path), set[str]()
    for name, channel in list(channels.items()):
        where: Path = (*path, name, "quality")
        for i, pair in enumerate(channel.tests.multi_variate):
            referred.add(pair.channel)
            if pair.channel not in declared:
                message = f"the station has no channel '{pair.channel}'{instead(pair.channel, map(str, declared))}"
                document.add((*where, "multi_variate", i, "channel"), message)
        needed = channel.tests.neighbour.reporting if channel.tests.neighbour else 0
        if neighbours < needed:
            if document.mapping(where).get("neighbour") not in (None, OFF):
                message = f"the test needs {needed} neighbours ('reporting'), the station names {neighbours or 'none'}"
                document.add((*where, "neighbour"), message, at_key=True)
            channels[name] = replace(channel, tests=channel.tests.without("neighbour"))
    return {
        name: replace(c, tests=replace(c.tests, kept=True)) if name in referred else c for name, c in channels.items()
    }


def in_observations(span: tuple[float, float], factor: float, offset: float) -> tuple[float, float]:
    """The sensor's span as the channel's observations show it."""
    ends = sorted(round(end * factor + offset, 9) for end in span)
    return ends[0], ends[1]
