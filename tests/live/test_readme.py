"""Every command of the README runs, in order, in a folder that holds the README's own configuration.

Adapted for the test: demos are shorter, ports are free ones, an address of InfluxDB is that of a real server started
here, commands that serve until they are stopped are stopped after a while, what asks for a password gets it at a
terminal, and `make test` (which runs this) is only planned, not run.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import readme, servers, terminal

pytestmark = [pytest.mark.live, pytest.mark.slow]

SUIMON = ".venv/bin/suimon "
SERVING = ("bridge run", "edge run", "sim run", "sim replay")
PASSWORD = "correct horse battery"
PLANNED = ("make test", "make check")  # this test is part of them


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reader's folder: the configuration of the README, and a recording."""
    folder = tmp_path_factory.mktemp("reader")
    readme.write_configuration(folder)
    rows = [f"2026-06-01T{h:02d}:{m:02d}:00Z,{0.5 + h / 10:.2f}" for h in range(8) for m in (0, 20, 40)]
    (folder / "recording.csv").write_text("time,value\n" + "\n".join(rows) + "\n")
    return folder


@pytest.fixture(scope="module")
def influx_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with servers.running(servers.influxdb(tmp_path_factory.mktemp("influx"))) as server:
        yield f"http://127.0.0.1:{server.port}"


@pytest.mark.parametrize("line", readme.commands())
def test_a_command_of_the_readme_runs(line: str, folder: Path, request: pytest.FixtureRequest) -> None:
    """What a reader types works."""
    if line in PLANNED:
        run(["make", "-n", line.split()[1]], readme.ROOT)
    elif line == "make demo":
        run(["make", "demo", "ARGS=--seconds 10"], readme.ROOT)
    elif line == "make bench ARGS=spine":
        servers.require("mosquitto")
        servers.require("influxd")
        # make says 2 where a limit is missed: speed is not judged here.
        run(["make", "bench", "ARGS=spine 2000"], readme.ROOT, expect=(0, 2))
    else:
        assert line.startswith(SUIMON)
        words = shlex.split(line.removeprefix(SUIMON).replace("--seconds 20", "--seconds 8"), comments=True)
        if "--influx-url" in words:
            words[words.index("--influx-url") + 1] = request.getfixturevalue("influx_url")
        words = [str(servers.free_port()) if word in ("5020", "8090") else word for word in words]
        command = [sys.executable, "-m", "gateway", *words]
        ill = (0, 1) if words[0] == "doctor" else (0,)  # no broker is up here, and it says so
        if "# asks for the password" in line:
            terminal.typed(command, [("Password: ", PASSWORD), ("Once more: ", PASSWORD)], folder)
        else:
            serve(command, folder) if " ".join(words[:2]) in SERVING else run(command, folder, ill)


def run(command: list[str], folder: Path, expect: tuple[int, ...] = (0,)) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=240, env=dict(os.environ))
    assert done.returncode in expect, done.stdout[-2000:] + done.stderr[-2000:]


def serve(command: list[str], folder: Path) -> None:
    """Start, see that it serves by its first words, stop it in order."""
    said = folder / "said.log"
    with said.open("wb") as log, subprocess.Popen(command, cwd=folder, stdout=log, stderr=log) as process:
        words = ("offline capacity", "1 station", "127.0.0.1:")  # of the agent, the bridge, the simulated sensors
        servers.wait_for("its first words", lambda: any(w in said.read_text() for w in words) or process.poll(), 60)
        assert process.poll() is None, said.read_text()
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    assert process.returncode == 0, said.read_text()
    assert "Traceback" not in said.read_text()
