"""A gauge that does not follow the flood: its intake is silted up, its float hangs. Pure.

It moves, and each of its values is likely by itself; only its neighbours tell. It is *sluggish* while all of them that
can be asked rise by `FOLLOWS_PER_H` and it moves by less than three tenths of the least of them; and where it stands
lower than it ever stood in a flood on record while a related station (水位相関) was as high for an hour. It stays so
through the crest and the fall, until it rises as fast itself, or stands where those stations say, or rain and
neighbours say that there is no flood any more. Water cannot rise above a gauge and below it and not between; of one at
the end of a river it is likely enough to be shown, not to be rung for. Its values count all the same. The sea, and a
road, do not follow a river.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from gateway.channelstate import MetresAt, Near
from gateway.stations import Channel, Station
from gateway.trend import HOUR_MS, change_over, within

FOLLOWS_PER_H = 0.2  # metres: an intake that lets a hundredth in each ten minutes rises so, 3 m below the water
SHARE = 0.3  # such an intake rises by 6 cm an hour for each metre that it is behind
MARGIN_M = 0.10  # below what was the least on record: readings, waves, and a record of few floods
RISEN_M = 0.30  # above low water, from where on a relation says anything
LOOKS_MS = 30 * 60_000  # neighbours are asked once in each half hour: it costs, and a flood takes longer


def looks(station: Station, channel: Channel, before_ms: int | None, at_ms: int) -> bool:
    """Whether neighbours can tell, and this observation is the first of its half hour."""
    if not (station.neighbours or station.related) or station.hazard != "river" or channel is not station.main_channel:
        return False
    return before_ms is None or before_ms // LOOKS_MS != at_ms // LOOKS_MS


def judge(was: bool, recent: tuple[MetresAt, ...], near: Near) -> bool:
    """Whether the channel is sluggish now. `recent`: its own last hours."""
    least = near.least
    if least is not None and recent:
        low = recent[-1][1] < least - MARGIN_M
        if low or recent[-1][1] >= least:
            return low
    if not near.support:
        return False
    own, per_h = change_over(recent, HOUR_MS), near.least_per_h
    if own is None:
        return was
    if own >= FOLLOWS_PER_H:
        return False
    return was or (per_h is not None and per_h >= FOLLOWS_PER_H and abs(own) < SHARE * per_h)


def least_by(pairs: Sequence[tuple[float, float]], there: tuple[MetresAt, ...]) -> float | None:
    """How low a gauge may be by another's last hours: by the lowest level of its last hour, between two pairs in
    proportion. None in low water, where beds and weeds move levels by as much, and where it was not heard for an
    hour."""
    if not pairs or change_over(there, HOUR_MS) is None:
        return None
    stood = min(value for _, value in within(there, HOUR_MS))
    least = pairs[-1][1]
    for (a, low), (b, high) in pairwise(pairs):
        if stood <= b:
            least = low + (high - low) * (max(stood, a) - a) / (b - a)
            break
    return least if least >= pairs[0][1] + RISEN_M else None
