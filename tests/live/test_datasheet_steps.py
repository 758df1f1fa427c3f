"""From a datasheet to a running station: the steps of device_profiles/README.md, one after the other as they stand
there. Adapted for the test: ports are free ones, mosquitto is started here, what serves is stopped at the end, and the
clock is trusted, for that of a test machine may not be synchronised.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import readme, servers

pytestmark = [pytest.mark.live]

SUIMON = ".venv/bin/suimon "
SERVING = {  # until they are stopped -> what they say once they serve
    "sim run": "127.0.0.1:",
    "bridge run": "1 station",
    "edge run": "offline capacity",
}


def steps() -> Iterator[tuple[str, str]]:
    """(language, one file or one command), in order."""
    for block in readme.blocks(*readme.DATASHEET):
        if block.language == "yaml":
            yield "yaml", block.text
        elif block.language == "sh":
            yield from (("sh", line) for line in block.text.replace("\\\n", " ").splitlines())


class Reader:
    """Somebody who does what the document says, in a folder of their own."""

    def __init__(self, folder: Path, ports: dict[str, str]) -> None:
        self.folder, self._ports = folder, ports
        self._serving: list[subprocess.Popen[bytes]] = []
        self.said: list[tuple[str, str]] = []

    def do(self, language: str, step: str) -> None:
        for shown, real in self._ports.items():
            step = step.replace(shown, real)
        if language == "yaml":
            path = self.folder / step.splitlines()[0].removeprefix("# ")
            path.parent.mkdir(parents=True, exist_ok=True)
            trusted = "clock: {trust: always}\n" if path.name in ("edge.yaml", "bridge.yaml") else ""
            path.write_text(step + trusted, encoding="utf-8")
        elif step.startswith("sqlite3 "):
            servers.require("sqlite3")
            servers.wait_for("the reading in the store", lambda: self._run(shlex.split(step)), 60)
        else:
            assert step.startswith(SUIMON), step
            words = shlex.split(step.removeprefix(SUIMON))
            command = [sys.executable, "-m", "gateway", *words]
            serves = SERVING.get(" ".join(words[:2]))
            if serves:
                self._serve(command, serves)
            else:
                assert self._run(command), self.said[-1]

    def _run(self, command: list[str]) -> str:
        """What it printed; nothing where it failed."""
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=120, env=self._env())
        self.said.append((" ".join(command), done.stdout + done.stderr))
        return done.stdout if done.returncode == 0 else ""

    def _serve(self, command: list[str], serves: str) -> None:
        log = self.folder / f"said-{len(self._serving)}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(command, cwd=self.folder, stdout=out, stderr=out, env=self._env())
        self._serving.append(process)
        servers.wait_for(serves, lambda: serves in log.read_text() or process.poll() is not None, 60)
        assert process.poll() is None, log.read_text()

    def _env(self) -> dict[str, str]:
        return {**os.environ, "PYTHONUNBUFFERED": "1", "COLUMNS": "200"}

    def stop(self) -> None:
        for process in reversed(self._serving):
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def test_from_a_datasheet_to_a_running_station(tmp_path: Path) -> None:
    """Every step works as it is written, and in the end the level that the sensor served is in the store."""
    servers.require("sqlite3")
    broker = servers.mosquitto(tmp_path / "broker")
    gauge = servers.free_port()
    with servers.running(broker):
        reader = Reader(tmp_path / "reader", {"5020": str(gauge), "1883": str(broker.port)})
        reader.folder.mkdir()
        try:
            for language, step in steps():
                reader.do(language, step)
        finally:
            reader.stop()
    said = dict(reader.said)
    shown = next(text for command, text in said.items() if "profile show" in command)
    assert "UNVERIFIED" in shown
    assert any("5 examples, 0 failed" in text for text in said.values())
    stored = reader.said[-1][1].strip().splitlines()
    assert stored[0].startswith("honcho-bridge|water_level|")
    served = [
        json.loads(line)["values"]["water_level"]
        for log in re.findall(r"what it served: (\S+)", (reader.folder / "said-0.log").read_text())
        for line in Path(log).read_text().splitlines()
    ]
    assert float(stored[0].split("|")[2]) in served
