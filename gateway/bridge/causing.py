"""Common causes in one batch: losses that wait are announced as one episode with a list of stations, or alone; stations
join and leave an open one; it ends when they are back. The rules are `gateway.causes`'; what is open survives as
episodes of kind `cause`, what waits as channel states, so a restart goes on where it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Protocol

from gateway import causes, reporting
from gateway.bridge import standing
from gateway.bridge.around import Around
from gateway.causes import Standing
from gateway.channelstate import ChannelState, Step
from gateway.episodes import Course, Episode
from gateway.errors import NoticeCode
from gateway.model import Change, Condition, Transition
from gateway.stations import Channel, Group, Registry, Station

EVERY_MS = 5_000  # between two looks at what waits
Place = tuple[str, str]  # tenant, station


class Rules(standing.Rules, Protocol):
    @property
    def registry(self) -> Registry: ...


class Memory(Protocol):
    """`gathered_ms`: when losses were looked at last; `easing`: since when a cause is nearly over. Both follow COMMIT:
    a batch that failed has looked at nothing, and its repeat looks again."""

    gathered_ms: int
    easing: dict[tuple[str, str], int]

    @property
    def episodes(self) -> Mapping[tuple[str, str], Episode]: ...


class Batch(Protocol):
    """What is needed of the `Work` that is written into."""

    states: dict[tuple[str, str, str], ChannelState]
    episodes: dict[tuple[str, str], Episode]

    @property
    def memory(self) -> Memory: ...
    @property
    def rules(self) -> Rules: ...
    def state(self, series: tuple[str, str, str]) -> ChannelState: ...
    def episode(self, place: Place) -> Episode | None: ...
    def lasts(self, code: NoticeCode) -> bool: ...


class Outlet(Protocol):
    """How a transition leaves: to people, to the record and the alert topic alone, or of a cause to people."""

    def tell(self, t: Transition, station: Station, channel: Channel, state: ChannelState) -> None: ...
    def record(self, t: Transition, station: Station, channel: Channel, state: ChannelState, own: bool) -> None: ...
    def of_cause(self, t: Transition, episode: Episode) -> Episode: ...


class Causes:
    def __init__(self, work: Batch, around: Around, outlet: Outlet) -> None:
        self._work, self._around, self._outlet = work, around, outlet
        self._open: dict[tuple[str, str], Episode] | None = None
        self._listed: dict[Place, Episode] = {}
        self._standings: dict[Place, Standing] = {}
        self._gathered_ms = work.memory.gathered_ms
        self._easing = dict(work.memory.easing)

    def swap_in(self) -> None:
        """What was looked at and when, into memory; after COMMIT."""
        self._work.memory.gathered_ms, self._work.memory.easing = self._gathered_ms, self._easing

    # --- what is open ------------------------------------------------------------------------------------------

    @property
    def open(self) -> dict[tuple[str, str], Episode]:
        """The open common causes, by tenant and group, as this batch leaves them."""
        if self._open is None:
            everything = {**self._work.memory.episodes, **self._work.episodes}.values()
            found = [e for e in everything if e.kind == "cause" and e.closed_ms is None]
            self._open = {(e.tenant, e.course.group): e for e in found}
            self._listed = {(e.tenant, station): e for e in found for station in e.course.stations}
        return self._open

    def of(self, station: Station) -> Episode | None:
        """The open cause that lists a station."""
        return self._listed.get((station.tenant, station.id)) if self.open else None

    def _write(self, episode: Episode) -> None:
        self._work.episodes[episode.slot] = episode
        self._open = None  # to be read again

    # --- the passing of time -----------------------------------------------------------------------------------

    def tick(self, waiting: Iterable[Station]) -> None:
        """`waiting`: stations with a loss that was found and not announced."""
        now = self._work.rules.now_ms
        pending = {(s.tenant, s.id): s for s in waiting}
        self._open = None
        if not (pending or self.open) or 0 <= now - self._gathered_ms < EVERY_MS:
            return
        self._gathered_ms = now
        self._standings.clear()
        for episode in list(self.open.values()):
            self._follow(episode, pending)
        self._standings.clear()
        verdict = causes.judge([self._standing(s) for s in pending.values()], self._members, now)
        for group, down in verdict.causes:
            self._begin(group, down)
        for found in verdict.alone:
            self._alone(found.station)

    def _members(self, station: Station, group: Group) -> list[Standing]:
        stations = self._work.rules.registry.groups.get((station.tenant, group), [])
        return [self._standing(s) for s in stations]

    def _standing(self, station: Station) -> Standing:
        place = (station.tenant, station.id)
        if place not in self._standings:
            listed = self.of(station) is not None
            self._standings[place] = standing.standing(self._work, self._around, station, listed)
        return self._standings[place]

    def _lost(self, station: Station, announced: bool) -> Iterator[tuple[Channel, ChannelState]]:
        """Its lost channels whose loss was, or was not, announced; the highest rank first."""
        found = [(c, self._work.state((station.tenant, station.id, c.name))) for c in station.watched]
        found = [(c, s) for c, s in found if s.lost_ms is not None and s.lost == announced]
        yield from sorted(found, key=lambda x: -max(x[1].rank, x[1].unconfirmed))

    def _keep(self, step: Step) -> ChannelState:
        self._work.states[(step.station.tenant, step.station.id, step.channel.name)] = step.state
        return step.state

    # --- alone -------------------------------------------------------------------------------------------------

    def _alone(self, station: Station) -> None:
        """Of several channels of a station one rings."""
        work, rang = self._work, False
        for channel, state in self._lost(station, announced=False):
            own = work.episode((station.tenant, station.id))
            step = Step(state, station, channel, own.id if own else None)
            context = self._around.context(station, channel)
            quiet = rang or self._shadowed(station, channel, state)
            reporting.announce(step, work.rules.now_ms, not quiet and reporting.serious(state, context))
            rang = rang or step.out[-1].rings
            self._outlet.tell(step.out[-1], station, channel, self._keep(step))

    def _shadowed(self, station: Station, channel: Channel, state: ChannelState) -> bool:
        """What it is made of was lost, and rang for no lower rank: a deviation falls silent with its gauge."""
        if not channel.derived:
            return False
        of = self._work.state((station.tenant, station.id, channel.derived))
        return of.lost and of.rung_ms >= of.lost_seen_ms > 0 and of.rank >= state.rank

    # --- together ----------------------------------------------------------------------------------------------

    def _begin(self, group: Group, down: list[Standing]) -> None:
        tenant, now = down[0].station.tenant, self._work.rules.now_ms
        lost = [(s.station, c, state) for s in down for c, state in self._lost(s.station, announced=False)]
        held = [max(state.rank, state.unconfirmed) for _, _, state in lost if state.held]
        sure = max((state.rank for _, _, state in lost if state.held), default=0)
        rank, at_ms = max(held, default=0), max(s.word_ms for s in down) or now
        faulty = all(state.condition is Condition.FAULTY for _, _, state in lost)
        change = Change.HELD if held else Change.FAULTY if faulty else Change.SILENT
        ids = tuple(s.station.id for s in sorted(down, key=lambda s: s.station.order))
        name, rings = causes.episode_id(group, at_ms), self._rings(group, lost)
        new = Episode(tenant, "", name, at_ms, rank, kind="cause", course=Course(group=causes.text_of(group)))
        t = Transition(tenant, "", "", name, change, rank, rank, at_ms, None, rank == sure, rings)
        episode = self._outlet.of_cause(t, new.taking(ids))
        self._write(episode)
        for s in down:
            self._join(episode, s.station, rings)

    def _rings(self, group: Group, lost: list[tuple[Station, Channel, ChannelState]]) -> bool:
        """A cause that takes several places rings, also in the calm; one device as its sensors alone would. Nothing
        rings while staff know that nothing at all arrives, or where most were rung for within the hour."""
        work = self._work
        if work.lasts(NoticeCode.NO_DATA) or work.lasts(NoticeCode.NO_BROKER):
            return False
        lately = sum(reporting.rung_lately(state, work.rules.now_ms) for _, _, state in lost)
        if 2 * lately > len(lost):
            return False
        if not causes.of_device(group):
            return True
        return any(reporting.serious(state, self._around.context(s, c)) for s, c, state in lost)

    def _join(self, episode: Episode, station: Station, rang: bool) -> None:
        """Its losses are announced with the cause's. What is held keeps a mark in its own episode."""
        work, now = self._work, self._work.rules.now_ms
        for channel, state in self._lost(station, announced=False):
            own = work.episode((station.tenant, station.id))
            step = Step(state, station, channel, (own.id if own else None) if state.held else episode.id)
            reporting.announce(step, now, rings=False)
            if rang:
                reporting.told(step, now, rang=True)
            self._outlet.record(step.out[-1], station, channel, self._keep(step), own=state.held)

    def _follow(self, episode: Episode, pending: dict[Place, Station]) -> None:
        """Stations join without a ring and leave when they are back; the cause ends when its group speaks again."""
        registry, tenant = self._work.rules.registry, episode.tenant
        group = next((g for t, g in registry.groups if t == tenant and causes.text_of(g) == episode.course.group), None)
        members = [self._standing(s) for s in registry.groups[(tenant, group)]] if group else []
        before = set(episode.course.stations)
        listed = {s.station.id: s for s in members if s.station.id in before}
        for s in members:
            place = (tenant, s.station.id)
            assert group is not None
            if s.down(group) and s.counts and self.of(s.station) is None:
                listed[s.station.id] = s
            if s.station.id in listed and place in pending:
                self._join(episode, pending.pop(place), rang=False)
            if s.up(group) and not any(self._lost(s.station, announced=True)):
                listed.pop(s.station.id, None)
        ids = tuple(s.station.id for s in sorted(listed.values(), key=lambda s: s.station.order))
        if ids != episode.course.stations:
            episode = episode.taking(ids)
            self._write(episode)
        if self._over(episode, group, members):
            self._end(episode, members)

    def _over(self, episode: Episode, group: Group | None, members: list[Standing]) -> bool:
        """All are back, or those that are left have had their time. A restart gives it anew."""
        easing, now = self._easing, self._work.rules.now_ms
        listed = set(episode.course.stations)
        if group is not None and listed:
            if not causes.eases(group, members, listed):
                easing.pop(episode.slot, None)
                return False
            if 0 <= now - easing.setdefault(episode.slot, now) < causes.LEFT_MS:
                return False
        easing.pop(episode.slot, None)
        return True

    def _end(self, episode: Episode, members: list[Standing]) -> None:
        """What is left of it is lost alone, and named in what is told."""
        now = self._work.rules.now_ms
        back_ms = max((s.word_ms for s in members if s.speaks), default=now)
        t = Transition(episode.tenant, "", "", episode.id, Change.RESTORED, 0, 0, back_ms, None, rings=False)
        self._write(replace(self._outlet.of_cause(t, episode), closed_ms=now))
        for station_id in episode.course.stations:
            station = self._work.rules.registry.station(episode.tenant, station_id)
            for channel, state in self._lost(station, announced=True) if station else ():
                own = self._work.episode((episode.tenant, station_id))
                step = Step(state, station, channel, own.id if own else None)  # type: ignore[arg-type]
                if not state.held:
                    reporting.announce(step, now, rings=False)
                    self._outlet.record(step.out[-1], step.station, channel, self._keep(step), own=True)
