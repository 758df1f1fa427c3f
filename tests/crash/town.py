"""What is tortured: real sensors, agents, broker, bridge and database, with a link that may be broken between any two
of them, each on a disk of its own that may be full.

Everything is ended however a run ends (`reaper`), and what ends by itself is started again, as systemd would.
"""

from __future__ import annotations

import contextlib
import logging
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from gateway import config
from gateway.clock import SimClock
from gateway.demo import influxdb
from gateway.demo.plan import Place, Plan, write
from simulators.faults.proxy import Proxy
from simulators.run import running
from simulators.sensor import Sensor
from tests import servers
from tests.crash.reaper import Reaper
from tests.crash.receiver import Receiver

FACTOR = 120.0  # virtual seconds in a real one: the half hour of a fall is 15 s
INTERVAL_S = 0.05  # real, between reads of a sensor
COMMIT_S = 0.5  # real, between commits of a spool
LATE_S = 30.0  # real, after which a reading is late: longer than any one fault lasts
THRESHOLDS = {"standby": 1.0, "caution": 2.0, "evacuation": 3.0, "danger": 4.0}
DISK_BYTES = {"edge": 64_000_000, "bridge": 400_000_000}
DATABASE = "torture"
SMALL_FILE = 4096  # bytes: with this limit no write to a database succeeds


class River:
    """A sensor whose level is set by hand; what was served stands in the sensor's log."""

    def __init__(self, level: float) -> None:
        self.level = level

    def measure(self, now_ms: int) -> Mapping[str, float]:
        return {"water_level": self.level, "battery_voltage": 12.5}

    look = measure


@dataclass(frozen=True, slots=True)
class Exit:
    """A program that ended by itself."""

    name: str
    code: int
    words: str


class Program:
    """One process that may be killed, stopped and started; its log goes on."""

    def __init__(
        self, name: str, command: list[str], folder: Path, reaper: Reaper, spawner: ThreadPoolExecutor
    ) -> None:
        self.name, self.command, self.log = name, command, folder / f"{name}.log"
        self.wanted = False  # whether it should run; otherwise nobody starts it again
        self.exits: list[Exit] = []
        self._folder, self._reaper, self._spawner = folder, reaper, spawner
        self._process: subprocess.Popen[bytes] | None = None
        self._words = threading.Thread()
        self._lock = threading.RLock()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, *options: str) -> None:
        with self._lock:
            # One thread starts all: a fork beside many others is quick, and the order is that of the calls.
            self._process = self._spawner.submit(self._spawn, options).result()
            self._reaper.started(self._process.pid)
            self.wanted = True

    def _spawn(self, options: Sequence[str]) -> subprocess.Popen[bytes]:
        """Its words come through a pipe, so that no limit of its files keeps them from the log."""
        process = subprocess.Popen(
            [*self.command, *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=self._folder,
        )
        self._words = threading.Thread(target=self._listen, args=(process,), name=f"words of {self.name}", daemon=True)
        self._words.start()
        return process

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        with process.stdout, self.log.open("ab") as log:
            while data := os.read(process.stdout.fileno(), 65_536):
                log.write(data)
                log.flush()

    def end(self, number: signal.Signals = signal.SIGKILL, patience_s: float = 30.0) -> int:
        """SIGKILL, or SIGTERM and then SIGKILL where that is not obeyed, which is noted. The exit code."""
        with self._lock:
            self.wanted = False
            if self._process is None:
                return 0
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)
            try:
                code = self._process.wait(patience_s)
            except subprocess.TimeoutExpired:
                self.exits.append(Exit(self.name, 0, f"did not end within {patience_s:.0f} s of {number.name}"))
                self._process.kill()
                code = self._process.wait(10.0)
            self._reaper.ended(self._process.pid)
            return code

    def wait_dead(self, timeout_s: float) -> bool:
        """Until it killed itself at its mark. Nobody starts it again meanwhile."""
        assert self._process is not None
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def signal(self, number: signal.Signals) -> None:
        with self._lock, contextlib.suppress(ProcessLookupError):
            if self.alive:
                os.kill(self.pid, number)

    def limit_files(self, limited: bool) -> None:
        """No file of it may grow beyond a few bytes: every write to a database fails as on a broken disk."""
        with self._lock, contextlib.suppress(ProcessLookupError, PermissionError):
            if self.alive:
                hard = resource.prlimit(self.pid, resource.RLIMIT_FSIZE)[1]
                resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (SMALL_FILE if limited else hard, hard))

    def tend(self) -> bool:
        """Start it again if it ended by itself; whether that was so."""
        with self._lock:
            if not self.wanted or self.alive or self._process is None:
                return False
            self._words.join(2.0)
            words = "\n".join(self.log.read_text(errors="replace").splitlines()[-6:])
            self.exits.append(Exit(self.name, self._process.returncode, words))
            self.start()
            return True


class Disk:
    """A folder of its own for one process, that may be filled: a small file system in memory where that can be
    mounted."""

    def __init__(self, folder: Path, size: int, reaper: Reaper) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
        reaper.mounts(folder)  # said before it is done: a run killed between the two leaves nothing
        try:
            self.own = subprocess.run(command, check=False, capture_output=True).returncode == 0
        except OSError:
            self.own = False

    def fill(self) -> None:
        """To the last byte. Only where `own`."""
        with (self.folder / "filler").open("ab") as filler, contextlib.suppress(OSError):
            while free := os.statvfs(self.folder).f_bfree * os.statvfs(self.folder).f_frsize:
                os.posix_fallocate(filler.fileno(), filler.seek(0, os.SEEK_END), free)

    def free(self) -> None:
        (self.folder / "filler").unlink(missing_ok=True)


class Town:
    """`edges` stations with one device each. Use by `town(...)`."""

    def __init__(
        self,
        folder: Path,
        clock: SimClock,
        sensors: list[Sensor],
        rivers: list[River],
        close: contextlib.ExitStack,
    ) -> None:
        self.folder, self.clock, self.sensors, self.rivers, self._close = folder, clock, sensors, rivers, close
        edges = len(sensors)
        self.stations = [s.station for s in sensors]
        self.reaper: Reaper = close.enter_context(contextlib.closing(Reaper()))
        self.spawner = ThreadPoolExecutor(1, "spawner")
        self.receiver: Receiver = close.enter_context(Receiver(folder / "deliveries.jsonl"))
        self.disks = {f"edge-{i + 1}": Disk(folder / f"disk-{i + 1}", DISK_BYTES["edge"], self.reaper)
                      for i in range(edges)}  # fmt: skip
        self.disks["bridge"] = Disk(folder / "disk-bridge", DISK_BYTES["bridge"], self.reaper)
        self.store = self.disks["bridge"].folder / "store.db"
        self.programs: dict[str, Program] = {}
        self.links: dict[str, Proxy] = {}
        self._servers()
        self.configs = self._configure(edges)
        clock = ["--sim-clock", str(folder / "clock")]
        for i in range(edges):
            self._add(f"edge-{i + 1}", [*SUIMON, "edge", "run", "--config", str(self.configs[f"edge-{i + 1}"]), *clock])
        self._add("bridge", [*SUIMON, "bridge", "run", "--config", str(self.configs["bridge"]), *clock])

    def _servers(self) -> None:
        # mosquitto's own limits. It saves what it holds every 3 s: a kill loses what came since, or takes it back.
        here = self.folder / "broker"
        here.mkdir()
        lines = f"persistence true\npersistence_location {here}/\nautosave_interval 3\nlog_type error"
        broker = servers.mosquitto(here, lines)
        influx = servers.influxdb(self.folder / "influx")
        self.broker_port, self.influx_port = broker.port, influx.port
        self._add("broker", broker.arguments)
        self._add("influx", influx.arguments)
        for name in ("edge_link", "bridge_link", "influx_link"):
            for suffix in [f"-{i + 1}" for i in range(len(self.sensors))] if name == "edge_link" else [""]:
                port = influx.port if name == "influx_link" else broker.port
                self.links[name + suffix] = self._close.enter_context(Proxy(("127.0.0.1", port)))

    def _add(self, name: str, command: list[str]) -> None:
        self.programs[name] = Program(name, command, self.folder, self.reaper, self.spawner)

    def _configure(self, edges: int) -> dict[str, Path]:
        """As an operator would write it; then what this town has and the demonstration has not."""
        places = [Place(s, s, s, 34.3, 134.0, 0.0, THRESHOLDS) for s in self.stations]
        interval_s = INTERVAL_S * FACTOR
        influx = {"api": "v1", "url": f"http://127.0.0.1:{self.links['influx_link'].port}", "database": DATABASE,
                  "timeout": "3s"}  # fmt: skip
        plan = Plan("torture", places, self.clock.origin_ms, interval_s, FACTOR, [], "test", influx=influx)
        folders = write(plan, self.folder, self.broker_port, {s.station: s.port for s in self.sensors})
        with amended(folders["bridge"] / "bridge.yaml") as y:
            y["store"]["path"] = str(self.store)
            y["broker"] = {"host": "127.0.0.1", "port": self.links["bridge_link"].port, "keepalive": "5s"}
            url = f"http://127.0.0.1:{self.receiver.port}/"
            y["notify"]["recipients"] = {"people": {"medium": "webhook", "url": url, "min_rank": 1, "timeout": "10s"}}
        with amended(folders["bridge"] / "stations.yaml") as y:
            for station in y["stations"].values():
                for channel in station["channels"].values():
                    channel["grace"] = f"{LATE_S * FACTOR - interval_s:g}s"
                # Its rivers jump by whole levels, and its oracle knows no doubt.
                station["channels"]["water_level"] |= {
                    "plausible_rise": "off",
                    "plausible_fall": "off",
                    "quality": "off",
                }
        out = {"bridge": folders["bridge"]}
        for i, place in enumerate(places):
            name = f"edge-{i + 1}"
            out[name] = folders[place.device]
            with amended(folders[place.device] / "edge.yaml") as y:
                y["spool"] = {"path": str(self.spool(i)), "commit_interval": f"{COMMIT_S}s"}
                y["broker"] = {"host": "127.0.0.1", "port": self.links[f"edge_link-{i + 1}"].port, "keepalive": "5s"}
                y["buses"]["mast"]["timeout"] = "10s"  # longer than a hang: what was served is read
        return out

    def spool(self, i: int) -> Path:
        return self.disks[f"edge-{i + 1}"].folder / "spool.db"

    # --- running -------------------------------------------------------------------------------------------------

    def start(self) -> None:
        for name in ("broker", "influx"):
            self.programs[name].start()
        servers.wait_for("mosquitto", lambda: servers.port_open(self.broker_port))
        self.wait_influx()
        influxdb.create(self.target)
        self.programs["bridge"].start()
        for i in range(len(self.sensors)):
            self.programs[f"edge-{i + 1}"].start()
        self.clock.start()

    def wait_influx(self) -> None:
        servers.wait_for("InfluxDB", lambda: servers.http_ok(f"http://127.0.0.1:{self.influx_port}/ping"), 60.0)

    @property
    def target(self) -> influxdb.Target:
        return influxdb.Target("influxdb1", f"http://127.0.0.1:{self.influx_port}", DATABASE)

    def tend(self) -> list[str]:
        """Names of what ended by itself and was started again."""
        return [name for name, program in self.programs.items() if program.tend()]

    def mend(self) -> None:
        """Nothing is broken any more: links open, disks free, programs running."""
        for link in self.links.values():
            link.restore()
        for disk in self.disks.values():
            disk.free()
        self.receiver.mode = "ok"
        for program in self.programs.values():
            program.limit_files(False)
            program.signal(signal.SIGCONT)
            if not program.alive:
                program.start()

    def bridge_command(self, *arguments: str) -> None:
        """`suimon bridge …` to its end."""
        command = [*SUIMON, "bridge", *arguments, "--config", str(self.configs["bridge"])]
        subprocess.run(command, check=True, capture_output=True, timeout=120)

    def close(self) -> None:
        for program in self.programs.values():
            program.signal(signal.SIGCONT)
            program.end()
        self.spawner.shutdown()
        for (
            name,
            disk,
        ) in self.disks.items():  # a disk in memory is gone in a moment: whoever looks for a cause needs it
            kept = self.folder / "kept" / name
            kept.mkdir(parents=True)
            disk.free()
            for file in disk.folder.glob("*.db*"):
                shutil.copy(file, kept)


SUIMON = [sys.executable, "-m", "gateway"]


@contextlib.contextmanager
def amended(path: Path) -> Iterator[dict[str, Any]]:
    """A YAML file to be changed in place."""
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    yield document
    path.write_text(yaml.safe_dump(document, allow_unicode=True, sort_keys=False), encoding="utf-8")


@contextlib.contextmanager
def town(folder: Path, edges: int, level: Callable[[int], float]) -> Iterator[Town]:
    """Sensors serving; nothing else started. `level(i)`: where the i-th river begins."""
    folder.mkdir(parents=True, exist_ok=True)
    logging.getLogger("pymodbus").setLevel(logging.CRITICAL)  # the sensors' server mourns each killed client at length
    profile = config.load_profiles(folder, [])["sim_river_gauge"]
    rivers = [River(level(i)) for i in range(edges)]
    sensors = [Sensor(f"gauge-{i + 1}", profile, river) for i, river in enumerate(rivers)]
    clock = SimClock.create(folder / "clock", int(time.time()) // 60 * 60_000, FACTOR)
    with running(sensors, clock, folder / "served"), contextlib.ExitStack() as close:
        built = Town(folder, clock, sensors, rivers, close)
        close.callback(built.close)
        yield built


def level_of(rank: int, plateau: int) -> float:
    """A level of this rank, in whole millimetres, that no other of 500 plateaus of a station has: a notification's
    value names the plateau it is about."""
    return round(rank + 0.2 + plateau % 500 / 1000, 3)


def climb(rng: random.Random) -> list[int]:
    """Ranks of one flood: up by any steps, then down to nothing."""
    return [*sorted(rng.sample((1, 2, 3, 4), rng.randint(1, 4))), 0]
