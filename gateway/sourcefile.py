"""`sources` in bridge.yaml: topics of devices that are not ours, and how their messages become our channels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from gateway import fields as f
from gateway.fields import did_you_mean, instead
from gateway.foreign import CODECS, DEVICE, VALUE, Codec, Named, Source, filter_of
from gateway.profiles import Profile
from gateway.schema import Row
from gateway.stations import HEALTH_CHANNELS, Registry, Station
from gateway.validation import loosely, validate
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
    _overlapping(document)
    return tuple(source for source in found if source)


def _source(document: Document, name: str, profiles: Mapping[str, Profile], registry: Registry) -> Source | None:
    """What is right of a source is judged also where something else in it is wrong."""
    path: Path = ("sources", name)
    before = len(document.problems)
    row = validate(SourceRow, document, path)
    judged = row or loosely(SourceRow, document, path)
    if judged is None:
        return None
    whole = row is not None  # what is missing may be there, misspelt
    codec = CODECS.get(judged.codec)
    _topic(document, path, judged, codec, whole)
    profile = _profile(document, path, judged, codec, profiles, whole)
    stations = _stations(document, path, judged, registry)
    channels = _channels(document, path, judged, profile, stations)
    if codec is None or not codec.encodings:
        _values(document, path, judged, stations)
    if row is None or len(document.problems) > before:
        return None
    values = {channel: Named(v.name or channel, v.unit or "") for channel, v in (row.values or {}).items()}
    return Source(name, row.tenant, row.topic, row.codec, profile, channels, values, row.station or "", row.time or ())


def _topic(document: Document, path: Path, row: SourceRow, codec: Codec | None, whole: bool) -> None:
    """A level is a word, `+`, or has one of the two names in it; `#` would take what nobody asked for."""
    place, levels = (*path, "topic"), (row.topic or "").split("/")
    if not row.topic:
        return
    if row.topic.startswith(FIRST):
        document.add(place, f"'{levels[0]}' is not for devices of others. Name their topic")
    if "#" in row.topic or any("+" in level and level != "+" for level in levels):
        document.add(
            place, "'#' and '+' within a word are not taken. Write each level, with + where any word may stand"
        )
        return  # the level with a name in it may be one of those
    if row.topic.count(DEVICE) > 1 or (DEVICE not in row.topic and not row.station and whole):
        document.add(place, f"'{DEVICE}' must stand once where the device's name is, or 'station' beside it")
    if codec is not None and codec.topic != (row.topic.count(VALUE) == 1):
        wanted = "must stand once where the value's name is" if codec.topic else "is for codec bare alone"
        document.add(place, f"'{VALUE}' {wanted}")


def _profile(
    document: Document,
    path: Path,
    row: SourceRow,
    codec: Codec | None,
    profiles: Mapping[str, Profile],
    whole: bool,
) -> Profile | None:
    """The profile that reads what the codec hands on; and what the codec needs, or has no use for."""
    profile = profiles.get(row.profile) if row.profile else None
    if row.profile and profile is None:
        document.add((*path, "profile"), f"unknown profile '{row.profile}'{did_you_mean(row.profile, profiles)}")
    if codec is None:
        return profile
    for key in ("channels", "profile") if not codec.encodings else ("values",):
        if getattr(row, key) is not None:
            document.add((*path, key), f"codec {row.codec} has no use for '{key}'. Leave it out", at_key=True)
    if not codec.encodings:
        if row.values is None and whole:
            message = f"'values' is missing: codec {row.codec} names its values. Say which you want"
            document.add(path, message, at_key=True)
        return None
    if not row.profile and whole:
        document.add(path, f"'profile' is missing: codec {row.codec} hands on what a sensor sent", at_key=True)
    if profile is not None and profile.encoding not in codec.encodings:
        wanted = " or ".join(codec.encodings)
        message = f"{profile.id} reads {profile.encoding}, and codec {row.codec} gives {wanted}"
        document.add((*path, "profile"), f"{message}. Take a profile that reads that")
        return None  # its values are not those of this device
    return profile


def _stations(document: Document, path: Path, row: SourceRow, registry: Registry) -> list[Station]:
    """The stations that the source may feed: those of its tenant whose device a topic can name; none where that is not
    known."""
    if not row.tenant:
        return []
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


def _values(document: Document, path: Path, row: SourceRow, stations: list[Station]) -> None:
    """Values that name themselves become channels that some station has."""
    for channel in row.values or {}:
        if stations and not any(channel in s.channels for s in stations) and channel not in HEALTH_CHANNELS:
            message = f"no station here has a channel '{channel}'{_instead_of(channel, stations)}"
            document.add((*path, "values", channel), message, at_key=True)


def _instead_of(channel: str, stations: list[Station]) -> str:
    return instead(channel, sorted({name for s in stations for name in s.channels}))


def _channels(
    document: Document, path: Path, row: SourceRow, profile: Profile | None, stations: list[Station]
) -> dict[str, str]:
    """Which value becomes which channel: as stated, or by the same name, as far as a station has it."""
    if row.channels is None:
        values = profile.values if profile else ()
        return {v.name: v.name for v in values if any(v.name in s.channels for s in stations)}
    for value, channel in row.channels.items():
        declared = profile.value(value) if profile else None
        if profile is not None and declared is None:
            message = f"{profile.id} has no value '{value}'{instead(value, [v.name for v in profile.values])}"
            document.add((*path, "channels", value), message, at_key=True)
        found = [s.channels[channel] for s in stations if channel in s.channels]
        if not found and stations:
            message = f"no station here has a channel '{channel}'{_instead_of(channel, stations)}"
            document.add((*path, "channels", value), message)
        wanted = sorted({c.takes for c in found})
        if found and declared and declared.quantity not in wanted:  # of several stations it is for those that it fits
            message = f"{value} of {row.profile} is a {declared.quantity}, channel {channel} takes a"
            document.add((*path, "channels", value), f"{message} {' or a '.join(wanted)}{_fitting(profile, wanted)}")
    return row.channels


def _fitting(profile: Profile | None, quantities: list[str]) -> str:
    fit = [v.name for v in profile.values if v.quantity in quantities] if profile else []
    return f". Take {' or '.join(fit)}" if fit else ". Leave it out, or take another profile"


def _overlapping(document: Document) -> None:
    """Two sources of one topic would take each other's messages: the first one gets them."""
    seen: dict[str, object] = {}
    for name in document.mapping(("sources",)):
        topic = document.mapping(("sources", name)).get("topic")
        if not isinstance(topic, str):
            continue
        other = seen.setdefault(filter_of(topic), name)
        if other != name:
            message = f"source '{other}' already takes {filter_of(topic)}. Tell them apart by their topics"
            document.add(("sources", name, "topic"), message)
