"""The processes of the demonstration, and that none is left behind: they end with us, however we end."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from gateway.errors import Unavailable

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_SEARCH = ":/usr/sbin:/usr/local/sbin"  # where Debian puts servers, which is not on a user's path


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class Child:
    """One process, its log, and its restart as a supervisor would do it."""

    def __init__(self, name: str, arguments: list[str], logs: Path) -> None:
        self.name, self._arguments, self._log = name, arguments, logs / f"{name}.log"
        self.restarts = 0
        self.process: subprocess.Popen[bytes] = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                self._arguments,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C reaches us alone; we end the others in order
                preexec_fn=_die_with_parent,
            )

    def tend(self) -> bool:
        """Start it again if it ended. Whether that was needed."""
        if self.process.poll() is None:
            return False
        self.restarts += 1
        if self.restarts > 20:
            raise Unavailable(f"{self.name} ends again and again; see {self._log}\n{self.last_words()}")
        self.process = self._start()
        return True

    def last_words(self, lines: int = 5) -> str:
        with contextlib.suppress(OSError):
            return "\n".join(self._log.read_text(errors="replace").splitlines()[-lines:])
        return ""

    def stop(self, timeout_s: float = 15.0) -> None:
        """SIGTERM, and SIGKILL for one that does not listen."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def suimon(*arguments: str) -> list[str]:
    """A command line of ours, run by this very interpreter."""
    return [sys.executable, "-m", "gateway", *arguments]


class Family:
    """All processes of one demonstration."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.logs = folder, folder / "logs"
        self.logs.mkdir(parents=True, exist_ok=True)
        self.children: dict[str, Child] = {}
        self._embedded: contextlib.AbstractContextManager[object] | None = None

    def add(self, name: str, arguments: list[str]) -> Child:
        child = self.children[name] = Child(name, arguments, self.logs)
        self._write_pids()
        return child

    def _write_pids(self) -> None:
        """For whoever wants to torture the demonstration from outside."""
        pids = {name: child.process.pid for name, child in self.children.items()}
        (self.folder / "pids.json").write_text(json.dumps(pids))

    def tend(self) -> list[str]:
        """Restart what ended; names of those. The broker is not ours to restart: it keeps its word in files."""
        again = [name for name, child in self.children.items() if child.tend()]
        if again:
            self._write_pids()
        return again

    def wait_for(self, what: str, true: Callable[[], bool], timeout_s: float = 30.0) -> None:
        """Raises Unavailable when it does not come, with the last words of a child that ended."""
        end = time.monotonic() + timeout_s
        while not true():
            for name, child in self.children.items():
                if child.process.poll() is not None:
                    raise Unavailable(f"{name} ended at its start:\n{child.last_words()}")
            if time.monotonic() > end:
                raise Unavailable(f"waited {timeout_s:.0f} s in vain: {what}; logs are in {self.logs}")
            time.sleep(0.05)

    def broker(self, port: int, which: str = "auto") -> str:
        """Start a broker on loopback; its name. `auto` is mosquitto where it is installed, else the embedded one.
        Raises Unavailable where none is installed."""
        program = None if which == "embedded" else shutil.which("mosquitto", path=os.environ.get("PATH", "") + _SEARCH)
        if program is not None:
            conf = self.folder / "mosquitto.conf"
            conf.write_text(_mosquitto_conf(port, self.folder))
            self.add("mosquitto", [program, "-c", str(conf)])
            name = "mosquitto"
        else:
            name = self._start_embedded(port)
        self.wait_for(f"{name} on port {port}", lambda: listening(port))
        return name

    def _start_embedded(self, port: int) -> str:
        try:
            from iotcore import Broker
        except ImportError:
            raise Unavailable(
                "no MQTT broker: install mosquitto, or the embedded one with pip install 'suimon[demo]'"
            ) from None
        # Its own limits are 20 kB a message and 100 in flight; a backlog pack is larger.
        self._embedded = Broker(port=port, listen="127.0.0.1", max_payload_size=1_048_576, max_inflight_count=500)
        self._embedded.__enter__()
        return "embedded broker (iotcore)"

    def stop(self, *names: str) -> None:
        """End the named children, or all: agents before bridge, the broker last."""
        for name in names or list(reversed(self.children)):
            child = self.children.pop(name, None)
            if child is not None:
                child.stop()
        if not names and self._embedded is not None:
            self._embedded.__exit__(None, None, None)
            self._embedded = None


def _mosquitto_conf(port: int, folder: Path) -> str:
    data = folder / "mosquitto"
    data.mkdir(exist_ok=True)
    # mosquitto's defaults drop beyond 1000 queued messages and keep nothing; the demonstration sends far fewer
    # than 200,000 in all. As root it would change to a user that cannot write here.
    lines = [
        f"listener {port} 127.0.0.1",
        "allow_anonymous true",
        "set_tcp_nodelay true",
        "max_queued_messages 200000",
        "max_inflight_messages 500",
        "persistence true",
        f"persistence_location {data}/",
        "autosave_interval 5",
    ]
    if os.geteuid() == 0:
        lines.append("user root")
    return "\n".join([*lines, ""])


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def listening(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
        return True
    return False
