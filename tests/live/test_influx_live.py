"""The drain and real databases: what is in the store is what stands in InfluxDB, whatever happened on the way."""

from __future__ import annotations

import contextlib
import json
import random
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway import settings, storefile
from gateway.bridge.influx import Drain, describe, line, writer_of
from gateway.clock import SystemClock
from gateway.errors import FaultCode
from gateway.model import DeadLetter, Flag, Observation
from tests import servers, world
from tests.servers import Server, wait_for
from tests.world import STATION, T0, TENANT, observation

pytestmark = pytest.mark.live

Field = float | int | str
Points = dict[tuple[str, str, int], dict[str, Field]]  # (measurement, channel, ms) -> fields
REGISTRY = world.registry(
    world.station(channels=[world.channel(), world.channel("air_temperature"), world.channel("battery_voltage")])
)


def rows(count: int) -> list[Observation]:
    """Three channels: decimals that no binary fraction holds, negatives, whole numbers, faults, every flag."""
    random_ = random.Random(7)
    faults = list(FaultCode)
    found = []
    for n in range(1, count // 3 + 1):
        level = None if n % 10 == 0 else round(random_.uniform(-2, 12), 3)
        flag = (
            Flag.MISSING if level is None else random_.choice([Flag.GOOD, Flag.NOT_EVALUATED, Flag.SUSPECT, Flag.FAIL])
        )
        fault = faults[n // 10 % len(faults)] if level is None else None
        raw = None if level is None else round(level * 1.1 + 0.1, 9)
        found.append(observation(n, level, raw=raw, flag=flag, fault=fault))
        found.append(observation(n, -(n % 400) / 10, channel="air_temperature", record=1))
        found.append(observation(n, float(n % 14), channel="battery_voltage", record=2))
    return found


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "store.db"
    world.add(path, rows(4500), REGISTRY)
    return path


def stored(store: Path, strings: bool = True) -> Points:
    """What should stand there: every row of the store, by SQL."""
    found: Points = {}
    for _, _, _, channel, quantity, at, received, raw, value, flag, fault, device in storefile.rows(
        store, storefile.POINTS, (0, 1_000_000)
    ):
        fields: dict[str, Any] = {"flag": flag, "received_at": received, "value": value, "raw": raw}
        if strings:
            fields |= {"device": device, "fault": fault}
        found[(quantity, channel, at)] = {k: v for k, v in fields.items() if v is not None}
    return found


# --- InfluxDB 1 ----------------------------------------------------------------------------------------------------


class Influx:
    """A server of InfluxDB 1.6 and one database."""

    def __init__(self, server: Server) -> None:
        self.server, self.url = server, f"http://127.0.0.1:{server.port}"

    def query(self, text: str) -> list[dict[str, Any]]:
        """POST, so that it may change something. The series of the first statement."""
        data = urllib.parse.urlencode({"q": text, "db": "floods", "epoch": "ms"}).encode()
        with urllib.request.urlopen(f"{self.url}/query", data, timeout=30) as answer:
            (result,) = json.load(answer)["results"]
        assert "error" not in result, result
        series: list[dict[str, Any]] = result.get("series", [])
        return series

    def write(self, text: str) -> None:
        urllib.request.urlopen(f"{self.url}/write?db=floods&precision=ms", text.encode(), timeout=30).close()

    def points(self) -> Points:
        """All there is, over all fields and tags; a point beside the known tags would fail the key."""
        found: Points = {}
        for series in self.query("SELECT * FROM /.*/"):
            for values in series["values"]:
                fields = {k: v for k, v in zip(series["columns"], values, strict=True) if v is not None}
                assert (fields.pop("tenant"), fields.pop("station")) == (TENANT, STATION)
                key = (series["name"], fields.pop("channel"), fields.pop("time"))
                assert key not in found
                found[key] = fields
        return found

    def types(self) -> dict[str, set[str]]:
        """field -> its types in all measurements."""
        found: dict[str, set[str]] = {}
        for series in self.query("SHOW FIELD KEYS"):
            for name, kind in series["values"]:
                found.setdefault(name, set()).add(kind)
        return found


@pytest.fixture
def influx(tmp_path: Path) -> Iterator[Influx]:
    with servers.running(servers.influxdb(tmp_path / "influx")) as server:
        found = Influx(server)
        found.query("CREATE DATABASE floods")
        yield found


class Bridge:
    """What the drain reports to."""

    def __init__(self) -> None:
        self.position, self.letters = 0, list[DeadLetter]()

    def progress(self, position: int, letters: list[DeadLetter]) -> None:
        self.position = position
        self.letters += letters


@contextlib.contextmanager
def draining(to: settings.Influx, store: Path, bridge: Bridge) -> Iterator[Drain]:
    drain = Drain(to, writer_of(to), store, bridge.progress, SystemClock().now_ms, backoff_s=(0.1,))
    drain.start()
    try:
        yield drain
    finally:
        drain.stop()


def drain_all(to: settings.Influx, store: Path) -> Bridge:
    """From where the store's cursor stands, which nobody moves here: from the beginning."""
    bridge = Bridge()
    with draining(to, store, bridge):
        wait_for("the drain at its end", lambda: bridge.position == 4500, 120)
    return bridge


def v1(influx: Influx, **changes: Any) -> settings.Influx:
    return replace(settings.Influx("v1", influx.url, "floods", batch=1000), **changes)


def test_every_point_equals_the_store_also_when_sent_twice(influx: Influx, store: Path) -> None:
    """Values to the last bit, times to the millisecond, faults, flags and negatives: all rows and nothing else, with
    the frozen types; sent a second time, they are the same points."""
    assert drain_all(v1(influx), store).letters == []
    expected = stored(store)
    assert len(expected) == 4500
    assert influx.points() == expected
    assert drain_all(v1(influx, batch=777), store).letters == []
    assert influx.points() == expected
    assert influx.types() == {
        "value": {"float"},
        "raw": {"float"},
        "flag": {"integer"},
        "received_at": {"integer"},
        "device": {"string"},
        "fault": {"string"},
    }
    tags = {tuple(v[0] for v in series["values"]) for series in influx.query("SHOW TAG KEYS")}
    assert tags == {("channel", "station", "tenant")}


def test_a_field_stored_with_another_type_costs_only_its_own_lines(influx: Influx, store: Path) -> None:
    """Somebody wrote `value` of one measurement as text before: its lines are letters with the server's words, the
    other measurements are complete."""
    influx.write(f'battery_voltage,channel=by-hand,station=x,tenant=y value="12.6 V" {T0}')
    bridge = drain_all(v1(influx), store)
    influx.query("DROP SERIES FROM battery_voltage WHERE channel = 'by-hand'")
    expected = {key: fields for key, fields in stored(store).items() if key[0] != "battery_voltage"}
    assert influx.points() == expected
    lost = {line(p, True) for p in storefile.rows(store, storefile.POINTS, (0, 10_000)) if p[4] == "battery_voltage"}
    assert len(bridge.letters) == len(lost) == 1500
    assert {x.payload.decode() for x in bridge.letters} == lost
    assert all("field type conflict" in x.detail for x in bridge.letters)


def test_points_beyond_retention_become_letters(influx: Influx, tmp_path: Path) -> None:
    """A database that keeps one day refuses what is older: those lines are letters, the young ones are stored."""
    influx.query("CREATE RETENTION POLICY day ON floods DURATION 1d REPLICATION 1 SHARD DURATION 1h DEFAULT")
    now, store = SystemClock().now_ms(), tmp_path / "mixed.db"
    young = [observation(n, n / 10, observed_ms=now - 60_000 * n) for n in range(1, 301)]
    old = [observation(n, n / 10, observed_ms=now - 3 * 86_400_000 - 60_000 * n) for n in range(301, 401)]
    world.add(store, [*young[:100], *old[:50], *young[100:], *old[50:]])
    bridge = Bridge()
    with draining(v1(influx), store, bridge):
        wait_for("the drain at its end", lambda: bridge.position == 400)
    assert len(bridge.letters) == 100
    assert all("beyond retention policy" in x.detail for x in bridge.letters)
    limit = now - 86_400_000
    assert influx.points() == {key: fields for key, fields in stored(store).items() if key[2] > limit}


@pytest.mark.parametrize("kill", [False, True], ids=["stopped", "killed"])
def test_a_server_that_ends_in_the_middle_and_comes_back_has_all(influx: Influx, store: Path, kill: bool) -> None:
    """Points wait in the store while the server is away; nothing is missing and nothing is a letter."""
    bridge = Bridge()
    with draining(v1(influx, batch=5), store, bridge):
        wait_for("some progress", lambda: bridge.position > 200, every_s=0.005)
        influx.server.stop(kill=kill)
        stood = bridge.position
        assert stood < 4500
        influx.server.start()
        wait_for("the drain at its end", lambda: bridge.position == 4500, 120)
    assert bridge.letters == []
    assert influx.points() == stored(store)


def test_a_database_that_is_not_there_yet_is_waited_for(
    influx: Influx, store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """404 is kept: said once, no letter; when the database is created, all points arrive."""
    influx.query("DROP DATABASE floods")
    bridge = Bridge()
    with draining(v1(influx), store, bridge):
        wait_for("a word of it", lambda: "database not found" in caplog.text)
        assert (bridge.position, bridge.letters) == (0, [])
        influx.query("CREATE DATABASE floods")
        wait_for("the drain at its end", lambda: bridge.position == 4500, 120)
    assert bridge.letters == []
    assert influx.points() == stored(store)
    assert caplog.text.count("database not found") == 1


def test_a_body_that_is_too_large_goes_in_parts(tmp_path: Path, store: Path) -> None:
    """A server that takes 20 kB at a time answers 413 to more: all points arrive in smaller requests."""
    server = servers.influxdb(tmp_path / "influx")
    conf = server.folder / "influxdb.conf"
    conf.write_text(conf.read_text().replace("[http]\n", "[http]\n  max-body-size = 20000\n"))
    with servers.running(server):
        found = Influx(server)
        found.query("CREATE DATABASE floods")
        assert drain_all(v1(found), store).letters == []
        assert found.points() == stored(store)


def test_a_database_that_lost_everything_is_filled_again(influx: Influx, store: Path) -> None:
    """Dropped and made anew while the drain runs: after a refill all points stand there again, those of before and
    those that came meanwhile."""
    bridge = Bridge()
    with draining(v1(influx), store, bridge) as drain:
        wait_for("the drain at its end", lambda: bridge.position == 4500, 120)
        influx.query("DROP DATABASE floods")
        influx.query("CREATE DATABASE floods")
        world.add(store, [observation(9000)], REGISTRY)
        drain.wake()
        wait_for("the new row", lambda: bridge.position == 4501)
        assert len(influx.points()) == 1
        drain.rewind(0)
        wait_for("the drain on its way again", lambda: bridge.position < 4501, every_s=0.001)
        wait_for("the drain at its end again", lambda: bridge.position == 4501, 120)
        assert influx.points() == stored(store)
    assert bridge.letters == []


def test_a_wrong_path_of_a_real_server_makes_no_letter(
    influx: Influx, store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An address with a path that InfluxDB does not know, or no database named: all rows stay."""
    for changes in ({"url": f"{influx.url}/influx"}, {"bucket": ""}):
        caplog.clear()
        bridge = Bridge()
        with draining(v1(influx, **changes), store, bridge) as drain:
            wait_for("a word of it", lambda: "does not take points (40" in caplog.text)
            wait_for("a reason to tell", lambda d=drain: d.failing)  # type: ignore[misc]
        assert (bridge.position, bridge.letters) == (0, [])


def test_credentials_are_asked_for_and_used(tmp_path: Path, store: Path, caplog: pytest.LogCaptureFixture) -> None:
    """With the wrong password all points wait; with the right one they arrive; neither password is shown."""
    server = servers.influxdb(tmp_path / "influx")
    conf = server.folder / "influxdb.conf"
    conf.write_text(conf.read_text().replace("[http]\n", "[http]\n  auth-enabled = true\n"))
    with servers.running(server):
        url = f"http://127.0.0.1:{server.port}"
        _as_admin(url, "CREATE USER suimon WITH PASSWORD 'right-word' WITH ALL PRIVILEGES", None)
        _as_admin(url, "CREATE DATABASE floods", "right-word")
        bridge = Bridge()
        to = settings.Influx("v1", url, "floods", username="suimon", password="wrong-word", batch=1000)
        with draining(to, store, bridge):
            wait_for("a word of it", lambda: "401" in caplog.text)
        assert (bridge.position, bridge.letters) == (0, [])
        assert drain_all(replace(to, password="right-word"), store).letters == []
    assert "-word" not in caplog.text + describe(to) + repr(to)


def _as_admin(url: str, query: str, password: str | None) -> None:
    given = urllib.parse.urlencode({"q": query} | ({"u": "suimon", "p": password} if password else {}))
    urllib.request.urlopen(f"{url}/query?{given}", b"", timeout=30).close()


def test_the_later_api_is_refused_by_the_old_server_and_kept(
    influx: Influx, store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """`api: v2` against InfluxDB 1.6 is a mistake of the configuration: 404, nothing is lost by it."""
    bridge = Bridge()
    with draining(v1(influx, api="v2"), store, bridge):
        wait_for("a word of it", lambda: "does not take points (404" in caplog.text)
    assert (bridge.position, bridge.letters) == (0, [])


# --- VictoriaMetrics -------------------------------------------------------------------------------------------------


@pytest.fixture
def victoria(tmp_path: Path) -> Iterator[str]:
    with servers.running(servers.victoria_metrics(tmp_path / "victoria")) as server:
        yield f"http://127.0.0.1:{server.port}"


def exported(url: str) -> Points:
    """Everything, as points: a series is measurement_field there."""
    urllib.request.urlopen(f"{url}/internal/force_flush", timeout=30).close()
    query = urllib.parse.urlencode({"match[]": '{__name__!=""}', "start": "1970-01-01T00:00:00Z"})
    found: Points = {}
    with urllib.request.urlopen(f"{url}/api/v1/export?{query}", timeout=60) as answer:
        for text in answer:
            series = json.loads(text)
            tags = series["metric"]
            name, channel = tags.pop("__name__"), tags.pop("channel")
            assert (tags.pop("tenant"), tags.pop("station")) == (TENANT, STATION)
            quantity, field = name.removesuffix("received_at").rsplit("_", 1)
            for value, at in zip(series["values"], series["timestamps"], strict=True):
                found.setdefault((quantity, channel, at), {})[field or "received_at"] = value
    return found


def test_victoria_metrics_gets_every_number(victoria: str, store: Path) -> None:
    """Through influxdb-client's synchronous API and without strings: each finite value, raw value, flag and time of
    receipt stands there, and no series of zeros that was a text."""
    to = settings.Influx("v2", victoria, "floods", strings=False, batch=1000)
    assert drain_all(to, store).letters == []
    expected = stored(store, strings=False)
    wait_for("all points in view", lambda: exported(victoria).keys() >= expected.keys())
    assert exported(victoria) == expected


def test_victoria_metrics_that_is_absent_at_first_gets_all(
    tmp_path: Path, store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is lost where the server starts later than the bridge."""
    server = servers.victoria_metrics(tmp_path / "victoria")
    url, bridge = f"http://127.0.0.1:{server.port}", Bridge()
    to = settings.Influx("v2", url, "floods", strings=False, batch=1000)
    with draining(to, store, bridge):
        wait_for("a word of it", lambda: "does not take points (no answer" in caplog.text)
        with servers.running(server):
            wait_for("the drain at its end", lambda: bridge.position == 4500, 120)
            expected = stored(store, strings=False)
            wait_for("all points in view", lambda: exported(url).keys() >= expected.keys())
    assert bridge.letters == []
