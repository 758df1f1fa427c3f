"""What was shown and said, against what the un-injected series shows. Pure.

- A *crossing* is a run of at least two samples at or above a threshold, counted for each threshold by itself.
- It is *detected* where its rank, or a higher one, was shown while it lasted, unconfirmed ones too; its *delay* is the
  number of samples from its first one (0) to the one after which it was shown.
- It is *missed* where for longer than grace neither its rank was shown nor the channel as silent, faulty or held.
  Grace is what the contract allows a report to be overdue, interval and grace; for ranks 1 and 2, which are reached
  from the calm and with two samples, an interval more, and no less than the silence that the calm contract allows; and
  the second after which the bridge looks again.
  What was lost and shown so is neither.
- A level alert is *false* where around its time the series neither came within `margin` of that level for two samples,
  nor reached it with the one sample of a crest. (That is no crossing, but who says that it was reached says the truth.
  One sample that stands out from both beside it is none of the water's.)
- A *flap* is a rank confirmed again within an hour of having been left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from gateway.model import Change, Transition
from gateway.scoring import truth
from gateway.scoring.playing import LOOKS_MS, Shown, Track
from gateway.scoring.truth import Levels, Run
from gateway.stations import Channel, Contract, Threshold

MARGIN_M = 0.02  # what a gauge that reads to the centimetre cannot tell apart
CREST_M = 0.10  # how far below a crest of one sample the one before or after it may lie
AGE_MS = 30 * 60_000  # of data that may still alarm
FLAP_MS = 60 * 60_000
TWO_SAMPLES = 2  # the highest rank that needs so many


@dataclass(frozen=True, slots=True)
class Score:
    """The account of one channel or many. None: the recording gives no truth for it."""

    crossings: int | None = None
    detected: int | None = None
    missed: int | None = None
    false: int | None = None
    false_confirmed: int | None = None
    delay_samples: tuple[int, ...] | None = None
    flaps: int = 0
    unconfirmed: int = 0
    stale_shown_as_current: int | None = None

    def __add__(self, other: Score) -> Score:
        def both(name: str) -> object:
            a, b = getattr(self, name), getattr(other, name)
            return a if b is None else b if a is None else a + b

        return Score(**{f.name: both(f.name) for f in fields(self)})  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that went wrong, with its place: `what` is missed, false or false_confirmed. `short`: how many metres
    the series stayed below the level of a false one."""

    what: str
    level: str
    rank: int
    since_ms: int
    until_ms: int
    short: float = 0.0


def judge(series: Levels, channel: Channel, track: Track) -> tuple[Score, list[Finding]]:
    """The score of one channel whose un-injected series this is, and what went wrong."""
    found: list[Finding] = []
    flaps, unconfirmed = _flaps(track.said), sum(_claims(t) and not t.confirmed for _, t in track.said)
    if not channel.thresholds:
        return Score(flaps=flaps, unconfirmed=unconfirmed, stale_shown_as_current=track.stale), found
    crossings = detected = missed = 0
    delays: list[tuple[int, int]] = []
    for threshold in channel.thresholds:
        for run in truth.runs(series, threshold.value):
            crossings += 1
            seen_ms = _seen(track.shown, threshold.rank, run)
            if seen_ms is not None:
                detected += 1
                delays.append((run.since_ms, sum(at < seen_ms for at, _ in series[run.first : run.last + 1])))
            since_ms, blind_ms = _longest_blind(track.shown, threshold.rank, run)
            if blind_ms > _allowed_s(channel.contract, threshold.rank) * 1000 + LOOKS_MS:
                missed += 1
                found.append(Finding("missed", threshold.level, threshold.rank, since_ms, since_ms + blind_ms))
    false, false_confirmed = _false(series, channel, track.said, found)
    delay_samples = tuple(delay for _, delay in sorted(delays))
    score = Score(crossings, detected, missed, false, false_confirmed, delay_samples, flaps, unconfirmed, track.stale)
    return score, found


def _allowed_s(contract: Contract, rank: int) -> float:
    """For how long a level may stand above a threshold before anything is shown."""
    if rank > TWO_SAMPLES:
        return contract.late_after_s
    return max(contract.late_after_s + contract.interval_s, contract.silent_after_s(0))


def _seen(shown: Sequence[Shown], rank: int, run: Run) -> int | None:
    """When the rank was first shown while the run lasted."""
    before = None
    for entry in shown:
        if entry.since_ms > run.until_ms:
            break
        if entry.since_ms <= run.since_ms:
            before = entry
        elif entry.rank >= rank:
            return run.since_ms if before and before.rank >= rank else entry.since_ms
    return run.since_ms if before and before.rank >= rank else None


def _longest_blind(shown: Sequence[Shown], rank: int, run: Run) -> tuple[int, int]:
    """Since when, and for how many milliseconds of the run, neither the rank nor a loss was shown."""
    longest, begin, blind = (run.since_ms, 0), run.since_ms, True
    for entry in shown:
        if entry.since_ms > run.until_ms:
            break
        covers = entry.rank >= rank or entry.lost
        at = max(entry.since_ms, run.since_ms)
        if blind and covers:
            longest = max(longest, (begin, at - begin), key=lambda x: x[1])
        if not blind and not covers:
            begin = at
        blind = not covers
    return max(longest, (begin, run.until_ms - begin), key=lambda x: x[1]) if blind else longest


def _claims(t: Transition) -> bool:
    """Whether it says that a level was reached: now, or while data were missing."""
    return t.change is Change.PAST or (t.change is Change.RISE and t.to_rank > 0)


def _false(
    series: Levels, channel: Channel, said: Sequence[tuple[int, Transition]], found: list[Finding]
) -> tuple[int, int]:
    """Level alerts without truth, and how many of them were, or became, confirmed."""
    near = {t.rank: truth.runs(series, t.value - MARGIN_M) for t in reversed(channel.thresholds)}
    reached = {t.rank: truth.crests(series, t.value, CREST_M) for t in reversed(channel.thresholds)}
    levels: dict[int, Threshold] = {t.rank: t for t in channel.thresholds}
    around_ms = round(channel.contract.late_after_s * 1000)
    false = confirmed = claimed = 0
    for now_ms, t in said:
        if t.change is Change.FALL:
            claimed = 0
        if not _claims(t) or t.to_rank not in near:
            continue
        from_ms = min(now_ms - AGE_MS, t.at_ms) if t.change is Change.PAST else now_ms - AGE_MS
        again = t.confirmed and t.to_rank <= claimed  # the same alert, now believed
        claimed = 0 if t.confirmed else max(claimed, t.to_rank)
        span = (from_ms - around_ms, now_ms + around_ms)
        if truth.touches(near[t.to_rank], *span) or truth.touches(reached[t.to_rank], *span):
            continue
        false += not again
        confirmed += t.confirmed
        what = "false_confirmed" if t.confirmed else "false"
        level = levels[t.to_rank]
        short = round(level.value - truth.highest(series, *span), 3)
        found.append(Finding(what, level.level, t.to_rank, now_ms, now_ms, short))
    return false, confirmed


def _flaps(said: Sequence[tuple[int, Transition]]) -> int:
    left: dict[int, int] = {}
    count = 0
    for now_ms, t in said:
        if not t.confirmed:
            continue
        if t.change is Change.FALL:
            left.update(dict.fromkeys(range(t.to_rank + 1, t.from_rank + 1), now_ms))
        elif t.change is Change.RISE:
            ranks = range(t.from_rank + 1, t.to_rank + 1)
            count += any(rank in left and now_ms - left[rank] <= FLAP_MS for rank in ranks)
    return count
