"""Recordings of other houses: hourly files of Japan's ministry, WaterML in JSON, lists of crisis gauges. All files here
are made for the test from the forms as described; only the USGS sample is a real one.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from simulators.recordings import Item, RecordingError, are_snapshots, read, read_all, read_snapshots
from tests.test_recordings import DATA


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


# --- MLIT ----------------------------------------------------------------------------------------------------------

HEAD = "時刻水位\r\n水系名,綾川\r\n河川名,綾川\r\n観測所名,試験橋\r\n観測所記号,300000000000001\r\n# 速報値\r\n"
HEADER = "年月日," + ",".join(f"{n}時,フラグ" for n in range(1, 25)) + "\r\n"


def day(date: str, *cells: str) -> str:
    """A day's line: the cells as given, '0.50,' repeated to 24."""
    return ",".join([date, *cells, *["0.50,"] * (24 - len(cells))]) + "\r\n"


def mlit(tmp_path: Path, body: str, encoding: str = "cp932") -> Path:
    path = tmp_path / "hourly.dat"
    path.write_bytes((HEAD + HEADER + body).encode(encoding))
    return path


def test_column_24_is_midnight_of_the_next_day_in_japan(tmp_path: Path) -> None:
    """Column N is N:00 in Japan, also over the end of a month; provisional values keep their flag."""
    found = read(mlit(tmp_path, day("2019/10/31", "1.20,*", "-0.35,") + day("2019/11/1")))
    assert (found.title, found.site, len(found.rows), found.missing) == ("試験橋, 綾川", "300000000000001", 48, 0)
    first, second, midnight, next_day = (found.rows[i] for i in (0, 1, 23, 24))
    assert (first.at_ms, first.value, first.quality, first.line) == (ms("2019-10-30T16:00"), 1.2, "*", 8)
    assert second.value == -0.35
    assert (midnight.at_ms, next_day.at_ms) == (ms("2019-10-31T15:00"), ms("2019-10-31T16:00"))


def test_missing_closed_and_unregistered_hours_are_no_rows(tmp_path: Path) -> None:
    """Each flag of absence, and -9999 with a blank flag, count as missing; the other hours stay."""
    cells = ["-9999.99,$", "0.70,#", "-9999.99,-", "-9999.99,", ",", "0.80,"]
    found = read(mlit(tmp_path, day("2019/10/12", *cells), encoding="utf-8"))
    assert (found.missing, len(found.rows), found.rows[0].value) == (5, 19, 0.8)
    assert found.rows[0].at_ms == ms("2019-10-11T21:00")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("", "hourly.dat:1: there is no value"),
        ("2019/10/12,1.0,,2.0,\r\n", "hourly.dat:8: 5 columns, expected"),
        (day("2019/13/12"), "hourly.dat:8: '2019/13/12' is not a day"),
        (day("2019/10/12", "0.50,", "abc,"), "hourly.dat:8: column 2: 'abc' is not a number"),
        (day("2019/10/12", "0.50,?"), "hourly.dat:8: column 1: unknown flag '?'"),
        (day("2019/10/12") + day("2019/10/12"), "hourly.dat:9: 2019/10/12 1:00 is not later"),
        (day("2019/10/12") + "the end\r\n", "hourly.dat:9: 'the end' is not a day"),
    ],
)
def test_bad_lines_of_mlit_are_named(body: str, message: str, tmp_path: Path) -> None:
    """Whatever cannot be read is told with file and line."""
    with pytest.raises(RecordingError) as e:
        read(mlit(tmp_path, body))
    assert str(e.value).startswith(message)


# --- USGS ----------------------------------------------------------------------------------------------------------


def waterml(values: list[dict[str, Any]], unit: str = "ft", code: str = "00065", **source: Any) -> dict[str, Any]:
    about = {"siteName": "A CREEK &amp; ITS BRIDGE", "siteCode": [{"value": "01"}]} | source
    variable = {"variableCode": [{"value": code}], "unit": {"unitCode": unit}, "noDataValue": -999999.0}
    return {"sourceInfo": about, "variable": variable, "values": [{"value": values, "qualifier": []}]}


def usgs(tmp_path: Path, *series: dict[str, Any]) -> Path:
    path = tmp_path / "usgs.json"
    path.write_text(json.dumps({"value": {"timeSeries": series}}, indent=1))
    return path


def value(text: str, when: str, *qualifiers: str) -> dict[str, Any]:
    return {"value": text, "qualifiers": list(qualifiers), "dateTime": when}


def test_the_real_sample_of_the_usgs() -> None:
    """Two sites with discharge and height: the heights, in metres, at times in UTC."""
    path = DATA / "usgs_waterservices_iv.json"
    if not path.exists():
        pytest.skip(f"recording {path.name} is not in {DATA}")
    found = read_all(path)
    assert [(r.site, len(r.rows), r.missing) for r in found] == [("01491000", 5, 0), ("01645000", 5, 0)]
    first = found[0].rows[0]
    assert (first.at_ms, first.value, first.quality) == (ms("2019-02-14T05:00"), 1.9751, "A")
    assert read(path, "01645000").rows[0].value == 0.954
    with pytest.raises(RecordingError, match="choose one site: 01491000, 01645000"):
        read(path)


def test_feet_zones_qualifiers_and_no_data(tmp_path: Path) -> None:
    """Feet become metres, summer time is what the offset says, no data is missing, qualifiers stay."""
    found = read(
        usgs(
            tmp_path,
            waterml([value("100", "2019-07-01T00:00:00-04:00")], "ft3/s", "00060"),
            waterml(
                [
                    value("10.00", "2019-07-01T00:00:00.000-04:00", "P"),
                    value("-999999", "2019-07-01T00:15:00.000-04:00", "P", "Eqp"),
                    value("-1.5", "2019-07-01T00:30:00.000-04:00", "P", "e"),
                ]
            ),
        )
    )
    assert (found.title, found.missing) == ("A CREEK & ITS BRIDGE", 1)
    assert [(r.at_ms, r.value, r.quality) for r in found.rows] == [
        (ms("2019-07-01T04:00"), 3.048, "P"),
        (ms("2019-07-01T04:30"), -0.4572, "P;e"),
    ]


def test_a_time_without_zone_is_the_site_s(tmp_path: Path) -> None:
    """Where a time has no zone the site's own offset is taken; metres stay metres."""
    zone = {"defaultTimeZone": {"zoneOffset": "-05:00"}}
    series = waterml([value("1.25", "2019-02-14T00:00:00.000")], "m", "30207", timeZoneInfo=zone)
    assert [(r.at_ms, r.value) for r in read(usgs(tmp_path, series)).rows] == [(ms("2019-02-14T05:00"), 1.25)]


@pytest.mark.parametrize(
    ("series", "message"),
    [
        ([waterml([value("1", "2019-07-01T00:00:00Z")], "ft3/s", "00060")], "usgs.json:1: there is no gauge height"),
        ([waterml([value("x", "2019-07-01T00:00:00Z")])], "usgs.json:30: 'x' is not a number"),
        ([waterml([value("1", "yesterday")])], "usgs.json:30: 'yesterday' is not a time"),
        ([waterml([value("1", "2019-07-01T00:00:00")])], "usgs.json:30: '2019-07-01T00:00:00' has no zone"),
        ([waterml([value("1", "2019-07-01T00:00:00Z")] * 2)], "usgs.json:35: 2019-07-01T00:00:00Z is not later"),
        ([waterml([value("1", "2019-07-01T00:00:00Z")], "in")], "usgs.json:30: the values are in 'in'"),
        ([{"sourceInfo": {}}], "usgs.json:1: 'values' is missing"),
    ],
)
def test_bad_values_of_the_usgs_are_named(series: list[dict[str, Any]], message: str, tmp_path: Path) -> None:
    """Whatever cannot be read is told with file and line, also inside JSON."""
    with pytest.raises(RecordingError) as e:
        read(usgs(tmp_path, *series))
    assert str(e.value).startswith(message)


def test_json_that_is_none_is_told_with_its_line(tmp_path: Path) -> None:
    """A file cut in the middle is no recording."""
    path = tmp_path / "usgs.json"
    path.write_text('{"value":\n {"timeSeries": [')
    with pytest.raises(RecordingError, match=r"^usgs.json:2: not JSON"):
        read_all(path)


# --- crisis gauges -------------------------------------------------------------------------------------------------


def item(code: str, level: float | None, obs: str = "2026-06-03T05:50:00+09:00", **more: Any) -> dict[str, Any]:
    about = {"name": f"gauge {code}", "startLevel": 1.0, "warnLevel": None, "fladLevel": 3.5, "over": 0}
    return {"code": code, "obsTime": obs, "level": level, "latitude": 34.3, "longitude": 134.0} | about | more


def shown(when: str, *items: dict[str, Any]) -> str:
    return json.dumps({"generatedAt": when, "items": items})


def test_snapshots_from_a_file_lines_or_a_folder(tmp_path: Path) -> None:
    """One snapshot in a file, many on lines and a folder of files become the same list in order of time."""
    early = shown("2026-06-02T20:55:00Z", item("1", 1.25), item("2", None))
    late = shown("2026-06-02T21:05:00Z", item("1", 5.9, "2026-06-03T06:00:00+09:00", over=110, warnLevel=3.0))
    one, lines, folder = tmp_path / "one.json", tmp_path / "many.jsonl", tmp_path / "folder"
    one.write_text(early)
    lines.write_text(f"{late}\n\n{early}\n")
    folder.mkdir()
    (folder / "a.json").write_text(late)
    (folder / "b.json").write_text(json.dumps(json.loads(early), indent=1))
    (folder / "readme.txt").write_text("not read")
    assert all(are_snapshots(path) for path in (one, lines, folder))
    first = read_snapshots(one)[0]
    assert (first.shown_ms, first.missing) == (ms("2026-06-02T20:55"), 1)
    assert first.items == (Item("1", "gauge 1", ms("2026-06-02T20:50"), 1.25, 1.0, None, 3.5, False, 1),)
    for path in (lines, folder):
        found = read_snapshots(path)
        assert [s.shown_ms for s in found] == [ms("2026-06-02T20:55"), ms("2026-06-02T21:05")]
        assert (found[1].items[0].value, found[1].items[0].warn, found[1].items[0].claims_flood) == (5.9, 3.0, True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"generatedAt": "2026-06-02T20:55:00Z"}', "s.jsonl:1: 'items' is missing"),
        (shown("2026-06-02T20:55:00"), "s.jsonl:1: '2026-06-02T20:55:00' is not a time (it has no zone)"),
        (f"{shown('2026-06-02T20:55:00Z')}\n{{\n", "s.jsonl:2: not JSON"),
        (shown("2026-06-02T20:55:00Z", item("1", "high")), "s.jsonl:1: 'level': \"high\" is of the wrong kind"),
        (shown("2026-06-02T20:55:00Z", item("1", 1.0, "05:50")), "s.jsonl:1: '05:50' is not a time"),
        (shown("2026-06-02T20:55:00Z", {"level": 1.0}), "s.jsonl:1: 'code' is missing"),
        ("", "s.jsonl:1: there is no snapshot"),
    ],
)  # fmt: skip
def test_bad_snapshots_are_named(text: str, message: str, tmp_path: Path) -> None:
    """Whatever cannot be read is told with file and line."""
    path = tmp_path / "s.jsonl"
    path.write_text(text)
    with pytest.raises(RecordingError) as e:
        read_snapshots(path)
    assert str(e.value).startswith(message)
