"""SenML packs (RFC 8428) with the labels log, seq, clk and span. Callers know them through `wire`.

A pack is decoded in two ways. The fast way reads well-formed packs. Where it fails, the careful way reads record by
record, so that one bad record harms no other and its log and number can still be settled.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from gateway.errors import FaultCode, RejectCode
from gateway.model import ClockState, Moment, Sample

NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
LOG = re.compile(r"[0-9A-Za-z._-]{1,64}")
_SURROGATE = re.compile("[\ud800-\udfff]")  # json joins pairs; what is left is half of one
MAX_INTEGER = 2**63
RELATIVE_TIME = 2**28  # RFC 8428, section 4.5.3: smaller times are relative to now


class Span(msgspec.Struct, frozen=True):
    """On the first record of a backlog pack: which numbers of its log the pack accounts for (receipt rule 4)."""

    first: int = msgspec.field(name="from")
    last: int = msgspec.field(name="to")
    store: str
    opening: str


class _Record(msgspec.Struct, omit_defaults=True):
    bn: str | None = None
    bt: float | None = None
    bu: str | None = None
    bv: float | None = None
    n: str | None = None
    u: str | None = None
    v: float | int | None = None
    vs: str | None = None
    vb: bool | None = None
    t: float | None = None
    log: str | None = None
    seq: int | None = None
    clk: str | None = None
    span: Span | None = None


@dataclass(slots=True)
class WireRecord:
    """One record of a sample, names resolved. `record` is its place in the sample, from 0."""

    record: int
    station: str
    channel: str
    unit: str
    value: float | None
    fault: FaultCode | None


@dataclass(slots=True)
class WireSample:
    """A sample as it came. `observed_ms` is absolute, or `age_ms` counts back from its arrival; below 0 it is the
    count of a clock that was never set."""

    log: str
    seq: int
    observed_ms: int | None
    age_ms: int
    clk: ClockState
    records: list[WireRecord] = field(default_factory=list)


@dataclass(slots=True)
class WireReject:
    """One record that cannot be accepted. `log` and `seq` are set where they could be read; `text` is the record
    as JSON, None where the whole payload is meant."""

    code: RejectCode
    detail: str
    log: str | None = None
    seq: int | None = None
    record: int = 0
    text: str | None = None


@dataclass(slots=True)
class Pack:
    samples: list[WireSample] = field(default_factory=list)
    rejects: list[WireReject] = field(default_factory=list)
    span: Span | None = None
    span_log: str | None = None


class _Bad(Exception):
    """This record is refused. `labels` is what could be read of its labels, `spoiled` which base fields could not."""

    def __init__(self, code: RejectCode, detail: str, labels: _Record | None = None) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail
        self.labels, self.spoiled = labels or _Record(), tuple[str, ...]()


_decode_fast = msgspec.json.Decoder(list[_Record]).decode
_CLOCKS = {c.value: c for c in ClockState}
_FAULTS = {c.value: c for c in FaultCode}


def decode_pack(payload: bytes) -> Pack:
    """Every record of the payload as a part of a sample or as a reject; never raises."""
    # A label that ends in "_" must be understood (RFC 8428, section 4.4); the fast way skips what it does not know.
    must_look = b'_"' in payload or b"\\u005" in payload
    try:
        records: Sequence[_Record | _Bad] = _decode_fast(payload)
        items: list[Any] | None = None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        must_look = True
    if must_look:
        careful = _decode_careful(payload)
        if isinstance(careful, WireReject):
            return Pack(rejects=[careful])
        records, items = careful
    if not records:
        return Pack(rejects=[WireReject(RejectCode.NOT_SENML, "an empty pack")])
    return _assemble(records, items)


class _Base:
    """What holds from record to record. `spoiled` has the base fields whose latest value could not be read."""

    __slots__ = ("bn", "bt", "bu", "bv", "clk", "log", "place", "sample", "seq", "spoiled")

    def __init__(self) -> None:
        self.bn = self.bu = ""
        self.clk = "synced"
        self.bt = self.bv = 0.0
        self.log: str | None = None
        self.seq: int | None = None
        self.place = 0
        self.sample: WireSample | None = None
        self.spoiled: dict[str, RejectCode] = {}


def _assemble(records: Sequence[_Record | _Bad], items: list[Any] | None) -> Pack:
    pack, base = Pack(), _Base()
    for i, r in enumerate(records):
        try:
            if isinstance(r, _Bad):
                _labels(r.labels, base)  # so that what follows keeps its sample
                base.spoiled.update(dict.fromkeys(r.spoiled, r.code))
                raise r
            _labels(r, base)
            if r.span is not None:
                pack.span, pack.span_log = r.span, base.log
            _take(r, base, pack)
        except _Bad as bad:
            item = items[i] if items else msgspec.to_builtins(r)
            pack.rejects.append(WireReject(bad.code, bad.detail, base.log, base.seq, base.place, _alone(item, base)))
        base.place += 1
    return pack


def _alone(item: Any, base: _Base) -> str:
    """The record as a pack of its own, with the labels it stood under, so that a dead letter can be sent again."""
    if not isinstance(item, dict):
        return json.dumps([item])
    labels = {
        "bn": base.bn,
        "bt": base.bt,
        "bu": base.bu,
        "bv": base.bv or None,
        "log": base.log,
        "seq": base.seq,
        "clk": base.clk,
    }
    return json.dumps([{k: v for k, v in labels.items() if v is not None and k not in base.spoiled} | item])


def _labels(r: _Record, base: _Base) -> None:
    """Take over base fields and find which sample the record belongs to."""
    if base.spoiled:
        base.spoiled = {k: code for k, code in base.spoiled.items() if getattr(r, k) is None}
    if r.bn is not None:
        base.bn = r.bn
    if r.bt is not None:
        base.bt = r.bt
    if r.bu is not None:
        base.bu = r.bu
    if r.bv is not None:
        base.bv = r.bv
    if r.clk is not None:
        base.clk = r.clk
    if r.log is not None and r.log != base.log:
        base.log = r.log if LOG.fullmatch(r.log) else None
        base.seq = base.sample = None  # numbers of another log
    if r.seq is not None:
        base.seq = r.seq if 1 <= r.seq < MAX_INTEGER else None
        base.place = 0
        base.sample = None


def _take(r: _Record, base: _Base, pack: Pack) -> None:
    """Add the record to its sample. Raises _Bad."""
    if base.log is None or base.seq is None:
        raise _Bad(RejectCode.BAD_SEQUENCE, "no log or no seq stands before this record")
    for key, code in base.spoiled.items():
        raise _Bad(code, f"the {key} that holds for this record could not be read")
    name = base.bn + (r.n or "")
    station, slash, channel = name.partition("/")
    if not slash or not station or not channel:
        raise _Bad(RejectCode.NOT_SENML, f"the name {name[:80]!r} is not station/channel")
    value, fault = _value(r, channel, base)
    if fault is not None:
        channel = channel.removesuffix(".fault")
    if base.sample is None:
        base.sample = _sample(base.log, base.seq, r, base)
        pack.samples.append(base.sample)
    base.sample.records.append(WireRecord(base.place, station, channel, r.u or base.bu, value, fault))


def _sample(log: str, seq: int, r: _Record, base: _Base) -> WireSample:
    at = base.bt + (r.t or 0.0)
    if not math.isfinite(at) or abs(at) > 1e11:
        raise _Bad(RejectCode.NOT_FINITE, "the time is not a usable number")
    clk = _CLOCKS.get(base.clk)
    if clk is None:
        raise _Bad(RejectCode.WRONG_TYPE, f"unknown clk {base.clk[:40]!r}")
    if at < RELATIVE_TIME:
        return WireSample(log, seq, None, round(-at * 1000), clk)
    return WireSample(log, seq, round(at * 1000), 0, clk)


def _value(r: _Record, channel: str, base: _Base) -> tuple[float | None, FaultCode | None]:
    """The record's value or fault; exactly one is set."""
    if r.vs is not None:
        fault = _FAULTS.get(r.vs) if channel.endswith(".fault") else None
        if fault is None:
            raise _Bad(RejectCode.WRONG_TYPE, f"the text {r.vs[:80]!r} is neither a number nor a known fault")
        return None, fault
    v = float(r.vb) if r.vb is not None else r.v
    if v is None:
        raise _Bad(RejectCode.NOT_SENML, "the record has no value")
    if isinstance(v, int) and abs(v) >= MAX_INTEGER:
        raise _Bad(RejectCode.INTEGER_RANGE, f"the integer {str(v)[:40]} is 2^63 or larger")
    total = v + base.bv
    if not math.isfinite(total):
        raise _Bad(RejectCode.NOT_FINITE, "the value is not finite")
    return float(total), None


def _decode_careful(payload: bytes) -> tuple[list[_Record | _Bad], list[Any]] | WireReject:
    """Read a payload that the fast way refused. json accepts NaN, surrogates and big integers; we name them."""
    try:
        document = json.loads(payload, parse_int=_integer)
    except (ValueError, RecursionError) as e:
        return WireReject(RejectCode.NOT_JSON, str(e)[:200])
    if not isinstance(document, list) or not any(isinstance(item, dict) for item in document):
        return WireReject(RejectCode.NOT_SENML, "a SenML pack is a list of objects, and not empty")
    return [_careful_record(item) for item in document], document


def _integer(digits: str) -> int:
    """Python refuses to read integers of thousands of digits; they are out of range anyway."""
    return int(digits) if len(digits) < 1000 else MAX_INTEGER


def _careful_record(item: Any) -> _Record | _Bad:
    if not isinstance(item, dict):
        return _Bad(RejectCode.NOT_SENML, "a record is not an object", _Record(seq=0))  # it may have begun a sample
    try:
        _inspect(item)
        return msgspec.convert(item, _Record)
    except msgspec.ValidationError as e:
        bad = _Bad(RejectCode.WRONG_TYPE, str(e)[:200])
    except _Bad as e:
        bad = e
    return _with_labels(bad, item)


def _with_labels(bad: _Bad, item: dict[str, Any]) -> _Bad:
    """Add what can be read of the labels, each by itself: a wrong value must not cost the sample its number, and an
    unreadable label must not let the one before it hold on."""
    good: dict[str, Any] = {}
    for key in ("bn", "bt", "bu", "bv", "log", "seq", "clk"):
        if key in item:
            try:
                _inspect({key: item[key]})
                msgspec.convert({key: item[key]}, _Record)
                good[key] = item[key]
            except (msgspec.ValidationError, _Bad):
                if key in ("log", "seq"):
                    good[key] = "" if key == "log" else 0  # what no sample has
                    bad = _Bad(RejectCode.BAD_SEQUENCE, f"{key} cannot be read")
                else:
                    bad.spoiled += (key,)
    bad.labels = msgspec.convert(good, _Record)
    return bad


def _inspect(item: dict[str, Any]) -> None:
    """Raise _Bad where a number or text cannot be stored, by its own code rather than as a wrong type."""
    for key, x in item.items():
        if key.endswith("_"):  # RFC 8428, section 4.4: such a label must be understood
            raise _Bad(RejectCode.NOT_SENML, f"label {key[:40]!r} must be understood and is not")
        if key not in _Record.__struct_fields__:
            continue
        if isinstance(x, float) and not math.isfinite(x):
            raise _Bad(RejectCode.NOT_FINITE, f"{key} is {x}")
        if isinstance(x, int) and not isinstance(x, bool) and abs(x) >= MAX_INTEGER:
            raise _Bad(RejectCode.INTEGER_RANGE, f"{key} is 2^63 or larger")
        if isinstance(x, str) and _SURROGATE.search(x):
            raise _Bad(RejectCode.LONE_SURROGATE, f"{key} holds half of a UTF-16 pair")


def encode_alone(sample: WireSample, r: WireRecord) -> bytes:
    """One record as a pack of its own: the payload of a dead letter that the pipeline refused."""
    item: dict[str, Any] = {"bn": f"{r.station}/", "log": sample.log, "seq": sample.seq, "clk": sample.clk.value}
    item.update({"bt": sample.observed_ms / 1000} if sample.observed_ms is not None else {"t": -sample.age_ms / 1000})
    item.update({"n": f"{r.channel}.fault", "vs": r.fault} if r.fault else {"n": r.channel, "u": r.unit, "v": r.value})
    return msgspec.json.encode([item])


def encode_pack(samples: Iterable[Sample], span: Span | None = None, here: Moment | None = None) -> bytes:
    """A SenML pack of samples. Shared labels are written once; times are absolute seconds to the millisecond. `here` is
    this boot and its present uptime: samples of it that have no date yet carry their age, as time relative to now."""
    out: list[dict[str, Any]] = []
    bn = log = None
    absolute = False  # an absolute base time holds from a record before
    for sample in samples:
        t: float | None = None
        if here is not None and sample.moment is not None and sample.moment.boot == here.boot:
            t = (sample.moment.uptime_ms - here.uptime_ms) / 1000
        for i, reading in enumerate(sample.readings):
            record: dict[str, Any] = {}
            if i == 0 and sample.log != log:
                record["log"] = log = sample.log
            if f"{reading.station}/" != bn:
                record["bn"] = bn = f"{reading.station}/"
            if i == 0 and t is None:
                record.update(bt=sample.observed_ms / 1000, seq=sample.seq, clk=sample.clk.value)
            elif i == 0:
                record.update({"bt": 0} if absolute else {}, seq=sample.seq, clk=ClockState.UNSYNCED.value)
            if i == 0:
                absolute = t is None
            if t is not None:
                record["t"] = t
            if reading.fault is not None:
                record.update(n=f"{reading.channel}.fault", vs=reading.fault.value)
            else:
                record.update(n=reading.channel, u=reading.unit, v=reading.value)
            out.append(record)
    if span is not None and out:
        out[0]["span"] = span
    return msgspec.json.encode(out)
