"""What is known of one watched channel, and the steps by which it changes. Shared by `alerting`, which goes by
observations, and `reporting`, which goes by the time that passes without them. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import msgspec
from msgspec.structs import replace

from gateway.model import Change, Condition, Flag, Transition
from gateway.stations import Channel, Station, Threshold
from gateway.trend import MetresAt as MetresAt

REJECTED_JUMPS = 99  # called false by a person, or come with a gap: believed again only when the level was low

Best = tuple[int, float, int]  # rank, value, when


class Gap(msgspec.Struct, frozen=True, omit_defaults=True):
    """A time in which data were missing, and what backlog has shown of it (see `hindsight`). `before` and `after` are
    the values around it, `known` the highest rank that people knew of; `best` the two highest observations, `noted_ms`
    when the last of them came and `since_ms` the first, 0 where nothing waits to be told; `told` the rank that was.
    `way` is how far backlog has led plausibly from what was known before; None where it did not."""

    from_ms: int
    to_ms: int | None = None
    before: float | None = None
    after: float | None = None
    known: int = 0
    best: tuple[Best, ...] = ()
    noted_ms: int = 0
    since_ms: int = 0
    told: int = 0
    way: MetresAt | None = None


class ChannelState(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of one channel. Survives restarts as JSON (below 2 KB). A struct, because each observation makes
    several new ones, and `msgspec.structs.replace` costs a tenth of that of dataclasses.

    `rank` is the confirmed rank, kept while `held`; `unconfirmed` a higher one that only suspect data claim.
    `pending` counts samples of a rise to rank <= 2, the first at `pending_ms`; `below` those of a fall, of which
    `below_top` is the highest.
    `lost_ms` is the time of a loss, in its transition, `lost_seen_ms` when it was found; `lost` says that it was
    announced, `rung_ms` and `rung_rank` when people were last rung for a loss of this channel, and at which rank. What
    came before `since_ms` does not count (the end of maintenance). `log` and `seq` are of the newest observation: a
    higher number of the same log was read later, whatever its time says.

    `anchor` is the newest good observation that was plausibly reached, `jumps` counts the samples since an implausible
    jump above it, `drops` those since an implausible fall (two: it was told). `claim_ms`: since when an unconfirmed
    rank waits to ring, 0 where it rang; `refuted_ms` when one was last taken back. `marks` is the version of the
    thresholds that an open episode goes by, `revised` the level at which they changed, `hushed` the rank that came by
    that alone. `level` is the key of the highest threshold of the rank that was told. `tidal` is the rank that the tide
    alone explains, `surges` counts the samples above what it explains (`surge`). `sluggish`: it does not follow the
    flood that its neighbours see.
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
    pending_ms: int = 0
    below: int = 0
    below_since_ms: int = 0
    below_top: float = 0.0
    recent: tuple[MetresAt, ...] = ()
    log: str | None = None
    seq: int | None = None
    rejected: int = 0  # the rank that a person called a false alarm, until data are below it (`judging`)
    lost_ms: int | None = None
    lost_seen_ms: int = 0
    rung_ms: int = 0
    rung_rank: int = 0
    since_ms: int = 0
    anchor: MetresAt | None = None
    jumps: int = 0
    drops: int = 0
    claim_ms: int = 0
    refuted_ms: int | None = None
    marks: str = ""
    revised: float | None = None
    hushed: int = 0
    level: str = ""
    tidal: int = 0
    surges: int = 0
    sluggish: bool = False
    gap: Gap | None = None


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


def level_of(rank: int, value: float | None, thresholds: tuple[Threshold, ...]) -> str:
    """The key of the threshold that a transition about `rank` concerns: of several of that rank the highest that the
    value has reached, else the lowest; empty where there is none."""
    own = sorted((t for t in thresholds if t.rank == rank), key=lambda t: t.value)
    reached = [t for t in own if value is not None and value >= t.value]
    return (reached[-1] if reached else own[0]).level if own else ""


def episode_id(station: str, at_ms: int) -> str:
    """Made of facts, so that a replay arrives at the same name."""
    return f"{station}.{datetime.fromtimestamp(at_ms / 1000, UTC):%Y%m%dT%H%M%S}.{at_ms % 1000:03d}Z"


def heal(state: ChannelState, latest_ms: int, instead_ms: int) -> ChannelState:
    """The state without times after `latest_ms`, which were those of a wrong clock; its newest observation counts as
    one of `instead_ms`. Ranks stand: only data end them."""
    if state.last_ms is None or state.last_ms <= latest_ms:
        return state
    usable = None if state.usable_ms is None else min(state.usable_ms, instead_ms)
    below = state.below if state.below_since_ms <= latest_ms else 0
    recent = tuple(x for x in state.recent if x[0] <= latest_ms)
    anchor = state.anchor
    if anchor is not None and anchor[0] > latest_ms:
        anchor = min(anchor[0], instead_ms), anchor[1]
    gap = state.gap
    if gap is not None and max(gap.from_ms, gap.to_ms or 0) > latest_ms:
        gap = None
    state = replace(state, last_ms=instead_ms, usable_ms=usable, below=below, recent=recent, log=None, seq=None)
    claim_ms = min(state.claim_ms, instead_ms)
    refuted = None if state.refuted_ms is None else min(state.refuted_ms, instead_ms)
    return replace(state, anchor=anchor, gap=gap, claim_ms=claim_ms, refuted_ms=refuted)


class Near(Protocol):
    """What rain and neighbours say. `support`: one of them supports a rise now. `raised`: the contract is the raised
    one because of them. `witnessed`: one of them has ever been heard, so that it could support a rise
    if there were one; that it is lost or under work just now makes nothing here true. `least_per_h`: the least rise of
    the last hour among the neighbours that are fresh, None where that is not known of any. `least`: how low the level
    here may be by the stations that are related to it and have stood high for an hour, None where none says."""

    @property
    def support(self) -> bool: ...
    @property
    def raised(self) -> bool: ...
    @property
    def witnessed(self) -> bool: ...
    @property
    def least_per_h(self) -> float | None: ...
    @property
    def least(self) -> float | None: ...


@dataclass(frozen=True, slots=True)
class Known:
    """What rain and neighbours have said."""

    support: bool = False
    raised: bool = False
    witnessed: bool = False
    least_per_h: float | None = None
    least: float | None = None


@dataclass(frozen=True, slots=True)
class Context:
    """What is known around a channel when it is judged. `near` is asked only where it matters, because of nearly every
    sample it does not. `second_rank`: the highest confirmed rank of another sensor at the same site, None where there
    is none or it is not fresh. `maintenance`: the station is under work: stored and marked, excluded from alarms."""

    near: Near = Known()
    second_rank: int | None = None
    maintenance: bool = False
    gathered: bool = False
    seen: bool = False
    router_s: float | None = None


ALONE = Context()


class Step:
    """One call of advance or tick: the state so far and the transitions made."""

    def __init__(self, state: ChannelState, station: Station, channel: Channel, episode: str | None) -> None:
        self.state, self.station, self.channel, self.episode = state, station, channel, episode
        self.out: list[Transition] = []

    def set(self, **changes: object) -> None:
        self.state = replace(self.state, **changes)

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
        from_rank = self.state.rank if from_rank is None else from_rank
        crossed = from_rank if change is Change.FALL else to_rank
        level = level_of(crossed, value, self.channel.in_force(at_ms))
        self.out.append(
            Transition(
                self.station.tenant,
                self.station.id,
                self.channel.name,
                self.episode,
                change,
                from_rank,
                to_rank,
                at_ms,
                value,
                confirmed,
                rings,
                level,
            )
        )
