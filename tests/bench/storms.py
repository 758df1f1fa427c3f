"""Generated station-years through the alarm: how many floods are missed, how often it cries falsely, and what each
quality test is good for.

Rivers are generated (`simulators.stormyears`), each gauge-year is given its faults (`simulators.faults.gauge`), and all
gauges of a river go through the bridge's work together, as `suimon score` does it. Seeds 1 to 999 are for tuning by
anybody; the reported figures come from `REPORTED` alone, which nobody tunes on.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from gateway import config, qualitylimits
from gateway.bridge.work import Work
from gateway.errors import FaultCode
from gateway.model import Flag
from gateway.qualitylimits import Attenuated, MultiVariate, QualityTests, Season
from gateway.scoring import judging, playing, truth
from gateway.scoring.judging import Finding, Score
from gateway.stations import Channel, Contract, Limits, Registry, Station, Threshold
from simulators import stormyears
from simulators.faults import gauge as faults
from simulators.stormyears import STEP_MS, STEPS_A_DAY, STEPS_A_YEAR, Gauge, River

TUNING = range(1, 1000)
REPORTED = range(100_001, 100_011)  # never looked at; those from 30001, 40001, … 90001 on were, and mended something
YEARS, GAUGES = 5, 6  # of a river
TENANT, LEVEL, SECOND, RAIN = "storms", "water_level", "water_level_b", "rain"
RAIN_GAUGE = 2  # the place of the gauge that has one
RAINS_MM = 20.0  # in an hour
LEVELS = config.load_levels("jp-2026")

# What befalls every gauge every year, in the order in which it acts; and before, at its highest crest, one of these in
# turn. What each test is good for is measured where every crest has the jump, which is the rarest of them, and where a
# mount slips, which for its first hour nobody can tell from water.
EVERY_YEAR = ("noise", "damped", "drift", "stuck", "obstructed", "spikes", "set_wrong", "codes")
AT_THE_CREST = ((), ("dead_at_crest",), ("span_at_crest",), ("jump_over_overflow",))
AFTERWARDS = ("clock", "dropouts")
TESTS = (
    "gross_range",
    "climatology",
    "spike",
    "rate_of_change",
    "flat_line",
    "attenuated",
    "multi_variate",
    "neighbour",
)
WRONG_BY = 0.10  # metres: a reading further from the truth is wrong, and so is a stuck one


@dataclass(slots=True)
class Account:
    """What came of some rivers. `worst` names what went wrong, as (seed, gauge, finding, faults at work)."""

    score: Score = field(default_factory=Score)
    station_years: float = 0.0
    episodes: int = 0
    river_floods: int = 0
    false_high: int = 0  # confirmed false at rank >= 3, by a reading that was wrong
    false_by_waves: int = 0  # the same where the water stood within `WRONG_BY` of the level: the reading was right
    false_unconfirmed: int = 0
    wrong: int = 0  # readings that were
    wrong_as_good: int = 0  # of them, those that no quality test spoke of
    right: int = 0
    right_doubted: int = 0
    troubles: Counter[str] = field(default_factory=Counter)
    worst: list[tuple[int, str, Finding, tuple[str, ...]]] = field(default_factory=list)

    def add(self, other: Account) -> None:
        for f in fields(self):
            setattr(self, f.name, getattr(self, f.name) + getattr(other, f.name))


@dataclass(frozen=True, slots=True)
class Task:
    """A river and how it is played. `days`: first and number of days of its first year, None for all of its years."""

    seed: int
    years: int = YEARS
    gauges: int = GAUGES
    without: str = ""  # the quality test that is switched off
    jumps: bool = False
    days: tuple[int, int] | None = None


def measure(seeds: Sequence[int], processes: int = 2, **how: Any) -> Account:
    """The account of these rivers together; `how` as in `Task`."""
    return _measured(seeds, ("",), processes, **how)[""]


def _measured(seeds: Sequence[int], without: Sequence[str], processes: int = 2, **how: Any) -> dict[str, Account]:
    """The account of these rivers for each quality test that is switched off, "" for none."""
    total = {test: Account() for test in without}
    tasks = [Task(seed, without=test, **how) for test in without for seed in seeds]
    with ProcessPoolExecutor(processes) as pool:
        for task, part in zip(tasks, pool.map(_one, tasks), strict=True):
            total[task.without].add(part)
    return total


def _one(task: Task) -> Account:
    found = stormyears.river(task.seed, task.years, task.gauges)
    return river(season(found, *task.days) if task.days else found, task.seed, task.without, task.jumps)


def season(found: River, first_day: int, days: int) -> River:
    """Some days of a river's first year, with the levels and rates of all its years: its storms for less time."""
    begin, end = first_day * STEPS_A_DAY, (first_day + days) * STEPS_A_DAY
    gauges = [replace(g, levels=g.levels[begin:end], second=g.second and g.second[begin:end]) for g in found.gauges]
    return replace(found, start_ms=found.start_ms + begin * STEP_MS, gauges=gauges, rain=found.rain[begin:end])


def river(found: River, seed: int, without: str = "", jumps: bool = False) -> Account:
    """All gauges of one river through one bridge."""
    stations = [_station(found, g, without) for g in found.gauges]
    arriving: list[tuple[Station, Channel, list[faults.Read]]] = []
    troubles: list[list[faults.Trouble]] = []
    for number, (g, station) in enumerate(zip(found.gauges, stations, strict=True)):
        reads, made = _troubled(found, g, seed, number, jumps)
        arriving.append((station, station.channels[LEVEL], reads))
        troubles.append(made)
    for g, station in zip(found.gauges, stations, strict=True):
        if g.second is not None:
            plain = faults.reads_of([(found.start_ms + i * STEP_MS, value) for i, value in enumerate(g.second)])
            arriving.append((station, station.channels[SECOND], plain))  # after the faulty ones, which `zip` pairs
    rain = faults.reads_of(_hourly(found))
    arriving.append((stations[RAIN_GAUGE], stations[RAIN_GAUGE].channels[RAIN], rain))
    doubts = Doubts(found, arriving, troubles)
    player = playing.Player(Registry(stations, LEVELS), found.start_ms, doubts.see)
    for now_ms, batch in _batches(found, arriving):
        player.step(now_ms, batch)
    account = Account(river_floods=found.floods)
    doubts.count(account)
    for g, (station, channel, _), made in zip(found.gauges, arriving, troubles, strict=False):
        _judged(account, found, g, station, channel, player, made, seed)
    return account


class Doubts:
    """Which readings were wrong, and which of all were doubted: by their real-time flag, or by what came later."""

    def __init__(
        self,
        found: River,
        arriving: Sequence[tuple[Station, Channel, list[faults.Read]]],
        troubles: Sequence[Sequence[faults.Trouble]],
    ) -> None:
        self._doubted: set[tuple[str, int]] = set()
        self._wrong: set[tuple[str, int]] = set()
        self._all = 0
        for g, (station, _, reads), made in zip(found.gauges, arriving, troubles, strict=False):
            stuck = [(t.since_ms, t.until_ms) for t in made if t.name == "stuck"]
            for r in reads:
                if r.value is None:
                    continue
                self._all += 1
                true = g.levels[(r.true_ms - found.start_ms) // STEP_MS]
                if abs(r.value - true) > WRONG_BY or any(since <= r.true_ms <= until for since, until in stuck):
                    self._wrong.add((station.id, r.at_ms))

    def see(self, work: Work) -> None:
        for o in work.observations:
            if o.channel == LEVEL and o.flag in (Flag.SUSPECT, Flag.FAIL):
                self._doubted.add((o.station, o.observed_ms))
        for a in work.assessments:
            if a.channel == LEVEL and a.flag in (Flag.SUSPECT, Flag.FAIL):
                self._doubted.add((a.station, a.observed_ms))

    def count(self, account: Account) -> None:
        account.wrong, account.right = len(self._wrong), self._all - len(self._wrong)
        account.wrong_as_good = len(self._wrong - self._doubted)
        account.right_doubted = len(self._doubted - self._wrong)


def _judged(
    account: Account,
    found: River,
    g: Gauge,
    station: Station,
    channel: Channel,
    player: playing.Player,
    made: Sequence[faults.Trouble],
    seed: int,
) -> None:
    series = [(found.start_ms + i * STEP_MS, value) for i, value in enumerate(g.levels)]
    score, wrong = judging.judge(series, channel, player.tracks[(TENANT, station.id, channel.name)])
    account.score += score
    account.station_years += len(series) / STEPS_A_YEAR
    account.episodes += episodes(series, g.thresholds["caution"])
    high = [f.short > WRONG_BY for f in wrong if f.what == "false_confirmed" and f.rank >= 3]
    account.false_high += sum(high)
    account.false_by_waves += len(high) - sum(high)
    account.false_unconfirmed += sum(f.what == "false" for f in wrong)
    account.troubles.update(t.name for t in made)
    for f in wrong:
        at_work = {
            t.name for t in made if t.since_ms - 3_600_000 <= f.until_ms and f.since_ms <= t.until_ms + 3_600_000
        }
        account.worst.append((seed, station.id, f, tuple(sorted(at_work))))


def episodes(series: truth.Levels, level: float) -> int:
    """Floods at one gauge: times above a level, those less than a day apart counted once."""
    found = truth.runs(series, level)
    day_ms = 86_400_000
    return len(found) - sum(b.since_ms - a.until_ms < day_ms for a, b in pairwise(found))


def _troubled(
    found: River, g: Gauge, seed: int, number: int, jumps: bool = False
) -> tuple[list[faults.Read], list[faults.Trouble]]:
    reads: list[faults.Read] = []
    made: list[faults.Trouble] = []
    place = faults.Gauge(*g.sensor_span, g.thresholds["overflow"])
    for year, begin in enumerate(range(0, len(g.levels), STEPS_A_YEAR)):
        values = g.levels[begin : begin + STEPS_A_YEAR]
        plain = faults.reads_of([(found.start_ms + (begin + i) * STEP_MS, value) for i, value in enumerate(values)])
        crest = AT_THE_CREST[-1] if jumps else AT_THE_CREST[(number + year) % len(AT_THE_CREST)]
        names = (*crest, *EVERY_YEAR, *(("creeping",) if jumps else ()), *AFTERWARDS)
        part, troubles = faults.inject(plain, place, names, hash_of(seed, number, year))
        reads += part
        made += troubles
    return reads, made


def hash_of(seed: int, gauge: int, year: int) -> int:
    return (seed * 1000 + gauge) * 1000 + year


def _batches(
    found: River, arriving: Sequence[tuple[Station, Channel, list[faults.Read]]]
) -> Iterator[tuple[int, list[playing.Read]]]:
    """What arrives at each step of all gauges."""
    queues = []
    for station, channel, reads in reversed(arriving):  # a second sensor, which stands last, is heard first
        reads.sort(key=lambda r: r.arrives_ms)
        queues.append([station, channel, reads, 0])
    for step in range(len(found.rain)):
        now_ms = found.start_ms + step * STEP_MS
        batch: list[playing.Read] = []
        for queue in queues:
            station, channel, reads, place = queue
            while place < len(reads) and reads[place].arrives_ms <= now_ms:
                r = reads[place]
                place += 1
                fault = FaultCode(r.fault) if r.fault else None
                batch.append(playing.Read(station, channel, place, r.at_ms, r.value, fault))
            queue[3] = place
        yield now_ms, batch
        if len(batch) < len(queues):  # something has not come
            yield now_ms + playing.LOOKS_MS, []


# --- the river as an operator would configure it ------------------------------------------------------------------


def _hourly(found: River) -> list[tuple[int, float]]:
    """Rain of the last hour at each step, millimetres."""
    out, total = [], 0.0
    for i, mm in enumerate(found.rain):
        total += mm - (found.rain[i - 6] if i >= 6 else 0.0)
        out.append((found.start_ms + i * STEP_MS, round(max(0.0, total), 1)))
    return out


def _station(found: River, g: Gauge, without: str) -> Station:
    channel = Channel(
        LEVEL,
        "water_level",
        Contract(600.0, 300.0),
        limits=_limits(g, without),
        thresholds=tuple(_threshold(key, value) for key, value in g.thresholds.items()),
        tests=_tests(g).without(without),
    )
    channels = {channel.name: channel}
    if g.second is not None:
        channels[SECOND] = Channel(SECOND, "water_level", Contract(600.0, 300.0), tests=QualityTests(kept=True))
    if g is found.gauges[RAIN_GAUGE]:
        marks = (Threshold("standby", 1, RAINS_MM, "市独自", "市の目安", "generated"),)
        channels[RAIN] = Channel(RAIN, "rain", Contract(600.0, 300.0), thresholds=marks)
    name = g.site.name
    return Station(
        TENANT,
        name,
        name,
        name,
        34.3,
        134.0,
        name,
        "T.P.",
        0.0,
        channels,
        hazard="tide" if g.site.tide else "river",
        river=found.name,
        neighbours=g.neighbours,
        related=_related(found, g),
    )


def _related(found: River, g: Gauge) -> dict[str, tuple[tuple[float, float], ...]]:
    """The two gauges above and the two below, where the tide reaches neither."""
    place = found.gauges.index(g)
    others = [x for i, x in enumerate(found.gauges) if 0 < abs(i - place) <= 2 and not (g.site.tide or x.site.tide)]
    return {x.site.name: _record(g, x) for x in others}


def _record(here: Gauge, there: Gauge) -> tuple[tuple[float, float], ...]:
    """How low a gauge stood in all its years at the least while the other had stood for an hour at each decimetre or
    higher, as an operator would read it from the floods on record."""
    least: dict[int, float] = {}
    hour = 6
    for i in range(hour, len(here.levels)):
        stood = math.floor(min(there.levels[i - hour : i + 1]) * 10)
        if here.levels[i] < least.get(stood, math.inf):
            least[stood] = here.levels[i]
    pairs, low = list[tuple[float, float]](), math.inf
    for stood in sorted(least, reverse=True):
        low = min(low, least[stood])
        pairs.append((stood / 10, low))
    return tuple(reversed(pairs))


def _limits(g: Gauge, without: str) -> Limits:
    ranges, rates = without != "gross_range", without != "rate_of_change"
    return Limits(
        g.sensor_span if ranges else None,
        g.user_span if ranges else None,
        g.rise_per_h if rates else None,
        g.fall_per_h if rates else None,
    )


def _tests(g: Gauge) -> QualityTests:
    """What a water level has by default, and what is known of the place: its seasons, its dry level, that a tide must
    move it between high and low water, and its second sensor."""
    usual = qualitylimits.defaults("water_level")
    assert usual.neighbour is not None
    return replace(
        usual,
        neighbour=replace(usual.neighbour, reporting=1),  # the first and the last gauge have but one
        climatology=tuple(Season(3 * i + 1, 3 * i + 3, span) for i, span in enumerate(g.season)),
        attenuated=Attenuated("range", 7.5 * 3600.0, 0.18 * g.site.tide) if g.site.tide else None,
        multi_variate=(MultiVariate(SECOND, differs=0.3),) if g.second is not None else (),
        dry=g.dry,
    )


def _threshold(key: str, value: float) -> Threshold:
    level = LEVELS.by_key(key)
    assert level is not None
    return Threshold(key, level.rank, value, "県", "基準水位観測所", "generated")


# --- bounds -------------------------------------------------------------------------------------------------------


def upper_bound(count: int, exposure: float, confidence: float = 0.95) -> float:
    """The exact upper bound of a Poisson rate of which `count` events were seen in `exposure`: the rate at which so few
    or fewer would be seen with a probability of 1 - confidence (Garwood 1936, Fiducial limits for the Poisson
    distribution, Biometrika 28, one-sided; for 0 events it is 3.0 / exposure, the rule of three)."""
    low, high = 0.0, 10.0 + 2.0 * count + 10.0 * math.sqrt(count + 1)
    for _ in range(80):
        middle = (low + high) / 2
        if _poisson_cdf(count, middle) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high / exposure


def _poisson_cdf(count: int, mean: float) -> float:
    return (
        math.fsum(math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) for k in range(count + 1)) if mean else 1.0
    )


@dataclass(frozen=True, slots=True)
class Loss:
    """What one quality test is good for: how much worse the account is without it, per station-year."""

    test: str
    wrong_as_good: float
    missed: int
    false_high: int
    false: int

    @property
    def worsened(self) -> int:
        """How many of these figures are worse without it."""
        return sum(x > 0 for x in (self.wrong_as_good, self.missed, self.false_high, self.false))


def ablations(seeds: Sequence[int], **how: Any) -> list[Loss]:
    """The same rivers with each quality test switched off, one at a time; `how` as in `Task`."""
    measured = _measured(seeds, ("", *TESTS), jumps=True, **how)
    whole, out = measured[""], []
    for test in TESTS:
        part = measured[test]
        more = (part.wrong_as_good - whole.wrong_as_good) / whole.station_years
        missed = (part.score.missed or 0) - (whole.score.missed or 0)
        false = part.false_unconfirmed - whole.false_unconfirmed
        out.append(Loss(test, more, missed, part.false_high - whole.false_high, false))
    return out


def table(worst: Sequence[tuple[int, str, Finding, tuple[str, ...]]]) -> Mapping[tuple[str, int, tuple[str, ...]], int]:
    """What went wrong, by kind, rank and the faults at work."""
    return Counter((f.what, f.rank, names) for _, _, f, names in worst)


def gravest(worst: Sequence[tuple[int, str, Finding, tuple[str, ...]]]) -> list[str]:
    """The findings that fail a run: river, gauge, what, level and when, so that somebody can follow them up."""
    return [
        f"river {seed}, {gauge}: {f.what} {f.level}, {_hour(f.since_ms)} to {_hour(f.until_ms)}; {', '.join(names)}"
        for seed, gauge, f, names in worst
        if f.what == "missed" or (f.what == "false_confirmed" and f.rank >= 3 and f.short > WRONG_BY)
    ]


def _hour(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M}"
