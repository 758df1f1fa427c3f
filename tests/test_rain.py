"""Rain gauges: sums are lower bounds of what fell, whatever comes late, twice, or not at all."""

from __future__ import annotations

import random
from collections.abc import Iterable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.channelstate import ChannelState
from gateway.rain import DAY_S, MM, SLOT_S, TOLERANCE_S, Curve, Reading, State, Sum
from gateway.raingauge import SUMS, WINDOWS, Gauge, RainStep

T0 = 1_790_000_400  # a full ten minutes
COUNTER, AMOUNT = Gauge("counter"), Gauge("amount")
H = 3600


def curve(readings: Iterable[tuple[int, float]], gauge: Gauge = COUNTER, interval_s: int = 600) -> Curve:
    """After these readings (seconds since T0, mm), the state going through JSON each time."""
    state = State()
    for n, (at_s, mm) in enumerate(readings):
        state = after(state, Reading(T0 + at_s, round(mm * MM), log="a", seq=n), gauge, interval_s)
    return Curve(state, gauge, interval_s, interval_s * 1.5)


def after(state: State, r: Reading, gauge: Gauge = COUNTER, interval_s: int = 600) -> State:
    made = Curve(state, gauge, interval_s, interval_s * 1.5)
    made.take(r)
    return msgspec.json.decode(msgspec.json.encode(made.state()), type=State)


def every(step_s: int, *values: float) -> list[tuple[int, float]]:
    return [(i * step_s, v) for i, v in enumerate(values)]


DRY_DAY = [(i * 600, 100.0) for i in range(146)]  # a day and twenty minutes
AT = DRY_DAY[-1][0]


def then(*more: tuple[int, float]) -> list[tuple[int, float]]:
    """After a dry day at 100 mm: (minutes after it, mm)."""
    return [*DRY_DAY, *((AT + minutes * 60, mm) for minutes, mm in more)]


# (sentence, readings, the sums wanted: mm, complete)
COUNTS = [
    ("nothing is known of before the first reading", every(600, 7.0), {"1h": (0, False), "24h": (0, False)}),
    ("what was counted before the first reading is not rain now", every(600, 7.0, 7.5), {"10min": (0.5, True)}),
    ("a dry day is complete", DRY_DAY, {"10min": (0, True), "24h": (0, True), "continuous": (0, True)}),
    (
        "each window has its own sum",
        then((10, 101.0), (20, 103.0), (80, 103.5)),
        {"10min": (0, False), "1h": (0.5, True), "3h": (3.5, True), "24h": (3.5, True), "continuous": (3.5, True)},
    ),
    (
        "after a reset the counter's reading fell",
        then((10, 105.0), (20, 2.0)),
        {"10min": (2, True), "1h": (7, True)},
    ),
    (
        "one reading gone wrong is no reset",
        then((10, 105.0), (20, 0.0), (30, 105.5)),
        {"1h": (5.5, True)},
    ),
    (
        "a reset, and then more than before it: some of it is lost, none is made up",
        then((10, 100.5), (20, 99.0), (30, 99.5), (40, 101.0)),
        {"1h": (0.5 + 99.0 + 0.5 + 1.5, True)},
    ),
    (
        "a jump that no rain explains is left out, and the next reading goes on from before it",
        then((10, 900.0), (20, 101.0)),
        {"1h": (1.0, False)},
    ),
    (
        "a counter that was replaced goes on from its own reading",
        then((10, 900.0), (20, 900.5), (30, 902.0)),
        {"1h": (2.0, False)},
    ),
    (
        "a gap loses nothing of a counter: its whole rise is in the windows that hold the gap",
        then((120, 140.0)),
        {"1h": (0, False), "3h": (40.0, True), "24h": (40.0, True)},
    ),
    ("a gap at the same reading was dry", then((120, 100.0)), {"1h": (0, True)}),
    (
        "a reset within a gap may have hidden rain",
        then((120, 4.0)),
        {"3h": (4.0, False), "24h": (4.0, False)},
    ),
]


@pytest.mark.parametrize(("readings", "sums"), [x[1:] for x in COUNTS], ids=[x[0] for x in COUNTS])
def test_counters(readings: list[tuple[int, float]], sums: dict[str, tuple[float, bool]]) -> None:
    """A tipping bucket's counter only rises, and resets."""
    made = curve(readings)
    assert {name: (made.of(name).mm, made.of(name).complete) for name in sums} == sums


def test_a_counter_that_wraps() -> None:
    """Where it is known at what it wraps, a wrap loses nothing."""
    made = curve(then((10, 999.0), (20, 1.5)), Gauge("counter", wraps_at=1000.0))
    assert curve(every(600, 998.0, 999.0, 1.5), Gauge("counter", wraps_at=1000.0)).sum(3600).mm == 3.5
    assert made.sum(3600).mm < 1000


AMOUNTS_DAY = [(i * 600, 0.0) for i in range(146)]
AMOUNTS = [
    ("amounts add up", [*AMOUNTS_DAY, (AT + 600, 2.0), (AT + 1200, 3.5)], {"10min": (3.5, True), "1h": (5.5, True)}),
    (
        "what was not reported is missing, and the sum a lower bound",
        [*AMOUNTS_DAY, (AT + 600, 2.0), (AT + 3000, 3.0)],
        {"10min": (3.0, True), "1h": (5.0, False), "24h": (5.0, False)},
    ),
    (
        "an amount that no rain explains is as if not reported",
        [*AMOUNTS_DAY, (AT + 600, 800.0), (AT + 1200, 1.0)],
        {"1h": (1.0, False)},
    ),
    (
        "what comes late fills its place",
        [*AMOUNTS_DAY, (AT + 600, 2.0), (AT + 2400, 1.0), (AT + 1200, 4.0), (AT + 1800, 8.0)],
        {"1h": (15.0, True), "24h": (15.0, True)},
    ),
    (
        "half of a hole is still a hole",
        [*AMOUNTS_DAY, (AT + 600, 2.0), (AT + 2400, 1.0), (AT + 1200, 4.0)],
        {"1h": (7.0, False)},
    ),
    (
        "what comes again is not counted again",
        [*AMOUNTS_DAY, (AT + 600, 2.0), (AT + 1200, 3.0), (AT + 600, 2.0), (AT + 1200, 3.0), (AT, 5.0)],
        {"1h": (5.0, True)},
    ),
]


@pytest.mark.parametrize(("readings", "sums"), [x[1:] for x in AMOUNTS], ids=[x[0] for x in AMOUNTS])
def test_amounts(readings: list[tuple[int, float]], sums: dict[str, tuple[float, bool]]) -> None:
    """A gauge that reports what fell since its last reading: each reading counts once."""
    state = State()
    for at_s, mm in readings:
        state = after(state, Reading(T0 + at_s, round(mm * MM)), AMOUNT)
    made = Curve(state, AMOUNT, 600, 900)
    assert {name: (made.of(name).mm, made.of(name).complete) for name in sums} == sums


# (sentence, readings, mm now)
CONTINUOUS = [
    ("it adds up over pauses", then((10, 110.0), (200, 110.0), (300, 130.0)), 30.0),
    ("five hours and fifty minutes of no rain do not end it", then((10, 110.0), (360, 110.0)), 10.0),
    ("six hours of no rain end it", then((10, 110.0), (370, 110.0)), 0.0),
    ("and what comes then is another rain", then((10, 110.0), (200, 110.0), (370, 110.0), (380, 111.0)), 1.0),
    ("a gap in which it rained does not end it", then((10, 110.0), (900, 160.0)), 60.0),
    ("a reset does not end it", then((10, 110.0), (20, 1.0)), 11.0),
]


@pytest.mark.parametrize(("readings", "mm"), [x[1:] for x in CONTINUOUS], ids=[x[0] for x in CONTINUOUS])
def test_continuous_rain(readings: list[tuple[int, float]], mm: float) -> None:
    """Continuous rain is what fell since it was last dry for six hours."""
    assert curve(readings).continuous().mm == mm


def test_continuous_rain_of_several_days() -> None:
    """A rain longer than the day that is kept is counted whole, and ends like any other."""
    readings = [(i * 600, 100.0 + i * 0.5) for i in range(3 * 144)]
    made = curve(readings)
    assert made.continuous().mm == (len(readings) - 1) * 0.5
    assert made.sum(DAY_S).mm == 72.0
    last, top = readings[-1]
    assert curve([*readings, (last + 6 * H, top)]).continuous() == Sum(0.0, True)


def test_silence_of_an_amount_gauge_is_not_dry() -> None:
    """Six hours of missing amounts do not end a rain."""
    readings = [*AMOUNTS_DAY, (AT + 600, 20.0), (AT + 8 * H, 0.0)]
    assert curve(readings, AMOUNT).continuous().mm == 20.0
    observed = [*AMOUNTS_DAY, (AT + 600, 20.0), *((AT + 600 + i * 600, 0.0) for i in range(1, 37))]
    assert curve(observed, AMOUNT).continuous().mm == 0.0


def test_what_is_poured_in_under_maintenance_is_no_rain() -> None:
    """A gauge that is checked with water counts on from where it stood."""
    state = State()
    for at_s, mm, void in (
        (0, 10.0, False),
        (600, 10.5, False),
        (1200, 30.0, True),
        (1800, 50.0, True),
        (2400, 51, False),
    ):
        state = after(state, Reading(T0 + at_s, round(mm * MM), void=void))
    assert Curve(state, COUNTER, 600, 900).sum(3600) == Sum(1.5, False)


def test_a_clock_that_was_put_back_loses_no_rain() -> None:
    """What was counted stays counted; sums are incomplete until the doubt has passed."""
    state = State()
    for seq, (at_s, mm) in enumerate(((0, 1.0), (600, 2.0), (7200, 8.0), (1200, 9.0), (1800, 9.5))):
        state = after(state, Reading(T0 + at_s, round(mm * MM), log="a", seq=seq))
    made = Curve(state, COUNTER, 600, 900)
    assert made.newest_s == T0 + 1800
    assert made.continuous().mm == 8.5


def test_times_of_a_wrong_clock_are_forgotten() -> None:
    """What was read in the future counts as read now."""
    made = curve([*every(600, 1.0, 2.0), (90_000, 6.0)])
    made.forget_after(T0 + 1200)
    made.take(Reading(T0 + 1260, 7 * MM))
    assert (made.newest_s, made.sum(3600).mm) == (T0 + 1260, 5.0)  # and what fell before the day that is kept


# --- whatever happens --------------------------------------------------------------------------------------------


class Night:
    """A gauge with a bucket of half a millimetre through a day and a half, and what it truly caught."""

    def __init__(self, seed: int, interval_s: int, resets: int, jitter_s: int) -> None:
        rng, self.interval_s = random.Random(seed), interval_s
        self.tips = sorted(
            T0 + round(start + rng.expovariate(1) * 900)
            for start in (rng.uniform(0, 36 * H) for _ in range(rng.randrange(8)))
            for _ in range(rng.randrange(60))
        )
        self.reset_at = sorted(T0 + rng.randrange(36 * H) for _ in range(resets))
        phase = rng.randrange(interval_s)
        self.times = [T0 + phase + i * interval_s + rng.randint(0, jitter_s) for i in range(36 * H // interval_s)]

    def between(self, a: int, b: int) -> float:
        """mm in (a, b]."""
        return 0.5 * sum(a < t <= b for t in self.tips)

    def reading(self, at_s: int) -> Reading:
        since = max((r for r in self.reset_at if r <= at_s), default=T0 - DAY_S)
        return Reading(at_s, round(self.between(since, at_s) * MM))

    def increments(self) -> list[Reading]:
        before = [2 * self.times[0] - self.times[1], *self.times]
        return [Reading(b, round(self.between(a, b) * MM)) for a, b in zip(before, self.times, strict=False)]


def played(readings: Iterable[Reading], gauge: Gauge, interval_s: int) -> Curve:
    state = State()
    for r in readings:
        made = Curve(state, gauge, interval_s, interval_s * 1.5)
        made.take(r)
        state = made.state()
    return Curve(state, gauge, interval_s, interval_s * 1.5)


SEEDS = st.integers(0, 10**9)
NIGHTS = st.builds(
    Night,
    st.integers(0, 10**6),
    st.sampled_from([120, 300, 600]),
    st.integers(0, 2),
    st.sampled_from([0, 5]),
)


@settings(max_examples=30, deadline=None)
@given(NIGHTS, SEEDS, st.floats(0, 0.4), st.floats(0, 0.4))
def test_no_sum_is_more_than_what_fell(night: Night, seed: int, lost: float, late: float) -> None:
    """Whatever is lost, late or repeated: no sum exceeds what fell in its window; and what is called complete, of a
    counter that was not reset, lacks no more than one ten minutes and one interval at its beginning."""
    rng, interval_s = random.Random(seed), night.interval_s
    kept = [t for t in night.times if rng.random() >= lost]
    now = [t for t in kept if rng.random() >= late]
    again = rng.sample(kept, len(kept) // 4)
    backlog = [t for t in kept if t not in now]
    rng.shuffle(backlog)
    made = played([night.reading(t) for t in (*now, *backlog, *again)], COUNTER, interval_s)
    if made.newest_s is None:
        return
    for name, window_s in WINDOWS.items():
        found = made.of(name)
        assert found.mm <= night.between(made.newest_s - window_s - TOLERANCE_S, made.newest_s) + 1e-9, name
        if found.complete and not night.reset_at:
            least = night.between(made.newest_s - window_s + SLOT_S + 3 * interval_s, made.newest_s)
            assert found.mm >= least - 1e-9, name


@settings(max_examples=20, deadline=None)
@given(NIGHTS, SEEDS)
def test_the_order_of_arrival_makes_no_difference(night: Night, seed: int) -> None:
    """Backlog in any order, with repeats, leads to the sums of what came in order (where no reset hides in it); they
    differ by no more than the ten minutes at the beginning of a window."""
    rng, interval_s = random.Random(seed), night.interval_s
    night.reset_at = []
    readings = [night.reading(t) for t in night.times]
    first, last = readings[0], readings[-1]
    shuffled = readings[1:-1] + rng.sample(readings, len(readings) // 5)
    rng.shuffle(shuffled)
    ordered, mixed = played(readings, COUNTER, interval_s), played([first, last, *shuffled], COUNTER, interval_s)
    for name, window_s in WINDOWS.items():
        start_s = last.at_s - window_s
        edge = night.between(start_s - TOLERANCE_S, start_s + SLOT_S + 2 * interval_s)
        assert abs(ordered.of(name).mm - mixed.of(name).mm) <= edge, name


@settings(max_examples=20, deadline=None)
@given(NIGHTS, SEEDS, st.floats(0, 0.4))
def test_amounts_are_counted_once(night: Night, seed: int, late: float) -> None:
    """Amounts that come late fill their holes, repeats change nothing, and no sum exceeds what fell."""
    rng, interval_s = random.Random(seed), night.interval_s
    readings = night.increments()
    now = [r for i, r in enumerate(readings) if i in (0, len(readings) - 1) or rng.random() >= late]
    backlog = [r for r in readings if r not in now]
    rng.shuffle(backlog)
    made = played([*now, *backlog, *rng.sample(readings, len(readings) // 4)], AMOUNT, interval_s)
    assert made.newest_s is not None
    for name, window_s in WINDOWS.items():
        if window_s >= interval_s:
            start = made.newest_s - window_s - TOLERANCE_S - interval_s
            assert made.of(name).mm <= night.between(start, made.newest_s) + 1e-9, name


def test_the_state_is_bounded() -> None:
    """A day of the heaviest rain, with resets and doubts, is below 1.6 KB, and below 2 KB with the channel's own."""
    state = State(told=("first", "second", "third", "fourth"))
    value, rng = 0.0, random.Random(1)
    for i in range(400):
        value = 0.5 if i % 90 == 89 else value + 0.5 * rng.randrange(20)
        state = after(state, Reading(T0 + i * 600 + rng.randrange(30), round(value * MM), log="a" * 24, seq=10**6 + i))
    size = len(msgspec.json.encode(state))
    assert size < 1600
    recent = tuple((T0 * 1000 + i, 123.456) for i in range(13))
    assert size + len(msgspec.json.encode(ChannelState(recent=recent, log="a" * 24))) < 2600


# --- handed out, and steps --------------------------------------------------------------------------------------


def test_sums_are_handed_out_with_the_first_reading_of_each_ten_minutes() -> None:
    """Not with every reading: ten minutes are the step of every rain table of the country."""
    state, due = State(), []
    for i in range(31):
        made = Curve(state, COUNTER, 60, 90)
        made.take(Reading(T0 + i * 60, i * 500))
        if made.due():
            due.append(i)
        state = made.state()
    assert due == [0, 10, 20, 30]


def step(key: str, of: str, value: float, **more: int) -> RainStep:
    return RainStep(key, key, key, "rain", of, value, "市独自", "配備基準", **more)  # type: ignore[arg-type]


STEPS = [step("first", "continuous", 80.0), step("heavy", "1h", 30.0)]


def told(readings: list[tuple[int, float]], steps: list[RainStep]) -> list[tuple[int, str]]:
    """(minutes after the dry day, step) as they are told."""
    state, out = State(), []
    for at_s, mm in readings:
        made = Curve(state, COUNTER, 600, 900)
        made.take(Reading(T0 + at_s, round(mm * MM)))
        out += [((at_s - AT) // 60, s.key) for s in made.reached(steps, (T0 + at_s) * 1000, made.of)]
        state = msgspec.json.decode(msgspec.json.encode(made.state()), type=State)
    return out


# (sentence, readings, told)
TOLD = [
    ("below nothing is told", then((10, 129.5), (20, 129.5)), []),
    ("a step is told when it is reached, once", then((10, 130.0), (20, 131.0), (30, 132.0)), [(10, "heavy")]),
    ("two at once are two", then((10, 180.0)), [(10, "first"), (10, "heavy")]),
    (
        "in the same rain it is not told again",
        then((10, 130.0), (120, 130.0), (130, 165.0)),
        [(10, "heavy")],
    ),
    (
        "in the next rain it is",
        then((10, 130.0), (120, 130.0), (400, 130.0), (410, 170.0)),
        [(10, "heavy"), (410, "heavy")],
    ),
]


@pytest.mark.parametrize(("readings", "wanted"), [x[1:] for x in TOLD], ids=[x[0] for x in TOLD])
def test_steps(readings: list[tuple[int, float]], wanted: list[tuple[int, str]]) -> None:
    """A step of rain is told once in a rain."""
    assert told(readings, STEPS) == wanted


def test_a_day_sum_that_outlasts_its_rain_is_not_told_again() -> None:
    """After the end of a rain its 24 hours still stand above the step: that is no new rain."""
    readings = then((10, 200.0), *((10 + i * 10, 200.0) for i in range(1, 60)))
    assert told(readings, [step("day", "24h", 100.0)]) == [(10, "day")]


def test_a_step_that_is_not_in_force_is_not_told() -> None:
    """Steps have days of validity like thresholds."""
    later = step("later", "1h", 10.0, valid_from_ms=(T0 + AT + 1200) * 1000)
    assert told(then((10, 120.0), (20, 121.0)), [later]) == [(20, "later")]


def test_every_sum_has_a_name() -> None:
    """The names in configuration are those of the sums."""
    assert SUMS == ("10min", "1h", "3h", "24h", "continuous")
