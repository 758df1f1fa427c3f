"""Real processes on a real mosquitto: the configuration changes while readings flow. Every reading has one fate, nobody
is told twice, a broken file stops nothing, and a kill in the middle leaves one configuration or the other."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from gateway import storefile
from gateway.cli.process import EXIT_CONFIG, EXIT_UNAVAILABLE
from gateway.config import load_bridge, load_profiles
from tests import servers
from tests.house import House, house
from tests.world import Reply, http_server

pytestmark = pytest.mark.live


@pytest.fixture
def town(tmp_path: Path) -> Iterator[House]:
    """Three gauges, twenty readings a second each; the bridge and the agents run."""
    profile = load_profiles(tmp_path, [])["sim_river_gauge"]
    with (
        servers.running(servers.mosquitto(tmp_path / "broker")) as broker,
        house(tmp_path / "house", profile, broker, devices=3) as found,
    ):
        yield found


def reload(town: House) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway", "bridge", "reload", "--json", "--config", str(town.configs["bridge"])]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def edit(town: House, name: str, **changes: object) -> str:
    """Change a file whole; its former text."""
    path = town.configs["bridge"] / name
    before = path.read_text(encoding="utf-8")
    path.write_text(yaml.safe_dump(yaml.safe_load(before) | changes, allow_unicode=True), encoding="utf-8")
    return before


def everything(town: House) -> None:
    """Every reading that a sensor served is stored, once."""
    town.settle()
    account = town.account()
    assert (account.missing, account.duplicates, account.rejected, account.gone) == (0, 0, 0, 0)
    assert account.stored == account.sampled > 100


def test_readings_flow_through_every_reload(town: House) -> None:
    """Thresholds, recipients and a broken file, again and again while readings come in: all are stored, what is shown
    already is not told again, and what a new threshold means is told once."""
    with http_server(lambda _: Reply(200)) as phone:
        for name in ("bridge", *town.devices):
            town.start(name)
        town.wait_stored(100, 90)
        url = f"{phone.url}/"
        edit(town, "bridge.yaml", notify={"recipients": {"duty": {"medium": "webhook", "url": url, "min_rank": 1}}})
        first = json.loads(reload(town).stdout)
        assert (first["state"], first["changed"]) == (
            "in_force",
            ["recipients added: duty", "recipients removed: screen"],
        )
        stations = yaml.safe_load((town.configs["bridge"] / "stations.yaml").read_text(encoding="utf-8"))
        gauge = stations["stations"]["gauge-1"]["channels"]["water_level"]["thresholds"]
        gauge["caution"]["value"] = "0.5 m"
        edit(town, "stations.yaml", stations=stations["stations"])
        edited = load_bridge(town.configs["bridge"])[1].digest()
        before = storefile.judged_by(town.store)
        answers = [json.loads(reload(town).stdout) for _ in range(4)]
        after = storefile.judged_by(town.store)
        assert before is not None
        assert after is not None
        assert before[0] != edited == after[0]
        assert [a["changed"] for a in answers] == [["stations changed: takamatsu/gauge-1"], [], [], []]
        assert len({a["configuration"] for a in answers} - {first["configuration"]}) == 1
        servers.wait_for("a call", lambda: phone.requests)
        good = edit(town, "stations.yaml", stations={"gauge-1": {"name": "x"}})
        refused = reload(town)
        assert (refused.returncode, json.loads(refused.stdout)["state"]) == (EXIT_CONFIG, "refused")
        assert len(json.loads(refused.stdout)["problems"]) > 2
        town.wait_stored(50)
        (town.configs["bridge"] / "stations.yaml").write_text(good, encoding="utf-8")
        assert json.loads(reload(town).stdout)["configuration"] == answers[0]["configuration"]
        everything(town)
        keys = [json.loads(r.body)["key"] for r in phone.requests]
        assert len([k for k in keys if "/gauge-1." in k and "/rise" in k]) == 1, keys
        assert len(set(keys)) == len(keys)


def test_a_signal_and_a_broken_file(town: House) -> None:
    """SIGHUP with a broken file says every problem in the log, and the bridge goes on; with one in order it changes."""
    town.start("bridge")
    servers.wait_for("a bridge", lambda: "connected to MQTT broker" in town.log("bridge"))
    good = edit(town, "bridge.yaml", limits={"payload": "a lot"}, alert_topics=True)
    town.signal("bridge", "SIGHUP")
    servers.wait_for("a refusal", lambda: town.log("bridge").count("configuration refused: bridge.yaml:") >= 2)
    (town.configs["bridge"] / "bridge.yaml").write_text(good, encoding="utf-8")
    edit(town, "bridge.yaml", limits={"payload": "100kB"})
    town.signal("bridge", "SIGHUP")
    servers.wait_for("a change", lambda: "settings changed: max_payload" in town.log("bridge"))
    path = town.configs["bridge"] / "bridge.yaml"
    good = edit(town, "bridge.yaml", store={"path": "other.db"})
    line = next(n for n, text in enumerate(path.read_text().splitlines(), 1) if "other.db" in text)
    town.signal("bridge", "SIGHUP")
    servers.wait_for(
        "a refusal", lambda: f"configuration refused: bridge.yaml:{line}:9 store.path: '" in town.log("bridge")
    )
    elsewhere = reload(town)
    assert elsewhere.returncode == EXIT_UNAVAILABLE
    assert f"bridge.yaml:{line}:9 store.path: no bridge runs on {path.parent / 'other.db'}" in elsewhere.stderr
    assert "another store? Which one is fixed while it runs: put its path back, or restart" in elsewhere.stderr
    assert not (path.parent / "other.db").exists()
    path.write_text(good, encoding="utf-8")
    assert json.loads(reload(town).stdout)["state"] == "in_force"
    assert town.stop("bridge") == 0
    assert reload(town).returncode == EXIT_UNAVAILABLE  # nobody is there to be asked


@pytest.mark.parametrize("mark", ["reading", "swapped"])
def test_a_kill_during_a_reload(town: House, mark: str) -> None:
    """Killed while it reads, or between swap and answer: the next process runs by the new files, answers who asked,
    and every reading is there."""
    town.start("bridge", "--crash-at", f"{mark}:1")
    for name in town.devices:
        town.start(name)
    town.wait_stored(60, 90)
    edit(town, "bridge.yaml", limits={"payload": "100kB"})
    command = [sys.executable, "-m", "gateway", "bridge", "reload", "--json", "--config", str(town.configs["bridge"])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as asking:
        town.wait_dead("bridge")
        town.start("bridge")
        said, _ = asking.communicate(timeout=60)
    assert json.loads(said)["state"] == "in_force"
    assert json.loads(said)["changed"] == []
    town.wait_stored(60)
    everything(town)
