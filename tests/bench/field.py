"""A device with sixteen channels on five buses: what its process takes. The agent runs as `suimon edge run` starts it,
against simulated sensors over real transports (two Modbus servers, a Modbus RTU line and two serial lines on
pseudo-terminals) and a broker; the sensors and this bench are processes of their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from gateway import config
from gateway.clock import SystemClock
from simulators.sensor import Sensor
from simulators.serialsensors import ModbusLine, Speaker, Unit
from tests import readme, servers

# The command, which tells at its end what it loaded of other processes.
PROCESS = """
import atexit, sys
def told():
    names = [n for n in sys.modules if n.startswith(("gateway.bridge", "gateway.scoring", "gateway.demo", "influxdb"))]
    open("loaded", "w").write(" ".join(sorted(names)))
atexit.register(told)
from gateway.cli.main import app
app()
"""
PROFILE = config.load_profiles(Path("/nonexistent"), [])["sim_river_gauge"]
REGISTERS = {0: 0, 1: 17, 2: 1234, 3: 12610}
FRAME = bytes.fromhex("FF07A1A7")  # a distance of the DFRobot A02YYUW, from its maker's page
CHANNELS = 16
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Found:
    """`rss_mb` while it samples, `peak_mb` at any time; `cpu_s` of `samples`, without the start, which took
    `start_cpu_s`; `foreign` are modules of other processes that it loaded."""

    channels: int
    buses: int
    samples: int
    faults: int
    rss_mb: float
    peak_mb: float
    cpu_s: float
    start_cpu_s: float
    foreign: tuple[str, ...]


class _Still:
    """A river that stands."""

    def measure(self, now_ms: int) -> Mapping[str, float]:
        return {"water_level": 1.234, "battery_voltage": 12.61}

    look = measure


def measure(folder: Path, seconds: int, every_s: int = 1) -> Found:
    """Each of the nine sensors is read once every `every_s`, for that many seconds."""
    with contextlib.ExitStack() as end:
        broker = end.enter_context(servers.running(servers.mosquitto(folder / "broker")))
        ports = end.enter_context(_modbus_servers(folder / "served", 2))
        line = ModbusLine({unit: Unit(dict(REGISTERS)) for unit in (1, 2, 3)})
        end.callback(line.close)
        speakers = [Speaker(FRAME) for _ in range(2)]
        for speaker in speakers:
            end.callback(speaker.close)
        write(folder, broker.port, ports, line.port, [s.port for s in speakers], every_s)
        return _run(folder, seconds)


def write(folder: Path, broker: int, modbus: list[int], line: str, serial: list[str], every_s: int) -> None:
    """edge.yaml: 2 x 2 and 3 gauges of two channels, 2 distances."""
    buses, sensors = [], []

    def gauge(name: str, bus: str, unit: int) -> None:
        channels = f"{{water_level: level_{name}, battery_voltage: battery_{name}}}"
        sensors.append(
            f"  {name}: {{station: field, bus: {bus}, unit_id: {unit}, profile: sim_river_gauge, "
            f"interval: {every_s}s, channels: {channels}}}"
        )

    for i, port in enumerate(modbus):
        buses.append(f"  tcp-{i}: {{type: modbus_tcp, host: 127.0.0.1, port: {port}}}")
        for unit in (1, 2):
            gauge(f"tcp-{i}-{unit}", f"tcp-{i}", unit)
    buses.append(f"  line: {{type: modbus_rtu, port: {line}, baud: 9600, format: 8N1, timeout: 500ms}}")
    for unit in (1, 2, 3):
        gauge(f"rtu-{unit}", "line", unit)
    for i, name in enumerate(serial):
        buses.append(f"  serial-{i}: {{type: serial, port: {name}}}")
        sensors.append(
            f"  sonic-{i}: {{station: field, bus: serial-{i}, profile: dfrobot_a02yyuw, burst: 1, "
            f"interval: {every_s}s, channels: {{distance: distance_{i}}}}}"
        )
    text = (
        f"version: 1\ntenant: bench\ndevice: pole\nbroker: {{host: 127.0.0.1, port: {broker}}}\nhealth: off\n"
        + "buses:\n" + "\n".join(buses) + "\nsensors:\n" + "\n".join(sensors) + "\n"
    )  # fmt: skip
    (folder / "edge.yaml").write_text(text, encoding="utf-8")


def _run(folder: Path, seconds: int) -> Found:
    command = [sys.executable, "-c", PROCESS, "edge", "run", "--config", str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(readme.ROOT)}
    with (folder / "agent.log").open("wb") as log:
        agent = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, env=environment)
    try:
        servers.wait_for("the first samples", lambda: _samples(folder)[0] >= CHANNELS, 60.0)
        start_cpu_s, before = _cpu_s(agent.pid), _samples(folder)[0]
        time.sleep(seconds)
        cpu_s = _cpu_s(agent.pid) - start_cpu_s
        samples, faults, channels = _samples(folder)
        status = Path(f"/proc/{agent.pid}/status").read_text()
        buses = (folder / "edge.yaml").read_text().count("{type: ")
    finally:
        agent.send_signal(signal.SIGTERM)
        agent.wait(30)
    foreign = tuple((folder / "loaded").read_text().split())
    rss, peak = (int(status.partition(f"{key}:")[2].split()[0]) / 1000 for key in ("VmRSS", "VmHWM"))
    return Found(channels, buses, samples - before, faults, rss, peak, cpu_s, start_cpu_s, foreign)


def _samples(folder: Path) -> tuple[int, int, int]:
    """Of the spool: samples, how many of them hold a fault, and how many channels spoke."""
    try:
        db = sqlite3.connect(f"file:{folder / 'spool.db'}?mode=ro", uri=True)
    except sqlite3.Error:
        return 0, 0, 0
    with contextlib.closing(db):
        try:
            bodies = [body for (body,) in db.execute("SELECT body FROM samples")]
        except sqlite3.Error:
            return 0, 0, 0
    channels = {name for body in bodies for name in body.split('"') if name.startswith(("level_", "batt", "distance_"))}
    return len(bodies), sum(".fault" in body for body in bodies), len(channels)


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


@contextlib.contextmanager
def _modbus_servers(folder: Path, count: int) -> Iterator[list[int]]:
    """Modbus TCP sensors on a thread with a loop of its own; their ports."""
    sensors = [Sensor(f"gauge-{i}", PROFILE, _Still()) for i in range(count)]
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def done(work: object) -> None:
        asyncio.run_coroutine_threadsafe(work, loop).result(30)  # type: ignore[arg-type]

    try:
        for sensor in sensors:
            done(sensor.listen(SystemClock(), folder))
        yield [sensor.port for sensor in sensors]
    finally:
        for sensor in sensors:
            done(sensor.close())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
