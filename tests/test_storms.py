"""A short year of storms: what `make bench` measures over hundreds, on a few gauges, in every run of the tests."""

from __future__ import annotations

import pytest

from tests.bench import storms

SEED = 11  # a tuning seed


@pytest.mark.slow
def test_a_year_of_a_river_with_every_fault() -> None:
    """No flood is missed, no high rank falsely confirmed, nothing stale shown as current."""
    found = storms.measure([SEED], years=1, processes=1)
    assert [x for x in found.worst if x[2].what == "missed"] == []
    assert [x for x in found.worst if x[2].what == "false_confirmed" and x[2].rank >= 3] == []
    assert found.score.stale_shown_as_current == 0
    assert found.station_years == storms.GAUGES
    assert found.episodes >= storms.GAUGES
    assert set(found.troubles) >= {*storms.EVERY_YEAR, *storms.AFTERWARDS}


@pytest.mark.slow
def test_each_quality_test_is_good_for_something() -> None:
    """Switched off, each of them leaves the account worse: wrong readings undoubted, or more false alerts."""
    found = storms.ablations([SEED], 1, gauges=4)  # the last one lies in the tide
    assert [x.test for x in found] == list(storms.TESTS)
    assert [x for x in found if not x.worsened] == []
