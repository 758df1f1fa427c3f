"""Thresholds that change while an episode is open: shown and logged; the change alone neither rings nor clears."""

from __future__ import annotations

from gateway.model import Change
from gateway.stations import threshold_version
from tests.gauges import Gauge, say
from tests.places import MINUTE, T0, threshold, thresholds

MIDNIGHT = 60


def dated(before: float, after: float, level: str = "danger") -> Gauge:
    """One threshold of which the value changes at midnight, minute 60; caution stays."""
    at = T0 + MIDNIGHT * MINUTE
    marks = threshold(level, before, valid_to_ms=at), threshold(level, after, at)
    gauge = Gauge(*thresholds(caution=2.0), *marks)
    gauge.episode = "open"
    return gauge


def test_a_lowered_threshold_is_taken_quietly() -> None:
    """Danger is lowered below the present level: logged at midnight, the rank follows without ringing, and rings when
    the water has risen by 5 cm."""
    gauge = dated(3.9, 3.4)
    assert gauge.story(3.4, 3.45, 3.5, 3.5, 3.5, 3.5) == ["rise 0->2"]
    assert gauge.tick(MIDNIGHT) == ["thresholds 2 quiet"]
    assert gauge.story(3.5, 3.53, start=60) == ["rise 2->4 quiet"]
    assert gauge.story(3.56, 3.58, start=80) == ["rise 4"]
    assert gauge.state.rank == 4
    (t,) = [t for t in gauge.transitions if t.change is Change.THRESHOLDS]
    assert (t.at_ms, t.value, t.level) == (T0 + MIDNIGHT * MINUTE, 3.5, "caution")


def test_what_then_falls_never_rings() -> None:
    """The water goes down after the change: its rank was taken quietly, and is left as any."""
    gauge = dated(3.9, 3.4)
    gauge.story(3.5, 3.5, 3.5, 3.5, 3.5, 3.5)
    gauge.tick(MIDNIGHT)
    told = gauge.story(3.5, 3.44, 3.3, 3.2, 3.1, 3.0, 2.9, start=60)
    assert told == ["rise 2->4 quiet", "fall 4->2"]


def test_a_raised_threshold_clears_nothing() -> None:
    """Danger is raised above the present level: while the water stands, the rank stands, however long."""
    gauge = dated(3.4, 4.5)
    assert gauge.story(3.3, 3.5, 3.5, 3.5, 3.5, 3.5) == ["rise 0->4"]
    assert gauge.tick(MIDNIGHT) == ["thresholds 4 quiet"]
    assert gauge.story(*[3.5, 3.52, 3.48] * 20, start=60) == []
    assert gauge.story(3.4, 3.4, 3.4, 3.4, start=700) == ["fall 4->2"]


def test_a_true_rise_after_the_change_rings() -> None:
    """The next rank is judged by the thresholds in force."""
    gauge = dated(4.5, 4.0)
    gauge.story(3.5, 3.5, 3.5, 3.5, 3.5, 3.5)
    gauge.tick(MIDNIGHT)
    assert gauge.story(3.8, 3.9, 4.05, start=60) == ["rise 2->4"]


def test_without_an_episode_nothing_is_told() -> None:
    """A calm river: thresholds change, and nothing is said."""
    gauge = dated(3.9, 3.4)
    gauge.episode = None
    gauge.story(0.5, 0.5, 0.5, 0.5, 0.5)
    assert gauge.tick(MIDNIGHT) == []
    assert gauge.story(0.5, 0.5, start=60) == []


def test_another_file() -> None:
    """A restart with other thresholds is a change like one of date, once."""
    gauge = Gauge(*thresholds(caution=2.0, danger=3.9))
    gauge.episode = "open"
    gauge.story(2.5, 2.5, 2.6)
    version = threshold_version(gauge.channel, T0)
    gauge.revise(*thresholds(caution=2.0, danger=2.4))
    assert threshold_version(gauge.channel, T0) != version
    assert gauge.observe(30, 2.62) == ["thresholds 2 quiet", "rise 2->4 quiet"]
    assert gauge.tick(31) == []
    assert gauge.story(2.7, start=40) == ["rise 4"]
    assert say(gauge.transitions[-1]) == "rise 4"


def test_the_change_is_told_once_a_channel() -> None:
    """However often time passes, and whatever comes."""
    gauge = dated(3.9, 3.95)
    gauge.story(2.5, 2.5, 2.5, 2.5, 2.5, 2.5)
    for minute in range(60, 200, 10):
        gauge.tick(minute)
        gauge.observe(minute, 2.5)
    assert [t.change for t in gauge.transitions].count(Change.THRESHOLDS) == 1


def test_version() -> None:
    """The version names the thresholds in force; that they have dates is no other version."""
    gauge = dated(3.9, 3.4)
    day = T0 + MIDNIGHT * MINUTE
    assert threshold_version(gauge.channel, day - 1) != threshold_version(gauge.channel, day)
    assert threshold_version(gauge.channel, day) == threshold_version(
        Gauge(*thresholds(caution=2.0, danger=3.4)).channel, 0
    )
    assert threshold_version(Gauge().channel, day) == ""
    assert len(threshold_version(gauge.channel, day)) == 8
