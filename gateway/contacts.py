"""Contacts of underpasses: wet or dry, nothing between. Pure.

A wet contact stands for its level until a person has been there (現地確認): reading dry again ends nothing, because
what wetted it may have shifted it, and the road is opened by its manager. So a contact falls by nothing but a person's
act (`judging.closed`, `judging.rejected`). An open circuit, a fault and silence are losses, as of any channel: what was
wet is held, what was dry is unknown. The closing contact (rank >= 3) alarms at its first sample, whatever the caution
contact says; the caution contact at its second, so that a splash rings nobody. A suspect sample claims, unconfirmed,
and stays.
"""

from __future__ import annotations

from gateway.channelstate import ChannelState, Step
from gateway.model import Change, ClockState, Condition, Flag, Observation
from gateway.stations import Channel

SAMPLES_LOW = 2  # to rank 1 and 2
STANDS_JA = "接点は乾、現地確認待ち"
STANDS_EN = "the contact reads dry, waiting for somebody on the spot"


def touched(step: Step, o: Observation, value: float) -> None:
    """One sample that may alarm."""
    if step.state.lost:
        step.say(Change.RESTORED, step.state.rank, o.observed_ms, value, rings=False)
    step.set(value=value, usable_ms=o.observed_ms, condition=Condition.FRESH, held=False, lost=False, lost_ms=None)
    marks = step.channel.in_force(o.observed_ms)
    rank = max((t.rank for t in marks if value >= t.value), default=0)
    if rank <= step.state.rank:
        step.set(pending=0, pending_rank=0)
        return
    if o.for_alarm is Flag.SUSPECT or o.clk is ClockState.UNSYNCED:
        if rank > step.state.unconfirmed and rank >= 3:
            step.say(Change.RISE, rank, o.observed_ms, value, confirmed=False, rings=rank >= 4)
            step.set(unconfirmed=rank)
        return
    if rank < 3 and step.state.pending + 1 < SAMPLES_LOW:
        step.set(pending=step.state.pending + 1, pending_rank=rank)
        return
    step.say(Change.RISE, rank, o.observed_ms, value, rings=rank >= 2)
    step.set(rank=rank, unconfirmed=0, pending=0, pending_rank=0)


def waits(state: ChannelState, channel: Channel) -> bool:
    """Wet before and dry now: it stands until somebody has been there."""
    dry = state.value is not None and state.value == 0.0 and not state.lost
    return channel.contact and dry and max(state.rank, state.unconfirmed) > 0
