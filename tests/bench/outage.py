"""InfluxDB is absent while millions of observations arrive in packs of backlog; then it comes, and gets them all.

What is measured is the bridge's memory meanwhile: it must stay low and flat, because everything that waits, waits in
the store. The sender keeps at most a stated number of observations ahead of the store, as a device with its window
does, so that the broker's memory is not what is measured.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from gateway import wire
from gateway.model import ClockState, Reading, Sample
from tests import servers
from tests.bench import throughput

PACK = 500
AHEAD = 500_000  # observations sent and not yet stored: a hundred devices with their windows full
LOOK_S = 0.5
LIMIT_S = 1800.0


@dataclass(slots=True)
class Result:
    stored: int = 0
    points: int = 0
    letters: int = 0
    arrive_s: float = 0.0
    drain_s: float = 0.0
    peak_mb: float = 0.0
    store_mb: float = 0.0
    rss_mb: list[float] = field(default_factory=list)  # every LOOK_S while observations arrive

    @property
    def growth_mb(self) -> float:
        """Mean of the last tenth less that of the third tenth: what still grows once everything is warm."""
        tenth = max(1, len(self.rss_mb) // 10)
        early, late = self.rss_mb[2 * tenth : 3 * tenth] or self.rss_mb, self.rss_mb[-tenth:]
        return sum(late) / len(late) - sum(early) / len(early)


def measure(folder: Path, observations: int) -> Result:
    """`observations` is rounded up to whole packs."""
    packs = -(-observations // PACK)
    absent = servers.influxdb(folder / "influx")
    url = f"http://127.0.0.1:{absent.port}"
    with servers.running(servers.mosquitto(folder / "broker", throughput.LIMITS)) as broker:
        config = throughput.write_config(folder, broker.port, url)
        command = [sys.executable, "-m", "gateway", "bridge", "run", "--config", str(config)]
        throughput.begin_session(command, folder)
        with (folder / "bridge.log").open("ab") as out, subprocess.Popen(command, stdout=out, stderr=out) as bridge:
            try:
                return _watch(bridge.pid, folder, broker.port, absent, url, packs)
            finally:
                bridge.terminate()
                bridge.wait(60)


def _watch(pid: int, folder: Path, port: int, influx: servers.Server, url: str, packs: int) -> Result:
    result, goal = Result(), packs * PACK
    begin = time.monotonic()
    sender = threading.Thread(target=_send, args=(port, packs, lambda: result.stored), daemon=True)
    sender.start()
    while result.stored < goal and time.monotonic() - begin < LIMIT_S:
        time.sleep(LOOK_S)
        result.stored = _stored(folder)
        result.rss_mb.append(_rss_mb(pid))
    result.arrive_s = time.monotonic() - begin
    begin = time.monotonic()
    with servers.running(influx):
        throughput.query(url, "suimon", 'CREATE DATABASE "suimon"', post=True)
        while result.points < goal and time.monotonic() - begin < LIMIT_S:
            time.sleep(4 * LOOK_S)
            with contextlib.suppress(OSError):  # counting millions takes it a while
                result.points = throughput.points(url, "suimon")
        result.drain_s = time.monotonic() - begin
        result.peak_mb = throughput.usage(pid)[1]
    result.letters = int(throughput.look(folder, "SELECT count(*) FROM dead_letters"))
    result.store_mb = (folder / "store.db").stat().st_size / 1e6
    return result


def _rss_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1000


def _stored(folder: Path) -> int:
    """From the ledger: counting millions of rows would load the disk that is measured."""
    return int(throughput.look(folder, "SELECT coalesce(sum(b - a + 1), 0) FROM ranges WHERE kind = 'stored'"))


def _send(port: int, packs: int, stored: object) -> None:
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="sender")
    client.max_inflight_messages_set(200)
    client.max_queued_messages_set(0)
    client.connect("127.0.0.1", port)
    client.loop_start()
    statement = wire.Statement("benchlog", [wire.StatementLog("benchlog", 1, 1)])
    client.publish(wire.topic("bench", "bench-edge", "spool"), msgspec.json.encode(statement), qos=1, retain=True)
    topic, start = wire.topic("bench", "bench-edge", "backlog"), round(time.time()) * 1000 - packs * PACK * 100
    last = client.publish("bench/begin", b"")
    for n in range(packs):
        while n * PACK - stored() > AHEAD:  # type: ignore[operator]
            time.sleep(LOOK_S / 10)
        samples = [
            Sample("benchlog", seq, start + seq * 100, ClockState.SYNCED,
                   (Reading("bench", "water_level", "m", value=1 + seq % 1000 / 1000),))
            for seq in range(n * PACK + 1, n * PACK + PACK + 1)
        ]  # fmt: skip
        last = client.publish(topic, wire.encode_pack(samples), qos=1)
    last.wait_for_publish(300)
    client.disconnect()
    client.loop_stop()
