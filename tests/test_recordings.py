"""Recordings: the agency's export as it is, plain CSV, and what is said of bad lines."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from simulators.recordings import RecordingError, Row, read

DATA = Path(os.environ.get("SUIMON_RECORDINGS", Path(__file__).parents[1].parent / "shared" / "data"))
DON = DATA / "ea_don_hadfields_stage_2007-06.csv"

EA = (
    "Station name,Mill Bridge\r\nRiver,River Ouse\r\nStation number,\"F0605\"\r\n"
    "Time stamp,{value},State of value,Interpolation,Comments\r\n"
)  # fmt: skip


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.fixture
def don() -> Path:
    if not DON.exists():
        reason = f"recording {DON.name} is not in {DATA}"
        if os.environ.get("SUIMON_REQUIRE_SERVICES") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return DON


def test_the_don_in_june_2007(don: Path) -> None:
    """The real export: every row, no gap, one single peak row, and the three upward crossings of its README."""
    recording = read(don)
    rows = recording.rows
    assert (len(rows), recording.missing, recording.shortest_step_s) == (2016, 0, 900.0)
    assert recording.title == "Sheffield Hadfields, River Don"
    assert {b.at_ms - a.at_ms for a, b in pairwise(rows)} == {900_000}
    assert rows[0] == Row(ms("2007-06-11T00:00"), 0.367, "G", 22)
    assert rows[-1].at_ms == ms("2007-07-01T23:45")
    peak = max(row.value for row in rows)
    assert [row for row in rows if row.value == peak] == [Row(ms("2007-06-25T18:30"), 4.675, "G;Ed", 1440)]
    crossings = {level: [b.at_ms for a, b in pairwise(rows) if a.value < level <= b.value] for level in (2.0, 3.9)}
    assert crossings == {
        2.0: [ms("2007-06-15T04:00"), ms("2007-06-25T10:00")],
        3.9: [ms("2007-06-25T14:45")],
    }


@pytest.mark.parametrize(
    ("what", "text", "expected"),
    [
        (
            "agency, quality kept, comment ignored, CRLF",
            EA.format(value="Value[m]") + "01/02/2007 00:15:00,1.234,G;Ed,102,see log\r\n",
            [(ms("2007-02-01T00:15"), 1.234, "G;Ed")],
        ),
        (
            "agency in millimetres",
            EA.format(value="Value[mm]") + "01/02/2007 00:15:00,1234,E,102,\r\n",
            [(ms("2007-02-01T00:15"), 1.234, "E")],
        ),
        (
            "agency, a missing value is no row",
            EA.format(value="Value[m]")
            + "01/02/2007 00:15:00,---,M,102\r\n01/02/2007 00:30:00,,M,102\r\n01/02/2007 00:45:00,2.0,G,102\r\n",
            [(ms("2007-02-01T00:45"), 2.0, "G")],
        ),
        (
            "agency without metadata lines",
            "Time stamp,Value[m],State of value\n25/06/2007 18:30:00,4.675,G;Ed\n",
            [(ms("2007-06-25T18:30"), 4.675, "G;Ed")],
        ),
        (
            "plain with header, zone and milliseconds",
            "time,value\n2026-06-03T05:50:00+09:00,0.5\n2026-06-02T20:50:00.500Z,-0.25\n",
            [(ms("2026-06-02T20:50"), 0.5, ""), (ms("2026-06-02T20:50:00.500"), -0.25, "")],
        ),
        (
            "plain without header, time without zone is UTC, byte order mark, empty last line",
            "\ufeff2026-06-03 05:50,0.5,ok\n\n",
            [(ms("2026-06-03T05:50"), 0.5, "ok")],
        ),
        (
            "plain with a quality column further right",
            "Time, Value, by, quality\n2026-06-03T05:50,1.5,me,suspect\n",
            [(ms("2026-06-03T05:50"), 1.5, "suspect")],
        ),
    ],
)
def test_forms(what: str, text: str, expected: list[tuple[int, float, str]], tmp_path: Path) -> None:
    """Each form becomes UTC milliseconds, metres and quality."""
    path = tmp_path / "recording.csv"
    path.write_text(text, encoding="utf-8", newline="")
    assert [(r.at_ms, r.value, r.quality) for r in read(path).rows] == expected, what


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "r.csv:1: neither an export"),
        ("hello\nworld\n", "r.csv:1: neither an export"),
        ("time,value\n", "r.csv:1: there is no value"),
        ("time,value\n2026-06-03T05:50\n", "r.csv:2: 1 column(s), expected at least 2"),
        ("time,value\n3 June,1.0\n", "r.csv:2: '3 June' is not a time"),
        ("time,value\n2026-06-03T05:50,high\n", "r.csv:2: 'high' is not a number"),
        ("time,value\n2026-06-03T05:50,nan\n", "r.csv:2: 'nan' is not a number"),
        ("time,value\n2026-06-03T05:50,1_0\n", "r.csv:2: '1_0' is not a number"),
        ("time,value\n2026-06-03T05:50,1\n2026-06-03T05:50,2\n", "r.csv:3: 2026-06-03T05:50 is not later"),
        ("name,level\n1,2\n", "r.csv:1: 'name' is not a time"),
        ("Station name,X\nRiver,Y\n", "r.csv:2: the header has no column 'Value[m]'"),
        ("Time stamp,Value[ft],State of value\n", "r.csv:1: the values are in 'ft'"),
        (EA.format(value="Value[m]") + "31/02/2007 00:00:00,1,G\n", "r.csv:5: '31/02/2007 00:00:00' is not a time"),
        (EA.format(value="Value[m]") + '01/02/2007 00:00:00,"1,0",G\n', "r.csv:5: '1,0' is not a number"),
    ],
)  # fmt: skip
def test_bad_lines_are_named(text: str, message: str, tmp_path: Path) -> None:
    """Whatever cannot be read is told with file and line; no row is guessed."""
    path = tmp_path / "r.csv"
    path.write_text(text, newline="")
    with pytest.raises(RecordingError) as e:
        read(path)
    assert str(e.value).startswith(message)
