"""How every station stands, one row each: what the page, the sheet on paper and the open interface show. Pure.

A row never looks better than what is known: "normal" is said of fresh data only, and a condition that the bridge has
written grows old by itself, so that a stopped bridge leaves no calm behind.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass

from gateway import contacts
from gateway.channelstate import ChannelState
from gateway.judging import claim_of
from gateway.model import Condition, Flag
from gateway.stations import Channel, Level, LevelTable, Registry, Station, Threshold, hazard_of, level_at
from gateway.trend import HOUR_MS, SHORT_MS, change_over, minutes_to, trend_per_hour

Series = tuple[str, str, str]  # tenant, station, channel

FLAT_PER_H = 0.02  # below it, in metres, nobody speaks of a rise or a fall
# What stands instead of the word for a normal level, where nobody can see one.
UNSEEN_JA = {"late": "遅延", "silent": "未着", "faulty": "故障", "unknown": "不明", "maintenance": "点検中"}
UNSEEN_EN = {"late": "late", "silent": "silent", "faulty": "faulty", "unknown": "unknown", "maintenance": "maintenance"}
BLIND = (Condition.SILENT, Condition.FAULTY, Condition.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Latest:
    """The newest observation of a channel as it is stored; `value` None with a `fault`. `flag` is its latest
    assessment."""

    observed_ms: int
    received_ms: int
    value: float | None
    flag: int
    fault: str | None
    device: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A threshold with its name; `distance` is how far the value lies below it, negative above it; canonical unit."""

    level: Level
    threshold: Threshold
    distance: float


@dataclass(frozen=True, slots=True)
class Row:
    """A station, by the channel of it that matters most now. `channel` is None where nothing of it may leave.

    `condition` is what is known now. `rank` is the confirmed one, `unconfirmed` a higher one that only suspect data
    claim, `held`: the channel was lost at its rank. `value` and `observed_ms` are of the newest usable observation;
    `reached` the highest threshold at or below the value, `next` the lowest above it. `blind` names other watched
    channels of the station that are not seen. `waiting`: a contact reads dry and waits for somebody on the spot.
    `to_next_min` is an aid for staff and never published.
    """

    station: Station
    channel: Channel | None
    condition: Condition
    rank: int = 0
    unconfirmed: int = 0
    held: bool = False
    value: float | None = None
    observed_ms: int | None = None
    flag: int | None = None
    fault: str | None = None
    level: Level | None = None
    reached: Mark | None = None
    next: Mark | None = None
    change_10min: float | None = None
    change_1h: float | None = None
    per_h: float | None = None
    to_next_min: float | None = None
    falling_fast: bool = False
    waiting: bool = False
    blind: tuple[str, ...] = ()

    @property
    def claim(self) -> int:
        return max(self.rank, self.unconfirmed)

    @property
    def unseen(self) -> bool:
        """Nobody can say how it stands: silent, faulty, unknown, or held at its last rank."""
        return self.held or self.condition in BLIND

    @property
    def trend(self) -> str | None:
        """up, flat or down; None where it is not known, or not a present one."""
        if self.per_h is None or self.unseen:
            return None
        return "flat" if abs(self.per_h) < FLAT_PER_H else "up" if self.per_h > 0 else "down"


def rows(
    registry: Registry,
    states: Mapping[Series, ChannelState],
    latest: Mapping[Series, Latest],
    now_ms: int,
    working: Container[tuple[str, str]] = (),
) -> list[Row]:
    """Every station, the worst first: ranks from 2 on, then what is not seen, then what is calm, then maintenance;
    alike, the river and its order in stations.yaml. Those of `working` are under maintenance."""
    found = [
        row(registry.levels, s, states, latest, now_ms)
        if key not in working
        else Row(s, s.main_channel, Condition.MAINTENANCE)
        for key, s in registry.stations.items()
    ]
    return sorted(found, key=urgency)


def urgency(x: Row) -> tuple[float, str, int, str]:
    """The order of the eye: what is dangerous, what nobody knows, what is calm."""
    if x.condition is Condition.MAINTENANCE:
        weight = -1.0
    elif x.claim >= 2:
        weight = x.claim
    elif x.unseen:
        weight = 1.5
    else:
        weight = x.claim + (0.2 if x.condition is Condition.LATE or x.blind else 0.0)
    return -weight, x.station.river, x.station.order, x.station.id


def row(
    levels: LevelTable,
    station: Station,
    states: Mapping[Series, ChannelState],
    latest: Mapping[Series, Latest],
    now_ms: int,
) -> Row:
    """A station now. Of several watched channels the one with the highest rank speaks, then the main one."""
    watched = [(c, states.get((station.tenant, station.id, c.name), ChannelState())) for c in station.watched]
    if not watched:
        return _unwatched(station, latest, now_ms)
    main = station.main_channel
    channel, state = max(watched, key=lambda x: (claim_of(x[1]), x[1].held, x[0] is main))
    others = ((c, condition(s, c, now_ms)) for c, s in watched if c is not channel)
    newest = latest.get((station.tenant, station.id, channel.name))
    return _of(levels, station, channel, state, newest, now_ms, tuple(c.name for c, seen in others if seen in BLIND))


def condition(state: ChannelState, channel: Channel, now_ms: int) -> Condition:
    """What the bridge wrote, grown old: fresh becomes late and late silent by age alone."""
    if state.condition not in (Condition.FRESH, Condition.LATE):
        return state.condition
    return _aged(state.last_ms, state.value, channel, now_ms, claim_of(state)) or state.condition


def _aged(at_ms: int | None, value: float | None, channel: Channel, now_ms: int, rank: int = 0) -> Condition | None:
    """late or silent, None where it is neither."""
    age_s = (now_ms - at_ms) / 1000 if at_ms is not None else None
    if age_s is None or age_s > channel.contract.silent_after_s(rank, value):
        return Condition.SILENT
    return Condition.LATE if age_s > channel.contract.fresh_for_s(value) else None


def _of(
    levels: LevelTable,
    station: Station,
    channel: Channel,
    state: ChannelState,
    newest: Latest | None,
    now_ms: int,
    blind: tuple[str, ...],
) -> Row:
    now = condition(state, channel, now_ms)
    claim, marks = claim_of(state), channel.in_force(now_ms)
    graded = tuple(_mark(levels, station, channel, t, state.value) for t in marks if state.value is not None)
    above = min((m for m in graded if m.distance > 0), key=lambda m: m.distance, default=None)
    current = now in (Condition.FRESH, Condition.LATE) and not state.lost
    hour = state.recent if current else ()
    return Row(
        station,
        channel,
        now,
        rank=state.rank,
        unconfirmed=state.unconfirmed,
        held=state.held,
        value=state.value,
        observed_ms=state.usable_ms if state.value is not None else None,
        flag=int(newest.flag) if newest is not None else None,
        fault=newest.fault if newest is not None and now is Condition.FAULTY else None,
        level=level_at(levels, station, channel, claim, state.level) if claim or now is Condition.FRESH else None,
        reached=max((m for m in graded if m.distance <= 0), key=lambda m: m.threshold.value, default=None),
        next=above,
        change_10min=change_over(hour, SHORT_MS),
        change_1h=change_over(hour, HOUR_MS),
        per_h=trend_per_hour(hour),
        to_next_min=minutes_to(above.threshold.value, hour, now_ms) if above is not None else None,
        falling_fast=state.drops >= 2,
        waiting=contacts.waits(state, channel),
        blind=blind,
    )


def _mark(levels: LevelTable, station: Station, channel: Channel, t: Threshold, value: float | None) -> Mark:
    hazard = hazard_of(station, channel)
    level = levels.by_key(t.level, hazard, t.basis) or levels.by_rank(t.rank, hazard, t.basis)
    return Mark(level, t, round(t.value - (value or 0.0), 6))


def _unwatched(station: Station, latest: Mapping[Series, Latest], now_ms: int) -> Row:
    """A station without levels: its first channel that may leave, of which only the age is judged."""
    channel = next((c for c in station.channels.values() if not c.internal), None)
    newest = latest.get((station.tenant, station.id, channel.name)) if channel is not None else None
    if channel is None or newest is None:
        return Row(station, channel, Condition.UNKNOWN)
    aged = _aged(newest.observed_ms, newest.value, channel, now_ms)
    seen = aged or (Condition.FAULTY if newest.flag == Flag.MISSING else Condition.FRESH)
    at_ms = newest.observed_ms if newest.value is not None else None
    return Row(station, channel, seen, value=newest.value, observed_ms=at_ms, flag=newest.flag, fault=newest.fault)


def unseen(found: Iterable[Row]) -> int:
    """How many stations nobody can speak for."""
    return sum(x.unseen for x in found)
