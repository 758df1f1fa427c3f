"""What the quality tests make of a series: flags at once, assessments later, and a state that survives."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import msgspec
import pytest

from gateway import quality, qualitylimits
from gateway.model import Flag, Observation
from gateway.quality import EMPTY, NOWHERE, Assessment, State, Surroundings
from gateway.qualitylimits import Attenuated, FlatLine, MultiVariate, Neighbour, QualityTests, Season, Spike
from gateway.stations import Channel, Contract, Limits
from tests import world
from tests.world import T0

GOOD, NOT_EVALUATED, SUSPECT, FAIL, MISSING = Flag.GOOD, Flag.NOT_EVALUATED, Flag.SUSPECT, Flag.FAIL, Flag.MISSING
MIN = 60_000
HOUR = 60 * MIN
DEFAULTS = qualitylimits.defaults("water_level")
SITE = Limits(sensor=(-1.0, 10.0), rise_per_h=9.0, fall_per_h=2.4)


def level(tests: QualityTests = DEFAULTS, limits: Limits = SITE, step_min: float = 10) -> Channel:
    contract = Contract(step_min * 60, step_min * 30)
    return replace(world.channel(thresholds={"caution": 2.0}), contract=contract, limits=limits, tests=tests)


@dataclass
class Played:
    """What came of a series: flags and alarm flags by time, what was assessed later, and the state."""

    state: State = EMPTY
    observations: dict[int, Observation] = field(default_factory=dict)
    later: list[Assessment] = field(default_factory=list)

    def flags(self) -> list[int]:
        return [int(o.flag) for o in self.observations.values()]

    def latest(self) -> list[int]:
        """With the assessments, in the order of time."""
        flags = {at: int(o.flag) for at, o in self.observations.items()} | {
            x.observed_ms - T0: int(x.flag) for x in self.later
        }
        return [flags[at] for at in sorted(flags)]


def play(
    series: Iterable[tuple[int, float | None]],
    channel: Channel | None = None,
    *,
    now_ms: int | None = None,
    around: Surroundings = NOWHERE,
    onto: Played | None = None,
    log: str = world.LOG,
    first_seq: int = 1,
) -> Played:
    """Each (minutes since T0 as ms, value) as it arrives: at once, or all at `now_ms`. The state goes through JSON
    between any two, as over a restart."""
    out, of = onto or Played(), channel or level()
    for seq, (at, value) in enumerate(series, first_seq):
        span = of.limits.sensor or (-1e9, 1e9)
        flag = MISSING if value is None else GOOD if span[0] <= value <= span[1] else FAIL
        o = world.observation(seq, value, observed_ms=T0 + at, log=log, flag=flag)
        now = T0 + at if now_ms is None else T0 + now_ms
        state, judged, later = quality.assess(out.state, o, of, now, now + 5 * MIN, around)
        out.state = msgspec.json.decode(msgspec.json.encode(state), type=State)
        assert out.state == state
        out.observations[at] = judged
        out.later += later
    return out


def every(minutes: float, values: Sequence[float | None], start: float = 0) -> list[tuple[int, float | None]]:
    return [(round((start + i * minutes) * MIN), v) for i, v in enumerate(values)]


def spoken(played: Played) -> list[str]:
    return [" ".join(o.tests) for o in played.observations.values()]


def test_a_spike_is_known_by_what_comes_after_it() -> None:
    """The newest value cannot be a spike yet: its flag stands, and the next value adds an assessment, by all tests."""
    played = play(every(10, [1.0, 1.0, 1.45, 1.01, 1.02]))
    assert played.flags() == [1, 1, 1, 1, 1]
    assert [(x.observed_ms - T0, x.flag, x.tests) for x in played.later] == [(20 * MIN, SUSPECT, ("spike",))]


@pytest.mark.parametrize(
    ("what", "values"),
    [
        ("a flood that rises 1.0 m and half a metre more", [0.0, 0.0, 1.0, 1.5, 1.5, 1.4]),
        ("the Toga: 1.34 m in ten minutes", [0.3, 0.3, 1.64, 1.7, 1.65]),
        ("a crest that stands for five minutes at 1 cm", [1.98, 1.99, 2.0, 2.0, 2.0, 2.0, 2.0, 1.99]),
    ],
)
def test_a_true_rise_is_not_suspect(what: str, values: list[float]) -> None:
    """Nothing of a true rise is suspect by default, at once or later."""
    played = play(every(10, values))
    assert played.latest() == [1] * len(values), what


# --- the flag for alarms


STUCK_LOW = every(10, [1.0] * 40)


def test_only_the_sensors_span_fails_a_value_for_alarms() -> None:
    """The full flag says what the manual says; for alarms a flat line of six hours is suspect, a value outside the
    sensor's span has failed."""
    stuck = list(play(STUCK_LOW).observations.values())
    assert [(o.flag, o.for_alarm) for o in (stuck[17], stuck[18], stuck[35], stuck[36])] == [
        (GOOD, GOOD),
        (SUSPECT, SUSPECT),
        (SUSPECT, SUSPECT),
        (FAIL, SUSPECT),
    ]
    beyond = play(every(10, [1.0, 11.0])).observations[10 * MIN]
    assert (beyond.flag, beyond.for_alarm) == (FAIL, FAIL)


@pytest.mark.parametrize(
    ("what", "value", "dry", "speaks"),
    [
        ("below the caution level", 1.99, None, True),
        ("at the caution level, where a crest stands still", 2.0, None, False),
        ("above it", 3.5, None, False),
        ("where the gauge has fallen dry", 0.04, 0.05, False),
        ("at the dry level", 0.05, 0.05, True),
    ],
)
def test_where_the_flat_line_speaks(what: str, value: float, dry: float | None, speaks: bool) -> None:
    """Between the dry level and the caution level."""
    channel = level(replace(DEFAULTS, dry=dry))
    assert ("flat_line" in spoken(play(every(10, [value] * 40), channel))) is speaks, what


def test_a_level_without_thresholds_is_flat_anywhere() -> None:
    """Where no caution level is known, none bounds the test."""
    channel = replace(level(), thresholds=())
    assert play(every(10, [9.0] * 40), channel).flags()[-1] == FAIL


@pytest.mark.parametrize(
    ("what", "series"),
    [
        ("a gap", every(10, [1.0] * 12) + every(10, [1.0] * 12, start=400)),
        ("one value that differs", every(10, [1.0] * 12 + [1.001] + [1.0] * 12)),
    ],
)
def test_what_ends_a_run(what: str, series: list[tuple[int, float | None]]) -> None:
    """Nobody knows what stood in a gap; and with no tolerance a millimetre is enough."""
    assert set(play(series).flags()) == {GOOD}, what


@pytest.mark.parametrize(
    ("what", "value", "expected"),
    [("the same value", 1.0, FAIL), ("another one", 1.02, GOOD)],
)
def test_what_was_stuck_before_a_gap(what: str, value: float, expected: Flag) -> None:
    """A gauge that stood still for too long and comes back with the same value after silence is stuck still."""
    series = every(10, [1.0] * 20) + every(10, [value], start=400)
    assert play(series).flags()[-2:] == [SUSPECT, expected], what


TIDE = [round(1 + 0.5 * math.sin(i / 12), 2) for i in range(60)]  # a metre in six hours, every ten minutes
SILTED = [round(1 + 0.01 * math.sin(i / 12), 3) for i in range(60)]


@pytest.mark.parametrize("measure", ["range", "std"])
@pytest.mark.parametrize(
    ("what", "before", "after", "first", "after_2_h", "after_8_h"),
    [
        ("a silted intake", SILTED, SILTED, True, True, True),
        ("one that was cleaned meanwhile", SILTED, TIDE, True, False, False),
        ("a good one that silts up in the gap", TIDE, SILTED, False, False, True),
    ],
)
def test_silence_cures_no_gauge(
    measure: Literal["range", "std"],
    what: str,
    before: list[float],
    after: list[float],
    first: bool,
    after_2_h: bool,
    after_8_h: bool,
) -> None:
    """What was said of the signal before a gap stands until it has moved by as much as it must, or the window is full
    again; a gauge of which nothing was said is not judged before."""
    tests = replace(DEFAULTS, flat_line=None, attenuated=Attenuated(measure, 7 * 3600, 0.1))
    played = play(every(10, before) + every(10, after, start=1200), replace(level(tests), thresholds=()))
    told = ["attenuated" in tests for tests in spoken(played)[len(before) :]]
    assert (told[0], told[12], told[48]) == (first, after_2_h, after_8_h), what


def test_a_fault_and_a_failed_value_stand_in_no_line() -> None:
    """Nothing is judged by -99 or by a fault: who returns from it is not falling, and no spike is beside it."""
    assert play(every(10, [1.0, 1.0, 99.0, 1.0, None, 1.0, 1.0])).latest() == [1, 1, 4, 1, 9, 1, 1]


def test_the_return_from_a_wild_value_is_not_suspect() -> None:
    """A value that came too fast is suspect; the next one is measured from what was before it, too."""
    tests = replace(DEFAULTS, spike=None)
    assert play(every(10, [1.0, 1.0, 4.0, 1.0, 1.0]), level(tests)).flags() == [1, 1, 3, 1, 1]
    assert play(every(10, [1.0, 4.0, 8.0, 8.1]), level(tests)).flags() == [1, 3, 3, 1]


def test_neighbours_in_time() -> None:
    """After a gap neither side of it is a neighbour of a spike."""
    assert play(every(10, [1.0, 1.0]) + every(10, [1.6, 1.0], start=60)).later == []


# --- late data, and clocks that were put back


def test_backlog_is_a_line_of_its_own() -> None:
    """An outage of two hours that arrives afterwards is judged in its own order, and the newest value as if nothing
    had come."""
    live = every(10, [1.0, 1.0, 1.0]) + every(10, [1.2, 1.2], start=180)
    played = play(live)
    before = played.state.live
    backlog = every(10, [1.0, 1.0, 1.6, 1.0, 4.4, 1.0, 1.1], start=30)
    play(backlog, now_ms=200 * MIN, onto=played, first_seq=100)
    assert played.state.live == before
    latest = dict(zip(sorted(played.observations), played.latest(), strict=True))
    assert [latest[at] for at, _ in backlog] == [1, 1, 3, 1, 4, 1, 1]
    assert played.observations[70 * MIN].tests == ("rate_of_change",)
    play(every(10, [1.2], start=200), onto=played)
    assert played.flags()[-1] == GOOD


def test_backlog_newest_first() -> None:
    """Packs that go back begin a line anew: what is not known judges nothing."""
    played = play(every(10, [1.0, 1.0]) + every(10, [1.0], start=300))
    for start in (250, 200, 150):
        play(every(10, [1.0, 1.6, 1.0], start=start), now_ms=310 * MIN, onto=played, first_seq=start)
    assert [(x.observed_ms - T0) // MIN for x in played.later] == [260, 210, 160]


def test_one_row_that_was_overtaken() -> None:
    """A row that comes after its successor is judged by both neighbours at once."""
    played = play(every(10, [1.0, 1.0]) + every(10, [1.0], start=30))
    play(every(10, [1.6], start=20), now_ms=31 * MIN, onto=played, first_seq=3, log="another")
    late = played.observations[20 * MIN]
    assert (late.flag, late.tests, played.later) == (SUSPECT, ("spike",), [])


def test_a_taken_time_is_not_judged_by_others() -> None:
    """A second observation of the same moment leaves no trace: nothing could tell the two apart later."""
    played = play(every(10, [1.0, 1.0, 1.0]))
    before = played.state
    play([(20 * MIN, 8.0)], onto=played, log="another")
    assert (played.state, played.later) == (before, [])


def test_a_clock_that_was_put_back_begins_anew() -> None:
    """What was read later, by the numbers of its log, is newer, whatever its time says."""
    played = play(every(10, [1.0, 1.0, 1.0], start=600))
    play([(0, 5.0)], onto=played, first_seq=4)
    assert played.state.live.end == (T0, 5.0)
    assert played.observations[0].flag is GOOD


def test_a_time_of_the_future_is_forgotten() -> None:
    """A time that turned out to lie ahead judges nothing that comes."""
    played = play(every(10, [1.0, 1.0], start=6000), now_ms=6100 * MIN)
    play(every(10, [5.0, 5.0], start=10), onto=played, log="another")
    assert played.state.live.end == (T0 + 20 * MIN, 5.0)
    assert played.flags()[-2:] == [1, 1]


# --- what stands around


@dataclass
class Town:
    """A rain gauge, and neighbours, as they were played."""

    rain: State | None = None
    near: tuple[State, ...] = ()

    def other(self, channel: str) -> State | None:
        return self.rain

    def neighbours(self) -> Sequence[State]:
        return self.near


def rising(per_h: float) -> State:
    channel = level(QualityTests(kept=True), Limits((-1e3, 1e3)))
    return play(every(10, [round(1 + per_h * i / 6, 4) for i in range(10)]), channel).state


@pytest.mark.parametrize(
    ("what", "near", "flag"),
    [
        ("a rise alone", (rising(0.0), rising(0.01)), SUSPECT),
        ("a rise with one of them", (rising(0.0), rising(0.5)), GOOD),
        ("a rise while one reports", (rising(0.0),), GOOD),
    ],
)
def test_a_rise_among_neighbours(what: str, near: tuple[State, ...], flag: Flag) -> None:
    """By default a rise of more than a metre an hour is suspect where none of two neighbours rises."""
    rise = every(10, [round(1 + 1.5 * i / 6, 2) for i in range(10)])
    assert play(rise, around=Town(near=near)).flags()[-1] == flag, what


def test_a_gauge_that_stands_still_alone() -> None:
    """Where all neighbours rise a metre an hour and this one does not move, it is suspect, below caution."""
    near = (rising(1.2), rising(2.0))
    assert spoken(play(every(10, [1.0] * 10), around=Town(near=near)))[-1] == "neighbour"
    assert spoken(play(every(10, [3.0] * 10), around=Town(near=near)))[-1] == ""


def test_a_rise_without_rain() -> None:
    """A counter of rain that does not count while the water rises."""
    tests = replace(DEFAULTS, neighbour=None, multi_variate=(MultiVariate("rain", 0.5, 1.0),))
    rise = every(10, [round(1 + 1.0 * i / 6, 2) for i in range(10)])
    assert spoken(play(rise, level(tests), around=Town(rising(0.0))))[-1] == "multi_variate"
    assert spoken(play(rise, level(tests), around=Town(rising(20.0))))[-1] == ""
    assert spoken(play(rise, level(tests), around=Town(None)))[-1] == ""


def test_order_of_the_tests() -> None:
    """Of several tests that speak the worst is the flag, and all are named once."""
    tests = replace(DEFAULTS, climatology=(Season(1, 12, (0.0, 2.0)),), attenuated=Attenuated("range", 2 * 3600, 0.01))
    played = play(every(10, [9.0] * 40), replace(level(tests), thresholds=()))
    last = list(played.observations.values())[-1]
    assert (last.flag, last.tests) == (FAIL, ("climatology", "attenuated", "flat_line"))


# --- bounds


FULL = QualityTests(
    climatology=(Season(1, 12, (0.0, 2.0)),),
    spike=Spike(0.3, 1.0),
    flat_line=FlatLine(0.5, 3 * 3600, 6 * 3600),
    attenuated=Attenuated("std", 12 * 3600, 0.001),
    multi_variate=(MultiVariate("rain", 0.5, 1.0),),
    neighbour=Neighbour(1.0, 0.03),
    kept=True,
)


@pytest.mark.parametrize("step_min", [1 / 6, 1, 10])
def test_the_state_is_bounded(step_min: float) -> None:
    """With every test, values without a grid and a backlog under way: below 1.25 kB of JSON, which leaves 0.75 kB to
    the alert's state."""
    channel, largest = level(FULL, step_min=step_min), 0
    noise = [round(1 + ((i * 7919) % 1009) / 1009 / 3, 9) for i in range(1500)]  # as fine as values are
    played = play(every(step_min, noise), channel)
    for at, v in every(step_min, noise, start=-1e4):
        play([(at, v)], channel, now_ms=1500 * 10 * MIN, onto=played, log="another")
        largest = max(largest, len(msgspec.json.encode(played.state)))
    assert largest <= 1250
