"""Sensors on an SDI-12 line, over a real pseudo-terminal in the adapter's place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from gateway import busfile, config, processfile, settings, yamlfile
from gateway.edge.agent import open_bus
from gateway.edge.sampling import Bus
from gateway.errors import FaultCode
from gateway.profiles import Asked, Profile, decode
from simulators import sdi12line
from simulators.sdi12line import Broken, Probe, Sdi12Line

PROFILES = config.load_profiles(Path("/nonexistent"), [])
RADAR = PROFILES["campbell_cs476"]
TIMEOUT_S, SOON_S = 5.0, 0.2  # of sensors that answer, of some that do not
VALUES = ["+100.050", "+25.000", "+0"]


def asked(measure: str) -> Profile:
    return replace(RADAR, asked=Asked(measure=measure))


@contextmanager
def on(line: Sdi12Line, longest_s: float = 5.0, timeout_s: float = TIMEOUT_S) -> Iterator[Bus]:
    bus = open_bus(settings.Sdi12(line.port, timeout_s=timeout_s, longest_s=longest_s))
    try:
        yield bus
    finally:
        bus.close()
        line.close()


def read(bus: Bus, address: str = "0", profile: Profile = RADAR) -> object:
    """The raw line, or the fault of the bus."""
    return bus.read(settings.Sensor("gauge", "kasuga", "line", profile.id, 60.0, address=address), profile)


def test_a_measurement_is_started_and_fetched() -> None:
    """`0M!`, then `0D0!`: the answer is what the profile decodes."""
    probe = Probe({"": VALUES})
    with on(Sdi12Line({"0": probe})) as bus:
        raw = read(bus)
    assert raw == b"0+100.050+25.000+0\r\n"
    assert decode(RADAR, raw)["distance"] == 25.0
    assert probe.asked == ["0M!", "0D0!"]


@pytest.mark.parametrize(
    ("measure", "commands"),
    [
        ("M", ["0M!", "0D0!", "0D1!", "0D2!"]),
        ("MC", ["0MC!", "0D0!", "0D1!", "0D2!"]),
        ("M1", ["0M1!", "0D0!", "0D1!"]),
        ("C", ["0C!", "0D0!", "0D1!", "0D2!"]),
        ("CC1", ["0CC1!", "0D0!", "0D1!"]),
        ("R0", ["0R0!"]),
        ("RC1", ["0RC1!"]),
    ],
)
def test_every_kind_of_measurement(measure: str, commands: list[str]) -> None:
    """With a CRC and without, concurrent or not, of several answers joined in their order, or continuous."""
    values = {"": ["+1", "-2.5", "+3", "+0.4", "-0.05"], "1": ["+7", "-8", "+9.125"]}
    probe = Probe(values, per_answer=2)
    with on(Sdi12Line({"0": probe})) as bus:
        assert read(bus, profile=asked(measure)) == b"0%s\r\n" % "".join(values["1" * ("1" in measure)]).encode()
    assert probe.asked == commands


def test_sensors_share_a_line() -> None:
    """Each answers by its address, letters of both sizes too; one that is missing takes no other's answer."""
    probes = {"0": Probe({"": ["+1"]}), "b": Probe({"": ["+2"]}), "B": Probe({"": ["+3"]})}
    with on(Sdi12Line(dict(probes)), timeout_s=SOON_S) as bus:
        assert [read(bus, x) for x in ("0", "b", "B", "7", "0")] == [
            b"0+1\r\n",
            b"b+2\r\n",
            b"B+3\r\n",
            FaultCode.NO_ANSWER,
            b"0+1\r\n",
        ]


@pytest.mark.parametrize("ready_s", [0.0, 0.2])
def test_the_service_request_ends_the_wait(ready_s: float) -> None:
    """A sensor that is ready before its time is fetched then, also where its request comes right behind its answer; the
    measurement is not aborted by an early command."""
    probe = Probe({"": VALUES}, announced_s=60, ready_s=ready_s)
    with on(Sdi12Line({"0": probe}), longest_s=60.0) as bus:
        assert read(bus) == b"0+100.050+25.000+0\r\n"


def test_without_a_service_request_the_announced_time_is_waited() -> None:
    """A request that was lost costs the rest of the time, and a concurrent measurement sends none."""
    probe = Probe({"": VALUES}, announced_s=1, ready_s=0.1, broken="no_request")
    with on(Sdi12Line({"0": probe})) as bus:
        assert read(bus) == b"0+100.050+25.000+0\r\n"
        assert read(bus, profile=asked("C")) == b"0+100.050+25.000+0\r\n"


@pytest.mark.parametrize(
    ("broken", "fault"),
    [
        ("no_answer", FaultCode.NO_ANSWER),
        ("wrong_crc", FaultCode.MALFORMED),
        ("late", FaultCode.MALFORMED),
        ("half", FaultCode.MALFORMED),
        ("other_address", FaultCode.MALFORMED),
        ("garbage", FaultCode.MALFORMED),
        ("babbles", FaultCode.MALFORMED),
        ("aborts", FaultCode.SENSOR_ERROR),
    ],
)
def test_what_goes_wrong_is_a_fault_and_the_next_reading_is_right(broken: Broken, fault: FaultCode) -> None:
    """However the sensor is broken, its reading is a fault, its neighbour's is not, and afterwards it is read again."""
    probe = Probe({"": VALUES}, broken=broken, late_s=1.5 * SOON_S)
    with on(Sdi12Line({"0": probe, "1": Probe({"": ["+5"]})}), timeout_s=SOON_S) as bus:
        assert read(bus, profile=asked("MC")) is fault
        assert read(bus, "1") == b"1+5\r\n"
        probe.broken = ""
        assert read(bus, profile=asked("MC")) == b"0+100.050+25.000+0\r\n"


@pytest.mark.parametrize("broken", ["no_answer", "wrong_crc", "late", "half", "other_address", "garbage"])
def test_two_disturbances_of_a_command_are_survived(broken: Broken) -> None:
    """Each command is tried three times, and an answer that comes late is not taken for the next one's."""
    probe = Probe({"": VALUES}, per_answer=1, broken=broken, broken_for=2, late_s=1.5 * SOON_S)
    with on(Sdi12Line({"0": probe}), timeout_s=SOON_S) as bus:
        assert read(bus, profile=asked("MC")) == b"0+100.050+25.000+0\r\n"


def test_a_measurement_that_the_sensor_does_not_have() -> None:
    """No values announced is a refusal."""
    with on(Sdi12Line({"0": Probe({"": VALUES})})) as bus:
        assert read(bus, profile=asked("M5")) is FaultCode.REFUSED


def test_a_measurement_that_takes_too_long() -> None:
    """A sensor, or noise, that announces a quarter of an hour does not hold the line for it."""
    with on(Sdi12Line({"0": Probe({"": VALUES}, announced_s=900)})) as bus:
        assert read(bus) is FaultCode.MALFORMED


def test_an_adapter_that_hears_itself() -> None:
    """On one wire a command comes back before its answer, behind the break."""
    with on(Sdi12Line({"0": Probe({"": VALUES})}, echoes=True)) as bus:
        assert read(bus) == b"0+100.050+25.000+0\r\n"


def test_the_crc_is_the_standards() -> None:
    """SDI-12 v1.4, section 4.4.12.3: `0+3.14OqZ`, of the sensor at 0 that measures 3.14."""
    assert sdi12line.crc(b"0+3.14") == b"OqZ"


def test_a_port_that_is_not_there(tmp_path: Path) -> None:
    """An adapter that is pulled out is a fault of the bus; when it is back its sensors are read again."""
    port = tmp_path / "ttyUSB0"
    bus = open_bus(settings.Sdi12(str(port), timeout_s=SOON_S, longest_s=5.0))
    assert read(bus) is FaultCode.BUS_ERROR
    line = Sdi12Line({"0": Probe({"": ["+1"]})})
    port.symlink_to(line.port)
    assert read(bus) == b"0+1\r\n"
    line.close()
    assert read(bus) in (FaultCode.BUS_ERROR, FaultCode.NO_ANSWER)
    again = Sdi12Line({"0": Probe({"": ["+2"]})})
    port.unlink()
    port.symlink_to(again.port)
    try:
        assert b"0+2\r\n" in [read(bus) for _ in range(2)]
    finally:
        bus.close()
        again.close()


@pytest.mark.parametrize(
    ("profile", "rest", "told"),
    [
        ("campbell_cs476", ', address: "0"', []),
        (
            "campbell_cs476",
            ", address: 0",
            ["sensors.radar.address: 0 is read as a number. For text put it in quotes: '0'"],
        ),
        ("campbell_cs476", ", address: Z", []),
        ("campbell_cs476", "", ["sensors.radar: 'address' is missing. Add for example 'address: \"0\"'"]),
        (
            "campbell_cs476",
            ', address: "10"',
            ["sensors.radar.address: '10' is no address of SDI-12. Write one of 0-9, a-z, A-Z"],
        ),
        (
            "maxbotix_mb7389",
            ', address: "0"',
            [
                "sensors.radar.profile: maxbotix_mb7389 does not say what it measures over SDI-12. Add for example "
                "'asked: {measure: M}' to it"
            ],
        ),
    ],
)
def test_edge_yaml(profile: str, rest: str, told: list[str]) -> None:
    """A sensor has an address of one character, a profile says its measurement."""
    line = f"{{station: a, bus: line, profile: {profile}, interval: 60s, accept_unverified: true{rest}}}"
    text = f"buses:\n  line: {{type: sdi12, port: /dev/ttyUSB0}}\nsensors:\n  radar: {line}\n"
    document = yamlfile.parse(text.encode(), "edge.yaml")
    processfile.single(document, PROFILES[profile])
    assert [f"{p.path}: {p.message}" for p in document.problems] == told


def test_which_profiles_stand_on_such_a_line() -> None:
    """Those that say their measurement."""
    assert "sdi12" in busfile.carriers(RADAR)
    assert "sdi12" not in busfile.carriers(PROFILES["hydreon_rg15"])
