"""Two real bridges on one mosquitto: one has the place, the other goes and says so."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from gateway import wire
from gateway.cli.process import EXIT_DISPLACED
from tests import servers
from tests.live.test_bridge_live import Peer, retained
from tests.servers import Server, wait_for
from tests.world import DEVICE, STATION, TENANT

pytestmark = pytest.mark.live


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Server]:
    with servers.running(servers.mosquitto(tmp_path / "broker")) as server:
        yield server


class Bridge:
    """A process with a folder of its own."""

    def __init__(self, folder: Path, port: int, client_id: str) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        station = {
            "name": "春日橋", "position": {"latitude": 34.3, "longitude": 134.0}, "datum": "T.P.", "gauge_zero": "0 m",
            "device": DEVICE,
            "channels": {"water_level": {"interval": "60s", "span": ["-1 m", "15 m"], "thresholds": {
                "caution": {"value": "5 m", "authority": "市独自", "basis": "市の目安", "source": "test"}}}},
        }  # fmt: skip
        documents = {
            "stations.yaml": {"version": 1, "tenant": TENANT, "stations": {STATION: station}},
            "bridge.yaml": {
                "version": 1, "broker": {"host": "127.0.0.1", "port": port}, "client_id": client_id,
                "clock": {"trust": "always"},
            },
        }  # fmt: skip
        for name, document in documents.items():
            (folder / name).write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *options: str) -> Bridge:
        command = [sys.executable, "-m", "gateway", "bridge", "run", "--config", str(self.folder), *options]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        return self

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    @property
    def store_id(self) -> str:
        return self.log.split("store.db (", 1)[1].split(")", 1)[0]

    def ended(self) -> int:
        assert self.process is not None
        return self.process.wait(60)

    def stop(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        assert self.ended() == 0

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)


@pytest.fixture
def bridges(tmp_path: Path, broker: Server) -> Iterator[tuple[Bridge, Bridge]]:
    """Two, of different stores and different client ids."""
    pair = Bridge(tmp_path / "one", broker.port, "one"), Bridge(tmp_path / "two", broker.port, "two")
    yield pair
    for bridge in pair:
        if bridge.process is not None:
            with contextlib.suppress(ProcessLookupError):
                bridge.process.kill()
            bridge.process.wait(10)


def online(broker: Server) -> str | None:
    """The store that newcomers are told is online."""
    payload = retained(broker.port, wire.BRIDGE_STATUS)
    status = wire.decode_bridge_status(payload) if payload else None
    return status.store if status and status.state == "online" else None


def running(broker: Server, bridge: Bridge) -> None:
    wait_for("the bridge's place", lambda: "store.db (" in bridge.log and online(broker) == bridge.store_id)


def test_a_newcomer_stays_away(broker: Server, bridges: tuple[Bridge, Bridge]) -> None:
    """It ends with an exit code of its own and says why; the bridge that is there goes on and keeps its sessions."""
    one, two = bridges
    running(broker, one.start())
    assert two.start().ended() == EXIT_DISPLACED
    assert f"another bridge (store {one.store_id}) is running on this broker" in two.log
    assert "--takeover" in two.log
    assert one.process is not None
    assert one.process.poll() is None
    assert online(broker) == one.store_id
    assert "lost" not in one.log


@pytest.mark.parametrize("same_client_id", [False, True], ids=["another client id", "the same client id"])
def test_takeover(broker: Server, bridges: tuple[Bridge, Bridge], same_client_id: bool) -> None:
    """The one that was there ends, saying so, without speaking for the other: what is retained is the new store."""
    one, two = bridges
    if same_client_id:
        two = Bridge(two.folder, broker.port, "one")
    running(broker, one.start())
    two.start("--takeover")
    try:
        assert one.ended() == EXIT_DISPLACED
        running(broker, two)
        assert f"another bridge (store {two.store_id}) has taken over" in one.log
        assert two.process is not None
        assert two.process.poll() is None
    finally:
        two.kill()


def test_a_copied_store_is_seen(broker: Server, bridges: tuple[Bridge, Bridge]) -> None:
    """The same store on two machines has one name; the name of the run tells them apart."""
    one, two = bridges
    running(broker, one.start())
    one.stop()
    shutil.copy(one.folder / "store.db", two.folder / "store.db")
    running(broker, one.start())
    assert two.start().ended() == EXIT_DISPLACED
    two.start("--takeover")
    assert one.ended() == EXIT_DISPLACED
    assert one.store_id == two.store_id


def test_the_word_of_a_dead_bridge_keeps_nobody_away(broker: Server, bridges: tuple[Bridge, Bridge]) -> None:
    """A broker that was cut off together with its bridge still says "online"; nobody answers, and the place is free."""
    dead = wire.BridgeStatus("online", "gone", "gone", 2**60)
    peer = Peer(broker.port)
    peer.send(wire.BRIDGE_STATUS, wire.encode(dead), retain=True)
    peer.end()
    running(broker, bridges[0].start())


def test_a_bridge_is_online_again_at_once_after_a_kill(broker: Server, bridges: tuple[Bridge, Bridge]) -> None:
    """Its last will, the predecessor's word, and its own leave one word: that it is there."""
    one, _ = bridges
    for _ in range(3):
        running(broker, one.start())
        one.kill()
    running(broker, one.start())
    one.stop()
    assert online(broker) is None
