"""50,000 messages of one reading, waiting in the broker, into InfluxDB: the bridge and the simplest peer in turn.

The messages are published before, to sessions that exist and are offline, so that the publisher costs neither of the
two any time. Time runs from the start of the process to the last point in InfluxDB, imports included.
"""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import msgspec
import paho.mqtt.client as paho
import yaml
from paho.mqtt.enums import CallbackAPIVersion

from gateway import wire
from gateway.model import ClockState, Reading, Sample
from tests import servers

TICKS = 100  # USER_HZ of Linux
LIMITS = "max_queued_messages 0\nmax_inflight_messages 200\nset_tcp_nodelay true"


@dataclass(frozen=True, slots=True)
class Result:
    stored: int
    points: int
    seconds: float
    cpu_s: float
    peak_mb: float
    messages: int

    @property
    def per_second(self) -> float:
        return self.messages / self.seconds

    @property
    def cpu_us(self) -> float:
        return self.cpu_s / self.messages * 1e6


def measure(folder: Path, messages: int) -> tuple[Result, Result]:
    """(peer, bridge)."""
    with (
        servers.running(servers.mosquitto(folder / "broker", LIMITS)) as broker,
        servers.running(servers.influxdb(folder / "influx")) as influx,
    ):
        url = f"http://127.0.0.1:{influx.port}"
        for database in ("peer", "suimon"):
            query(url, database, f'CREATE DATABASE "{database}"', post=True)
        config = write_config(folder, broker.port, url)
        peer = [sys.executable, "-m", "tests.bench.peer", str(broker.port), url]
        bridge = [sys.executable, "-m", "gateway", "bridge", "run", "--config", str(config)]
        subprocess.run([*peer, "0"], check=True)
        begin_session(bridge, folder)
        publish(broker.port, messages)
        peer_result = timed([*peer, str(messages)], messages, lambda: (0, points(url, "peer")))
        bridge_result = timed(bridge, messages, lambda: (stored(folder), points(url, "suimon")))
        return peer_result, bridge_result


def write_config(folder: Path, port: int, url: str | None = None) -> Path:
    """Of a bridge with one station; without `url`, without InfluxDB."""
    config = folder / "config"
    config.mkdir()
    station = {
        "name": "bench", "position": {"latitude": 34.3, "longitude": 134.0}, "datum": "T.P.", "gauge_zero": "0 m",
        "device": "bench-edge",
        "channels": {
            "water_level": {
                "interval": "60s", "span": ["-1 m", "15 m"],
                "thresholds": {
                    "caution": {"value": "5 m", "authority": "市独自", "basis": "市の目安", "source": "bench"},
                },
            },
        },
    }  # fmt: skip
    stations = {"version": 1, "tenant": "bench", "stations": {"bench": station}}
    bridge: dict[str, object] = {
        "version": 1,
        "store": {"path": str(folder / "store.db")},
        "broker": {"host": "127.0.0.1", "port": port},
    }
    if url is not None:
        bridge["influx"] = {"api": "v1", "url": url, "database": "suimon"}
    for name, document in (("stations.yaml", stations), ("bridge.yaml", bridge)):
        (config / name).write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    return config


def begin_session(bridge: list[str], folder: Path) -> None:
    """Let the bridge subscribe once, so that the broker keeps messages for it."""
    log = folder / "bridge.log"
    with log.open("wb") as out, subprocess.Popen(bridge, stdout=out, stderr=out) as process:
        servers.wait_for("the bridge's sessions", lambda: "connected to MQTT broker" in log.read_text())
        time.sleep(1.0)  # the backlog session connects with it and says nothing
        process.terminate()


def publish(port: int, messages: int) -> None:
    """One reading a message, QoS 1; returns when the broker has acknowledged all."""
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="publisher")
    client.max_inflight_messages_set(1000)
    left, done = messages, threading.Event()

    def on_publish(*_: object) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            done.set()

    client.on_publish = on_publish
    client.connect("127.0.0.1", port)
    client.loop_start()
    topic, start = wire.topic("bench", "bench-edge", "data"), round(time.time()) * 1000 - messages * 100
    statement = wire.Statement("benchlog", [wire.StatementLog("benchlog", 1, 1)])
    client.publish(wire.topic("bench", "bench-edge", "spool"), msgspec.json.encode(statement), qos=0, retain=True)
    for seq in range(1, messages + 1):
        reading = Reading("bench", "water_level", "m", value=1 + seq % 1000 / 1000)
        sample = Sample("benchlog", seq, start + seq * 100, ClockState.SYNCED, (reading,))
        client.publish(topic, wire.encode_pack([sample]), qos=1)
    if not done.wait(300):
        raise RuntimeError("the broker did not acknowledge all messages")
    client.disconnect()
    client.loop_stop()


def timed(command: list[str], messages: int, look: object) -> Result:
    """Run until every message is a point; wall time, CPU and peak memory of the process."""
    start = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        cpu_s = peak_mb = 0.0
        while time.monotonic() - start < 300:
            with contextlib.suppress(OSError, IndexError):
                cpu_s, peak_mb = usage(process.pid)
            counts = look()  # type: ignore[operator]
            if counts[1] >= messages:
                break
            time.sleep(0.1)
        seconds = time.monotonic() - start
        with contextlib.suppress(OSError, IndexError):
            cpu_s, peak_mb = usage(process.pid)
        process.terminate()
    return Result(*look(), seconds, cpu_s, peak_mb, messages)  # type: ignore[operator]


def usage(pid: int) -> tuple[float, float]:
    """(CPU seconds, peak resident MB) so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    status = Path(f"/proc/{pid}/status").read_text()
    peak_kb = int(status.partition("VmHWM:")[2].split()[0])
    return (int(fields[11]) + int(fields[12])) / TICKS, peak_kb / 1000


def stored(folder: Path) -> int:
    return look(folder, "SELECT count(*) FROM observations")


def look(folder: Path, sql: str) -> int:
    """One number of the store."""
    with contextlib.closing(sqlite3.connect(f"file:{folder}/store.db?mode=ro", uri=True)) as db:
        return int(db.execute(sql).fetchone()[0])


def points(url: str, database: str) -> int:
    answer = query(url, database, "SELECT count(value) FROM water_level")
    series = answer["results"][0].get("series")
    return int(series[0]["values"][0][1]) if series else 0


def query(
    url: str, database: str, text: str, post: bool = False
) -> dict[str, list[dict[str, list[dict[str, list[list[int]]]]]]]:
    fields = urllib.parse.urlencode({"db": database, "q": text})
    request = urllib.request.Request(f"{url}/query?{fields}", method="POST" if post else "GET")
    with urllib.request.urlopen(request, timeout=30) as r:
        decoded: dict[str, list[dict[str, list[dict[str, list[list[int]]]]]]] = msgspec.json.decode(r.read())
        return decoded
