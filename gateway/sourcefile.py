"""`sources` in bridge.yaml: topics of devices that are not ours, and how their messages become our channels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from gateway import fields as f
from gateway.fields import did_you_mean, instead
from gateway.foreign import CODECS, DEVICE, VALUE, Named, Source
from gateway.profiles import Profile
from gateway.schema import Row
from gateway.stations import HEALTH_CHANNELS, Registry, Station
from gateway.validation import validate
from gateway.yamlfile import Document, Path

FIRST = ("suimon", "$")  # topics of our own, and of the broker


def _need(example: str) -> Any:
    return Field(examples=[example])


class NamedRow(Row):
    name: f.Text | None = None
    unit: f.Text | None = None


class SourceRow(Row):
    topic: f.Text = _need("application/+/device/{device}/event/up")
    codec: Literal["plain", "bare", "ultralight", "senml_json", "senml_cbor", "chirpstack", "tts"] = _need("chirpstack")
    tenant: f.Name = _need("takamatsu")
    profile: f.Name | None = None
    channels: dict[f.ChannelName, f.ChannelName] | None = None
    values: dict[f.ChannelName, NamedRow] | None = None
    station: f.Name | None = None
    time: f.JsonPath | None = None


def sources(document: Document, profiles: Mapping[str, Profile], registry: Registry) -> tuple[Source, ...]:
    """Every source without a mistake; what is wrong are problems of the document."""
    found = [_source(document, str(name), profiles, registry) for name in document.mapping(("sources",))]
    return tuple(source for source in found if source)


def _source(document: Document, name: str, profiles: Mapping[str, Profile], registry: Registry) -> Source | None:
    path: Path = ("sources", name)
    before = len(document.problems)
    row = validate(SourceRow, document, path)
    if row is None:
        return None
    _topic(document, path, row)
    profile = profiles.get(row.profile) if row.profile else None
    if row.profile and profile is None:
        document.add((*path, "profile"), f"unknown profile '{row.profile}'{did_you_mean(row.profile, profiles)}")
    codec = CODECS[row.codec]
    if codec.encodings and not row.profile:
        document.add(path, f"'profile' is missing: codec {row.codec} hands on what a sensor sent", at_key=True)
    if not codec.encodings and row.values is None:
        document.add(path, f"'values' is missing: codec {row.codec} names its values. Say which you want", at_key=True)
    if profile is not None and codec.encodings and profile.encoding not in codec.encodings:
        wanted = " or ".join(codec.encodings)
        message = f"{profile.id} reads {profile.encoding}, and codec {row.codec} gives {wanted}"
        document.add((*path, "profile"), message)
    for key in ("channels", "profile") if not codec.encodings else ("values",):
        if getattr(row, key) is not None:
            document.add((*path, key), f"codec {row.codec} has no use for '{key}'. Leave it out", at_key=True)
    if len(document.problems) > before:
        return None
    stations = _stations(document, path, row, registry)
    if not stations:
        return None
    source = Source(
        name,
        row.tenant,
        row.topic,
        row.codec,
        profile,
        _channels(document, path, row, profile, stations),
        {channel: Named(v.name or channel, v.unit or "") for channel, v in (row.values or {}).items()},
        row.station or "",
        row.time or (),
    )
    return source if len(document.problems) == before else None


def _topic(document: Document, path: Path, row: SourceRow) -> None:
    """A level is a word, `+`, or has one of the two names in it; `#` would take what nobody asked for."""
    place, levels = (*path, "topic"), row.topic.split("/")
    if row.topic.startswith(FIRST):
        document.add(place, f"'{levels[0]}' is not for devices of others. Name their topic")
    elif "#" in row.topic or any("+" in level and level != "+" for level in levels):
        document.add(
            place, "'#' and '+' within a word are not taken. Write each level, with + where any word may stand"
        )
    elif row.topic.count(DEVICE) > 1 or (DEVICE not in row.topic and not row.station):
        document.add(place, f"'{DEVICE}' must stand once where the device's name is, or 'station' beside it")
    elif CODECS[row.codec].topic != (row.topic.count(VALUE) == 1):
        wanted = "must stand once where the value's name is" if CODECS[row.codec].topic else "is for codec bare alone"
        document.add(place, f"'{VALUE}' {wanted}")


def _stations(document: Document, path: Path, row: SourceRow, registry: Registry) -> list[Station]:
    """The stations that the source may feed: those of its tenant whose device a topic can name."""
    of = [s for (tenant, _), s in registry.stations.items() if tenant == row.tenant]
    if not of:
        known = sorted({tenant for tenant, _ in registry.stations})
        document.add((*path, "tenant"), f"no station of tenant '{row.tenant}'{instead(row.tenant, known)}")
        return []
    if row.station is None:
        return of
    named = [s for s in of if s.id == row.station]
    if not named:
        near = did_you_mean(row.station, [s.id for s in of])
        document.add((*path, "station"), f"'{row.station}' is not in stations.yaml{near}")
    return named


def _channels(
    document: Document, path: Path, row: SourceRow, profile: Profile | None, stations: list[Station]
) -> dict[str, str]:
    """Which value becomes which channel: as stated, or by the same name, as far as a station has it."""
    if profile is None:
        for channel in row.values or {}:
            if stations and not any(channel in s.channels for s in stations) and channel not in HEALTH_CHANNELS:
                known = {name for s in stations for name in s.channels}
                message = f"no station here has a channel '{channel}'{instead(channel, sorted(known))}"
                document.add((*path, "values", channel), message, at_key=True)
        return {}
    stated = row.channels
    if stated is None:
        return {v.name: v.name for v in profile.values if any(v.name in s.channels for s in stations)}
    for value, channel in stated.items():
        declared = profile.value(value)
        if declared is None:
            names = [v.name for v in profile.values]
            document.add(
                (*path, "channels", value), f"{profile.id} has no value '{value}'{instead(value, names)}", at_key=True
            )
            continue
        found = [s.channels[channel] for s in stations if channel in s.channels]
        wanted = ["distance" if c.factor < 0 else c.quantity for c in found]
        if not found:
            document.add((*path, "channels", value), f"no station here has a channel '{channel}'")
        elif declared.quantity not in wanted:  # of several stations it is for those that it fits
            message = f"{value} of {profile.id} is a {declared.quantity}, channel {channel} takes a {found[0].quantity}"
            document.add((*path, "channels", value), message)
    return stated


def overlapping(document: Document, found: tuple[Source, ...]) -> None:
    """Two sources of one topic would take each other's messages: the first one gets them."""
    seen: dict[str, str] = {}
    for source in found:
        other = seen.setdefault(source.filter, source.name)
        if other != source.name:
            message = f"source '{other}' already takes {source.filter}. Tell them apart by their topics"
            document.add(("sources", source.name, "topic"), message)
