"""Real processes on a real mosquitto, and a context broker on loopback that keeps Orion's rules: outages of the one,
kills of the other, and never an older value over a newer one."""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from gateway.config import load_profiles
from gateway.instants import parse
from simulators.contextbroker import ContextBroker
from tests import servers
from tests.house import House, house
from tests.servers import free_port, wait_for
from tests.test_orion import never_older

pytestmark = pytest.mark.live

NEWEST = (
    "SELECT max(observed_ms) FROM observations JOIN channels c ON c.id = channel_id WHERE c.channel = 'water_level'"
)


@pytest.fixture
def platform() -> Iterator[ContextBroker]:
    found = ContextBroker()
    yield found
    found.stop()


@pytest.fixture
def town(tmp_path: Path, platform: ContextBroker) -> Iterator[tuple[House, int]]:
    """Two gauges, whose bridge pushes once a second; nothing of it runs yet. And the port that it is watched at."""
    profile, port = load_profiles(tmp_path, [])["sim_river_gauge"], free_port()
    with (
        servers.running(servers.mosquitto(tmp_path / "broker")) as broker,
        house(tmp_path / "house", profile, broker, devices=2) as found,
    ):
        path = found.configs["bridge"] / "bridge.yaml"
        stated = yaml.safe_load(path.read_text(encoding="utf-8"))
        stated["orion"] = {"url": platform.url, "service": "city", "service_path": "/flood", "every": "1s"}
        stated["watch"] = {"port": port}
        path.write_text(yaml.safe_dump(stated), encoding="utf-8")
        for name in ("bridge", *found.devices):
            found.start(name)
        yield found, port


def level_ms(platform: ContextBroker) -> int:
    """The oldest of the two gauges' newest level there; 0 until both are."""
    levels = [e for e in list(platform.entities.values()) if "currentLevel" in e]
    times = [parse(e["currentLevel"]["metadata"]["TimeInstant"]["value"]) for e in levels]
    return min(times) if len(times) == 2 else 0


def metrics(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return str(answer.read().decode())


def test_the_platform_has_the_present_through_outages_and_kills(
    town: tuple[House, int], platform: ContextBroker
) -> None:
    """Both stations arrive and follow; an outage of the platform stops nothing, and afterwards the values of then are
    there; a killed bridge begins with what the platform has. At the end it has what the store has."""
    found, port = town
    wait_for("both gauges at the platform", lambda: level_ms(platform), 90)
    assert {place[:2] for place in platform.entities} == {("city", "/flood")}

    platform.stop()
    wait_for("the stations that wait", lambda: "suimon_orion_entities_waiting 2.0" in metrics(port), 60)
    found.wait_stored(40)
    before = level_ms(platform)
    platform.start()
    wait_for("the present after the outage", lambda: level_ms(platform) > before, 90)

    found.kill("bridge")
    before, done = level_ms(platform), len(platform.done)
    found.start("bridge")
    wait_for("the present after the kill", lambda: level_ms(platform) > before, 90)
    again = {name for _, name, *_ in platform.done[done:]}
    assert "currentLevel" in again
    assert not again & {"name", "location", "stationID", "dangerLevel"}, "what the platform has is not sent again"

    platform.mode = "swallow"
    found.wait_stored(40)
    platform.mode = ""
    found.settle()
    newest = int(str(found.sql(NEWEST)[0][0]))
    wait_for("the last value", lambda: newest - level_ms(platform) < 1000, 90)
    never_older(platform)
    assert 'suimon_orion_rejected_total{status="422"} 0.0' in metrics(port)
    assert "Traceback" not in found.log("bridge")


def test_what_leaves_the_configuration_leaves_the_platform(town: tuple[House, int], platform: ContextBroker) -> None:
    """A level that is internal from a reload on, and a station that is gone when a killed bridge begins again: the
    platform has neither any more, and the rest as it was."""
    found, _ = town
    wait_for("both gauges at the platform", lambda: level_ms(platform), 90)
    path = found.configs["bridge"] / "stations.yaml"
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    level = document["stations"]["gauge-1"]["channels"]["water_level"]
    level["internal"] = True
    level.pop("thresholds")
    path.write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    command = [sys.executable, "-m", "gateway", "bridge", "reload", "--config", str(path.parent)]
    subprocess.run(command, capture_output=True, timeout=60, check=True)

    def stations(attribute: str) -> set[str]:
        return {place[2].rpartition(":")[2] for place, x in list(platform.entities.items()) if attribute in x}

    wait_for("the level of one gone", lambda: stations("currentLevel") == {"gauge-2"}, 60)
    wait_for("what is left of it", lambda: stations("name") == {"gauge-1", "gauge-2"}, 60)
    found.kill("bridge")
    del document["stations"]["gauge-2"]
    path.write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    found.start("bridge")
    wait_for("the other gone", lambda: stations("name") == {"gauge-1"}, 90)
