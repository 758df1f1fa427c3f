"""What can have been reached: jumps and what confirms them, fast falls, above the span. Stories of one gauge at a site
where the water rises by 1.2 m an hour at most, 0.2 m in ten minutes."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.channelstate import ALONE, Context, Known, rank_of
from gateway.errors import FaultCode
from gateway.judging import confirmed
from gateway.model import Condition, Flag
from tests.gauges import Gauge
from tests.places import ALL_FIVE, AYAGAWA, thresholds

STORM = Context(Known(support=True, raised=True, witnessed=True))
RISING = Context(Known(support=True, witnessed=True))  # a neighbour rises, in low water
CALM = Context(Known(witnessed=True))  # rain and neighbours could support a rise, and do not
RATE = 1.2


def site(*values: float, context: Context = ALONE) -> Gauge:
    """A gauge that has measured these values every ten minutes until minute 0."""
    gauge = Gauge(*ALL_FIVE, rise=RATE, fall=RATE, rank=rank_of(values[-1], ALL_FIVE) if values else 0)
    for i, value in enumerate(values):
        gauge.observe(10 * (i + 1 - len(values)), value, context=context)
    assert gauge.transitions == []
    return gauge


@dataclass(frozen=True)
class Case:
    """What was measured before, then every ten minutes."""

    what: str
    before: list[float]
    then: list[float]
    expected: list[str]
    context: Context = field(default=ALONE)


CASES = [
    Case("a plausible rise needs one sample", [2.9], [3.1], ["rise 2->3"]),
    Case("the slack of 10 cm", [2.9], [3.19], ["rise 2->3"]),
    Case("a jump to rank 3 is shown", [2.5], [3.1], ["rise 2->3 unconfirmed quiet"]),
    Case("a jump to rank 4 rings", [2.5], [4.1], ["rise 2->4 unconfirmed"]),
    Case("a jump to rank 1 needs its two samples", [0.5], [1.5, 1.5], ["rise 0->1 quiet"]),
    Case("a jump to rank 2 needs its two samples", [0.5], [2.5, 2.5], ["rise 0->2"]),
    Case("a spike is refuted by the next", [2.5], [4.1, 2.6], ["rise 2->4 unconfirmed", "fall 4->2 unconfirmed"]),
    Case("after a spike of two, too", [2.5], [4.1, 4.1, 2.6], ["rise 2->4 unconfirmed", "fall 4->2 unconfirmed"]),
    Case("the real rise after a spike", [2.7], [4.5, 3.0], ["rise 2->4 unconfirmed", "rise 2->3"]),
    Case("a jump that stays rings once", [2.5], [7.4] * 12, ["rise 2->5 unconfirmed"]),
    Case("however far the plausible grows", [2.5], [4.1] * 30, ["rise 2->4 unconfirmed"]),
    Case(
        "one of rank 3 rings after half an hour",
        [2.5],
        [3.3] * 12,
        ["rise 2->3 unconfirmed quiet", "rise 2->3 unconfirmed"],
    ),
    Case("a plausible rise upon a jump", [2.5], [4.1, 4.2, 4.3, 4.4, 4.5, 4.6], ["rise 2->4 unconfirmed"]),
    Case(
        "and its next rank",
        [2.5],
        [4.7, 4.8, 4.9, 5.0],
        ["rise 2->4 unconfirmed", "rise 2->5 unconfirmed"],
    ),
    Case(
        "it comes down slowly: taken back below rank 3",
        [2.5],
        [4.1, 4.1, 4.1, 3.9, 3.6, 3.3, 3.0, 2.7],
        ["rise 2->4 unconfirmed", "fall 4->2 unconfirmed"],
    ),
    Case(
        "it waves about rank 3: told once, rings once",
        [2.5],
        [3.1, 2.95, 3.05, 2.95, 3.05, 2.95, 3.05],
        ["rise 2->3 unconfirmed quiet", "rise 2->3 unconfirmed"],
    ),
    Case(
        "a second claim within hours rings with its second sample",
        [2.5],
        [4.1, 2.5, 4.1, 4.1],
        ["rise 2->4 unconfirmed", "fall 4->2 unconfirmed", "rise 2->4 unconfirmed quiet", "rise 2->4 unconfirmed"],
    ),
    Case("a second sensor confirms", [2.5], [4.1], ["rise 2->4"], Context(second_rank=5)),
    Case("as far as it goes itself", [2.5], [5.1], ["rise 2->4", "rise 4->5 unconfirmed"], Context(second_rank=4)),
    Case("a lower second sensor does not", [2.5], [4.1], ["rise 2->4 unconfirmed"], Context(second_rank=2)),
    Case("rain and neighbours support no level", [2.5], [4.1] * 12, ["rise 2->4 unconfirmed"], STORM),
    Case("the first value of all claims", [], [4.1, 4.1, 4.2], ["rise 0->4 unconfirmed"], CALM),
    Case("and is confirmed where nobody can know", [], [4.1, 4.1, 4.2], ["rise 0->4 unconfirmed", "rise 0->4"]),
    Case(
        "until it was low",
        [],
        [4.1, 2.9, 2.9, 3.0],
        ["rise 0->4 unconfirmed", "fall 4->0 unconfirmed", "rise 0->2", "rise 2->3"],
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.what)
def test_jumps(case: Case) -> None:
    """A rank >= 3 that the water cannot have reached claims; no sample of its own confirms it."""
    gauge = site(*case.before, context=case.context)
    assert gauge.story(*case.then, start=10, context=case.context) == case.expected


def test_a_jump_two_metres_above_overflow_among_rising_neighbours() -> None:
    """The case of the real storm: 39.33, then 39.32 m for an hour while the neighbours truly rise, and 2.87 m down in
    70 minutes. It rings once, unconfirmed, and nothing of it is ever confirmed."""
    gauge = Gauge(*AYAGAWA, rise=RATE, fall=RATE)
    gauge.story(*[2.0 + i / 20 for i in range(8)], start=-70, context=STORM)
    high = [6.46, 6.45, 6.45, 6.46, 6.45, 6.45, 6.45]
    down = [6.45 - 0.41 * i for i in range(1, 8)]  # 3.58 m at its end
    told = gauge.story(*high, *down, start=10, context=STORM)
    assert told == ["rise 0->5 unconfirmed", "fall 5->0 unconfirmed"]
    assert gauge.state.rank == 0
    assert gauge.story(2.6, 2.6, start=150, context=STORM) == []
    assert all(not t.confirmed for t in gauge.transitions if t.to_rank >= 3 or t.from_rank >= 3)


def test_after_a_long_silence_nothing_is_known() -> None:
    """What comes after six hours without a value claims, as the first of all does; a rank that stood is no claim."""
    gauge = site(2.5)
    assert gauge.observe(7 * 60, 4.1, context=CALM) == ["rise 2->4 unconfirmed"]
    assert gauge.story(4.1, 4.1, start=7 * 60 + 10, context=CALM) == []
    gauge = site(3.9, 4.05)
    assert gauge.observe(7 * 60, 4.3) == []
    assert (gauge.state.rank, gauge.state.unconfirmed) == (4, 0)
    assert gauge.observe(7 * 60 + 10, 5.1) == ["rise 4->5 unconfirmed"]


def test_hours_of_silence_within_which_it_can_have_risen() -> None:
    """The first sample after two hours counts by what the water can have risen since."""
    assert site(2.5).observe(120, 4.8) == ["rise 2->4"]
    assert site(2.5).observe(120, 5.1) == ["rise 2->5 unconfirmed"]


def test_a_gauge_that_was_moved() -> None:
    """A low level that stands for three days is taken as the level; before that what rises from it only claims."""
    for hours, expected in ((24, ["rise 2->3 unconfirmed quiet"]), (80, ["rise 2->3"])):
        gauge = site(0.3, 0.4)
        for i in range(1, hours * 6):
            gauge.observe(10 * i, 1.8)
        last = hours * 60
        values = [1.8 + i * 0.2 for i in range(8)]
        told = [t for t in gauge.story(*values, start=last) if "->3" in t]
        assert told == expected, hours


@pytest.mark.parametrize(("around", "told"), [(STORM, "rise 2->3"), (RISING, "rise 2->3 unconfirmed quiet")])
def test_supported_by_high_neighbours_a_low_jump_ends(around: Context, told: str) -> None:
    """Where rain or a neighbour stands above its first threshold, a jump below rank 3 is believed once it is plausible;
    a neighbour that only rises says nothing of a level."""
    gauge = site(1.5, 1.6)
    gauge.story(2.2, 2.3, 2.4, 2.5, 2.5, 2.5, start=10, context=around)
    assert (gauge.state.jumps == 0) is (around is STORM)
    assert gauge.story(2.7, 2.9, 3.05, start=70, context=around) == [told]


def test_a_person_confirms() -> None:
    """After a person's word the level is built upon: a plausible rise from it is confirmed."""
    gauge = site(2.5)
    gauge.story(4.1, 4.1, start=10)
    gauge.state = confirmed(gauge.state)
    assert (gauge.state.rank, gauge.state.unconfirmed, gauge.state.jumps) == (4, 0, 0)
    assert gauge.story(4.3, 4.5, 4.7, 4.9, 5.05, start=30) == ["rise 4->5"]


SUSPECT_CASES = [
    ("alone nothing confirms it", ALONE, [3.1, 3.2, 3.3], ["rise 2->3 unconfirmed quiet"]),
    ("supported, by the second", STORM, [3.1, 3.2], ["rise 2->3 unconfirmed quiet", "rise 2->3"]),
    ("not a jump", STORM, [4.1, 4.2, 4.3], ["rise 2->4 unconfirmed"]),
]


@pytest.mark.parametrize(("what", "context", "values", "expected"), SUSPECT_CASES)
def test_suspect_rises(what: str, context: Context, values: list[float], expected: list[str]) -> None:
    """A rise that is suspect only by its flag is confirmed by a second sample where rain or a neighbour supports it."""
    gauge = site(2.9)
    told = [t for i, v in enumerate(values) for t in gauge.observe(10 * (i + 1), v, Flag.SUSPECT, context=context)]
    assert told == expected, what


def test_a_jump_that_was_suspect_at_first_stays_a_jump() -> None:
    """That a quality test spoke for an hour and then no more makes the level no truer."""
    gauge = site(2.5)
    for i in range(1, 8):
        gauge.observe(10 * i, 4.1, Flag.SUSPECT)
    assert gauge.story(4.1, 4.1, 4.1, start=80) == []
    assert (gauge.state.rank, gauge.state.unconfirmed) == (2, 4)


# --- fast falls ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "values", "expected"),
    [
        ("as fast as the site can", [4.1, 3.9, 3.7, 3.5], []),
        ("one low sample may be a spike", [2.9, 4.2, 4.2], []),
        ("the second is told", [2.9, 2.8], ["fast_fall 4"]),
        ("once", [2.9, 2.8, 2.7, 2.6, 2.5, 2.5, 2.5, 2.5, 2.5], ["fast_fall 4"]),
        ("and is told again after it was back", [2.9, 2.8, 4.2, 2.9, 2.8], ["fast_fall 4", "fast_fall 4"]),
        ("a fault between changes nothing", [2.9, None, 2.8], ["fast_fall 4"]),
    ],
)
def test_fast_fall(what: str, values: list[float | None], expected: list[str]) -> None:
    """A fall from above danger faster than the site's recession is told, and is not a lower rank."""
    gauge = Gauge(*ALL_FIVE, rise=RATE, fall=RATE, rank=4)
    gauge.observe(0, 4.2)
    assert gauge.story(*values, start=10) == expected, what
    assert gauge.state.rank == 4


def test_a_fast_fall_below_danger_is_a_fall() -> None:
    """Only what stood above danger may be a breach."""
    gauge = Gauge(*ALL_FIVE, rise=RATE, fall=RATE, rank=3)
    gauge.observe(0, 3.5)
    assert gauge.story(1.5, 1.4, 1.4, 1.3, start=10) == ["fall 3->1"]


def test_a_fast_fall_rings_and_names_danger() -> None:
    """With the value it fell to, and the level that it stood above."""
    gauge = Gauge(*ALL_FIVE, fall=RATE, rank=4)
    gauge.story(4.2, 2.9, 2.8)
    (t,) = gauge.transitions
    assert (t.rings, t.level, t.value, t.from_rank, t.to_rank) == (True, "danger", 2.8, 4, 4)


# --- above the span (the sensor of `places` ends at 10 m) ------------------------------------------------------------


HIGH = thresholds(caution=9.0, danger=9.85, overflow=9.9)


@pytest.mark.parametrize(
    ("what", "rank", "before", "expected"),
    [
        ("calm and at rest", 0, [8.9, 8.9, 8.9, 8.9], []),
        ("calm and rising", 0, [8.4, 8.6, 8.8, 8.9], []),
        ("rising so that it can be there", 0, [8.4, 8.7, 8.95, 9.45], ["rise 0->5 unconfirmed"]),
        ("at rank 2 and at rest", 2, [9.8, 9.8, 9.8, 9.8], ["rise 2->5 unconfirmed"]),
        ("from far below it can be no water", 2, [9.0, 9.0, 9.0, 9.0], []),
        ("at the highest rank there is nothing to add", 5, [9.95, 9.95, 9.95, 9.95], []),
    ],
)
@pytest.mark.parametrize("fault", [False, True])
def test_above_the_span(what: str, rank: int, before: list[float], expected: list[str], fault: bool) -> None:
    """Above what the sensor can measure, by its value or by its word, the rank of the top of its span is claimed where
    the water rose or was high, and can have got there; else it is a fault like another."""
    gauge = Gauge(*HIGH, rise=3.0, rank=rank)
    assert gauge.story(*before, start=-30) == []

    def over(minute: float) -> list[str]:
        if fault:
            return gauge.observe(minute, None, fault=FaultCode.ABOVE_SPAN)
        return gauge.observe(minute, 10.4, Flag.FAIL)

    assert over(10) == expected, what
    assert (gauge.state.rank, gauge.state.condition) == (rank, Condition.FAULTY)
    assert not [t for m in (20, 30, 40) for t in over(m) if t.startswith("rise")]


def test_who_was_rung_for_the_span_is_not_rung_again_because_it_is_held() -> None:
    """One phone call: the water is above what the gauge can measure."""
    gauge = Gauge(*HIGH, rise=3.0, rank=2)
    gauge.story(9.6, 9.7)
    told = [t for m in (20, 30, 40, 50) for t in gauge.observe(m, None, fault=FaultCode.ABOVE_SPAN)]
    assert told == ["rise 2->5 unconfirmed", "held 5 unconfirmed quiet"]


def test_below_the_span_nothing_is_claimed() -> None:
    """A sensor that stands dry says so by a fault of its own."""
    gauge = Gauge(*HIGH, rank=2)
    gauge.story(9.6, 9.7)
    assert gauge.observe(20, -3.0, Flag.FAIL) == []
    assert gauge.observe(30, None, fault=FaultCode.BELOW_SPAN) == ["held 2"]


# --- laws ----------------------------------------------------------------------------------------------------------


@given(st.lists(st.floats(0, 9), min_size=1, max_size=40), st.floats(3.0, 9.0), st.booleans())
def test_a_stuck_gauge_is_never_confirmed(before: list[float], stuck: float, support: bool) -> None:
    """Whatever a calm river did before, a gauge that jumps to one high value and stays there confirms no rank >= 3."""
    calm = [0.3 + v / 100 for v in before]  # within 9 cm
    gauge = site(*calm)
    gauge.story(*[stuck] * 60, start=10, context=STORM if support else CALM)
    assert all(not t.confirmed for t in gauge.transitions if max(t.to_rank, t.from_rank) >= 3)
    assert sum(t.rings for t in gauge.transitions) <= 1


@given(st.lists(st.floats(0.0, 0.2), min_size=30, max_size=60))
def test_a_plausible_flood_is_confirmed_at_its_first_samples(steps: list[float]) -> None:
    """A river that rises no faster than it can is confirmed at each threshold >= 3 by the first sample above it."""
    gauge, level = site(0.5), 0.5
    for i, step in enumerate(steps):
        level = round(level + step, 3)
        gauge.observe(10 * (i + 1), level)
        expected = sum(level >= t.value for t in ALL_FIVE)
        assert gauge.state.unconfirmed == 0
        assert gauge.state.rank == expected or expected < 3
