"""A real bridge process and a context broker that enforces Orion's rules: the present arrives through outages, kills
and lost stores, and nothing older ever goes over it."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from gateway import storefile
from gateway.clock import SystemClock
from gateway.errors import Unavailable
from gateway.instants import iso
from simulators.contextbroker import ContextBroker
from tests import servers, world
from tests.live.test_bridge_live import Device
from tests.servers import Server, free_port, http_ok, wait_for
from tests.test_orion import never_older
from tests.world import DEVICE, STATION, TENANT

pytestmark = pytest.mark.live

OTHER = "harbour"
SERVICE, SERVICE_PATH = "takamatsu_city", "/flood"
NOW = SystemClock().now_ms


def station(name: str) -> dict[str, object]:
    level = {"interval": "60s", "span": ["-1 m", "15 m"], "thresholds": {
        "danger": {"value": "5 m", "authority": "市独自", "basis": "市の目安", "source": "test"}}}  # fmt: skip
    return {
        "name": f"春日<{name}>", "position": {"latitude": 34.3, "longitude": 134.0}, "datum": "T.P.",
        "gauge_zero": "0 m", "device": DEVICE, "channels": {"water_level": level},
    }  # fmt: skip


class Bridge:
    """A process with a folder of its own."""

    def __init__(self, folder: Path, port: int, url: str) -> None:
        folder.mkdir()
        self.folder, self.store, self.watch = folder, folder / "store.db", free_port()
        orion = {"url": url, "service": SERVICE, "service_path": SERVICE_PATH, "every": "1s", "timeout": "5s"}
        documents = {
            "stations.yaml": {
                "version": 1, "tenant": TENANT, "stations": {name: station(name) for name in (STATION, OTHER)},
            },
            "bridge.yaml": {
                "version": 1, "broker": {"host": "127.0.0.1", "port": port}, "clock": {"trust": "always"},
                "store": {"path": "store.db"}, "watch": {"port": self.watch}, "orion": orion,
            },
        }  # fmt: skip
        for name, document in documents.items():
            (folder / name).write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "gateway", "bridge", "run", "--config", str(self.folder)]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)

    def ready(self) -> None:
        """What is published from now on has a session that waits for it."""
        wait_for("a ready bridge", lambda: http_ok(f"http://127.0.0.1:{self.watch}/readyz"), 60)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)

    def stored(self) -> int:
        with contextlib.suppress(Unavailable):  # not made yet
            return int(storefile.rows(self.store, "SELECT count(*) FROM observations")[0][0])
        return 0

    def metric(self, name: str) -> float:
        """0 also while nobody answers."""
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{self.watch}/metrics") as answer:
            for line in answer.read().decode().splitlines():
                if line.startswith(f"{name} "):
                    return float(line.rpartition(" ")[2])
        return 0.0


@pytest.fixture
def mqtt(tmp_path: Path) -> Iterator[Server]:
    with servers.running(servers.mosquitto(tmp_path / "broker")) as server:
        yield server


@pytest.fixture
def there() -> Iterator[ContextBroker]:
    found = ContextBroker()
    yield found
    found.stop()


@pytest.fixture
def device(mqtt: Server) -> Iterator[Device]:
    found = Device(mqtt.port)
    yield found
    found.end()


@pytest.fixture
def bridge(tmp_path: Path, mqtt: Server, there: ContextBroker) -> Iterator[Bridge]:
    found = Bridge(tmp_path / "config", mqtt.port, there.url)
    found.start()
    found.ready()
    yield found
    found.kill()


def say(device: Device, seq: int, value: float, at_ms: int, name: str = STATION) -> None:
    device.say("data", world.pack(world.sample(seq, value, at_ms, station=name)))


def stands(there: ContextBroker, name: str = STATION) -> tuple[object, object] | None:
    """(value, time) of the level that the broker has now."""
    entity = there.entities.get((SERVICE, SERVICE_PATH, f"urn:ngsi-ld:FloodMonitoring:{TENANT}:{name}"))
    level = (entity or {}).get("currentLevel")
    return (level["value"], level["metadata"]["TimeInstant"]["value"]) if level else None


def sent(there: ContextBroker, name: str = STATION) -> list[object]:
    """Every level that was ever written of a station, in order."""
    return [value for place, about, _, value in there.done if place[2].endswith(f":{name}") and about == "currentLevel"]


def test_the_present_arrives_after_an_outage_and_a_kill(bridge: Bridge, there: ContextBroker, device: Device) -> None:
    """While nobody listens there, readings arrive and the bridge is killed; of all of them the newest alone goes, and a
    backlog that comes later goes over nothing."""
    start = NOW() - 600_000
    say(device, 1, 1.25, start)
    wait_for("the first level", lambda: stands(there) == (1.25, iso(start)), 60)
    there.stop()
    for seq in range(2, 12):
        say(device, seq, 1.0 + seq / 10, start + seq * 10_000)
    wait_for("readings in the store", lambda: bridge.stored() == 11)
    bridge.kill()
    bridge.start()
    for seq in range(12, 22):
        say(device, seq, 1.0 + seq / 10, start + seq * 10_000)
    say(device, 22, 9.9, start + 5000)  # late: measured before all of them
    wait_for("what came after the kill", lambda: bridge.stored() == 22, 60)
    assert sent(there) == [1.25]
    there.start()
    wait_for("the present level", lambda: stands(there) == (3.1, iso(start + 210_000)), 90)
    assert sent(there) == [1.25, 3.1]
    device.say("backlog", world.pack(world.sample(23, 0.1, start + 6000), world.sample(24, 4.0, start + 220_000)))
    wait_for("what the backlog has of the present", lambda: stands(there) == (4.0, iso(start + 220_000)), 60)
    assert sent(there) == [1.25, 3.1, 4.0]
    never_older(there)


def test_what_is_refused_for_now_waits_and_goes_then(bridge: Bridge, there: ContextBroker, device: Device) -> None:
    """While it answers 503 a station is counted as waiting; then the level of then goes, and nothing is rejected."""
    start = NOW() - 600_000
    say(device, 1, 1.5, start)
    wait_for("the first level", lambda: stands(there) == (1.5, iso(start)), 60)
    there.mode = "503"
    say(device, 2, 1.6, start + 1000)
    wait_for("a station that waits", lambda: bridge.metric("suimon_orion_entities_waiting") == 1)
    say(device, 3, 1.7, start + 2000)
    wait_for("both in the store", lambda: bridge.stored() == 3)
    assert sent(there) == [1.5]
    there.mode = ""
    wait_for("the level of now", lambda: stands(there) == (1.7, iso(start + 2000)), 60)
    wait_for("nothing that waits", lambda: bridge.metric("suimon_orion_entities_waiting") == 0)
    assert sent(there) == [1.5, 1.7]
    assert bridge.metric("suimon_orion_rejected_total") == 0


def test_a_bridge_with_an_empty_store_writes_nothing_older(
    bridge: Bridge, there: ContextBroker, device: Device
) -> None:
    """What the broker has is learned from itself: a bridge whose store was lost, and whose device sends again from the
    beginning, goes over nothing newer."""
    start = NOW() - 600_000
    say(device, 1, 2.5, start + 60_000)
    wait_for("the first level", lambda: stands(there) == (2.5, iso(start + 60_000)), 60)
    bridge.kill()
    for path in bridge.folder.glob("store.db*"):
        path.unlink()
    bridge.start()
    say(device, 1, 0.5, start)
    wait_for("the old reading in the new store", lambda: bridge.stored() == 1, 60)
    say(device, 2, 0.7, start, OTHER)
    wait_for("a round that had both", lambda: stands(there, OTHER) == (0.7, iso(start)), 60)
    assert stands(there) == (2.5, iso(start + 60_000))
    never_older(there)
