"""`suimon sim`: the simulators as a process of their own, as people and the demo start it."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pymodbus.client import ModbusTcpClient
from typer.testing import CliRunner

from gateway import config
from gateway.cli.process import simulators_module, simulators_package
from gateway.cli.sim import sim_app
from gateway.clock import SimClock
from simulators import scenario

ORIGIN = 1_750_000_020_000  # on the minute
HOUR = 3_600_000


@contextmanager
def sim(folder: Path, *arguments: str) -> Iterator[tuple[dict[str, int], subprocess.Popen[str]]]:
    """`suimon sim …` as the demo starts it: the ports by station, once the ready file is there."""
    ready = folder / "ready.json"
    command = [sys.executable, "-m", "gateway", "sim", *arguments, "--ready", str(ready), "--log", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        _wait(lambda: ready.exists() or process.poll() is not None)
        assert process.poll() is None, process.stdout and process.stdout.read()
        yield {s["station"]: s["port"] for s in json.loads(ready.read_text())["sensors"]}, process
    finally:
        process.kill()
        process.communicate()


def level(port: int) -> float:
    with ModbusTcpClient("127.0.0.1", port=port, timeout=5) as modbus:
        registers = modbus.read_holding_registers(0, count=4).registers
    return round(registers[2] / 1000, 3)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_sim_run_serves_the_river_on_a_shared_clock(number: signal.Signals, tmp_path: Path) -> None:
    """The process says where it listens, starts no time of its own, logs what it serves and ends in order."""
    clock = SimClock.create(tmp_path / "clock", ORIGIN, None)
    arguments = ("--clock", str(tmp_path / "clock"), "--port-base", "0", "--hours", "2", "--interval", "1h")
    with sim(tmp_path, "run", *arguments) as (ports, process):
        assert list(ports) == [s.id for s in scenario.STATIONS]
        assert not clock.started
        clock.start()
        for at in (0, HOUR, 2 * HOUR):
            _wait(lambda at=at: clock.now_ms() == ORIGIN + at)
            for port in ports.values():
                level(port)
        _wait(lambda: clock.frozen)
        process.send_signal(number)
        assert process.wait(30) == 0
    series = scenario.flood(ORIGIN)
    for station in ports:
        served = [(r["counter"], r["served_ms"], r["values"]["water_level"]) for r in _log(tmp_path, station)]
        assert served == [
            (i + 1, ORIGIN + i * HOUR, pytest.approx(series.level(station, ORIGIN + i * HOUR), abs=0.0006))
            for i in range(3)
        ]


def test_sim_replay_waits_for_the_store_it_is_told_of(tmp_path: Path) -> None:
    """The store's count comes from a file of another process, asked by the given query."""
    (tmp_path / "r.csv").write_text("time,value\n2026-06-03T00:00Z,0.1\n2026-06-03T00:07Z,0.2\n2026-06-03T00:20Z,0.3\n")
    clock = SimClock.create(tmp_path / "clock", 1_780_444_800_000, None)
    clock.start()
    store = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    store.execute("CREATE TABLE observations (value)")
    store.execute("INSERT INTO observations VALUES (1), (1), (1)")
    confirm = ("--confirm-store", str(tmp_path / "store.db"), "--confirm-sql", "SELECT count(*) FROM observations")
    given = ("--clock", str(tmp_path / "clock"), "--station", "a", "--port", "0", *confirm)
    with sim(tmp_path, "replay", str(tmp_path / "r.csv"), *given) as (ports, _):
        seen = []
        for minute in (0, 7, 20):
            _wait(lambda minute=minute: clock.now_ms() == clock.origin_ms + minute * 60_000)
            seen.append(level(ports["a"]))
        _wait(lambda: clock.frozen)
    assert seen == [0.1, 0.2, 0.3]
    store.close()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["run", "sea"], 3, "unknown scenario 'sea'. Did you mean 'river'?"),
        (["run", "--speed", "fast"], 3, "--speed fast is neither a number from above 0 to 1000000 nor 'max'"),
        (["run", "--speed", "max", "--seconds", "5"], 3, "--seconds has no meaning with --speed max"),
        (["run", "--interval", "60"], 3, "60 has no unit. Did you mean '60s'?"),
        (["run", "--profile", "sim_river_guage"], 3, "Did you mean 'sim_river_gauge'?"),
        (["run", "--profile", "json_level"], 3, "profile json_level has no registers with a value 'read_counter'"),
        (["run", "--clock", "{empty}"], 3, "empty is not the clock of a simulation"),
        (["replay", "{empty}"], 3, "empty:1: neither an export"),
        (["replay", "{masl}"], 3, "masl.csv:1: water_level: 35030 does not fit int16"),
        (["replay", "{good}", "--clock", "{clock}"], 3, "the clock begins at 2025-06-15 15:07:00 UTC, the recording"),
        (["replay", "{good}", "--station", "Mill Bridge"], 3, "Did you mean 'mill-bridge'?"),
        (["run", "--port-base", "{taken}"], 4, "is the port taken?"),
    ],
)
def test_mistakes_on_the_command_line_are_told(arguments: list[str], code: int, message: str, tmp_path: Path) -> None:
    """Each ends the command before anything is served, with one sentence and no traceback."""
    SimClock.create(tmp_path / "clock", ORIGIN, None)
    (tmp_path / "empty").touch()
    (tmp_path / "masl.csv").write_text("2026-06-03T00:00Z,35.03\n")
    (tmp_path / "good.csv").write_text("2026-06-03T00:00Z,5.03\n")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        places = {
            "clock": tmp_path / "clock",
            "empty": tmp_path / "empty",
            "masl": tmp_path / "masl.csv",
            "good": tmp_path / "good.csv",
            "taken": taken.getsockname()[1],
        }
        given = [a.format(**places) for a in arguments]
        result = CliRunner().invoke(sim_app, [*given, "--data", str(tmp_path / "data")])
    assert (result.exit_code, result.exception.__class__) == (code, SystemExit)
    assert message in result.output


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["devices", "--formats", "senml"], 3, "--formats: unknown format 'senml'. Did you mean 'senml_json'?"),
        (["devices", "--faults", "lots"], 3, "--faults: unknown fault 'lots'. Did you mean 'lost'?"),
        (["devices", "--faults", "lost*x"], 3, "--faults: 'lost*x'; write a number from 1 to 1000 after the star"),
        (["devices", "--readings", "20"], 3, "10 faults of senml_json need 52 readings, and there are 20"),
        (["devices", "--broker", "1883"], 3, "--broker 1883: write HOST:PORT, like 127.0.0.1:1883"),
        (["devices", "--interval", "60"], 3, "60 has no unit. Did you mean '60s'?"),
        (["devices"], 3, "has no bridge.yaml. Write one with --configure, start the bridge with it, then publish"),
        (["account"], 3, "has no log of a simulated device. Has a bridge run with this folder"),
    ],
)
def test_mistakes_about_devices_of_others_are_told(
    arguments: list[str], code: int, message: str, tmp_path: Path
) -> None:
    """Each ends the command before anything is published, with one sentence and no traceback."""
    result = CliRunner().invoke(sim_app, [*arguments, "--data", str(tmp_path)])
    assert (result.exit_code, result.exception.__class__) == (code, SystemExit)
    assert message in result.output


def test_the_configuration_of_devices_of_others_has_no_problems(tmp_path: Path) -> None:
    """What --configure writes is what a bridge takes; whatever the seed, the devices are the same."""
    for seed in ("1", "2"):
        given = ["devices", "--configure", "--data", str(tmp_path), "--seed", seed]
        result = CliRunner().invoke(sim_app, given)
        assert result.exit_code == 0, result.output
        bridge, registry = config.load_bridge(tmp_path)
        assert len(bridge.sources) == len(registry.stations) == 11
    written = (tmp_path / "stations.yaml").read_text()
    CliRunner().invoke(sim_app, [*given[:-1], "3"])
    assert (tmp_path / "stations.yaml").read_text() == written


def test_devices_of_others_without_a_broker(tmp_path: Path) -> None:
    """That no broker answers is told with its place."""
    CliRunner().invoke(sim_app, ["devices", "--configure", "--data", str(tmp_path)])
    with socket.create_server(("127.0.0.1", 0)) as silent:
        where = f"127.0.0.1:{silent.getsockname()[1]}"
        result = CliRunner().invoke(sim_app, ["devices", "--data", str(tmp_path), "--broker", where])
    assert result.exit_code == 4
    assert f"no MQTT broker answers at {where}. Is it running?" in result.output


def test_the_simulators_are_found() -> None:
    """Wherever they were installed: in the repository beside the package, in a wheel inside it."""
    assert simulators_package().__name__ in ("simulators", "gateway._simulators")
    assert simulators_module("scenario").PROFILE == "sim_river_gauge"


def _log(folder: Path, station: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / f"{station}.jsonl").read_text().splitlines()]


def _wait(condition: Callable[[], bool], patience_s: float = 30.0) -> None:
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.005)


def test_help_reads_no_configuration() -> None:
    """What only some command needs is imported by that command: half of the time of `suimon --help` went into it."""
    code = "import sys, gateway.cli.main; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "gateway.cli.sim" in loaded
    assert not loaded & {"gateway.config", "gateway.fields", "pydantic", "yaml", "msgspec", "paho", "pymodbus"}


def test_a_context_broker_to_push_to() -> None:
    """It says where it listens and how to break it, and ends in order; a port that is taken is told."""
    command = [sys.executable, "-m", "gateway", "sim", "contextbroker", "--port"]
    process = subprocess.Popen([*command, "0"], stdout=subprocess.PIPE, text=True, env=os.environ | UNBUFFERED)
    assert process.stdout is not None
    try:
        url = process.stdout.readline().split()[2].rstrip(":")
        with urllib.request.urlopen(f"{url}/v2/entities", timeout=10) as answer:
            assert json.loads(answer.read()) == []
        taken = subprocess.run([*command, url.rpartition(":")[2]], capture_output=True, text=True, check=False)
        assert (taken.returncode, "Name another with --port" in taken.stderr) == (4, True)
        urllib.request.urlopen(f"{url}/faults", b'{"mode": "503"}', timeout=10).close()
        with pytest.raises(urllib.error.HTTPError, match="503"):
            urllib.request.urlopen(f"{url}/v2/entities", timeout=10)
    finally:
        process.terminate()
        process.communicate(timeout=20)
    assert process.returncode == 0


def test_bulletins_to_read() -> None:
    """It says what to write into bridge.yaml, issues what it is told, and ends in order; a port that is taken is
    told."""
    command = [sys.executable, "-m", "gateway", "sim", "bulletins", "--port"]
    process = subprocess.Popen([*command, "0"], stdout=subprocess.PIPE, text=True, env=os.environ | UNBUFFERED)
    assert process.stdout is not None
    try:
        url = process.stdout.readline().split()[2].rstrip(":")
        body = json.dumps({"kinds": ["レベル３氾濫警報"], "areas": ["高松市"]}).encode()
        with urllib.request.urlopen(f"{url}/issue", body, timeout=10) as answer:
            path = answer.read().decode().strip()
        with urllib.request.urlopen(url + path, timeout=10) as answer:
            assert "レベル３氾濫警報" in answer.read().decode()
        taken = subprocess.run([*command, url.rpartition(":")[2]], capture_output=True, text=True, check=False)
        assert (taken.returncode, "Name another with --port" in taken.stderr) == (4, True)
        with pytest.raises(urllib.error.HTTPError, match="400"):
            urllib.request.urlopen(f"{url}/faults", b'{"mode": "sideways"}', timeout=10)
    finally:
        process.terminate()
        process.communicate(timeout=20)
    assert process.returncode == 0


UNBUFFERED = {"PYTHONUNBUFFERED": "1"}
