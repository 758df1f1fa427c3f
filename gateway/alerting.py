"""Alert logic of one channel: `advance` with an observation, `settle` with time (the passing of time without data is in
`reporting`). Pure functions from state to state and transitions; nothing here rings, stores or knows a person.

Rules (flood.md, "Defaults for ringing" and "Quality tests"; ALARM.md has them as a table):
- A rise to rank >= 3 needs one good sample that was plausibly reached (`plausible`), to rank <= 2 two samples: in a
  row, or within half an hour in which the water did not fall as far as a rank is left.
- A rank >= 3 that is suspect, that a jump reached, or before which nothing was known, is *claimed*: unconfirmed. From
  rank 4 on a claim rings, one of rank 3 when it has stood for half an hour. After a claim was taken back the next ones
  ring with their second sample.
- A claim is confirmed by the next good sample that is plausible, but after a gap of hours, of which nobody saw the
  rise, only where there is neither rain nor neighbour that was ever heard: how high the water is they do not know; by a
  second sensor; of a suspect but plausible rise also by a second sample where rain or a neighbour supports it; or by a
  person. A jump is confirmed by no sample of its own. What lies below rank 3, or is good and plausible and lower, takes
  it back.
- While it rains or a neighbour rises or stands above its first threshold, a gauge that stands still, that moves less
  than its water must or that its second sensor contradicts is shown as faulty.
- A failed reading, a fault or silence raises nothing; but above the sensor's span, while the water rises or at rank
  >= 2, the rank of the top of the span is claimed.
- A fall needs three good samples and 30 minutes below threshold - hysteresis, not rising; it goes no lower than every
  one of these samples allows. A fall faster than the site's recession from above danger is told (two samples) and
  lowers nothing until the level is back or a person has judged.
- A channel that is lost at rank >= 2 holds its last good rank and rings once; it never falls by being lost.
- A sample of a clock that was never set counts as suspect: it raises unconfirmed only.
- A device's clock that was put back begins a new time line; a time that turned out to lie in the future is forgotten.
- Only data younger than interval + grace advance an alert; up to 30 minutes old they may still raise rank >= 3. What is
  older, or older than the newest, is for `hindsight`.
"""

from __future__ import annotations

from math import inf

from msgspec.structs import replace

from gateway import contacts, hindsight, plausible, revision, sluggish, surge, trend
from gateway.channelstate import (
    ALONE,
    REJECTED_JUMPS,
    ChannelState,
    Context,
    MetresAt,
    Step,
    floor_of,
    heal,
    level_of,
    rank_of,
)
from gateway.errors import FaultCode
from gateway.judging import dismissed
from gateway.model import Change, ClockState, Condition, Flag, Observation, Transition
from gateway.plausible import Rise
from gateway.reporting import resumed, suspended, unusable
from gateway.stations import Channel, Station, Threshold

SAMPLES_TO_RISE_LOW = 2  # to rank 1 and 2
TIME_TO_RISE_LOW_MS = 30 * 60_000
SAMPLES_TO_FALL = 3
TIME_TO_FALL_MS = 30 * 60_000
LATE_ALARM_MS = 30 * 60_000  # backlog this young may still raise rank >= 3
RISING_PER_H = 0.06  # a centimetre in ten minutes: less is no rise
CLAIM_RINGS_MS = 30 * 60_000  # a claim of rank 3 that nothing has taken back by then
DOUBTED_FOR_MS = 6 * 3_600_000  # after a claim was taken back

Marks = tuple[Threshold, ...]


def advance(
    state: ChannelState,
    o: Observation,
    station: Station,
    channel: Channel,
    now_ms: int,
    episode: str | None,
    context: Context = ALONE,
) -> tuple[ChannelState, list[Transition]]:
    """The state after an observation. `episode` is the station's open one. What is not newer than the newest
    advances nothing, unless it was read later all the same: then the device's clock was put back."""
    if context.maintenance:
        return suspended(state, o), []
    state = resumed(state, now_ms)
    late = now_ms - o.observed_ms > channel.contract.late_after_s * 1000
    if state.last_ms is not None and o.observed_ms <= state.last_ms:
        read_later = state.log is not None and o.log == state.log and (o.seq or 0) > (state.seq or 0)
        if late or not read_later:
            past = o.observed_ms < state.last_ms
            return hindsight.note(state, o, channel, now_ms) if past else state, []
        state = heal(state, o.observed_ms - 1, o.observed_ms - 1)
    if o.value is not None and o.for_alarm not in (Flag.FAIL, Flag.MISSING):
        state = plausible.renewed(state, channel, o.observed_ms, o.value)
    newest = replace(state, last_ms=o.observed_ms, flag=o.flag, log=o.log, seq=o.seq)
    step = Step(newest, station, channel, episode)
    if o.value is None or o.for_alarm in (Flag.FAIL, Flag.MISSING):
        if not late:
            _above_span(step, o, now_ms, context)
        unusable(step, o.observed_ms, late, now_ms, context)
    elif not late and dismissed(step, o, context):
        pass  # a person has called this a false alarm
    elif channel.contact and (not late or now_ms - o.observed_ms <= LATE_ALARM_MS):
        gap = hindsight.fills(state, o.observed_ms, o.value, channel.contract.late_after_s * 1000)
        contacts.touched(step, o, o.value)
        step.set(gap=gap)
    elif not late:
        _usable(step, o, o.value, now_ms, context)
    else:
        _late(step, o, o.value, now_ms, context)
    return step.state, step.out


def settle(
    state: ChannelState, station: Station, channel: Channel, now_ms: int, episode: str | None
) -> tuple[ChannelState, list[Transition]]:
    """What time alone makes due: thresholds that come into force, and what backlog has shown."""
    step = Step(state, station, channel, episode)
    revision.check(step, now_ms)
    hindsight.tell(step, now_ms)
    return step.state, step.out


def unsettled(state: ChannelState) -> bool:
    """Whether `settle` may have something to say where no episode is open."""
    return bool(state.marks or state.rank or state.unconfirmed or (state.gap is not None and state.gap.noted_ms))


def believable(state: ChannelState, o: Observation, channel: Channel) -> bool:
    """Whether an observation that the state has taken in is a level: good, and no jump. Of backlog it is enough that
    the water can have come there and back."""
    if o.value is None or _doubtful(o) or o.for_alarm not in (Flag.GOOD, Flag.NOT_EVALUATED):
        return False
    if o.observed_ms == state.last_ms:
        return state.anchor is not None and state.anchor[0] == o.observed_ms and not state.jumps
    gap = state.gap
    within = gap is not None and gap.from_ms < o.observed_ms < (gap.to_ms or o.observed_ms + 1)
    return within and gap is not None and hindsight.reachable(gap, channel.limits, o.observed_ms, o.value)


def _doubtful(o: Observation) -> bool:
    return o.for_alarm is Flag.SUSPECT or o.clk is ClockState.UNSYNCED


# --- samples that may alarm ------------------------------------------------------------------------------------------


def _usable(step: Step, o: Observation, value: float, now_ms: int, context: Context) -> None:
    state = step.state
    gap = hindsight.fills(state, o.observed_ms, value, step.channel.contract.late_after_s * 1000)
    if state.lost:
        step.say(Change.RESTORED, state.rank, o.observed_ms, value, rings=False)
    revision.check(step, now_ms)
    marks = step.channel.in_force(o.observed_ms)
    target = rank_of(value, marks)
    asserts = target >= 3 and target > state.rank
    raised = state.jumps > 0 and context.near.raised
    rise = plausible.rise(state, step.channel.limits, o.observed_ms, value, asserts, raised)
    recent = state.recent if rise is Rise.JUMP else trend.kept(state.recent, o.observed_ms, value)
    step.set(recent=recent, value=value, usable_ms=o.observed_ms, condition=Condition.FRESH, gap=gap)
    step.set(held=False, lost=False, lost_ms=None)
    if _too_fast(step, o, value, marks):
        _take_back(step, o, value, marks, at_once=False)
    else:
        _judge(step, o, value, rise, marks, context)
    if sluggish.looks(step.station, step.channel, state.usable_ms, o.observed_ms):
        step.set(sluggish=sluggish.judge(state.sluggish, step.state.recent, context.near))
    still = step.station.hazard == "tide" and bool({"flat_line", "attenuated"} & set(o.tests))  # the sea always moves
    if still or step.state.sluggish or (_numb(o, state, context) and context.near.support):
        step.set(condition=Condition.FAULTY)


def _numb(o: Observation, before: ChannelState, context: Context) -> bool:
    """A value that has not moved for hours, that stands still while the neighbours rise, that moves less than it
    must, or that the second sensor contradicts. Where a flood is on its way such a gauge is shown as faulty, not as
    normal; its value counts all the same."""
    flat = "flat_line" in o.tests and (o.flag is Flag.FAIL or context.near.raised)
    contradicted = "multi_variate" in o.tests or "attenuated" in o.tests
    return flat or contradicted or ("neighbour" in o.tests and o.value == before.value)


def _judge(step: Step, o: Observation, value: float, rise: Rise, marks: Marks, context: Context) -> None:
    """One usable sample: it is believed, or it claims."""
    target, good = rank_of(value, marks), not _doubtful(o)
    asserts = target >= 3 and target > step.state.rank
    believed = good and (rise is Rise.PLAUSIBLE or not asserts)
    if rise is Rise.JUMP:
        step.set(jumps=max(step.state.jumps, min(step.state.jumps + 1, REJECTED_JUMPS - 1)))
    elif rise is Rise.UNKNOWN and _another_zero(step.state.anchor, value, target, context):
        if step.state.anchor is not None:  # as a jump, from now on
            calm = min(step.state.anchor[1], min(t.value for t in marks) - plausible.SLACK if target else inf)
            step.set(anchor=(o.observed_ms, calm), jumps=REJECTED_JUMPS)
    elif good:
        step.set(anchor=(o.observed_ms, value), jumps=0)
    if believed:
        revision.moved(step, o.observed_ms, value, target)
        _take_back(step, o, value, marks, at_once=rise is not Rise.JUMP)
        if rise is not Rise.JUMP:
            step.set(unconfirmed=0, claim_ms=0)
        _believed(step, o, value, marks)
    elif asserts:
        _claim(step, o, value, target, rise, marks, context)
    else:
        _take_back(step, o, value, marks, at_once=False)
        if target > step.state.rank:
            _rise(step, o, value, marks)  # two samples, whatever their flag
    surge.check(step, o, value, marks)


def _another_zero(anchor: MetresAt | None, value: float, target: int, context: Context) -> bool:
    """Of the first level after a gap of hours: whether the gauge may have come back with another zero. It is higher
    than it was, or above a threshold; that the water is high around says nothing of how high it is here. Where nobody
    around was ever heard there is nobody to doubt it by; and of one that never stood low the flood around is enough
    below rank 3."""
    if not context.near.witnessed:
        return False
    if anchor is None:
        return target >= 3 or (target > 0 and not context.near.raised)
    return target > 0 or value > anchor[1] + plausible.SLACK


def _believed(step: Step, o: Observation, value: float, marks: Marks) -> None:
    if rank_of(value, marks) > step.state.rank:
        _rise(step, o, value, marks)
    else:
        _next_level(step, o, value, marks)
        _fall(step, o, value, marks)


def _next_level(step: Step, o: Observation, value: float, marks: Marks) -> None:
    """A rank may have two levels (caution, and above it that of turning out). The higher one is told by two samples,
    once while the rank lasts."""
    state = step.state
    key = level_of(state.rank, value, marks)
    places = {t.level: t.value for t in marks if t.rank == state.rank}
    before = places.get(state.level)
    if before is None or places[key] <= before or value < places[key]:
        step.set(level=key if before is None else state.level)
        if not _hovers(state, o.observed_ms, value, marks):
            step.set(pending=0, pending_rank=0)
    elif not state.pending:
        step.set(pending=1, pending_rank=state.rank)
    else:
        quiet = revision.quiet(step, state.rank, value, marks)
        step.say(Change.RISE, state.rank, o.observed_ms, value, rings=state.rank >= 2 and not quiet)
        step.set(pending=0, pending_rank=0, level=key)
        surge.noted(step, state.rank, o.observed_ms, value)


def _hovers(state: ChannelState, at_ms: int, value: float, marks: Marks) -> bool:
    """Whether the first of two samples still counts though this one is below its level: a gauge that reads a few
    centimetres too low in between must not keep back what the water says twice."""
    if not state.pending or state.pending_rank <= state.rank or at_ms - state.pending_ms > TIME_TO_RISE_LOW_MS:
        return False
    floor = floor_of(state.pending_rank, marks)
    return floor is not None and value >= floor


def _late(step: Step, o: Observation, value: float, now_ms: int, context: Context) -> None:
    """Data too old to advance anything, but a recent danger must not be kept from people."""
    marks = step.channel.in_force(o.observed_ms)
    target = rank_of(value, marks)
    if target < 3 or target <= step.state.rank or now_ms - o.observed_ms > LATE_ALARM_MS:
        step.state = hindsight.note(step.state, o, step.channel, now_ms)
        return
    rise = plausible.rise(step.state, step.channel.limits, o.observed_ms, value, asserts=True)
    step.set(value=value, usable_ms=o.observed_ms, held=step.state.lost_ms is not None)
    _judge(step, o, value, rise, marks, context)


# --- claims ----------------------------------------------------------------------------------------------------------


def _claim(step: Step, o: Observation, value: float, target: int, rise: Rise, marks: Marks, context: Context) -> None:
    """A rank >= 3 above the confirmed one that one sample alone does not make true."""
    sure = _supported(step, o, value, target, rise, context)
    if sure > step.state.rank:
        _raise_to(step, sure, o.observed_ms, value, marks)
        if sure == target:
            step.set(anchor=(o.observed_ms, value), jumps=0)
            return
    state, at_ms = step.state, o.observed_ms
    if target > max(state.rank, state.unconfirmed):
        doubted = state.refuted_ms is not None and 0 <= at_ms - state.refuted_ms < DOUBTED_FOR_MS
        rings = target >= 4 and not doubted and not revision.quiet(step, target, value, marks)
        step.say(Change.RISE, target, at_ms, value, confirmed=False, rings=rings)
        step.set(unconfirmed=target, claim_ms=0 if rings else at_ms)
    elif state.claim_ms and target > state.rank and (target >= 4 or at_ms - state.claim_ms >= CLAIM_RINGS_MS):
        step.say(Change.RISE, target, at_ms, value, confirmed=False)
        step.set(claim_ms=0)


def _supported(step: Step, o: Observation, value: float, target: int, rise: Rise, context: Context) -> int:
    """The rank that a claim is confirmed at; 0 for none. A second sensor vouches for the level. Rain and neighbours
    vouch for a rise: one that is plausible, only suspect by its flag, and claimed twice."""
    second = min(target, context.second_rank or 0)
    if second >= 3:
        return second
    anchor = step.state.anchor
    rises = rise is Rise.PLAUSIBLE and anchor is not None and value > anchor[1] and o.clk is not ClockState.UNSYNCED
    return min(target, step.state.unconfirmed) if context.near.support and rises else 0


def _take_back(step: Step, o: Observation, value: float, marks: Marks, at_once: bool) -> None:
    """A claim that this sample does not bear out: whoever was told of it is told so. `at_once`: the sample is good and
    goes on from what was there before; another one must lie as far below as a fall must."""
    state, least = step.state, max(3, step.state.rank + 1)
    if not state.unconfirmed:
        return
    low = value < min((f for r in range(least, 6) if (f := floor_of(r, marks)) is not None), default=value + 1)
    if rank_of(value, marks) < least and (at_once or low):
        rang = not state.claim_ms
        step.say(
            Change.FALL, state.rank, o.observed_ms, value, confirmed=False, rings=rang, from_rank=state.unconfirmed
        )
        step.set(unconfirmed=0, claim_ms=0, refuted_ms=o.observed_ms)


def _above_span(step: Step, o: Observation, now_ms: int, context: Context) -> None:
    """The water is above what the sensor can measure: where it was rising, or high, it may have reached the top. Who is
    rung for that is not rung once more because the channel is held."""
    limits, marks = step.channel.limits, step.channel.in_force(o.observed_ms)
    top = limits.sensor[1] if limits.sensor else max((t.value for t in marks), default=None)
    over = o.fault is FaultCode.ABOVE_SPAN or (o.value is not None and limits.sensor and o.value > limits.sensor[1])
    if top is None or not over:
        return
    state = step.state
    soon_ms = (state.usable_ms or o.observed_ms) + round(step.channel.contract.late_after_s * 1000)
    reach = plausible.ceiling(state, limits, min(o.observed_ms, soon_ms))  # what is blind for longer is just blind
    high = state.rank >= 2 or state.unconfirmed >= 3 or _rising(step)
    target = rank_of(top, marks)
    if high and target >= 3 and target > state.rank and (reach is None or reach >= top):
        _claim(step, o, top, target, Rise.JUMP, marks, context)
        if any(t.rings for t in step.out):
            step.set(rung_ms=now_ms, rung_rank=target)


# --- rises and falls -------------------------------------------------------------------------------------------------


def _rise(step: Step, o: Observation, value: float, marks: Marks) -> None:
    target = rank_of(value, marks)
    step.set(below=0)
    if target >= 3:
        _raise_to(step, target, o.observed_ms, value, marks)
        return
    before, seen = step.state, step.state.pending + 1
    common = min(before.pending_rank, target) if before.pending else target
    if seen < SAMPLES_TO_RISE_LOW:
        step.set(pending=seen, pending_rank=target, pending_ms=o.observed_ms)
        return
    _raise_to(step, common, o.observed_ms, value, marks)
    if target > common:  # this sample is the first of the next rise
        step.set(pending=1, pending_rank=target, pending_ms=o.observed_ms)
    elif before.pending_rank > common and _hovers(before, o.observed_ms, value, marks):
        step.set(pending=1, pending_rank=before.pending_rank, pending_ms=before.pending_ms)


def _raise_to(step: Step, rank: int, at_ms: int, value: float, marks: Marks) -> None:
    hushed = revision.quiet(step, rank, value, marks)
    step.say(Change.RISE, rank, at_ms, value, rings=rank >= 2 and not hushed)
    if rank >= 3:
        step.set(unconfirmed=0, claim_ms=0)
    step.set(rank=rank, pending=0, pending_rank=0, below=0, drops=0)
    step.set(hushed=rank if hushed else 0, level=level_of(rank, value, marks))
    surge.noted(step, rank, at_ms, value)


def _rising(step: Step) -> bool:
    """Clearly, within the last half hour."""
    recent = trend.within(step.state.recent, TIME_TO_FALL_MS)
    per_hour = trend.trend_per_hour(recent)
    if per_hour is None:
        return len(recent) == 2 and recent[1][1] > recent[0][1]
    return per_hour > RISING_PER_H


def _fall(step: Step, o: Observation, value: float, marks: Marks) -> None:
    rank = step.state.rank
    floors = {r: f for r in range(rank, 0, -1) if (f := floor_of(r, marks)) is not None}
    # A rank whose threshold is no longer in force is left only below the next lower one: the change clears nothing.
    if not floors or value >= next(iter(floors.values())) or step.state.revised is not None:
        step.set(below=0)
        return
    since = step.state.below_since_ms if step.state.below else o.observed_ms
    top = max(value, step.state.below_top) if step.state.below else value
    step.set(below=step.state.below + 1, below_since_ms=since, below_top=top)
    if step.state.below < SAMPLES_TO_FALL or o.observed_ms - since < TIME_TO_FALL_MS or _rising(step):
        return
    to_rank = next((r for r, f in floors.items() if r < rank and top >= f), 0)
    step.say(Change.FALL, to_rank, o.observed_ms, value, rings=rank >= 2)
    step.set(rank=to_rank, below=0, level=level_of(to_rank, value, marks))


def _too_fast(step: Step, o: Observation, value: float, marks: Marks) -> bool:
    """A fall from above danger that no recession explains: a breach, or the instrument. It lowers nothing. The first
    such sample may be a spike; the second is told."""
    state, danger = step.state, min((t.value for t in marks if t.rank >= 4), default=None)
    if state.rank < 4 or danger is None:
        return False
    if state.drops >= 2:
        back = value >= (floor_of(state.rank, marks) or danger)
        step.set(drops=0 if back else 2)
        return not back
    if not plausible.too_fast_a_fall(state, step.channel.limits, o.observed_ms, value, danger):
        step.set(drops=0)
        return False
    step.set(drops=state.drops + 1, below=0)
    if step.state.drops == 2:
        step.say(Change.FAST_FALL, state.rank, o.observed_ms, value)
    return True
