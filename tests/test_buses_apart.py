"""An agent with a bus of every kind that needs no hardware: what is wrong with one is no other's affair."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from gateway import config, settings
from gateway.clock import SystemClock
from gateway.edge.agent import Agent, open_bus
from gateway.edge.buses.i2c import I2c
from gateway.edge.sampling import Bus
from gateway.errors import FaultCode
from gateway.model import Reading
from gateway.profiles import Asked
from simulators.gpsreceiver import Fix, Receiver
from simulators.httpdevice import HttpDevice
from simulators.i2cline import Commanded, I2cLine
from simulators.sdi12line import Probe, Sdi12Line
from simulators.sysfstree import SysfsTree
from tests.servers import free_port
from tests.test_agent import held
from tests.transport import FakeTransport
from tests.world import DEVICE, STATION, TENANT

FOUND = config.load_profiles(Path("/nonexistent"), [])
PROFILES = FOUND | {"json_level": replace(FOUND["json_level"], asked=Asked(path="/level"))}


def _sensor(name: str, profile: str, address: str = "", **channels: str) -> settings.Sensor:
    return settings.Sensor(name, STATION, name, profile, 0.1, channels=channels, address=address)


def test_a_fault_of_one_bus_never_stops_another(tmp_path: Path) -> None:
    """A device that swallows requests, a line without its sensor, a driver that hangs in the kernel, an address at
    which nobody is, a broker and a logger that are away: a receiver and thermometers beside them are sampled on, and
    each of the others says its fault."""
    receiver = Receiver(Fix(34.3, 134.0, 1.0))
    logger, line = HttpDevice({"/level": b"{}"}), Sdi12Line({"0": Probe({}, broken="no_answer")})
    logger.broken = "no_answer"
    kernel = SysfsTree(tmp_path / "sys")
    kernel.ds18b20("0316a2794f5d", 12.5)
    kernel.ds18b20("0416c1d2e3ff", 20).be("hangs")
    air = Commanded(b"\x24\x00", lambda: bytes.fromhex("62 76 53 73 D3 C0"))
    board = I2cLine({0x44: air})

    def bus_of(bus: settings.Bus) -> Bus:
        return I2c(bus, board.open) if isinstance(bus, settings.I2c) and bus.port == "board" else open_bus(bus)

    buses: dict[str, settings.Bus] = {
        "gps": settings.Serial(receiver.port),
        "logger": settings.Http("127.0.0.1", logger.port, timeout_s=0.5),
        "away": settings.Http("127.0.0.1", free_port(), timeout_s=0.5),
        "radar": settings.Sdi12(line.port, timeout_s=0.1),
        "well": settings.Mqtt(settings.Broker("127.0.0.1", free_port()), 0.5),
        "mast": settings.ModbusTcp("127.0.0.1", free_port(), 0.5),
        "water": settings.Sysfs(kernel.root, 0.2),
        "drain": settings.Sysfs(kernel.root, 0.2),
        "air": settings.I2c("board"),
        "box": settings.I2c("board"),
        "no_board": settings.I2c(str(tmp_path / "i2c-1")),
        "unplugged": settings.ModbusRtu(str(tmp_path / "ttyUSB0"), 9600, "8N1"),
        "pins": settings.Gpio(str(tmp_path / "gpiochip0")),
    }
    sensors = (
        _sensor("gps", "gps_nmea", latitude="latitude"),
        _sensor("logger", "json_level", water_level="logger"),
        _sensor("away", "json_level", water_level="away"),
        _sensor("radar", "campbell_cs476", "0", distance="radar"),
        _sensor("well", "json_level", "tele/well", water_level="well"),
        _sensor("mast", "sim_river_gauge", water_level="mast"),
        _sensor("water", "maxim_ds18b20", "28-0316a2794f5d", water_temperature="water"),
        _sensor("drain", "maxim_ds18b20", "28-0416c1d2e3ff", water_temperature="drain"),
        _sensor("air", "sensirion_sht3x", air_temperature="air"),
        _sensor("box", "sensirion_sht3x", "0x45", air_temperature="box"),
        _sensor("no_board", "sensirion_sht3x", air_temperature="no_board"),
        _sensor("unplugged", "sim_river_gauge", water_level="unplugged"),
        replace(_sensor("pins", "tipping_bucket_05", rain="rain"), lines=(settings.Line("count", "17"),)),
    )
    edge = settings.Edge(TENANT, DEVICE, settings.Broker(), settings.Spool(tmp_path / "spool.db", 0.05), buses, sensors)
    reads: Counter[str] = Counter()

    def mark(point: str) -> None:
        reads[point] += 1
        if reads["spooled"] >= 80:
            agent.stop()

    agent = Agent(edge, PROFILES, SystemClock(), mark, connect=FakeTransport, bus_of=bus_of)
    try:
        agent.run()
    finally:
        for simulated in (receiver, logger, line, kernel):
            simulated.close()
    said: Sequence[Reading] = [r for sample in held(tmp_path) for r in sample.readings]
    assert {r.channel: r.fault for r in said} == {
        "latitude": None,
        "logger": FaultCode.NO_ANSWER,
        "away": FaultCode.BUS_ERROR,
        "radar": FaultCode.NO_ANSWER,
        "well": FaultCode.BUS_ERROR,
        "mast": FaultCode.BUS_ERROR,
        "water": None,
        "drain": FaultCode.NO_ANSWER,
        "air": None,
        "box": FaultCode.NO_ANSWER,
        "no_board": FaultCode.BUS_ERROR,
        "unplugged": FaultCode.BUS_ERROR,
        "rain": FaultCode.BUS_ERROR,
    }
    counts = Counter(r.channel for r in said)
    assert counts["latitude"] > counts["radar"]  # nobody waited for the slow ones


def test_the_doctor_looks_at_each_bus(tmp_path: Path) -> None:
    """Whether the device or broker answers, whether the port is there, each by the name of its bus."""
    logger, line = HttpDevice({}), Sdi12Line({})
    profile = "accept_unverified: true, interval: 60s, station: a"
    (tmp_path / "edge.yaml").write_text(
        "version: 1\ntenant: takamatsu\ndevice: kasuga-01\n"
        f"broker: {{host: 127.0.0.1, port: {free_port()}}}\n"
        "spool: {path: spool.db}\n"
        "buses:\n"
        f"  logger: {{type: http, host: 127.0.0.1, port: {logger.port}}}\n"
        f"  line: {{type: sdi12, port: {line.port}}}\n"
        f"  gone: {{type: sdi12, port: {tmp_path}/ttyUSB0}}\n"
        f"  local: {{type: mqtt, host: 127.0.0.1, port: {free_port()}}}\n"
        f"  pins: {{type: gpio, chip: {tmp_path}/gpiochip0}}\n"
        "sensors:\n"
        f"  a: {{bus: logger, profile: json_level, address: /level, channels: {{water_level: a}}, {profile}}}\n"
        f'  b: {{bus: line, profile: campbell_cs476, address: "0", channels: {{distance: b}}, {profile}}}\n'
        f'  c: {{bus: gone, profile: campbell_cs476, address: "0", channels: {{distance: c}}, {profile}}}\n'
        f"  d: {{bus: local, profile: json_level, address: tele/d, channels: {{water_level: d}}, {profile}}}\n"
        f"  e: {{bus: pins, profile: tipping_bucket_05, lines: {{count: 17}}, channels: {{rain: e}}, {profile}}}\n"
    )
    try:
        command = [sys.executable, "-m", "gateway", "doctor", "--config", str(tmp_path), "--json"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    finally:
        logger.close()
        line.close()
    found = {f["name"]: f["state"] for f in json.loads(done.stdout)["findings"] if f["name"].startswith("bus ")}
    assert found == {
        "bus logger": "ok",
        "bus line": "ok",
        "bus gone": "fail",
        "bus local": "fail",
        "bus pins": "fail",
    }, done.stdout
