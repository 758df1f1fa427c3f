"""The keys about quality: what they become, and what is said of each mistake."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gateway import config, profilefile, qualitylimits, stationfile, units, yamlfile
from gateway.profiles import Profile
from gateway.qualitylimits import (
    NO_TESTS,
    Attenuated,
    FlatLine,
    MultiVariate,
    Neighbour,
    QualityTests,
    Season,
    Spike,
)
from gateway.stations import Channel
from tests import readme, world

DEFAULTS = qualitylimits.defaults("water_level")

GOOD = """\
version: 1
tenant: t
stations:
  s:
    name: s
    position: {latitude: 0, longitude: 0}
    datum: T.P.
    gauge_zero: 1.00 m
    device: d
    neighbours: [upper]
    channels:
      water_level:
        interval: 10min
        plausible_rise: 50 cm/10min
        plausible_fall: 2 m/h
        quality:
          spike: {suspect: 20 cm, fail: 0.50 m}
          flat_line: {tolerance: 2 mm, suspect: 3h, fail: 6h}
          attenuated: {measure: std, window: 2h, suspect: 2 mm, fail: 1 mm}
          climatology: [{months: [11, 3], span: [0 m, 1.50 m]}]
          multi_variate: [{channel: rain, rise: 0.50 m/1h, least: 1 mm/1h}, {channel: second, differs: 10 cm}]
          neighbour: {rise: 1.00 m/1h, least: 3 cm/1h, still: 1 cm/1h, reporting: 1}
          dry: 5 cm
      second: {quantity: water_level, interval: 10min, quality: off}
      rain: {interval: 10min}
      battery_voltage: {interval: 10min}
  upper:
    name: upper
    position: {latitude: 0, longitude: 0}
    datum: T.P.
    gauge_zero: 1.00 m
    device: e
    channels:
      water_level: {interval: 10min, plausible_rise: off, quality: {spike: off}}
"""

RIVER = """\
version: 1
id: echo
vendor: Acme
model: Echo
source: unverified
encoding: registers
values:
  distance:
    {unit: mm, address: 0, type: uint16, span: [0.25 m, 6.00 m], quality: {spike: {suspect: 5 cm}, flat_line: off}}
examples:
  - {name: normal, registers: {0: [1000]}, expect: {distance: 1 m}}
  - {name: lowest, registers: {0: [250]}, expect: {distance: 0.25 m}}
  - {name: highest, registers: {0: [6000]}, expect: {distance: 6 m}}
  - {name: malformed, registers: {}, expect: {fault: malformed}}
"""


def load(text: str, profiles: dict[str, Profile] | None = None) -> tuple[dict[str, Channel], list[str]]:
    """Channels by station/name, and the problems."""
    document = yamlfile.parse(text.encode(), "stations.yaml")
    stations = stationfile.stations(document, config.load_levels("jp-2026"), profiles)
    channels = {f"{s.id}/{name}": c for s in stations for name, c in s.channels.items()}
    return channels, [f"{p.line}:{p.col} {p.message}" for p in document.problems]


def test_what_is_stated() -> None:
    """Every key of the quality block, in canonical units, seconds and hours."""
    channels, problems = load(GOOD)
    assert problems == []
    level = channels["s/water_level"]
    assert level.tests == QualityTests(
        climatology=(Season(11, 3, (0.0, 1.5)),),
        spike=Spike(0.2, 0.5),
        flat_line=FlatLine(0.002, 10_800, 21_600),
        attenuated=Attenuated("std", 7200, 0.002, 0.001),
        multi_variate=(MultiVariate("rain", 0.5, 1.0), MultiVariate("second", differs=0.1)),
        neighbour=Neighbour(1.0, 0.03, 0.01, 1),
        dry=0.05,
    )
    assert (level.limits.rise_per_h, level.limits.fall_per_h) == (3.0, 2.0)


def test_what_is_not_stated() -> None:
    """A water level has the defaults, other quantities nothing; `off` switches off; who is referred to is kept."""
    channels, _ = load(GOOD)
    upper = channels["upper/water_level"]
    assert upper.tests == replace(DEFAULTS, spike=None, neighbour=None)  # it names no neighbours
    assert (upper.limits.rise_per_h, upper.limits.fall_per_h) == (None, qualitylimits.FALL_PER_H)
    assert channels["s/second"].tests == QualityTests(kept=True)
    assert channels["s/rain"].tests == QualityTests(kept=True)
    assert channels["s/battery_voltage"].tests is NO_TESTS
    assert channels["s/battery_voltage"].limits.rise_per_h is None


def echo() -> dict[str, Profile]:
    document = yamlfile.parse(RIVER.encode(), "echo.yaml")
    found = profilefile.profile(document, "echo")
    assert found, document.problems
    return {"echo": found}


SENSOR = GOOD.replace(
    "interval: 10min\n", "interval: 10min\n        readings: distance\n        sensor_height: 8.00 m\n"
    "        sensor: {profile: echo, value: distance}\n",
)  # fmt: skip


def test_what_the_sensor_brings() -> None:
    """A channel that names its sensor takes the span, turned into levels, and the tests of the profile's value; what
    the station states goes before."""
    channels, problems = load(SENSOR, echo())
    assert problems == []
    level = channels["s/water_level"]
    assert level.limits.sensor == (2.0, 7.75)
    assert (level.tests.spike, level.tests.flat_line) == (Spike(0.2, 0.5), FlatLine(0.002, 10_800, 21_600))
    bare = SENSOR.replace("          spike: {suspect: 20 cm, fail: 0.50 m}\n", "")
    bare = bare.replace("          flat_line: {tolerance: 2 mm, suspect: 3h, fail: 6h}\n", "")
    tests = load(bare.replace("sensor: {", "span: [0 m, 9 m]\n        sensor: {"), echo())[0]["s/water_level"].tests
    assert (tests.spike, tests.flat_line, tests.dry) == (Spike(0.05), None, 0.05)


def test_a_folder_brings_its_profiles(tmp_path: Path) -> None:
    """stations.yaml that names a sensor is read with the folder's profiles, also by the bridge."""
    (tmp_path / "stations.yaml").write_text(SENSOR)
    (tmp_path / "device_profiles").mkdir()
    (tmp_path / "device_profiles" / "echo.yaml").write_text(RIVER)
    station = config.load_stations(tmp_path).stations[("t", "s")]
    assert station.channels["water_level"].limits.sensor == (2.0, 7.75)


MISTAKES = [
    (
        "a rate without a time",
        "50 cm/10min",
        "50 cm",
        "14:25 50 cm is not a rate. Write a quantity and a time, like '1.5 m/10min'",
    ),
    (
        "a time without a unit",
        "50 cm/10min",
        "50 cm/10",
        "14:25 50 cm/10 is not a rate. Write a quantity and a time, like '1.5 m/10min'",
    ),
    (
        "a rate in another unit",
        "50 cm/10min",
        "50 mm/h/h",
        "14:25 unknown unit 'mm/h'. Did you mean 'mm'? (water_level accepts m, cm, mm)",
    ),
    (
        "a rate of nothing",
        "50 cm/10min",
        "0 cm/10min",
        "14:25 0 cm/10min is no rate at all. Write how much at most, like '1.5 m/10min'",
    ),
    (
        "an unknown test",
        "dry: 5 cm",
        "dri: 5 cm",
        "23:11 unknown key 'dri'. Did you mean 'dry'? (one of spike, flat_line, attenuated, climatology, "
        "multi_variate, neighbour, dry)",
    ),
    (
        "fail before suspect",
        "{suspect: 20 cm, fail: 0.50 m}",
        "{suspect: 20 cm, fail: 0.10 m}",
        "17:41 'fail' is not above 'suspect', so nothing would ever be suspect. Write it above 'suspect'",
    ),
    (
        "an attenuated signal that fails first",
        "suspect: 2 mm, fail: 1 mm",
        "suspect: 2 mm, fail: 3 mm",
        "19:71 'fail' is not below 'suspect', so nothing would ever be suspect. Write it below 'suspect'",
    ),
    (
        "a window too short",
        "window: 2h",
        "window: 1h",
        "19:11 the attenuated signal needs a window of 12 intervals at least, which are 2 h",
    ),
    ("a thirteenth month", "months: [11, 3]", "months: [13, 3]", "20:35 13 is above 12"),
    (
        "a channel that is not there",
        "channel: rain,",
        "channel: rainn,",
        "21:37 the station has no channel 'rainn'. Did you mean 'rain'? (one of water_level, second, rain, "
        "battery_voltage)",
    ),
    ("the channel itself", "channel: second", "channel: water_level", "21:87 'water_level' is this channel itself"),
    (
        "two quantities that cannot be compared",
        "channel: second, differs: 10 cm",
        "channel: rain, differs: 10 cm",
        "21:102 rain is a rain, this a water_level: they cannot be compared. Use rise and least",
    ),
    (
        "half a pair",
        "{channel: rain, rise: 0.50 m/1h, least: 1 mm/1h}",
        "{channel: rain, rise: 0.50 m/1h}",
        "21:27 states no pair. Write 'rise: 0.50 m/1h' and 'least: 1 mm/1h', or 'differs: 0.10 m'",
    ),
    (
        "neighbours that nobody named",
        "    neighbours: [upper]\n",
        "",
        "21:11 the test needs 1 neighbours ('reporting'), the station names none",
    ),
    (
        "a flat line without a time",
        "{tolerance: 2 mm, suspect: 3h, fail: 6h}",
        "{tolerance: 2 mm}",
        "18:11 says nothing of how long. Add for example 'suspect: 3h'",
    ),
    (
        "neither off nor a mapping",
        "quality: {spike: off}",
        "quality: {spike: none}",
        "34:76 'none' stands where a mapping is expected (keys: suspect, fail)",
    ),
]


@pytest.mark.parametrize(("old", "new", "expected"), [row[1:] for row in MISTAKES], ids=[row[0] for row in MISTAKES])
def test_mistake(old: str, new: str, expected: str) -> None:
    """Each mistake is told once, at its place, with what would be right."""
    assert GOOD.count(old) == 1
    assert load(GOOD.replace(old, new))[1] == [expected]


@pytest.mark.parametrize(
    ("what", "old", "new", "expected"),
    [
        (
            "an unknown profile",
            "profile: echo",
            "profile: ecko",
            "there is no profile 'ecko'. Did you mean 'echo'? (only echo)",
        ),
        ("an unknown value", "value: distance", "value: level", "echo has no value 'level' (only distance)"),
        ("a value by the channel's name", ", value: distance", "", "echo has no value 'water_level' (only distance)"),
        (
            "a distance for a level",
            "        readings: distance\n        sensor_height: 8.00 m\n",
            "",
            "distance of echo is a distance, this channel takes a water_level",
        ),
    ],
)
def test_a_sensor_that_does_not_fit(what: str, old: str, new: str, expected: str) -> None:
    """What the channel names must be there, and measure what the channel takes."""
    problems = load(SENSOR.replace(old, new), echo())[1]
    assert [p.split(" ", 1)[1] for p in problems] == [expected], what


@pytest.mark.parametrize(
    ("text", "quantity", "per_h"),
    [
        ("1.5 m/10min", "water_level", 9.0),
        ("15 cm / min", "water_level", 9.0),
        ("1 m/h", "water_level", 1.0),
        ("0.5 m3/s/1h", "flow", 0.5),
        ("2 degF/h", "air_temperature", round(2 * 5 / 9, 9)),
    ],
)
def test_rates(text: str, quantity: str, per_h: float) -> None:
    """A quantity per time, canonical unit an hour; a difference, so that a unit's zero has no part in it."""
    assert units.parse_rate(text, quantity) == per_h


def test_the_example_of_the_document() -> None:
    """What ALARM.md shows can be copied, and means what its words say."""
    text = (readme.ROOT / "gateway" / "ALARM.md").read_text(encoding="utf-8")
    shown = text.split("## Quality tests")[1].split("```yaml\n")[1].split("```")[0]
    head, _, rest = GOOD.partition("    channels:\n")
    _, second, tail = rest.partition("      second:")
    sensor = shown.replace("acme_us10", "echo").replace(
        "plausible_rise", "readings: distance\n        sensor_height: 8.00 m\n        plausible_rise"
    )
    text = (head + sensor + second + tail).replace("neighbours: [upper]", "neighbours: [upper, lower]")
    text += text[text.index("  upper:") :].replace("upper", "lower").replace("device: e", "device: g")
    channels, problems = load(text, echo())
    assert problems == []
    level = channels["s/water_level"]
    assert (level.limits.sensor, level.limits.rise_per_h, level.limits.fall_per_h) == ((2.0, 7.75), 3.0, 1.0)
    assert level.tests.attenuated == Attenuated("std", 43_200, 0.002, 0.001)
    assert level.tests.neighbour == Neighbour(1.0, 0.03, 0.01, 2)


@pytest.mark.parametrize("test", ["climatology", "spike", "flat_line", "attenuated", "multi_variate", "neighbour"])
def test_one_test_can_be_left_out(test: str) -> None:
    """What is left out is not applied, the others are as they were."""
    stated = load(GOOD)[0]["s/water_level"].tests
    left = stated.without(test)
    assert not getattr(left, test)
    assert replace(left, **{test: getattr(stated, test)}) == stated
    assert world.channel().tests is NO_TESTS
