"""What time it is for the bridge. Its own clock is believed while it is synchronised and not behind its last commit.
Where it is not, the devices whose clocks are set are its witnesses: by them it judges what is late and silent, and
dates what came with an age only. Nothing here reads a clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median_low

Device = tuple[str, str]  # tenant, device

WITNESS_MS = 3_600_000  # how long a device's word on the time holds


@dataclass(frozen=True, slots=True)
class Witness:
    """The newest live sample of a device whose clock was set: its time less our uptime at its arrival, and when that
    was, by our uptime."""

    offset_ms: int
    heard_up_ms: int


def witnessed_ms(witnesses: dict[Device, Witness], up_ms: int) -> int | None:
    """The time by the devices: the median, so that one with a wrong clock moves nothing; None without any."""
    offsets = [w.offset_ms for w in witnesses.values() if up_ms - w.heard_up_ms <= WITNESS_MS]
    return up_ms + median_low(offsets) if offsets else None


@dataclass(frozen=True, slots=True)
class Time:
    """`now_ms` is what things are judged by, `own_ms` what the machine's clock shows. `future_ms` is the latest time
    that is believed, None where the own clock is not."""

    now_ms: int
    own_ms: int
    up_ms: int
    future_ms: int | None


def judge(own_ms: int, up_ms: int, synced: bool, last_commit_ms: int, witnessed: int | None, tolerance_ms: int) -> Time:
    """A clock that is synchronised and behind the last commit is believed when the devices agree with it: then it was
    wrong at that commit, and is right now."""
    agreed = witnessed is not None and abs(witnessed - own_ms) <= tolerance_ms
    if synced and (own_ms >= last_commit_ms or agreed):
        return Time(own_ms, own_ms, up_ms, own_ms + tolerance_ms)
    return Time(own_ms if witnessed is None else witnessed, own_ms, up_ms, None)
