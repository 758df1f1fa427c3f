"""What a person's judgement does to the state of a channel. Pure.

A false alarm that was rejected stays rejected: a gauge that is stuck must not ring again at its next sample. The state
remembers the rank (`rejected`), and until a good sample lies below it nothing up to that rank is raised. It ends sooner
where there is more than this gauge to go by: a higher rank, a second sensor at the site that says the same, or a person
who confirms after all.
"""

from __future__ import annotations

from msgspec.structs import replace

from gateway.channelstate import REJECTED_JUMPS, ChannelState, Context, Step, rank_of
from gateway.model import Change, ClockState, Condition, Flag, Observation
from gateway.stations import Threshold
from gateway.trend import MetresAt, kept


def claim_of(state: ChannelState) -> int:
    """The rank that a channel shows or claims."""
    return max(state.rank, state.unconfirmed)


def seen(state: ChannelState) -> MetresAt | None:
    """The level that a person has looked at."""
    usable_ms, value = state.usable_ms, state.value
    return state.anchor if usable_ms is None or value is None else (usable_ms, value)


def confirmed(state: ChannelState) -> ChannelState:
    """What the channel claims, or what was rejected before, stands; what follows may build on the level."""
    rank = max(claim_of(state), state.rejected)
    state = replace(state, anchor=seen(state), jumps=0, drops=0, claim_ms=0)
    return replace(state, rank=rank, unconfirmed=0, rejected=0, pending=0, pending_rank=0, below=0)


def rejected(state: ChannelState) -> ChannelState:
    """It was a false alarm: nothing is left of its rank, held or not. After one of rank >= 3 what follows only claims,
    until the level was low."""
    claim = max(claim_of(state), state.rejected)
    jumps = REJECTED_JUMPS if claim >= 3 else 0
    state = replace(state, jumps=jumps, drops=0, claim_ms=0, hushed=0)
    return replace(state, rank=0, unconfirmed=0, held=False, rejected=claim, pending=0, pending_rank=0, below=0)


def fresh_rank(state: ChannelState, thresholds: tuple[Threshold, ...]) -> int:
    """The rank that data show which are not lost; 0 for a channel that is."""
    seen = state.condition in (Condition.FRESH, Condition.LATE) and state.value is not None and not state.lost
    return rank_of(state.value or 0.0, thresholds) if seen else 0


def closed(state: ChannelState, thresholds: tuple[Threshold, ...]) -> ChannelState:
    """The event is over: a rank that is only held or waits for its time to fall goes, what the data show stays."""
    rank = min(state.rank, fresh_rank(state, thresholds))
    if state.drops:
        state = replace(state, anchor=seen(state), drops=0)  # what fell too fast is low
    state = replace(state, claim_ms=0, hushed=0)
    return replace(state, rank=rank, unconfirmed=0, held=False, pending=0, pending_rank=0, below=0)


def dismissed(step: Step, o: Observation, context: Context) -> bool:
    """Whether a person's rejection still speaks for this observation: then it is taken note of, and raises nothing."""
    state = step.state
    if not state.rejected or o.value is None or o.for_alarm in (Flag.FAIL, Flag.MISSING):
        return False
    rank = rank_of(o.value, step.channel.in_force(o.observed_ms))
    good = o.for_alarm is not Flag.SUSPECT and o.clk is not ClockState.UNSYNCED
    witnessed = context.second_rank is not None and context.second_rank >= rank > 0
    if rank > state.rejected or (good and rank < state.rejected) or witnessed:
        step.set(rejected=0)
        return False
    if state.lost:
        step.say(Change.RESTORED, state.rank, o.observed_ms, o.value, rings=False)
    recent = kept(state.recent, o.observed_ms, o.value)
    step.set(value=o.value, usable_ms=o.observed_ms, recent=recent, condition=Condition.FRESH)
    step.set(held=False, lost=False, lost_ms=None)
    return True
