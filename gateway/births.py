"""What a device says at birth: its version, and its reporting contract against the configured one. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gateway import wire
from gateway.stations import Channel, Registry, normalise

SAME = 0.01  # of an interval
SAME_LEVEL = 0.005


def of_text(text: str | None) -> object:
    """A birth as it was kept; None where there is none, or none that can be read."""
    try:
        return wire.decode_json((text or "null").encode())
    except ValueError:
        return None


def agent_of(birth: object) -> str:
    """The version that a birth names; empty where it names none."""
    version = birth.get("agent") if isinstance(birth, Mapping) else None
    return version if isinstance(version, str) else ""


def shortly(differences: list[str]) -> str:
    """The first, and how many more."""
    return "".join(differences[:1]) + (f" (+{len(differences) - 1})" if len(differences) > 1 else "")


def differences(birth: object, tenant: str, registry: Registry) -> list[str]:
    """Where they differ: `kasuga-bridge/water_level 60 s, stations.yaml 600 s`. What a birth does not say, or says of a
    channel that is not configured, is no difference; nor is how often a gauge at rest or a beacon measures."""
    listed = birth.get("channels") if isinstance(birth, Mapping) else None
    found = []
    for said in listed if isinstance(listed, list) else ():
        if isinstance(said, Mapping) and isinstance(name := said.get("channel"), str):
            station = registry.station(tenant, str(said.get("station")))
            channel = station.channels.get(name) if station else None
            if station is not None and channel is not None:
                found += [f"{station.id}/{name} {what}" for what in _of_channel(said, channel)]
    return found


def _of_channel(said: Mapping[str, object], channel: Channel) -> Iterator[str]:
    contract = channel.contract
    interval = _number(said.get("interval_s"))
    if contract.kind == "ordinary" and interval is not None and not _same(interval, contract.interval_s):
        yield f"{interval:g} s, stations.yaml {contract.interval_s:g} s"
    if contract.kind == "beacon" or contract.raised_above is None:
        return
    raised = _number(said.get("interval_raised_s"))
    if contract.interval_raised_s is not None and (raised is None or not _same(raised, contract.interval_raised_s)):
        stated = "not raised" if raised is None else f"raised {raised:g} s"
        yield f"{stated}, stations.yaml {contract.interval_raised_s:g} s"
    # A distance falls when the level rises.
    reading = _number(said.get("raised_above" if channel.factor > 0 else "raised_below"))
    level = None if reading is None else normalise(reading, channel)
    if level is not None and abs(level - contract.raised_above) > SAME_LEVEL:
        yield f"raised above {level:.2f} {channel.unit}, stations.yaml {contract.raised_above:.2f} {channel.unit}"


def _same(a: float, b: float) -> bool:
    return abs(a - b) <= SAME * b


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
