"""A device with contacts at GPIO lines (a simulated chip behind the seam to the kernel's), a real broker and bridge:
every tip is in the store once, what may be missing is told, a contact that closes does not wait for its interval."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from gateway import config, rain, settings
from gateway.clock import SystemClock
from gateway.edge.agent import Agent, open_bus
from gateway.edge.buses.gpio import Gpio
from gateway.edge.sampling import Bus
from gateway.loops import Loop
from simulators.gpiochip import GpioChip
from tests import servers
from tests.live.test_bridge_live import bridge_of, listening, sql
from tests.servers import wait_for

pytestmark = pytest.mark.live

STATIONS = """
version: 1
tenant: takamatsu
stations:
  mure:
    name: {ja: 牟礼, en: Mure}
    position: {latitude: 34.3, longitude: 134.1}
    device: pole-1
    hazard: rain
    channels: {rain: {interval: 10s, rain: counter}, rain_2: {quantity: rain, interval: 10s, rain: counter}}
  underpass:
    name: {ja: 中央アンダーパス, en: Central underpass}
    position: {latitude: 34.34, longitude: 134.04}
    device: pole-1
    hazard: underpass
    channels:
      caution: {quantity: contact, interval: 2h, contact: {level: notice, wet: 1}}
      closing: {quantity: contact, interval: 2h, contact: {level: closure, wet: 1}}
"""
EDGE = """
version: 1
tenant: takamatsu
device: pole-1
broker: {{host: 127.0.0.1, port: {port}}}
spool: {{path: spool.db, commit_interval: 200ms}}
clock: {{trust: always}}
buses:
  pins: {{type: gpio, chip: pinctrl-rp1}}
  away: {{type: modbus_tcp, host: 127.0.0.1, port: {nobody}, timeout: 200ms}}
sensors:
  rain:
    {{station: mure, bus: pins, profile: tipping_bucket_05, interval: 500ms,
     lines: {{count: {{line: 17, bias: up, active: low}}}}}}
  taken:
    {{station: mure, bus: pins, profile: tipping_bucket_05, interval: 5s, channels: {{rain: rain_2}},
     lines: {{count: 4}}}}
  wet:
    {{station: underpass, bus: pins, profile: underpass_contacts, interval: 1h, accept_unverified: true,
     channels: {{caution: caution, closure: closing}}, lines: {{caution: 5, closure: 6, broken: 13}}}}
  dead:
    {{station: pole-1, bus: away, profile: epever_tracer, interval: 1s,
     channels: {{battery_voltage: battery_voltage}}}}
"""


@contextlib.contextmanager
def running(folder: Path, chip: GpioChip) -> Iterator[Agent]:
    """The agent as configured, but for the chip, in a thread of its own."""
    edge, profiles = config.load_edge(folder)

    def bus_of(bus: settings.Bus) -> Bus:
        return Gpio(bus, chip.opened) if isinstance(bus, settings.Gpio) else open_bus(bus)

    agent = Agent(edge, profiles, SystemClock(trusted=True), bus_of=bus_of)
    loop = Loop("agent", agent.run)
    loop.start()
    try:
        yield agent
        wait_for("receipts for all that was sent", lambda: agent.spool.depth()[0] <= 2, 60)
    finally:
        agent.stop()
        loop.join(60)
    assert loop.died is None


def test_tips_and_contacts_reach_the_store(tmp_path: Path) -> None:
    """Tips add up over readings; a restart says that its count began again, and the rain that fell goes on from there;
    water in the underpass is stored an hour before its reading is due. A line that another program has and a bus
    without its device hold up neither."""
    chip = GpioChip(lines=("17", "4", "5", "6", "13"), busy={"4"})
    chip.line("17").high = True
    with servers.running(servers.mosquitto(tmp_path / "broker")) as broker:
        (tmp_path / "stations.yaml").write_text(STATIONS)
        (tmp_path / "edge.yaml").write_text(EDGE.format(port=broker.port, nobody=servers.free_port()))
        (tmp_path / "bridge.yaml").write_text(
            f"version: 1\nstore: {{path: store.db}}\nbroker: {{host: 127.0.0.1, port: {broker.port}}}\n"
            "clock: {trust: always}\n"
        )
        given, registry = config.load_bridge(tmp_path)

        def said(channel: str) -> list[float | str]:
            found = sql(
                given,
                "SELECT coalesce(fault, value) FROM observations JOIN channels c ON c.id = channel_id "
                f"WHERE channel = '{channel}' ORDER BY observed_ms",
            )
            return [value for (value,) in found]

        with bridge_of(given, registry) as bridge:
            listening(bridge)
            with running(tmp_path, chip):
                wait_for("the first count", lambda: 0.0 in said("rain"))
                for _ in range(5):
                    chip.tip("17", low=True)
                wait_for("five tips", lambda: said("rain")[-1] == 2.5)
                chip.play("5", (1000, True))
                chip.play("6", (1000, True), (200, False))
                wait_for("the contacts", lambda: said("closing") == [0.0, 0.0, 1.0, 0.0])
                assert said("caution") == [0.0, 1.0, 1.0, 1.0]
            with running(tmp_path, chip):
                wait_for("a count that begins again", lambda: said("rain").count("count_lost") == 2)
                for _ in range(3):
                    chip.tip("17", low=True)
                wait_for("three tips more", lambda: said("rain")[-1] == 1.5)
            told = said("rain")
            assert [x for x in told if isinstance(x, str)] == ["count_lost", "count_lost"]
            assert told.index("count_lost") == 0
            assert set(said("rain_2")) == {"bus_error"}
            assert set(said("battery_voltage")) == {"bus_error"}
            (state,) = sql(
                given,
                "SELECT state FROM rain_states JOIN channels c ON c.id = channel_id WHERE channel = 'rain'",
            )
            curve = msgspec.json.decode(state[0], type=rain.State)
            assert curve.points[-1][1] - curve.points[0][1] == 4000  # eight tips, in thousandths of a millimetre
            assert curve.doubt_s > 0  # and sums across the restart are incomplete
