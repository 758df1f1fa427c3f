"""From a crossing to the medium that takes its notification, at 2,000 readings a second, with InfluxDB down and one
medium hanging. The sender is a process of its own:

    python -m tests.bench.alarm PORT STATIONS SECONDS PER_SECOND [CROSSING]

prints the time at which each crossing was sent; without CROSSING, every station crosses once.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
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
from tests.world import HANG, HttpServer, Reply, Request, http_server

TENANT, CALM, DANGER = "bench", 1.0, 5.5
WARM_S = 5.0  # before the first crossing, so that imports and sessions cost none of them


@dataclass(frozen=True, slots=True)
class Result:
    """Seconds for each crossing: from the bridge's decision (before its commit), and from the sending."""

    readings_per_s: float
    crossings: int
    from_decided: list[float]
    from_sent: list[float]
    stored: int
    sent: int


def p99(values: list[float]) -> float:
    return sorted(values)[int(0.99 * (len(values) - 1))]


def measure(folder: Path, stations: int, seconds: int, per_second: int) -> Result:
    taken: dict[str, tuple[float, str]] = {}

    def take(request: Request) -> Reply:
        body = json.loads(request.body)
        taken.setdefault(body["station"], (time.time(), body["key"]))
        return Reply(204)

    with (
        servers.running(servers.mosquitto(folder / "broker", throughput.LIMITS)) as broker,
        http_server(take) as desk,
        http_server(lambda _: HANG) as hanging,
    ):
        config = _write_config(folder, broker.port, stations, desk, hanging)
        bridge = [sys.executable, "-m", "gateway", "bridge", "run", "--config", str(config)]
        log = folder / "bridge.log"
        with log.open("wb") as out, subprocess.Popen(bridge, stdout=out, stderr=out) as process:
            servers.wait_for("the bridge's sessions", lambda: "connected to MQTT broker" in log.read_text())
            numbers = [str(n) for n in (broker.port, stations, seconds, per_second)]
            sender = [sys.executable, "-m", "tests.bench.alarm", *numbers]
            done = subprocess.run(sender, capture_output=True, check=True, text=True)
            said = json.loads(done.stdout)
            servers.wait_for("every crossing", lambda: len(taken) >= stations, 60)
            servers.wait_for("every reading", lambda: throughput.stored(folder) >= said["readings"], 120, 0.5)
            process.terminate()
    with contextlib.closing(sqlite3.connect(folder / "store.db")) as db:
        decided = dict(db.execute("SELECT key, decided_ms FROM transitions"))
    return Result(
        said["readings"] / said["took_s"],
        len(taken),
        [at - decided[key] / 1000 for at, key in taken.values()],
        [at - said["crossed"][station] for station, (at, _) in taken.items()],
        throughput.stored(folder),
        said["readings"],
    )


def _write_config(folder: Path, port: int, stations: int, desk: HttpServer, hanging: HttpServer) -> Path:
    config = throughput.write_config(folder, port, f"http://127.0.0.1:{servers.free_port()}")  # nobody listens there
    document = yaml.safe_load((config / "stations.yaml").read_text(encoding="utf-8"))
    (one,) = document["stations"].values()
    level = {"value": "5 m", "authority": "市独自", "basis": "市の目安", "source": "bench"}
    one["channels"]["water_level"]["thresholds"] = {"danger": level}
    document["stations"] = {
        f"s{i}": one | {"device": f"d{i}", "name": f"s{i}", "river": f"river {i}"} for i in range(stations)
    }
    (config / "stations.yaml").write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    bridge = yaml.safe_load((config / "bridge.yaml").read_text(encoding="utf-8"))
    people = {"hanging": hanging, "desk": desk}
    bridge["notify"] = {"recipients": {n: {"medium": "webhook", "url": f"{s.url}/x"} for n, s in people.items()}}
    bridge["clock"] = {"trust": "always"}
    (config / "bridge.yaml").write_text(yaml.safe_dump(bridge, allow_unicode=True), encoding="utf-8")
    return config


def send(port: int, stations: int, seconds: int, per_second: int, crossing: int | None = None) -> None:
    """Each station in turn sends a reading; the first `crossing` cross once, spread over the time."""
    crossing = stations if crossing is None else crossing
    client = paho.Client(CallbackAPIVersion.VERSION2, "senders")
    client.max_inflight_messages_set(2000)
    client.max_queued_messages_set(0)
    client.connect("127.0.0.1", port)
    client.loop_start()
    left = threading.Semaphore(0)
    client.on_publish = lambda *_: left.release()
    for i in range(stations):
        said = wire.Statement("bench", [wire.StatementLog("bench", 1, 1)])
        client.publish(wire.topic(TENANT, f"d{i}", "spool"), wire.encode(said), 0, True)
    began, crossed, n = time.monotonic(), dict[str, float](), 0
    total = seconds * per_second
    warm = round(WARM_S * per_second)
    every = max(1, (total - warm) // max(1, crossing))
    while n < total:
        due = began + n / per_second
        if (wait := due - time.monotonic()) > 0:
            time.sleep(wait)
        i, turn = n % stations, n // stations
        at = time.time_ns() // 1_000_000
        over = i < crossing and n >= warm + i * every
        value = DANGER if over else CALM + turn % 10 / 100
        if over:
            crossed.setdefault(f"s{i}", time.time())
        reading = Reading(f"s{i}", "water_level", "m", value)
        pack = wire.encode_pack([Sample("bench", turn + 1, at, ClockState.SYNCED, (reading,))])
        client.publish(wire.topic(TENANT, f"d{i}", "data"), pack, 1)
        n += 1
    took_s = time.monotonic() - began
    for _ in range(total):
        left.acquire(timeout=60)
    client.disconnect()
    client.loop_stop()
    print(json.dumps({"readings": n, "took_s": took_s, "crossed": crossed}))


if __name__ == "__main__":
    send(*(int(word) for word in sys.argv[1:]))
