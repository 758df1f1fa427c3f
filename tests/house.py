"""A small house of real processes for the live tests: broker, simulated sensors, agents, bridge; each may be killed,
stopped, restarted, or have its files exchanged. The account at the end is read from the sensors' own logs and, by SQL,
from the store.
"""

from __future__ import annotations

import contextlib
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from gateway.clock import SystemClock
from gateway.demo import account
from gateway.demo.plan import Place, Plan, write
from gateway.errors import FaultCode
from simulators.run import running as sensors_running
from simulators.sensor import Sensor
from tests import servers

INTERVAL_S = 0.05
STORED = "SELECT coalesce(sum(b - a + 1), 0) FROM ranges WHERE kind = 'stored'"


class Steady:
    """A sensor that measures the same until somebody sets another level."""

    def __init__(self, level: float) -> None:
        self.level = level

    def measure(self, now_ms: int) -> Mapping[str, float]:
        return {"water_level": self.level, "battery_voltage": 12.5}

    look = measure


class House:
    """`devices` stations with one device each."""

    def __init__(self, folder: Path, broker_port: int, sensors: list[Sensor], interval_s: float) -> None:
        self.folder, self.sensors = folder, sensors
        places = [
            Place(s.station, s.station, s.station, 34.3, 134.0, 0.0, {"caution": 2.0, "danger": 3.0}) for s in sensors
        ]
        self.plan = Plan("test", places, 0, interval_s, 1.0, [], "test")
        ports = {s.station: s.port for s in sensors}
        self.configs = write(self.plan, folder, broker_port, ports)
        self.store = folder / "store.db"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def devices(self) -> list[str]:
        return [place.device for place in self.plan.places]

    def spool(self, device: str) -> Path:
        return self.folder / f"{device}.spool.db"

    def start(self, name: str, *options: str) -> None:
        """`bridge` or a device."""
        noun = "bridge" if name == "bridge" else "edge"
        command = [sys.executable, "-m", "gateway", noun, "run", "--config", str(self.configs[name]), *options]
        with (self.folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(command, stdout=log, stderr=log)

    def stop(self, name: str) -> int:
        """SIGTERM; the exit code."""
        process = self._processes.pop(name)
        process.send_signal(signal.SIGTERM)
        return process.wait(30)

    def signal(self, name: str, which: str) -> None:
        self._processes[name].send_signal(signal.Signals[which])

    def kill(self, name: str) -> None:
        process = self._processes.pop(name)
        process.kill()
        process.wait(10)

    def wait_dead(self, name: str) -> None:
        """Until a process killed itself at its mark."""
        process = self._processes.pop(name)
        assert process.wait(60) == -signal.SIGKILL, self.log(name)

    def stop_all(self) -> None:
        for name in [*(n for n in self._processes if n != "bridge"), "bridge"]:
            if name in self._processes:
                with contextlib.suppress(ProcessLookupError):
                    self._processes[name].kill()
                self._processes.pop(name).wait(10)

    def log(self, name: str) -> str:
        path = self.folder / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    # --- looking -------------------------------------------------------------------------------------------------

    def sql(self, query: str, *parameters: object) -> list[tuple[object, ...]]:
        try:
            with contextlib.closing(sqlite3.connect(f"file:{self.store}?mode=ro", uri=True)) as db:
                return db.execute(query, parameters).fetchall()
        except sqlite3.OperationalError:  # not there yet
            return []

    def stored(self) -> int:
        rows = self.sql(STORED)
        return int(str(rows[0][0])) if rows else 0

    def served(self) -> int:
        return sum(s.counter for s in self.sensors)

    def wait_stored(self, more: int, timeout_s: float = 30.0) -> None:
        """Until so many more samples are stored than now."""
        goal = self.stored() + more
        servers.wait_for(f"{goal} stored samples", lambda: self.stored() >= goal, timeout_s)

    def wait_served(self, more: int, timeout_s: float = 60.0) -> None:
        goal = self.served() + more
        servers.wait_for(f"{goal} reads served", lambda: self.served() >= goal, timeout_s)

    def settle(self, allowed: int = 0, timeout_s: float = 60.0) -> None:
        """Let the sensors rest, and wait until the bridge has all that they served but `allowed` samples, or until
        nothing moves any more."""
        for sensor in self.sensors:
            sensor.mode = FaultCode.NO_ANSWER
        end, last, since = time.monotonic() + timeout_s, -1, time.monotonic()
        while time.monotonic() < end and time.monotonic() - since < 20:
            missing = self.account().missing
            if missing <= allowed and time.monotonic() - since > 2 * (allowed > 0):
                return
            if missing != last:
                last, since = missing, time.monotonic()
            time.sleep(0.2)

    def account(self) -> account.Account:
        return account.close(self.store, self.folder / "served", round(self.plan.interval_s * 1000) + 1000)


@contextlib.contextmanager
def house(
    folder: Path, profile: object, broker: servers.Server, devices: int = 1, interval_s: float = INTERVAL_S
) -> Iterator[House]:
    """Sensors serving, nothing else started. Every process is dead at the end."""
    sensors = [Sensor(f"gauge-{i + 1}", profile, Steady(1.0 + i / 10)) for i in range(devices)]  # type: ignore[arg-type]
    with sensors_running(sensors, SystemClock(), folder / "served"):
        built = House(folder, broker.port, sensors, interval_s)
        try:
            yield built
        finally:
            built.stop_all()
