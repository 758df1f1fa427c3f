"""What is missing, and why: from the ledger's rows to a list for people and scripts.

A gap is a run of sequence numbers of one log with one cause. Numbers with the same cause that stand close together are
one gap, so that a spool thinned to every eighth reading is one line and not ten thousand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from gateway import units
from gateway.errors import GoneReason, RejectCode
from gateway.ranges import Range, RangeSet
from gateway.stations import Registry

HELD, GONE, REJECTED, UNKNOWN, SILENT, THINNED = "held", "gone", "rejected", "unknown", "silent", "thinned"
KINDS = (HELD, GONE, REJECTED, UNKNOWN, SILENT, THINNED)
ISLAND = 16  # settled numbers between two gaps that are still one
NO_LETTER = "no_letter"

Device = tuple[str, str]
TimeOf = Callable[[int, int], int | None]


@dataclass(frozen=True, slots=True)
class LogRow:
    """One log of the ledger. `kinds` as the ledger's: stored, rejected and reasons of being gone; `held` (oldest, next)
    as the device last said, None where it does not list the log; `codes` the reject codes that are known, by number."""

    id: int
    tenant: str
    device: str
    log: str
    top: int
    held: tuple[int, int] | None
    kinds: Mapping[str, RangeSet]
    codes: Mapping[int, str] = field(default_factory=dict)

    @property
    def whose(self) -> Device:
        return self.tenant, self.device


@dataclass(frozen=True, slots=True)
class Said:
    """A device's latest statement: when, which share of its spool is filled, how many hours it can still be offline."""

    statement_ms: int | None = None
    used: float | None = None
    hours: float | None = None


@dataclass(frozen=True, slots=True)
class Gap:
    """What is missing of one device for one cause. `since_ms` and `until_ms` are the times of the readings on both
    sides, None where there is none. A silence and what the bridge thinned have no numbers; a silence no samples."""

    tenant: str
    device: str
    stations: tuple[str, ...]
    kind: str
    reason: str
    sentence: str
    log: str | None = None
    first: int | None = None
    last: int | None = None
    samples: int | None = None
    since_ms: int | None = None
    until_ms: int | None = None


@dataclass(slots=True)
class Account:
    """Numbers by what became of them; every one that a device assigned, as far as it is known, is in one of these."""

    stored: int = 0
    rejected: int = 0
    gone: int = 0
    held: int = 0
    unknown: int = 0


def of_log(row: LogRow, registry: Registry, said: Said) -> list[Gap]:
    """The gaps of one log, in the order of its numbers, without their times."""
    return sorted(
        (
            _gap(row, kind, reason, said, registry, parts)
            for kind, reason, ranges in _causes(row)
            for parts in _together(ranges)
        ),
        key=lambda gap: gap.first or 0,
    )


def account(rows: Iterable[LogRow]) -> Account:
    total = Account()
    for row in rows:
        stored = row.kinds.get("stored")
        total.stored += stored.count if stored else 0
        for kind, _, ranges in _causes(row):
            setattr(total, kind, getattr(total, kind) + sum(b - a + 1 for a, b in ranges))
    return total


def _causes(row: LogRow) -> list[tuple[str, str, list[Range]]]:
    """(kind, reason, numbers) for everything of a log that is not stored."""
    settled = RangeSet(r for ranges in row.kinds.values() for r in ranges)
    oldest, following = row.held or (1, 1)
    held, unknown = RangeSet(), RangeSet()
    for a, b in settled.missing(1, row.top):
        held.add(max(a, oldest), min(b, following - 1))
        unknown.add(a, min(b, oldest - 1))
        unknown.add(max(a, following), b)
    out = [(HELD, HELD, list(held)), (UNKNOWN, UNKNOWN, list(unknown))]
    for name, ranges in row.kinds.items():
        if name == REJECTED:
            out += [(REJECTED, code, list(part)) for code, part in _by_code(row, ranges).items()]
        elif name != "stored":
            out.append((GONE, name, list(ranges)))
    return out


def _by_code(row: LogRow, rejected: RangeSet) -> dict[str, RangeSet]:
    """Rejected numbers by code; those of which no letter tells any more apart."""
    found: dict[str, RangeSet] = {}
    for seq in sorted(row.codes):
        if seq in rejected:
            found.setdefault(row.codes[seq], RangeSet()).add(seq)
    known = RangeSet(r for ranges in found.values() for r in ranges)
    for a, b in rejected:
        for part in known.missing(a, b):
            found.setdefault(NO_LETTER, RangeSet()).add(*part)
    return found


def _together(ranges: list[Range]) -> Iterable[list[Range]]:
    """Ranges with no more than an island between them."""
    group: list[Range] = []
    for r in ranges:
        if group and r[0] - group[-1][1] - 1 > ISLAND:
            yield group
            group = []
        group.append(r)
    if group:
        yield group


def _gap(row: LogRow, kind: str, reason: str, said: Said, registry: Registry, parts: list[Range]) -> Gap:
    return Gap(
        row.tenant,
        row.device,
        stations_of(registry, row.whose),
        kind,
        reason,
        _sentence(kind, reason, said),
        row.log,
        parts[0][0],
        parts[-1][1],
        sum(b - a + 1 for a, b in parts),
    )


def _sentence(kind: str, reason: str, said: Said) -> str:
    if kind == HELD:
        share = "" if said.used is None else f"; its spool is {said.used * 100:.0f} % full"
        room = "" if said.hours is None else f", with room for {units.in_words(said.hours * 3600)}"
        return f"held by the device, will come as backlog{share}{room}"
    if kind == GONE:
        known = reason in GoneReason._value2member_map_
        return f"gone: {GoneReason(reason).sentence if known else reason}"
    if kind == REJECTED:
        if reason not in RejectCode._value2member_map_:
            return "rejected; the letter was dropped or is only counted"
        return f"rejected: {RejectCode(reason).sentence} (suimon letters list --code {reason})"
    return "not settled, and the device has not said yet whether it holds it"


def stations_of(registry: Registry, device: Device) -> tuple[str, ...]:
    return tuple(sorted(s.id for s in registry.devices.get(device, [])))


def dated(gap: Gap, row: LogRow, time_of: TimeOf) -> Gap:
    """With the times of the readings on both sides; `time_of(log id, number)` gives that of a stored sample."""
    stored = row.kinds.get("stored")
    if stored is None or gap.first is None or gap.last is None:
        return gap
    before, after = stored.before(gap.first), stored.after(gap.last)
    return replace(
        gap,
        since_ms=None if before is None else time_of(row.id, before),
        until_ms=None if after is None else time_of(row.id, after),
    )


def silent(registry: Registry, newest: Mapping[Device, int], now_ms: int) -> list[Gap]:
    """Devices of the configuration that should have reported and have not: no number is known of that."""
    out = []
    for device, stations in registry.devices.items():
        waits = [c.contract.silent_after_s(0) for s in stations for c in s.channels.values()]
        last = newest.get(device)
        if not waits or (last is not None and now_ms - last <= min(waits) * 1000):
            continue
        sentence = "never heard from" if last is None else "the device is silent: no reading since"
        place = stations_of(registry, device)
        out.append(Gap(*device, place, SILENT, SILENT, sentence, since_ms=last))
    return out


def thinned(tenant: str, device: str, station: str, channel: str, rows: int, from_ms: int, to_ms: int) -> Gap:
    """Readings that the bridge's store gave up above its ceiling."""
    sentence = f"{channel}: thinned in the bridge's store, which was full"
    return Gap(tenant, device, (station,), THINNED, THINNED, sentence, None, None, None, rows, from_ms, to_ms)


def concerns(gap: Gap, station: str | None, device: str | None, since_ms: int | None) -> bool:
    """Whether a gap is asked for: of the station's device, of the device, and not over before that time."""
    return (
        (station is None or station in gap.stations)
        and (device is None or device == gap.device)
        and (since_ms is None or gap.until_ms is None or gap.until_ms >= since_ms)
    )


def by_kind(gaps: Iterable[Gap]) -> dict[str, int]:
    """How many samples are missing, by kind; a silence counts as one."""
    counts: Counter[str] = Counter()
    for gap in gaps:
        counts[gap.kind] += gap.samples or 1
    return {kind: counts[kind] for kind in KINDS if counts[kind]}
