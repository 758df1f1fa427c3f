"""Two NGSI-LD clients that others use, each in an environment of its own, read from a page that is really served."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.web.serving import Server
from tests import servers
from tests.test_cli_journal import STATION, House
from tests.website import site

pytestmark = pytest.mark.live

ROOT = Path(__file__).parents[2]
ID = f"urn:ngsi-ld:FloodMonitoring:takamatsu:{STATION}"

NGSILDCLIENT = """
import json, sys
from ngsildclient import Client
with Client("127.0.0.1", int(sys.argv[1]), verbose=False) as c:
    count = c.entities.count(type="FloodMonitoring")
    found = c.entities._query(type="FloodMonitoring")
    one = c.entities.get(sys.argv[2])
    series = c.temporal.get(sys.argv[2], attrs=["currentLevel"])
    alerts = c.entities._query(type="Alert", q='severity=="critical";(held==true|confirmed==true)')
    print(json.dumps({"count": count, "ids": [x.id for x in found], "level": one["currentLevel"].value,
                      "values": series["currentLevel"]["values"],
                      "alerts": [(x["severity"].value, x["rank"].value) for x in alerts]}))
"""
FILIP = """
import json, sys
from filip.clients.ngsi_ld.cb import ContextBrokerLDClient
from filip.models.base import FiwareLDHeader
with ContextBrokerLDClient(url=f"http://127.0.0.1:{sys.argv[1]}", fiware_header=FiwareLDHeader()) as c:
    found = c.get_entity_list(entity_type="FloodMonitoring")
    one = c.get_entity(sys.argv[2])
    alerts = c.get_entity_list(entity_type="Alert", q="rank>=4")
    alert = c.get_entity(alerts[0].id).model_dump()
    print(json.dumps({"alert": [alert["severity"]["value"], alert["rank"]["value"]],
                      "ids": [x.id for x in found], "level": one.model_dump()["currentLevel"]["value"]}))
"""


def python_of(name: str, version: str) -> Path:
    """The interpreter of an environment that holds that client, made once."""
    folder = ROOT / ".venv" / ".clients" / f"{name}-{version}"
    python = folder / "bin" / "python"
    uv = Path(sys.executable).with_name("uv")
    if not (folder / ".ready").exists():
        for command in (["venv", "--quiet", "--clear", str(folder)],
                        ["pip", "install", "--quiet", "--python", str(python), f"{name}=={version}"]):  # fmt: skip
            done = subprocess.run([str(uv), *command], capture_output=True, text=True, timeout=300)
            if done.returncode != 0:
                servers.missing(f"{name} {version} cannot be installed: {done.stderr[-300:]}")
        (folder / ".ready").touch()
    return python


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    with House(tmp_path) as house:
        for n in range(13):
            house.reads(10.0 * n, 1.0 + n / 6)
        of = site(house, 121)
        server = Server(replace(of, web=replace(of.web, loopback_operator=True, port=servers.free_port())))
        server.bind()
        thread = threading.Thread(target=server.run)
        thread.start()
        yield server.port
        server.stop()
        thread.join(10)


def run(python: Path, script: str, port: int) -> dict[str, object]:
    done = subprocess.run([str(python), "-c", script, str(port), ID], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, object] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def test_ngsildclient_reads_stations_and_series(port: int) -> None:
    """It counts, lists, reads one and how it went on."""
    found = run(python_of("ngsildclient", "0.5.2"), NGSILDCLIENT, port)
    assert found["count"] == 2
    assert ID in found["ids"]  # type: ignore[operator]
    assert found["level"] == 3.0
    assert len(found["values"]) == 13  # type: ignore[arg-type]
    assert found["alerts"] == [["critical", 4]]


def test_filip_reads_stations(port: int) -> None:
    """It lists and reads one."""
    found = run(python_of("filip", "0.8.1"), FILIP, port)
    assert ID in found["ids"]  # type: ignore[operator]
    assert found["level"] == 3.0
    assert found["alert"] == ["critical", 4]
