"""A season of storms: what `make bench` measures over hundreds of years, for some weeks, in every run of the tests."""

from __future__ import annotations

import pytest

from tests.bench import storms

SEED = 11  # a tuning seed
STORMS = {"years": 2, "gauges": 4, "days": (235, 50)}  # 24 August to 12 October: four typhoons


@pytest.mark.slow
def test_a_season_of_a_river_with_every_fault() -> None:
    """No flood is missed, no high rank falsely confirmed, nothing stale shown as current."""
    found = storms.measure([SEED], processes=1, **{**STORMS, "days": (150, 140)})
    assert [x for x in found.worst if x[2].what == "missed"] == []
    assert [x for x in found.worst if x[2].what == "false_confirmed" and x[2].rank >= 3] == []
    assert found.score.stale_shown_as_current == 0
    assert found.episodes >= 2 * 4
    assert (found.score.detected or 0) >= 30
    assert set(found.troubles) >= {*storms.EVERY_YEAR, *storms.AFTERWARDS}


@pytest.mark.slow
def test_each_quality_test_is_good_for_something() -> None:
    """Switched off, each of them leaves the account worse: wrong readings undoubted, or more false alerts."""
    found = storms.ablations([SEED], **STORMS)  # the last gauge lies in the tide
    assert [x.test for x in found] == list(storms.TESTS)
    assert [x for x in found if not x.worsened] == []
