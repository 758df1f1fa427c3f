"""The torture in its short form: a town of real processes, each kind of fault, and the account that must close."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests import servers
from tests.crash.plan import by_kind, schedule
from tests.crash.torture import torture

pytestmark = [pytest.mark.live, pytest.mark.slow]

FAULTS, SEED = 46, 5


def test_the_account_closes_after_every_sort_of_fault(tmp_path: Path) -> None:
    """Kills, hangs, cut links, full disks, a broker that forgets, a card and a store put back: nothing is lost but
    what a killed device had not committed, nothing is stored twice, every crossing rings once."""
    servers.require("mosquitto")
    servers.require("influxd")
    figures = torture(tmp_path, FAULTS, SEED, edges=3, say=lambda line: print(line, file=sys.stderr))
    assert figures["problems"] == []
    assert figures["closed"]
    assert figures["by_kind"] == by_kind(schedule(SEED, FAULTS, 3))
    assert (figures["duplicates"], figures["alerts_repeated"], figures["alerts_missed"]) == (0, 0, 0)
    assert figures["served"] == figures["stored"] + figures["held"] + figures["letters"] + figures["lost_at_kill"]
    assert figures["alerts"] >= 3


def test_nothing_is_left_running_when_the_run_itself_is_killed(tmp_path: Path) -> None:
    """Processes and mounts of a run that died without a word are ended by its reaper."""
    servers.require("mosquitto")
    servers.require("influxd")
    command = [sys.executable, "-m", "tests.crash.torture", "50", "--data", str(tmp_path), "--edges", "1"]
    run = subprocess.Popen(command, cwd=Path(__file__).parents[2], stderr=subprocess.DEVNULL)
    try:
        servers.wait_for("the devices", lambda: (tmp_path / "edge-1.log").exists())
        assert of(tmp_path)
    finally:
        run.kill()
        run.wait(10)
    servers.wait_for("the end of all processes", lambda: not of(tmp_path))
    # The reaper unmounts after it has killed: what held a folder open is gone by then.
    servers.wait_for("the end of all mounts", lambda: str(tmp_path) not in Path("/proc/mounts").read_text())


def of(folder: Path) -> list[int]:
    """Processes that name the folder on their command line."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if str(folder).encode() in line and b"tests.crash.torture" not in line:
            found.append(int(process.name))
    return found
