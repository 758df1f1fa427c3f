"""The alert logic of one channel: rises, falls, doubt, loss, lateness; told as short stories and as laws."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import channelstate, qc
from gateway.alerting import advance
from gateway.channelstate import ChannelState, Context, Known, floor_of, rank_of
from gateway.model import Change, ClockState, Condition, Flag
from gateway.reporting import tick
from gateway.stations import Contract, Hazard, Limits, Threshold
from gateway.trend import RECENT
from simulators import recordings
from tests.gauges import Gauge, observation, say
from tests.places import ALL_FIVE, AYAGAWA, MINUTE, T0, threshold, thresholds

# --- thresholds ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "rank"),
    [(2.74, 0), (2.75, 2), (3.94, 2), (3.95, 3), (3.99, 3), (4.00, 4), (4.44, 4), (4.45, 5), (39.33, 5), (-0.3, 0)],
)
def test_rank_of(value: float, rank: int) -> None:
    """A level counts as reached at its own value, also where two stand 5 cm apart."""
    assert rank_of(value, AYAGAWA) == rank
    assert rank_of(value, ()) == 0


@pytest.mark.parametrize(
    ("what", "rank", "marks", "floor"),
    [
        ("the lowest threshold", 2, AYAGAWA, 2.65),
        ("far above the next lower one", 3, AYAGAWA, 3.85),
        ("5 cm above it", 4, AYAGAWA, 3.98),
        ("45 cm above it", 5, AYAGAWA, 4.35),
        ("half the distance", 3, thresholds(caution=2.0, evacuation=2.12), 2.06),
        ("a hand above 5 cm", 3, thresholds(caution=2.0, evacuation=2.06), 2.03),
        ("two levels of one rank: the lower", 2, thresholds(standby=1.0, caution=2.0, dispatch=2.5), 1.9),
        ("no threshold of this rank", 1, AYAGAWA, None),
    ],
)
def test_hysteresis(what: str, rank: int, marks: tuple[Threshold, ...], floor: float | None) -> None:
    """A rank is left below its threshold less 10 cm, half the distance to the next, or 2 cm where that is 5 cm."""
    assert floor_of(rank, marks) == (pytest.approx(floor) if floor is not None else None), what


def test_thresholds_have_dates() -> None:
    """A threshold holds from its first day, included, to its last, excluded; the time of observation decides."""
    day = 24 * 60
    gauge = Gauge(threshold("danger", 3.0, valid_to_ms=T0 + day * MINUTE), threshold("danger", 4.0, T0 + day * MINUTE))
    assert gauge.observe(day - 10, 2.9) == []
    assert gauge.observe(day, 3.5) == []
    assert gauge.observe(day + 10, 4.0) == ["rise 0->4"]
    assert Gauge(*gauge.channel.thresholds).observe(day - 1, 3.5) == ["rise 0->4"]
    assert Gauge(*gauge.channel.thresholds).observe(day - 1, 3.5, arrives=day + 1) == ["rise 0->4"]


def test_a_threshold_that_ends_clears_nothing() -> None:
    """A rank whose threshold is no longer in force is left only when the water is below the next lower one."""
    gauge = Gauge(*thresholds(caution=2.0), threshold("danger", 3.0, valid_to_ms=T0 + 15 * MINUTE))
    assert gauge.observe(10, 3.2) == ["rise 0->4"]
    assert gauge.story(2.5, 2.5, 2.5, 2.5, 2.5, start=20) == []
    assert gauge.story(1.5, 1.5, 1.5, 1.4, start=70) == ["fall 4->0"]


# --- rises ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "values", "expected"),
    [
        ("below all", [0.5, 0.9], []),
        ("one sample of rank 1", [0.5, 1.0], []),
        ("two of rank 1", [0.5, 1.0, 1.0], ["rise 0->1 quiet"]),
        ("one sample of rank 2", [0.5, 2.0], []),
        ("two of rank 2", [0.5, 2.0, 2.0], ["rise 0->2"]),
        ("two with one lower between them", [2.0, 0.5, 2.0], []),
        ("two with two a hand lower between them", [1.0, 0.92, 0.90, 1.0], ["rise 0->1 quiet"]),
        ("two with one below the hysteresis between them", [1.0, 0.89, 1.0], []),
        ("two more than half an hour apart", [1.0, 0.95, 0.95, 0.95, 0.95, 1.0, 0.5], []),
        ("of rank 2 with one of rank 1 a hand lower between them", [2.0, 1.95, 2.0], ["rise 0->1 quiet", "rise 1->2"]),
        ("one of rank 1 and one of rank 2", [1.5, 2.5], ["rise 0->1 quiet"]),
        ("and a second of rank 2", [1.5, 2.5, 2.5], ["rise 0->1 quiet", "rise 1->2"]),
        ("one of rank 2 and one of rank 1", [2.5, 1.5], ["rise 0->1 quiet"]),
        ("the first sample of rank 3", [0.5, 3.0], ["rise 0->3"]),
        ("the first sample of rank 4", [0.5, 4.0], ["rise 0->4"]),
        ("the first sample of rank 5", [5.0], ["rise 0->5"]),
        ("a leap from rank 2", [2.0, 2.0, 4.5], ["rise 0->2", "rise 2->4"]),
        ("a second sample of rank 3", [3.0, 3.1], ["rise 0->3"]),
        ("one rank after the other", [3.0, 4.0, 5.0], ["rise 0->3", "rise 3->4", "rise 4->5"]),
        ("one of rank 2 before rank 3", [2.0, 3.0], ["rise 0->3"]),
    ],
)
def test_rise(what: str, values: list[float], expected: list[str]) -> None:
    """Rank 3 and above needs one good sample, rank 1 and 2 two, with no fall between them; rank 1 never rings."""
    assert Gauge(*ALL_FIVE).story(*values) == expected, what


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([2.75, 2.75, 3.95, 4.00, 4.45], ["rise 0->2", "rise 2->3", "rise 3->4", "rise 4->5"]),
        ([2.74, 3.94, 3.94, 3.99], ["rise 0->2", "rise 2->3"]),
        ([2.74, 3.97, 4.02], ["rise 0->3", "rise 3->4"]),
    ],
)
def test_the_ayagawa(values: list[float], expected: list[str]) -> None:
    """Thresholds 5 cm apart ring one by one, none is skipped or doubled."""
    assert Gauge(*AYAGAWA).story(*values) == expected


TWO_OF_RANK_2 = thresholds(caution=2.0, dispatch=2.5, danger=4.0)


@pytest.mark.parametrize(
    ("what", "values", "expected"),
    [
        ("one after the other", [2.1, 2.1, 2.6, 2.6, 2.6], [("rise 0->2", "caution"), ("rise 2", "dispatch")]),
        ("one sample is not enough", [2.1, 2.1, 2.6, 2.4, 2.6, 2.4], [("rise 0->2", "caution")]),
        ("both at once", [2.6, 2.6, 2.6, 2.6], [("rise 0->2", "dispatch")]),
        (
            "once while the rank lasts",
            [2.1, 2.1, *[2.6, 2.6, 2.4] * 9],
            [("rise 0->2", "caution"), ("rise 2", "dispatch")],
        ),
        ("a higher rank between", [2.1, 2.1, 4.1, 4.1], [("rise 0->2", "caution"), ("rise 2->4", "danger")]),
    ],
)
def test_two_levels_of_one_rank(what: str, values: list[float], expected: list[tuple[str, str]]) -> None:
    """The level of turning out (出動水位) has the rank of caution: each of the two is told, the rank stays."""
    gauge = Gauge(*TWO_OF_RANK_2)
    gauge.story(*values)
    assert [(say(t), t.level) for t in gauge.transitions] == expected, what
    assert all(t.rings for t in gauge.transitions)


def test_not_evaluated_counts_as_good() -> None:
    """A channel without spans alarms too."""
    assert Gauge(*ALL_FIVE).observe(0, 4.2, Flag.NOT_EVALUATED) == ["rise 0->4"]


def test_what_a_transition_says() -> None:
    """A transition names place, channel, episode, time and value of the observation that decided."""
    gauge = Gauge(*ALL_FIVE)
    gauge.observe(0.5, 4.25)
    (t,) = gauge.transitions
    assert (t.tenant, t.station, t.channel, t.value, t.at_ms) == (
        "kagawa",
        "kamogawa",
        "water_level",
        4.25,
        T0 + 30_000,
    )
    assert t.episode == "kamogawa.20251124T160030.000Z"
    assert t.key == f"kagawa/kamogawa.20251124T160030.000Z/water_level/rise-0-4/{T0 + 30_000}"


def test_an_open_episode_is_kept() -> None:
    """A transition joins the station's open episode."""
    gauge = Gauge(*ALL_FIVE)
    o = observation(T0, 4.25)
    _, (t,) = advance(gauge.state, o, gauge.station, gauge.channel, T0, "kamogawa.of-yesterday")
    assert t.episode == "kamogawa.of-yesterday"


# --- falls ---------------------------------------------------------------------------------------------------------


def at_rank(rank: int, value: float, *marks: Threshold) -> Gauge:
    """A gauge that has stood at a rank until minute 0."""
    gauge = Gauge(*(marks or ALL_FIVE), rank=rank)
    gauge.observe(0, value)
    assert gauge.state.rank == rank
    gauge.transitions.clear()
    return gauge


@pytest.mark.parametrize(
    ("what", "times_and_values", "expected"),
    [
        ("three samples, 20 min", [(10, 3.8), (20, 3.8), (30, 3.8)], []),
        ("four samples, 30 min", [(10, 3.8), (20, 3.8), (30, 3.8), (40, 3.8)], ["fall 4->3"]),
        ("two samples, 30 min", [(10, 3.8), (40, 3.8)], []),
        ("three samples, 30 min", [(10, 3.8), (15, 3.8), (40, 3.8)], ["fall 4->3"]),
        ("a moment less than 30 min", [(10, 3.8), (20, 3.8), (39.99, 3.8)], []),
        ("still within the hysteresis", [(10, 3.9), (20, 3.9), (30, 3.9), (40, 3.9), (50, 3.9)], []),
        ("just below it", [(10, 3.899), (20, 3.899), (30, 3.899), (40, 3.899)], ["fall 4->3"]),
        ("rising at the end", [(10, 3.7), (20, 3.7), (30, 3.7), (40, 3.8)], []),
        ("and still within the half hour", [(10, 3.7), (20, 3.7), (30, 3.7), (40, 3.8), (50, 3.8), (60, 3.8)], []),
        ("and no longer rising",
         [(10, 3.7), (20, 3.7), (30, 3.7), (40, 3.8), (50, 3.8), (60, 3.8), (70, 3.8)], ["fall 4->3"]),
        ("a centimetre of waves is no rise",
         [(10, 3.80), (20, 3.79), (30, 3.80), (40, 3.79), (50, 3.80)], ["fall 4->3"]),
        ("a return above it begins anew", [(10, 3.8), (20, 3.8), (30, 3.95), (40, 3.8), (50, 3.8), (60, 3.8)], []),
        ("a new rise begins anew", [(10, 3.8), (20, 3.8), (30, 5.1), (40, 3.8), (50, 3.8), (60, 3.8)], ["rise 4->5"]),
        ("a deep fall goes as low as every sample allows",
         [(10, 1.5), (20, 1.5), (30, 1.5), (40, 1.5)], ["fall 4->1"]),
        ("one low sample does not clear all", [(10, 3.8), (20, 3.8), (30, 3.8), (40, 0.0)], ["fall 4->3"]),
        ("the lower ranks follow in their own time",
         [(10, 3.8), (20, 3.8), (30, 3.8), (40, 0.0), (50, 0.0), (60, 0.0), (70, 0.0), (80, 0.0)],
         ["fall 4->3", "fall 3->0"]),
        ("a fault between does not count", [(10, 3.8), (15, None), (20, 3.8), (25, None), (39, 3.8)], []),
    ],
)  # fmt: skip
def test_fall(what: str, times_and_values: list[tuple[float, float | None]], expected: list[str]) -> None:
    """A rank is left after three good samples and 30 minutes below its floor, the last not rising."""
    gauge = at_rank(4, 4.2)
    assert [text for minute, value in times_and_values for text in gauge.observe(minute, value)] == expected, what


def test_suspect_samples_do_not_lower() -> None:
    """Only good samples count towards a fall."""
    gauge = at_rank(4, 4.2)
    assert [t for m in (10, 20, 30, 40, 50) for t in gauge.observe(m, 3.5, Flag.SUSPECT)] == []
    assert gauge.state.rank == 4


def test_fall_within_the_ayagawas_5_cm() -> None:
    """From danger to evacuation at 3.97, 3 cm below danger; from there on at 3.84."""
    gauge = at_rank(4, 4.02, *AYAGAWA)
    assert gauge.story(3.98, 3.98, 3.98, 3.98, 3.98, start=10) == []
    assert gauge.story(3.97, 3.97, 3.97, 3.97, start=60) == ["fall 4->3"]
    assert gauge.story(3.86, 3.86, 3.86, 3.86, 3.86, start=100) == []
    assert gauge.story(3.84, 3.84, 3.84, 3.84, start=150) == ["fall 3->2"]


def test_low_ranks_fall_quietly() -> None:
    """The end of rank 1 rings as little as its beginning; the end of rank 2 does."""
    assert at_rank(1, 1.2).story(0.5, 0.5, 0.5, 0.5, start=10) == ["fall 1->0 quiet"]
    assert at_rank(2, 2.2).story(0.5, 0.5, 0.5, 0.5, start=10) == ["fall 2->0"]


def test_a_level_that_waves_around_a_threshold_rings_once() -> None:
    """Between threshold and floor nothing happens, however often the threshold is crossed."""
    gauge = Gauge(*AYAGAWA)
    assert gauge.story(*[3.96, 3.93, 3.97, 3.94] * 12) == ["rise 0->3"]


# --- suspect values ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "first", "second"),
    [
        (0.5, [], []),
        (1.5, [], ["rise 0->1 quiet"]),
        (2.5, [], ["rise 0->2"]),
        (3.5, ["rise 0->3 unconfirmed quiet"], []),
        (4.5, ["rise 0->4 unconfirmed"], []),
        (39.33, ["rise 0->5 unconfirmed"], []),
    ],
)
def test_suspect_values(value: float, first: list[str], second: list[str]) -> None:
    """A suspect sample never raises to rank 3 or more: that is told, once, and rings from rank 4 on. Two raise to a
    lower rank as good ones do."""
    gauge = Gauge(*ALL_FIVE)
    assert gauge.observe(0, value, Flag.SUSPECT) == first
    assert gauge.observe(10, value, Flag.SUSPECT) == second
    assert gauge.state.rank == (rank_of(value, ALL_FIVE) if value < 3 else 0)


def test_a_clock_that_was_never_set_claims_and_confirms_nothing() -> None:
    """Whatever its flag says: when it was is not known. It claims, and the next dated sample decides."""
    gauge = Gauge(*ALL_FIVE)
    assert gauge.observe(0, 4.5, clk=ClockState.UNSYNCED) == ["rise 0->4 unconfirmed"]
    assert gauge.observe(10, 4.5, clk=ClockState.UNSYNCED) == []
    assert gauge.observe(20, 4.5) == ["rise 0->4"]


def test_a_higher_suspicion_is_told() -> None:
    """Doubt that grows is told again, doubt that shrinks is not."""
    gauge = Gauge(*ALL_FIVE)
    assert gauge.observe(0, 3.5, Flag.SUSPECT) == ["rise 0->3 unconfirmed quiet"]
    assert gauge.observe(10, 5.5, Flag.SUSPECT) == ["rise 0->5 unconfirmed"]
    assert gauge.observe(20, 4.5, Flag.SUSPECT) == []


@pytest.mark.parametrize(
    ("what", "claim", "value", "expected", "rank"),
    [
        ("it is confirmed", 4.5, 4.4, ["rise 0->4"], 4),
        ("a lower danger is confirmed", 4.5, 3.4, ["rise 0->3"], 3),
        ("it is refuted", 4.5, 0.5, ["fall 4->0 unconfirmed"], 0),
        ("it is refuted, and the first sample of rank 2", 4.5, 2.5, ["fall 4->0 unconfirmed"], 0),
        ("what never rang is refuted quietly", 3.5, 0.5, ["fall 3->0 unconfirmed quiet"], 0),
    ],
)
def test_a_good_sample_decides(what: str, claim: float, value: float, expected: list[str], rank: int) -> None:
    """The next good sample confirms an unconfirmed rank by a rise, or refutes it, which is told to whom it was told."""
    gauge = Gauge(*ALL_FIVE)
    gauge.observe(0, claim, Flag.SUSPECT)
    assert gauge.observe(10, value) == expected, what
    assert (gauge.state.rank, gauge.state.unconfirmed) == (rank, 0)


def test_doubt_above_a_confirmed_rank() -> None:
    """A good sample at the confirmed rank refutes what was claimed above it."""
    gauge = at_rank(4, 4.2)
    assert gauge.observe(10, 5.5, Flag.SUSPECT) == ["rise 4->5 unconfirmed"]
    assert gauge.observe(20, 4.3) == ["fall 5->4 unconfirmed"]
    assert gauge.state.rank == 4


@pytest.mark.parametrize("value", [4.5, 39.33, -20.0])
def test_failed_values_raise_and_lower_nothing(value: float) -> None:
    """A value outside the sensor's span is no level."""
    assert [t for m in range(0, 60, 10) for t in Gauge(*ALL_FIVE).observe(m, value, Flag.FAIL)] == []
    gauge = at_rank(2, 2.2)
    for m in range(10, 100, 10):
        gauge.observe(m, value, Flag.FAIL)
    assert (gauge.state.rank, gauge.state.value) == (2, 2.2)


# --- loss ----------------------------------------------------------------------------------------------------------
# places.TEN_MINUTES: late after 15 min; silent after 30 min, at rank >= 1 after 15 min.


def test_silence_when_calm() -> None:
    """A calm channel is late after interval and grace, silent after three intervals, and told once, without a ring."""
    gauge = Gauge(*ALL_FIVE)
    gauge.observe(0, 0.5)
    assert (gauge.tick(15), gauge.state.condition) == ([], Condition.FRESH)
    assert (gauge.tick(15.1), gauge.state.condition) == ([], Condition.LATE)
    assert (gauge.tick(30), gauge.state.condition) == ([], Condition.LATE)
    assert (gauge.tick(30.1), gauge.state.condition) == (["silent 0 quiet"], Condition.SILENT)
    assert [t for m in range(31, 2000, 13) for t in gauge.tick(m)] == []
    assert gauge.transitions[-1].at_ms == T0  # when the last observation was made
    assert gauge.transitions[-1].value == 0.5


@pytest.mark.parametrize(("rank", "value", "expected"), [(1, 1.2, "silent 1"), (2, 2.2, "held 2"), (4, 4.2, "held 4")])
def test_silence_in_a_flood(rank: int, value: float, expected: str) -> None:
    """At rank 1 and above two intervals and at most 15 minutes are silence; from rank 2 on the rank is held."""
    gauge = at_rank(rank, value)
    assert gauge.tick(15) == []
    assert gauge.tick(15.1) == [expected]
    assert (gauge.state.rank, gauge.state.held, gauge.state.condition) == (rank, rank >= 2, Condition.SILENT)
    assert [t for m in range(16, 2000, 13) for t in gauge.tick(m)] == []
    assert gauge.state.rank == rank


def test_faults_when_calm() -> None:
    """A fault shows at once, and is told once when it has lasted longer than the contract allows."""
    gauge = Gauge(*ALL_FIVE)
    gauge.observe(0, 0.5)
    assert (gauge.observe(10, None), gauge.state.condition) == ([], Condition.FAULTY)
    assert gauge.story(None, None, start=20) == []
    assert gauge.story(None, None, None, start=40) == ["faulty 0 quiet"]
    assert gauge.state.value == 0.5


@pytest.mark.parametrize("flag", [Flag.MISSING, Flag.FAIL])
def test_a_gauge_that_dies_at_the_crest(flag: Flag) -> None:
    """Faulty or limited by its span at rank 2 or more: held as soon as one report is overdue, told once, never
    lowered."""
    gauge = at_rank(4, 4.2)
    value = None if flag is Flag.MISSING else -2.0
    assert gauge.observe(10, value, flag) == []
    assert gauge.observe(20, value, flag) == ["held 4"]
    assert [t for m in range(30, 600, 10) for t in (*gauge.observe(m, value, flag), *gauge.tick(m + 1))] == []
    assert [t for m in range(600, 2000, 10) for t in gauge.tick(m)] == []  # and then silent too
    assert (gauge.state.rank, gauge.state.held, gauge.state.value) == (4, True, 4.2)


def test_a_gauge_that_never_worked() -> None:
    """A channel that has given nothing but faults since its first message is faulty after three intervals."""
    assert Gauge(*ALL_FIVE).story(None, None, None, None, None, None) == ["faulty 0 quiet"]


FLOOD = Known(support=True, raised=True, witnessed=True)


@pytest.mark.parametrize(
    ("what", "test", "flag", "value", "near", "expected"),
    [
        ("the second sensor says otherwise", "multi_variate", Flag.SUSPECT, 0.6, FLOOD, Condition.FAULTY),
        ("it moves less than its water must", "attenuated", Flag.SUSPECT, 0.6, FLOOD, Condition.FAULTY),
        ("it stands still while its neighbours rise", "neighbour", Flag.SUSPECT, 0.5, FLOOD, Condition.FAULTY),
        ("it differs from its neighbours, and moves", "neighbour", Flag.SUSPECT, 0.6, FLOOD, Condition.FRESH),
        ("it has not moved for hours", "flat_line", Flag.FAIL, 0.5, FLOOD, Condition.FAULTY),
        ("it has not moved for a while, and one stands high", "flat_line", Flag.SUSPECT, 0.5, FLOOD, Condition.FAULTY),
        ("it has not moved for a while", "flat_line", Flag.SUSPECT, 0.5, Known(support=True), Condition.FRESH),
        (
            "it has not moved for hours, and no flood is on its way",
            "flat_line",
            Flag.FAIL,
            0.5,
            Known(),
            Condition.FRESH,
        ),
        ("no flood is on its way", "multi_variate", Flag.SUSPECT, 0.6, Known(), Condition.FRESH),
        ("another test spoke", "spike", Flag.SUSPECT, 0.6, FLOOD, Condition.FRESH),
    ],
)
def test_a_gauge_that_cannot_be_right_in_a_flood(
    what: str, test: str, flag: Flag, value: float, near: Known, expected: Condition
) -> None:
    """While a flood is around, what cannot follow it is shown as faulty, not as normal."""
    gauge = Gauge(*ALL_FIVE)
    gauge.observe(0, 0.5)
    gauge.observe(10, value, flag, tests=(test,), context=Context(near), alarm=Flag.SUSPECT)
    assert gauge.state.condition == expected, what


@pytest.mark.parametrize("test", ["flat_line", "attenuated"])
@pytest.mark.parametrize(("hazard", "condition"), [("tide", Condition.FAULTY), ("river", Condition.FRESH)])
def test_the_sea_never_stands_still(hazard: Hazard, condition: Condition, test: str) -> None:
    """Of a river it may be true that nothing moves for hours; a gauge of the tide is stuck, flood or none, until it
    moves again."""
    gauge = Gauge(*ALL_FIVE)
    gauge.station = replace(gauge.station, hazard=hazard)
    gauge.observe(0, 0.5)
    gauge.observe(10, 0.5, Flag.SUSPECT, tests=(test,))
    assert gauge.state.condition == condition
    gauge.observe(20, 0.52)
    assert gauge.state.condition == Condition.FRESH


def test_restored() -> None:
    """Data after a loss are told quietly, once; then the ordinary rules hold again."""
    gauge = at_rank(4, 4.2)
    gauge.tick(20)
    assert gauge.observe(60, 4.1) == ["restored 4 quiet"]
    assert (gauge.state.held, gauge.state.lost, gauge.state.condition) == (False, False, Condition.FRESH)
    assert gauge.observe(70, 4.1) == []
    gauge.tick(90)
    assert gauge.observe(100, 5.1) == ["restored 4 quiet", "rise 4->5"]


def test_a_loss_does_not_count_as_time_below() -> None:
    """After a loss a fall needs its three samples and 30 minutes again."""
    gauge = at_rank(4, 4.2)
    gauge.story(3.8, 3.8, start=10)
    gauge.tick(60)
    assert gauge.story(3.5, start=300) == ["restored 4 quiet"]
    assert gauge.story(3.5, 3.5, start=310) == []
    assert gauge.story(3.5, start=330) == ["fall 4->3"]


def test_a_short_fault_is_forgotten() -> None:
    """A fault between two values rings nothing and leaves nothing behind."""
    gauge = at_rank(2, 2.2)
    assert gauge.story(None, 2.2, None, 2.2, None, 2.2, start=10) == []
    assert gauge.state.condition is Condition.FRESH


def test_a_slow_reporter_is_not_silent_before_it_is_late() -> None:
    """A contract whose interval and grace exceed 15 minutes is not silent in between."""
    gauge = Gauge(*ALL_FIVE, contract=Contract(900.0, 600.0), rank=2)
    gauge.observe(0, 2.2)
    assert gauge.tick(25) == []
    assert gauge.tick(25.1) == ["held 2"]


# --- listening -----------------------------------------------------------------------------------------------------


def test_silence_is_judged_only_after_listening() -> None:
    """A bridge that has just subscribed knows nothing: unknown until interval and grace have passed, silent then."""
    gauge = at_rank(2, 2.2)
    assert (gauge.tick(600, subscribed=595), gauge.state.condition) == ([], Condition.UNKNOWN)
    assert (gauge.tick(610, subscribed=595), gauge.state.condition) == ([], Condition.UNKNOWN)
    assert (gauge.tick(610.1, subscribed=595), gauge.state.condition) == (["held 2"], Condition.SILENT)


def test_an_unsubscribed_bridge_judges_nothing() -> None:
    """While the connection is down no channel becomes silent."""
    gauge = at_rank(2, 2.2)
    assert [t for m in range(10, 1000, 50) for t in gauge.tick(m, subscribed=None)] == []
    assert gauge.state.condition is Condition.UNKNOWN
    assert gauge.observe(1000, 2.2) == []
    assert gauge.state.condition is Condition.FRESH


def test_a_channel_never_heard_of() -> None:
    """A channel is unknown from the beginning, and silent when nothing came for three intervals of listening."""
    gauge = Gauge(*ALL_FIVE)
    assert gauge.state.condition is Condition.UNKNOWN
    assert (gauge.tick(15, subscribed=0), gauge.state.condition) == ([], Condition.UNKNOWN)
    assert gauge.tick(30, subscribed=0) == []
    assert gauge.tick(30.1, subscribed=0) == ["silent 0 quiet"]
    assert gauge.transitions[-1].value is None


def test_a_fresh_channel_stays_fresh_across_a_restart() -> None:
    """What is younger than interval and grace needs no listening."""
    gauge = at_rank(2, 2.2)
    assert (gauge.tick(14, subscribed=13.9), gauge.state.condition) == ([], Condition.FRESH)


# --- late and disordered data --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "value", "flag", "age", "expected"),
    [
        ("in time", 2.5, Flag.GOOD, 15, ["rise 0->2"]),
        ("late and low", 2.5, Flag.GOOD, 15.1, []),
        ("late, of rank 3", 3.5, Flag.GOOD, 15.1, ["rise 0->3"]),
        ("late, of rank 4, half an hour old", 4.5, Flag.GOOD, 30, ["rise 0->4"]),
        ("older than that", 4.5, Flag.GOOD, 30.1, []),
        ("late and suspect", 4.5, Flag.SUSPECT, 20, ["rise 0->4 unconfirmed"]),
        ("late, suspect and old", 4.5, Flag.SUSPECT, 31, []),
        ("late and failed", 11.0, Flag.FAIL, 20, []),
    ],
)
def test_late_data(what: str, value: float, flag: Flag, age: float, expected: list[str]) -> None:
    """Data older than interval and grace advance nothing, but half an hour old they may still raise to rank 3."""
    gauge = Gauge(*ALL_FIVE)
    before = gauge.observe(0, value, flag, arrives=age)
    assert [*before, *gauge.observe(5, value, flag, arrives=5 + age)] == expected, what


def test_late_data_lower_nothing() -> None:
    """Backlog of a whole recession does not clear an alarm."""
    gauge = at_rank(4, 4.2)
    assert [t for m in range(10, 200, 10) for t in gauge.observe(m, 0.5, arrives=300)] == []
    assert gauge.state.rank == 4


def test_late_data_do_not_end_silence() -> None:
    """A silent channel whose backlog arrives stays silent until something fresh comes."""
    gauge = Gauge(*ALL_FIVE)
    gauge.observe(0, 0.5)
    gauge.tick(40)
    assert gauge.observe(10, 0.6, arrives=41) == []
    assert gauge.state.condition is Condition.SILENT
    assert gauge.observe(40, 0.6, arrives=42) == ["restored 0 quiet"]


def test_late_danger_of_a_lost_channel_is_held() -> None:
    """A rank that only backlog has reached while the channel is silent is held like any other."""
    gauge = Gauge(*ALL_FIVE)
    gauge.observe(0, 0.5)
    gauge.tick(40)
    assert gauge.observe(20, 4.2, arrives=45) == ["rise 0->4"]
    assert (gauge.state.held, gauge.state.condition) == (True, Condition.SILENT)


def test_out_of_order() -> None:
    """An observation that is not newer than the newest changes nothing, whatever it says; at most it is kept for what
    will be told of a gap."""
    gauge = at_rank(2, 2.2)
    before = gauge.state
    for minute, value in ((0, 5.5), (-10, 5.5), (-1000, 0.0), (0, None)):
        assert gauge.observe(minute, value, arrives=1) == []
        assert msgspec.structs.replace(gauge.state, gap=before.gap) == before


# --- what people are shown beside it -------------------------------------------------------------------------------


def test_the_state_stays_small() -> None:
    """A state is written as JSON of at most 1.2 KB and comes back as it was, however much has befallen the channel."""
    gauge = Gauge(*ALL_FIVE, rise=2.0, fall=1.0)
    gauge.episode = "open"
    for i in range(40):
        gauge.observe(10 * i, 1.234567891 + i / 17)
    gauge.observe(410, 4.9, Flag.SUSPECT)
    gauge.observe(900, 9.876543219)
    gauge.observe(910, 1.234567891)
    gauge.observe(920, 9.876543219)
    gauge.revise(*thresholds(caution=2.5, danger=4.2, overflow=5.0))
    gauge.observe(930, 9.876543219)
    for minute in (500, 510, 520):
        gauge.observe(minute, 5.123456789, arrives=931)
    full = dict.fromkeys(("below_since_ms", "lost_ms", "lost_seen_ms", "rung_ms", "since_ms"), 1764000000000)
    state = msgspec.structs.replace(gauge.state, held=True, lost=True, log="7d1f9c2ab4e0", seq=2**40, **full)
    assert state.gap is not None
    assert state.gap.best
    assert len(state.recent) == RECENT
    text = msgspec.json.encode(state)
    assert len(text) <= 1200
    assert msgspec.json.decode(text, type=ChannelState) == state


def test_a_calm_state_is_smaller() -> None:
    """What has its default is not written."""
    gauge = Gauge(*ALL_FIVE)
    gauge.story(*[0.5] * 40)
    assert len(msgspec.json.encode(gauge.state)) < 550


def test_states_of_earlier_versions() -> None:
    """A state as version 0.2 wrote it goes on: its rank stands, and what it does not know has its default."""
    text = (
        '{"rank":4,"unconfirmed":0,"held":true,"lost":true,"condition":"silent","last_ms":1763999400000,'
        '"usable_ms":1763999400000,"value":4.2,"flag":1,"pending_rank":0,"pending":0,"below":0,"below_since_ms":0,'
        '"below_top":0.0,"recent":[[1763998800000,4.1],[1763999400000,4.2]],"log":"7d1f9c2ab4e0","seq":17}'
    )
    gauge = Gauge(*ALL_FIVE, rise=1.2, fall=1.2)
    gauge.state = msgspec.json.decode(text, type=ChannelState)
    assert gauge.observe(30, 4.3) == ["restored 4 quiet"]
    assert gauge.observe(40, 5.05) == ["rise 4->5 unconfirmed"]
    assert (gauge.state.rank, gauge.state.anchor) == (4, (T0 + 30 * MINUTE, 4.3))


# --- laws ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """Something that happens `after` minutes: an observation (a fault where value is None), or only time."""

    after: float
    kind: str
    value: float | None = None
    flag: Flag = Flag.GOOD
    delay: float = 0


STEPS = st.lists(
    st.builds(
        Step,
        st.sampled_from([0.5, 5, 10, 10, 10, 20, 40]),
        st.sampled_from(["observe", "observe", "observe", "tick"]),
        st.sampled_from([None, 0.5, 1.2, 1.95, 2.5, 2.95, 3.5, 3.95, 4.5, 5.5]),
        st.sampled_from([Flag.GOOD, Flag.GOOD, Flag.GOOD, Flag.NOT_EVALUATED, Flag.SUSPECT, Flag.FAIL]),
        st.sampled_from([0, 0, 0, 16, 29, 200]),
    ),
    max_size=40,
)


def play(steps: list[Step], gauge: Gauge | None = None) -> Gauge:
    gauge, minute = gauge or Gauge(*ALL_FIVE), 0.0
    for step in steps:
        minute += step.after
        if step.kind == "tick":
            gauge.tick(minute)
        else:
            gauge.observe(minute, step.value, step.flag, arrives=minute + step.delay)
    return gauge


@given(STEPS)
def test_the_same_story_has_the_same_keys(steps: list[Step]) -> None:
    """Keys are made of facts: a replay arrives at the same ones, and no two transitions share one."""
    first, again = play(steps), play(steps)
    assert first.transitions == again.transitions
    keys = [t.key for t in first.transitions]
    assert len(set(keys)) == len(keys)


@given(STEPS, st.floats(0, 500), st.sampled_from([None, 0.0, 3.5, 9.9]), st.sampled_from(list(Flag)))
def test_disorder_changes_nothing(steps: list[Step], back: float, value: float | None, flag: Flag) -> None:
    """After any story, a duplicate or an older observation says nothing and leaves the very state, but for what it
    shows of a gap."""
    gauge = play(steps)
    if gauge.state.last_ms is None:
        return
    o = observation(gauge.state.last_ms - round(back * MINUTE), value, flag)
    state, out = advance(gauge.state, o, gauge.station, gauge.channel, gauge.state.last_ms, None)
    assert msgspec.structs.replace(state, gap=gauge.state.gap) == gauge.state
    assert back > 0 or state is gauge.state
    assert out == []


@given(STEPS)
def test_duplicates_change_nothing(steps: list[Step]) -> None:
    """A story in which every observation comes twice is the same story."""
    twice = Gauge(*ALL_FIVE)
    minute = 0.0
    for step in steps:
        minute += step.after
        if step.kind == "tick":
            twice.tick(minute)
            continue
        for _ in range(2):
            twice.observe(minute, step.value, step.flag, arrives=minute + step.delay)
    once = play(steps)
    assert twice.transitions == once.transitions
    assert twice.state == once.state


@given(STEPS, STEPS)
def test_held_never_falls(before: list[Step], after: list[Step]) -> None:
    """While a channel is held its rank never falls; a loss, a fault or the passing of time never lowers any rank."""
    gauge, minute = play(before), sum(s.after for s in before)
    for step in after:
        minute += step.after
        was = gauge.state
        if step.kind == "tick":
            gauge.tick(minute)
        else:
            gauge.observe(minute, step.value, step.flag, arrives=minute + step.delay)
        now = gauge.state
        usable = step.kind == "observe" and step.value is not None and step.flag in (Flag.GOOD, Flag.NOT_EVALUATED)
        if now.held or (was.held and not usable) or not usable:
            assert now.rank >= was.rank
        if was.held:
            assert now.rank >= was.rank  # not even the first sample after it
        assert not now.held or now.lost


@given(STEPS)
def test_every_change_of_rank_is_told(steps: list[Step]) -> None:
    """The transitions alone lead from rank 0 to the rank of the state, each from where the last one ended."""
    gauge = play(steps)
    rank = 0
    for t in gauge.transitions:
        if t.change in (Change.RISE, Change.FALL) and t.confirmed:
            assert t.from_rank == rank
            assert (t.to_rank >= rank) == (t.change is Change.RISE)
            rank = t.to_rank
        elif t.change not in (Change.RISE, Change.FALL, Change.PAST):
            # What is held because of its rank, or of a claim of rank 4, says the claim that stood.
            unconfirmed = (
                t.change is Change.HELD and not t.confirmed and t.to_rank > rank and max(t.to_rank - 2, rank) >= 2
            )
            assert (t.from_rank, t.to_rank) == ((t.to_rank, t.to_rank) if unconfirmed else (rank, rank))
    assert gauge.state.rank == rank


# --- the real flood ------------------------------------------------------------------------------------------------

DATA = Path(os.environ.get("SUIMON_RECORDINGS", Path(__file__).parents[1].parent / "shared" / "data"))
DON = DATA / "ea_don_hadfields_stage_2007-06.csv"


def utc(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.fixture
def don() -> recordings.Recording:
    if not DON.exists():
        reason = f"recording {DON.name} is not in {DATA}"
        if os.environ.get("SUIMON_REQUIRE_SERVICES") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return recordings.read(DON)


def test_the_don_in_june_2007(don: recordings.Recording) -> None:
    """Both floods alarm in order, each threshold once: caution with its second sample, danger with its first; the
    channel is calm at the end and was never thought lost."""
    marks = thresholds(caution=2.0, danger=3.9)
    gauge = Gauge(*marks, contract=Contract(900.0, 300.0))
    limits = Limits(sensor=(-1.0, 10.0))
    for row in don.rows:
        o = observation(row.at_ms, row.value, qc.gross_range(row.value, limits))
        gauge.state, out = advance(gauge.state, o, gauge.station, gauge.channel, row.at_ms + 500, None)
        gauge.transitions += out
        gauge.state, out = tick(gauge.state, gauge.station, gauge.channel, row.at_ms + 899_000, 0, None)
        gauge.transitions += out
    rises = [(t.from_rank, t.to_rank, t.at_ms) for t in gauge.transitions if t.change is Change.RISE]
    assert rises == [
        (0, 2, utc("2007-06-15T04:15")),
        (0, 2, utc("2007-06-25T10:15")),
        (2, 4, utc("2007-06-25T14:45")),
    ]
    assert {t.change for t in gauge.transitions} == {Change.RISE, Change.FALL}
    assert (gauge.state.rank, gauge.state.condition) == (0, Condition.FRESH)


def test_the_don_without_its_peak(don: recordings.Recording) -> None:
    """Had the gauge died when its house was drowned, danger would have been held, not cleared."""
    gauge = Gauge(*thresholds(caution=2.0, danger=3.9), contract=Contract(900.0, 300.0))
    drowned = utc("2007-06-25T16:00")
    for row in don.rows:
        value = row.value if row.at_ms < drowned else None
        o = observation(row.at_ms, value)
        gauge.state, out = advance(gauge.state, o, gauge.station, gauge.channel, row.at_ms, None)
        gauge.transitions += out
    told = [say(t) for t in gauge.transitions if t.at_ms >= utc("2007-06-25T00:00")]
    assert told == ["rise 0->2", "rise 2->4", "held 4"]
    assert gauge.state == msgspec.structs.replace(gauge.state, rank=4, held=True, condition=Condition.FAULTY)


def test_episodes_are_named_by_facts() -> None:
    """The name of an episode is its station and the moment it began."""
    assert channelstate.episode_id("kamogawa", 1_764_000_000_999) == "kamogawa.20251124T160000.999Z"
