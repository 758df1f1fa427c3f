"""Real servers for the tests, started here on loopback with ports of their own and ended with the test.

A missing one skips the test by its name, or fails it where SUIMON_REQUIRE_SERVICES=1 (on CI).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


def require(program: str) -> str:
    """The path of a program; skips or fails the test where it is missing."""
    found = shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if found is None:
        missing(f"{program} is not installed")
    return found or ""


def library(name: str) -> Path:
    """A plug-in of a server, where Debian and others put it; skips or fails the test where it is missing."""
    found = next((x for x in (*Path("/usr/lib").glob(f"*/{name}"), *Path("/usr/lib").glob(name))), None)
    if found is None:
        missing(f"{name} is not installed")
    return found or Path()


def missing(what: str) -> None:
    """Something that this test needs is absent."""
    if os.environ.get("SUIMON_REQUIRE_SERVICES") == "1":
        pytest.fail(f"{what}, and SUIMON_REQUIRE_SERVICES=1")
    pytest.skip(what)


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def wait_for(what: str, true: Callable[[], object], timeout_s: float = 30.0, every_s: float = 0.05) -> None:
    """Wait until something holds; fail with its name. The limit guards against a hang, it measures no speed."""
    end = time.monotonic() + timeout_s
    while not true():
        if time.monotonic() > end:
            pytest.fail(f"waited {timeout_s:.0f} s in vain: {what}")
        time.sleep(every_s)


def port_open(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
        return True
    return False


def http_ok(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1.0) as r:
            return bool(200 <= r.status < 300)
    except (OSError, urllib.error.HTTPError):
        return False


class Server:
    """A server process that a test may kill and start again on the same port and files."""

    def __init__(self, name: str, arguments: list[str], port: int, folder: Path, ready: Callable[[], bool]) -> None:
        self.name, self.arguments, self.port, self.folder, self._ready = name, arguments, port, folder, ready
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Server:
        log = (self.folder / f"{self.name}.log").open("ab")
        with log:
            self._process = subprocess.Popen(self.arguments, stdout=log, stderr=log, cwd=self.folder)
        wait_for(f"{self.name} on port {self.port}", self._up)
        return self

    def _up(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            log = (self.folder / f"{self.name}.log").read_text(errors="replace")[-2000:]
            pytest.fail(f"{self.name} ended at its start: {log}")
        return self._ready()

    def stop(self, *, kill: bool = False) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill() if kill else self._process.terminate()
            self._process.wait(15)
        self._process = None


def mosquitto(folder: Path, lines: str = "", port: int | None = None) -> Server:
    """mosquitto with the given configuration lines; without any, its own defaults for limits and persistence."""
    program, port = require("mosquitto"), port or free_port()
    folder.mkdir(parents=True, exist_ok=True)
    user = "user root\n" if os.geteuid() == 0 else ""  # else it drops to a user that cannot read the test's folder
    conf = folder / "mosquitto.conf"
    conf.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n{user}{lines}\n")
    return Server("mosquitto", [program, "-c", str(conf)], port, folder, lambda: port_open(port))


def influxdb(folder: Path) -> Server:
    """Debian's InfluxDB 1.6.7."""
    program, port, rpc = require("influxd"), free_port(), free_port()
    folder.mkdir(parents=True, exist_ok=True)
    conf = folder / "influxdb.conf"
    conf.write_text(
        f'reporting-disabled = true\nbind-address = "127.0.0.1:{rpc}"\n'
        f'[meta]\n  dir = "{folder}/meta"\n'
        f'[data]\n  dir = "{folder}/data"\n  wal-dir = "{folder}/wal"\n'
        f'[http]\n  bind-address = "127.0.0.1:{port}"\n  log-enabled = false\n'
        "[monitor]\n  store-enabled = false\n[continuous_queries]\n  enabled = false\n"
    )
    ping = f"http://127.0.0.1:{port}/ping"
    return Server("influxd", [program, "-config", str(conf)], port, folder, lambda: http_ok(ping))


def victoria_metrics(folder: Path) -> Server:
    """Debian's VictoriaMetrics, single node."""
    program, port = require("victoria-metrics"), free_port()
    folder.mkdir(parents=True, exist_ok=True)
    arguments = [
        program,
        f"-storageDataPath={folder}/data",
        f"-httpListenAddr=127.0.0.1:{port}",
        "-retentionPeriod=100y",
    ]
    health = f"http://127.0.0.1:{port}/health"
    return Server("victoria-metrics", arguments, port, folder, lambda: http_ok(health))


@contextlib.contextmanager
def running(server: Server) -> Iterator[Server]:
    """Started for the block, ended after it."""
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def small_disk(place: Path, size: str) -> Iterator[Path]:
    """A file system of its own, in memory; the test is skipped where none may be mounted."""
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "suimon-test", str(place)]
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except FileNotFoundError:
        missing("mount is not installed")
    if done.returncode:
        pytest.skip("no small disk without the right to mount one")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)
