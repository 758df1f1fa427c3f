"""Sensors on I2C, with the messages of smbus2 at simulated devices."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import smbus2
from hypothesis import given
from hypothesis import strategies as st

from gateway import busfile, config, processfile, profiles, settings, yamlfile
from gateway.edge.agent import open_bus
from gateway.edge.buses.i2c import I2c
from gateway.encodings import frames
from gateway.encodings.frames import Frame
from gateway.errors import FaultCode, Problem
from gateway.profiles import Asked, Profile, decode
from simulators.i2cline import Broken, Commanded, I2cLine, Registers
from tests.servers import free_port

PROFILES = config.load_profiles(Path("/nonexistent"), [])
SHT3X, LOOP = PROFILES["sensirion_sht3x"], PROFILES["pressure_4_20ma_ads1115"]
RECORDED = bytes.fromhex("62 76 53 73 D3 C0")  # denis-koshenkov/sensirion-sht3x: 22.31 Cel, 45.24 %RH
AIR = {"air_temperature": pytest.approx(22.31, abs=0.005), "humidity": pytest.approx(45.24, abs=0.005)}
BUS = settings.I2c("/dev/i2c-1")


def sht3x(says: bytes = RECORDED) -> Commanded:
    return Commanded(b"\x24\x00", lambda: says, takes_s=0.015)


def ads1115(millivolts: float) -> Registers:
    return Registers(lambda: round(millivolts / 0.125).to_bytes(2, "big", signed=True))


def sensor(profile: Profile, address: str = "") -> settings.Sensor:
    return settings.Sensor("s", "kasuga", "board", profile.id, 60.0, address=address)


def read(bus: I2c, profile: Profile = SHT3X, address: str = "") -> object:
    """What each value of a reading is, or the fault of its bus."""
    raw = bus.read(sensor(profile, address), profile)
    return raw if isinstance(raw, FaultCode) else decode(profile, raw)


# --- how a sensor is asked


def test_a_sensor_is_commanded_waited_for_and_read() -> None:
    """The command, a stop, its measurement, then six bytes: what was recorded of a real one is what it measured."""
    line = I2cLine({0x44: sht3x()})
    assert read(I2c(BUS, line.open)) == AIR
    assert line.transfers == [[(0x44, b"\x24\x00")], [(0x44, RECORDED)]]


def test_two_of_a_model_are_told_apart_by_their_addresses() -> None:
    """Without an address it is the model's first."""
    dry = profiles.encode(SHT3X, {"air_temperature": 5.0, "humidity": 20.0})
    bus = I2c(BUS, I2cLine({0x44: sht3x(), 0x45: sht3x(dry)}).open)
    assert read(bus) == AIR
    assert read(bus, address="0x45") == {
        "air_temperature": pytest.approx(5, abs=0.002),
        "humidity": pytest.approx(20, abs=0.001),
    }


def test_a_register_is_read_behind_a_repeated_start() -> None:
    """The configuration is written and its conversion read: half of 4 to 20 mA is 1.2 V over 100 ohm and 5 m."""
    adc = ads1115(1200)
    line = I2cLine({0x48: adc})
    assert read(I2c(BUS, line.open), LOOP) == {"water_level": 5.0}
    assert adc.written == {1: b"\xc3\x83"}
    assert line.transfers[1] == [(0x48, b"\x00"), (0x48, bytes.fromhex("2580"))]  # one transfer: no stop between


@pytest.mark.parametrize("millivolts", [-1, 0, 359.5, 2100.5, 4095])
def test_a_loop_that_has_failed(millivolts: float) -> None:
    """Below 3.6 mA nothing is a level, above 21 mA the water may stand above what it measures."""
    fault = FaultCode.SENSOR_ERROR if millivolts < 1000 else FaultCode.ABOVE_SPAN
    assert read(I2c(BUS, I2cLine({0x48: ads1115(millivolts)}).open), LOOP) == {"water_level": fault}


def test_wide_register_addresses_and_a_stop() -> None:
    """Sixteen bits of address, and a sensor that must see a stop before it is read."""
    wide = Registers(lambda: bytes(0x0100) + b"\x0c\x80", width=2, stop=True)
    line = I2cLine({0x48: wide})
    asked = replace(LOOP.asked, send=b"", register=b"\x01\x00")
    assert read(I2c(BUS, line.open), replace(LOOP, asked=asked)) is FaultCode.NO_ANSWER
    assert read(I2c(BUS, line.open), replace(LOOP, asked=replace(asked, stop=True))) == {"water_level": 0.0}
    assert line.transfers[-2:] == [[(0x48, b"\x01\x00")], [(0x48, b"\x0c\x80")]]


# --- what goes wrong


@pytest.mark.parametrize(
    ("broken", "fault"),
    [
        ("no_answer", FaultCode.NO_ANSWER),
        ("late", FaultCode.NO_ANSWER),
        ("holds_clock", FaultCode.NO_ANSWER),
        ("wrong_crc", FaultCode.MALFORMED),
        ("garbage", FaultCode.MALFORMED),
        ("silent", FaultCode.MALFORMED),
    ],
)
def test_what_goes_wrong_is_a_fault_and_the_next_reading_is_right(broken: Broken, fault: FaultCode) -> None:
    """However a sensor is broken, its reading is a fault, its neighbour's is not, and a value again once it is well."""
    device = sht3x()
    bus = I2c(BUS, I2cLine({0x44: device, 0x48: ads1115(1200)}).open)
    device.be(broken)
    found = read(bus)
    assert (set(found.values()) if isinstance(found, dict) else {found}) == {fault}
    assert read(bus, LOOP) == {"water_level": 5.0}
    device.be("")
    assert read(bus) == AIR


def test_a_sensor_that_is_not_there() -> None:
    """Nobody acknowledges the address: no answer, and the bus stays open for the others."""
    line = I2cLine({0x44: sht3x()})
    bus = I2c(BUS, line.open)
    assert read(bus, address="0x45") is FaultCode.NO_ANSWER
    assert read(bus) == AIR
    assert (line.opened, line.closed) == (1, 0)


def test_an_adapter_that_is_unplugged_and_comes_back() -> None:
    """A fault of the bus; what is there again is opened again."""
    line = I2cLine({0x44: sht3x()})
    bus = I2c(BUS, line.open)
    assert read(bus) == AIR
    line.gone = True
    for _ in range(3):
        assert read(bus) is FaultCode.BUS_ERROR
    line.gone = False
    assert read(bus) == AIR
    bus.close()
    assert line.opened == line.closed == 2


@pytest.mark.parametrize("port", ["/dev/i2c-250", "/dev/null", "/proc/self/status"])
def test_a_port_that_is_no_i2c_bus(port: str) -> None:
    """Through smbus2 itself: what is not there, or is something else, is a fault of the bus."""
    assert read(I2c(settings.I2c(port))) is FaultCode.BUS_ERROR
    opened = open_bus(settings.I2c(port))
    assert opened.read(sensor(SHT3X), SHT3X) is FaultCode.BUS_ERROR
    opened.close()


def test_the_messages_are_those_of_the_kernel() -> None:
    """What smbus2 hands to the kernel has the form of <linux/i2c.h>: 16 bytes, the flag of a read is 1."""
    message = smbus2.i2c_msg.read(0x44, 6)
    assert (message.addr, message.flags, message.len) == (0x44, 1, 6)
    assert bytes(smbus2.i2c_msg.write(0x44, b"\x24\x00")) == b"\x24\x00"


def test_stuck_and_out_of_range() -> None:
    """A value that never moves or lies beyond the span is passed on: quality tests flag it, nobody deletes it."""
    bus = I2c(BUS, I2cLine({0x44: sht3x(frames.sealed(Frame(checksum=frames.IN_WORDS), bytes(6)))}).open)
    assert read(bus) == read(bus) == {"air_temperature": -45.0, "humidity": 0.0}


@given(st.binary(min_size=6, max_size=6))
def test_no_answer_raises(answer: bytes) -> None:
    """Whatever six bytes come, they are values where both CRCs are right and malformed where one is not."""
    found = decode(SHT3X, answer)
    right = all(frames.crc8(answer[i : i + 2]) == answer[i + 2] for i in (0, 3))
    assert (set(found.values()) == {FaultCode.MALFORMED}) is not right


def test_the_crc_of_the_datasheet() -> None:
    """0xBEEF has 0x92 (SHT3x-DIS, table 20)."""
    assert frames.crc8(b"\xbe\xef") == 0x92


@given(st.binary(max_size=30))
def test_words_with_their_crcs(inner: bytes) -> None:
    """What is sealed is a frame where its words are whole, and none where one is cut."""
    frame = Frame(start=b"\xff", end=b"\r", checksum=frames.IN_WORDS)
    sealed = frames.sealed(frame, inner)
    assert len(sealed) == len(inner) + 2
    assert (frames.content(frame, sealed) is not None) is (len(inner) % 3 == 0)


# --- edge.yaml, the profile, the command line


def _checked(line: str, profile: Profile = SHT3X) -> list[str]:
    text = f"buses:\n  board: {{type: i2c, port: /dev/i2c-1}}\nsensors:\n  air: {{station: a, bus: board, {line}}}\n"
    document = yamlfile.parse(text.encode(), "edge.yaml")
    processfile.single(document, profile)
    return [f"{p.path}: {p.message}" for p in document.problems]


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("", ""),
        (', address: "0x45"', ""),
        (', address: "45"', "'45' is no address of I2C in hexadecimal. Did you mean '0x45'?"),
        (', address: "69"', "'69' is no address of I2C in hexadecimal. Did you mean '0x69'?"),
        (', address: "first"', "'first' is no address of I2C in hexadecimal. Write it like '0x44'"),
        (', address: "0x78"', "0x78 is reserved. Addresses of I2C are 0x03 to 0x77"),
        (', address: "0x48"', "sensirion_sht3x is never at 0x48. Write one of its addresses: 0x44, 0x45"),
        (", address: 45", "45 is read as a number. For text put it in quotes: '45'"),
    ],
)
def test_the_address_of_a_sensor(address: str, told: str) -> None:
    """One of the model's, in hexadecimal; the first where none is said."""
    expected = [f"sensors.air.address: {told}"] if told else []
    assert _checked(f"profile: sensirion_sht3x, interval: 60s{address}") == expected


def test_profiles_that_do_not_fit() -> None:
    """A serial frame is not read over I2C, nor the other way round."""
    told, *_ = _checked("profile: dfrobot_a02yyuw, interval: 60s", PROFILES["dfrobot_a02yyuw"])
    assert "does not say at which addresses it is on I2C. Add for example 'asked: {addresses: [0x44]}' to it" in told
    assert (busfile.carriers(SHT3X), busfile.carriers(LOOP)) == (["i2c"], ["i2c"])
    assert "i2c" not in busfile.carriers(PROFILES["dfrobot_a02yyuw"])
    unsaid = replace(SHT3X, frame=Frame(end=b"\r"))
    assert (
        "does not say how many bytes are read. Add a length to its frame"
        in _checked("profile: sensirion_sht3x, interval: 60s", unsaid)[0]
    )


@pytest.mark.parametrize(
    ("was", "becomes", "told"),
    [
        ("[0x44, 0x45]", "[0x44, 0x7A]", "0x7a is reserved. Addresses of I2C are 0x03 to 0x77"),
        ("[0x44, 0x45]", '["44"]', "'44' is no number. Write addresses like [0x44, 0x45]"),
        ("addresses: [0x44, 0x45], ", "", "pause is of a sensor on I2C. Add for example 'addresses: [0x44]'"),
        ("send_hex: 24 00, ", "", "nothing is sent before it. Add for example 'send_hex: 24 00'"),
        ("pause: 20ms", "register_hex: 00 00 00", "the address of a register is one or two bytes"),
        ("length: 6,", "length: 7,", "words of two bytes with a CRC each are 3, 6, 9, … bytes"),
        ("byte: 3", "byte: 2", "a uint16 at byte 2 stands on a CRC, which is every third byte"),
        ("byte: 3", "byte: 4", "a uint16 at byte 4 stands on a CRC, which is every third byte"),
    ],
)
def test_a_profile_that_asks_wrongly(tmp_path: Path, was: str, becomes: str, told: str) -> None:
    """Every mistake is told with what would be right."""
    text = (Path(__file__).parent.parent / "device_profiles/sensirion_sht3x.yaml").read_text()
    assert was in text
    (tmp_path / "device_profiles").mkdir()
    (tmp_path / "device_profiles/sensirion_sht3x.yaml").write_text(text.replace(was, becomes))
    problems: list[Problem] = []
    config.load_profiles(tmp_path, problems)
    assert [p.message for p in problems if told in p.message], problems


def test_the_settings_of_a_bus() -> None:
    """A port, and for how long the adapter tries one transfer."""
    document = yamlfile.parse(b"buses:\n  board: {type: i2c, port: /dev/i2c-1, timeout: 200ms}\n", "edge.yaml")
    assert busfile.buses(document, Path())["board"] == ("i2c", settings.I2c("/dev/i2c-1", 0.2))
    assert Asked().addresses == ()


def test_edge_read_and_the_doctor_say_that_the_bus_is_missing(tmp_path: Path) -> None:
    """Neither needs the hardware to say that it is not there, and what to do."""
    command = [sys.executable, "-m", "gateway"]
    words = ["edge", "read", "--profile", "sensirion_sht3x", "--bus", "i2c", "--set", f"port={tmp_path}/i2c-1"]
    done = subprocess.run([*command, *words], capture_output=True, text=True, timeout=120)
    assert (done.returncode, "the bus could not be reached" in done.stdout) == (4, True)
    (tmp_path / "edge.yaml").write_text(
        "version: 1\ntenant: takamatsu\ndevice: kasuga-01\n"
        f"broker: {{host: 127.0.0.1, port: {free_port()}}}\n"
        f"spool: {{path: spool.db}}\nbuses: {{board: {{type: i2c, port: {tmp_path}/i2c-1}}}}\n"
        "sensors: {air: {station: a, bus: board, profile: sensirion_sht3x, interval: 60s}}\n"
    )
    done = subprocess.run(
        [*command, "doctor", "--config", str(tmp_path), "--json"], capture_output=True, text=True, timeout=120
    )
    (found,) = (f for f in json.loads(done.stdout)["findings"] if f["name"] == "bus board")
    assert (found["state"], "module i2c-dev" in found["remedy"]) == ("fail", True)
