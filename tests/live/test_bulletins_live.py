"""A real bridge that reads a feed of bulletins on loopback: killed, without the feed, and with one that hangs; every
bulletin stands in the journal once, and readings go on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from gateway.config import load_profiles
from simulators.bulletinfeed import BulletinFeed
from tests import servers
from tests.house import House, house
from tests.servers import wait_for

pytestmark = pytest.mark.live

ROWS = "SELECT json_extract(body, '$.received.short') FROM journal WHERE kind = 'bulletin' ORDER BY id"


@pytest.fixture
def agency() -> Iterator[BulletinFeed]:
    found = BulletinFeed()
    yield found
    found.stop()


@pytest.fixture
def town(tmp_path: Path, agency: BulletinFeed) -> Iterator[House]:
    """One gauge, whose bridge reads the feed five times a second."""
    profile = load_profiles(tmp_path, [])["sim_river_gauge"]
    with (
        servers.running(servers.mosquitto(tmp_path / "broker")) as broker,
        house(tmp_path / "house", profile, broker, devices=1) as found,
    ):
        path = found.configs["bridge"] / "bridge.yaml"
        stated = yaml.safe_load(path.read_text(encoding="utf-8"))
        feed = {"feed": f"{agency.url}/extra.xml", "catch_up": f"{agency.url}/extra_l.xml", "every": "200ms"}
        stated["bulletins"] = feed | {"offices": ["高松"], "areas": {"高松市": "everybody"}, "timeout": "2s"}
        path.write_text(yaml.safe_dump(stated, allow_unicode=True), encoding="utf-8")
        for name in ("bridge", *found.devices):
            found.start(name)
        yield found


def rows(found: House) -> list[object]:
    return [x[0] for x in found.sql(ROWS)]


def standing(found: House) -> dict[str, object]:
    said = found.sql("SELECT value FROM meta WHERE key = 'bulletins'")
    text: dict[str, object] = json.loads(str(said[0][0])) if said else {}
    return text


def test_every_bulletin_once_through_kills_and_outages(town: House, agency: BulletinFeed) -> None:
    """Issued while the bridge runs, is dead, and cannot reach the feed: each is there once, none is fetched without
    need, and readings do not wait for any of it."""
    issued = []

    def issue(n: int) -> None:
        issued.append(f"レベル{n}氾濫警報　高松市")
        agency.issue(f"レベル{n}氾濫警報", event=str(n))

    issue(1)
    wait_for("the first", lambda: rows(town) == issued, 60)
    town.kill("bridge")
    issue(2)
    town.start("bridge")
    wait_for("what was issued while it was dead", lambda: rows(town) == issued, 60)

    agency.mode = "503"
    wait_for("that it is not received", lambda: standing(town).get("reason") == "answer 503", 60)
    issue(3)
    town.wait_stored(20)
    town.stop("bridge")
    agency.mode = ""
    town.start("bridge")
    wait_for("what was issued while it could not be read", lambda: rows(town) == issued, 60)

    agency.mode = "hang"
    town.wait_stored(40)  # nothing waits for it
    agency.freed.set()
    assert town.stop("bridge") == 0
    agency.freed.clear()
    assert rows(town) == issued
    assert agency.documents() == [f"/data/{n}_VXKO.xml" for n in (1, 2, 3)]
