"""Rain gauges, steps, tides and contacts in stations.yaml: what is said of each mistake, and what follows."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway import config, stationfile, yamlfile
from gateway.raingauge import Gauge
from gateway.stations import Station, normalise

GOOD = """\
version: 1
tenant: takamatsu
stations:
  mure:
    name: 牟礼
    position: {latitude: 34.3, longitude: 134.1}
    device: mure-gw
    hazard: rain
    verified_until: 2027-03-31
    steps:
      first: {name: 第1配備, channel: rain_continuous, value: 80 mm, authority: 市独自, source: 基準}
    channels:
      rain: {interval: 10min, rain: {kind: counter, wraps_at: 1000 mm, ends_after: 6h}}
  harbour:
    name: 高松港
    position: {latitude: 34.3, longitude: 134.0}
    datum: T.P.
    gauge_zero: 0.00 m
    device: harbour-gw
    hazard: tide
    channels:
      tide: {quantity: water_level, interval: 10min, reference: elevation, tide: {table: tide.csv, zero: -1.00 m}}
  under:
    name: アンダーパス
    position: {latitude: 34.3, longitude: 134.2}
    device: under-gw
    hazard: underpass
    channels:
      closing: {quantity: contact, interval: 1min, contact: {level: closure, wet: 0}}
"""
LEVELS = " (one of standby, caution, dispatch, notice, evacuation, danger, closure, overflow)"
SUMS = "rain_10min, rain_1h, rain_3h, rain_24h, rain_continuous"

# (the mistake, what is replaced in the good file, by what, what is told: line:col and sentence)
MISTAKES = [
    (
        "an unknown kind",
        "{kind: counter, wraps_at: 1000 mm, ends_after: 6h}",
        "tipping",
        "13:37 'tipping' is not known (one of counter, amount)",
    ),
    ("amounts do not wrap", "kind: counter", "kind: amount", "13:52 1000 mm is for counters. Leave it out"),
    (
        "longer than is kept",
        "ends_after: 6h",
        "ends_after: 48h",
        "13:84 172800 s is longer than the day that is kept of a gauge",
    ),
    (
        "rain of a contact",
        "contact: {level",
        "rain: counter, contact: {level",
        "29:52 rain is for rain gauges (quantity rain), and this is contact. Leave it out",
    ),
    (
        "thresholds of a counter",
        "ends_after: 6h}}",
        "ends_after: 6h}, thresholds: {}}",
        "13:89 a counter has no level that could be reached. Write 'steps' of the station, by its sums",
    ),
    (
        "a step of no sum",
        "channel: rain_continuous",
        "channel: rain_2h",
        f"11:36 'rain_2h' is not a sum of rain. Did you mean 'rain_24h'? (one of {SUMS})",
    ),
    ("a step of nothing", "value: 80 mm", "value: 0 mm", "11:60 0 mm is no rain. Write what must fall, like '80 mm'"),
    (
        "a step in metres",
        "value: 80 mm",
        "value: 80 m",
        "11:60 unknown unit 'm'. Did you mean 'mm'? (rain accepts mm, cm)",
    ),
    (
        "a step without source",
        ", source: 基準}",
        "}",
        "11:7 'source' is missing. Add for example 'source: 配備基準 2026-05'",
    ),
    (
        "a channel that is derived",
        "      rain: {",
        "      rain_1h: {quantity: rain, interval: 10min}\n      rain: {",
        "13:7 'rain_1h' is what the bridge derives from rain. Choose another name",
    ),
    (
        "a verification of a tide gauge",
        "    hazard: tide\n",
        "    hazard: tide\n    verified_until: 2027-03-31\n",
        "21:5 verified_until is for rain gauges (検定), and this station has none. Leave it out",
    ),
    (
        "a tide in gauge heights",
        "reference: elevation, ",
        "",
        "22:54 a tide is told in elevations (T.P.). Add 'reference: elevation' to the channel",
    ),
    ("a tide in another datum", "datum: T.P.", "datum: O.P.", "17:12 tides are told in T.P., and this datum is 'O.P.'"),
    (
        "a level of the water for the deviation",
        "zero: -1.00 m",
        "zero: -1.00 m, thresholds: {caution: {value: 0.5 m, authority: 市独自, basis: 市の目安, source: x}}",
        "22:128 'caution' is no level of deviations in level table jp-2026. Did you mean 'surge_caution'?"
        " (one of surge_caution, surge_warning, surge_danger)",
    ),
    (
        "a deviation in a reference",
        "zero: -1.00 m",
        "zero: -1.00 m, thresholds: {surge_caution: {value: 0.5 m, authority: 市独自, basis: 市の目安, source: x, "
        "reference: elevation}}",
        "22:198 a deviation is measured from the tide. Leave it out",
    ),
    (
        "a deviation that falls with the rank",
        "zero: -1.00 m",
        "zero: -1.00 m, thresholds: {surge_caution: {value: 0.5 m, authority: 市独自, basis: 市の目安, source: x}, "
        "surge_warning: {value: 0.4 m, authority: 市独自, basis: 市の目安, source: x}}",
        "22:222 surge_warning (rank 3) at 0.40 m is not above surge_caution (rank 2) at 0.50 m. "
        "Values rise with the rank",
    ),
    ("a margin below zero", "zero: -1.00 m", "margin: -0.10 m", "22:108 -0.10 m is below zero"),
    (
        "a table that is not there",
        "table: tide.csv",
        "table: tides.csv",
        "22:90 tides.csv: cannot be read (no such file or directory)",
    ),
    (
        "a contact of a river's level",
        "level: closure",
        "level: clsure",
        "29:69 'clsure' is no level of level table jp-2026 for 'hazard: underpass'. Did you mean 'closure'?" + LEVELS,
    ),
    ("a contact that does not say what is wet", ", wet: 0", "", "29:52 'wet' is missing. Add for example 'wet: 1'"),
    (
        "a contact with thresholds",
        "contact: {level",
        "thresholds: {}, contact: {level",
        "29:52 thresholds is not for a contact, which is wet or dry. Leave it out",
    ),
]


def load(tmp_path: Path, text: str) -> tuple[list[Station], list[str]]:
    rows = "".join(f"2026-09-21 {h:02d}:00,{h / 10}\n" for h in range(24))
    (tmp_path / "tide.csv").write_text(rows, encoding="utf-8")
    document = yamlfile.parse(text.encode(), "stations.yaml")
    found = stationfile.stations(document, config.load_levels("jp-2026"), folder=tmp_path)
    return found, [f"{p.line}:{p.col} {p.message}" for p in document.problems]


@pytest.mark.parametrize(("old", "new", "told"), [x[1:] for x in MISTAKES], ids=[x[0] for x in MISTAKES])
def test_mistakes(tmp_path: Path, old: str, new: str, told: str) -> None:
    """Each mistake is told once, at its place, with what would be right."""
    assert GOOD.count(old) == 1
    assert load(tmp_path, GOOD.replace(old, new))[1] == [told]


def test_what_follows(tmp_path: Path) -> None:
    """Sums and deviation are channels of their own; a contact reads 1 when it is wet."""
    (mure, harbour, under), problems = load(tmp_path, GOOD)
    assert problems == []
    assert list(mure.channels) == ["rain", *SUMS.split(", ")]
    assert [c.derived for c in mure.channels.values()] == ["", *["rain"] * 5]
    assert mure.channels["rain"].rain == Gauge("counter", 1000.0, 6 * 3600.0)
    assert [c.name for c in mure.watched] == ["rain"]
    step = mure.step("first")
    assert step is not None
    assert (step.of, step.value, step.name_en, step.rings) == ("continuous", 80.0, "第1配備", False)
    assert list(harbour.channels) == ["tide", "tide_deviation"]
    assert harbour.main_channel is harbour.channels["tide"]
    tide = harbour.channels["tide"].tide
    assert tide is not None
    assert (tide.offset, tide.margin) == (-1.0, 0.2)
    closing = under.channels["closing"]
    assert [normalise(raw, closing) for raw in (0.0, 1.0)] == [1.0, 0.0]
    assert [(t.level, t.rank, t.value) for t in closing.thresholds] == [("closure", 4, 1.0)]


def test_an_hourly_gauge_has_no_sum_of_ten_minutes(tmp_path: Path) -> None:
    """What a gauge cannot know is not made up."""
    text = GOOD.replace(
        "interval: 10min, rain: {kind: counter, wraps_at: 1000 mm, ends_after: 6h}", "interval: 1h, rain: amount"
    )
    (mure, *_), problems = load(tmp_path, text)
    assert problems == []
    assert list(mure.channels) == ["rain", "rain_1h", "rain_3h", "rain_24h", "rain_continuous"]
