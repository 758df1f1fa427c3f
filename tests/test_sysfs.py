"""Sensors that drivers of the kernel read, from a tree of files as /sys is one."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import busfile, config, processfile, profiles, settings, yamlfile
from gateway.edge.agent import open_bus
from gateway.edge.buses import sysfs
from gateway.edge.sampling import Bus
from gateway.errors import FaultCode
from gateway.profiles import Profile, decode
from simulators.sysfstree import Broken, Device, SysfsTree, ds18b20_says, w1_crc, w1_memory

PROFILES = config.load_profiles(Path("/nonexistent"), [])
BME280, DS18B20, LOOP = (PROFILES[x] for x in ("bosch_bme280", "maxim_ds18b20", "pressure_4_20ma"))
BOX = {"in_temp_input": "25730", "in_humidityrelative_input": "48560", "in_pressure_input": "101.390152343"}
SOON_S, TIMEOUT_S = 0.3, 30.0  # of a device that does not answer, of one that does


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[SysfsTree]:
    tree = SysfsTree(tmp_path / "sys")
    yield tree
    tree.close()


def sensor(profile: Profile, address: str = "", name: str = "s") -> settings.Sensor:
    return settings.Sensor(name, "kasuga", "board", profile.id, 60.0, address=address)


def opened(tree: SysfsTree, timeout_s: float = TIMEOUT_S) -> Bus:
    return open_bus(settings.Sysfs(tree.root, timeout_s))


def read(tree: SysfsTree, profile: Profile, address: str = "", timeout_s: float = TIMEOUT_S) -> object:
    """What each value of a reading is, or the fault of its bus."""
    bus = opened(tree, timeout_s)
    raw = bus.read(sensor(profile, address), profile)
    bus.close()
    return raw if isinstance(raw, FaultCode) else decode(profile, raw)


# --- what the profiles read


def test_the_files_of_a_driver_are_one_sample(tree: SysfsTree) -> None:
    """Temperature, humidity and pressure of one device, as the driver says them."""
    tree.iio(0, "1-0076", "bme280", BOX)
    assert read(tree, BME280) == {"air_temperature": 25.73, "humidity": 48.56, "air_pressure": 1013.90152343}


def test_a_value_that_the_device_does_not_have(tree: SysfsTree) -> None:
    """A BMP280 in the place of a BME280 has no humidity: that value is malformed, the others stand."""
    tree.iio(0, "1-0076", "bme280", {k: v for k, v in BOX.items() if "humid" not in k})
    found = read(tree, BME280)
    assert found == {"air_temperature": 25.73, "humidity": FaultCode.MALFORMED, "air_pressure": 1013.90152343}


@pytest.mark.parametrize("celsius", [-55, -10.0625, -0.0625, 0, 21.875, 84.9375, 125])
def test_one_wire(tree: SysfsTree, celsius: float) -> None:
    """What the driver says of a temperature is the temperature, to three decimals."""
    tree.ds18b20("0316a2794f5d", celsius)
    assert read(tree, DS18B20) == {"water_temperature": pytest.approx(celsius, abs=0.001)}


@pytest.mark.parametrize(
    ("said", "found"),
    [
        # recorded: raspberrypi.stackexchange.com, questions 48106 and 65828; raspberrypi.org forum, topic 91982
        ("5e 01 ff ff 7f ff ff ff 52 : crc=52 YES\n5e 01 ff ff 7f ff ff ff 52 t=21875\n", 21.875),
        ("3f 00 4b 46 7f ff 01 10 47 : crc=47 YES\n3f 00 4b 46 7f ff 01 10 47 t=3937\n", 3.937),
        ("3f 00 4b 46 7f ff 01 10 47 : crc=47 yes\n3f 00 4b 46 7f ff 01 10 47 t=3937\n", 3.937),  # newer kernels
        ("50 05 4b 46 7f ff 0c 10 1c : crc=1c YES\n50 05 4b 46 7f ff 0c 10 1c t=85000\n", FaultCode.WARMING_UP),
        ("ff ff ff ff ff ff ff ff ff : crc=c9 NO\n3f 00 4b 46 7f ff 01 10 47 t=3937\n", FaultCode.MALFORMED),
        ("ff ff ff ff ff ff ff ff ff : crc=c9 no\n3f 00 4b 46 7f ff 01 10 47 t=3937\n", FaultCode.MALFORMED),
        ("00 00 00 00 00 00 00 00 00 : crc=00 YES\n00 00 00 00 00 00 00 00 00 t=0\n", FaultCode.BUS_ERROR),
        ("3f 00 4b 46 7f ff 01 10 47 : crc=47 YES\n", FaultCode.MALFORMED),
        ("3f 00 4b 46 7f ff 01 10 47 : crc=47 YES\n3f 00 4b 46 7f ff 01 10 47 t=\n", FaultCode.MALFORMED),
        ("", FaultCode.NO_ANSWER),
    ],
)
def test_what_w1_therm_says(tree: SysfsTree, said: str, found: object) -> None:
    """Nothing is believed of a wrong CRC, though an old temperature stands behind it, or of zeros."""
    tree.ds18b20("0316a2794f5d", 1.0).say(w1_slave=said.rstrip())
    result = read(tree, DS18B20)
    assert (result["water_temperature"] if isinstance(result, dict) else result) == found


def test_a_loop_at_an_adc_with_a_scale_for_each_channel_or_one_for_all(tree: SysfsTree) -> None:
    """Half of 4 to 20 mA over 100 ohm is 1.2 V and 5 m, whichever way the driver says its scale."""
    adc = tree.iio(0, "1-0048", "ads1015", {"in_voltage0_raw": "9600", "in_voltage0_scale": "0.125000000"})
    assert read(tree, LOOP) == {"water_level": 5.0}
    adc.say(in_voltage0_scale=None, in_voltage_scale="0.125000000")
    assert read(tree, LOOP) == {"water_level": 5.0}
    adc.say(in_voltage0_raw="10")
    assert read(tree, LOOP) == {"water_level": FaultCode.SENSOR_ERROR}  # a loop that is cut
    adc.say(in_voltage0_raw="32767")
    assert read(tree, LOOP) == {"water_level": FaultCode.ABOVE_SPAN}


def test_hwmon(tree: SysfsTree) -> None:
    """A chip of hwmon is known by its name, and is read like any other."""
    tree.hwmon(0, "0-004c", "lm90", {"temp1_input": "40000"})
    tree.hwmon(3, "1-0044", "sht3x", {"temp1_input": "21500"})
    asked = profiles.Asked(folder="class/hwmon/hwmon*", device="sht3x")
    at = profiles.named.At("temp1_input")
    chip = replace(BME280, id="chip", values=(replace(BME280.values[0], at=at),), asked=asked)
    assert read(tree, chip) == {"air_temperature": 21.5}


# --- which device it is


@pytest.mark.parametrize("address", ["1-0077", "outside"])
def test_devices_are_told_apart_by_what_stays(tree: SysfsTree, address: str) -> None:
    """By their place on the bus or a label; their numbers may come the other way round after a restart."""
    for inside, outside in ((0, 1), (1, 0)):
        first = tree.iio(inside, "1-0076", "bme280", BOX)
        second = tree.iio(outside, "1-0077", "bme280", BOX | {"in_temp_input": "4000", "label": "outside"})
        tree.iio(2, "1-0048", "ads1015", {"in_voltage0_raw": "1", "in_voltage0_scale": "1"})
        found = read(tree, BME280, address)
        assert isinstance(found, dict)
        assert found["air_temperature"] == 4.0
        for device in (first, second):
            device.be("unplugged")


def test_two_that_fit_are_none(tree: SysfsTree) -> None:
    """Without an address nobody knows which of two it is: a fault, never the wrong one's value."""
    tree.ds18b20("0316a2794f5d", 10)
    tree.ds18b20("0416c1d2e3ff", 20)
    assert read(tree, DS18B20) is FaultCode.BUS_ERROR
    assert read(tree, DS18B20, "28-0416c1d2e3ff") == {"water_temperature": 20}


def test_a_device_that_is_not_there(tree: SysfsTree) -> None:
    """A driver that is not loaded is a fault of the bus; one that knows no such device, no answer."""
    assert read(tree, DS18B20) is FaultCode.BUS_ERROR
    tree.ds18b20("0316a2794f5d", 10)
    assert read(tree, DS18B20, "28-ffffffffffff") is FaultCode.NO_ANSWER
    assert read(tree, BME280) is FaultCode.BUS_ERROR


# --- what goes wrong


@pytest.mark.parametrize(
    ("broken", "fault"),
    [
        ("unplugged", FaultCode.NO_ANSWER),
        ("fails", FaultCode.NO_ANSWER),
        ("silent", FaultCode.NO_ANSWER),
        ("hangs", FaultCode.NO_ANSWER),
        ("garbage", FaultCode.MALFORMED),
        ("endless", FaultCode.MALFORMED),
        ("crc_no", FaultCode.MALFORMED),
        ("shorted", FaultCode.BUS_ERROR),
    ],
)
def test_what_goes_wrong_is_a_fault_and_the_next_reading_is_right(
    tree: SysfsTree, broken: Broken, fault: FaultCode
) -> None:
    """However a sensor is broken, its reading is a fault, and a value again once it is well."""
    device = tree.ds18b20("0316a2794f5d", 12.5)
    device.be(broken)
    assert read(tree, DS18B20, timeout_s=SOON_S if broken == "hangs" else TIMEOUT_S) is fault
    device.be("")
    assert read(tree, DS18B20) == {"water_temperature": 12.5}


def test_a_slow_sensor_is_waited_for(tree: SysfsTree) -> None:
    """A driver that measures for a while is read."""
    device = tree.ds18b20("0316a2794f5d", 12.5)
    device.late_s = 0.2
    device.be("late")
    assert read(tree, DS18B20) == {"water_temperature": 12.5}


def test_a_read_that_hangs_keeps_its_own_sensor_only(tree: SysfsTree) -> None:
    """While a read hangs in the kernel its sensor is not asked again, its neighbour is; what it says when it comes
    back is nobody's reading, and then it is asked again."""
    stuck, well = tree.ds18b20("0316a2794f5d", 12.5), tree.ds18b20("0416c1d2e3ff", 20)
    bus = opened(tree, SOON_S)
    one, other = sensor(DS18B20, "28-0316a2794f5d", "one"), sensor(DS18B20, "28-0416c1d2e3ff", "other")
    stuck.be("hangs")
    assert bus.read(one, DS18B20) is FaultCode.NO_ANSWER
    (hanging,) = (t for t in threading.enumerate() if t.name == "sysfs one")
    for _ in range(3):
        assert bus.read(one, DS18B20) is FaultCode.NO_ANSWER
        assert bus.read(other, DS18B20) == {"w1_slave": 20_000}
    assert [t for t in threading.enumerate() if t.name == "sysfs one"] == [hanging]
    stuck.be("")
    well.say(w1_slave=ds18b20_says(21).rstrip())
    hanging.join()
    bus = opened(tree)
    assert bus.read(one, DS18B20) == {"w1_slave": 12_500}
    assert bus.read(other, DS18B20) == {"w1_slave": 21_000}


def test_stuck_and_out_of_range(tree: SysfsTree) -> None:
    """A value that never moves or lies beyond the span is passed on: quality tests flag it, nobody deletes it."""
    device: Device = tree.iio(0, "1-0076", "bme280", BOX)
    assert read(tree, BME280) == read(tree, BME280)
    device.say(in_temp_input="99000")
    found = read(tree, BME280)
    assert isinstance(found, dict)
    assert found["air_temperature"] == 99.0


@given(st.binary(max_size=200))
def test_no_content_of_a_file_raises(content: bytes) -> None:
    """Whatever stands in a file is a finite number or a fault."""
    found = sysfs._number(content.decode("ascii", "replace"))
    assert isinstance(found, FaultCode) or abs(found) < 1e21


def test_the_simulated_crc_is_that_of_recorded_sensors() -> None:
    """The CRC of a recorded memory is its last byte, and of simulated ones the driver's form comes."""
    recorded = bytes.fromhex("3f004b467fff011047")
    assert w1_crc(recorded[:-1]) == recorded[-1]
    written = "3f 00 4b 46 7f ff 01 10 47 : crc=47 YES\n3f 00 4b 46 7f ff 01 10 47 t=3937\n"
    assert w1_memory(recorded, 3937) == written


# --- edge.yaml, the profile, the command line


def _checked(line: str, bus: str = "{type: sysfs}", profile: Profile = DS18B20) -> list[str]:
    text = f"buses:\n  board: {bus}\nsensors:\n  water: {{station: a, bus: board, interval: 60s, {line}}}\n"
    document = yamlfile.parse(text.encode(), "edge.yaml")
    processfile.single(document, profile)
    return [f"{p.path}: {p.message}" for p in document.problems]


def test_the_root_is_beside_the_configuration(tmp_path: Path) -> None:
    """A relative root is a folder beside edge.yaml; without one it is /sys."""
    for section, root in (("{type: sysfs}", Path("/sys")), ("{type: sysfs, root: tree}", tmp_path / "tree")):
        document = yamlfile.parse(f"buses:\n  board: {section}\n".encode(), "edge.yaml")
        assert busfile.buses(document, tmp_path)["board"] == ("sysfs", settings.Sysfs(root, 5.0))
        assert document.problems == []


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("profile: maxim_ds18b20", []),
        ("profile: maxim_ds18b20, address: 28-0316a2794f5d", []),
        (
            "profile: maxim_ds18b20, address: /sys/bus/w1/devices/28-0316a2794f5d/",
            "sensors.water.address: '/sys/bus/w1/devices/28-0316a2794f5d/' is a path, and a device is known by one "
            "part of it. Did you mean '28-0316a2794f5d'?",
        ),
        (
            'profile: maxim_ds18b20, address: "iio:device0"',
            "sensors.water.address: 'iio:device0' changes with every start. Write what stays: its name (bme280) or its "
            "place (1-0076)",
        ),
        (
            "profile: maxim_ds18b20, unit_id: 3",
            "sensors.water.unit_id: a bus of type sysfs knows its sensors by 'address'. Leave unit_id out",
        ),
    ],
)
def test_the_address_of_a_sensor(line: str, told: list[str] | str) -> None:
    """It may be left out, and is what stays the same after a restart."""
    assert _checked(line) == ([told] if isinstance(told, str) else told)


def test_profiles_that_do_not_fit() -> None:
    """One that does not say where the kernel shows its device, and one of another encoding."""
    told, *_ = _checked("profile: tipping_bucket_05", profile=PROFILES["tipping_bucket_05"])
    assert "does not say where the kernel shows such a device. Add for example 'asked: {folder: " in told
    told, *_ = _checked("profile: hydreon_rg15", profile=PROFILES["hydreon_rg15"])
    assert told.startswith("sensors.water.profile: hydreon_rg15 is a profile for lines of text")
    assert busfile.carriers(BME280) == ["sysfs"]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ('{folder: "/sys/bus/w1/devices/28-*"}', "Did you mean 'bus/w1/devices/28-*'?"),
        ('{folder: "bus/../28-*"}', "Write them like bus/iio/devices/iio:device*"),
        ('{folder: "bus/**/28-*"}', "Write them like bus/iio/devices/iio:device*"),
        ("{device: bme280}", "'folder' is missing. Add for example 'folder: \"bus/iio/devices/iio:device*\"'"),
    ],
)
def test_a_profile_that_asks_wrongly(tmp_path: Path, asked: str, told: str) -> None:
    """Folders outside /sys, or a name without a folder, are told with a remedy."""
    path = Path(__file__).parent.parent / "device_profiles/maxim_ds18b20.yaml"
    text = path.read_text().replace('{folder: "bus/w1/devices/28-*"}', asked)
    (tmp_path / "device_profiles").mkdir()
    (tmp_path / "device_profiles/maxim_ds18b20.yaml").write_text(text)
    problems: list = []  # type: ignore[type-arg]
    config.load_profiles(tmp_path, problems)
    assert [p.message for p in problems if told in p.message]


def _suimon(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "gateway", *words], capture_output=True, text=True, timeout=120)


def test_edge_read_reads_a_tree(tree: SysfsTree) -> None:
    """One command reads the sensor, prints the file's number, the value, and exits by what it found."""
    device = tree.ds18b20("0316a2794f5d", 21.875)
    words = ("edge", "read", "--profile", "maxim_ds18b20", "--bus", "sysfs", "--set", f"root={tree.root}", "--json")
    done = _suimon(*words)
    found = json.loads(done.stdout)
    assert (done.returncode, found["raw"]) == (0, {"named": {"w1_slave": 21875.0}})
    assert found["values"] == {"water_temperature": {"value": 21.875, "unit": "Cel"}}
    device.be("unplugged")
    assert _suimon(*words).returncode == 4


def test_the_doctor_names_what_is_there(tmp_path: Path, tree: SysfsTree) -> None:
    """Each sensor's device is looked for; where it is missing, those that are there are named."""
    tree.iio(0, "1-0076", "bme280", BOX)
    tree.ds18b20("0316a2794f5d", 10)
    tree.ds18b20("0416c1d2e3ff", 20)
    sensors = {"box": "bosch_bme280", "water": "maxim_ds18b20", "drain": "maxim_ds18b20, address: 28-ffffffffffff"}
    (tmp_path / "edge.yaml").write_text(
        "version: 1\ntenant: takamatsu\ndevice: kasuga-01\nbroker: {host: 127.0.0.1, port: 9}\n"
        "spool: {path: spool.db}\nbuses: {board: {type: sysfs, root: sys}}\nsensors:\n"
        + "".join(f"  {n}: {{bus: board, profile: {p}, interval: 60s, station: {n}}}\n" for n, p in sensors.items())
    )
    done = _suimon("doctor", "--config", str(tmp_path), "--json")
    found = [(f["state"], f["message"]) for f in json.loads(done.stdout)["findings"] if f["name"] == "bus board"]
    both = "28-0316a2794f5d (28-0316a2794f5d), 28-0416c1d2e3ff (28-0416c1d2e3ff)"
    assert found == [
        ("ok", "sensor box is there"),
        ("fail", f"several fit sensor water: {both}"),
        ("fail", f"no device 28-ffffffffffff for sensor drain; there: {both}"),
    ]
