"""What a batch derives of its observations: sums of rain, the steps of a city's rules, the deviation of a tide. Derived
observations are rows like any other, without log and number. It writes into the `Work` of the batch.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

from gateway import rain, rainpast
from gateway.channelstate import episode_id
from gateway.episodes import Episode, Suspension
from gateway.errors import FaultCode, NoticeCode
from gateway.model import Change, ClockState, Flag, Observation, Transition
from gateway.rain import MM, Curve, Reading, Sum
from gateway.raingauge import SUMS, RainStep, derived_name
from gateway.stations import Channel, Registry, Station

Series = tuple[str, str, str]
INCOMPLETE, UNVERIFIED = "incomplete", "unverified"  # marks of a sum, beside the names of tests
STEP_AGE_MS = 30 * 60_000  # older rain tells no step: it enters the record
VERIFICATION_MS = 60 * 86_400_000  # staff are told so long before a verification ends
TABLE_MS = 30 * 86_400_000  # and before a table of the tide does
_JST = timedelta(hours=9)


class Rules(Protocol):
    """As in `work.Rules`."""

    @property
    def registry(self) -> Registry: ...
    @property
    def now_ms(self) -> int: ...
    @property
    def future_ms(self) -> int | None: ...


class Batch(Protocol):
    """What deriving needs of the `Work` that it writes into."""

    rains: dict[Series, rain.State]

    @property
    def rules(self) -> Rules: ...
    def rain_of(self, series: Series) -> rain.State | None: ...
    def previous(self, tenant: str, station: str, channel: str) -> int | None: ...
    def suspended(self, kind: str, tenant: str, station: str) -> Suspension | None: ...
    def episode(self, place: tuple[str, str]) -> Episode | None: ...
    def told_of(self, code: NoticeCode) -> Iterable[tuple[str, str]]: ...
    def notice(self, code: NoticeCode, on: bool, tenant: str = "", device: str = "", detail: str = "") -> None: ...


class Alerts(Protocol):
    """Who tells the steps."""

    def step(self, t: Transition, station: Station) -> None: ...
    def over(self, station: Station) -> None: ...


class Deriving:
    """What is derived in one batch."""

    def __init__(self, work: Batch, alerts: Alerts) -> None:
        self._work, self._alerts = work, alerts

    def of(self, o: Observation) -> tuple[Observation, ...]:
        """The observations that follow from one that is to be stored."""
        station = self._work.rules.registry.station(o.tenant, o.station)
        channel = station.channels.get(o.channel) if station else None
        if station is not None and channel is not None and o.fault is FaultCode.COUNT_LOST:
            self._began(o, channel)
        if station is None or channel is None or o.value is None or o.for_alarm in (Flag.FAIL, Flag.MISSING):
            return ()
        if channel.tide is not None:
            found = channel.tide.deviation(o.value, o.observed_ms)
            names = [c.name for c in station.channels.values() if c.derived == channel.name]
            return () if found is None else tuple(_made(o, name, found) for name in names)
        return self._rain(o, o.value, station, channel) if channel.rain is not None else ()

    def stepped(self, station: Station) -> bool:
        """Whether a step was told in a rain that is not over."""
        series = ((station.tenant, station.id, step.channel) for step in station.steps)
        return any((state := self._work.rain_of(s)) is not None and state.told for s in series)

    # --- rain --------------------------------------------------------------------------------------------------

    def _rain(self, o: Observation, value: float, station: Station, channel: Channel) -> tuple[Observation, ...]:
        assert channel.rain is not None
        work, series, contract = self._work, (o.tenant, o.station, o.channel), channel.contract
        before = work.rain_of(series) or rain.State()
        curve = Curve(before, channel.rain, contract.interval_s, contract.late_after_s)
        if work.rules.future_ms is not None:
            curve.forget_after(work.rules.future_ms // 1000)
        doubtful = o.for_alarm is Flag.SUSPECT or o.clk is ClockState.UNSYNCED
        void = work.suspended("maintenance", o.tenant, o.station) is not None
        late = work.rules.now_ms - o.observed_ms > contract.late_after_s * 1000
        newest_s = curve.newest_s
        renewed = newest_s is not None and bool(channel.equipment.replacements(newest_s * 1000, o.observed_ms))
        reading = Reading(o.observed_ms // 1000, round(value * MM), doubtful, void, late, o.log, o.seq, renewed)
        newest = curve.take(reading)
        rainpast.note(curve, work.rules.now_ms, newest and work.rules.now_ms - o.observed_ms > STEP_AGE_MS)
        sums: dict[str, Sum] = {}

        def sum_of(name: str) -> Sum:
            if name not in sums:
                sums[name] = curve.of(name)
            return sums[name]

        out = self._sums(o, station, channel, sum_of) if newest and curve.due() else ()
        at_ms = o.observed_ms if newest else (curve.newest_s or 0) * 1000
        steps = [s for s in station.steps if s.channel == channel.name]
        new: list[RainStep] = []
        if steps and not void and work.rules.now_ms - at_ms <= STEP_AGE_MS:
            new = curve.reached(steps, at_ms, sum_of)
        work.rains[series] = state = curve.state()
        for step in new:
            self._tell(step, sum_of(step.of), at_ms, station, doubtful)
        if before.told and not state.told:
            self._alerts.over(station)
        return out

    def _began(self, o: Observation, channel: Channel) -> None:
        """The counter stands at zero again, and what fell since the reading before may be missing."""
        if channel.rain is None or channel.rain.kind != "counter":
            return
        work, series, contract = self._work, (o.tenant, o.station, o.channel), channel.contract
        curve = Curve(work.rain_of(series) or rain.State(), channel.rain, contract.interval_s, contract.late_after_s)
        if work.rules.future_ms is not None:
            curve.forget_after(work.rules.future_ms // 1000)
        late = work.rules.now_ms - o.observed_ms > contract.late_after_s * 1000
        curve.take(Reading(o.observed_ms // 1000, 0, late=late, log=o.log, seq=o.seq, renewed=True))
        work.rains[series] = curve.state()

    def _past(self, station: Station, channel: Channel) -> None:
        """Steps that backlog shows to have been reached while data were missing."""
        assert channel.rain is not None
        work, series, contract = self._work, (station.tenant, station.id, channel.name), channel.contract
        state, now = work.rain_of(series), work.rules.now_ms
        if state is None or not rainpast.due(state.noted_s, now):
            return
        curve = Curve(state, channel.rain, contract.interval_s, contract.late_after_s)
        steps = [s for s in station.steps if s.channel == channel.name]
        found = rainpast.exceeded(curve, steps, now - STEP_AGE_MS)
        work.rains[series] = curve.state()
        for step, at_s, amount in found:
            self._tell(step, amount, at_s * 1000, station, doubtful=False, change=Change.PAST)
        if found:
            self._alerts.over(station)

    def _sums(self, o: Observation, station: Station, channel: Channel, sum_of: rain.SumOf) -> tuple[Observation, ...]:
        out = []
        for name in SUMS:
            full = derived_name(channel.name, name)
            if full in station.channels and o.observed_ms > (self._work.previous(o.tenant, o.station, full) or 0):
                found = sum_of(name)
                tests = _marks(found, station, o.observed_ms)
                flag = Flag.NOT_EVALUATED if UNVERIFIED in tests else Flag.GOOD
                flag = Flag.SUSPECT if INCOMPLETE in tests or o.flag is Flag.SUSPECT else flag
                out.append(replace(_made(o, full, found.mm), flag=flag, tests=tests, alarm=None))
        return tuple(out)

    def _tell(
        self,
        step: RainStep,
        found: Sum,
        at_ms: int,
        station: Station,
        doubtful: bool,
        change: Change = Change.STEP,
    ) -> None:
        """A sum is a lower bound: what is missing from it makes a step no less reached."""
        episode = self._work.episode((station.tenant, station.id))
        t = Transition(
            station.tenant,
            station.id,
            step.derived,
            episode.id if episode else episode_id(station.id, at_ms),
            change,
            0,
            0,
            at_ms,
            found.mm,
            confirmed=not doubtful,
            rings=step.rings,
            level=step.key,
            marks=_marks(found, station, at_ms),
        )
        self._alerts.step(t, station)

    # --- what ends by its date -----------------------------------------------------------------------------------

    def tick(self) -> None:
        """Tell what backlog has shown, and of verifications and tables that end soon; those once for each device."""
        now = self._work.rules.now_ms
        for station, channel in self._work.rules.registry.stepped:
            self._past(station, channel)
        due: dict[tuple[NoticeCode, str, str], list[tuple[int, str]]] = {}
        for station in self._work.rules.registry.dated:
            for code, ends_ms, before_ms in _dates(station):
                if now >= ends_ms - before_ms:
                    due.setdefault((code, station.tenant, station.device), []).append((ends_ms, station.id))
        for (code, tenant, device), found in due.items():
            ends_ms, name = min(found)
            self._work.notice(code, True, tenant, device, f"{name} {_day(ends_ms)}")
        for code in (NoticeCode.RAIN_UNVERIFIED, NoticeCode.TIDE_TABLE_ENDS):
            for tenant, device in list(self._work.told_of(code)):
                if (code, tenant, device) not in due:
                    self._work.notice(code, False, tenant, device)


def _marks(found: Sum, station: Station, at_ms: int) -> tuple[str, ...]:
    """What there is to say of a sum beside its number."""
    return (INCOMPLETE,) * (not found.complete) + (UNVERIFIED,) * unverified(station, at_ms)


def unverified(station: Station, at_ms: int) -> bool:
    """The verification (検定) of the station's rain gauge had ended by then."""
    return station.verified_until_ms is not None and at_ms >= station.verified_until_ms


def _dates(station: Station) -> list[tuple[NoticeCode, int, int]]:
    """(what ends, when, how long before staff are told)"""
    ends = [
        (NoticeCode.TIDE_TABLE_ENDS, c.tide.table.ends_ms, TABLE_MS)
        for c in station.channels.values()
        if c.tide is not None
    ]
    if station.verified_until_ms is not None:
        ends.append((NoticeCode.RAIN_UNVERIFIED, station.verified_until_ms, VERIFICATION_MS))
    return ends


def _day(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC) + _JST:%Y-%m-%d}"


def _made(o: Observation, channel: str, value: float) -> Observation:
    return replace(o, channel=channel, log=None, seq=None, record=0, raw=None, value=value)
