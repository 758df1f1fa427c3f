"""Rain gauges: from what a gauge reports to sums over windows, continuous rain (連続雨量), and the named steps of a
city's rules (配備基準). Pure; the state of a gauge is bounded and JSON.

A gauge is one of two kinds. A *counter* (tipping bucket) only rises, and resets to zero or wraps. An *amount* gauge
reports what fell since its last reading. Both become one rising curve: what has fallen up to a time. A sum is the
difference of the curve at two times, so late data and repeats cannot double it.

What holds of every sum: it is a lower bound of what fell in its window, up to `TOLERANCE_S` longer, and complete unless
said otherwise. The curve keeps the first reading of every ten minutes for a day, which is when sums are handed out; a
window that begins between two of them begins at the later one. Rain that nobody measured is never made up: what a
counter lost at a reset, what an amount gauge did not report, and what no rain could have done (`most_mm`) are left out
and make sums incomplete.

Continuous rain is what fell since the last time that it was seen to be dry for `ends_after_s`. A time without data is
not dry, but a counter that stands where it stood is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import msgspec

from gateway.raingauge import CONTINUOUS, WINDOWS, Gauge, RainStep

MM = 1000  # the curve is in thousandths of a millimetre: sums of 0.254 mm stay exact
SLOT_S = 600
TOLERANCE_S = 90
DAY_S = 86_400
KEPT_S = DAY_S + SLOT_S
RESETS_KEPT = 4
HOLES_KEPT = 12

Point = tuple[int, int]  # seconds since 1970, thousandths of a millimetre
Hole = tuple[int, int]  # from, to


class Reset(msgspec.Struct, frozen=True, array_like=True):
    """A counter began again between the readings at `before_s` and `after_s`; `offset` and `top` are of before."""

    before_s: int
    after_s: int
    offset: int
    top: int


class State(msgspec.Struct, frozen=True, array_like=True):
    """What is known of one gauge. Survives restarts as JSON (below 1.6 KB).

    `first` and `deltas` (seconds and amount from point to point) are the curve; `offset` takes a counter's reading to
    it. `fell`: the newest reading is the first after a reset. `pending` is a reading that no rain explains, until the
    next one says whether the counter was replaced. `holes` are times for which an amount gauge has reported nothing;
    `doubt_s` is up to when rain may have been lost or a reading was doubtful. `total` and `dry_s` are the continuous
    rain at the first point. `told` are the steps that were told, `summed_s` is when sums were handed out last; `log`
    and `seq` are of the newest reading. `known` are the steps that people know of, with when they were reached, for as
    long as the curve goes back; `noted_s` is when backlog came, first and last, until it is looked through."""

    first: Point | None = None
    deltas: tuple[int, ...] = ()
    offset: int = 0
    resets: tuple[Reset, ...] = ()
    fell: bool = False
    pending: Point | None = None
    holes: tuple[Hole, ...] = ()
    doubt_s: int = 0
    total: int = 0
    dry_s: int = 0
    told: tuple[str, ...] = ()
    summed_s: int = 0
    log: str | None = None
    seq: int | None = None
    known: tuple[tuple[str, int], ...] = ()
    noted_s: tuple[int, ...] = ()

    @property
    def points(self) -> list[Point]:
        if self.first is None:
            return []
        at, value = self.first
        found = [self.first]
        for i in range(0, len(self.deltas), 2):
            at, value = at + self.deltas[i], value + self.deltas[i + 1]
            found.append((at, value))
        return found


@dataclass(frozen=True, slots=True)
class Reading:
    """What a gauge said: `at_s` seconds since 1970, `value` thousandths of a millimetre. `doubtful`: suspect, or by a
    clock that was not set. `void`: under maintenance, so that whatever is poured into the gauge is no rain. `late`:
    backlog, so that a higher number with an earlier time says nothing of the device's clock. `renewed`: the first of
    another counter, or of one that begins again; what fell in between nobody measured."""

    at_s: int
    value: int
    doubtful: bool = False
    void: bool = False
    late: bool = False
    log: str | None = None
    seq: int | None = None
    renewed: bool = False


@dataclass(frozen=True, slots=True)
class Sum:
    """mm in a window; `complete`: all of it was measured."""

    mm: float
    complete: bool


SumOf = Callable[[str], Sum]


def most_mm(seconds: float) -> float:
    """More than this has not been measured anywhere: the envelope of the world's greatest rainfalls, 421.6 mm times the
    hours to the power of 0.475 (WMO-No. 168, Guide to Hydrological Practices, after Jennings 1950)."""
    return 421.6 * float((max(seconds, 60.0) / 3600) ** 0.475)


def _slot(p: Point) -> int:
    return p[0] // SLOT_S


class Curve:
    """A state in work."""

    def __init__(self, state: State, gauge: Gauge, interval_s: float, patience_s: float) -> None:
        """`patience_s`: two readings further apart have something missing between them."""
        self._gauge, self._interval_s, self._patience_s = gauge, max(1, round(interval_s)), patience_s
        self.points = state.points
        self.offset, self.resets, self.fell = state.offset, list(state.resets), state.fell
        self.pending, self.holes, self.doubt_s = state.pending, list(state.holes), state.doubt_s
        self.total, self.dry_s = state.total, state.dry_s
        self.told, self.summed_s, self.log, self.seq = state.told, state.summed_s, state.log, state.seq
        self.known, self.noted_s, self.refined = state.known, state.noted_s, False

    def state(self) -> State:
        self._trim()
        deltas = tuple(x for p, q in pairwise(self.points) for x in (q[0] - p[0], q[1] - p[1]))
        return State(
            self.points[0] if self.points else None,
            deltas,
            self.offset,
            tuple(self.resets),
            self.fell,
            self.pending,
            tuple(self.holes),
            self.doubt_s,
            self.total,
            self.dry_s,
            self.told,
            self.summed_s,
            self.log,
            self.seq,
            self.known,
            self.noted_s,
        )

    @property
    def newest_s(self) -> int | None:
        return self.points[-1][0] if self.points else None

    # --- readings ----------------------------------------------------------------------------------------------

    def take(self, r: Reading) -> bool:
        """Take a reading in; whether it is the newest."""
        newest = self.newest_s
        if newest is not None and r.at_s <= newest:
            read_later = self.log is not None and r.log == self.log and (r.seq or 0) > (self.seq or 0)
            if r.late or not read_later:
                before = list(self.points)
                self._late(r)
                self.refined = self.points != before
                return False
            self._put_back(r.at_s)
        self.log, self.seq = r.log, r.seq
        if r.doubtful:
            self.doubt_s = max(self.doubt_s, r.at_s)
        if self._gauge.kind == "counter":
            self._count(r)
        else:
            self._amount(r)
        return True

    def forget_after(self, latest_s: int) -> None:
        """Times after this were those of a wrong clock."""
        if self.newest_s is not None and self.newest_s > latest_s:
            self._put_back(latest_s + 1)

    def _put_back(self, at_s: int) -> None:
        """The clock was put back to `at_s`: what was measured stays on the curve, at the time that is left of it."""
        top = self.points[-1][1]
        self.points = [*(p for p in self.points if p[0] < at_s - 1), (at_s - 1, top)]
        self.holes = [(a, min(b, at_s)) for a, b in self.holes if a < at_s]
        self.resets = [x for x in self.resets if x.after_s < at_s]
        self.doubt_s = min(max(self.doubt_s, at_s - 1), at_s)
        self.fell, self.summed_s, self.pending = False, min(self.summed_s, at_s), None

    def _append(self, at_s: int, value: int) -> None:
        points = self.points
        if len(points) >= 2 and not self._borders(points[-1][0]):
            flat = points[-2][1] == points[-1][1] == value
            points[-1:] = [] if flat or _slot(points[-2]) == _slot(points[-1]) else points[-1:]
        points.append((at_s, value))

    def _borders(self, at_s: int) -> bool:
        """Whether a hole begins there: how high the curve stands in a hole is known by this point."""
        return any(a == at_s for a, _ in self.holes)

    # --- counters ----------------------------------------------------------------------------------------------

    def _count(self, r: Reading) -> None:
        if not self.points:
            self.offset = -r.value
            self.points.append((r.at_s, 0))
            return
        at_s, top = self.points[-1]
        if r.void:
            self.offset, self.pending, self.fell = top - r.value, None, False
            self.doubt_s = max(self.doubt_s, r.at_s)
            self._append(r.at_s, top)
            return
        if r.renewed:
            self.resets.append(Reset(at_s, r.at_s, self.offset, top))
            self.offset, self.pending, self.fell = top - r.value, None, False
            self.doubt_s = max(self.doubt_s, r.at_s)
            self._append(r.at_s, top)
            return
        if self.fell and r.value + self.resets[-1].offset >= self.resets[-1].top:
            self._undo_reset()
            at_s, top = self.points[-1]
        increment = self._increment(r.value + self.offset - top, r.value, r.at_s - at_s)
        if increment is None:
            self._unexplained(r, top)
            return
        self.fell, self.pending = r.value + self.offset < top, None
        if self.fell:
            self.resets.append(Reset(at_s, r.at_s, self.offset, top))
            self.offset = top + increment - r.value
            if r.at_s - at_s > self._patience_s:
                self.doubt_s = max(self.doubt_s, r.at_s)
        self._append(r.at_s, top + increment)

    def _increment(self, rise: int, value: int, seconds: int) -> int | None:
        """What fell, or None where no rain explains the reading."""
        most = round(most_mm(seconds) * MM)
        if rise >= 0:
            return rise if rise <= most else None
        wraps_at = self._gauge.wraps_at
        if wraps_at is not None and 0 <= rise + round(wraps_at * MM) <= most:
            return rise + round(wraps_at * MM)
        return value if 0 <= value <= most else None

    def _undo_reset(self) -> None:
        """One reading stood below and the next does not: that was no reset, but a reading gone wrong."""
        was = self.resets.pop()
        self.points.pop()
        self.offset = was.offset
        if not self.points or self.points[-1][0] < was.before_s:
            self.points.append((was.before_s, was.top))

    def _unexplained(self, r: Reading, top: int) -> None:
        """A jump. If the next reading goes on from there, the counter was replaced: as far as is known nothing fell."""
        self.doubt_s = max(self.doubt_s, r.at_s)
        if self.pending is not None:
            at_s, value = self.pending
            goes_on = 0 <= r.value - value <= round(most_mm(r.at_s - at_s) * MM)
            if goes_on:
                self.offset, self.fell, self.pending = top - value, False, None
                self._append(r.at_s, top + r.value - value)
                return
        self.pending = (r.at_s, r.value)

    # --- amounts -----------------------------------------------------------------------------------------------

    def _amount(self, r: Reading) -> None:
        value = 0 if r.void else r.value
        if not 0 <= value <= most_mm(self._interval_s) * MM:
            self.doubt_s = max(self.doubt_s, r.at_s)
            return  # as if it had not been reported: a hole follows from the next one
        if r.void:
            self.doubt_s = max(self.doubt_s, r.at_s)
        if not self.points:
            self.points.append((r.at_s - self._interval_s, 0))
        at_s, top = self.points[-1]
        if r.at_s - at_s > 1.5 * self._interval_s:
            self.holes.append((at_s, r.at_s - self._interval_s))
            self._append(r.at_s - self._interval_s, top)
        self._append(r.at_s, top + value)

    # --- late --------------------------------------------------------------------------------------------------

    def _late(self, r: Reading) -> None:
        """Backlog. It makes the curve finer, and adds only what was known to be missing."""
        self.doubt_s = max(self.doubt_s, r.at_s if r.renewed else 0)  # later readings were the same counter's: too low
        if r.renewed or r.void or r.doubtful or r.value < 0 or not self.points or r.at_s <= self.points[0][0]:
            return
        i = next(i for i, p in enumerate(self.points) if p[0] >= r.at_s)
        if self.points[i][0] == r.at_s and self._gauge.kind == "counter":
            return
        if self._gauge.kind == "counter":
            self._late_count(r, i)
        else:
            self._late_amount(r, i)

    def _late_count(self, r: Reading, i: int) -> None:
        low, high = self.points[i - 1], self.points[i]
        at = next((n for n, x in enumerate(self.resets) if r.at_s < x.after_s), None)
        reset = None if at is None else self.resets[at]
        value = r.value + (self.offset if reset is None else reset.offset)
        if reset is None or at is None or r.at_s <= reset.before_s:
            if low[1] <= value <= high[1]:
                self._insert(i, (r.at_s, value))
            return
        if 0 <= value - reset.top <= most_mm(r.at_s - reset.before_s) * MM:  # it fell before the reset, and was lost
            self._lift(i, value - reset.top, at)
            self.resets[at] = Reset(r.at_s, reset.after_s, reset.offset, value)
            self._insert(i, (r.at_s, value))

    def _lift(self, i: int, more: int, reset: int) -> None:
        """Everything from a point on lies higher by so much, and so do the offsets after a reset."""
        self.points[i:] = [(at, value + more) for at, value in self.points[i:]]
        later = self.resets[reset + 1 :]
        self.resets[reset + 1 :] = [Reset(x.before_s, x.after_s, x.offset + more, x.top + more) for x in later]
        self.offset += more

    def _insert(self, i: int, point: Point) -> None:
        """Of each ten minutes the first point stays, and the newest of all."""
        self.points.insert(i, point)
        for n in (i + 1, i):
            within = 0 < n < len(self.points) - 1 and not self._borders(self.points[n][0])
            if within and _slot(self.points[n]) == _slot(self.points[n - 1]):
                del self.points[n]

    def _late_amount(self, r: Reading, i: int) -> None:
        slack = self._interval_s / 2
        hole = next((h for h in self.holes if h[0] + slack < r.at_s < h[1] + slack), None)
        if hole is None or r.value > most_mm(self._interval_s) * MM:
            return  # it stands on the curve already, or is no rain
        at, level = (
            self.holes.index(hole),
            next((v for at_s, v in reversed(self.points) if at_s <= hole[0]), self.points[0][1]),
        )
        parts = [(hole[0], r.at_s - self._interval_s), (r.at_s, hole[1])]
        self.holes[at : at + 1] = [p for p in parts if p[1] - p[0] >= slack]
        if abs(hole[1] - r.at_s) < slack:  # the end of the hole was only where this reading was expected
            self.points = [p for p in self.points if p[0] != hole[1]]
            i = next(i for i, p in enumerate(self.points) if p[0] >= r.at_s)
        self.points[i:] = [(at_s, value + r.value) for at_s, value in self.points[i:]]
        self._insert(i, (r.at_s, level + r.value))

    # --- what follows ------------------------------------------------------------------------------------------

    def sum(self, window_s: int) -> Sum:
        """What fell in the window that ends at the newest reading."""
        if not self.points:
            return Sum(0.0, False)
        at_s, top = self.points[-1]
        start_s = at_s - window_s
        base, complete = self._base(start_s)
        lost = self.doubt_s > start_s or any(b > start_s + TOLERANCE_S for _, b in self.holes)
        return Sum(round((top - base) / MM, 3), complete and not lost)

    def _base(self, start_s: int) -> tuple[int, bool]:
        """The curve at the beginning of a window, or where it first stands after that; whether that is near enough."""
        after = next((i for i, p in enumerate(self.points) if p[0] > start_s), len(self.points))
        tolerance = min(TOLERANCE_S, self._interval_s)
        if after == 0:
            return self.points[0][1], self.points[0][0] - start_s <= tolerance
        before = self.points[after - 1]
        if start_s - before[0] <= tolerance or after == len(self.points) or self.points[after][1] == before[1]:
            return before[1], True
        apart = self.points[after][0] - before[0]
        return self.points[after][1], apart <= max(SLOT_S + self._interval_s, self._patience_s)

    def continuous(self) -> Sum:
        """What fell since it was last dry for long enough; 0 where it is dry now."""
        total, dry_s = self.total, self.dry_s
        for p, q in pairwise(self.points):
            total, dry_s = self._fold(total, dry_s, p, q)
        lost = self.doubt_s > (self.newest_s or 0) - KEPT_S or bool(self.holes)
        return Sum(round(total / MM, 3), total == 0 or not lost)

    def _fold(self, total: int, dry_s: int, p: Point, q: Point) -> tuple[int, int]:
        if q[1] > p[1]:
            return total + q[1] - p[1], 0
        missing = sum(max(0, min(b, q[0]) - max(a, p[0])) for a, b in self.holes)
        dry_s += q[0] - p[0] - missing
        return (0 if dry_s >= self._gauge.ends_after_s else total), min(dry_s, DAY_S)

    def _trim(self) -> None:
        """Forget what no window needs: of what lies before a day and ten minutes, the newest point stays."""
        if not self.points:
            return
        oldest_s = self.points[-1][0] - KEPT_S
        gone = 0
        while gone + 2 < len(self.points) and self.points[gone + 1][0] <= oldest_s:
            self.total, self.dry_s = self._fold(self.total, self.dry_s, self.points[gone], self.points[gone + 1])
            gone += 1
        del self.points[:gone]
        first_s = self.points[0][0]
        self.holes = [h for h in self.holes if h[1] > first_s]
        self.resets = [x for x in self.resets if x.after_s > first_s][-RESETS_KEPT:]
        while len(self.holes) > HOLES_KEPT:
            self.doubt_s = max(self.doubt_s, self.holes.pop(0)[1])

    def of(self, name: str) -> Sum:
        """A sum by its name in SUMS."""
        return self.continuous() if name == CONTINUOUS else self.sum(WINDOWS[name])

    def due(self) -> bool:
        """Whether the newest reading is the first of its ten minutes, so that sums are handed out. Notes it."""
        newest = self.newest_s
        if newest is None or newest // SLOT_S <= self.summed_s // SLOT_S:
            return False
        self.summed_s = newest
        return True

    def reached(self, steps: Sequence[RainStep], at_ms: int, sum_of: SumOf) -> list[RainStep]:
        """The steps that are reached and were not told in this rain; notes them. A step may be told again once the rain
        has ended and its sum lies below it."""
        over = sum_of(CONTINUOUS).mm == 0
        below = {s.key for s in steps if sum_of(s.of).mm < s.value}
        known = {s.key for s in steps}
        kept = tuple(key for key in self.told if key in known and not (over and key in below))
        new = [s for s in steps if s.key not in kept and s.key not in below and s.in_force(at_ms)]
        self.told = (*kept, *(s.key for s in new))
        if new:
            self.know([(s.key, at_ms // 1000) for s in new])
        return new

    def know(self, new: Sequence[tuple[str, int]]) -> None:
        """People know of these steps, and since when they were reached."""
        first_s = self.points[0][0] if self.points else 0
        self.known = tuple(({key: at_s for key, at_s in self.known if at_s >= first_s} | dict(new)).items())

    def course(self, name: str) -> Iterator[tuple[int, int]]:
        """A sum at each point of the curve: (when, thousandths of a millimetre)."""
        if name == CONTINUOUS:
            total, dry_s = self.total, self.dry_s
            for p, q in pairwise(self.points):
                total, dry_s = self._fold(total, dry_s, p, q)
                yield q[0], total
            return
        for at_s, top in self.points[1:]:
            yield at_s, top - self._base(at_s - WINDOWS[name])[0]
