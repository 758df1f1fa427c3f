"""Messages on topics that are not ours: those of a source become samples, any other is a dead letter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol

from gateway import foreign, pipeline, settings
from gateway.bridge.ledger import DeviceLedger
from gateway.codecs import Unreadable
from gateway.errors import RejectCode
from gateway.foreign import Source
from gateway.model import ClockState, DeadLetter, Message, Observation
from gateway.pipeline import Judgement, Processed
from gateway.stations import Registry

Device = tuple[str, str]  # tenant, device
Series = tuple[str, str, str]  # tenant, station, channel
Stood = tuple[int, float | None, str | None]  # observed_ms, raw, fault
There = Callable[[Series, int, int], Sequence[Stood]]  # the readings of a series that are stored, between two times


class Rules(Protocol):
    """What such a message is judged by, as in `work.Rules`."""

    @property
    def registry(self) -> Registry: ...
    @property
    def bridge(self) -> settings.Bridge: ...


class Hearing(Protocol):
    def hear(self, tenant: str, device: str) -> None: ...


class Memory(Protocol):
    @property
    def there(self) -> There: ...


class Batch(Protocol):
    """What is needed of the `Work` that is written into."""

    observations: list[Observation]
    letters: list[DeadLetter]
    counts: Counter[str]

    @property
    def memory(self) -> Memory: ...
    @property
    def rules(self) -> Rules: ...
    @property
    def alerts(self) -> Hearing: ...
    def ledger(self, device: Device) -> DeviceLedger: ...
    def judgement(self, device: Device) -> Judgement: ...
    def settle(self, device: Device, message: Message, out: Processed, live: bool) -> None: ...
    def previous(self, tenant: str, station: str, channel: str) -> int | None: ...


class Heard:
    """What was heard of a device before, for the numbers of its messages."""

    def __init__(self, work: Batch, source: Source, device: str) -> None:
        self._work, self._tenant = work, source.tenant
        self._ledger: DeviceLedger = work.ledger((source.tenant, device))

    def top(self, log: str) -> int:
        entry = self._ledger.logs.get(log)
        return entry.top if entry else 0

    def logs_of(self, session: str) -> Sequence[str]:
        return [log for log in self._ledger.logs if foreign.session_of(log) == session and log != foreign.ARRIVALS]

    def stands(self, station: str, channel: str, at_ms: int, within_ms: int) -> bool:
        """Whether a reading of the channel is stored, or will be with this batch, within so many ms of that time."""
        return bool(_standing(self._work, (self._tenant, station, channel), at_ms - within_ms, at_ms + within_ms))

    def arrived(self, log: str, seq: int) -> bool:
        return self._ledger.arrived(log, seq)


def take(work: Batch, message: Message, live: bool = True) -> None:
    """Give the message its fate. Never raises for its content. `live`: it came just now, and is no letter once more."""
    found = foreign.found(work.rules.bridge.sources, message.topic)
    if found is None:
        _refuse(work, message, "", "", RejectCode.FOREIGN_TOPIC, message.topic[:200])
        return
    source, device, value = found
    stations = work.rules.registry.devices.get((source.tenant, device or _device_of(work, source)), [])
    device = device or (stations[0].device if stations else "")
    station = source.station or (stations[0].id if stations else "")
    if not any(s.id == station for s in stations):
        _refuse(work, message, source.tenant, device, RejectCode.UNKNOWN_DEVICE, f"{source.tenant}/{device}"[:200])
    elif len(message.payload) > work.rules.bridge.max_payload:
        _refuse(work, message, source.tenant, device, RejectCode.TOO_LONG, f"{len(message.payload)} bytes")
    elif detail := _misfit(work.rules.registry, source, station):
        _refuse(work, message, source.tenant, device, RejectCode.WRONG_UNIT, detail[:200])
    else:
        _take(work, message, source, device, value, station, live)


def _misfit(registry: Registry, source: Source, station: str) -> str:
    """Where a value is another quantity than the station's channel takes: a source may serve several stations, and a
    distance taken as a level would alarm by the air. Empty where all fits."""
    for name, channel in source.channels.items():
        declared = source.profile.value(name) if source.profile else None
        found = registry.channel(source.tenant, station, channel)
        if declared and found and declared.quantity != found.takes:
            return f"{name} is a {declared.quantity}, {station}/{channel} takes a {found.takes}"
    return ""


def _device_of(work: Batch, source: Source) -> str:
    """Of a topic without a device's name: that of the source's station."""
    station = work.rules.registry.station(source.tenant, source.station)
    return station.device if station else ""


def _take(work: Batch, message: Message, source: Source, device: str, value: str, station: str, live: bool) -> None:
    heard = Heard(work, source, device)
    try:
        pack = foreign.samples(source, device, value, station, message.payload, heard)
    except Unreadable as e:
        _refuse(work, message, source.tenant, device, RejectCode.BAD_UPLINK, f"{source.codec}: {e}"[:200])
        return
    place = (source.tenant, device)
    if not message.retained:
        if live:
            work.alerts.hear(*place)
    elif any(sample.observed_ms is None for sample in pack.samples):
        # What a broker kept is of an unknown age: a level of yesterday would be shown as one of now.
        work.settle(place, message, Processed(received=len(pack.samples), duplicates=len(pack.samples)), live=False)
        return
    out = pipeline.judged(message, *place, pack, work.judgement(place))
    _leave_out_known(work, out)
    work.settle(place, message, out, live=False)


def _leave_out_known(work: Batch, out: Processed) -> None:
    """Of a device that does not count: what says its time and stands already at this very millisecond, with the same
    value, is the same reading again."""
    known = [o for o in out.observations if o.log == foreign.ARRIVALS and _same(work, o)]
    if not known:
        return
    new = {o.seq for o in out.observations if o not in known} | {x.seq for x in out.letters}
    again = {(o.log, o.seq) for o in known if o.seq not in new}
    out.observations = [o for o in out.observations if (o.log, o.seq) not in again]
    out.stored = [key for key in out.stored if key not in again]
    out.duplicates += len(again)


def _same(work: Batch, o: Observation) -> bool:
    if o.clk is ClockState.UNSYNCED:  # dated by its arrival
        return False
    standing = _standing(work, (o.tenant, o.station, o.channel), o.observed_ms, o.observed_ms)
    return (o.observed_ms, o.raw, o.fault) in standing


def _standing(work: Batch, series: Series, from_ms: int, to_ms: int) -> list[Stood]:
    newest = work.previous(*series)
    if newest is not None and newest < from_ms:
        return []
    coming = [
        (o.observed_ms, o.raw, o.fault)
        for o in work.observations
        if (o.tenant, o.station, o.channel) == series and from_ms <= o.observed_ms <= to_ms
    ]
    return [*work.memory.there(series, from_ms, to_ms), *coming]


def _refuse(work: Batch, message: Message, tenant: str, device: str, code: RejectCode, detail: str) -> None:
    head = message.payload[: work.rules.bridge.max_payload]
    cut = Message(message.topic, head, message.received_ms)
    work.letters.append(pipeline.letter(cut, tenant, device, code, detail))
    work.counts["received"] += 1
    work.counts["rejected"] += 1
