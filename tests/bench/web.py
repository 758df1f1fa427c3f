"""The page beside a bridge that takes 1,000 readings a second of 1,000 stations: how long a look at all of them takes,
how long a hydrograph of 30 days of one station after the other, how soon a rank is with those who listen and on a
screen, and what 50 of them cost. The listeners are a process of their own:

    python -m tests.bench.web PORT LISTENERS SECONDS     prints when each station was first heard above its level
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import sqlite3
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import yaml

from gateway import pastfile, pastrows
from gateway.bridge.store import Store
from gateway.instants import iso
from gateway.pastfile import PastFile
from gateway.pastrows import Past
from tests import servers
from tests.bench import throughput

DAYS, MINUTE_MS = 30, 60_000
LOOKED = 40  # stations with a month of readings, each looked at once: nobody's second look
COLD = LOOKED  # one more, which the page has not packed when somebody looks
BETWEEN = 50  # rows between two of a channel that is looked at: each stands in a page of its own
CROSSING = 20
LISTENERS = 50
POINTS = 1000  # as wide as a screen
WARM_S = 6.0
LOG_MB = 16.8  # journal_size_limit of the store
_ROW = """INSERT INTO observations (channel_id, observed_ms, received_ms, log_id, seq, record, raw, value, flag, tests,
 fault, clk, device) VALUES (?,?,?,NULL,NULL,0,NULL,?,1,NULL,NULL,'synced','d')"""


@dataclass(slots=True)
class Result:
    """Times in milliseconds and, from decision to stream, in seconds."""

    readings_per_s: float = 0.0
    latest_ms: list[float] = field(default_factory=list)
    board_ms: list[float] = field(default_factory=list)
    series_ms: list[float] = field(default_factory=list)
    cold_ms: list[float] = field(default_factory=list)
    series_rows: int = 0
    stored: int = 0
    sent: int = 0
    listeners: int = 0
    heard: list[float] = field(default_factory=list)
    painted: list[float] = field(default_factory=list)
    screen_share: float = 0.0
    web_mb: float = 0.0
    web_cpu_share: float = 0.0
    log_mb: float = 0.0


def measure(folder: Path, stations: int, seconds: int, per_second: int) -> Result:
    """What the interface gives to one who looks and to those who listen."""
    found = Result()
    began_ms = _fill(folder / "store.db", stations)
    _pack(folder)
    with _running(folder, stations, seconds, per_second, found) as (web, port, sender):
        hearing = [sys.executable, "-m", "tests.bench.web", str(port), str(LISTENERS), str(seconds + 5)]
        with (
            subprocess.Popen(hearing, stdout=-1, text=True) as ears,
            _watched(folder / "store.db-wal", web, found),
        ):
            time.sleep(WARM_S)
            cpu = throughput.usage(web)[0]
            _look(port, began_ms, found, time.monotonic() + seconds - WARM_S - 2)
            found.web_cpu_share = (throughput.usage(web)[0] - cpu) / (seconds - WARM_S - 2)
            sent = json.loads(sender.communicate(timeout=120)[0])
            heard = json.loads(ears.communicate(timeout=120)[0])
        _finish(folder, found, sent, heard)
    return found


def on_screen(folder: Path, stations: int, seconds: int, per_second: int) -> Result:
    """What a person sees: one browser that shows all stations."""
    found = Result()
    Store(folder / "store.db").close()
    with _running(folder, stations, seconds, per_second, found) as (_, port, sender):
        watching = [sys.executable, "-m", "tests.bench.screen", str(port), str(seconds)]
        with subprocess.Popen(watching, stdout=-1, text=True) as eyes:
            sender.communicate(timeout=120)
            seen = json.loads(eyes.communicate(timeout=120)[0])
        found.painted = [
            seen["painted"][f"bench/{s}"] - at for s, at in _decided(folder) if f"bench/{s}" in seen["painted"]
        ]
        found.screen_share = seen["busy"]
        if seen["complaints"]:
            raise RuntimeError(f"the page complains: {seen['complaints'][:3]}")
    return found


@contextlib.contextmanager
def _running(
    folder: Path, stations: int, seconds: int, per_second: int, found: Result
) -> Iterator[tuple[int, int, subprocess.Popen[str]]]:
    """Broker, bridge, page and the sender; (the page's process, its port, the sender)."""
    with servers.running(servers.mosquitto(folder / "broker", throughput.LIMITS)) as broker:
        config, port = _write_config(folder, broker.port, stations), servers.free_port()
        run = [sys.executable, "-m", "gateway"]
        log, said = folder / "bridge.log", folder / "web.log"
        with (
            log.open("wb") as out,
            said.open("wb") as page,
            subprocess.Popen([*run, "bridge", "run", "--config", str(config)], stdout=out, stderr=out) as bridge,
            subprocess.Popen(
                [*run, "web", "run", "--demo", "--config", str(config), "--port", str(port)], stdout=page, stderr=page
            ) as web,
        ):
            try:
                servers.wait_for("the bridge's sessions", lambda: "connected to MQTT broker" in log.read_text(), 120)
                servers.wait_for("the page", lambda: servers.http_ok(f"http://127.0.0.1:{port}/readyz"))
                numbers = [str(n) for n in (broker.port, stations, seconds, per_second, CROSSING)]
                sending = [sys.executable, "-m", "tests.bench.alarm", *numbers]
                with subprocess.Popen(sending, stdout=-1, text=True) as sender:
                    yield web.pid, port, sender
            finally:
                web.terminate()
                bridge.terminate()


def _decided(folder: Path) -> list[tuple[str, float]]:
    """Each station that crossed, and when the bridge decided so, before its commit."""
    with contextlib.closing(sqlite3.connect(f"file:{folder}/store.db?mode=ro", uri=True)) as db:
        sql = "SELECT station, min(decided_ms) FROM transitions WHERE to_rank >= 4 GROUP BY station"
        return [(station, at_ms / 1000) for station, at_ms in db.execute(sql)]


def _finish(folder: Path, found: Result, sent: Any, heard: Any) -> None:
    found.readings_per_s, found.sent = sent["readings"] / sent["took_s"], sent["readings"]
    live = "SELECT count(*) FROM observations WHERE seq IS NOT NULL"
    with contextlib.suppress(Exception):
        servers.wait_for("every reading", lambda: throughput.look(folder, live) >= found.sent, 60, 0.5)
    found.stored, found.listeners = throughput.look(folder, live), heard["listeners"]
    found.heard = [heard["first"][s] - at for s, at in _decided(folder) if s in heard["first"]]


def _look(port: int, began_ms: int, found: Result, until: float) -> None:
    """Latest values, the board and the hydrograph of another station in turn, over one connection."""
    to = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    span = f"from={iso(began_ms)}&to={iso(began_ms + DAYS * 86_400_000)}&points={POINTS}"

    def hydrograph(n: int, times: list[float]) -> None:
        body = _asked(to, f"stations/bench/s{n}/channels/water_level/series?{span}", times)
        found.series_rows = len(json.loads(body)["points"])

    hydrograph(COLD, found.cold_ms)
    while time.monotonic() < until:
        _asked(to, "latest", found.latest_ms)
        _asked(to, "board", found.board_ms)
        if len(found.series_ms) < LOOKED:
            hydrograph(len(found.series_ms), found.series_ms)
    to.close()


def _asked(to: http.client.HTTPConnection, path: str, times: list[float]) -> bytes:
    began = time.monotonic()
    to.request("GET", f"/api/v1/{path}")
    answer = to.getresponse()
    body = answer.read()
    times.append((time.monotonic() - began) * 1000)
    if answer.status != 200:
        raise RuntimeError(f"{path}: {answer.status} {body[:200]!r}")
    time.sleep(0.15)
    return body


@contextlib.contextmanager
def _watched(log: Path, web: int, found: Result) -> Any:
    """The write-ahead log and the page's process at their largest while all listen. What a process takes for a moment
    before it serves (64 MB of the hash of passwords) is not of the listeners."""
    over = threading.Event()

    def run() -> None:
        while not over.wait(0.05):
            with contextlib.suppress(FileNotFoundError):
                found.log_mb = max(found.log_mb, log.stat().st_size / 1e6)
            status = Path(f"/proc/{web}/status").read_text()
            found.web_mb = max(found.web_mb, int(status.partition("VmRSS:")[2].split()[0]) / 1000)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _write_config(folder: Path, port: int, stations: int) -> Path:
    config = throughput.write_config(folder, port)
    document = yaml.safe_load((config / "stations.yaml").read_text(encoding="utf-8"))
    (one,) = document["stations"].values()
    level = {"value": "5 m", "authority": "市独自", "basis": "市の目安", "source": "bench"}
    one["channels"]["water_level"]["thresholds"] = {"danger": level}
    document["stations"] = {
        f"s{i}": one | {"device": f"d{i}", "name": f"s{i}", "river": f"river {i}"} for i in range(stations)
    }
    (config / "stations.yaml").write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    bridge = yaml.safe_load((config / "bridge.yaml").read_text(encoding="utf-8"))
    bridge |= {"simulation": True, "clock": {"trust": "always"}}  # whoever sits here is operator
    (config / "bridge.yaml").write_text(yaml.safe_dump(bridge, allow_unicode=True), encoding="utf-8")
    (config / "web.yaml").write_text("version: 1\nmap: {tiles: false}\n", encoding="utf-8")  # no other host is asked
    return config


def _fill(path: Path, stations: int) -> int:
    """A month of readings before now, a row a minute of each station that is looked at; their beginning in ms."""
    Store(path).close()
    began_ms = time.time_ns() // 1_000_000 - DAYS * 86_400_000 - 3_600_000

    def all_of_them() -> Any:
        other = 0
        for n in range(DAYS * 1440):
            at = began_ms + n * MINUTE_MS
            for channel in range(1, LOOKED + 2):
                yield channel, at, at, 1 + (n + channel) % 1000 / 1000
            for _ in range(BETWEEN - LOOKED):
                other += 1
                yield LOOKED + 2 + other % (stations - LOOKED - 1), began_ms + other * 1000, at, 1.0

    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA synchronous = OFF")
        db.execute("BEGIN")
        channels = [(i + 1, "bench", f"s{i}", "water_level", "water_level") for i in range(stations)]
        db.executemany("INSERT INTO channels (id, tenant, station, channel, quantity) VALUES (?,?,?,?,?)", channels)
        db.executemany(_ROW, all_of_them())
        db.execute("COMMIT")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return began_ms


def _pack(folder: Path) -> None:
    """As a page has packed them that is up for an hour."""
    past = Past(file=PastFile(folder / pastfile.NAME))
    today = time.time_ns() // 1_000_000 // pastrows.DAY_MS
    for channel in range(1, LOOKED + 1):
        for _ in past.ahead(folder / "store.db", channel, today - DAYS - 1, today):
            pass
    past.close()


# --- who listens -----------------------------------------------------------------------------------------------------


class Station(msgspec.Struct):
    station: str
    rank: int
    unconfirmed: int


class Board(msgspec.Struct):
    stations: list[Station]


async def _listens(port: int, first: dict[str, float] | None, lines: list[int]) -> None:
    """One client; `first` is filled with the time at which a station was first heard at rank 4 or above."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=32_000_000)
    writer.write(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    decoder, waiting = msgspec.json.Decoder(Board), bytearray()
    while size := int(await reader.readline(), 16):  # chunked
        waiting += (await reader.readexactly(size + 2))[:-2]
        if not waiting.endswith(b"\n\n"):
            continue
        event, _, body = bytes(waiting).partition(b"data: ")
        waiting.clear()
        lines[0] += b"event: board" in event
        if first is not None and body:
            now = time.time()
            for x in decoder.decode(body).stations:
                if max(x.rank, x.unconfirmed) >= 4:
                    first.setdefault(x.station, now)


async def _listen(port: int, listeners: int, seconds: int) -> None:
    first: dict[str, float] = {}
    counts = [[0] for _ in range(listeners)]
    tasks = [asyncio.create_task(_listens(port, first if n == 0 else None, counts[n])) for n in range(listeners)]
    await asyncio.sleep(seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    print(json.dumps({"first": first, "listeners": sum(n > 1 for (n,) in counts)}))


def median(values: list[float]) -> float:
    return statistics.median(values)


if __name__ == "__main__":
    asyncio.run(_listen(*(int(word) for word in sys.argv[1:])))
