"""What a batch means for people: observations and the passing of time to transitions, transitions to episodes, to what
is owed to recipients, and to the journal. It writes into the `Work` of the batch; nothing here is durable by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from gateway import alerting, channelstate, episodes, journal, reporting
from gateway.bridge import telling
from gateway.bridge.telling import Telling
from gateway.channelstate import ChannelState, Context
from gateway.episodes import CLOSES_ALONE, Episode
from gateway.model import Observation, Transition
from gateway.stations import Channel, Station

Judge = Callable[[ChannelState, str | None, Context], tuple[ChannelState, list[Transition]]]


class Rules(telling.Rules, Protocol):
    """What alerts are judged by, as in `work.Rules`."""

    @property
    def future_ms(self) -> int | None: ...
    @property
    def subscribed_ms(self) -> int | None: ...


class Batch(telling.Batch, Protocol):
    """What alerts need of the `Work` that they write into."""

    states: dict[tuple[str, str, str], ChannelState]

    @property
    def rules(self) -> Rules: ...
    def episode(self, place: tuple[str, str]) -> Episode | None: ...


class Alerts:
    """The alerts of one batch."""

    def __init__(self, work: Batch) -> None:
        self._work = work
        self.telling = Telling(work)

    def observed(self, o: Observation) -> None:
        """An observation that is to be stored."""
        now = self._work.rules.now_ms
        station = self._work.rules.registry.station(o.tenant, o.station)
        channel = station.channels[o.channel] if station else None
        if station is None or channel is None or channel not in station.watched:
            return

        def judge(state: ChannelState, episode: str | None, context: Context) -> tuple[ChannelState, list[Transition]]:
            return alerting.advance(state, o, station, channel, now, episode, context)

        self._step(station, channel, judge)

    def tick(self) -> None:
        """Let time pass for every watched channel."""
        rules = self._work.rules
        for station in rules.registry.stations.values():
            for channel in station.watched:

                def judge(
                    state: ChannelState,
                    episode: str | None,
                    context: Context,
                    s: Station = station,
                    c: Channel = channel,
                ) -> tuple[ChannelState, list[Transition]]:
                    return reporting.tick(state, s, c, rules.now_ms, rules.subscribed_ms, episode, context)

                self._step(station, channel, judge)
        self.telling.tick()

    def context(self, station: Station, channel: Channel) -> Context:
        """What is known around a channel now."""
        return channelstate.ALONE

    def _step(self, station: Station, channel: Channel, judge: Judge) -> None:
        work, series = self._work, (station.tenant, station.id, channel.name)
        before = work.state(series)
        if work.rules.future_ms is not None:
            # As if it were just not late: what comes now is newer, and it is silent only after its own time.
            instead_ms = work.rules.now_ms - round(channel.contract.late_after_s * 1000)
            before = channelstate.heal(before, work.rules.future_ms, instead_ms)
        episode = work.episode((station.tenant, station.id))
        state, transitions = judge(before, episode.id if episode else None, self.context(station, channel))
        if state is not work.state(series):
            work.states[series] = state
        for t in transitions:
            self._transition(t, station, channel, state)
        if transitions:
            self._close_if_over(station)

    def _transition(self, t: Transition, station: Station, channel: Channel, state: ChannelState) -> None:
        work, place = self._work, (t.tenant, t.station)
        episode = (work.episode(place) or episodes.opened_by(t)).reached(t)
        work.transitions.append(t)
        work.episodes[place] = self.telling.transition(t, episode)
        body = {
            "channel": t.channel,
            "change": t.change.value,
            "from_rank": t.from_rank,
            "to_rank": t.to_rank,
            "value": t.value,
            "confirmed": t.confirmed,
            "rings": t.rings,
        }
        work.entries.append(journal.Entry(t.at_ms, journal.Kind.TRANSITION, t.tenant, t.station, t.episode, body=body))

    def _close_if_over(self, station: Station) -> None:
        """An episode that never passed rank 2 ends when nothing is left of it; a higher one is closed by a person."""
        work, place = self._work, (station.tenant, station.id)
        current = work.episode(place)
        if current is None or current.max_rank > CLOSES_ALONE:
            return
        states = [work.state((*place, c.name)) for c in station.watched]
        if all(s.rank == 0 and not s.lost and s.unconfirmed == 0 for s in states):
            work.episodes[place] = replace(current, closed_ms=work.rules.now_ms)
