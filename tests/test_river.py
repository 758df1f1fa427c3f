"""The river of the simulators: the same seed, the same flood, and always the story that the demo tells."""

from __future__ import annotations

import pytest

from simulators import scenario

ORIGIN = 1_750_000_020_000  # on the minute
HOUR = 3_600_000


@pytest.mark.parametrize("seed", range(20))
def test_the_flood_of_the_demo_tells_its_story(seed: int) -> None:
    """Whatever the seed: calm, flood from above downwards, caution everywhere, danger below, calm again."""
    series = scenario.flood(ORIGIN, seed=seed)
    reached: list[int] = []
    peaked: list[int] = []
    for station in scenario.STATIONS:
        levels = series.levels[station.id]
        standby, caution = station.threshold("standby"), station.threshold("caution")
        assert max(levels[:60]) < standby - 0.1, "calm in the first hour"
        assert max(levels) > caution + 0.1
        assert max(levels[-90:]) < standby - 0.1, "long enough below for every alert to be cleared"
        reached.append(next(i for i, level in enumerate(levels) if level >= caution))
        peaked.append(levels.index(max(levels)))
    assert reached == sorted(set(reached))
    assert peaked == sorted(set(peaked))
    lowest = scenario.STATIONS[-1]
    assert max(series.levels[lowest.id]) > lowest.threshold("danger") + 0.1


def test_the_same_seed_gives_the_same_flood_and_another_one_another() -> None:
    """Nothing but the seed decides."""
    assert scenario.flood(ORIGIN, seed=3) == scenario.flood(ORIGIN, seed=3)
    assert scenario.flood(ORIGIN, seed=3).levels != scenario.flood(ORIGIN, seed=4).levels


def test_the_model_does_not_depend_on_the_step_of_its_output() -> None:
    """A coarser series shows the same river, apart from the ripple of a few millimetres."""
    fine, coarse = scenario.flood(ORIGIN, step_s=30.0), scenario.flood(ORIGIN, step_s=600.0)
    for station in fine.levels:
        for i, level in enumerate(coarse.levels[station]):
            assert fine.levels[station][i * 20] == pytest.approx(level, abs=0.03)


def test_a_series_is_read_between_its_steps_and_stands_still_outside() -> None:
    """Straight between two steps; the first and the last value beyond them."""
    series = scenario.flood(ORIGIN)
    station = scenario.STATIONS[0].id
    levels = series.levels[station]
    for at, expected in [
        (ORIGIN - HOUR, levels[0]),
        (ORIGIN + 30_000, (levels[0] + levels[1]) / 2),
        (series.end_ms, levels[-1]),
        (series.end_ms + HOUR, levels[-1]),
    ]:
        assert series.level(station, at) == pytest.approx(expected)
    assert series.end_ms == ORIGIN + 12 * HOUR


def test_the_scenario_is_complete_and_says_that_it_is_invented() -> None:
    """Thresholds rise with their rank, belong to the city's own gauges and name a fictional source."""
    assert len({s.id for s in scenario.STATIONS}) == 3
    for station in scenario.STATIONS:
        assert [t.level for t in station.thresholds] == ["standby", "caution", "evacuation", "danger"]
        assert [t.rank for t in station.thresholds] == [1, 2, 3, 4]
        assert sorted(t.value for t in station.thresholds) == [t.value for t in station.thresholds]
        assert {(t.authority, t.basis, t.source) for t in station.thresholds} == {
            ("県", "基準水位観測所", "Suimon demo (fictional)")
        }
        assert station.reach.station == station.id
        assert 34.2 < station.latitude < 34.4
        assert 134.0 < station.longitude < 134.2
