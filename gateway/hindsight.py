"""What backlog shows of the time in which data were missing. Pure.

A gap of a channel is from its last usable observation to the next fresh one; gaps of less than a day apart are one.
Backlog that falls into it alarms nobody by itself. Its two highest observations are kept, and when nothing more has
come for `QUIET_MS` (or after `LONGEST_MS`) it is told once which level was exceeded (`Change.PAST`), with the peak and
its time: where it is a higher rank than people knew of. Backlog that comes later in another piece speaks again only of
a higher rank. One single observation shows nothing: there is no hurry, and it may be a spike. But a
contact of rank >= 3 says what it says by one, as it does when it is fresh.

Backlog also says whether the water has come the way to where it stands now: what was in doubt only because nothing was
known for hours (`plausible`) is known when the gap is filled step by step, each as far as the water can rise.
"""

from __future__ import annotations

from typing import TypeGuard

from msgspec.structs import replace

from gateway.channelstate import ChannelState, Gap, Step, rank_of
from gateway.model import Change, ClockState, Flag, Observation
from gateway.plausible import KNOWN_FOR_MS, SLACK
from gateway.stations import Channel, Limits
from gateway.trend import MetresAt

LEAST_RANK = 2
RINGS_FROM, RINGS_FOR_MS = 3, 24 * 3_600_000  # who is rung for what passed days ago can do nothing
QUIET_MS, LONGEST_MS = 2 * 60_000, 10 * 60_000
ONE_OUTAGE_MS = 24 * 3_600_000
KEPT_MS = 31 * 24 * 3_600_000


def fills(state: ChannelState, at_ms: int, value: float, late_after_ms: float) -> Gap | None:
    """The state's gap after a fresh usable observation."""
    gap, known = state.gap, max(state.rank, state.unconfirmed)
    if gap is not None and gap.to_ms is None:
        return replace(gap, to_ms=at_ms, after=value, known=max(gap.known, known))
    if state.value is None or state.usable_ms is None:
        return Gap(state.since_ms, at_ms, None, value)
    if at_ms - state.usable_ms <= late_after_ms:
        return None if gap is None or at_ms - (gap.to_ms or 0) > KEPT_MS else gap
    if _same_outage(gap, state.usable_ms):
        return replace(gap, to_ms=at_ms, after=value, known=max(gap.known, known), way=_begin(state))
    return Gap(state.usable_ms, at_ms, state.value, value, known, way=_begin(state))


def _same_outage(gap: Gap | None, usable_ms: int) -> TypeGuard[Gap]:
    """A gap that ended not long ago; not the time before the first value of all."""
    return gap is not None and gap.before is not None and usable_ms - (gap.to_ms or 0) < ONE_OUTAGE_MS


def note(state: ChannelState, o: Observation, channel: Channel, now_ms: int) -> ChannelState:
    """The state after an observation that is too old to advance it."""
    good = o.for_alarm in (Flag.GOOD, Flag.NOT_EVALUATED) and o.clk is not ClockState.UNSYNCED
    if o.value is None or not good:
        return state
    rank, gap = rank_of(o.value, channel.in_force(o.observed_ms)), _gap_of(state, o.observed_ms)
    if gap is not None:
        state, gap = _led(state, gap, o.observed_ms, o.value, channel)
    if gap is None or rank < LEAST_RANK or rank <= max(gap.known, gap.told, state.rank):
        return state
    if any(at == o.observed_ms for _, _, at in gap.best):
        return state
    seen = (*gap.best, (rank, o.value, o.observed_ms))
    best = tuple(sorted(seen, key=lambda x: (x[0], x[1], -x[2]), reverse=True))[:2]
    if best == gap.best:
        return state
    return replace(state, gap=replace(gap, best=best, noted_ms=now_ms, since_ms=gap.since_ms or now_ms))


def _gap_of(state: ChannelState, at_ms: int) -> Gap | None:
    """The gap into which a time falls; one that has not ended begins with the first late observation."""
    gap, usable_ms = state.gap, state.usable_ms if state.value is not None else None
    if gap is not None and gap.from_ms < at_ms and (gap.to_ms is None or at_ms < gap.to_ms):
        return gap
    if usable_ms is None:
        return Gap(state.since_ms) if at_ms > state.since_ms else None
    if at_ms <= usable_ms:
        return None
    if _same_outage(gap, usable_ms):
        return replace(gap, to_ms=None, after=None, way=_begin(state))
    return Gap(usable_ms, None, state.value, way=_begin(state))


def _begin(state: ChannelState) -> MetresAt | None:
    """Where a way begins: what came before it is no jump."""
    return None if state.jumps else state.anchor


def _led(state: ChannelState, gap: Gap, at_ms: int, value: float, channel: Channel) -> tuple[ChannelState, Gap]:
    """State and gap after one more observation of the gap, in the order of time; one that is no step of the way ends
    it. Where the way has come to what is known now, without an interval that is missing, that is no jump any more."""
    way, per_h = gap.way, channel.limits.rise_per_h
    if per_h is None or way is None or at_ms <= way[0]:
        return state, gap
    if channel.equipment.parted(way[0], gap.to_ms or at_ms):
        return replace(state, gap=replace(gap, way=None)), replace(gap, way=None)
    way = (at_ms, value) if _follows(way, at_ms, value, per_h) else None
    gap = replace(gap, way=way)
    state = replace(state, gap=gap)
    if way is None:
        return state, gap
    if gap.to_ms is None or gap.after is None:
        return state if state.jumps else replace(state, anchor=way), gap
    back: MetresAt = (gap.to_ms, gap.after)
    now: MetresAt = back if state.value is None or state.usable_ms is None else (state.usable_ms, state.value)
    arrived = gap.to_ms - at_ms <= channel.contract.late_after_s * 1000 and _follows(way, *back, per_h)
    if state.jumps and arrived and _follows(back, *now, per_h):
        state = replace(state, anchor=now, jumps=0)
    return state, gap


def _follows(before: MetresAt, at_ms: int, value: float, rise_per_h: float) -> bool:
    """The water can have risen from one to the other, of which not too long ago something was known."""
    then_ms, level = before
    return at_ms - then_ms <= KNOWN_FOR_MS and value <= level + SLACK + rise_per_h * (at_ms - then_ms) / 3.6e6


def tell(step: Step, now_ms: int) -> None:
    """Say what backlog has shown, when it seems to have come to its end."""
    gap, state = step.state.gap, step.state
    if gap is None or not gap.noted_ms:
        return
    if 0 <= now_ms - gap.noted_ms < QUIET_MS and 0 <= now_ms - gap.since_ms < LONGEST_MS:
        return
    step.set(gap=replace(gap, noted_ms=0, since_ms=0))
    rank = _shown(gap, step.channel)
    if rank <= max(gap.known, gap.told, state.rank):
        return
    _, value, at_ms = gap.best[0] if gap.best[0][0] == rank else gap.best[1]
    rings = rank >= RINGS_FROM and now_ms - at_ms <= RINGS_FOR_MS
    sure = reachable(gap, step.channel.limits, at_ms, value)
    step.say(Change.PAST, rank, at_ms, value, confirmed=sure, rings=rings)
    step.set(gap=replace(gap, noted_ms=0, since_ms=0, told=rank))


def _shown(gap: Gap, channel: Channel) -> int:
    """The rank that its observations show."""
    if len(gap.best) == 2:
        return gap.best[1][0]
    return gap.best[0][0] if channel.contact and gap.best[0][0] >= 3 else 0


def reachable(gap: Gap, limits: Limits, at_ms: int, value: float) -> bool:
    """The water can have risen to it since the gap began, and fallen from it until the gap ended."""
    rise, fall = limits.rise_per_h, limits.fall_per_h
    if (
        rise is not None
        and gap.before is not None
        and value > gap.before + SLACK + rise * (at_ms - gap.from_ms) / 3.6e6
    ):
        return False
    if fall is None or gap.after is None or gap.to_ms is None:
        return True
    return value <= gap.after + SLACK + fall * (gap.to_ms - at_ms) / 3.6e6
