"""A real bridge process and those who watch it: its window, its supervisor, its watcher outside."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.publish
import pytest

from gateway import wire
from tests import readme, servers, world
from tests.world import Reply, http_server

pytestmark = pytest.mark.live
TENANT, DEVICE = "takamatsu", "kasuga-01"


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as e:
        with e:
            return e.code, e.read().decode()
    except OSError:
        return 0, ""


@contextlib.contextmanager
def bridge(folder: Path, broker_port: int, more: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    config = readme.write_configuration(folder)
    path = config / "bridge.yaml"
    path.write_text(path.read_text().replace("port: 1883", f"port: {broker_port}") + more)
    command = [sys.executable, "-m", "gateway", "bridge", "run", "--config", str(config)]
    with (
        (folder / "bridge.log").open("wb") as log,
        subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | environment) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


def test_the_window_of_a_running_bridge(tmp_path: Path) -> None:
    """Alive at once, ready when it has a broker and no longer when it has none, and its numbers move."""
    port = servers.free_port()
    broker = servers.mosquitto(tmp_path / "broker")
    with bridge(tmp_path, broker.port, f"\nwatch: {{port: {port}}}\n"):
        url = f"http://127.0.0.1:{port}"
        servers.wait_for("a living bridge", lambda: get(f"{url}/healthz")[0] == 200)
        status, body = get(f"{url}/readyz")
        assert (status, json.loads(body)["checks"]["live"]) == (503, "not subscribed at the broker")
        with servers.running(broker):
            servers.wait_for("a ready bridge", lambda: get(f"{url}/readyz")[0] == 200, 90)
            pack = world.pack(world.sample(1, 1.0, station="kasuga-bridge"))
            topic = wire.topic(TENANT, DEVICE, "data")
            paho.mqtt.publish.single(topic, pack, qos=1, hostname="127.0.0.1", port=broker.port)
            servers.wait_for("a sample", lambda: "suimon_samples_accepted_total 1.0" in get(f"{url}/metrics")[1])
        servers.wait_for("an unready bridge", lambda: get(f"{url}/readyz")[0] == 503)
        assert get(f"{url}/healthz")[0] == 200


def test_a_supervisor_hears_ready_and_life_and_the_end(tmp_path: Path) -> None:
    """READY once it works, also without a broker; WATCHDOG while it lives and none while it hangs; STOPPING."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(str(tmp_path / "notify"))
        supervisor.settimeout(30)

        def heard() -> str:
            return supervisor.recv(4096).decode()

        surroundings = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "2000000"}
        with bridge(tmp_path, servers.free_port(), "", **surroundings) as process:
            assert heard() == "READY=1\nSTATUS=1 station"
            while heard() != "WATCHDOG=1":
                pass
            process.send_signal(signal.SIGSTOP)
            supervisor.settimeout(0.2)
            with contextlib.suppress(TimeoutError):
                while heard():
                    pass
            supervisor.settimeout(2.5)
            with pytest.raises(TimeoutError):
                heard()
            process.send_signal(signal.SIGCONT)
            supervisor.settimeout(30)
            assert heard() == "WATCHDOG=1"
            process.send_signal(signal.SIGTERM)
            while heard() != "STOPPING=1":
                pass
            assert process.wait(30) == 0


def test_a_watcher_outside_hears_of_readings_only(tmp_path: Path) -> None:
    """A bridge that runs and receives nothing gives no sign; one committed sample does."""
    with (
        servers.running(servers.mosquitto(tmp_path / "broker")) as broker,
        http_server(lambda _: Reply(200)) as watcher,
        bridge(tmp_path, broker.port, f'\nheartbeat: {{url: "{watcher.url}/ping", every: 1s}}\n'),
    ):
        log = tmp_path / "bridge.log"
        servers.wait_for("a connection", lambda: "connected to MQTT broker" in log.read_text())
        assert watcher.requests == []
        topic = wire.topic(TENANT, DEVICE, "data")

        def sign() -> bool:
            pack = world.pack(world.sample(1, 1.0, station="kasuga-bridge"))
            paho.mqtt.publish.single(topic, pack, qos=1, hostname="127.0.0.1", port=broker.port)
            return bool(watcher.requests)

        servers.wait_for("a sign", sign, every_s=0.5)
        assert watcher.requests[0].path == "/ping"
