"""The generator of station-years and the catalogue of faults: what they make, and that they share nothing with what is
judged by it."""

from __future__ import annotations

import ast
import math
import random
from itertools import pairwise
from pathlib import Path

import pytest

from simulators import stormyears
from simulators.faults import gauge as faults
from simulators.faults.gauge import CATALOGUE, HOUR, Read, Trouble, inject, reads_of
from simulators.stormyears import EXCEEDED_A_YEAR, STEP_MS, STEPS_A_DAY, STEPS_A_YEAR, River, river
from tests.bench import storms

T0 = 1_767_225_600_000
PLACE = faults.Gauge(-1.0, 12.0, 5.0)
STANDARD = {"__future__", "math", "random", "array", "collections.abc", "dataclasses", "itertools", "statistics"}


@pytest.fixture(scope="module")
def years() -> River:
    return river(7, 2, 4)


# --- independence --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", [stormyears, faults])
def test_generator_and_detector_share_nothing(module: object) -> None:
    """Storm years and faults import the standard library and nothing else: no code and no constant of the gateway."""
    tree = ast.parse(Path(str(getattr(module, "__file__", ""))).read_text(encoding="utf-8"))
    found = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    found |= {f"{'.' * n.level}{n.module}" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    assert found <= STANDARD


def test_reported_seeds_are_none_of_the_tuning_ones() -> None:
    """What is reported comes from rivers that nobody tuned on, and is 300 station-years at least."""
    assert not set(storms.REPORTED) & set(storms.TUNING)
    assert len(storms.REPORTED) * storms.YEARS * storms.GAUGES >= 300


# --- the years -----------------------------------------------------------------------------------------------------


def test_a_seed_is_a_river(years: River) -> None:
    """The same seed gives the same readings, another seed other ones."""
    again, other = river(7, 2, 4), river(8, 2, 4)
    assert [g.levels for g in again.gauges] == [g.levels for g in years.gauges]
    assert [g.levels for g in other.gauges] != [g.levels for g in years.gauges]


def test_readings_are_to_the_centimetre_and_lie_within_the_span(years: River) -> None:
    """Two years at ten minutes of each gauge; spans, rates and thresholds are in order."""
    for g in years.gauges:
        assert len(g.levels) == 2 * STEPS_A_YEAR
        assert all(math.isclose(v * 100, round(v * 100), abs_tol=1e-6) for v in g.levels[::997])
        assert g.sensor_span[0] < min(g.levels) <= max(g.levels) < g.sensor_span[1]
        assert list(g.thresholds) == list(EXCEEDED_A_YEAR)
        assert all(b - a >= 0.05 - 1e-9 for a, b in pairwise(g.thresholds.values()))
        assert g.dry < min(g.levels) + 0.1 < g.thresholds["standby"] < max(g.levels)
        assert all(low < high for low, high in g.season)


def test_most_of_the_rain_falls_in_summer_and_a_flood_follows_it(years: River) -> None:
    """June to October bring more rain than the rest, and the highest water of a headwater follows rain."""
    wet = sum(mm for i, mm in enumerate(years.rain) if 6 <= stormyears.month_of(i) <= 10)
    assert wet > sum(years.rain) / 2
    assert 500 < sum(years.rain) / 2 < 3000
    levels = years.gauges[0].levels
    crest = max(range(len(levels)), key=levels.__getitem__)
    assert sum(years.rain[crest - STEPS_A_DAY : crest]) > 20
    assert years.floods >= 2


def test_water_comes_later_further_down(years: River) -> None:
    """The highest crest passes the gauges in their order, but for hours of rain on their own land."""
    crests = [max(range(len(g.levels)), key=g.levels.__getitem__) for g in years.gauges if not g.site.tide]
    assert all(b - a > -24 for a, b in pairwise(crests))
    assert crests[-1] > crests[0]


def test_stated_rates_hold_for_the_river_and_not_for_its_faults(years: River) -> None:
    """No true change between two readings, waves apart, exceeds what the operator states."""
    for g in years.gauges:
        waves = 8 * g.site.waves + 0.01
        changes = [b - a for a, b in pairwise(g.levels)]
        assert max(changes) <= g.rise_per_h / 6 + waves
        assert -min(changes) <= g.fall_per_h / 6 + waves


# --- the catalogue -------------------------------------------------------------------------------------------------

YEAR = [
    (T0 + i * STEP_MS, round(1.0 + 4.0 * math.exp(-(((i - 2000) / 40) ** 2)) + 0.2 * math.sin(i / 12), 2))
    for i in range(4000)
]


@pytest.mark.parametrize("name", CATALOGUE)
def test_each_fault_is_seeded_and_says_when_it_was(name: str) -> None:
    """A fault changes something, only within what it says, and the same seed breaks the same readings."""
    reads, troubles = inject(reads_of(YEAR), PLACE, [name], 5)
    assert (reads, troubles) == inject(reads_of(YEAR), PLACE, [name], 5)
    assert reads != reads_of(YEAR)
    assert {t.name for t in troubles} == {name}
    kept = {r.true_ms: r for r in reads}
    for r in reads_of(YEAR):
        if kept.get(r.true_ms) != r:
            assert any(t.since_ms <= r.true_ms <= t.until_ms for t in troubles), (name, r)
    values = [r.value for r in reads if r.value is not None]
    assert name == "codes" or all(PLACE.lowest <= v <= PLACE.highest for v in values)
    assert all(r.arrives_ms >= r.true_ms for r in reads)


def test_faults_combine_and_leave_each_other_s_chance_alone() -> None:
    """One more fault in front does not move the places of another."""
    _, alone = inject(reads_of(YEAR), PLACE, ["stuck"], 3)
    reads, both = inject(reads_of(YEAR), PLACE, ["noise", "stuck", "stuck"], 3)
    assert next(t for t in both if t.name == "stuck") == alone[0]
    assert len({t.since_ms for t in both if t.name == "stuck"}) == 2
    assert len(reads) == len(YEAR)


def at_crest(name: str) -> tuple[list[Read], Trouble]:
    reads, troubles = inject(reads_of(YEAR), PLACE, [name], 4)
    return reads, troubles[0]


def test_what_happens_at_the_crest() -> None:
    """Dead: nothing comes from before the crest to hours after. Span: no value but the sensor's word. Jump: 2 to 3
    metres over the overflow level, twice, while the water rises."""
    top_ms = max(YEAR, key=lambda sample: sample[1])[0]
    reads, trouble = at_crest("dead_at_crest")
    assert trouble.since_ms < top_ms < top_ms + 6 * HOUR <= trouble.until_ms
    assert not [r for r in reads if trouble.since_ms <= r.true_ms < trouble.until_ms]
    reads, trouble = at_crest("span_at_crest")
    assert {(r.value, r.fault) for r in reads if trouble.since_ms <= r.true_ms <= trouble.until_ms} == {
        (None, "above_span")
    }
    reads, _ = at_crest("jump_over_overflow")
    wild = [r for r, (_, value) in zip(reads, YEAR, strict=True) if r.value != value]
    assert all(r.true_ms <= top_ms and 6.9 <= (r.value or 0) <= 8.0 for r in wild)
    assert len({r.true_ms // HOUR for r in wild}) >= 2


def test_an_unknown_fault_is_refused() -> None:
    with pytest.raises(KeyError):
        inject(reads_of(YEAR), PLACE, ["gremlins"], 1)


# --- bounds --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "bound"), [(0, 2.9957), (1, 4.7439), (5, 10.5130), (20, 29.0620), (100, 118.079)])
def test_exact_upper_bound_of_a_rate(count: int, bound: float) -> None:
    """The one-sided 95 % bounds of the tables for a Poisson count (half the 95 % point of chi-squared with 2n + 2)."""
    assert storms.upper_bound(count, 1.0) == pytest.approx(bound, abs=2e-3)
    assert storms.upper_bound(count, 300.0) == pytest.approx(bound / 300, abs=1e-5)


def test_the_bound_covers() -> None:
    """Of many counts drawn at one rate, about one in twenty has a bound below that rate, and no more."""
    rng = random.Random(1)
    below = 0
    for _ in range(2000):
        at, count = rng.expovariate(4.0), 0
        while at < 1.0:
            at, count = at + rng.expovariate(4.0), count + 1
        below += storms.upper_bound(count, 1.0) < 4.0
    assert 0.005 < below / 2000 <= 0.06


def test_episodes_are_a_day_apart() -> None:
    """One flood with two crests is one episode."""
    series = [(T0 + i * STEP_MS, 3.0 if i % 500 in (10, 11, 30, 31) else 1.0) for i in range(1000)]
    assert storms.episodes(series, 2.0) == 2
