"""Devices of others: from a topic and a message to samples of our stations. Pure.

A source is a topic with the device's name in it, and a codec. What the message says becomes a pack as our own devices
send them, so that from there on everything is one: identity, clock, units, quality, alarm, dead letters, the account.

A radio counts its uplinks, and the same number of the same session about the same time is the same reading. A log is
named after the session, its first number that was heard, and when: an uplink is of the newest count that had begun by
its time. Whoever does not count is numbered by arrival, in the log `arrivals`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from gateway import units, wire
from gateway.codecs import Record, Told, Unreadable, bare, chirpstack, jsontext, plain, records, tts, ultralight
from gateway.encodings import jsonpath
from gateway.errors import FaultCode
from gateway.model import ClockState
from gateway.profiles import EncodingName, Profile, decode
from gateway.senml import NAME

ARRIVALS = "arrivals"
NAMELESS = "x"  # the session of an uplink that names none
END_OF_TIME_MS = 253_402_300_800_000  # the year 10000
SAME_MS = 5_000  # by which the times of one uplink may differ that several gateways heard
DEVICE, VALUE = "{device}", "{value}"


@dataclass(frozen=True, slots=True)
class Codec:
    """`encodings` of the profiles that can read what it hands on; none where it names its values itself. `topic` says
    that the topic names the value."""

    read: Callable[[bytes], tuple[Told, ...]]
    encodings: tuple[EncodingName, ...] = ()
    topic: bool = False


CODECS: dict[str, Codec] = {
    "plain": Codec(plain.read, ("json", "text", "binary")),
    "bare": Codec(bare.read, topic=True),
    "ultralight": Codec(ultralight.read, ("json",)),
    "senml_json": Codec(records.read_json),
    "senml_cbor": Codec(records.read_cbor),
    "chirpstack": Codec(chirpstack.read, ("binary", "json")),
    "tts": Codec(tts.read, ("binary", "json")),
}


@dataclass(frozen=True, slots=True)
class Named:
    """A value that names itself: by which name, and its unit where the message has none."""

    name: str
    unit: str = ""


def filter_of(topic: str) -> str:
    """What the bridge subscribes to for a topic with names in it."""
    return topic.replace(DEVICE, "+").replace(VALUE, "+")


@dataclass(frozen=True, slots=True)
class Source:
    """`topic` has `{device}` where the device's name stands, and `{value}` where the topic names the value. By
    `profile` its values are read, and `channels` says which become which channel of the device's station; or `values`
    says by which names a channel's values come. `station` is needed where a device serves several."""

    name: str
    tenant: str
    topic: str
    codec: str
    profile: Profile | None = None
    channels: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Named] = field(default_factory=dict)
    station: str = ""
    time: jsonpath.Path = ()

    @property
    def filter(self) -> str:
        """What the bridge subscribes to."""
        return filter_of(self.topic)

    def match(self, topic: str) -> tuple[str, str] | None:
        """(device, value) as the topic names them; None for any other topic."""
        wanted, given = self.topic.split("/"), topic.split("/")
        if len(wanted) != len(given):
            return None
        found = {DEVICE: "", VALUE: ""}
        for want, have in zip(wanted, given, strict=True):
            before, key, after = want.partition(DEVICE if DEVICE in want else VALUE if VALUE in want else "\0")
            if not key and want not in ("+", have):
                return None
            if key:
                if not (have.startswith(before) and have.endswith(after) and len(have) > len(before) + len(after)):
                    return None
                found[key] = have[len(before) : len(have) - len(after)]
        return found[DEVICE].lower(), found[VALUE]


class Ledger(Protocol):
    """What was heard of a device before."""

    def top(self, log: str) -> int: ...

    def logs_of(self, session: str) -> Sequence[str]: ...

    def stands(self, station: str, channel: str, at_ms: int, within_ms: int) -> bool: ...

    def arrived(self, log: str, seq: int) -> bool: ...


def found(sources: Sequence[Source], topic: str) -> tuple[Source, str, str] | None:
    """(source, device, value) of a topic that is one of a source."""
    for source in sources:
        match = source.match(topic)
        if match is not None:
            return source, *match
    return None


def samples(source: Source, device: str, value: str, station: str, payload: bytes, heard: Ledger) -> wire.Pack:
    """What the message says, as a pack. Raises Unreadable."""
    if not NAME.fullmatch(device):
        raise Unreadable("the topic's device has no name that a station could have")
    pack = wire.Pack()
    for i, told in enumerate(CODECS[source.codec].read(payload)):
        read = _by_names(source, told, value, station) if source.profile is None else _by_profile(source, told, station)
        log, seq = _identity(told, read, heard, i)
        at_ms = _said_at(source, told)
        clk = ClockState.UNSYNCED if at_ms is None else ClockState.SYNCED
        pack.samples.append(wire.WireSample(log, seq, at_ms, told.age_ms, clk, read))
    return pack


def _identity(told: Told, read: Sequence[wire.WireRecord], heard: Ledger, place: int) -> tuple[str, int]:
    if told.number is None:
        return ARRIVALS, heard.top(ARRIVALS) + 1 + place
    session, at_ms, number = told.session or NAMELESS, told.at_ms or 0, told.number
    logs = sorted((_began_ms(log), log) for log in heard.logs_of(session))
    own = next((log for ms, log in reversed(logs) if ms <= at_ms + SAME_MS and _first(log) <= number), None)
    if own is not None:
        seq = number - _first(own) + 1
        if not heard.arrived(own, seq) or _again(told.at_ms, read, heard):
            return own, seq
    return f"{session}.{number}.{at_ms // 1000:x}", 1


def _again(at_ms: int | None, read: Sequence[wire.WireRecord], heard: Ledger) -> bool:
    """Whether a number that was heard before is the same reading again: one stands about its time. Else its device
    counts anew, after a reset."""
    return at_ms is None or not read or any(heard.stands(r.station, r.channel, at_ms, SAME_MS) for r in read)


def session_of(log: str) -> str:
    return log.partition(".")[0]


def _began_ms(log: str) -> int:
    return int(log.split(".")[2], 16) * 1000


def _first(log: str) -> int:
    return int(log.split(".")[1])


def _said_at(source: Source, told: Told) -> int | None:
    """When it was measured, as the message says: by its own rules, or at the path that the source names (seconds or
    milliseconds since 1970, or a time as in RFC 3339)."""
    if not source.time:
        return told.at_ms
    parsed = jsonpath.opened(None, told.document)
    said = jsonpath.number(jsonpath.At(source.time), parsed) if parsed else None
    if isinstance(said, str):
        return jsontext.instant(said)
    if said is None:
        raise Unreadable("its time is missing")
    ms = said * 1000 if abs(said) < 1e11 else said
    if not 0 <= ms < END_OF_TIME_MS:  # nor is NaN
        raise Unreadable("a time that is no usable number")
    return round(ms)


def _by_profile(source: Source, told: Told, station: str) -> list[wire.WireRecord]:
    """What the profile reads of it. A message without a payload (a radio's own affairs) says nothing."""
    assert source.profile is not None
    raw = told.document if source.profile.encoding == "json" else told.payload
    if raw is None:
        return []
    if source.codec == "plain" and source.profile.encoding == "json" and jsonpath.opened(None, raw) is None:
        raise Unreadable("no JSON text")
    said = decode(source.profile, raw)
    out: list[wire.WireRecord] = []
    for name, channel in source.channels.items():
        if name in said:
            declared = source.profile.value(name)
            assert declared is not None  # the configuration was checked
            out.append(_record(len(out), station, channel, units.QUANTITIES[declared.quantity].unit, said[name]))
    return out


def _by_names(source: Source, told: Told, value: str, station: str) -> list[wire.WireRecord]:
    """The values that are known by their names. What nobody asked for is left out."""
    out: list[wire.WireRecord] = []
    for record in told.records:
        name = value or record.name
        for channel, named in source.values.items():
            if named.name == name:
                unit = record.unit or named.unit
                said = record.value if record.fault is None and record.value is not None else _fault(record)
                out.append(_record(len(out), station, channel, unit, said))
    return out


def _fault(record: Record) -> FaultCode:
    return record.fault or FaultCode.MALFORMED


def _record(place: int, station: str, channel: str, unit: str, said: float | FaultCode) -> wire.WireRecord:
    if isinstance(said, FaultCode):
        return wire.WireRecord(place, station, channel, unit, None, said)
    return wire.WireRecord(place, station, channel, unit, said, None)
