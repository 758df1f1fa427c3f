"""What the quality tests remember of a channel, and how an observation is judged by it. Pure.

Two lines are kept of each channel: the *live* one ends at its newest observation, the *late* one at the newest of the
backlog that is coming in. A late observation is judged by what stood around it and never disturbs the live line. A
value that failed the sensor's span, and a fault, stand in no line: nothing is judged by them.

A real-time flag is final. What the next observation says of the one before it (spike) is an `Assessment` of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec
from msgspec.structs import replace as changed

from gateway import qc
from gateway.model import Flag, Observation
from gateway.qc import Sample
from gateway.qualitylimits import BUCKETS, NO_TESTS, Attenuated, FlatLine
from gateway.stations import Channel

RUN_VALUES = 5  # kept of a run at each end; what lies between counts as further out, so that no run is made longer
TRAIL_STEP_MS = 20 * 60_000  # between two samples kept for the rise of the last hour
TRAIL = 4
RISE_FROM_MS, RISE_UPTO_MS = 45 * 60_000, 120 * 60_000  # how old a sample is that the present one is compared with

Extremes = tuple[Sample, ...]
Window = tuple[tuple[int | float, ...], ...]


@dataclass(frozen=True, slots=True)
class Assessment:
    """What is thought of an observation after it was stored: a record of its own beside its real-time flag. `tests`
    are all that spoke."""

    tenant: str
    station: str
    channel: str
    observed_ms: int
    flag: Flag
    tests: tuple[str, ...]


class Run(msgspec.Struct, frozen=True, array_like=True):
    """The longest stretch up to now whose values lie within a tolerance of each other. `highs` are its highest values,
    falling, each with the time from which on it is the highest of all that follow; `lows` the same below."""

    highs: Extremes = ()
    lows: Extremes = ()

    @property
    def since_ms(self) -> int:
        return max(self.highs[0][0], self.lows[0][0])


class Seen(msgspec.Struct, frozen=True, array_like=True):
    """An observation that a later one may say something about."""

    ms: int
    value: float
    flag: Flag
    tests: tuple[str, ...] = ()

    @property
    def sample(self) -> Sample:
        return self.ms, self.value


class Line(msgspec.Struct, frozen=True, array_like=True):
    """The end of a series: its newest observation, the one before, the newest that came at a plausible rate where that
    is an earlier one, and how long it has been flat."""

    last: Seen | None = None
    before: Sample | None = None
    anchor: Sample | None = None
    run: Run = Run()

    @property
    def end(self) -> Sample | None:
        return self.last.sample if self.last is not None else None


class State(msgspec.Struct, frozen=True, array_like=True):
    """What the tests remember of a channel; JSON. `window`: (number of the bucket, then what it holds) of the
    attenuated signal; `trail`: a sample every twenty minutes. `log` and `seq` are of the newest observation."""

    live: Line = Line()
    late: Line | None = None
    window: Window = ()
    trail: tuple[Sample, ...] = ()
    log: str | None = None
    seq: int | None = None


class Surroundings(Protocol):
    """What is known around a channel now. Only what is fresh is handed out."""

    def other(self, channel: str) -> State | None:
        """Another channel of the same station."""

    def neighbours(self) -> Sequence[State]:
        """The main channels of the station's neighbours."""


class _Nowhere:
    def other(self, channel: str) -> State | None:
        return None

    def neighbours(self) -> Sequence[State]:
        return ()


NOWHERE = _Nowhere()
EMPTY = State()


class _Verdict:
    """What the tests said so far."""

    __slots__ = ("flag", "tests")

    def __init__(self, flag: Flag, tests: tuple[str, ...]) -> None:
        self.flag, self.tests = flag, tests

    def add(self, test: str, flag: Flag) -> None:
        if flag is Flag.GOOD:
            if self.flag is Flag.NOT_EVALUATED:
                self.flag = Flag.GOOD
        elif flag is Flag.SUSPECT or flag is Flag.FAIL:
            self.tests = self.tests if test in self.tests else (*self.tests, test)
            self.flag = Flag.FAIL if self.flag is Flag.FAIL else flag

    def of(self, o: Observation) -> Observation:
        """The observation with it. For alarms only the sensor's span fails a value."""
        if self.flag is o.flag and self.tests == o.tests:
            return o
        alarm = Flag.SUSPECT if self.flag is Flag.FAIL else None
        return Observation(  # a third of what `replace` costs
            o.tenant, o.device, o.station, o.channel, o.log, o.seq, o.record, o.observed_ms, o.received_ms, o.raw,
            o.value, self.flag, self.tests, o.fault, o.clk, alarm,
        )  # fmt: skip


Judged = tuple[State, Observation, tuple[Assessment, ...]]


def assess(
    state: State,
    o: Observation,
    channel: Channel,
    now_ms: int,
    future_ms: int | None = None,
    around: Surroundings = NOWHERE,
) -> Judged:
    """The state after an observation, the observation with the flag of all tests, and what it says of earlier ones.
    `o` brings the flags of gap and gross range. `future_ms` as in `pipeline.Judgement`."""
    limits = channel.limits
    if channel.tests is NO_TESTS and limits.rise_per_h is None and limits.fall_per_h is None:
        return state, o, ()
    if o.value is None or o.flag is Flag.FAIL:
        return state, o, ()
    last = state.live.last
    if last is not None and future_ms is not None and last.ms > future_ms:
        state, last = EMPTY, None  # times of a clock that was wrong
    if last is not None and o.observed_ms <= last.ms:
        too_old = now_ms - o.observed_ms > channel.contract.late_after_s * 1000
        if too_old or state.log is None or o.log != state.log or (o.seq or 0) <= (state.seq or 0):
            return _late(state, o, o.value, channel)
        state = EMPTY  # read later all the same: the device's clock was put back, and a new time line begins
    elif last is not None and channel.equipment.parted(last.ms, o.observed_ms):
        state = State(late=state.late)  # another sensor: nothing of the one before says anything of it
    return _live(state, o, o.value, channel, around)


def _live(state: State, o: Observation, value: float, channel: Channel, around: Surroundings) -> Judged:
    tests, verdict, now = channel.tests, _Verdict(o.flag, o.tests), (o.observed_ms, value)
    later = _spiked(state.live, now, o, channel)
    anchor = _alone(verdict, state.live, now, channel, bool(later))
    window = state.window
    if tests.attenuated is not None:
        window = _bucketed(window, now, tests.attenuated)
        verdict.add("attenuated", _attenuated(window, tests.attenuated, state.live.last))
    if tests.multi_variate or tests.neighbour is not None:
        _together(verdict, state, now, channel, around)
    run = _extended(state.live, now, tests.flat_line, channel)
    _flat(verdict, run, now, channel)
    judged = verdict.of(o)
    line = Line(Seen(*now, judged.flag, judged.tests), state.live.end, anchor, run)
    trail = state.trail
    if not trail or now[0] - trail[-1][0] >= TRAIL_STEP_MS:
        trail = (*trail, now)[-TRAIL:]
    return State(line, state.late, window, trail, o.log, o.seq), judged, later


def _late(state: State, o: Observation, value: float, channel: Channel) -> Judged:
    """Backlog is a line of its own; where it goes back, a new one begins at what is known before it. What is of now
    (neighbours, windows) says nothing about then."""
    now, late = (o.observed_ms, value), state.late
    if _known(state, o.observed_ms):
        return state, o, ()  # another observation stands at this time; nothing can tell them apart later
    parted = channel.equipment.parted
    back = late is None or late.last is None or o.observed_ms < late.last.ms or parted(late.last.ms, o.observed_ms)
    if late is None or back:
        before = _nearest(state, o.observed_ms, before=True)
        before = None if before and parted(before[0], o.observed_ms) else before
        late = Line(before and Seen(*before, Flag.GOOD))
    verdict = _Verdict(o.flag, o.tests)
    later = _spiked(late, now, o, channel)
    anchor = _alone(verdict, late, now, channel, bool(later))
    run = _extended(late, now, channel.tests.flat_line, channel)
    _flat(verdict, run, now, channel)
    after, wait_ms = _nearest(state, o.observed_ms, before=False), channel.contract.late_after_s * 1000
    spike = channel.tests.spike
    after = None if after and parted(after[0], o.observed_ms) else after
    if spike and late.last and after and after[0] - now[0] <= wait_ms and now[0] - late.last.ms <= wait_ms:
        verdict.add("spike", qc.spike(late.last.value, value, after[1], spike))
    judged = verdict.of(o)
    line = Line(Seen(*now, judged.flag, judged.tests), late.end, anchor, run)
    return changed(state, late=line), judged, later


def _samples(state: State) -> list[Sample]:
    live = state.live
    return [*state.trail, *(sample for sample in (live.before, live.end) if sample)]


def _known(state: State, at_ms: int) -> bool:
    late = state.late.end if state.late else None
    return any(ms == at_ms for ms, _ in _samples(state)) or (late is not None and late[0] == at_ms)


def _nearest(state: State, at_ms: int, *, before: bool) -> Sample | None:
    """The nearest sample known of the live line on one side of a time."""
    if before:
        return max((s for s in _samples(state) if s[0] < at_ms), default=None)
    return min((s for s in _samples(state) if s[0] > at_ms), default=None)


# --- the tests, on what is remembered


def _alone(verdict: _Verdict, line: Line, now: Sample, channel: Channel, spiked: bool) -> Sample | None:
    """Climatology and rate of change. Returns what the next rate is reckoned from beside this value, where this one
    came too fast: who returns from a wild value, or from a spike, is not suspect."""
    if channel.tests.climatology:
        verdict.add("climatology", qc.climatology(now[1], now[0], channel.tests.climatology))
    last = line.last
    if last is None:
        return None
    flag = qc.rate_of_change(last.sample, now, channel.limits)
    start = line.anchor or (line.before if spiked else None)
    if flag is Flag.SUSPECT and start is not None:
        flag = qc.rate_of_change(start, now, channel.limits)
    verdict.add("rate_of_change", flag)
    return (line.anchor or last.sample) if flag is Flag.SUSPECT else None


def _spiked(line: Line, now: Sample, o: Observation, channel: Channel) -> tuple[Assessment, ...]:
    """What this value says of the one before it. Neighbours in time, or nothing is said."""
    last, before, limits = line.last, line.before, channel.tests.spike
    if limits is None or last is None or before is None:
        return ()
    wait_ms = channel.contract.late_after_s * 1000
    if now[0] - last.ms > wait_ms or last.ms - before[0] > wait_ms:
        return ()
    verdict = _Verdict(last.flag, last.tests)
    verdict.add("spike", qc.spike(before[1], last.value, now[1], limits))
    if verdict.flag is last.flag and verdict.tests == last.tests:
        return ()
    return (Assessment(o.tenant, o.station, o.channel, last.ms, verdict.flag, verdict.tests),)


def _flat(verdict: _Verdict, run: Run, now: Sample, channel: Channel) -> None:
    """Never above the caution level, where a crest stands still, nor where the gauge has fallen dry."""
    limits, dry = channel.tests.flat_line, channel.tests.dry
    if limits is None or (dry is not None and now[1] < dry):
        return
    flag = qc.flat_line(run.since_ms, now[0], limits)
    if flag is Flag.GOOD or not _warned(now, channel):
        verdict.add("flat_line", flag)


def _warned(now: Sample, channel: Channel) -> bool:
    """Whether the value stands at rank 2 or more."""
    return any(t.rank >= 2 and now[1] >= t.value for t in channel.in_force(now[0]))


def _together(verdict: _Verdict, state: State, now: Sample, channel: Channel, around: Surroundings) -> None:
    tests, own = channel.tests, rise_per_h(state, now)
    for limits in tests.multi_variate:
        other = around.other(limits.channel)
        last = other.live.last if other else None
        rise = rise_per_h(other, last.sample) if other and last else None
        verdict.add("multi_variate", qc.multi_variate(now[1], own, last.value if last else None, rise, limits))
    if tests.neighbour is None or own is None:
        return
    if -tests.neighbour.rise_per_h <= own <= tests.neighbour.rise_per_h and abs(own) >= tests.neighbour.still_per_h:
        return  # whatever the neighbours do
    rises = [rise_per_h(s, s.live.last.sample) for s in around.neighbours() if s.live.last]
    flag = qc.neighbour(own, [x for x in rises if x is not None], tests.neighbour)
    if flag is Flag.GOOD or own > tests.neighbour.rise_per_h or not _warned(now, channel):
        verdict.add("neighbour", flag)


def rise_per_h(state: State, now: Sample) -> float | None:
    """How fast a channel rose over the last hour or so, canonical unit an hour; None where that is not known. A
    counter that began anew is not known either."""
    base = next((s for s in reversed(state.trail) if now[0] - s[0] >= RISE_FROM_MS), None)
    if base is None or now[0] - base[0] > RISE_UPTO_MS:
        return None
    return (now[1] - base[1]) * 3_600_000 / (now[0] - base[0])


# --- what the tests remember


def _extended(line: Line, now: Sample, limits: FlatLine | None, channel: Channel) -> Run:
    """The run that ends with this value. Nobody knows what stood in a gap, so a run begins anew after it; but one that
    was already too long goes on: a gauge that comes back with the value that it was stuck at is stuck."""
    if limits is None:
        return line.run
    last = line.last
    alone = last is None or not line.run.highs or abs(now[1] - last.value) > limits.tolerance + qc.NOISE
    if alone or last is None:
        return Run((now,), (now,))
    if now[0] - last.ms > channel.contract.late_after_s * 1000 and "flat_line" not in last.tests:
        return Run((now,), (now,))
    return extended(line.run, now, limits.tolerance)


def extended(run: Run, now: Sample, tolerance: float) -> Run:
    """The longest stretch that ends with this sample and whose values lie within the tolerance of each other: two
    monotone queues, as in any running maximum."""
    at, value = now
    if len(run.highs) == len(run.lows) == 1 and run.highs[0][1] == run.lows[0][1] == value:
        return run  # the usual case of a value that stands still
    highs, lows = list(run.highs), list(run.lows)
    since_high = since_low = at
    while highs and highs[-1][1] <= value:
        since_high = highs.pop()[0]
    while lows and lows[-1][1] >= value:
        since_low = lows.pop()[0]
    highs.append((since_high, value))
    lows.append((since_low, value))
    while highs[0][1] - lows[0][1] > tolerance + qc.NOISE:
        ends = [queue[1][0] for queue in (highs, lows) if len(queue) > 1]
        start = min(ends)
        for queue in (highs, lows):
            while len(queue) > 1 and queue[1][0] <= start:
                del queue[0]
            if queue[0][0] < start:
                queue[0] = (start, queue[0][1])
    return Run(_thinned(highs), _thinned(lows))


def _thinned(queue: list[Sample]) -> Extremes:
    """Bounded: of those between the first and the last, whichever lies nearest to the one before it counts as that."""
    while len(queue) > RUN_VALUES:
        nearest = min(range(1, len(queue) - 1), key=lambda i: abs(queue[i][1] - queue[i - 1][1]))
        del queue[nearest]
    return tuple(queue)


def _bucketed(window: Window, now: Sample, limits: Attenuated) -> Window:
    """The window with this value, in twelfths of its length: (number, lowest, highest) or (number, count, mean, sum of
    squared differences from it)."""
    number, value = now[0] // round(limits.window_s * 1000 / BUCKETS), now[1]
    kept = tuple(b for b in window if number - BUCKETS < b[0] <= number)
    if limits.measure == "range":
        if kept and kept[-1][0] == number:
            _, low, high = kept[-1]
            return (*kept[:-1], (number, min(low, value), max(high, value)))
        return (*kept, (number, value, value))
    if kept and kept[-1][0] == number:
        _, count, mean, squares = kept[-1]
        step = value - mean
        mean = round(mean + step / (count + 1), 9)  # as fine as values are; more would only be stored
        return (*kept[:-1], (number, count + 1, mean, round(squares + step * (value - mean), 12)))
    return (*kept, (number, 1, value, 0.0))


def _attenuated(window: Window, limits: Attenuated, last: Seen | None) -> Flag:
    """After a gap, until the window is full again, what was said before it stands: silence cures no gauge. It ends as
    soon as the signal has moved by as much as it must, which a full window can only confirm."""
    if window[-1][0] - window[0][0] >= BUCKETS - 1:
        return qc.attenuated(_measure(window, limits), limits)
    if last is None or "attenuated" not in last.tests or qc.attenuated(_measure(window, limits), limits) is Flag.GOOD:
        return Flag.NOT_EVALUATED
    return Flag.SUSPECT


def _measure(window: Window, limits: Attenuated) -> float:
    """Range, or standard deviation (of the population), of all that the window holds."""
    if limits.measure == "range":
        return max(b[2] for b in window) - min(b[1] for b in window)
    count = sum(b[1] for b in window)
    mean = sum(b[1] * b[2] for b in window) / count
    squares = sum(b[3] + b[1] * (b[2] - mean) ** 2 for b in window)
    return float((squares / count) ** 0.5)
