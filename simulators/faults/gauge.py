"""What goes wrong at a gauge, put into a series that is right: a closed catalogue, seeded, to be combined at will.

A series is a list of reads; each fault takes it and gives another, and says when it was at work. Several may lie over
each other. Nothing here knows how such things are found out.

| fault | what happens |
|---|---|
| `spikes` | single readings far off, up or down, some as two in a row; a few some decimetres too high |
| `codes` | a number that is no level, such as 99.99 or -99.99, where a logger had nothing to say |
| `creeping` | in low water: a mount slips or a float sinks, readings rise by metres in an hour or two and snap back |
| `stuck` | from low water on the same reading again and again, for hours or days, whatever the water does then |
| `drift` | the zero creeps for days, up or down, until a visit, or until rising water washes off what lay on it |
| `dropouts` | no readings for minutes to hours; half of the time they come later, all at once |
| `damped` | the intake silts up in low water: readings follow the water sluggishly for days, until a flood opens it |
| `noise` | waves, or a loose mount: readings scatter by centimetres for hours |
| `clock` | the device's clock jumps, and jumps back when it is set |
| `obstructed` | something hangs in the beam: a high, nearly constant level |
| `set_wrong` | silent for a working day to three, then back with a zero metres too high, until somebody notices |
| `dead_at_crest` | the gauge falls silent while the highest flood rises, and comes back a day later |
| `span_at_crest` | the highest water is beyond what the sensor can measure: it says so |
| `jump_over_overflow` | while the water rises: twice, for a few readings, 2 to 3 m above the level of overflow |
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median

MINUTE = 60_000
_OPENS_M = 0.3  # so far the water rises above what it was in the last two days before it has opened an intake
_WASHED_M = 0.3  # so far the water rises before it has washed off what lay on a sensor
HOUR = 60 * MINUTE


@dataclass(frozen=True, slots=True)
class Read:
    """One reading on its way: when it was made, when the device says so, when it arrives; metres, or a fault's code."""

    true_ms: int
    at_ms: int
    arrives_ms: int
    value: float | None
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Gauge:
    """What the faults need to know of the place, metres: the sensor's span, and the level of overflow."""

    lowest: float
    highest: float
    overflow: float


@dataclass(frozen=True, slots=True)
class Trouble:
    """That a fault was at work."""

    name: str
    since_ms: int
    until_ms: int


Reads = list[Read]
Fault = Callable[[Reads, Gauge, random.Random], tuple[Reads, list[Trouble]]]


def reads_of(series: Sequence[tuple[int, float]]) -> Reads:
    """A series as it arrives where nothing is wrong: at once."""
    return [Read(at_ms, at_ms, at_ms, value) for at_ms, value in series]


def inject(reads: Reads, gauge: Gauge, names: Sequence[str], seed: int) -> tuple[Reads, list[Trouble]]:
    """These faults one after the other, each with a random stream of its own, so that leaving one out moves no other.
    A name may stand more than once. Raises KeyError for an unknown one."""
    troubles: list[Trouble] = []
    for number, name in enumerate(names):
        rng = random.Random(f"{seed}/{name}/{names[:number].count(name)}")
        reads, made = CATALOGUE[name](reads, gauge, rng)
        troubles += made
    return reads, troubles


# --- places in a series -------------------------------------------------------------------------------------------


def _somewhere(reads: Reads, rng: random.Random, hours: float) -> tuple[int, int]:
    """A stretch of so many hours, as places (the second excluded)."""
    first = rng.randrange(len(reads))
    until_ms = reads[first].true_ms + round(hours * HOUR)
    last = first
    while last < len(reads) and reads[last].true_ms < until_ms:
        last += 1
    return first, last


def _low_water(reads: Reads, rng: random.Random, hours: float) -> tuple[int, int]:
    """A stretch that begins where the level is no higher than usual; none where a hundred tries find no such one."""
    usual = median(r.value or 0.0 for r in reads[::50])
    tries = (_somewhere(reads, rng, hours) for _ in range(100))
    return next((found for found in tries if (reads[found[0]].value or 0.0) <= usual), (0, 0))


def _crest(reads: Reads) -> int:
    """The place of the highest reading."""
    return max(range(len(reads)), key=lambda i: -1e9 if reads[i].value is None else reads[i].value or 0.0)


def _rising(reads: Reads, crest: int, share: float) -> int:
    """Where the flood up to `crest` has come to that share of its height above the day before."""
    top = reads[crest].value or 0.0
    begin = crest
    while begin > 0 and reads[crest].true_ms - reads[begin].true_ms < 24 * HOUR:
        begin -= 1
    low = min((r.value for r in reads[begin : crest + 1] if r.value is not None), default=top)
    wanted = low + share * (top - low)
    place = crest
    while place > begin and (reads[place - 1].value is None or (reads[place - 1].value or 0.0) >= wanted):
        place -= 1
    return place


def _within(value: float, gauge: Gauge) -> float:
    return min(max(value, gauge.lowest), gauge.highest)


def _centimetres(value: float) -> float:
    return round(value, 2)


def _changed(
    reads: Reads, first: int, last: int, name: str, change: Callable[[int, Read], Read]
) -> tuple[Reads, list[Trouble]]:
    if first >= last:
        return reads, []
    new = [change(i, r) if r.value is not None else r for i, r in enumerate(reads[first:last])]
    trouble = Trouble(name, reads[first].true_ms, reads[last - 1].true_ms)
    return [*reads[:first], *new, *reads[last:]], [trouble]


# --- the catalogue ------------------------------------------------------------------------------------------------


def spikes(reads: Reads, gauge: Gauge, rng: random.Random) -> tuple[Reads, list[Trouble]]:
    troubles: list[Trouble] = []
    for number in range(8):
        first = rng.randrange(len(reads))
        last = min(len(reads), first + (2 if rng.random() < 0.2 else 1))
        far, near = rng.uniform(gauge.lowest, gauge.highest), rng.uniform(0.35, 0.9)

        def off(_: int, r: Read, small: bool = number >= 6, far: float = far, near: float = near) -> Read:
            return replace(r, value=_centimetres(_within((r.value or 0.0) + near, gauge) if small else far))

        reads, made = _changed(reads, first, last if number < 6 else min(last, first + 1), "spikes", off)
        troubles += made
    return reads, troubles


def codes(reads: Reads, gauge: Gauge, rng: random.Random) -> tuple[Reads, list[Trouble]]:
    troubles: list[Trouble] = []
    for _ in range(4):
        first = rng.randrange(len(reads))
        code = rng.choice((99.99, 999.9, -99.99))
        last = min(len(reads), first + rng.randint(1, 6))
        reads, made = _changed(reads, first, last, "codes", lambda _, r, c=code: replace(r, value=c))  # type: ignore[misc]
        troubles += made
    return reads, troubles


def creeping(reads: Reads, gauge: Gauge, rng: random.Random) -> tuple[Reads, list[Trouble]]:
    first, last = _low_water(reads, rng, rng.uniform(1.0, 2.5))
    per_read = rng.uniform(1.0, 4.0) / max(1, last - first)

    def slip(i: int, r: Read) -> Read:
        return replace(r, value=_centimetres(_within((r.value or 0.0) + (i + 1) * per_read, gauge)))

    return _changed(reads, first, last, "creeping", slip)


def stuck(reads: Reads, gauge: Gauge, rng: random.Random) -> tuple[Reads, list[Trouble]]:
    first, last = _low_water(reads, rng, rng.uniform(8, 72))
    held = reads[first].value
    return _changed(reads, first, last, "stuck", lambda _, r: replace(r, value=held))


def drift(reads: Reads, gauge: Gauge, rng: random.Random) -> tuple[Reads, list[Trouble]]:
    first, last = _somewhere(reads, rng, 24 * rng.uniform(4, 15))
    per_read = rng.choice((-1, 1)) * rng.uniform(0.2, 1.0) / max(1, last - first)
    lowest = reads[first].value or 0.0
    for i in range(first, last):
        lowest = min(lowest, reads[i].value or lowest)
        if (reads[i].value or lowest) > lowest + _WASHED_M:
            last = i
            break

    def creep(i: int, r: Read) -> Read:
        return replace(r, value=_centimetres(_within((r.value or 0.0) + i * per_read, gauge)))

    return _changed(reads, first, last, "drift", creep)


def dropouts(reads: Reads, gauge: Gauge, rng: random.Random) -> tuple[Reads, list[Trouble]]:
    troubles: list[Trouble] = []
    for _ in range(3):
        first, last = _somewhere(reads, rng, rng.choice((0.5, 1.0, 3.0, 12.0)))
        if first >= last:
            continue
        troubles.append(Trouble("dropouts", reads[first].true_ms, reads[last - 1].true_ms))
        back_ms = reads[min(last, len(reads) - 1)].arrives_ms
        later = [replace(r, arrives_ms=max(r.arrives_ms, back_ms)) for r in reads[first:last]]
        reads = [*reads[:first], *(later if rng.random() < 0.5 else []), *reads[last:]]
        if not reads:
            break
    return reads, troubles


def noise(reads: Reads, gauge: Gauge, rng: random.Random) -> tuple[Reads, list[Trouble]]:
    first, last = _somewhere(reads, rng, rng.uniform(3, 24))
    spread = rng.uniform(0.02, 0.06)

    def scatter(_: int, r: Read) -> Read:
        return replace(r, value=_centimetres(_within((r.value or 0.0) + rng.gauss(0, spread), gauge)))

    return _changed(reads, first, last, "noise", scatter)


def damped(reads: Reads, gauge: Gauge, rng: random.Random) -> tuple[Reads, list[Trouble]]:
    first, last = _low_water(reads, rng, 24 * rng.uniform(2, 8))
    share = 1 / rng.uniform(80, 200)
    flood = _OPENS_M + max(r.value or 0.0 for r in reads[max(0, first - 288) : first + 1])
    inside = reads[first].value or 0.0
    last = next((i for i in range(first, last) if (reads[i].value or 0.0) > flood), last)

    def follow(_: int, r: Read) -> Read:
        nonlocal inside
        inside += ((r.value or 0.0) - inside) * share
        return replace(r, value=_centimetres(inside))

    return _changed(reads, first, last, "damped", follow)


def clock(reads: Reads, gauge: Gauge, rng: random.Random) -> tuple[Reads, list[Trouble]]:
    first, last = _somewhere(reads, rng, rng.uniform(1, 12))
    jump_ms = rng.choice((-1, 1)) * round(rng.uniform(0.1, 6) * HOUR)
    return _changed(reads, first, last, "clock", lambda _, r: replace(r, at_ms=r.at_ms + jump_ms))


def obstructed(reads: Reads, gauge: Gauge, rng: random.Random) -> tuple[Reads, list[Trouble]]:
    first, last = _somewhere(reads, rng, rng.uniform(2, 48))
    start = reads[first].value if first < len(reads) and reads[first].value is not None else gauge.lowest
    seen = rng.uniform(min(start or 0.0, gauge.highest), gauge.highest)

    def nearest(_: int, r: Read) -> Read:  # the water itself, once it stands higher
        return replace(r, value=_centimetres(max(r.value or 0.0, seen + rng.gauss(0, 0.004))))

    return _changed(reads, first, last, "obstructed", nearest)


def set_wrong(reads: Reads, gauge: Gauge, rng: random.Random) -> tuple[Reads, list[Trouble]]:
    first, back = _somewhere(reads, rng, rng.uniform(8, 72))
    until_ms = reads[back - 1].true_ms + round(rng.uniform(1, 24) * HOUR)
    last = back
    while last < len(reads) and reads[last].true_ms < until_ms:
        last += 1
    too_high = rng.uniform(1, 5)

    def wrong(_: int, r: Read) -> Read:
        return replace(r, value=_centimetres(_within((r.value or 0.0) + too_high, gauge)))

    new, made = _changed(reads, back, last, "set_wrong", wrong)
    return [*new[:first], *new[back:]], [Trouble("set_wrong", reads[first].true_ms, until_ms)] if made else []


def dead_at_crest(reads: Reads, gauge: Gauge, rng: random.Random) -> tuple[Reads, list[Trouble]]:
    crest = _crest(reads)
    first = _rising(reads, crest, rng.uniform(0.5, 0.98))
    until_ms = reads[crest].true_ms + round(rng.uniform(6, 30) * HOUR)
    last = first
    while last < len(reads) and reads[last].true_ms < until_ms:
        last += 1
    return [*reads[:first], *reads[last:]], [Trouble("dead_at_crest", reads[first].true_ms, until_ms)]


def span_at_crest(reads: Reads, gauge: Gauge, rng: random.Random) -> tuple[Reads, list[Trouble]]:
    crest = _crest(reads)
    limit = reads[_rising(reads, crest, rng.uniform(0.6, 0.95))].value or gauge.highest
    new = [replace(r, value=None, fault="above_span") if r.value is not None and r.value > limit else r for r in reads]
    over = [r.true_ms for r in new if r.fault == "above_span"]
    return new, [Trouble("span_at_crest", over[0], over[-1])] if over else []


def jump_over_overflow(reads: Reads, gauge: Gauge, rng: random.Random) -> tuple[Reads, list[Trouble]]:
    troubles: list[Trouble] = []
    crest = _crest(reads)
    seen = min(gauge.overflow + rng.uniform(2.0, 3.0), gauge.highest)
    for share in (0.35, 0.7):
        first = _rising(reads, crest, share)
        last = min(len(reads), first + rng.randint(1, 4))
        reads, made = _changed(
            reads,
            first,
            last,
            "jump_over_overflow",
            lambda i, r: replace(r, value=_centimetres(seen - 0.01 * i)),
        )
        troubles += made
    return reads, troubles


# What happens at the crest comes first, so that where others lie over it they do not pass for the crest.
CATALOGUE: dict[str, Fault] = {
    "jump_over_overflow": jump_over_overflow,
    "span_at_crest": span_at_crest,
    "dead_at_crest": dead_at_crest,
    "noise": noise,
    "damped": damped,
    "drift": drift,
    "stuck": stuck,
    "obstructed": obstructed,
    "spikes": spikes,
    "creeping": creeping,
    "set_wrong": set_wrong,
    "codes": codes,
    "clock": clock,
    "dropouts": dropouts,
}
