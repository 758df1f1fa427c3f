"""Alert logic of one channel: `advance` with an observation (the passing of time is in `reporting`). Pure functions
from state to state and transitions; nothing here rings, stores or knows a person.

Rules (flood.md, "Defaults for ringing" and "Reporting contracts"):
- A rise to rank >= 3 needs one good sample, to rank <= 2 two. A suspect sample raises unconfirmed only; rank >= 4
  rings even so. The next good sample confirms it by rising, or refutes it by an unconfirmed fall. A failed reading, a
  fault or silence raises nothing.
- A fall needs three good samples and 30 minutes below threshold - hysteresis, not rising; it goes no lower than every
  one of these samples allows.
- A channel that is lost at rank >= 2 holds its last good rank and rings once; it never falls by being lost.
- A sample of a clock that was never set counts as suspect: it raises unconfirmed only.
- A device's clock that was put back begins a new time line; a time that turned out to lie in the future is forgotten.
- Only data younger than interval + grace advance an alert; up to 30 minutes old they may still raise rank >= 3.
"""

from __future__ import annotations

from msgspec.structs import replace

from gateway.channelstate import ALONE, RECENT, ChannelState, Context, Step, floor_of, heal, rank_of
from gateway.judging import dismissed
from gateway.model import Change, ClockState, Condition, Flag, Observation, Transition
from gateway.reporting import resumed, suspended, unusable
from gateway.stations import Channel, Station, Threshold

SAMPLES_TO_RISE_LOW = 2  # to rank 1 and 2
SAMPLES_TO_FALL = 3
TIME_TO_FALL_MS = 30 * 60_000
LATE_ALARM_MS = 30 * 60_000  # backlog this young may still raise rank >= 3


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
            return state, []
        state = heal(state, o.observed_ms - 1, o.observed_ms - 1)
    newest = replace(state, last_ms=o.observed_ms, flag=o.flag, log=o.log, seq=o.seq)
    step = Step(newest, station, channel, episode)
    if o.value is None or o.flag in (Flag.FAIL, Flag.MISSING):
        unusable(step, o.observed_ms, late, now_ms, context)
    elif not late and dismissed(step, o, context):
        pass  # a person has called this a false alarm
    elif not late:
        _usable(step, o, o.value)
    else:
        _late(step, o, o.value, now_ms)
    return step.state, step.out


def _doubtful(o: Observation) -> bool:
    return o.flag is Flag.SUSPECT or o.clk is ClockState.UNSYNCED


def _usable(step: Step, o: Observation, value: float) -> None:
    recent = (*step.state.recent, (o.observed_ms, value))[-RECENT:]
    if step.state.lost:
        step.say(Change.RESTORED, step.state.rank, o.observed_ms, value, rings=False)
    rising = step.state.value is not None and value > step.state.value
    step.set(recent=recent, value=value, usable_ms=o.observed_ms, condition=Condition.FRESH)
    step.set(held=False, lost=False, lost_ms=None)
    thresholds = step.channel.in_force(o.observed_ms)
    if _doubtful(o):
        _suspect(step, o, value, thresholds)
        return
    target, rank, claimed = rank_of(value, thresholds), step.state.rank, step.state.unconfirmed
    if claimed and target < max(3, rank + 1):  # refuted: whoever was told of it is told so
        step.say(Change.FALL, rank, o.observed_ms, value, confirmed=False, rings=claimed >= 4, from_rank=claimed)
    step.set(unconfirmed=0)
    if target > rank:
        _rise(step, o, value, thresholds)
    else:
        step.set(pending=0, pending_rank=0)
        _fall(step, o, value, thresholds, rising)


def _late(step: Step, o: Observation, value: float, now_ms: int) -> None:
    """Data too old to advance anything, but a recent danger must not be kept from people."""
    thresholds = step.channel.in_force(o.observed_ms)
    target = rank_of(value, thresholds)
    if not _doubtful(o) and target >= 3 and target > step.state.rank and now_ms - o.observed_ms <= LATE_ALARM_MS:
        step.set(value=value, usable_ms=o.observed_ms, held=step.state.lost_ms is not None)
        _raise_to(step, target, o.observed_ms, value)


def _suspect(step: Step, o: Observation, value: float, thresholds: tuple[Threshold, ...]) -> None:
    target = rank_of(value, thresholds)
    if target > max(step.state.rank, step.state.unconfirmed) and target >= 3:
        step.say(Change.RISE, target, o.observed_ms, value, confirmed=False, rings=target >= 4)
        step.set(unconfirmed=target)


def _rise(step: Step, o: Observation, value: float, thresholds: tuple[Threshold, ...]) -> None:
    target = rank_of(value, thresholds)
    step.set(below=0)
    if target >= 3:
        _raise_to(step, target, o.observed_ms, value)
        return
    seen = step.state.pending + 1
    common = min(step.state.pending_rank, target) if step.state.pending else target
    if seen < SAMPLES_TO_RISE_LOW:
        step.set(pending=seen, pending_rank=target)
        return
    _raise_to(step, common, o.observed_ms, value)
    if target > common:  # this sample is the first of the next rise
        step.set(pending=1, pending_rank=target)


def _raise_to(step: Step, rank: int, at_ms: int, value: float) -> None:
    step.say(Change.RISE, rank, at_ms, value, rings=rank >= 2)
    step.set(rank=rank, pending=0, pending_rank=0, below=0, unconfirmed=0)


def _fall(step: Step, o: Observation, value: float, thresholds: tuple[Threshold, ...], rising: bool) -> None:
    rank = step.state.rank
    floors = {r: f for r in range(rank, 0, -1) if (f := floor_of(r, thresholds)) is not None}
    # A rank whose threshold is no longer in force is left only below the next lower one: the change clears nothing.
    if not floors or value >= next(iter(floors.values())):
        step.set(below=0)
        return
    since = step.state.below_since_ms if step.state.below else o.observed_ms
    top = max(value, step.state.below_top) if step.state.below else value
    step.set(below=step.state.below + 1, below_since_ms=since, below_top=top)
    if step.state.below < SAMPLES_TO_FALL or o.observed_ms - since < TIME_TO_FALL_MS or rising:
        return
    to_rank = next((r for r, f in floors.items() if r < rank and top >= f), 0)
    step.say(Change.FALL, to_rank, o.observed_ms, value, rings=rank >= 2)
    step.set(rank=to_rank, below=0)
