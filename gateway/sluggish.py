"""A gauge that does not follow the flood: its intake is silted up, its float hangs. Pure.

It moves, and each of its values is likely by itself; only its neighbours tell. While all that can be asked rise by
`FOLLOWS_PER_H` and it moves by less than a fifth of the least of them, it is *sluggish*, and it stays so through the
crest and the fall, until it rises as fast itself, or rain and neighbours say that there is no flood any more. Water
cannot rise above a gauge and below it and not between; of one at the end of a river it is likely enough to be shown,
not to be rung for. Its values count all the same. The sea, and a road, do not follow a river.
"""

from __future__ import annotations

from gateway.channelstate import MetresAt, Near
from gateway.stations import Channel, Station
from gateway.trend import HOUR_MS, change_over

FOLLOWS_PER_H = 0.2  # metres: an intake that lets a hundredth in each ten minutes rises so, 3 m below the water
SHARE = 0.2  # such an intake rises by 6 cm an hour for each metre that it is behind
LOOKS_MS = 30 * 60_000  # neighbours are asked once in each half hour: it costs, and a flood takes longer


def looks(station: Station, channel: Channel, before_ms: int | None, at_ms: int) -> bool:
    """Whether neighbours can tell, and this observation is the first of its half hour."""
    if not station.neighbours or station.hazard != "river" or channel is not station.main_channel:
        return False
    return before_ms is None or before_ms // LOOKS_MS != at_ms // LOOKS_MS


def judge(was: bool, recent: tuple[MetresAt, ...], near: Near) -> bool:
    """Whether the channel is sluggish now. `recent`: its own last hours."""
    if not near.support:
        return False
    own, least = change_over(recent, HOUR_MS), near.least_per_h
    if own is None:
        return was
    if own >= FOLLOWS_PER_H:
        return False
    return was or (least is not None and least >= FOLLOWS_PER_H and abs(own) < SHARE * least)
