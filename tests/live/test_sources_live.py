"""Devices of others on a real mosquitto: what they say while the bridge is there, and while it is away."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway import config, settings
from gateway.stations import Registry
from tests import servers
from tests.live.test_bridge_live import Peer, bridge_of, listening, now_ms, sql
from tests.servers import Server, wait_for
from tests.test_sources import SOURCES, UP, folder, uplink

pytestmark = pytest.mark.live


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Server]:
    with servers.running(servers.mosquitto(tmp_path / "broker")) as server:
        yield server


@pytest.fixture
def given(tmp_path: Path, broker: Server) -> tuple[settings.Bridge, Registry]:
    bridge, registry = config.load_bridge(folder(tmp_path, "".join(SOURCES.values())))
    return replace(bridge, broker=settings.Broker(port=broker.port)), registry


def test_uplinks_before_while_and_after_the_bridge_is_away(
    broker: Server, given: tuple[settings.Bridge, Registry]
) -> None:
    """Every uplink is stored once, by its time: repeated ones, and those that waited at the broker, too."""
    bridge, registry = given
    began = now_ms()

    def send(*numbers: int) -> None:
        for number in numbers:
            peer.send(UP, uplink(number, 1000 + number, began - 60_000 + number * 100))

    def stored() -> list[float]:
        return [round(6 - value, 3) for (value,) in sql(bridge, "SELECT value FROM observations ORDER BY observed_ms")]

    peer = Peer(broker.port)
    with bridge_of(bridge, registry) as service:
        listening(service)
        send(10, 11, 11, 12)
        peer.send("esp-tank/sensor/level/state", b"nonsense")
        wait_for("three levels", lambda: len(stored()) == 3)
    send(12, 13, 14, 13)
    with bridge_of(bridge, registry) as service:
        listening(service)
        send(15)
        wait_for("six levels", lambda: len(stored()) == 6)
    peer.end()
    assert stored() == [1.01, 1.011, 1.012, 1.013, 1.014, 1.015]
    letters = Counter(code for (code,) in sql(bridge, "SELECT code FROM dead_letters"))
    assert letters == {"bad_uplink": 1}


def test_a_state_that_the_broker_kept_is_no_reading(broker: Server, given: tuple[settings.Bridge, Registry]) -> None:
    """A retained value without a time is left out; the next one that is published counts."""
    bridge, registry = given
    peer = Peer(broker.port)
    peer.send("esp-tank/sensor/level/state", b"100", retain=True)
    with bridge_of(bridge, registry) as service:
        listening(service)
        peer.send("esp-tank/sensor/level/state", b"200", retain=True)
        wait_for("a level", lambda: len(sql(bridge, "SELECT value FROM observations")) > 0)
    peer.end()
    assert sql(bridge, "SELECT value FROM observations") == [(2.0,)]
