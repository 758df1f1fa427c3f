"""The quality tests of a batch: each new observation is judged by what is remembered of its channel and by what stands
around it, and may say something of an earlier one. It writes into the `Work` of the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from gateway import quality
from gateway.model import Observation
from gateway.quality import EMPTY, Assessment, State
from gateway.stations import Channel, Registry, Station

Series = tuple[str, str, str]


class Rules(Protocol):
    """As in `work.Rules`."""

    @property
    def registry(self) -> Registry: ...
    @property
    def now_ms(self) -> int: ...
    @property
    def future_ms(self) -> int | None: ...


class Batch(Protocol):
    """What assessing needs of the `Work` that it writes into."""

    quality: dict[Series, State]
    assessments: list[Assessment]

    @property
    def rules(self) -> Rules: ...
    def quality_of(self, series: Series) -> State | None: ...
    def previous(self, tenant: str, station: str, channel: str) -> int | None: ...


class Assessing:
    """The quality tests of one batch."""

    def __init__(self, work: Batch) -> None:
        self._work = work

    def assess(self, o: Observation) -> Observation:
        """The observation with the flag of all its tests."""
        work, o = self._work, self._apart(o)
        station = work.rules.registry.station(o.tenant, o.station)
        channel = station.channels.get(o.channel) if station else None
        if station is None or channel is None:
            return o  # what a device says of itself
        series = (o.tenant, o.station, o.channel)
        before, rules = work.quality_of(series) or EMPTY, work.rules
        around = Around(work, station)
        state, judged, later = quality.assess(before, o, channel, rules.now_ms, rules.future_ms, around)
        if state is not before:
            work.quality[series] = state
        work.assessments += later
        return judged

    def _apart(self, o: Observation) -> Observation:
        """Another sample on the newest millisecond stands one later before anybody judges it: what is said of an
        observation is kept by its time. (On an older millisecond the store moves it.)"""
        taken = self._work.previous(o.tenant, o.station, o.channel) == o.observed_ms
        return replace(o, observed_ms=o.observed_ms + 1) if taken else o


class Around:
    """What is fresh around a station now, for the tests that ask."""

    def __init__(self, work: Batch, station: Station) -> None:
        self._work, self._station = work, station

    def other(self, channel: str) -> State | None:
        found = self._station.channels.get(channel)
        return self._fresh(self._station, found) if found else None

    def neighbours(self) -> Sequence[State]:
        registry, tenant = self._work.rules.registry, self._station.tenant
        stations = [s for name in self._station.neighbours if (s := registry.station(tenant, name))]
        found = [self._fresh(s, s.main_channel) for s in stations if s.main_channel]
        return [state for state in found if state]

    def _fresh(self, station: Station, channel: Channel) -> State | None:
        state = self._work.quality_of((station.tenant, station.id, channel.name))
        last = state.live.last if state else None
        oldest_ms = self._work.rules.now_ms - channel.contract.late_after_s * 1000
        return state if last and last.ms >= oldest_ms else None
