"""The page's interface as a process of its own, beside a running bridge with real sensors and a real broker."""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway import config
from gateway.clock import SystemClock
from simulators.run import running as sensors_running
from simulators.sensor import Sensor
from tests import servers
from tests.house import House, Steady

pytestmark = pytest.mark.live

LOOPBACK = "127.0.0.1"


class Flood:
    """A house of one gauge whose water a test raises, and the page beside it."""

    def __init__(self, folder: Path, house: House, water: Steady) -> None:
        self.folder, self.house, self.water = folder, house, water
        self.port = servers.free_port()
        self._web: subprocess.Popen[str] | None = None

    def serve(self, *options: str) -> subprocess.Popen[str]:
        """`suimon web run` as its operator starts it; `--demo`: whoever sits here is operator."""
        folder = str(self.house.configs["bridge"])
        command = [sys.executable, "-m", "gateway", "web", "run", "--config", folder, "--port", str(self.port)]
        self._web = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        servers.wait_for("the page", lambda: servers.http_ok(f"http://{LOOPBACK}:{self.port}/readyz"))
        return self._web

    def end(self) -> None:
        if self._web is not None and self._web.poll() is None:
            self._web.kill()
            self._web.communicate()

    def get(self, path: str) -> Any:
        return self.ask("GET", path)[1]

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """(status, document)."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", "X-Suimon": "1"}
        request = urllib.request.Request(f"http://{LOOPBACK}:{self.port}/api/v1/{path}", data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as r:
                return r.status, json.loads(r.read())
        except urllib.error.HTTPError as e:
            return e.code, json.loads(e.read())

    def station(self) -> Any:
        return self.get("board")["stations"][0]

    def rises(self, goal: float = 3.4) -> None:
        """As fast as a river may, so that nobody doubts it."""
        while self.water.level < goal:
            self.water.level = round(self.water.level + 0.05, 2)
            time.sleep(0.1)


class Stream:
    """One who listens: each board, with the time at which it came."""

    def __init__(self, port: int) -> None:
        self.boards: list[tuple[float, Any]] = []
        self.ended = threading.Event()
        self._connection = http.client.HTTPConnection(LOOPBACK, port, timeout=60)
        self._connection.request("GET", "/api/v1/events")
        self._answer = self._connection.getresponse()
        self._socket = self._answer.fp.raw._sock  # type: ignore[attr-defined] # to end what waits in it
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._connection.close()

    def _run(self) -> None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            for line in self._answer:
                if line.startswith(b"data: "):
                    self.boards.append((time.time(), json.loads(line[6:])))
        self.ended.set()


@pytest.fixture
def flood(tmp_path: Path) -> Iterator[Flood]:
    """Nothing runs yet but broker and sensor."""
    profile = config.load_profiles(Path(__file__).parent, [])["sim_river_gauge"]
    water = Steady(1.0)
    sensor = Sensor("gauge-1", profile, water)
    with (
        servers.running(servers.mosquitto(tmp_path / "broker")) as broker,
        sensors_running([sensor], SystemClock(), tmp_path / "served"),
    ):
        house = House(tmp_path, broker.port, [sensor], 0.05)
        found = Flood(tmp_path, house, water)
        try:
            yield found
        finally:
            found.end()
            house.stop_all()


def start(flood: Flood) -> None:
    flood.house.start("bridge")
    flood.house.start(flood.house.devices[0])
    flood.house.wait_stored(20)


def test_a_rank_reaches_who_listens_and_an_act_reaches_the_bridge(flood: Flood) -> None:
    """The board over HTTP; a rise is on the stream soon after its commit; an acknowledgement is the bridge's own."""
    start(flood)
    flood.serve("--demo")
    assert (flood.station()["condition"], flood.station()["rank"]) == ("fresh", 0)
    stream = Stream(flood.port)
    flood.rises()
    servers.wait_for("the rank on the stream", lambda: any(b["stations"][0]["rank"] >= 4 for _, b in stream.boards))
    came = next(at for at, b in stream.boards if b["stations"][0]["rank"] >= 4)
    ((decided_ms,),) = flood.house.sql("SELECT min(decided_ms) FROM transitions WHERE to_rank >= 4")
    print(f"from the decision to the stream: {came - int(str(decided_ms)) / 1000:.3f} s")
    (episode,) = flood.get("episodes")["episodes"]
    act = {"kind": "acknowledge", "tenant": "takamatsu", "episode": episode["episode"], "note": "seen"}
    status, said = flood.ask("POST", "acts", act)
    assert (status, said["state"]) == (200, "done"), said
    assert flood.house.sql("SELECT kind, state, asked_by FROM requests") == [("alert.acknowledge", "done", "demo")]
    servers.wait_for("it on the stream", lambda: stream.boards[-1][1]["stations"][0]["acknowledged"])
    assert flood.ask("POST", "acts", act | {"episode": "none"})[0] == 409
    stream.close()


def test_the_page_outlives_the_bridge_and_ends_when_it_is_told(flood: Flood) -> None:
    """Without a bridge it shows what it knows, grown old, and does nothing; SIGTERM ends it with streams open; started
    again it has the same address; a second one on it is told so."""
    start(flood)
    web = flood.serve("--demo")
    assert flood.get("board")["bridge"]["running"] is True
    assert flood.house.stop("bridge") == 0
    servers.wait_for("the word", lambda: flood.get("board")["bridge"]["running"] is False)
    status, said = flood.ask("POST", "acts", {"kind": "unmute", "tenant": "takamatsu", "station": "gauge-1"})
    assert (status, said["code"]) == (503, "no_bridge")
    assert flood.house.sql("SELECT count(*) FROM requests") == [(0,)]
    servers.wait_for("the silence", lambda: flood.station()["condition"] in ("late", "silent"))

    streams = [Stream(flood.port) for _ in range(3)]
    servers.wait_for("their boards", lambda: all(s.boards for s in streams))
    web.send_signal(signal.SIGTERM)
    _, told = web.communicate(timeout=30)
    assert (web.returncode, "Traceback" in told) == (0, False), told
    assert all(s.ended.wait(10) for s in streams)

    flood.serve("--demo")
    assert flood.station()["station"] == "gauge-1"
    folder = str(flood.house.configs["bridge"])
    command = [sys.executable, "-m", "gateway", "web", "run", "--config", folder, "--port", str(flood.port)]
    second = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert second.returncode == 4
    assert f"cannot serve the page at 127.0.0.1:{flood.port}: another process has it" in second.stderr


def test_an_edit_is_shown_once_the_bridge_judges_by_it(flood: Flood) -> None:
    """Between the edit and `suimon bridge reload` the page shows the thresholds of the alarm, and says that there is an
    edit; a stream tells at once when it is in force."""
    start(flood)
    flood.serve("--demo")
    stream = Stream(flood.port)
    folder = flood.house.configs["bridge"]
    path = folder / "stations.yaml"
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    levels = document["stations"]["gauge-1"]["channels"]["water_level"]["thresholds"]
    was = danger(flood)
    levels["danger"]["value"] = f"{was + 1:g} m"
    path.write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    servers.wait_for("the word of it", lambda: stream.boards[-1][1]["configuration"]["edited"])
    assert danger(flood) == was
    command = [sys.executable, "-m", "gateway", "bridge", "reload", "--config", str(folder)]
    subprocess.run(command, capture_output=True, timeout=60, check=True)
    servers.wait_for("it in force", lambda: not stream.boards[-1][1]["configuration"]["edited"])
    assert danger(flood) == was + 1
    stream.close()


def danger(flood: Flood) -> float:
    (channel,) = [x for x in flood.get("stations/takamatsu/gauge-1")["channels"] if x["channel"] == "water_level"]
    return next(float(x["value"]) for x in channel["thresholds"] if x["level"] == "danger")


def test_the_page_while_influxdb_is_down(flood: Flood) -> None:
    """A series has what the store has; nothing else knows that InfluxDB is missing but the health of the house."""
    path = flood.house.configs["bridge"] / "bridge.yaml"
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    document["influx"] = {"api": "v1", "url": f"http://127.0.0.1:{servers.free_port()}", "database": "suimon"}
    path.write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    start(flood)
    flood.serve("--demo")
    series = flood.get("stations/takamatsu/gauge-1/channels/water_level/series?points=4000")
    assert series["points"]
    assert {p[1] for p in series["points"]} == {1.0}
    assert flood.get("latest")["latest"]
    servers.wait_for("what waits for it", lambda: flood.get("health")["influx"]["behind"] > 0)
    assert flood.get("health")["bridge"]["running"] is True


def test_who_listens_to_nothing_costs_nothing(flood: Flood) -> None:
    """While nothing happens nobody is told anything, but how old all has become."""
    start(flood)
    flood.house.stop(flood.house.devices[0])
    flood.house.stop("bridge")
    flood.serve("--demo")
    streams = [Stream(flood.port) for _ in range(10)]
    servers.wait_for("their boards", lambda: all(s.boards for s in streams))
    time.sleep(6)
    assert {len(s.boards) for s in streams} <= {1, 2}
    for stream in streams:
        stream.close()
    assert flood.station()["station"] == "gauge-1"
