"""Alert logic of one channel: `advance` with an observation, `tick` with the passing of time. Pure functions from
state to state and transitions; nothing here rings, stores or knows a person.

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

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import combinations
from statistics import median

from gateway.model import Change, ClockState, Condition, Flag, Observation, Transition
from gateway.stations import Channel, Station, Threshold

SAMPLES_TO_RISE_LOW = 2  # to rank 1 and 2
SAMPLES_TO_FALL = 3
TIME_TO_FALL_MS = 30 * 60_000
LATE_ALARM_MS = 30 * 60_000  # backlog this young may still raise rank >= 3
HOLD_RANK = 2
RECENT = 13  # observations kept for the trend

MetresAt = tuple[int, float]


@dataclass(frozen=True, slots=True)
class ChannelState:
    """What is known of one channel. Survives restarts as JSON (below 2 KB).

    `rank` is the confirmed rank, kept while `held`; `unconfirmed` a higher one that only suspect data claim.
    `pending` counts samples of a rise to rank <= 2, `below` those of a fall, of which `below_top` is the highest.
    `lost` says that the loss of the channel was announced. `log` and `seq` are of the newest observation: a higher
    number of the same log was read later, whatever its time says.
    """

    rank: int = 0
    unconfirmed: int = 0
    held: bool = False
    lost: bool = False
    condition: Condition = Condition.UNKNOWN
    last_ms: int | None = None  # newest observation of any kind
    usable_ms: int | None = None  # newest one whose value may alarm; where there was none, the first fault
    value: float | None = None
    flag: Flag = Flag.NOT_EVALUATED
    pending_rank: int = 0
    pending: int = 0
    below: int = 0
    below_since_ms: int = 0
    below_top: float = 0.0
    recent: tuple[MetresAt, ...] = ()
    log: str | None = None
    seq: int | None = None


def rank_of(value: float, thresholds: tuple[Threshold, ...]) -> int:
    """The highest rank whose level the value has reached; 0 below all."""
    return max((t.rank for t in thresholds if value >= t.value), default=0)


def floor_of(rank: int, thresholds: tuple[Threshold, ...]) -> float | None:
    """The value below which a channel may leave `rank`: its lowest threshold less the hysteresis
    min(0.10 m, half the distance to the next lower threshold, 0.02 m where that is 5 cm or less)."""
    own = min((t.value for t in thresholds if t.rank == rank), default=None)
    if own is None:
        return None
    lower = max((t.value for t in thresholds if t.rank < rank), default=None)
    if lower is None:
        return own - 0.10
    distance = own - lower
    return own - (0.02 if distance <= 0.05 + 1e-9 else min(0.10, distance / 2))


def trend_per_hour(recent: tuple[MetresAt, ...]) -> float | None:
    """Canonical units an hour: the median of the slopes of all pairs (Theil 1950, Sen 1968), deaf to one outlier;
    None with fewer than three observations."""
    slopes = [(b - a) / (tb - ta) for (ta, a), (tb, b) in combinations(recent, 2) if tb > ta]
    return median(slopes) * 3_600_000 if len(recent) >= 3 and slopes else None


def episode_id(station: str, at_ms: int) -> str:
    """Made of facts, so that a replay arrives at the same name."""
    return f"{station}.{datetime.fromtimestamp(at_ms / 1000, UTC):%Y%m%dT%H%M%S}.{at_ms % 1000:03d}Z"


class _Step:
    """One call of advance or tick: the state so far and the transitions made."""

    def __init__(self, state: ChannelState, station: Station, channel: Channel, episode: str | None) -> None:
        self.state, self.station, self.channel, self.episode = state, station, channel, episode
        self.out: list[Transition] = []

    def set(self, **changes: object) -> None:
        self.state = replace(self.state, **changes)  # type: ignore[arg-type]

    def say(
        self,
        change: Change,
        to_rank: int,
        at_ms: int,
        value: float | None,
        confirmed: bool = True,
        rings: bool = True,
        from_rank: int | None = None,
    ) -> None:
        self.episode = self.episode or episode_id(self.station.id, at_ms)
        self.out.append(
            Transition(
                self.station.tenant,
                self.station.id,
                self.channel.name,
                self.episode,
                change,
                self.state.rank if from_rank is None else from_rank,
                to_rank,
                at_ms,
                value,
                confirmed,
                rings,
            )
        )


def advance(
    state: ChannelState, o: Observation, station: Station, channel: Channel, now_ms: int, episode: str | None
) -> tuple[ChannelState, list[Transition]]:
    """The state after an observation. `episode` is the station's open one. What is not newer than the newest
    advances nothing, unless it was read later all the same: then the device's clock was put back."""
    late = now_ms - o.observed_ms > channel.contract.late_after_s * 1000
    if state.last_ms is not None and o.observed_ms <= state.last_ms:
        read_later = state.log is not None and o.log == state.log and (o.seq or 0) > (state.seq or 0)
        if late or not read_later:
            return state, []
        state = heal(state, o.observed_ms - 1, o.observed_ms - 1)
    newest = replace(state, last_ms=o.observed_ms, flag=o.flag, log=o.log, seq=o.seq)
    step = _Step(newest, station, channel, episode)
    if o.value is None or o.flag in (Flag.FAIL, Flag.MISSING):
        _unusable(step, o.observed_ms, late)
    elif not late:
        _usable(step, o, o.value)
    else:
        _late(step, o, o.value, now_ms)
    return step.state, step.out


def heal(state: ChannelState, latest_ms: int, instead_ms: int) -> ChannelState:
    """The state without times after `latest_ms`, which were those of a wrong clock; its newest observation counts as
    one of `instead_ms`. Ranks stand: only data end them."""
    if state.last_ms is None or state.last_ms <= latest_ms:
        return state
    usable = None if state.usable_ms is None else min(state.usable_ms, instead_ms)
    below = state.below if state.below_since_ms <= latest_ms else 0
    recent = tuple(x for x in state.recent if x[0] <= latest_ms)
    return replace(state, last_ms=instead_ms, usable_ms=usable, below=below, recent=recent, log=None, seq=None)


def _doubtful(o: Observation) -> bool:
    return o.flag is Flag.SUSPECT or o.clk is ClockState.UNSYNCED


def _usable(step: _Step, o: Observation, value: float) -> None:
    recent = (*step.state.recent, (o.observed_ms, value))[-RECENT:]
    if step.state.lost:
        step.say(Change.RESTORED, step.state.rank, o.observed_ms, value, rings=False)
    rising = step.state.value is not None and value > step.state.value
    step.set(recent=recent, value=value, usable_ms=o.observed_ms, condition=Condition.FRESH, held=False, lost=False)
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


def _late(step: _Step, o: Observation, value: float, now_ms: int) -> None:
    """Data too old to advance anything, but a recent danger must not be kept from people."""
    thresholds = step.channel.in_force(o.observed_ms)
    target = rank_of(value, thresholds)
    if not _doubtful(o) and target >= 3 and target > step.state.rank and now_ms - o.observed_ms <= LATE_ALARM_MS:
        step.set(value=value, usable_ms=o.observed_ms, held=step.state.lost)
        _raise_to(step, target, o.observed_ms, value)


def _suspect(step: _Step, o: Observation, value: float, thresholds: tuple[Threshold, ...]) -> None:
    target = rank_of(value, thresholds)
    if target > max(step.state.rank, step.state.unconfirmed) and target >= 3:
        step.say(Change.RISE, target, o.observed_ms, value, confirmed=False, rings=target >= 4)
        step.set(unconfirmed=target)


def _rise(step: _Step, o: Observation, value: float, thresholds: tuple[Threshold, ...]) -> None:
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


def _raise_to(step: _Step, rank: int, at_ms: int, value: float) -> None:
    step.say(Change.RISE, rank, at_ms, value, rings=rank >= 2)
    step.set(rank=rank, pending=0, pending_rank=0, below=0, unconfirmed=0)


def _fall(step: _Step, o: Observation, value: float, thresholds: tuple[Threshold, ...], rising: bool) -> None:
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


def _unusable(step: _Step, at_ms: int, late: bool) -> None:
    """A fault or a failed value: shown at once, announced when it lasts."""
    if late:
        return
    step.set(condition=Condition.FAULTY)
    since = step.state.usable_ms
    if since is None:
        step.set(usable_ms=at_ms)
    else:
        _announce_loss(step, Change.FAULTY, at_ms, (at_ms - since) / 1000)


def _announce_loss(step: _Step, change: Change, at_ms: int, unusable_s: float) -> None:
    """Say once that the channel is lost, when it has been so for longer than its contract allows. At rank >= 2
    that is as soon as one report is overdue, and the rank is held."""
    contract, rank = step.channel.contract, step.state.rank
    hold = rank >= HOLD_RANK
    limit = contract.late_after_s if hold else contract.silent_after_s(rank)
    if step.state.lost or unusable_s <= limit:
        return
    step.say(Change.HELD if hold else change, rank, at_ms, step.state.value)
    step.set(lost=True, held=hold, below=0)


def tick(
    state: ChannelState,
    station: Station,
    channel: Channel,
    now_ms: int,
    subscribed_ms: int | None,
    episode: str | None,
) -> tuple[ChannelState, list[Transition]]:
    """The state as time passes. Silence is judged only after the bridge has listened for interval + grace; until
    then an old observation says nothing: unknown."""
    contract = channel.contract
    listened_s = (now_ms - subscribed_ms) / 1000 if subscribed_ms is not None else 0.0
    age_s = (now_ms - state.last_ms) / 1000 if state.last_ms is not None else None
    step = _Step(state, station, channel, episode)
    if age_s is not None and age_s < -contract.late_after_s:
        age_s = None  # of a time that this clock does not reach: only how long nothing came says anything
    if age_s is not None and age_s <= contract.late_after_s:
        return state, []
    if listened_s <= contract.late_after_s:
        if state.condition in (Condition.FRESH, Condition.LATE):
            step.set(condition=Condition.UNKNOWN)
        return step.state, []
    silent_for = listened_s if age_s is None else age_s
    if silent_for > contract.silent_after_s(state.rank):
        if state.condition is not Condition.SILENT:
            step.set(condition=Condition.SILENT)
        at_ms = state.last_ms if state.last_ms is not None else subscribed_ms or now_ms
        _announce_loss(step, Change.SILENT, at_ms, silent_for)
    elif state.condition is not Condition.FAULTY and state.condition is not Condition.LATE:
        step.set(condition=Condition.LATE)
    return step.state, step.out
