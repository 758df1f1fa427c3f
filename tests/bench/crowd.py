"""100 devices bring their backlog at once, as fast as the broker takes it, while one device goes on sampling: how long
from its reading to its receipt? The packs are made before; the flood has a process of its own.

    python -m tests.bench.crowd PORT DEVICES PACKS        the flood
"""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import paho.mqtt.client as paho
import yaml
from paho.mqtt.enums import CallbackAPIVersion

from gateway import wire
from gateway.model import ClockState, Reading, Sample
from tests import servers
from tests.bench import throughput

TENANT, LIVE = "bench", "d0"  # d0 samples; d1 and on bring backlog
PACK = 100
LIVE_EVERY_S = 0.1
BEFORE_MS = 30 * 86_400_000  # the backlog is a month old


@dataclass(frozen=True, slots=True)
class Result:
    """Waits from reading to receipt, in seconds, while the flood lasted."""

    stored: int
    flood_s: float
    waits: list[float]

    @property
    def p99_s(self) -> float:
        return sorted(self.waits)[int(0.99 * (len(self.waits) - 1))]


def measure(folder: Path, devices: int, packs: int) -> Result:
    with servers.running(servers.mosquitto(folder / "broker", throughput.LIMITS)) as broker:
        config = _write_config(folder, broker.port, devices)
        bridge = [sys.executable, "-m", "gateway", "bridge", "run", "--config", str(config)]
        log = folder / "bridge.log"
        with log.open("wb") as out, subprocess.Popen(bridge, stdout=out, stderr=out) as process:
            servers.wait_for("the bridge's sessions", lambda: "connected to MQTT broker" in log.read_text())
            live = _Live(broker.port)
            live.start()
            servers.wait_for("the first receipt", lambda: live.waits)
            live.waits.clear()
            began, goal = time.monotonic(), devices * packs * PACK
            flood = [sys.executable, "-m", "tests.bench.crowd", str(broker.port), str(devices), str(packs)]
            with subprocess.Popen(flood):
                servers.wait_for("the backlog", lambda: throughput.stored(folder) >= goal + live.sent, 600, 0.5)
            flood_s, waits = time.monotonic() - began, live.waits.copy()
            live.stop()
            process.terminate()
        return Result(throughput.stored(folder), flood_s, waits)


class _Live:
    """One device that reads every tenth of a second."""

    def __init__(self, port: int) -> None:
        self.waits: list[float] = []
        self.sent = 0
        self._read: dict[int, float] = {}
        self._stop = threading.Event()
        self._client = client = paho.Client(CallbackAPIVersion.VERSION2, "live")
        client.on_message = self._receipt
        client.connect("127.0.0.1", port)
        client.subscribe(wire.topic(TENANT, LIVE, "receipt"), 1)
        client.loop_start()
        said = wire.Statement("live", [wire.StatementLog("live", 1, 1)])
        client.publish(wire.topic(TENANT, LIVE, "spool"), wire.encode(said), 1, True).wait_for_publish(30)
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()
        self._client.disconnect()
        self._client.loop_stop()

    def _run(self) -> None:
        while not self._stop.wait(LIVE_EVERY_S):
            self.sent += 1
            self._read[self.sent] = time.monotonic()
            pack = wire.encode_pack([_sample("live", self.sent, "s0", time.time_ns() // 1_000_000)])
            self._client.publish(wire.topic(TENANT, LIVE, "data"), pack, 1)

    def _receipt(self, _c: object, _u: object, m: paho.MQTTMessage) -> None:
        now = time.monotonic()
        for entry in wire.decode_receipt(m.payload).logs:
            for seq in [s for s in self._read if s <= entry.through]:
                self.waits.append(now - self._read.pop(seq))


def _sample(log: str, seq: int, station: str, at_ms: int) -> Sample:
    return Sample(log, seq, at_ms, ClockState.SYNCED, (Reading(station, "water_level", "m", 1.5),))


def _write_config(folder: Path, port: int, devices: int) -> Path:
    config = throughput.write_config(folder, port)
    document = yaml.safe_load((config / "stations.yaml").read_text(encoding="utf-8"))
    (one,) = document["stations"].values()
    document["stations"] = {f"s{i}": one | {"device": f"d{i}", "name": f"s{i}"} for i in range(devices + 1)}
    (config / "stations.yaml").write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    return config


def flood(port: int, devices: int, packs: int) -> None:
    """Every device's packs in turn, all of them given to the broker as fast as it takes them."""
    start = time.time_ns() // 1_000_000 - BEFORE_MS
    made = [
        (wire.topic(TENANT, f"d{d}", "backlog"), wire.encode_pack(
            [_sample(f"log{d}", s, f"s{d}", start + s * 1000) for s in range(p * PACK + 1, (p + 1) * PACK + 1)]))
        for p, d in itertools.product(range(packs), range(1, devices + 1))
    ]  # fmt: skip
    client = paho.Client(CallbackAPIVersion.VERSION2, "flood")
    client.max_inflight_messages_set(500)
    client.max_queued_messages_set(0)
    client.connect("127.0.0.1", port)
    client.loop_start()
    for info in [client.publish(topic, payload, 1) for topic, payload in made]:
        info.wait_for_publish(600)
    client.disconnect()
    client.loop_stop()


if __name__ == "__main__":
    flood(*(int(word) for word in sys.argv[1:]))
