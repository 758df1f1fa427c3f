"""Whether a level can have been reached from what was known before. Pure.

The *anchor* is the newest good observation that was reached plausibly. From it the water may rise by the site's
`rise_per_h`, and so grows the highest level that is plausible now. What lies above it is a *jump*. Time alone does not
make a jump true: a stuck gauge stays where it is while the plausible grows up to it. So a jump lasts, whatever follows
from it, until

- a value comes that asserts nothing above rank 2 and nothing above the confirmed rank, is plausible from the anchor,
  and is no part of the jump: it fell from it by half of it in one step, or rain or a neighbour stands above its first
  threshold, or three days have passed (something in the beam at the height of rank 3 is read as rank 2 at times, and
  hours later either is plausible). A flood around does not end a jump that a person has called false, nor one that came
  with a gap of hours: a zero that is wrong by a metre goes up and down with the water of that flood; or
- it was a spike (two samples at most, an hour at most) that came down so, and what follows is plausible; or
- a second sensor or a person says that the level is true.

What comes back higher after more than six hours has jumped, too (`alerting`), where rain or neighbours could know: a
gauge is taken away to be mended, and its zero is another one. Up to rank 2 one of them that stands high vouches for it;
from rank 3 on nothing does, for how high the water is they never say. What a person has rejected counts as a jump.
Without `rise_per_h` every other rise is plausible.
"""

from __future__ import annotations

from enum import Enum

from msgspec.structs import replace

from gateway.channelstate import REJECTED_JUMPS, ChannelState
from gateway.stations import Channel, Limits

SLACK = 0.10  # metres: waves, and intervals too short for a rate
KNOWN_FOR_MS = 6 * 3_600_000  # an anchor older than this says nothing of a rise
SPIKE_SAMPLES, SPIKE_MS = 2, 3_600_000
SETTLED_MS = 72 * 3_600_000  # a gauge that was moved, and nobody said so


class Rise(Enum):
    """How a value follows from what was known."""

    PLAUSIBLE = "plausible"
    UNKNOWN = "unknown"  # nothing is known to compare it with
    JUMP = "jump"


def renewed(state: ChannelState, channel: Channel, at_ms: int, value: float) -> ChannelState:
    """The state as an observation finds it: where the sensor was replaced since the newest plausible one, nothing
    before says how the level came here. A level whose zero was checked is where the water is, like one of a new
    calibration; any other is one after a gap of hours. Ranks stand: only data end them."""
    if state.anchor is None or not channel.equipment.parted(state.anchor[0], at_ms):
        return state
    then_ms, level = state.anchor
    since = channel.equipment.replacements(then_ms, at_ms)
    jumps, rejected = state.jumps, state.rejected
    if not all(x.checked for x in since):
        anchor = (min(then_ms, at_ms - KNOWN_FOR_MS - 1), level)
    else:
        if since:  # what was said of the old sensor is not said of the new one
            jumps = rejected = 0
        anchor = (at_ms, level if jumps else value)
    return replace(state, recent=(), drops=0, sluggish=False, anchor=anchor, jumps=jumps, rejected=rejected)


def ceiling(state: ChannelState, limits: Limits, at_ms: int) -> float | None:
    """The highest value that is plausible at that time; None where nothing limits it."""
    if limits.rise_per_h is None or state.anchor is None:
        return None
    then_ms, value = state.anchor
    return value + SLACK + limits.rise_per_h * max(0, at_ms - then_ms) / 3_600_000


def rise(state: ChannelState, limits: Limits, at_ms: int, value: float, asserts: bool, raised: bool = False) -> Rise:
    """`asserts`: the value claims a rank of 3 or more that is not confirmed; `raised`: rain or a neighbour stands above
    its first threshold."""
    top = ceiling(state, limits, at_ms)
    within = top is None or value <= top
    age_ms = KNOWN_FOR_MS + 1 if state.anchor is None else at_ms - state.anchor[0]
    if state.jumps:
        back = state.anchor is None or _left(state, state.anchor[1], value)
        spike = back and state.jumps <= SPIKE_SAMPLES and age_ms <= SPIKE_MS
        raised = raised and state.jumps < REJECTED_JUMPS
        over = spike or (not asserts and (back or raised or age_ms > SETTLED_MS))
        return Rise.PLAUSIBLE if within and over else Rise.JUMP
    if limits.rise_per_h is None:
        return Rise.PLAUSIBLE
    if age_ms > KNOWN_FOR_MS:
        return Rise.UNKNOWN
    return Rise.PLAUSIBLE if within else Rise.JUMP


def _left(state: ChannelState, anchor: float, value: float) -> bool:
    """Whether a value that follows from a jump is no part of it: back at the anchor, or down by half of it at once."""
    before = anchor if state.value is None else state.value
    return value <= anchor + SLACK or before - value >= (before - anchor) / 2 > 0


def too_fast_a_fall(state: ChannelState, limits: Limits, at_ms: int, value: float, danger: float) -> bool:
    """The water cannot have gone down so far since the anchor, which stood at or above `danger`."""
    if limits.fall_per_h is None or state.anchor is None or state.anchor[1] < danger:
        return False
    then_ms, high = state.anchor
    return value < high - SLACK - limits.fall_per_h * max(0, at_ms - then_ms) / 3_600_000
