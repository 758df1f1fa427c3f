"""What backlog shows of the time in which data were missing: told once, with the peak; a higher rank is told again."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import hindsight
from gateway.channelstate import Context, Known
from gateway.model import Change, Flag
from tests.gauges import Gauge, say
from tests.places import ALL_FIVE, MINUTE, T0

FLOOD = [(20, 2.2), (30, 3.2), (40, 4.2), (50, 4.6), (60, 4.4), (70, 3.4), (80, 2.4)]


def after_a_gap(**limits: float) -> Gauge:
    """Fresh until minute 0, and again from minute 200, when the backlog begins to come."""
    gauge = Gauge(*ALL_FIVE, **limits)  # type: ignore[arg-type]
    gauge.story(0.5, 0.5, 0.5, start=-20)
    gauge.tick(40)
    gauge.observe(200, 0.8)
    gauge.transitions.clear()
    return gauge


def past(gauge: Gauge) -> list[tuple[str, float | None, float]]:
    return [(say(t), t.value, (t.at_ms - T0) / MINUTE) for t in gauge.transitions if t.change is Change.PAST]


def backlog(gauge: Gauge, rows: list[tuple[int, float]], arrives: float, flag: Flag = Flag.GOOD) -> None:
    for minute, value in rows:
        assert gauge.observe(minute, value, flag, arrives=arrives) == []


@pytest.mark.parametrize("order", [0, 1, 2, -1])
def test_the_peak_is_told_once(order: int) -> None:
    """Oldest first, newest first or mixed: one transition with the true peak, when nothing more comes."""
    rows = FLOOD[::-1] if order == -1 else random.Random(order).sample(FLOOD, len(FLOOD)) if order else FLOOD
    gauge = after_a_gap()
    backlog(gauge, rows, 201)
    assert gauge.tick(202) == []
    assert gauge.tick(204) == ["past 0->4"]
    assert past(gauge) == [("past 0->4", 4.6, 50)]
    assert (gauge.transitions[0].level, gauge.transitions[0].rings) == ("danger", True)
    backlog(gauge, rows, 205)  # all of it once more
    assert [t for m in range(206, 300) for t in gauge.tick(m) if "past" in t] == []


def test_in_pieces() -> None:
    """A piece that shows a higher rank is told, one that shows no more than people know is not."""
    gauge = after_a_gap()
    backlog(gauge, [(20, 2.2), (30, 2.4)], 201)
    assert gauge.tick(204) == ["past 0->2 quiet"]
    backlog(gauge, [(70, 2.9), (80, 2.4)], 205)
    assert gauge.tick(208) == []
    backlog(gauge, [(40, 4.2), (50, 4.6), (60, 4.4)], 210)
    assert gauge.tick(213) == ["past 0->4"]
    assert [value for _, value, _ in past(gauge)] == [2.4, 4.6]


def test_a_long_backlog_is_not_waited_for() -> None:
    """What comes for an hour without a pause is told after ten minutes."""
    gauge = after_a_gap()
    told = []
    for i in range(60):
        gauge.observe(20 + i, 4.0 + i / 1000, arrives=201 + i)
        told += [(201 + i, t) for t in gauge.tick(201 + i)]
    assert [(m, t) for m, t in told if "past" in t] == [(211, "past 0->4")]


@pytest.mark.parametrize(
    ("what", "rows", "flag"),
    [
        ("one sample alone", [(50, 4.6)], Flag.GOOD),
        ("one sample above its neighbours", [(40, 1.2), (50, 4.6), (60, 1.2)], Flag.GOOD),
        ("suspect ones", FLOOD, Flag.SUSPECT),
        ("failed ones", FLOOD, Flag.FAIL),
        ("rank 1", [(40, 1.2), (50, 1.3)], Flag.GOOD),
    ],
)
def test_what_shows_nothing(what: str, rows: list[tuple[int, float]], flag: Flag) -> None:
    """A spike, doubtful data and a low level in the backlog are in the record, and nobody is told."""
    gauge = after_a_gap()
    backlog(gauge, rows, 201, flag)
    gauge.tick(204)
    assert past(gauge) == [], what


def test_from_before_the_gap() -> None:
    """What is older than the gap is no news of it, also where it was never seen."""
    gauge = Gauge(*ALL_FIVE)
    gauge.story(0.5, 0.5, 0.5, start=-20)
    backlog(gauge, [(-15, 4.6), (-12, 4.6)], 1)
    assert gauge.tick(4) == []


def test_from_before_the_first_value() -> None:
    """A station that has just joined: its backlog shows what nobody was told of."""
    gauge = Gauge(*ALL_FIVE)
    gauge.observe(200, 0.8)
    backlog(gauge, FLOOD, 201)
    assert gauge.tick(204) == ["past 0->4"]


def test_what_people_know_already_is_not_told() -> None:
    """Danger was told, the gauge was lost and held, and the backlog shows danger: nothing new. Overflow is."""
    for values, expected in (([4.2, 4.4, 4.3], []), ([4.2, 5.1, 5.2], ["past 4->5"])):
        gauge = Gauge(*ALL_FIVE)
        gauge.story(3.8, 4.1, 4.15)
        gauge.tick(40)
        gauge.observe(200, 4.05)
        backlog(gauge, [(50 + 10 * i, v) for i, v in enumerate(values)], 201)
        assert [t for t in gauge.tick(204) if "past" in t] == expected


def test_before_anything_fresh_comes() -> None:
    """Backlog alone, while the gauge is still lost: what is half an hour old alarms, what is older is told as past."""
    gauge = Gauge(*ALL_FIVE)
    gauge.story(0.5, 0.5)
    gauge.tick(50)
    told = [t for minute, value in FLOOD[:-2] for t in gauge.observe(minute, value, arrives=90)]
    assert told == ["rise 0->4"]
    assert gauge.tick(93) == []  # danger is what people know
    gauge = Gauge(*ALL_FIVE)
    gauge.story(0.5, 0.5)
    gauge.tick(50)
    backlog(gauge, FLOOD, 300)
    assert [t for t in gauge.tick(303) if "past" in t] == ["past 0->4"]


def test_of_days_ago() -> None:
    """What passed more than a day ago is told without ringing."""
    gauge = Gauge(*ALL_FIVE)
    gauge.story(0.5, 0.5)
    gauge.observe(3000, 0.8)
    backlog(gauge, FLOOD, 3001)
    assert [t for t in gauge.tick(3004) if "past" in t] == ["past 0->4 quiet"]


@pytest.mark.parametrize(
    ("what", "rows", "expected"),
    [
        ("the water can have risen and fallen so", [(80, 2.6), (90, 3.2), (100, 3.3)], ["past 0->3"]),
        ("it cannot have risen so soon", [(20, 4.6), (30, 4.5)], ["past 0->4 unconfirmed"]),
        ("it cannot have fallen so soon", [(180, 4.6), (190, 4.6)], ["past 0->4 unconfirmed"]),
    ],
)
def test_plausible(what: str, rows: list[tuple[int, float]], expected: list[str]) -> None:
    """What the water cannot have come to, from before the gap or until after it, is told as unconfirmed."""
    gauge = after_a_gap(rise=2.0, fall=2.0)
    backlog(gauge, rows, 201)
    assert [t for t in gauge.tick(204) if "past" in t] == expected, what


def test_two_outages_of_a_day_are_one() -> None:
    """A link that comes and goes: the backlog of the first gap is told although another one came after it."""
    gauge = after_a_gap()
    gauge.observe(210, 0.8)
    gauge.observe(400, 0.8)
    backlog(gauge, FLOOD, 401)
    assert [t for t in gauge.tick(404) if "past" in t] == ["past 0->4"]


@given(st.permutations(FLOOD), st.lists(st.integers(0, 7), max_size=6), st.integers(0, 3))
def test_a_backlog_in_any_order_and_repeated(rows: list[tuple[int, float]], again: list[int], pause: int) -> None:
    """In any order, with any repeats and pauses, each rank is told at most once, and the highest in the end."""
    gauge, minute = after_a_gap(), 201.0
    for i, (at, value) in enumerate([*rows, *[rows[k % len(rows)] for k in again]]):
        gauge.observe(at, value, arrives=minute)
        minute += pause if i % 2 else 0
        gauge.tick(minute)
    gauge.tick(minute + 3)
    ranks = [t.to_rank for t in gauge.transitions if t.change is Change.PAST]
    assert ranks == sorted(set(ranks))
    assert ranks[-1] == 4
    assert ranks[0] >= hindsight.LEAST_RANK


# --- the way to what is known now ------------------------------------------------------------------------------------

CALM = Context(Known(witnessed=True))  # rain and neighbours are heard, and stand low
RISE_PER_H = 1.5


def after_a_night(*back: float) -> Gauge:
    """Nothing for ten hours, then rank 4 at once: in doubt, because the zero might be another one."""
    gauge = Gauge(*ALL_FIVE, rise=RISE_PER_H)
    gauge.story(0.5, 0.5, 0.5, start=-20)
    gauge.tick(40)
    gauge.story(*back, start=600, context=CALM)
    assert (gauge.state.rank, gauge.state.unconfirmed) == (0, 4)
    return gauge


def night(until: int = 600, jump: float = 0.0, at: int = 300) -> list[tuple[int, float]]:
    """What the device measured meanwhile: from 0.5 to 4.1 m, with a step where something happened to it."""
    return [(m, round(0.5 + (3.6 - jump) * m / 600 + (jump if m >= at else 0.0), 3)) for m in range(10, until, 10)]


def test_backlog_that_leads_to_it_makes_a_level_true() -> None:
    """The bridge was down for a night: what came first is in doubt, until the backlog shows how the water rose. The
    next sample confirms it."""
    gauge = after_a_night(4.1, 4.15)
    for minute, value in night():
        gauge.observe(minute, value, arrives=612, context=CALM)
    assert gauge.state.jumps == 0
    assert gauge.observe(620, 4.2, context=CALM) == ["rise 0->4"]
    assert (gauge.state.rank, gauge.state.unconfirmed) == (4, 0)


@pytest.mark.parametrize(
    ("what", "rows"),
    [
        ("something happened to the gauge meanwhile", night(jump=3.0)),
        ("a part of it is missing", night(until=200)),
        ("it came in another order", night()[::-1]),
        ("nothing came", []),
    ],
)
def test_backlog_that_does_not_lead_there_leaves_it_in_doubt(what: str, rows: list[tuple[int, float]]) -> None:
    """A step that no water makes, or hours without a value."""
    gauge = after_a_night(4.1, 4.15)
    for minute, value in rows:
        gauge.observe(minute, value, arrives=612, context=CALM)
    assert gauge.observe(620, 4.2, context=CALM) == [], what
    assert (gauge.state.rank, gauge.state.unconfirmed) == (0, 4), what


def test_a_jump_of_before_is_no_way() -> None:
    """What stood in the beam before the silence, and in the backlog of it, leads nowhere."""
    gauge = Gauge(*ALL_FIVE, rise=RISE_PER_H)
    gauge.story(0.5, 0.5, 4.1, 4.1, start=-20, context=CALM)
    gauge.observe(600, 4.1, context=CALM)
    for minute in range(20, 600, 10):
        gauge.observe(minute, 4.1, arrives=601, context=CALM)
    gauge.observe(610, 4.1, context=CALM)
    assert (gauge.state.rank, gauge.state.unconfirmed) == (0, 4)


def test_backlog_that_comes_first_leads_as_well() -> None:
    """Where the old data come before the new ones, the first new sample is known already."""
    gauge = Gauge(*ALL_FIVE, rise=RISE_PER_H)
    gauge.story(0.5, 0.5, 0.5, start=-20)
    gauge.tick(40)
    for minute, value in night(until=560):
        gauge.observe(minute, value, arrives=600, context=CALM)
    assert gauge.observe(600, 4.1, context=CALM) == ["restored 0 quiet", "rise 0->4"]
