"""Dead letters: which place each speaks of, what would make it acceptable, and the pipeline once more.

A letter of one record holds that record as a pack of its own; any other holds the message as it came.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace

import msgspec

from gateway import pipeline, units, wire
from gateway.errors import RejectCode
from gateway.model import DeadLetter, Message, Observation
from gateway.pipeline import Judgement, Processed
from gateway.stations import HEALTH_CHANNELS, Registry

INFLUX_TOPIC = "influx"
_TAG = re.compile(rb",station=([^, ]+)")


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter as the store keeps it. `payload` is None where its bytes were given up for space; `bytes` is its
    size as it came, `count` how often the same came."""

    id: int
    tenant: str
    device: str
    topic: str
    code: RejectCode
    detail: str
    payload: bytes | None
    bytes: int
    received_ms: int
    log: str | None
    seq: int | None
    record: int
    count: int

    @property
    def of_record(self) -> bool:
        """Whether it is one record of a sample whose log and number are known."""
        return self.log is not None and self.seq is not None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a letter: `replayed` and `dropped` take it away, `again` leaves it with its present reason."""

    letter: int
    fate: str
    code: RejectCode | None = None
    detail: str = ""


def from_abroad(letter: Letter) -> bool:
    """A whole message on a topic that is not ours: only a source can say what it is."""
    whole = not letter.of_record and letter.code not in (
        RejectCode.UNWRITABLE,
        RejectCode.TIME_TAKEN,
        RejectCode.TOO_LONG,
    )
    return whole and letter.payload is not None and wire.parse_topic(letter.topic) is None


class Hopeless(Exception):
    """This letter cannot be taken again; the text says why."""


def stations_of(letter: Letter) -> list[str]:
    """The stations that its payload names; none where it cannot be read."""
    if letter.payload is None:
        return []
    if letter.code is RejectCode.UNWRITABLE:
        found = _TAG.search(letter.payload)
        return [found[1].decode("utf-8", "replace")] if found else []
    if letter.code is RejectCode.TIME_TAKEN:
        observation = _observation(letter.payload)
        return [observation.station] if observation else []
    names = set[str]()
    pack = wire.decode_pack(letter.payload)
    for sample in pack.samples:
        names.update(record.station for record in sample.records)
    for reject in pack.rejects:
        names.update(_named(reject.text))
    return sorted(names)


def _named(text: str | None) -> list[str]:
    """The station in the name of a record that could not be decoded."""
    try:
        records = json.loads(text) if text else []
    except (ValueError, RecursionError):
        return []
    found = [f"{r.get('bn') or ''}{r.get('n') or ''}".partition("/") for r in records if isinstance(r, dict)]
    return [name for name, slash, _ in found if name and slash]


def _observation(payload: bytes) -> Observation | None:
    try:
        return msgspec.json.decode(payload, type=Observation)
    except (msgspec.DecodeError, ValueError):
        return None


# --- once more ---------------------------------------------------------------------------------------------------


def hopeless(letter: Letter) -> str | None:
    """Why it can never be taken again as it is kept; None where trying makes sense."""
    if letter.payload is None:
        return "its bytes were given up for space"
    if letter.code is RejectCode.TOO_LONG:
        return "it was too long, and only its beginning is kept"
    if letter.code is RejectCode.UNWRITABLE:
        return None
    if letter.code is RejectCode.TIME_TAKEN:
        return None if _observation(letter.payload) else "what is kept of it cannot be read"
    address = wire.parse_topic(letter.topic)
    if address is None:
        return None if letter.of_record else "its topic is not one of the wire contract"
    if address[2] not in ("data", "backlog"):
        return f"a device says its {address[2]} afresh; an old one would be untrue by now"
    return None


def again(letter: Letter, judgement: Judgement) -> Processed:
    """The normal pipeline for a letter. `judgement.settled` says which samples of a whole message are not to be taken
    again; a record's own letter is the only place where it is, so it is taken whatever the ledger says.

    Either `observations` holds what is acceptable now, or `letters` why it is not, or both for a whole message, whose
    records then have fates of their own; neither where all of it was stored by another way. Raises Hopeless.
    """
    reason = hopeless(letter)
    if reason is not None or letter.payload is None:
        raise Hopeless(reason)
    if letter.code is RejectCode.UNWRITABLE:
        raise Hopeless("it is a point for InfluxDB, not a message")
    if letter.code is RejectCode.TIME_TAKEN:
        observation = _observation(letter.payload)
        assert observation is not None
        return Processed(observations=[observation])
    message = Message(letter.topic, letter.payload, letter.received_ms)
    if letter.of_record:
        judgement = replace(judgement, settled=lambda _log, _seq: False)
    out = pipeline.process(message, letter.tenant, letter.device, judgement)
    if letter.of_record:  # alone in its pack it is record 0; in its sample it has a place
        out.observations = [replace(o, record=letter.record) for o in out.observations]
    return out


def failed(letter: Letter, out: Processed) -> DeadLetter | None:
    """The letter that stands for the whole of it again; None where it is done with."""
    if out.observations or not out.letters:
        return None
    return out.letters[0] if letter.of_record or (out.letters[0].seq is None and len(out.letters) == 1) else None


# --- what would make it acceptable -------------------------------------------------------------------------------


def remedy(letter: Letter, registry: Registry) -> str:
    """What a person can do, with the place where."""
    return _REMEDIES[letter.code](letter, registry)


def _station(letter: Letter) -> str:
    names = stations_of(letter)
    return names[0] if names else letter.detail.partition("/")[0]


def _unknown_device(x: Letter, registry: Registry) -> str:
    known = sorted(device for tenant, device in registry.devices if tenant == x.tenant)
    names = stations_of(x)
    if ours := [n for n in names if registry.station(x.tenant, n)]:
        was = registry.stations[(x.tenant, ours[0])].device
        return (
            f"stations.yaml, station {ours[0]}: its device is '{was}'. Where '{x.device}' has replaced it, write "
            f"'device: {x.device}'; else correct the name of the device in its edge.yaml"
        )
    where = f", and there is none named {', '.join(names)}" if names else ""
    return (
        f"stations.yaml: no station of tenant '{x.tenant}' has 'device: {x.device}'{where}. Add it, or correct "
        f"tenant and device in its edge.yaml. Devices of the tenant: {', '.join(known) or 'none'}"
    )


def _unknown_station(x: Letter, registry: Registry) -> str:
    served = [s.id for s in registry.devices.get((x.tenant, x.device), [])]
    return (
        f"stations.yaml: add station '{_station(x)}' with 'device: {x.device}', or let the device publish as a station "
        f"that it serves ({', '.join(served) or 'none'}): edge.yaml, sensors, station"
    )


def _foreign_station(x: Letter, registry: Registry) -> str:
    name = _station(x)
    station = registry.station(x.tenant, name)
    owner = f"belongs to device '{station.device}'" if station else "is no longer in stations.yaml"
    return (
        f"stations.yaml, station {name}: it {owner}, and '{x.device}' sent for it. Where it has replaced that "
        f"device, write 'device: {x.device}'; else correct the station in the edge.yaml of '{x.device}'"
    )


def _unknown_channel(x: Letter, registry: Registry) -> str:
    place, _, name = x.detail.partition("/")
    station = registry.station(x.tenant, place)
    if station is None:
        return f"'{name}' is not one of a device's own channels ({', '.join(HEALTH_CHANNELS)})"
    return (
        f"stations.yaml, station {place}: add channel '{name}' (with its interval, and its quantity where the name is "
        f"none), or correct the channel in the edge.yaml of '{x.device}'. It has: {', '.join(station.channels)}"
    )


def _wrong_unit(x: Letter, registry: Registry) -> str:
    pack = wire.decode_pack(x.payload or b"")
    for record in (r for s in pack.samples for r in s.records):
        channel = registry.channel(x.tenant, record.station, record.channel)
        if channel:
            accepts = ", ".join(units.QUANTITIES[channel.quantity].accepts)
            return (
                f"{record.station}/{record.channel} takes {accepts}; the device sent '{record.unit}'. Correct the unit "
                f"at the device (its profile), or the channel's quantity ('{channel.quantity}') in stations.yaml"
            )
    return f"correct the unit at the device, or the channel's quantity in stations.yaml: {x.detail}"


def _time_future(x: Letter, _: Registry) -> str:
    return (
        f"the clock of '{x.device}' was {x.detail} when it stamped this. Set it (NTP, or its real-time clock). Replay "
        "stores it under the time that it states, once that time has come; where that is untrue, drop it"
    )


def _undated(x: Letter, _: Registry) -> str:
    return f"the clock of '{x.device}' was never set, and nothing can date this any more. Give the device NTP; drop it"


def _time_taken(x: Letter, _: Registry) -> str:
    return (
        f"two other samples stand at {x.detail} and one millisecond after. The device gave one time twice: update it. "
        "Replay succeeds where those rows are no longer in the store; else drop it"
    )


def _unwritable(x: Letter, _: Registry) -> str:
    return (
        f"InfluxDB said: {x.detail}. The observation itself is in the store. Mend what it names there (a field of "
        "another type, a retention period), then replay sends the point again"
    )


def _sender(mistake: str) -> Callable[[Letter, Registry], str]:
    def sentence(x: Letter, _: Registry) -> str:
        return f"{mistake}: {x.detail}. Correct the sender, '{x.device}' ({x.topic}); nothing at the bridge can mend it"

    return sentence


_REMEDIES: dict[RejectCode, Callable[[Letter, Registry], str]] = {
    RejectCode.FOREIGN_TOPIC: lambda x, _: (
        f"the topic is '{x.topic[:200]}'; a device publishes under suimon/v1/<tenant>/<device>/ one of "
        f"{', '.join(wire.FROM_DEVICE)}, names in lower case. Correct the sender"
    ),
    RejectCode.TOO_LONG: lambda x, _: (
        f"the message had {x.detail}. Send smaller packs (edge.yaml, pack_samples); only its beginning is kept"
    ),
    RejectCode.NOT_JSON: _sender("the payload is no JSON"),
    RejectCode.NOT_SENML: _sender("JSON, but no SenML pack (RFC 8428)"),
    RejectCode.WRONG_TYPE: _sender("a field of another type"),
    RejectCode.NOT_FINITE: _sender("a number that is none"),
    RejectCode.LONE_SURROGATE: _sender("a text with half a character"),
    RejectCode.INTEGER_RANGE: _sender("an integer that no database holds"),
    RejectCode.BAD_SEQUENCE: _sender("no usable log and seq before the record"),
    RejectCode.UNKNOWN_DEVICE: _unknown_device,
    RejectCode.UNKNOWN_STATION: _unknown_station,
    RejectCode.FOREIGN_STATION: _foreign_station,
    RejectCode.UNKNOWN_CHANNEL: _unknown_channel,
    RejectCode.WRONG_UNIT: _wrong_unit,
    RejectCode.TIME_FUTURE: _time_future,
    RejectCode.UNDATED: _undated,
    RejectCode.TIME_TAKEN: _time_taken,
    RejectCode.BAD_UPLINK: _sender("not as the source's codec has it (bridge.yaml, sources)"),
    RejectCode.BAD_STATEMENT: _sender("not as the wire contract has it"),
    RejectCode.UNSTORABLE: lambda x, _: (
        "the database refused this message alone. A newer suimon may take it: update, replay, and show it to the makers"
    ),
    RejectCode.UNWRITABLE: _unwritable,
}
