"""A real device, bridge and broker: what is told from afar is done, once, and answered; a configuration that cuts the
device off is taken back by the device itself, and no reading is lost by any of it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.cli.process import EXIT_CONFIG, EXIT_UNAVAILABLE
from gateway.config import load_profiles
from tests import servers
from tests.house import House, house

pytestmark = pytest.mark.live


@pytest.fixture
def town(tmp_path: Path) -> Iterator[House]:
    """One gauge, read every two seconds; the bridge and the agent run."""
    profile = load_profiles(tmp_path, [])["sim_river_gauge"]
    with (
        servers.running(servers.mosquitto(tmp_path / "broker")) as broker,
        house(tmp_path / "house", profile, broker, interval_s=2) as found,
    ):
        path = found.configs[found.devices[0]] / "edge.yaml"
        edge = yaml.safe_load(path.read_text(encoding="utf-8"))
        path.write_text(yaml.safe_dump(edge | {"remote": {"interval": {"min": "100ms"}}}), encoding="utf-8")
        for name in ("bridge", *found.devices):
            found.start(name)
        found.wait_stored(2, 90)
        yield found


def remote(town: House, command: str, *arguments: str) -> tuple[int, dict[str, Any]]:
    """Exit code and answer."""
    config = str(town.configs["bridge"])
    words = ["remote", command, town.devices[0], *arguments, "--json", "--config", config]
    done = subprocess.run(
        [sys.executable, "-m", "gateway", *words], capture_output=True, text=True, timeout=200, check=False
    )
    return done.returncode, json.loads(done.stdout) if done.stdout.strip() else {"said": done.stderr}


def new_config(town: House, folder: Path, **changes: object) -> str:
    """A folder with the device's edge.yaml, changed."""
    folder.mkdir()
    edge = yaml.safe_load((town.configs[town.devices[0]] / "edge.yaml").read_text(encoding="utf-8"))
    (folder / "edge.yaml").write_text(yaml.safe_dump(edge | changes), encoding="utf-8")
    return str(folder)


def test_what_a_device_is_told_is_done(town: House) -> None:
    """It reads now, reads more often for a while, tells how it is, and begins anew."""
    code, said = remote(town, "sample")
    assert (code, said["state"]) == (0, "done"), said
    (readings,) = said["data"]["sensors"].values()
    assert {r["channel"] for r in readings} >= {"water_level"}
    code, said = remote(town, "diagnostics")
    assert (code, said["data"]["clock"], any("log " in line for line in said["data"]["log"])) == (0, "synced", True)
    assert remote(town, "interval", "1ms")[1]["code"] == "out_of_limits"
    assert remote(town, "interval", "100ms", "--for", "1min")[1]["state"] == "done"
    town.wait_stored(40, 30)
    code, said = remote(town, "restart")
    assert (code, said["state"]) == (0, "done")
    log = town.log(town.devices[0])
    servers.wait_for("a new beginning", lambda: town.log(town.devices[0]).count("offline capacity") == 2)
    assert log.count("command ") >= 4
    town.wait_stored(2)
    town.settle()
    assert town.account().missing == 0


def test_a_configuration_is_tried_and_stands_or_falls(town: House, tmp_path: Path) -> None:
    """One in order is in force; one with a mistake is refused by the sender; one with another broker cuts the device
    off, which goes back by itself, tells so, and lost nothing."""
    (edge,) = [yaml.safe_load((town.configs[d] / "edge.yaml").read_text(encoding="utf-8")) for d in town.devices]
    sensors = {name: x | {"interval": "500ms"} for name, x in edge["sensors"].items()}
    code, said = remote(town, "config", new_config(town, tmp_path / "a", sensors=sensors), "--within", "60s")
    assert (code, said["state"], said["detail"]) == (0, "done", "in force"), said
    town.wait_stored(10)
    assert remote(town, "config", new_config(town, tmp_path / "b", sensors={}))[0] == EXIT_CONFIG
    away = edge["broker"] | {"port": servers.free_port()}
    code, said = remote(town, "config", new_config(town, tmp_path / "c", broker=away), "--within", "30s")
    assert (code, said.get("code")) == (EXIT_UNAVAILABLE, "rolled_back"), said
    assert town.log(town.devices[0]).count("offline capacity") == 4  # own, first push, second, back
    town.wait_stored(10)
    town.settle()
    assert town.account().missing == 0
