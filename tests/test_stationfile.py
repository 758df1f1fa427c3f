"""stations.yaml: what is said of each mistake, and the way from a reading to an observation."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import config, stationfile, yamlfile
from gateway.stations import Station, normalise

GOOD = (Path(__file__).parent / "configs" / "nothing-wrong" / "stations.yaml").read_text()

# (the mistake, what is replaced in the good file, by what, what is told: line:col and sentence)
MISTAKES = [
    (
        "a station's name in capitals",
        "  harbour:",
        "  Harbour:",
        "33:3 'Harbour' is not a name: a-z, 0-9, '.', '_', '-', first a letter or digit. Did you mean 'harbour'?",
    ),
    (
        "a station named by a number",
        "  harbour:",
        "  123:",
        "33:3 123 is read as a number. For text put it in quotes: '123'",
    ),
    (
        "a tenant with a space",
        "tenant: miki",
        "tenant: miki town",
        (
            "23:13 'miki town' is not a name: a-z, 0-9, '.', '_', '-', first a letter or digit. Did you mean "
            "'miki-town'?"
        ),
    ),
    (
        "no tenant anywhere",
        "tenant: takamatsu\n",
        "\n",
        (
            "4:3 'tenant' is missing. Add it here, or at the top of the file for all stations\n"
            "33:3 'tenant' is missing. Add it here, or at the top of the file for all stations"
        ),
    ),
    ("a missing version", "version: 1\n", "", "1:1 'version' is missing. Add for example 'version: 1'"),
    (
        "a name in one language only",
        "{ja: 高松港, en: Harbour}",
        "{ja: 高松港}",
        "34:5 'en' is missing. Add for example 'en: Kasuga Bridge'",
    ),
    ("a number as name", "name: 新川", "name: 17", "24:11 17 stands where a mapping is expected (keys: ja, en)"),
    (
        "latitude and longitude swapped",
        "{latitude: 34.3539, longitude: 134.0514}",
        "{latitude: 134.0514, longitude: 34.3539}",
        "35:26 134.0514 is above 90",
    ),
    (
        "a position as text",
        "{latitude: 34.3539, longitude: 134.0514}",
        "34.3539 134.0514",
        "35:15 '34.3539 134.0514' stands where a mapping is expected (keys: latitude, longitude)",
    ),
    (
        "a number in quotes",
        "latitude: 34.3539",
        "latitude: '34.3539'",
        "35:26 '34.3539' is text. Write the number 34.3539 without quotes",
    ),
    (
        "no datum for a water level",
        "    datum: T.P.\n    gauge_zero: -2.00 m\n",
        "",
        (
            "33:3 'datum' is missing and a water level needs it. Add for example 'datum: T.P.'\n"
            "33:3 'gauge_zero' is missing and a water level needs it. Add for example 'gauge_zero: 1.20 m'"
        ),
    ),
    ("an order that is no number", "order: 7", "order: seven", "29:12 'seven' is not a whole number"),
    (
        "no channels",
        "channels:\n      water_level: {interval: 60s, readings: elevation}",
        "channels: {}",
        "39:15 nothing stands in it. Add at least one entry",
    ),
    (
        "a channel without interval",
        "{interval: 60s, readings: elevation}",
        "{readings: elevation}",
        "40:7 'interval' is missing. Add for example 'interval: 60s'",
    ),
    (
        "an interval in metres",
        "{interval: 60s, readings: elevation}",
        "{interval: 60m, readings: elevation}",
        "40:31 unknown unit 'm'. Did you mean 'min'? (one of ms, s, min, h, d)",
    ),
    (
        "an interval of nothing",
        "{interval: 60s, readings: elevation}",
        "{interval: 0s, readings: elevation}",
        "40:31 '0s' is no time at all. Write a duration above zero",
    ),
    (
        "an interval below zero",
        "{interval: 60s, readings: elevation}",
        "{interval: -60s, readings: elevation}",
        "40:31 '-60s' is below zero",
    ),
    (
        "an interval longer than a year",
        "{interval: 60s, readings: elevation}",
        "{interval: 500d, readings: elevation}",
        "40:31 '500d' is longer than a year",
    ),
    (
        "unknown readings",
        "readings: elevation",
        "readings: elevated",
        "40:46 'elevated' is not known. Did you mean 'elevation'? (one of gauge_height, elevation, distance)",
    ),
    (
        "a channel that is no quantity",
        "read_counter: {quantity: count,",
        "reads: {",
        "21:7 'quantity' is missing and 'reads' is not the name of one. Add for example 'quantity: water_level'",
    ),
    (
        "an unknown quantity",
        "{quantity: count,",
        "{quantity: counts,",
        "21:32 unknown quantity 'counts'. Did you mean 'count'?",
    ),
    (
        "the name of a fault as channel",
        "read_counter:",
        "read.fault:",
        "21:7 'read.fault' is reserved for the fault of a channel. Choose another name",
    ),
    (
        "heights for another quantity",
        "{interval: 10min, correction: 0.5 K}",
        "{interval: 10min, readings: elevation}",
        "32:42 readings is for water levels, and this is air_temperature. Leave it out",
    ),
    (
        "a sensor height without distances",
        "readings: elevation",
        "sensor_height: 5 m",
        "40:36 sensor_height is for 'readings: distance' only. Leave it out, or say that readings are distances",
    ),
    (
        "a correction in another unit",
        "correction: 2 cm",
        "correction: 2 s",
        "15:21 unknown unit 's' (water_level accepts m, cm, mm)",
    ),
    (
        "a span of one value",
        "span: [0.00 m, 10.00 m]",
        "span: [10.00 m]",
        "16:15 a list is not a span. Write two values: [lowest, highest]",
    ),
    (
        "a span that is no list",
        "span: [0.00 m, 10.00 m]",
        "span: 10.00 m",
        "16:15 '10.00 m' is not a span. Write two values: [lowest, highest]",
    ),
    (
        "a span upside down",
        "[-50 cm, 6.00 m]",
        "[6.00 m, -50 cm]",
        "17:20 6.00 m is not below -50 cm. Write the lower value first",
    ),
    (
        "an unknown level",
        "danger:",
        "dangre:",
        (
            "19:11 unknown level 'dangre'. Did you mean 'danger'? (level table jp-2026 has standby, caution, "
            "dispatch, evacuation, danger, overflow)"
        ),
    ),
    (
        "a threshold of normal",
        "danger:",
        "normal:",
        (
            "19:11 'normal' is what lies below every threshold (level table jp-2026 has standby, caution, "
            "dispatch, evacuation, danger, overflow)"
        ),
    ),
    (
        "an unknown authority",
        "valid_to: 2027-06-01}",
        "valid_to: 2027-06-01, colour: red}",
        "19:133 unknown key 'colour' (one of value, authority, basis, source, valid_from, valid_to, reference)",
    ),
    (
        "no source",
        "authority: 県, basis: 基準水位観測所, source: 水防計画 2026-05, valid_from",
        "authority: 市, basis: 市, valid_from",
        (
            "19:46 '市' is not known (one of 国, 県, 市独自)\n"
            "19:56 '市' is not known (one of 基準水位観測所, 危機管理型, 市の目安)\n"
            "19:11 'source' is missing. Add for example 'source: 水防計画 2026-05'"
        ),
    ),
    ("a date with slashes", "2026-06-01", "2026/6/1", "19:99 '2026/6/1' is not a date. Did you mean '2026-06-01'?"),
    ("a day that does not exist", "2026-06-01", "2026-06-31", "19:99 '2026-06-31' is not a day of the calendar"),
    (
        "validity that ends before it begins",
        "valid_to: 2027-06-01",
        "valid_to: 2025-06-01",
        "19:121 2025-06-01 is not after valid_from (2026-06-01)",
    ),
    ("a bare threshold", "value: 3.00 m", "value: 3.00", "19:27 3.0 has no unit. Did you mean '3.0 m'?"),
    (
        "thresholds as a list",
        "thresholds:\n",
        "thresholds: []\n        x:\n",
        (
            "18:21 a list stands where a mapping is expected\n"
            "19:9 unknown key 'x' (one of quantity, unit, interval, grace, contract, readings, "
            "sensor_height, reference, correction, span, plausible, plausible_rise, plausible_fall, sensor, quality, "
            "rain, tide, contact, internal, calibrations, replaced, thresholds)"
        ),
    ),
    (
        "a device that is another's station",
        "device: kasuga-02",
        "device: kasuga-bridge",
        "38:13 'kasuga-bridge' is the name of a station. Stations and devices need different names",
    ),
]


def _load(text: str) -> tuple[list[Station], list[str]]:
    document = yamlfile.parse(text.encode(), "stations.yaml")
    stations = stationfile.stations(document, config.load_levels("jp-2026"))
    return stations, [f"{p.line}:{p.col} {p.message}" for p in document.problems]


@pytest.mark.parametrize(("old", "new", "expected"), [row[1:] for row in MISTAKES], ids=[row[0] for row in MISTAKES])
def test_mistake(old: str, new: str, expected: str) -> None:
    """Each mistake is told once, at its place, with what would be right."""
    assert GOOD.count(old) == 1
    assert _load(GOOD.replace(old, new))[1] == expected.split("\n")


RELATED = "{takamatsu-harbour: {1.0 m: 0.6 m, 3.0 m: 2.4 m}}"
RISING = "10:15 at least two levels, rising on both sides: '{1.0 m: 0.6 m, 3.0 m: 2.4 m}'"


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        (RELATED, "10:15 'takamatsu-harbour' is not a station"),
        (RELATED.replace("takamatsu-", ""), ""),
        (RELATED.replace("2.4 m", "2.4"), "10:56 2.4 has no unit. Did you mean '2.4 m'?"),
        (RELATED.replace("2.4 m", "0.4 m"), RISING),
        (RELATED.replace("3.0 m", "0.5 m"), RISING),
        ("{harbour: {1.0 m: 0.6 m}}", RISING),
        ("{harbour: 0.6 m}", RISING),
        (
            "{kasuga-bridge: {1.0 m: 0.6 m, 3.0 m: 2.4 m}}",
            "10:15 'kasuga-bridge' is this station itself. Name another one",
        ),
        (
            "{shinkawa: {1.0 m: 0.6 m, 3.0 m: 2.4 m}}",
            "10:15 'shinkawa' is a station of 'miki', this one of 'takamatsu'. Name one of its own",
        ),
    ],
)
def test_mistakes_of_related_stations(stated: str, expected: str) -> None:
    """Another station of the file, at least two levels with their units, rising on both sides."""
    _, told = _load(GOOD.replace("    device: kasuga-01\n", f"    device: kasuga-01\n    related: {stated}\n"))
    assert told == ([expected] if expected else [])


def test_a_mistake_hides_no_other() -> None:
    """Wrong units, a missing key and a wrong order in one channel are all told at once."""
    text = GOOD.replace("interval: 60s\n", "interval: 60\n").replace("unit: m\n", "unit: metre\n")
    _, told = _load(text.replace("value: 3.00 m", "value: 1 m").replace("[0.00 m, 10.00 m]", "[0.00 m, 10.00]"))
    assert [line.partition(":")[0] for line in told] == ["13", "12", "16", "19"]


# --- from reading to observation

FORM = """\
version: 1
tenant: t
stations:
  s:
    name: s
    position: {{latitude: 0, longitude: 0}}
    datum: T.P.
    gauge_zero: {zero} m
    device: d
    channels:
      water_level: {{interval: 60s, readings: {readings}, reference: {reference}{height}}}
"""
METRES = st.decimals(-20, 20, places=3)


@pytest.mark.parametrize("reference", ["gauge_height", "elevation"])
@pytest.mark.parametrize("readings", ["gauge_height", "elevation", "distance"])
@given(zero=METRES, height=METRES, surface=METRES)
def test_one_surface_is_one_observation(
    readings: str, reference: str, zero: float, height: float, surface: float
) -> None:
    """However a sensor measures, the same water surface becomes the same observation in the channel's reference."""
    above_sensor = f", sensor_height: {height} m" if readings == "distance" else ""
    stations, told = _load(FORM.format(zero=zero, readings=readings, reference=reference, height=above_sensor))
    assert told == []
    raw = {"gauge_height": surface - zero, "elevation": surface, "distance": zero + height - surface}[readings]
    wanted = {"gauge_height": surface - zero, "elevation": surface}[reference]
    assert normalise(float(raw), stations[0].channels["water_level"]) == pytest.approx(float(wanted), abs=1e-9)


def test_corrections() -> None:
    """A correction is added to the observation, whichever way the sensor looks, and without the offset of its unit."""
    stations, _ = _load(GOOD)
    kasuga, shinkawa, harbour = (station.channels for station in stations)
    assert normalise(1.0, kasuga["water_level"]) == 1.02
    assert normalise(1.0, shinkawa["water_level"]) == 8.69  # 4.50 + 5.20 - 1.00 - 0.01
    assert normalise(20.0, shinkawa["air_temperature"]) == 20.5
    assert normalise(0.5, harbour["water_level"]) == 2.5  # 0.50 m T.P. above a zero at -2.00 m
