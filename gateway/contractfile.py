"""The reporting contract of a channel in stations.yaml: which keys belong to which kind, and what they mean."""

from __future__ import annotations

from collections.abc import Sequence

from gateway import schema, units
from gateway.fields import instead
from gateway.stations import DAY_S, Contract, LevelTable, Station, Threshold
from gateway.validation import amount_of, loosely, validate
from gateway.yamlfile import Document, Path

# What each kind may state beside its interval and grace, with an example of what it must.
_KEYS: dict[str, dict[str, str]] = {
    "ordinary": {"raised_above": "", "interval_raised": ""},
    "crisis": {"raised_above": "1.80 m", "interval_raised": "", "heartbeat": ""},
    "beacon": {"router": "minato-gw", "wet": "evacuation"},
}
_KEY_OF = {
    "raised_above": "a level from which a gauge reports more often",
    "interval_raised": "how often it reports above raised_above",
    "heartbeat": "for gauges that only say once a day that they live ('kind: crisis')",
    "router": "for beacons that go silent when they are wet ('kind: beacon')",
    "wet": "for beacons that go silent when they are wet ('kind: beacon')",
}


def contract(
    document: Document,
    channel: Path,
    row: schema.Channel,
    quantity: str,
    levels: LevelTable,
    thresholds: Sequence[Threshold],
    hazard: str = "",
) -> Contract | None:
    """The contract of a channel; None after noting what is wrong with it."""
    grace = row.grace if row.grace is not None or row.interval is None else max(30.0, row.interval / 2)
    if "contract" not in document.mapping(channel):
        return None if row.interval is None else Contract(row.interval, grace or 0.0)
    path, before = (*channel, "contract"), len(document.problems)
    stated = validate(schema.Contract, document, path)
    judged = stated or (loosely(schema.Contract, document, path) if document.mapping(path) else None)
    if judged is None:
        return None
    _keys_fit(document, path, judged.kind if judged.kind in _KEYS else "ordinary")
    above = None
    if judged.raised_above is not None:
        above = amount_of(document, (*path, "raised_above"), judged.raised_above, quantity)
    _raised_fits(document, path, judged, row.interval)
    if judged.kind == "crisis" and above is not None:
        _starts_in_time(document, path, above, thresholds, units.QUANTITIES[quantity].unit)
    wet = _wet_rank(document, path, judged.wet, levels, hazard) if judged.wet is not None else 0
    if stated is None or row.interval is None or len(document.problems) > before:
        return None
    heartbeat = (stated.heartbeat or DAY_S) if stated.kind == "crisis" else None
    return Contract(
        row.interval, grace or 0.0, stated.kind, stated.interval_raised, above, heartbeat, stated.router or "", wet
    )


def _keys_fit(document: Document, path: Path, kind: str) -> None:
    allowed, there = _KEYS[kind], document.mapping(path)
    for key in there:
        if key in _KEY_OF and key not in allowed:
            message = f"{key} is {_KEY_OF[str(key)]}, and this one is '{kind}'. Leave it out"
            document.add((*path, key), message, at_key=True)
    for key, example in allowed.items():
        if example and key not in there:
            document.add(
                path, f"'{key}' is missing for 'kind: {kind}'. Add for example '{key}: {example}'", at_key=True
            )


def _raised_fits(document: Document, path: Path, row: schema.Contract, interval: float | None) -> None:
    there = document.mapping(path)
    if row.kind != "crisis" and row.kind != "beacon" and ("raised_above" in there) != ("interval_raised" in there):
        missing, example = ("interval_raised", "1min") if "raised_above" in there else ("raised_above", "1.80 m")
        document.add(path, f"'{missing}' is missing beside it. Add for example '{missing}: {example}'", at_key=True)
    if interval is not None and row.interval_raised is not None and row.interval_raised > interval:
        message = f"{row.interval_raised:g} s is longer than the interval ({interval:g} s). Above it reports more often"
        document.add((*path, "interval_raised"), message)
    if interval is not None and row.heartbeat is not None and row.heartbeat < interval:
        message = f"{row.heartbeat:g} s is shorter than the interval ({interval:g} s), which is for above raised_above"
        document.add((*path, "heartbeat"), message)


def _starts_in_time(document: Document, path: Path, above: float, thresholds: Sequence[Threshold], unit: str) -> None:
    """A gauge that starts to transmit above a threshold would cross it unseen."""
    lowest = min(thresholds, key=lambda t: t.value, default=None)
    if lowest is not None and above > lowest.value:
        message = (
            f"it begins to transmit at {above:.2f} {unit}, above {lowest.level} at {lowest.value:.2f} {unit}, which "
            "could never be seen. Set both in the same reference, the start level at or below"
        )
        document.add((*path, "raised_above"), message)


def _wet_rank(document: Document, path: Path, key: str, levels: LevelTable, hazard: str) -> int:
    found = levels.by_key(key, hazard)
    if found is not None and found.rank > 0:
        return found.rank
    keys = levels.keys(hazard)
    document.add((*path, "wet"), f"'{key}' is no level above normal of level table {levels.name}{instead(key, keys)}")
    return 0


def routers(document: Document, stations: Sequence[Station]) -> None:
    """A router must be something that is heard beside the beacon itself: else its death looks like water."""
    served = {(s.tenant, s.device) for s in stations}
    beacons = [(s, c.name, c.contract.router) for s in stations for c in s.channels.values() if c.contract.router]
    shared: dict[tuple[str, str], set[str]] = {}
    for station, _, router in beacons:
        shared.setdefault((station.tenant, router), set()).add(station.id)
    for station, name, router in beacons:
        key = (station.tenant, router)
        if key not in served and len(shared[key]) < 2:
            devices = sorted(device for tenant, device in served if tenant == station.tenant)
            message = (
                f"'{router}' is neither a device nor the router of another beacon, so that its failure could not be "
                f"told from water{instead(router, devices)}"
            )
            document.add(("stations", station.id, "channels", name, "contract", "router"), message)
