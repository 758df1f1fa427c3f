"""The edge agent: samples sensors, spools, publishes. One thread a bus, so that a slow bus holds up no other; one
that commits the spool; one for the uplink. It runs unattended: whatever a sensor does becomes a fault in a sample.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gateway import __version__, settings, units, wire
from gateway.clock import Clock
from gateway.disk import DISK, Disk
from gateway.edge import capacity
from gateway.edge.clockwatch import ClockWatch
from gateway.edge.health import Health
from gateway.edge.orders import Orders
from gateway.edge.pushed import Pushed
from gateway.edge.remote import Hands, Remote
from gateway.edge.sampling import Bus, Sampling
from gateway.edge.spool import Spool
from gateway.edge.stamping import Stamp, Stamper
from gateway.edge.uplink import Connect, Uplink
from gateway.loops import Loop, Pulse
from gateway.model import Reading
from gateway.mqtt import Session
from gateway.profiles import Profile
from gateway.systemd import Supervisor

log = logging.getLogger(__name__)

TURN_S = 1.0  # how often the agent looks after its threads
UPLINK_TURN_S = 120.0  # a round of the uplink, with a card that stalls
END_S = 30.0  # patience with a thread that was told to end


# Where each type of bus is: a module is imported where such a bus is configured, for libraries take memory.
BUSES: dict[type[settings.Bus], tuple[str, str]] = {
    settings.ModbusTcp: ("modbus_tcp", "ModbusTcp"),
    settings.ModbusRtu: ("modbus_rtu", "ModbusRtu"),
    settings.Serial: ("serial", "Serial"),
    settings.Http: ("http", "Http"),
    settings.Sdi12: ("sdi12", "Sdi12"),
    settings.Mqtt: ("mqtt", "Mqtt"),
    settings.Sysfs: ("sysfs", "Sysfs"),
    settings.Gpio: ("gpio", "Gpio"),
    settings.I2c: ("i2c", "I2c"),
}


def open_bus(bus: settings.Bus) -> Bus:
    module, name = BUSES[type(bus)]
    found: Bus = getattr(importlib.import_module(f"gateway.edge.buses.{module}"), name)(bus)
    return found


class Agent:
    """One device. `run` returns when `stop` was called, and raises what ended one of its threads."""

    def __init__(
        self,
        edge: settings.Edge,
        profiles: Mapping[str, Profile],
        clock: Clock,
        mark: Callable[[str], None] = lambda _: None,
        disk: Disk = DISK,
        *,
        supervisor: Supervisor | None = None,
        bus_of: Callable[[settings.Bus], Bus] = open_bus,
        connect: Connect = Session,
        pushed: Pushed | None = None,
        last_words: Callable[[], list[str]] = list,
    ) -> None:
        """`mark` is called at the points where a crash matters: read, spooled, published, committed. `pushed` None: it
        obeys nobody from afar."""
        self._orders, self._last_words = Orders(), last_words
        self.again = False  # it ended in order to begin anew
        self._edge, self._profiles, self._clock, self._mark = edge, profiles, clock, mark
        self._supervisor, self._bus_of = supervisor or Supervisor(), bus_of
        self._stop = threading.Event()
        self._pulse = Pulse()
        self._stamper = Stamper(clock)
        self.spool = Spool(
            edge.spool.path, edge.spool.max_bytes, clock.now_ms(), disk=disk, bytes_per_s=capacity.bytes_per_s(edge)
        )
        self._since_ms = clock.now_ms()
        self._uplink = Uplink(
            edge,
            self.spool,
            wire.encode(self.birth()),
            self._status,
            connect,
            turned=lambda: self._pulse.beat("uplink", UPLINK_TURN_S),
            dating=clock,
            conditions=ClockWatch(clock, self.spool.opening),
            command=(lambda delivery: self._remote.hear(delivery) if self._remote else None) if pushed else None,
        )
        hands = Hands(self._answer, lambda: self._uplink.contact, self.diagnosis, self._restart)
        self._remote = Remote(edge, pushed, clock, self._orders, hands) if pushed else None
        self.waiting = 0  # samples not settled when the agent ended

    def stop(self) -> None:
        """For good, also where it was to begin anew."""
        self.again = False
        self._halt()

    def _halt(self) -> None:
        self._stop.set()
        self._orders.ring()

    def _restart(self) -> None:
        """Begin anew. To its supervisor this is no end, which would have it killed after a while."""
        self.again = not self._stop.is_set()
        self._halt()

    def _answer(self, payload: bytes) -> None:
        self._uplink.session.publish(wire.topic(self._edge.tenant, self._edge.device, "reply"), payload)

    def run(self) -> None:
        """Sample and publish until stopped; then commit, and leave the rest in the spool."""
        self._introduce()
        loops = [self._bus_loop(name) for name in self._edge.buses]
        if self._edge.health_s is not None:
            loops.append(self._health_loop(self._edge.health_s))
        if (remote := self._remote) is not None:
            beat = functools.partial(self._pulse.beat, "remote")
            loops.append(Loop("remote", lambda: remote.run(self._stop, beat)))
        with contextlib.ExitStack() as end:  # each of these, whatever becomes of the one before
            end.callback(self._close)
            end.callback(self._uplink.stop)
            end.callback(self._join, loops)
            end.callback(lambda: None if self.again else self._supervisor.stopping())
            self._uplink.start()
            for loop in loops:
                loop.start()
            self._supervisor.ready(f"{len(self._edge.sensors)} sensors")
            self._look_after([*loops, self._uplink.thread])

    def _introduce(self) -> None:
        capacity_in_words = units.in_words(self.capacity_hours() * 3600)
        if any(sensor.raised for sensor in self._edge.sensors):
            at_raised = units.in_words(self.capacity_hours(raised=True) * 3600)
            capacity_in_words += f", {at_raised} at the raised intervals"
        log.info(
            "device %s/%s, sensors: %d, log %s; offline capacity %s",
            self._edge.tenant,
            self._edge.device,
            len(self._edge.sensors),
            self.spool.opening,
            capacity_in_words,
        )
        waiting = self.spool.depth()[0]
        if waiting:
            log.info("%d samples of earlier openings wait for a receipt", waiting)

    def _bus_loop(self, name: str) -> Loop:
        sampling = Sampling(
            self._bus_of(self._edge.buses[name]),
            [sensor for sensor in self._edge.sensors if sensor.bus == name],
            self._profiles,
            self._clock,
            self._stamper,
            self._take,
            self._mark,
            functools.partial(self._pulse.beat, f"bus {name}"),
            self._orders,
        )
        return Loop(f"bus {name}", lambda: sampling.run(self._stop))

    def _health_loop(self, every_s: float) -> Loop:
        health = Health(self._edge.device, self.spool, self._edge.spool.path.parent, self._clock)
        beat = functools.partial(self._pulse.beat, "health")
        return Loop("health", lambda: health.run(every_s, self._stamper, self._take, self._stop, beat))

    def _take(self, stamp: Stamp, readings: Sequence[Reading], raised: bool) -> None:
        sample = self.spool.append(stamp.observed_ms, stamp.clk, readings, stamp.moment, raised)
        self._mark("spooled")
        self._uplink.live(sample)
        self._mark("published")

    def _look_after(self, loops: Sequence[Loop]) -> None:
        """Commit when it is time, until stopped. Raises what ended a thread."""
        commit_due = time.monotonic() + self._edge.spool.commit_interval_s
        while not self._stop.wait(max(0.0, min(TURN_S, commit_due - time.monotonic()))):
            if time.monotonic() >= commit_due:
                commit_due = time.monotonic() + self._edge.spool.commit_interval_s
                self._commit()
            for loop in loops:
                if loop.died is not None:
                    raise loop.died
            self._supervisor.alive(self._pulse.stuck)

    def _join(self, loops: Sequence[Loop]) -> None:
        self._halt()
        for loop in loops:
            loop.join(END_S)

    def _close(self) -> None:
        """The last commit. Samples that the card does not take are gone with this process, unless they went out."""
        try:
            try:
                self.waiting = self.spool.depth()[0]
            finally:
                self.spool.close()
        except sqlite3.OperationalError as e:
            log.error("the spool %s cannot be written (%s); what was read since is lost", self._edge.spool.path, e)

    # --- what the device says of itself --------------------------------------------------------------------------

    def capacity_hours(self, raised: bool = False) -> float:
        """For how long the spool holds every sample as configured: at the ordinary or at the raised intervals."""
        rate = capacity.bytes_per_s(self._edge, raised)
        return capacity.hours(self._edge.spool.max_bytes, rate) or 0.0

    def birth(self) -> dict[str, object]:
        """Version, profiles by content hash, channels with unit and reporting contract, capacity."""
        used = sorted({s.profile for s in self._edge.sensors})
        return {
            "agent": __version__,
            "boot": self._clock.boot,
            "profiles": {name: self._profiles[name].digest for name in used},
            "channels": [self._contract(s, name) for s in self._edge.sensors for name in s.channels],
            "spool": {
                "max_bytes": self._edge.spool.max_bytes,
                "hours": round(self.capacity_hours(), 1),
                "hours_raised": round(self.capacity_hours(raised=True), 1),
            },
            "commit_interval_s": self._edge.spool.commit_interval_s,
            "delivery": self._edge.delivery,
        }

    def diagnosis(self) -> dict[str, Any]:
        """For whoever asks from afar; no secrets: names, numbers, and the last lines of the log."""
        try:
            waiting: int | None = self.spool.depth()[0]
        except sqlite3.Error:
            waiting = None
        health = Health(self._edge.device, self.spool, self._edge.spool.path.parent, self._clock)
        return {
            "agent": __version__,
            "boot": self._clock.boot,
            "since_ms": self._since_ms,
            "clock": self._clock.sync_state().value,
            "spool": {"waiting": waiting, "opening": self.spool.opening, "notices": self.spool.notices()},
            "health": {r.channel: r.value for r in health.readings()},
            "sensors": {s.name: {"bus": s.bus, "profile": s.profile} for s in self._edge.sensors},
            "stuck": [f"{loop}: {s:.0f} s" for loop, s in self._pulse.stuck()],
            "log": self._last_words(),
        }

    def _contract(self, sensor: settings.Sensor, name: str) -> dict[str, object]:
        """What a channel promises: how often it reports at least (`heartbeat_s`), how often while raised, and what
        raises it, in its unit."""
        value = self._profiles[sensor.profile].value(name)
        out: dict[str, object] = {
            "station": sensor.station,
            "channel": sensor.channels[name],
            "unit": units.QUANTITIES[value.quantity].unit if value else "",
            "interval_s": sensor.interval_s,
            "heartbeat_s": sensor.interval_s,
        }
        if sensor.raised is not None:
            out["interval_raised_s"] = sensor.raised.interval_s
            for trigger in sensor.raised.triggers:
                if trigger.value == name and not trigger.rate:
                    out["raised_above" if trigger.upwards else "raised_below"] = trigger.at
        return out

    def _status(self, state: str, reason: str) -> bytes:
        return wire.encode(wire.DeviceStatus(state, self._clock.boot, self._since_ms, reason))

    # --- committing --------------------------------------------------------------------------------------------

    def _commit(self) -> None:
        """A card that refuses a commit is tried again; the samples stay in memory and may still go out live. A file
        that is damaged is set aside at the next start: that ends this run. Raises Damaged."""
        with contextlib.suppress(sqlite3.Error):  # the spool says it, once, and tells staff
            self.spool.commit()
            self._mark("committed")
