"""stations.yaml -> stations: units resolved, the way from reading to observation compiled, thresholds judged.

Everything is checked piece by piece: a mistake in one channel hides nothing of the next.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path as FilePath

from gateway import contractfile, equipmentfile, gaugefile, qualityfile, schema, thresholdfile, units
from gateway.fields import did_you_mean
from gateway.profiles import Profile
from gateway.stations import POSITIONS, Channel, LevelTable, Limits, Station
from gateway.validation import amount_of, loosely, quantity_of, span_of, unit_of, validate
from gateway.yamlfile import Document, Key, Path


def stations(
    document: Document,
    levels: LevelTable,
    profiles: Mapping[str, Profile] | None = None,
    folder: FilePath = FilePath(),
    now_ms: int | None = None,
) -> list[Station]:
    """Every station without a mistake; the mistakes of the others are problems of the document. `profiles` are needed
    where a channel names the sensor that it is read from, the `folder` where files beside stations.yaml are named;
    `now_ms` where what lies in the future is to be told."""
    head = validate(schema.Stations, document)
    tenant = head.tenant if head else _text(document.mapping(()).get("tenant"))
    ids = document.mapping(("stations",))
    given = Given(levels, profiles or {}, folder, now_ms)
    found = [_station(document, key, place, tenant, given) for place, key in enumerate(ids, 1)]
    good = [station for station in found if station]
    _one_name_space(document, good)
    _neighbours(document, ids, good)
    contractfile.routers(document, good)
    return good


@dataclass(frozen=True, slots=True)
class Given:
    """What every station is read with."""

    levels: LevelTable
    profiles: Mapping[str, Profile]
    folder: FilePath
    now_ms: int | None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _station(document: Document, key: Key, place: int, default_tenant: str | None, given: Given) -> Station | None:
    path: Path = ("stations", key)
    before = len(document.problems)
    row = validate(schema.Station, document, path)
    judged = row or loosely(schema.Station, document, path)
    zero = judged.gauge_zero if judged else None
    names = document.mapping((*path, "channels"))
    hazard = (judged and judged.hazard) or "river"
    found = [_channel(document, (*path, "channels", name), zero or 0.0, hazard, given) for name in names]
    channels = {channel.name: channel for channel in found if channel}
    channels = qualityfile.among(document, (*path, "channels"), channels, len(judged.neighbours or ()) if judged else 0)
    whole = len(channels) == len(names)  # of a channel with a mistake nothing more is said
    channels = gaugefile.derived(document, (*path, "channels"), channels, given.levels)
    steps = gaugefile.steps(document, path, channels, whole)
    if judged and whole:
        gaugefile.fits(document, path, judged, channels)
    tenant = (judged and judged.tenant) or default_tenant
    if tenant is None and "tenant" not in document.mapping(path):
        document.add(path, "'tenant' is missing. Add it here, or at the top of the file for all stations", at_key=True)
    related = _related(document, path, judged) if judged else {}
    if any(c.quantity == "water_level" for c in channels.values()):
        _height_reference(document, path)
    if row is None or tenant is None or len(document.problems) > before:
        return None
    return Station(
        tenant=tenant,
        id=str(key),
        name_ja=row.name.ja,
        name_en=row.name.en,
        latitude=row.position.latitude,
        longitude=row.position.longitude,
        device=row.device,
        datum=row.datum or "",
        gauge_zero=row.gauge_zero or 0.0,
        channels=channels,
        order=place if row.order is None else row.order,
        hazard=row.hazard,
        river=row.river or "",
        area=row.area or "",
        carrier=row.carrier or "",
        power=row.power or "",
        neighbours=tuple(row.neighbours),
        related=related,
        steps=steps,
        verified_until_ms=thresholdfile.midnight(row.verified_until),
    )


def _height_reference(document: Document, path: Path) -> None:
    """A water level means nothing without what it is measured from."""
    for key, example in (("datum", "T.P."), ("gauge_zero", "1.20 m")):
        if key not in document.mapping(path):
            message = f"'{key}' is missing and a water level needs it. Add for example '{key}: {example}'"
            document.add(path, message, at_key=True)


def _one_name_space(document: Document, good: list[Station]) -> None:
    """Stations and devices of a tenant share one name space: both stand before the slash of a channel's name."""
    ids = {(station.tenant, station.id) for station in good}
    for station in good:
        if (station.tenant, station.device) in ids:
            message = f"'{station.device}' is the name of a station. Stations and devices need different names"
            document.add(("stations", station.id, "device"), message)


def _neighbours(document: Document, ids: Iterable[Key], good: list[Station]) -> None:
    """Neighbours and related stations are other stations of the same tenant: no tenant sees another's levels."""
    names = [str(x) for x in ids]
    tenants = {station.id: station.tenant for station in good}
    for station in good:
        named: list[tuple[Path, str, bool]] = [
            *((("neighbours", i), name, False) for i, name in enumerate(station.neighbours)),
            *((("related", name), name, True) for name in station.related),
        ]
        for place, name, at_key in named:
            if name == station.id:
                message = f"'{name}' is this station itself. Name another one"
            elif name not in names:
                message = f"'{name}' is not a station{did_you_mean(name, names)}"
            elif (other := tenants.get(name, station.tenant)) != station.tenant:
                message = f"'{name}' is a station of '{other}', this one of '{station.tenant}'. Name one of its own"
            else:
                continue
            document.add(("stations", station.id, *place), message, at_key=at_key)


def _related(document: Document, path: Path, row: schema.Station) -> dict[str, tuple[tuple[float, float], ...]]:
    """Rising pairs of levels for each station that is related to this one."""
    out: dict[str, tuple[tuple[float, float], ...]] = {}
    for name in row.related or ():  # none where a row with a mistake is judged all the same
        place: Path = (*path, "related", name)
        pairs = [_pair(document, (*place, key), key, least) for key, least in document.mapping(place).items()]
        good = [pair for pair in pairs if pair is not None]
        rising = all(a[0] < b[0] and a[1] <= b[1] for a, b in pairwise(good))
        if len(good) == len(pairs) and (len(good) < 2 or not rising):
            message = "at least two levels, rising on both sides: '{1.0 m: 0.6 m, 3.0 m: 2.4 m}'"
            document.add(place, message, at_key=True)
        out[name] = tuple(good)
    return out


def _pair(document: Document, path: Path, level: Key, least: object) -> tuple[float, float] | None:
    """The level there and the least here, metres."""
    try:
        return units.parse(str(level), "water_level"), units.parse(str(least), "water_level")
    except ValueError as e:
        document.add(path, str(e))
        return None


# --- channels


def _channel(document: Document, path: Path, zero: float, hazard: str, given: Given) -> Channel | None:
    before, levels = len(document.problems), given.levels
    row = validate(schema.Channel, document, path)
    graded = thresholdfile.rows(document, path, levels, hazard)
    judged = row or loosely(schema.Channel, document, path)
    quantity = quantity_of(document, path, judged.quantity if judged else None, str(path[-1]))
    if judged is None or quantity is None:
        return None
    unit_of(document, path, judged.unit, quantity)
    sensor = qualityfile.sensor(document, path, quantity, judged.readings == "distance", given.profiles)
    tests = qualityfile.tests(document, path, quantity, judged.interval, sensor)
    correction = 0.0
    if judged.correction is not None:
        where = (*path, "correction")
        correction = amount_of(document, where, judged.correction, quantity, units.parse_difference) or 0.0
    _heights_fit(document, path, judged, quantity)
    factor, offset = _way(judged, zero, correction)
    equipment = equipmentfile.equipment(document, path, quantity, given.now_ms)
    limits = Limits(
        sensor=span_of(document, (*path, "span"), judged.span, quantity),
        user=span_of(document, (*path, "plausible"), judged.plausible, quantity),
    )
    if sensor and sensor.span and judged.span is None:
        newest = equipment.calibration(None)
        span = qualityfile.in_observations(sensor.span, newest.scale, newest.offset) if newest else sensor.span
        limits = replace(limits, sensor=qualityfile.in_observations(span, factor, offset))
    limits = qualityfile.rates(document, path, judged, quantity, limits)
    thresholds = thresholdfile.thresholds(document, path, judged, quantity, graded, zero, limits.sensor)
    contract = contractfile.contract(document, path, judged, quantity, levels, thresholds, hazard)
    found = gaugefile.kind(document, path, judged, quantity, levels, hazard, given.folder)
    internal = _internal(document, path, judged.internal, quantity, sensor is not None and sensor.internal)
    if row is None or contract is None or len(document.problems) > before:
        return None
    channel = Channel(
        str(path[-1]),
        quantity,
        contract,
        factor,
        offset,
        limits,
        thresholds,
        tests,
        equipment=equipment,
        internal=internal,
    )
    return gaugefile.fitted(channel, found)


ALARMING = ("thresholds", "contract", "rain", "tide", "contact")


def _internal(document: Document, path: Path, stated: bool | None, quantity: str, by_profile: bool) -> bool:
    """Whether the channel stays in the house: as it says, else positions, and what its profile calls so. Then nothing
    may be made of it that people are told."""
    internal = stated if stated is not None else by_profile or quantity in POSITIONS
    for key in ALARMING:
        if internal and key in document.mapping(path):
            message = f"an internal channel is told to nobody, and {key} would tell it. Leave {key} out"
            document.add((*path, key), message + ("" if stated else ", or say 'internal: false'"), at_key=True)
    return internal


def _heights_fit(document: Document, path: Path, row: schema.Channel, quantity: str) -> None:
    """Whether the keys about heights belong to the channel and to each other."""
    stated = document.mapping(path)
    if quantity != "water_level":
        for key in ("readings", "reference", "sensor_height"):
            if key in stated:
                message = f"{key} is for water levels, and this is {quantity}. Leave it out"
                document.add((*path, key), message, at_key=True)
    elif row.readings == "distance" and "sensor_height" not in stated:
        message = "'sensor_height' is missing: a distance needs the sensor's height above the gauge zero. Add for "
        document.add(path, message + "example 'sensor_height: 5.20 m'", at_key=True)
    elif stated.get("readings") != "distance" and "sensor_height" in stated:
        message = "sensor_height is for 'readings: distance' only. Leave it out, or say that readings are distances"
        document.add((*path, "sensor_height"), message, at_key=True)


def _way(row: schema.Channel, zero: float, correction: float) -> tuple[float, float]:
    """Factor and offset that make an observation of a reading."""
    factor, offset = 1.0, correction
    if row.readings == "elevation":
        offset -= zero
    elif row.readings == "distance":
        factor, offset = -1.0, offset + (row.sensor_height or 0.0)
    if row.reference == "elevation":
        offset += zero
    return factor, round(offset, 9)
