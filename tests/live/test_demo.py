"""`suimon demo` as a person or a script runs it: whole processes, exit codes, the JSON object, nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from gateway.demo import influxdb
from tests import servers

pytestmark = [pytest.mark.live, pytest.mark.slow]

KEYS = {
    *("sampled", "stored", "missing", "duplicates", "values", "rejected", "gone"),
    *("alerts_raised", "alerts_cleared", "peak"),
}


def command(*options: str) -> list[str]:
    return [sys.executable, "-m", "gateway", "demo", *options]


def run_demo(
    *options: str, timeout_s: float = 240, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*options), capture_output=True, text=True, timeout=timeout_s, env=env)


def last_json(stdout: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(stdout.strip().splitlines()[-1])
    return found


def processes_of(folder: Path) -> list[str]:
    """Command lines of living processes that name the folder."""
    out = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in line and int(entry.name) != os.getpid():
            out.append(line)
    return out


def test_the_flood_runs_to_its_end_and_the_account_closes(tmp_path: Path) -> None:
    """Three stations flood and fall; everything served is stored once; then one stored row is deleted, and the
    account no longer closes."""
    servers.require("mosquitto")
    folder = tmp_path / "demo"
    done = run_demo("--seconds", "20", "--json", "--data", str(folder))
    assert done.returncode == 0, done.stderr
    account = last_json(done.stdout)
    assert set(account) == KEYS
    assert account["sampled"] == account["stored"] > 300
    assert (account["missing"], account["duplicates"], account["rejected"], account["gone"]) == (0, 0, 0, 0)
    assert account["alerts_raised"] >= 7
    assert account["alerts_cleared"] >= 7
    assert account["values"] == 3 * account["stored"]
    assert account["peak"]["umikaze-bridge/water_level"] >= 3.0
    assert processes_of(folder) == []

    with sqlite3.connect(folder / "store.db") as db:
        db.execute(
            """DELETE FROM observations WHERE id = (SELECT o.id FROM observations o JOIN channels c
               ON c.id = o.channel_id WHERE c.channel = 'water_level' ORDER BY o.id LIMIT 1 OFFSET 100)"""
        )
    again = run_demo("--account", str(folder), "--json")
    assert again.returncode == 1
    assert last_json(again.stdout)["missing"] == 1
    assert "served and not stored" in again.stderr


def test_the_embedded_broker_serves_where_mosquitto_is_missing(tmp_path: Path) -> None:
    """Without mosquitto on the machine the demonstration brings a broker of its own."""
    pytest.importorskip("iotcore")
    done = run_demo("--seconds", "12", "--json", "--broker", "embedded", "--data", str(tmp_path / "demo"))
    assert done.returncode == 0, done.stderr
    assert last_json(done.stdout)["missing"] == 0


def test_a_bridge_killed_in_the_middle_of_the_flood_changes_nothing_in_the_account(tmp_path: Path) -> None:
    """kill -9 and a restart: the account closes, no sample twice, no alert key twice."""
    servers.require("mosquitto")
    folder = tmp_path / "demo"
    with subprocess.Popen(
        command("--seconds", "30", "--json", "--data", str(folder)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as demo:
        query = "SELECT count(*) FROM transitions"
        servers.wait_for("the first alerts", lambda: scalar(folder / "store.db", query) >= 3, 120)
        os.kill(json.loads((folder / "pids.json").read_text())["bridge"], signal.SIGKILL)
        stdout, stderr = demo.communicate(timeout=240)
    assert demo.returncode == 0, stderr
    account = last_json(stdout)
    assert (account["missing"], account["duplicates"]) == (0, 0)
    assert "bridge ended and was started again" in stderr
    facts = "SELECT count(*) - count(DISTINCT station || change || from_rank || to_rank || at_ms) FROM transitions"
    assert scalar(folder / "store.db", facts) == 0
    assert scalar(folder / "store.db", "SELECT count(*) FROM outbox WHERE state <> 'sent'") == 0


def scalar(store: Path, query: str) -> int:
    try:
        db = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
        try:
            return int(db.execute(query).fetchone()[0])
        finally:
            db.close()
    except sqlite3.OperationalError:
        return 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ending_the_demo_leaves_no_process_behind(tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C or SIGTERM in the middle ends broker, sensors, agents and bridge."""
    folder = tmp_path / "demo"
    with subprocess.Popen(
        command("--seconds", "60", "--data", str(folder)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as demo:
        servers.wait_for(
            "stored samples", lambda: scalar(folder / "store.db", "SELECT count(*) FROM observations") > 50, 60
        )
        assert len(processes_of(folder)) >= 5
        demo.send_signal(number)
        demo.communicate(timeout=60)
    assert demo.returncode == 130
    servers.wait_for("no process of the demo", lambda: processes_of(folder) == [], 20)


def test_a_demo_that_is_killed_takes_its_processes_with_it(tmp_path: Path) -> None:
    """kill -9 of the demo itself: its children are told by the kernel and end."""
    folder = tmp_path / "demo"
    with subprocess.Popen(
        command("--seconds", "60", "--data", str(folder)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as demo:
        servers.wait_for(
            "stored samples", lambda: scalar(folder / "store.db", "SELECT count(*) FROM observations") > 50, 60
        )
        demo.kill()
        demo.wait(10)
    servers.wait_for("no process of the demo", lambda: processes_of(folder) == [], 30)


def test_a_used_folder_is_refused(tmp_path: Path) -> None:
    """An account must begin with nothing."""
    (tmp_path / "old").write_text("x")
    done = run_demo("--data", str(tmp_path))
    assert done.returncode == 4
    assert "is not empty" in done.stderr
    assert "Traceback" not in done.stderr


def recording() -> Path:
    """The Don, from the recordings folder."""
    folder = Path(os.environ.get("SUIMON_RECORDINGS") or Path(__file__).parents[3] / "shared" / "data")
    path = folder / "ea_don_hadfields_stage_2007-06.csv"
    if not path.exists():
        servers.missing(f"the recording {path.name} is not in {folder}")
    return path


def test_the_don_of_2007_is_sampled_stored_and_alarmed_as_it_was(tmp_path: Path) -> None:
    """2,016 rows through Modbus, agent, broker and bridge into the store and InfluxDB 1.x: both floods in order, the
    one row of the peak, every point equal. Then the recording once more into the same database: the same points."""
    servers.require("mosquitto")
    with servers.running(servers.influxdb(tmp_path / "influx")) as influx:
        url = f"http://127.0.0.1:{influx.port}"
        for run in ("first", "second"):
            folder = tmp_path / run
            options = ["--replay", str(recording()), "--speed", "max", "--json", "--influx-url", url]
            done = run_demo(*options, "--data", str(folder))
            assert done.returncode == 0, done.stderr
            account = last_json(done.stdout)
            assert set(account) == KEYS | {"influx_points"}
            assert (account["sampled"], account["stored"]) == (2016, 2016)
            assert (account["missing"], account["duplicates"], account["rejected"]) == (0, 0, 0)
            assert account["peak"]["replay/water_level"] == 4.675
            assert account["alerts_raised"] == 3
            assert account["influx_points"] == account["values"] == 3 * 2016
            assert rises(folder / "store.db") == [
                (0, 2, "2007-06-15 04:15"),
                (0, 2, "2007-06-25 10:15"),
                (2, 4, "2007-06-25 14:45"),
            ]
        target = influxdb.detect(url, "suimon_demo", "", "")
        points = influxdb.points(target, "takamatsu")
        assert points is not None
        assert len(points) == 3 * 2016


def rises(store: Path) -> list[tuple[int, int, str]]:
    db = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
    rows = db.execute("SELECT from_rank, to_rank, at_ms FROM transitions WHERE change = 'rise' ORDER BY id").fetchall()
    db.close()
    return [(a, b, time.strftime("%Y-%m-%d %H:%M", time.gmtime(ms / 1000))) for a, b, ms in rows]


def test_a_replay_at_a_fixed_speed_samples_every_row_once(tmp_path: Path) -> None:
    """The sensor advances one row only after it was read, whatever the speed."""
    servers.require("mosquitto")
    short = tmp_path / "short.csv"
    rows = [f"2026-01-01T{h:02d}:{m:02d}:00Z,{1 + h / 10:.3f}" for h in range(20) for m in (0, 15, 30, 45)]
    short.write_text("time,value\n" + "\n".join(rows) + "\n")
    done = run_demo("--replay", str(short), "--speed", "7200", "--json", "--data", str(tmp_path / "demo"))
    assert done.returncode == 0, done.stderr
    account = last_json(done.stdout)
    assert (account["sampled"], account["stored"], account["missing"]) == (80, 80, 0)


def test_the_page_is_served_while_it_runs(tmp_path: Path) -> None:
    """On the port that was asked for: ready, the board of the flood, operator without a login; a taken port is told."""
    port = servers.free_port()
    folder = tmp_path / "demo"
    with subprocess.Popen(
        command("--seconds", "30", "--port", str(port), "--data", str(folder), "--json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as demo:
        try:
            servers.wait_for("the page", lambda: _get(port, "readyz") == b"ready\n", 60)
            told = json.loads(_get(port, "api/v1/config"))
            assert (told["you"]["role"], told["demo"]) == ("operator", True)
            servers.wait_for("a rank", lambda: max(x["rank"] for x in _board(port)["stations"]) >= 3, 60)
            board = _board(port)
            assert board["bridge"]["running"]
            assert board["episodes"]
            taken = run_demo("--seconds", "20", "--port", str(port), "--data", str(tmp_path / "other"))
            assert (taken.returncode, "another process has it" in taken.stderr) == (4, True), taken.stderr
            out, err = demo.communicate(timeout=120)
        finally:
            demo.kill()
    assert demo.returncode == 0, err
    assert f"http://127.0.0.1:{port}/" in err
    assert last_json(out)["missing"] == 0
    assert _get(port, "readyz") == b"", "nothing is left running"


def _get(port: int, path: str) -> bytes:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=5) as r:
            return bytes(r.read())
    except OSError:
        return b""


def _board(port: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_get(port, "api/v1/board"))
    return found
