"""Sensors behind the kernel, by sysfs and by I2C, through an agent, a real mosquitto and the bridge into the store."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway import config, profiles, settings
from gateway.clock import SystemClock
from gateway.edge.agent import Agent, open_bus
from gateway.edge.buses.i2c import I2c
from gateway.edge.sampling import Bus
from simulators.i2cline import Commanded, I2cLine
from simulators.sysfstree import SysfsTree
from tests import servers, world
from tests.live.test_bridge_live import bridge_of, listening, sql
from tests.servers import Server, wait_for
from tests.world import DEVICE, STATION, TENANT

pytestmark = pytest.mark.live

NEWEST = (
    "SELECT channel, value, fault FROM observations JOIN channels ON channels.id = channel_id ORDER BY observed_ms DESC"
)
CHANNELS = {"water": "water_temperature", "drain": "water_temperature", "air": "air_temperature", "box": "humidity"}


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Server]:
    with servers.running(servers.mosquitto(tmp_path / "broker")) as server:
        yield server


def edge_yaml(folder: Path, port: int) -> None:
    def sensor(bus: str, profile: str, address: str, value: str, channel: str) -> str:
        return (
            f"  {channel}: {{station: {STATION}, bus: {bus}, profile: {profile}, address: {address}, interval: 200ms, "
            f"channels: {{{value}: {channel}}}}}\n"
        )

    (folder / "edge.yaml").write_text(
        f"version: 1\ntenant: {TENANT}\ndevice: {DEVICE}\nbroker: {{host: 127.0.0.1, port: {port}}}\n"
        "spool: {path: spool.db}\nclock: {trust: always}\nhealth: off\nbuses:\n"
        "  kernel: {type: sysfs, root: sys, timeout: 300ms}\n  board: {type: i2c, port: /dev/i2c-1}\nsensors:\n"
        + sensor("kernel", "maxim_ds18b20", "28-0316a2794f5d", "water_temperature", "water")
        + sensor("kernel", "maxim_ds18b20", "28-0416c1d2e3ff", "water_temperature", "drain")
        + sensor("board", "sensirion_sht3x", '"0x44"', "air_temperature", "air")
        + sensor("board", "sensirion_sht3x", '"0x45"', "humidity", "box")
    )


@contextlib.contextmanager
def agent_of(folder: Path, line: I2cLine) -> Iterator[Agent]:
    """From edge.yaml, in a thread; nothing but the adapter of I2C is simulated at a seam."""

    def bus_of(bus: settings.Bus) -> Bus:
        return I2c(bus, line.open) if isinstance(bus, settings.I2c) else open_bus(bus)

    found = Agent(*config.load_edge(folder), SystemClock(trusted=True), bus_of=bus_of)
    thread = threading.Thread(target=found.run, name="agent")
    thread.start()
    try:
        yield found
        assert thread.is_alive()
    finally:
        found.stop()
        thread.join(60)
        assert not thread.is_alive()


def test_a_board_reaches_the_store_while_some_of_it_is_broken(tmp_path: Path, broker: Server) -> None:
    """Four sensors on two buses are stored; two that break say their faults while their neighbours go on, and their
    values again once they are well."""
    kernel = SysfsTree(tmp_path / "sys")
    water, _ = kernel.ds18b20("0316a2794f5d", 12.5), kernel.ds18b20("0416c1d2e3ff", 20)
    sht3x = config.load_profiles(Path("/nonexistent"), [])["sensirion_sht3x"]
    said = profiles.encode(sht3x, {"air_temperature": 5.0, "humidity": 80.0})
    air, box = (Commanded(b"\x24\x00", lambda: said, takes_s=0.015) for _ in range(2))
    edge_yaml(tmp_path, broker.port)
    bridge = world.bridge(tmp_path / "store.db", broker.port)
    station = world.station(channels=[world.channel(name, quantity) for name, quantity in CHANNELS.items()])

    def newest() -> dict[str, float | str]:
        found: dict[str, float | str] = {}
        for name, value, fault in sql(bridge, NEWEST):
            found.setdefault(name, fault or round(value, 2))
        return found

    def stored(channel: str) -> int:
        return sum(name == channel for name, *_ in sql(bridge, NEWEST))

    whole = {"water": 12.5, "drain": 20.0, "air": 5.0, "box": 80.0}
    try:
        with bridge_of(bridge, world.registry(station)) as service:
            listening(service)
            with agent_of(tmp_path, I2cLine({0x44: air, 0x45: box})):
                wait_for("four sensors", lambda: newest() == whole)
                water.be("hangs")
                air.be("no_answer")
                wait_for("two faults", lambda: newest() == whole | {"water": "no_answer", "air": "no_answer"})
                before = {name: stored(name) for name in CHANNELS}
                wait_for("their neighbours", lambda: all(stored(n) > before[n] + 5 for n in ("drain", "box")))
                assert newest() == whole | {"water": "no_answer", "air": "no_answer"}
                water.be("")
                air.be("")
                wait_for("all four again", lambda: newest() == whole)
    finally:
        kernel.close()
    assert sql(bridge, "SELECT count(*) FROM dead_letters") == [(0,)]
