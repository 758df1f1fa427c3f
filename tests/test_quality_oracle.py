"""The quality tests against ioos-qc, sample by sample, on the Don in flood, on generated floods and on random series.

Every deliberate difference is written out here as what is expected, and listed with its reason in gateway/ALARM.md.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
import random
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import qc
from gateway.model import Flag
from gateway.qualitylimits import Attenuated, FlatLine, QualityTests, Season, Spike
from gateway.stations import Contract, Limits
from simulators.recordings import read
from tests import servers
from tests.test_quality import MIN, Played, every, level, play
from tests.test_recordings import DON
from tests.world import T0

GOOD, SUSPECT, FAIL = 1, 3, 4
STEP_MIN = 15
ANY = Limits(sensor=(-1e6, 1e6))  # so that the flag of a value with which nothing is wrong is 1
SPIKE = Spike(0.0533, 0.2033)  # no half of a centimetre, so that no rounding decides


@pytest.fixture
def qartod() -> Any:
    if importlib.util.find_spec("ioos_qc") is None:
        servers.missing("ioos-qc is not installed (make .venv/.oracle)")
    return importlib.import_module("ioos_qc.qartod")


def times(series: Sequence[tuple[int, float]]) -> Any:
    np = importlib.import_module("numpy")
    return np.array([T0 + at for at, _ in series], dtype="datetime64[ms]").astype("datetime64[ns]")


def values(series: Sequence[tuple[int, float]]) -> Any:
    return importlib.import_module("numpy").array([v for _, v in series])


def flags(found: Any) -> list[int]:
    return [int(x) for x in found]


# --- the series


@cache
def don() -> tuple[tuple[int, float], ...]:
    if not DON.exists():
        servers.missing(f"recording {DON.name} is not there")
    rows = read(DON).rows
    return tuple((row.at_ms - rows[0].at_ms, row.value) for row in rows)


def flood(seed: int, n: int = 900) -> list[tuple[int, float]]:
    """A stage in whole centimetres: calm, stuck, noisy, a steep rise and a slow fall, single wild values."""
    rng, level_m, out = random.Random(seed), 1.0, list[float]()
    while len(out) < n:
        kind, length = rng.choice(["calm", "stuck", "noise", "rise", "wild"]), rng.randrange(5, 60)
        for i in range(length):
            if kind == "rise":
                level_m += 0.3 * math.exp(-i / 6) - 0.02
            wild = rng.uniform(-2, 2) if kind == "wild" and rng.random() < 0.2 else 0.0
            noise = {"noise": 0.06, "calm": 0.01}.get(kind, 0.0)
            out.append(round(level_m + wild + rng.gauss(0, noise), 2))
        level_m = max(0.5, level_m * 0.9)
    return [(round(at), v) for at, v in every(STEP_MIN, out[:n]) if v is not None]


def series_of(name: str) -> list[tuple[int, float]]:
    return list(don()) if name == "don" else flood(int(name))


EACH = pytest.mark.parametrize("name", ["don", "1", "2", "3", "4", "5"])
CENTIMETRES = st.lists(st.integers(-30, 30), min_size=3, max_size=80).map(
    lambda xs: [(i * STEP_MIN * MIN, x / 100) for i, x in enumerate(xs)]
)


def streamed(
    series: Sequence[tuple[int, float]], tests: QualityTests, limits: Limits = ANY, minutes: float = STEP_MIN
) -> Played:
    """Through the state of one channel, one by one."""
    of = replace(level(tests, limits, minutes), thresholds=())
    return play(series, of)


# --- one test each


@EACH
def test_gross_range(qartod: Any, name: str) -> None:
    """The same, bounds included."""
    series, limits = series_of(name), Limits(sensor=(0.4, 4.0), user=(0.5, 3.0))
    assert limits.sensor
    found = [int(qc.gross_range(v, limits)) for _, v in series]
    assert found == flags(qartod.gross_range_test(values(series), limits.sensor, limits.user))
    assert {GOOD, SUSPECT} <= set(found)


@given(steps=st.lists(st.integers(1, 5000), min_size=2, max_size=60))
@settings(max_examples=60, deadline=None)
def test_gap(steps: list[int]) -> None:
    """The same slots; what is 4 of the value there is 9 of the slot here, and the first is not judged by the second."""
    qartod = _oracle()
    at, contract = [sum(steps[:i]) * 1000 for i in range(len(steps))], Contract(1200, 600)
    found = [qc.gap(a, b, contract) for a, b in pairwise(at)]
    theirs = flags(qartod.time_gap_test(times([(x, 0.0) for x in at]), contract.late_after_s / 3600))
    assert [4 if flag is Flag.MISSING else int(flag) for flag in found] == theirs[1:]
    assert qc.gap(None, at[0], contract) is Flag.NOT_EVALUATED


def _oracle() -> Any:
    """For tests of random series, which take no fixture."""
    if importlib.util.find_spec("ioos_qc") is None:
        servers.missing("ioos-qc is not installed (make .venv/.oracle)")
    return importlib.import_module("ioos_qc.qartod")


@EACH
def test_climatology(qartod: Any, name: str) -> None:
    """The same; a season over the turn of the year is two windows there. Outside is suspect, never more."""
    np = importlib.import_module("numpy")
    day = 24 * 60 * MIN
    series = [(i * day, v) for i, (_, v) in enumerate(series_of(name))]  # over the years
    seasons = (Season(6, 9, (0.3, 1.2)), Season(11, 2, (0.4, 0.8)))
    found = [int(qc.climatology(v, T0 + at, seasons)) for at, v in series]
    config = qartod.ClimatologyConfig()
    for months, span in (((6, 9), (0.3, 1.2)), ((11, 12), (0.4, 0.8)), ((1, 2), (0.4, 0.8))):
        config.add(tspan=months, vspan=span, period="month")
    zinp = np.ma.masked_all(len(series))
    assert found == flags(qartod.climatology_test(config, values(series), times(series), zinp))
    assert set(found) == {1, 2, 3}


def _stands_out(before: float, value: float, after: float) -> bool:
    """On one side of both neighbours, and from the nearer by half of its height or more."""
    up, down = value - before, value - after
    return up * down > 0 and min(abs(up), abs(down)) >= abs(up + down) / 4


def _spikes(qartod: Any, series: list[tuple[int, float]]) -> list[int]:
    """What is expected: the manual's test, of values that stand out from both neighbours."""
    theirs = flags(qartod.spike_test(values(series), SPIKE.suspect, SPIKE.fail, method="average"))
    out = [v for _, v in series]
    return [f if _stands_out(*out[i : i + 3]) else GOOD for i, f in enumerate(theirs[1:-1])]


@EACH
def test_spike(qartod: Any, name: str) -> None:
    """What the manual's test says of a value that stands out from both neighbours; of a kink it says too much."""
    series = series_of(name)
    found = streamed(series, QualityTests(spike=SPIKE)).latest()
    assert found[1:-1] == _spikes(qartod, series)
    assert name == "don" or {SUSPECT, FAIL} <= set(found)


@given(series=CENTIMETRES)
@settings(max_examples=80, deadline=None)
def test_spike_of_random_series(series: list[tuple[int, float]]) -> None:
    """The same of series that are nothing but spikes and kinks."""
    assert streamed(series, QualityTests(spike=SPIKE)).latest()[1:-1] == _spikes(_oracle(), series)


PER_H = 0.21  # of no step of a centimetre in a quarter of an hour


def _rates(qartod: Any, series: list[tuple[int, float]]) -> list[int]:
    return flags(qartod.rate_of_change_test(values(series), times(series), PER_H / 3600))


@EACH
def test_rate_of_change(qartod: Any, name: str) -> None:
    """The same between any two samples; the first is not evaluated."""
    series, limits = series_of(name), Limits(rise_per_h=PER_H, fall_per_h=PER_H)
    found = [int(qc.rate_of_change(a, b, limits)) for a, b in pairwise(series)]
    assert found == _rates(qartod, series)[1:]
    assert SUSPECT in found


@given(series=CENTIMETRES)
@settings(max_examples=80, deadline=None)
def test_rate_of_change_in_a_stream(series: list[tuple[int, float]]) -> None:
    """In a stream, too, but for the return from a value that came too fast: that one is measured from what was before
    it as well."""
    found = streamed(
        series, QualityTests(spike=None, kept=True), replace(ANY, rise_per_h=PER_H, fall_per_h=PER_H)
    ).flags()
    anchor: tuple[int, float] | None = None
    expected = [GOOD]
    for before, now, theirs in zip(series, series[1:], _rates(_oracle(), series)[1:], strict=False):
        flag = theirs
        if flag == SUSPECT and anchor is not None:
            rate = abs(now[1] - anchor[1]) / (now[0] - anchor[0]) * 3_600_000
            flag = SUSPECT if rate > PER_H else GOOD
        anchor = (anchor or before) if flag == SUSPECT else None
        expected.append(flag)
    assert found == expected


HOUR_S = 3600


def _flat(qartod: Any, series: list[tuple[int, float]], limits: FlatLine, more: float) -> list[int]:
    found = qartod.flat_line_test(
        values(series), times(series), limits.suspect_s, limits.fail_s, limits.tolerance + more
    )
    return flags(found)


@EACH
@pytest.mark.parametrize("tolerance", [0.0, 0.01, 0.03])
def test_flat_line(qartod: Any, name: str, tolerance: float) -> None:
    """The same, where its tolerance means *less than* and ours *up to*: so that 0 is a value that stands still."""
    series, limits = series_of(name), FlatLine(tolerance, 3 * HOUR_S, 6 * HOUR_S)
    found = streamed(series, QualityTests(flat_line=limits)).flags()
    theirs = _flat(qartod, series, limits, 0.0005 if name == "don" else 0.005)
    if name == "don" and tolerance:  # ten millimetres or thirty, of which a few are kept: a run may be found shorter
        assert all(a <= b for a, b in zip(found, theirs, strict=True))
        assert sum(a != b for a, b in zip(found, theirs, strict=True)) <= sum(b != GOOD for b in theirs) / 10
    else:
        assert found == theirs
        assert name == "don" or {SUSPECT, FAIL} <= set(found)


@given(series=CENTIMETRES, tolerance=st.sampled_from([0.0, 0.02, 0.04]))
@settings(max_examples=80, deadline=None)
def test_flat_line_of_random_series(series: list[tuple[int, float]], tolerance: float) -> None:
    """The same, of series in which runs begin and end at every sample."""
    limits = FlatLine(tolerance, 0.5 * HOUR_S, 1 * HOUR_S)
    calm = [(at, round(v / 10, 2)) for at, v in series]
    assert streamed(calm, QualityTests(flat_line=limits)).flags() == _flat(_oracle(), calm, limits, 0.005)


@given(st.lists(st.floats(-1, 1), min_size=3, max_size=80))
@settings(max_examples=80, deadline=None)
def test_flat_line_never_says_more(noise: list[float]) -> None:
    """Of values without a grid only a few extremes are kept; then a run may be found shorter, never longer."""
    limits = FlatLine(0.05, 0.5 * HOUR_S, 1 * HOUR_S)
    series = [(i * STEP_MIN * MIN, 1 + x / 20) for i, x in enumerate(noise)]
    found = streamed(series, QualityTests(flat_line=limits)).flags()
    theirs = _flat(_oracle(), series, limits, 1e-6)
    assert all(a <= b for a, b in zip(found, theirs, strict=True))


@EACH
@pytest.mark.parametrize("measure", ["range", "std"])
def test_attenuated_signal(qartod: Any, name: str, measure: Any) -> None:
    """The same, from the first full window on, where each twelfth of the window holds one sample."""
    series, limits = series_of(name), Attenuated(measure, 12 * STEP_MIN * 60, 0.0231, 0.0113)
    found = streamed(series, QualityTests(attenuated=limits)).flags()
    theirs = _attenuated(qartod, series, limits, limits.window_s, 12)
    assert found == [GOOD if f == 2 else f for f in theirs]  # ours are good by the gross range
    assert {GOOD, SUSPECT, FAIL} <= set(found)


def _attenuated(
    qartod: Any, series: list[tuple[int, float]], limits: Attenuated, window_s: float, least: int
) -> list[int]:
    return flags(
        qartod.attenuated_signal_test(
            values(series),
            times(series),
            limits.suspect,
            limits.fail,
            window_s,
            min_obs=least,
            check_type=limits.measure,
        )
    )


@EACH
def test_attenuated_signal_of_many_samples(qartod: Any, name: str) -> None:
    """A window in twelfths begins up to a twelfth later: it speaks wherever the whole window would, and nowhere where
    eleven twelfths of it would not."""
    series, limits = series_of(name), Attenuated("range", 36 * STEP_MIN * 60, 0.0331, 0.0113)
    found = streamed(series, QualityTests(attenuated=limits)).flags()
    whole = _attenuated(qartod, series, limits, limits.window_s, 36)
    less = _attenuated(qartod, series, limits, limits.window_s * 11 / 12, 33)
    judged = [(w, f, x) for w, f, x in zip(whole, found, less, strict=True) if w != 2]
    assert all(w <= f <= x for w, f, x in judged)
    assert {f for _, f, _ in judged} == {GOOD, SUSPECT, FAIL}


# --- all together


def test_the_don_rises_without_suspicion() -> None:
    """With what holds by default, and the levels of its floods, no value of the Don in June 2007 is suspect, at once
    or later."""
    tests = level().tests
    of = replace(level(tests, Limits((-1.0, 10.0), None, 9.0, 2.4), STEP_MIN))
    played = play(list(don()), of)
    assert set(played.flags()) == {GOOD}
    assert played.later == []
