"""The drain and InfluxDB 2.7, which no Debian package offers: it runs in a container where a Docker engine exists.

Elsewhere the test is skipped with the reason. That holds on CI as well, also with SUIMON_REQUIRE_SERVICES=1: no engine
exists there, so what is seen here was seen on a developer's machine, or nowhere.
"""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from docker.errors import DockerException
from testcontainers.core.container import DockerContainer

from gateway import settings, storefile
from gateway.bridge.influx import Drain, line, writer_of
from gateway.clock import SystemClock
from gateway.model import DeadLetter
from tests import world
from tests.servers import http_ok, wait_for
from tests.world import T0, observation

pytestmark = [pytest.mark.live, pytest.mark.slow]

ORG, BUCKET, TOKEN = "city", "floods", "a-token-for-the-test"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A running InfluxDB 2.7 with one bucket. (testcontainers.community.influxdb needs the client of 1.x as well,
    which nothing here uses: so a plain container.)"""
    given = {"MODE": "setup", "USERNAME": "suimon", "PASSWORD": "a-long-password"}
    given |= {"ORG": ORG, "BUCKET": BUCKET, "ADMIN_TOKEN": TOKEN}
    try:
        container = DockerContainer("influxdb:2.7-alpine").with_exposed_ports(8086)
        for name, value in given.items():
            container.with_env(f"DOCKER_INFLUXDB_INIT_{name}", value)
        container.start()
    except DockerException as e:
        pytest.skip(f"InfluxDB 2.7 needs a Docker engine ({type(e).__name__})")
    try:
        url = f"http://{container.get_container_host_ip()}:{container.get_exposed_port(8086)}"
        wait_for("InfluxDB 2.7", lambda: http_ok(f"{url}/health") and _set_up(url), 60)
        yield url
    finally:
        container.stop()


def _set_up(url: str) -> bool:
    """Whether the set-up is through: until then the server answers and knows no token."""
    try:
        with urllib.request.urlopen(_request(f"{url}/api/v2/buckets?name={BUCKET}"), timeout=5) as answer:
            return bool(json.load(answer)["buckets"])
    except OSError:
        return False


def _request(url: str, body: bytes | None = None) -> urllib.request.Request:
    return urllib.request.Request(url, body, {"Authorization": f"Token {TOKEN}"})


def drain_all(url: str, store: Path, last: int) -> list[DeadLetter]:
    to = settings.Influx("v2", url, BUCKET, ORG, TOKEN, batch=500)
    positions: list[int] = []
    letters: list[DeadLetter] = []

    def progress(position: int, more: list[DeadLetter]) -> None:
        letters.extend(more)
        positions.append(position)

    drain = Drain(to, writer_of(to), store, progress, SystemClock().now_ms, backoff_s=(0.1,))
    drain.start()
    wait_for("the drain at its end", lambda: last in positions, 120)
    drain.stop()
    return letters


def values(url: str) -> dict[int, tuple[float | None, str | None]]:
    """ms -> (value, fault), by the query language that 1.x, 2.x and 3.x share."""
    query = urllib.parse.urlencode({"db": BUCKET, "epoch": "ms", "q": "SELECT value, fault FROM water_level"})
    with urllib.request.urlopen(_request(f"{url}/query?{query}"), timeout=30) as answer:
        (result,) = json.load(answer)["results"]
    series: list[dict[str, Any]] = result.get("series", [])
    return {at: (value, fault) for at, value, fault in series[0]["values"]} if series else {}


def test_every_point_equals_the_store_and_a_type_conflict_costs_its_own_lines(url: str, tmp_path: Path) -> None:
    """All rows arrive with value, fault and time, also when sent twice; where a field had another type before, only
    that measurement's lines are letters."""
    store = tmp_path / "store.db"
    levels = [observation(n, None if n % 9 == 0 else round(n / 10 - 20, 3)) for n in range(1, 1001)]
    batteries = [observation(n, 12.6, channel="battery_voltage", record=1) for n in range(1, 11)]
    world.add(store, [*levels, *batteries])
    body = f'battery_voltage,channel=battery_voltage,station=x,tenant=y value="12.6 V" {T0}'.encode()
    target = f"{url}/api/v2/write?{urllib.parse.urlencode({'org': ORG, 'bucket': BUCKET, 'precision': 'ms'})}"
    urllib.request.urlopen(_request(target, body), timeout=30).close()
    lines = {line(p, True) for p in storefile.rows(store, storefile.POINTS, (0, 10_000)) if p[4] == "battery_voltage"}
    for _ in range(2):
        letters = drain_all(url, store, 1010)
        assert {x.payload.decode() for x in letters} == lines
        assert values(url) == {o.observed_ms: (o.value, o.fault) for o in levels}
