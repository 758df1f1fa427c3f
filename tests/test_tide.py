"""Astronomical tide: the curve between the values of a table, high waters, deviation, and what the tide explains."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway import tidefile
from gateway.model import Change, Transition
from gateway.tide import HighWater, Table, Tide, hushed
from gateway.yamlfile import Document, parse

H = 3_600_000
T0 = 1_790_000_400_000
M2, S2, K1, M4 = 12.4206012, 12.0, 23.9344696, 6.2103006  # periods in hours
PARTS = ((M2, 1.00, 0.3), (S2, 0.40, 1.1), (K1, 0.25, 2.0), (M4, 0.05, 0.7))


def harmonic(at_ms: float) -> float:
    """A tide of four constituents, metres."""
    hours = (at_ms - T0) / H
    return sum(a * math.cos(2 * math.pi * hours / period + phase) for period, a, phase in PARTS)


def table(hours: int = 400, step_ms: int = H) -> Table:
    times = [T0 + i * step_ms for i in range(hours)]
    return Table("t", "x", times, [harmonic(at) for at in times])


HOURLY = table()


@settings(max_examples=200, deadline=None)
@given(st.integers(T0 + H, T0 + 398 * H))
def test_between_the_hours_the_curve_is_the_tide(at_ms: int) -> None:
    """Of hourly values the cubic is within 5 mm of a tide of 1.7 m; a straight line would be 40 mm off."""
    level = HOURLY.level(at_ms)
    assert level is not None
    assert abs(level - harmonic(at_ms)) < 0.005


def test_at_the_values_it_is_the_values() -> None:
    """A table is not smoothed."""
    for at_ms, value in zip(HOURLY.times, HOURLY.levels, strict=True):
        assert HOURLY.level(at_ms) == pytest.approx(value, abs=1e-12)


def test_where_a_table_says_nothing_there_is_no_level() -> None:
    """Before and after it, and in a gap of more than three hours."""
    gapped = Table("t", "x", [T0, T0 + H, T0 + 2 * H, T0 + 8 * H, T0 + 9 * H], [0.0, 1.0, 0.5, 0.2, 0.1])
    assert [gapped.level(T0 + x) for x in (-1, 5 * H, 9 * H + 1)] == [None, None, None]
    assert gapped.level(T0 + 2 * H) == 0.5
    assert gapped.level(T0 + H // 2) == 0.5  # the straight line beside an edge


@settings(max_examples=60, deadline=None)
@given(st.integers(T0 + 2 * H, T0 + 360 * H))
@example(1_790_849_280_000)  # two minutes after a crest that the hourly table shows two minutes late
def test_the_next_high_water(at_ms: int) -> None:
    """It is within three minutes and a centimetre of the true one, and after the time that was asked for."""
    found = HOURLY.next_high(at_ms)
    assert found is not None
    minutes = range(at_ms // 60_000 - 4, at_ms // 60_000 + 27 * 60)
    crests = [
        m * 60_000 for m in minutes if harmonic((m - 1) * 60_000) < harmonic(m * 60_000) >= harmonic((m + 1) * 60_000)
    ]
    true = next(at for at in crests if at > at_ms)
    if abs(crests[0] - at_ms) > 4 * 60_000:  # at the crest itself, a little before or after it, either is right
        assert abs(found.at_ms - true) <= 3 * 60_000
        assert abs(found.level - harmonic(true)) < 0.01
    assert found.at_ms > at_ms


def test_a_high_water_that_is_stated_is_taken() -> None:
    """The publisher knows the minute better than the hours do."""
    stated = Table("t", "x", HOURLY.times, HOURLY.levels, (HighWater(T0 + 5 * H, 1.23),))
    assert stated.next_high(T0) == HighWater(T0 + 5 * H, 1.23)


def test_at_the_end_of_the_table_there_is_none() -> None:
    """Nobody invents a high water."""
    assert HOURLY.next_high(T0 + 399 * H) is None


def crossing(change: Change, from_rank: int, to_rank: int, value: float | None, rings: bool = True) -> Transition:
    return Transition("t", "s", "tide", "e", change, from_rank, to_rank, T0 + 10 * H, value, rings=rings)


NOW = harmonic(T0 + 10 * H)

# (sentence, transition, rings)
RINGS = [
    ("a level reached by the tide alone rings nobody", crossing(Change.RISE, 0, 2, NOW + 0.15), False),
    ("a surge rings", crossing(Change.RISE, 0, 2, NOW + 0.25), True),
    ("rank 3 rings, whatever explains it", crossing(Change.RISE, 2, 3, NOW), True),
    ("going down with the tide rings nobody", crossing(Change.FALL, 2, 0, NOW - 0.1), False),
    ("going down from rank 3 rings", crossing(Change.FALL, 3, 0, NOW - 0.1), True),
    ("a gauge that is lost rings", crossing(Change.HELD, 2, 2, NOW), True),
    ("without a value nothing is explained", crossing(Change.RISE, 0, 2, None), True),
    ("what does not ring is not made to", crossing(Change.RISE, 0, 1, NOW + 1.0, rings=False), False),
]


@pytest.mark.parametrize(("t", "rings"), [x[1:] for x in RINGS], ids=[x[0] for x in RINGS])
def test_what_the_tide_alone_explains(t: Transition, rings: bool) -> None:
    """Below rank 3 a crossing rings only where the sea stands higher than predicted."""
    assert hushed(t, Tide(HOURLY, 0.20)).rings is rings


def test_without_a_prediction_crossings_ring() -> None:
    """A table that has ended explains nothing."""
    old = Table("t", "x", [0, H, 2 * H, 3 * H], [1.0, 1.0, 1.0, 1.0])
    assert hushed(crossing(Change.RISE, 0, 2, 1.0), Tide(old, 0.20)).rings
    assert Tide(old, 0.20).deviation(1.0, T0) is None


def test_the_zero_of_the_table() -> None:
    """A table above its own datum is brought to the elevation of the observations."""
    flat = Table("t", "x", [T0, T0 + H, T0 + 2 * H, T0 + 3 * H], [1.3, 1.3, 1.3, 1.3], (HighWater(T0 + H, 1.3),))
    tide = Tide(flat, 0.20, offset=-1.25)
    assert tide.astronomical(T0 + H) == pytest.approx(0.05)
    assert tide.deviation(0.40, T0 + H) == 0.35
    assert tide.next_high(T0) == HighWater(T0 + H, pytest.approx(0.05))


# --- files ---------------------------------------------------------------------------------------------------------


def load(tmp_path: Path, text: str | bytes, name: str = "tide.csv") -> tuple[Table | None, list[str]]:
    data = text if isinstance(text, bytes) else text.encode()
    (tmp_path / name).write_bytes(data)
    document: Document = parse(b"table: tide.csv\n", "stations.yaml")
    found = tidefile.read(document, ("table",), tmp_path, name)
    return found, [p.message for p in document.problems]


def test_a_csv_table(tmp_path: Path) -> None:
    """Times without a zone are Japan's, 24:00 is the next day, a heading and comments may stand there."""
    text = "時刻,潮位\n# 高松\n2026-11-22 23:00,0.10\n2026/11/22 24:00,0.20\n2026-11-23T01:00,0.25\n"
    text += "2026-11-22T17:00Z,-0.05\n"
    found, problems = load(tmp_path, text.encode("cp932"))
    assert problems == []
    assert found is not None
    midnight = 1_795_359_600_000  # 2026-11-23 00:00 in Japan
    assert list(found.times) == [midnight - H, midnight, midnight + H, midnight + 2 * H]
    assert list(found.levels) == [0.10, 0.20, 0.25, -0.05]


DAY = "".join(f"{cm:3d}" for cm in range(100, 124)) + "261123TA" + "0312210" + "1545 98" + "9999999" * 2 + "9999999" * 4


def test_a_text_of_the_tide_tables(tmp_path: Path) -> None:
    """A day is a line of 136 columns: hours in cm, the date, the place, high and low waters."""
    assert len(DAY) == 136
    found, problems = load(
        tmp_path, DAY + "\r\n" + DAY.replace("261123", "2611 24".replace(" ", "")) + "\r\n", "TA.txt"
    )
    assert problems == []
    assert found is not None
    midnight = 1_795_359_600_000
    assert (found.times[0], found.levels[0], found.levels[23]) == (midnight, 1.00, 1.23)
    assert len(found.times) == 48
    assert found.highs[0] == HighWater(midnight + 3 * H + 12 * 60_000, 2.10)
    assert found.highs[1] == HighWater(midnight + 15 * H + 45 * 60_000, 0.98)


# Two days as the Agency publishes them, in the layout of its readme (levels and times are made up): hours right-aligned
# in three columns, month, day, hour and minute padded with blanks, negative levels, four high and four low waters, of
# which those that are not predicted are 9999 and 999. https://www.data.jma.go.jp/kaiyou/db/tide/suisan/readme.html
TRUE = (
    " 66103138165179180166147126113112123143164181186177153117 75 35  5 -8  0" + "27 1 1TA"
    " 4 918114 518699999999999999" + " 93611122 7 -899999999999999\r\n"
    " 29 71112147171180175159137117107110127150174190192178147106 61 22 -4-12" + "27 1 2TA"
    " 44018115 9193" + "9999999" * 2 + "1012106 239-1299999999999999\r\n"
)


def test_the_tide_tables_as_they_are_published(tmp_path: Path) -> None:
    """Blanks before a digit are zeros, levels may be negative, and a low water is never taken for a high one."""
    assert [len(line) for line in TRUE.splitlines()] == [136, 136]
    found, problems = load(tmp_path, TRUE.encode("ascii"), "TA.txt")
    assert problems == []
    assert found is not None
    midnight = 1_798_729_200_000  # 2027-01-01 00:00 in Japan
    assert (found.times[0], len(found.times)) == (midnight, 48)
    assert [found.levels[i] for i in (0, 1, 22, 23, 24)] == [0.66, 1.03, -0.08, 0.0, 0.29]
    waters = [((h.at_ms - midnight) // 60_000, h.level) for h in found.highs]
    assert waters == [(4 * 60 + 9, 1.81), (14 * 60 + 5, 1.86), (28 * 60 + 40, 1.81), (39 * 60 + 9, 1.93)]
    high = found.next_high(midnight + 5 * H)
    assert high == HighWater(midnight + (14 * 60 + 5) * 60_000, 1.86)
    assert found.next_high(midnight + 40 * H) is None  # the falling tide of the last evening


NO_DAY = "TA.txt: line 2: not a day of a tide table (72 columns of levels, 6 of the date, 2 of the place)"


@pytest.mark.parametrize(("old", "new", "told"), [
    ("171180175", "1711x0175", NO_DAY),
    ("171180175", "1711-0175", "TA.txt: line 2: '1-0' is not a level in cm"),
    ("27 1 2TA", "27 1 2ta", NO_DAY),
    ("27 1 2TA", "27 1 1TA", "TA.txt: line 2: 2027-01-01 is not after the line before. Days rise"),
    ("14 5186", "14 5 xx", "TA.txt: line 1: 'xx' is not a level in cm"),
])  # fmt: skip
def test_a_damaged_tide_table_is_refused(tmp_path: Path, old: str, new: str, told: str) -> None:
    """Nothing is guessed of a line that is not what the readme says."""
    assert TRUE.count(old) == 1
    found, problems = load(tmp_path, TRUE.replace(old, new), "TA.txt")
    assert (found, problems) == (None, [told])


def test_a_day_of_which_hours_are_missing(tmp_path: Path) -> None:
    """999 and blanks are no levels: between two hours that are near it goes on, over three hours there is none."""
    holes = TRUE.replace("179180166147126113", "179999   147999999", 1)
    found, problems = load(tmp_path, holes, "TA.txt")
    assert problems == []
    assert found is not None
    assert len(found.times) == 44
    at = found.times[0]
    assert found.level(at + 5 * H) is not None
    assert found.level(at + 9 * H) is not None


# (sentence, file, what is told)
BAD = [
    ("no file", None, "none.csv: cannot be read (no such file or directory)"),
    ("too short", "2026-11-22 00:00,1\n", "tide.csv: 1 values make no curve. It has at least 4"),
    (
        "no time",
        "2026-11-22 00:00,1\n22.11.2026,2\n",
        "tide.csv: line 2: '22.11.2026' is not a time. Write it like 2026-11-22 03:00",
    ),
    ("no level", "2026-11-22 00:00,high\n", "tide.csv: line 1: 'high' is not a level in metres"),
    ("centimetres", "2026-11-22 00:00,123\n", "tide.csv: line 1: 123 m is no tide. Levels are in metres"),
    ("a level that is no number", "2026-11-22 00:00,nan\n", "tide.csv: line 1: nan m is no tide. Levels are in metres"),
    (
        "back in time",
        "2026-11-22 01:00,1\n2026-11-22 00:00,1\n",
        "tide.csv: line 2: 2026-11-22 00:00 is not after the line before. Times rise",
    ),
    (
        "two places",
        f"{DAY}\n{DAY.replace('261123TA', '261124KB')}\n",
        "tide.csv: line 2: the place is KB, and TA above. One table is for one place",
    ),
    ("no day", DAY.replace("261123", "261332"), "tide.csv: line 1: '261332' is not a day"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "told"), [x[1:] for x in BAD], ids=[x[0] for x in BAD])
def test_what_is_wrong_with_a_table(tmp_path: Path, text: str | None, told: str) -> None:
    """A mistake is told with the line it is in, and there is no table."""
    if text is None:
        document = parse(b"table: none.csv\n", "stations.yaml")
        found, problems = (
            tidefile.read(document, ("table",), tmp_path, "none.csv"),
            [p.message for p in document.problems],
        )
    else:
        found, problems = load(tmp_path, text)
    assert (found, problems) == (None, [told])
