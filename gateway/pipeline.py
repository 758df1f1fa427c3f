"""From a message to observations and dead letters: the steps of the bridge in order, readable as a list.

Every record of every sample has one fate here: an observation or a dead letter. Nothing logs, no clock is read.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from gateway import qc, units, wire
from gateway.errors import RejectCode
from gateway.model import ClockState, DeadLetter, Flag, Message, Observation
from gateway.stations import Channel, Registry, normalise

EPOCH_2000_MS = 946_684_800_000  # earlier times come from clocks that were never set


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the bridge knows when it judges a message. `future_ms` is the latest time it believes, None where its
    own clock is not trusted. `settled` says whether a sample was stored or rejected before; `previous` gives the
    newest observed_ms of a (tenant, station, channel). `shift_ms` is what the time of arrival lacks where the bridge's
    own clock is wrong. `old_times`: the device's agent is of 0.1, which knew no ages and sent what its clock showed.
    `value` is that of the newest observation, by which its contract says when the next one is due."""

    registry: Registry
    future_ms: int | None
    settled: Callable[[str, int], bool]
    previous: Callable[[str, str, str], int | None]
    max_payload: int
    shift_ms: int = 0
    old_times: bool = False
    value: Callable[[str, str, str], float | None] = lambda *_: None


@dataclass(slots=True)
class Processed:
    """The outcome of one data or backlog message. `stored` and `rejected` are the (log, seq) of its new samples,
    disjoint; `seen` all numbers by log that the message carried, for its span; `newest` the newest observed_ms of
    each series in it, `values` what was measured then. `received` counts what the message carried before anything was
    judged: samples, and parts of it that belong to none; it must equal stored + rejected + unreadable + duplicates."""

    observations: list[Observation] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)
    stored: list[tuple[str, int]] = field(default_factory=list)
    rejected: list[tuple[str, int, RejectCode]] = field(default_factory=list)
    received: int = 1
    duplicates: int = 0
    taken: set[tuple[str, int]] = field(default_factory=set)
    seen: set[tuple[str, int]] = field(default_factory=set)
    newest: dict[tuple[str, str, str], int] = field(default_factory=dict)
    values: dict[tuple[str, str, str], float | None] = field(default_factory=dict)
    span: wire.Span | None = None
    span_log: str | None = None


def letter(message: Message, tenant: str, device: str, code: RejectCode, detail: str) -> DeadLetter:
    """A dead letter of the whole message."""
    return DeadLetter(tenant, device, message.topic, code, detail, message.payload, message.received_ms)


def process(message: Message, tenant: str, device: str, j: Judgement) -> Processed:
    """Decode, check identity and clock, normalise, flag."""
    out = Processed()
    if len(message.payload) > j.max_payload:
        head = message.payload[: j.max_payload]
        cut = Message(message.topic, head, message.received_ms)
        out.letters.append(letter(cut, tenant, device, RejectCode.TOO_LONG, f"{len(message.payload)} bytes"))
        return out
    if not j.registry.knows_device(tenant, device):
        out.letters.append(letter(message, tenant, device, RejectCode.UNKNOWN_DEVICE, f"{tenant}/{device}"))
        return out
    return judged(message, tenant, device, wire.decode_pack(message.payload), j)


def judged(message: Message, tenant: str, device: str, pack: wire.Pack, j: Judgement) -> Processed:
    """As `process`, of a pack that is read: check identity and clock, normalise, flag."""
    out = Processed()
    out.span, out.span_log = pack.span, pack.span_log
    whole = {(s.log, s.seq) for s in pack.samples}
    broken = {(r.log, r.seq) for r in pack.rejects if r.log is not None and r.seq is not None} - whole
    out.received = len(pack.samples) + len(broken) + sum(r.log is None or r.seq is None for r in pack.rejects)
    bad = _rejects(message, tenant, device, pack, j, out)
    for sample in pack.samples:
        _sample(message, tenant, device, sample, bad, j, out)
    for (log, seq), code in bad.items():  # samples of which no record was good
        if (log, seq) not in out.seen:
            out.seen.add((log, seq))
            out.rejected.append((log, seq, code))
    return out


def _rejects(
    message: Message, tenant: str, device: str, pack: wire.Pack, j: Judgement, out: Processed
) -> dict[tuple[str, int], RejectCode]:
    """Dead letters of what could not be decoded; returns the samples they belong to."""
    bad: dict[tuple[str, int], RejectCode] = {}
    for r in pack.rejects:
        payload = r.text.encode() if r.text is not None else message.payload
        known = r.log is not None and r.seq is not None
        if r.log is not None and r.seq is not None:
            if j.settled(r.log, r.seq):
                if (r.log, r.seq) not in out.seen:
                    out.seen.add((r.log, r.seq))
                    out.duplicates += 1
                continue
            bad.setdefault((r.log, r.seq), r.code)
        log, seq = (r.log, r.seq) if known else (None, None)
        out.letters.append(
            DeadLetter(
                tenant, device, message.topic, r.code, r.detail, payload, message.received_ms, log, seq, r.record
            )
        )
    return bad


def _sample(
    message: Message,
    tenant: str,
    device: str,
    sample: wire.WireSample,
    bad: dict[tuple[str, int], RejectCode],
    j: Judgement,
    out: Processed,
) -> None:
    key = (sample.log, sample.seq)
    if key in out.taken:
        out.duplicates += 1  # the same number twice in one pack: the first copy wins
        return
    out.taken.add(key)
    if key in out.seen:
        return  # another record of it was rejected as a duplicate
    out.seen.add(key)
    if j.settled(*key):
        out.duplicates += 1
        return
    arrived_ms = message.received_ms + j.shift_ms
    at_ms = sample.observed_ms if sample.observed_ms is not None else arrived_ms - sample.age_ms
    code = _undated(sample, j) or _clock(at_ms, j)
    good = 0
    for record in sample.records:
        result = code or _observe(message, tenant, device, sample, record, at_ms, j, out)
        if isinstance(result, Observation):
            out.observations.append(result)
            good += 1
        else:
            reason, detail = result
            place = (sample.log, sample.seq, record.record)
            text = wire.encode_alone(sample, record)
            out.letters.append(
                DeadLetter(tenant, device, message.topic, reason, detail, text, message.received_ms, *place)
            )
            bad.setdefault(key, reason)
    if good or not sample.records:  # a radio's own affairs: counted by it, and nothing to keep
        out.stored.append(key)
    else:
        out.rejected.append((*key, bad.get(key, RejectCode.NOT_SENML)))


def _undated(sample: wire.WireSample, j: Judgement) -> tuple[RejectCode, str] | None:
    """What a clock that was never set shows is no time; only an age can be dated."""
    if sample.age_ms < 0:
        return RejectCode.UNDATED, f"{-sample.age_ms} ms after now"
    if sample.clk is ClockState.UNSYNCED and sample.observed_ms is not None and not j.old_times:
        return RejectCode.UNDATED, f"{sample.observed_ms} ms by a clock that was never set"
    return None


def _clock(at_ms: int, j: Judgement) -> tuple[RejectCode, str] | None:
    if at_ms < EPOCH_2000_MS:
        return RejectCode.UNDATED, f"{at_ms} ms since 1970"
    if j.future_ms is not None and at_ms > j.future_ms:
        return RejectCode.TIME_FUTURE, f"{units.in_words((at_ms - j.future_ms) / 1000)} beyond what is believed"
    return None


def _channel(tenant: str, device: str, record: wire.WireRecord, registry: Registry) -> Channel | tuple[RejectCode, str]:
    """Identity: is this the device's station, and does it have the channel?"""
    if record.station != device:
        station = registry.station(tenant, record.station)
        if station is None:
            return RejectCode.UNKNOWN_STATION, record.station
        if station.device != device:
            return RejectCode.FOREIGN_STATION, f"{record.station} belongs to {station.device}"
    channel = registry.channel(tenant, record.station, record.channel)
    if channel is not None and channel.derived:
        return RejectCode.UNKNOWN_CHANNEL, f"{record.station}/{record.channel} is derived by the bridge"
    return channel or (RejectCode.UNKNOWN_CHANNEL, f"{record.station}/{record.channel}")


def _after_a_gap(
    series: tuple[str, str, str], at_ms: int, value: float | None, channel: Channel, j: Judgement, out: Processed
) -> bool:
    """Whether the slot before it is missing, by what came before it in the message, or else before the message."""
    previous = out.newest.get(series, j.previous(*series))
    before = out.values[series] if series in out.values else j.value(*series)
    if previous is None or at_ms > previous:
        out.newest[series], out.values[series] = at_ms, before if value is None else value
    return qc.gap(previous, at_ms, channel.contract, before) is Flag.MISSING


def _observe(
    message: Message,
    tenant: str,
    device: str,
    sample: wire.WireSample,
    record: wire.WireRecord,
    at_ms: int,
    j: Judgement,
    out: Processed,
) -> Observation | tuple[RejectCode, str]:
    channel = _channel(tenant, device, record, j.registry)
    if isinstance(channel, tuple):
        return channel
    raw = value = None
    flags, tests = [Flag.MISSING], list[str]()
    if record.value is not None:
        accepts = units.QUANTITIES[channel.quantity].accepts
        if record.unit and record.unit not in accepts:
            return RejectCode.WRONG_UNIT, f"{record.unit} for {channel.quantity} ({', '.join(accepts)})"
        raw = units.canonical(record.value, accepts[record.unit or channel.unit])
        value = normalise(raw, channel, at_ms)
        if not (math.isfinite(raw) and math.isfinite(value)):
            return RejectCode.NOT_FINITE, f"{record.value:g} {record.unit} is too large for a {channel.unit}"
        flags = [qc.gross_range(value, channel.limits)]
        if channel.contact and value not in (0.0, 1.0):
            flags = [Flag.FAIL]  # neither wet nor dry: unknown, never dry
        tests += ["gross_range"] if flags[0] in (Flag.SUSPECT, Flag.FAIL) else []
    if _after_a_gap((tenant, record.station, record.channel), at_ms, value, channel, j, out):
        tests.append("gap")
    return Observation(
        tenant,
        device,
        record.station,
        record.channel,
        sample.log,
        sample.seq,
        record.record,
        at_ms,
        message.received_ms,
        raw,
        value,
        qc.overall(flags),
        tuple(tests),
        record.fault,
        sample.clk,
    )
