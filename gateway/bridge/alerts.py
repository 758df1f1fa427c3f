"""What a batch means for people: observations and the passing of time to transitions, transitions to episodes, to what
is owed to recipients. It writes into the `Work` of the batch; nothing here is durable by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Protocol

from gateway import alerting, channelstate, episodes, reporting, tide
from gateway.bridge import around, causing, longlost, notify, telling
from gateway.bridge.around import Around
from gateway.bridge.causing import Causes
from gateway.bridge.telling import Telling
from gateway.channelstate import ChannelState, Context
from gateway.episodes import CLOSES_ALONE, Episode
from gateway.errors import NoticeCode
from gateway.model import Change, Condition, Observation, Transition
from gateway.stations import Channel, Station

Judge = Callable[[ChannelState, str | None, Context], tuple[ChannelState, list[Transition]]]

# They speak of what people know already: where no episode is open, they begin none.
OPENS_NONE = (Change.FALL, Change.RESTORED, Change.THRESHOLDS)

MAINTENANCE = "maintenance"  # the mark of what was measured under it; nothing of it is published


class Rules(telling.Rules, Protocol):
    """What alerts are judged by, as in `work.Rules`."""

    @property
    def future_ms(self) -> int | None: ...
    @property
    def subscribed_ms(self) -> int | None: ...


class Memory(telling.Memory, around.Memory, causing.Memory, Protocol):
    """What alerts need of `work.Memory`."""


class Batch(telling.Batch, Protocol):
    """What alerts need of the `Work` that they write into."""

    states: dict[tuple[str, str, str], ChannelState]

    @property
    def memory(self) -> Memory: ...
    @property
    def rules(self) -> Rules: ...
    def episode(self, place: tuple[str, str]) -> Episode | None: ...
    def lasts(self, code: NoticeCode) -> bool: ...
    def told_of(self, code: NoticeCode) -> Iterable[tuple[str, str]]: ...
    def notice(self, code: NoticeCode, on: bool, tenant: str = "", device: str = "", detail: str = "") -> None: ...
    def stepped(self, station: Station) -> bool: ...


class Alerts:
    """The alerts of one batch."""

    def __init__(self, work: Batch) -> None:
        self._work = work
        self.telling = Telling(work)
        self._around = Around(work)
        self.causes = Causes(work, self._around, self)

    def hear(self, tenant: str, device: str) -> None:
        """A message came from a device."""
        self._around.hear(tenant, device)

    def marked(self, o: Observation) -> Observation:
        """With the mark of a station under maintenance, beside the names of the tests that spoke."""
        under = self._work.suspended("maintenance", o.tenant, o.station) is not None
        return replace(o, tests=(*o.tests, MAINTENANCE)) if under else o

    def observed(self, o: Observation) -> None:
        """An observation that is to be stored."""
        now = self._work.rules.now_ms
        station = self._work.rules.registry.station(o.tenant, o.station)
        channel = station.channels[o.channel] if station else None
        if station is None or channel is None or channel not in station.watched:
            return

        def judge(state: ChannelState, episode: str | None, context: Context) -> tuple[ChannelState, list[Transition]]:
            return alerting.advance(state, o, station, channel, now, episode, context)

        self._around.hear(o.tenant, channel.contract.router)
        self._step(station, channel, judge)
        self._peak(o, station, channel)

    def tick(self) -> None:
        """Let time pass for every watched channel, then see which losses have a common cause."""
        rules = self._work.rules
        waiting, long = [], []
        for station, channel in rules.registry.watched:
            state = self._settled(station, channel)
            if not self._speaks(state, station, channel) and not self._told(state, station, channel):

                def judge(
                    state: ChannelState,
                    episode: str | None,
                    context: Context,
                    s: Station = station,
                    c: Channel = channel,
                ) -> tuple[ChannelState, list[Transition]]:
                    return reporting.tick(state, s, c, rules.now_ms, rules.subscribed_ms, episode, context)

                state = self._step(station, channel, judge)
            if state.lost_ms is not None and not state.lost:
                waiting.append(station)
            if longlost.long(state, rules.now_ms) and self.causes.of(station) is None:
                long.append((station, state))
        longlost.tell(self._work, long)
        self.causes.tick(waiting)
        self.telling.tick()

    def _settled(self, station: Station, channel: Channel) -> ChannelState:
        """The state after what time alone makes due, which is rarely anything."""
        work, place, now = self._work, (station.tenant, station.id), self._work.rules.now_ms
        state = work.state((*place, channel.name))
        if not alerting.unsettled(state) and work.episode(place) is None:
            return state

        def judge(state: ChannelState, episode: str | None, context: Context) -> tuple[ChannelState, list[Transition]]:
            return (state, []) if context.maintenance else alerting.settle(state, station, channel, now, episode)

        return self._step(station, channel, judge)

    def _speaks(self, state: ChannelState, station: Station, channel: Channel) -> bool:
        """Nothing follows from the passing of time: it costs no more than this."""
        rules = self._work.rules
        future = rules.future_ms is not None and state.last_ms is not None and state.last_ms > rules.future_ms
        return not future and reporting.fresh(state, channel, rules.now_ms) and not self._around.maintenance(station)

    def _told(self, state: ChannelState, station: Station, channel: Channel) -> bool:
        """Silent, announced and known to people: nothing follows but from data, so that an outage of thousands costs
        little."""
        if not state.lost or state.condition is not Condition.SILENT or channel.contract.kind == "beacon":
            return False
        known = state.rung_ms >= state.lost_seen_ms or self._known(station, channelstate.ALONE).seen
        return known and not self._around.maintenance(station)

    def context(self, station: Station, channel: Channel) -> Context:
        """What is known around a channel now."""
        return self._around.context(station, channel)

    def _step(self, station: Station, channel: Channel, judge: Judge) -> ChannelState:
        work, series = self._work, (station.tenant, station.id, channel.name)
        before = work.state(series)
        if work.rules.future_ms is not None:
            # As if it were just not late: what comes now is newer, and it is silent only after its own time.
            instead_ms = work.rules.now_ms - round(channel.contract.late_after_s * 1000)
            before = channelstate.heal(before, work.rules.future_ms, instead_ms)
        episode = work.episode((station.tenant, station.id))
        context = self.context(station, channel)
        if before.lost:
            context = self._known(station, context)
        state, transitions = judge(before, episode.id if episode else None, context)
        if state is not work.state(series):
            work.states[series] = state
        if channel.tide is not None:
            transitions = [tide.hushed(t, channel.tide) for t in transitions]
        for t in transitions:
            self._transition(t, station, channel, state)
        begun = state.condition is Condition.MAINTENANCE and before.condition is not Condition.MAINTENANCE
        if transitions or begun:
            self._close_if_over(station)
        return state

    def _known(self, station: Station, context: Context) -> Context:
        """A person has seen that the station is lost, or was rung for the cause that it shares with others."""
        cause = self.causes.of(station)
        if cause is not None and not cause.course.group.startswith("device="):
            return replace(context, seen=True)
        return self._around.seen(station, context)

    def step(self, t: Transition, station: Station) -> None:
        """A named step of rain, apart from the ranks; the episode stays until the rain is over."""
        self.tell(t, station, station.channels[t.channel], self._work.state((t.tenant, t.station, t.channel)))

    def over(self, station: Station) -> None:
        """The rain in which steps were told is over."""
        self._close_if_over(station)

    # --- how a transition leaves -----------------------------------------------------------------------------------

    def _transition(self, t: Transition, station: Station, channel: Channel, state: ChannelState) -> None:
        cause = self.causes.of(station) if t.change is Change.RESTORED else None
        if t.change in OPENS_NONE and self._work.episode((t.tenant, t.station)) is None:
            known = t if cause is None else replace(t, episode=cause.id)
            self.record(known, station, channel, state, own=False)
        else:
            self.tell(t, station, channel, state)

    def tell(self, t: Transition, station: Station, channel: Channel, state: ChannelState) -> None:
        """To people, as part of the station's episode."""
        work, place = self._work, (t.tenant, t.station)
        episode = (work.episode(place) or episodes.opened_by(t)).reached(t)
        work.episodes[place] = self.telling.transition(t, episode)
        work.transitions.append(t)

    def record(self, t: Transition, station: Station, channel: Channel, state: ChannelState, own: bool) -> None:
        """To the record and the station's alert topic: people were told of the common cause. `own`: it belongs to the
        station's own episode."""
        work, rules, place = self._work, self._work.rules, (t.tenant, t.station)
        if own:
            work.episodes[place] = (work.episode(place) or episodes.opened_by(t)).reached(t)
        levels = rules.registry.levels
        work.owed += notify.owed(t, station, channel, state, levels, rules.bridge, rules.now_ms, ())
        work.transitions.append(t)

    def of_cause(self, t: Transition, episode: Episode) -> Episode:
        """To people, as a common cause."""
        self._work.transitions.append(t)
        return self.telling.transition(t, episode, topic=False)

    def _peak(self, o: Observation, station: Station, channel: Channel) -> None:
        """The highest level of an open episode, whenever it comes to be known."""
        work, place = self._work, (station.tenant, station.id)
        current = work.episode(place)
        if current is None or o.value is None or channel is not station.main_channel:
            return
        if alerting.believable(work.state((*place, channel.name)), o, channel):
            new = current.with_peak(o.value, o.observed_ms)
            if new is not current:
                work.episodes[place] = new

    def _close_if_over(self, station: Station) -> None:
        """An episode that never passed rank 2 ends when nothing is left of it; a higher one is closed by a person, also
        where only backlog showed it, unconfirmed."""
        work, place = self._work, (station.tenant, station.id)
        current = work.episode(place)
        if current is None or current.highest > CLOSES_ALONE or work.stepped(station):
            return
        states = [work.state((*place, c.name)) for c in station.watched]
        if all(s.rank == 0 and not s.lost and s.unconfirmed == 0 for s in states):
            work.episodes[place] = replace(current, closed_ms=work.rules.now_ms)
