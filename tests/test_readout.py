"""`suimon edge read`: one sensor read once over its real bus; raw and decoded, for people, scripts and profiles."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import get_args

import pytest
from typer.testing import CliRunner, Result

from gateway import busfile, config, faultwords, onesensor, profilefile, profiles, readout, settings, yamlfile
from gateway.cli.main import app
from gateway.clock import SimClock
from gateway.errors import ConfigError, FaultCode, Problem
from gateway.profiles import Example, Profile
from simulators import run
from simulators.sensor import Sensor
from simulators.serialsensors import ModbusLine, Speaker, Unit
from tests import readme, servers

FOLDER = Path(__file__).parent.parent / "device_profiles"
PROBLEMS: list[Problem] = []
ALL = config.load_profiles(FOLDER.parent, PROBLEMS)
EXAMPLES = [pytest.param(p, e, id=f"{p.id}: {e.name}") for p in ALL.values() for e in p.examples]
GAUGE = ALL["sim_river_gauge"]


class Still:
    """A river that stands at 1.234 m."""

    def measure(self, now_ms: int) -> Mapping[str, float]:
        return {"water_level": 1.234, "battery_voltage": 12.61}

    look = measure


@pytest.fixture
def sensor(tmp_path: Path) -> Iterator[Sensor]:
    clock = SimClock.create(tmp_path / "clock", 1_750_000_020_000, None)
    clock.start()
    served = Sensor("a", GAUGE, Still())
    with run.running([served], clock, tmp_path):
        yield served


def read(*words: str | Path | int, expect: int = 0) -> Result:
    done = CliRunner().invoke(app, ["edge", "read", *map(str, words)])
    assert done.exit_code == expect, done.output
    return done


def stated(port: int) -> list[str]:
    return ["--profile", GAUGE.id, "--bus", "modbus_tcp", "--set", "host=127.0.0.1", "--set", f"port={port}"]


# --- over the bus


def test_raw_and_decoded_for_people(sensor: Sensor) -> None:
    """The registers as they came, what stood at each value's place, and what it means."""
    lines = read(*stated(sensor.port)).stdout.splitlines()
    assert lines[:7] == [
        f"sim_river_gauge at 127.0.0.1:{sensor.port}",
        "raw",
        "  registers from 0: 0 1 1234 12610  (hex 0000 0001 04D2 3142)",
        "decoded",
        "  read_counter     1      1 count",
        "  water_level      1234   1.234 m",
        "  battery_voltage  12610  12.61 V",
    ]
    assert lines[-1].startswith('  - {name: read, place: "read at the sensor, 20')


def test_raw_and_decoded_for_scripts(sensor: Sensor) -> None:
    """The same as JSON."""
    told = json.loads(read(*stated(sensor.port), "--json").stdout)
    assert told == {
        "where": f"127.0.0.1:{sensor.port}",
        "profile": "sim_river_gauge",
        "verified": True,
        "fault": None,
        "raw": {"registers": {"0": [0, 1, 1234, 12610]}},
        "values": {
            "read_counter": {"value": 1.0, "unit": "count"},
            "water_level": {"value": 1.234, "unit": "m"},
            "battery_voltage": {"value": 12.61, "unit": "V"},
        },
        "sample": told["values"],
        "readings": 1,
        "heard": "",
    }


def test_a_value_that_is_a_fault(sensor: Sensor) -> None:
    """It answered: the raw number stands beside the fault, and the exit code says that not all is well."""
    sensor.mode = FaultCode.NO_ECHO
    assert (
        "  water_level      -32768  fault no_echo: the sensor saw no echo"
        in read(*stated(sensor.port), expect=1).stdout
    )
    told = json.loads(read(*stated(sensor.port), "--json", expect=1).stdout)
    assert told["values"]["water_level"] == {"fault": "no_echo"}


def test_a_sensor_that_does_not_answer(sensor: Sensor) -> None:
    """No reading, and why; another exit code than that of a fault."""
    sensor.mode = FaultCode.NO_ANSWER
    words = [*stated(sensor.port), "--set", "timeout=200ms"]
    assert read(*words, expect=4).stdout.splitlines()[1] == "no reading: the sensor did not answer in time (no_answer)"
    told = json.loads(read(*words, "--json", expect=4).stdout)
    assert (told["fault"], told["raw"]) == ("no_answer", None)
    assert "could not be reached" in read(*stated(servers.free_port()), expect=4).stdout


def test_a_sensor_of_the_configuration(sensor: Sensor, tmp_path: Path) -> None:
    """A sensor of edge.yaml is read as the agent would, with nothing else to say."""
    folder = readme.write_configuration(tmp_path / "own")
    edge = folder / "edge.yaml"
    edge.write_text(edge.read_text().replace("5020", str(sensor.port)))
    lines = read("--config", folder, "--sensor", "level").stdout.splitlines()
    assert lines[0] == f"acme_us10 (UNVERIFIED) at 127.0.0.1:{sensor.port}"
    assert "  water_level  1234  1.234 m" in lines
    assert read("--config", folder, "--sensor", "levle", expect=3).stderr.startswith(
        "edge.yaml has no sensor 'levle'. Did you mean 'level'?"
    )


def test_over_a_serial_line() -> None:
    """A sensor that speaks by itself on a line: its bytes, and what they mean."""
    with closing(Speaker(b"R1234\r")) as line:
        words = ["--profile", "maxbotix_mb7389", "--bus", "serial", "--set", f"port={line.port}"]
        assert '  text: "R1234\\r"' in read(*words).stdout.splitlines()
        told = json.loads(read(*words, "--json").stdout)
    assert told["raw"] == {"text": "R1234\r"}
    assert told["values"] == {"distance": {"value": 1.234, "unit": "m"}}


def test_over_a_modbus_line() -> None:
    """One of several sensors on a Modbus RTU line, by its unit id."""
    with closing(ModbusLine({7: Unit(dict(GAUGE.examples[0].raw))})) as line:  # type: ignore[arg-type]
        words = ["--profile", GAUGE.id, "--bus", "modbus_rtu", "--set", f"port={line.port}"]
        words += ["--set", "baud=9600", "--set", "format=8N1", "--set", "timeout=300ms"]
        assert "  water_level      1234   1.234 m" in read(*words, "--unit-id", 7).stdout.splitlines()
        assert "no_answer" in read(*words, "--unit-id", 8, expect=4).stdout


def test_a_burst_is_read_as_the_agent_reads_it(tmp_path: Path) -> None:
    """As many readings as edge.yaml says, and the median that would be sent beside the last of them."""
    with closing(Speaker(b"R1234\r")) as line:
        folder = readme.write_configuration(tmp_path / "own")
        sensor = "{station: kasuga-bridge, bus: pole, profile: maxbotix_mb7389, interval: 60s, burst: 3, "
        text = (folder / "edge.yaml").read_text().partition("buses:")[0]
        text += f"buses:\n  pole: {{type: serial, port: {line.port}}}\nsensors:\n"
        (folder / "edge.yaml").write_text(text + f"  level: {sensor}channels: {{distance: water_level}}}}\n")
        (folder / "stations.yaml").unlink()
        lines = read("--config", folder, "--sensor", "level").stdout.splitlines()
        told = json.loads(read("--config", folder, "--sensor", "level", "--json").stdout)
    assert lines[lines.index("sample, the median of 3 of 3 readings") + 1] == "  distance  1.234 m"
    assert (told["readings"], told["sample"]) == (3, told["values"])


def test_what_came_is_shown_where_no_answer_is_in_it() -> None:
    """Bytes in which the profile finds no frame are printed, and what to look at; nobody reads them as a value."""
    with closing(Speaker(b"\x80R12\r")) as line:
        words = ["--profile", "hydreon_rg15", "--bus", "serial", "--set", f"port={line.port}", "--set", "timeout=500ms"]
        lines = read(*words, expect=4).stdout.splitlines()
        told = json.loads(read(*words, "--json", expect=4).stdout)
    assert lines[1].endswith("(malformed)")
    assert lines[2].startswith("what came last, and no whole answer in it: ")
    assert "80 52 31 32 0D" in lines[3]
    assert lines[4].startswith("look at: baud and format")
    assert "80 52 31 32 0D" in told["heard"]


@pytest.mark.parametrize("kind", busfile.KINDS)
@pytest.mark.parametrize("fault", FaultCode)
def test_every_fault_of_a_bus_has_something_to_look_at(kind: str, fault: FaultCode) -> None:
    """Whatever a bus says instead of a reading."""
    bus = {k.__name__.lower(): k for k in get_args(settings.Bus)}[kind.replace("_", "")]
    assert faultwords.remedy(bus.__new__(bus), fault)


def test_a_register_that_is_not_there_leads_to_how_datasheets_count(sensor: Sensor) -> None:
    """The commonest mistake with a register table is named where it shows."""
    sensor.mode = FaultCode.REFUSED
    assert "40001" in read(*stated(sensor.port), expect=4).stdout


# --- what is said of wrong words

WRONG = [
    (["--bus", "modbus_tcp"], "say which: '--profile NAME --bus TYPE --set …', or '--config FOLDER --sensor NAME'"),
    (["--profile", "sim_river_gauge", "--bus", "modbus"], "unknown bus 'modbus'. Did you mean 'modbus_tcp'?"),
    (["--profile", "sim_river", "--bus", "modbus_tcp"], "unknown profile 'sim_river'. Did you mean 'sim_river_gauge'?"),
    (
        ["--profile", "sim_river_gauge", "--bus", "modbus_tcp"],
        "--set: 'host' is missing. Add for example '--set host=192.168.1.20'",
    ),
    ([*stated(502), "--set", "prot=1"], "--set prot: unknown key 'prot'. Did you mean 'port'?"),
    ([*stated(502)[:-1], "port=x"], "--set port: 'x' is not a whole number"),
    ([*stated(502), "--set", "timeout"], "--set: 'timeout' is no setting. Write 'host=192.168.1.20'"),
    ([*stated(502), "--set", "timeout 1s"], "--set: 'timeout 1s' is no setting. Did you mean 'timeout=1s'?"),
    (
        ["--profile", "decentlab_dl_mbx", "--bus", "serial", "--set", "port=/dev/ttyUSB0"],
        "--profile: decentlab_dl_mbx is the payload of a radio, which the bridge decodes. Name it at a source",
    ),
    ([*stated(502), "--address", "3"], "--address: a bus of type modbus_tcp knows its sensors by 'unit_id'."),
    ([*stated(502), "--unit-id", "256"], "--unit-id: 256 is above 255"),
    (["--profile", "json_level", *stated(502)[2:]], "--profile: json_level is a profile for JSON texts, and a bus of "),
]


@pytest.mark.parametrize(("words", "expected"), WRONG, ids=[row[1][:40] for row in WRONG])
def test_wrong_words(words: list[str], expected: str) -> None:
    """Each mistake on the command line is told in its own words, and nothing is opened."""
    assert expected in read(*words, expect=3).stderr


def test_a_setting_cannot_become_another() -> None:
    """Nothing that stands in a setting reaches beyond it."""
    for word in ("host=a\nport: 1", "host={", "host=*x"):
        with pytest.raises(ConfigError):
            onesensor.of(GAUGE, "modbus_tcp", [word], None, None, None)


# --- every encoding


@pytest.mark.parametrize(("profile", "example"), EXAMPLES)
def test_a_read_can_become_an_example(profile: Profile, example: Example) -> None:
    """Put into the profile, what was printed says the same as what was read."""
    found = readout.readout(profile, example.raw)
    assert all(value in "\n".join(readout.lines(found)) for value in found.values)
    assert json.loads(json.dumps(readout.told(found)))["profile"] == profile.id
    if not readout.is_example(found):
        return
    line = readout.example(found, "read", "read at the sensor, 2026-06-01")
    text = (FOLDER / f"{profile.id}.yaml").read_text(encoding="utf-8").rstrip("\n") + f"\n  {line}\n"
    document = yamlfile.parse(text.encode(), "own")
    again = profilefile.profile(document, profile.id)
    assert document.problems == []
    assert again is not None
    assert profiles.decode(again, again.examples[-1].raw) == found.values


def test_a_line_beyond_ascii_is_shown_as_bytes_too() -> None:
    """Garbage on a line is seen for what it is."""
    found = readout.readout(ALL["maxbotix_mb7389"], b"R\xff\x00\r")
    assert any(line.startswith("  hex: 52 FF 00 0D") for line in readout.lines(found))
    assert not readout.is_example(found)


def test_a_json_text_of_many_lines_becomes_an_example_of_one() -> None:
    """A pretty-printed answer can be put into the profile as it is printed here."""
    found = readout.readout(ALL["json_level"], b'{\n  "n": 17,\r\n\t"level": {"value": 123.4}\n}\n')
    assert found.values["water_level"] == 1.234
    assert readout.raw_form(found.profile, found.raw) == {"json": '{ "n": 17, "level": {"value": 123.4} }'}  # type: ignore[arg-type]
