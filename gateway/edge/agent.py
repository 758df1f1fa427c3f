"""The edge agent: samples sensors, spools, publishes. One thread a bus, so that a slow bus holds up no other; one
that commits the spool; one for the uplink. It runs unattended: whatever a sensor does becomes a fault in a sample.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import msgspec

from gateway import __version__, settings, units, wire
from gateway.clock import Clock
from gateway.disk import DISK, Disk
from gateway.edge.buses.modbus_tcp import ModbusTcp
from gateway.edge.spool import Spool
from gateway.edge.uplink import Uplink
from gateway.errors import FaultCode
from gateway.model import Reading
from gateway.profiles import Profile, Words, decode

log = logging.getLogger(__name__)

ROW_BYTES = 48  # of a spooled sample beside its body: key, time, clock state, page overhead
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Bus(Protocol):
    """How a sensor is read. Never raises for what a sensor or its bus does."""

    def read(self, unit_id: int, profile: Profile) -> Words | FaultCode: ...

    def close(self) -> None: ...


BUSES = {settings.ModbusTcp: ModbusTcp}


class Agent:
    """One device. `run` returns when `stop` was called."""

    def __init__(
        self,
        edge: settings.Edge,
        profiles: Mapping[str, Profile],
        clock: Clock,
        mark: Callable[[str], None] = lambda _: None,
        disk: Disk = DISK,
    ) -> None:
        """`mark` is called at the points where a crash matters: read, spooled, published, committed."""
        self._edge, self._profiles, self._clock, self._mark = edge, profiles, clock, mark
        self._stop = threading.Event()
        self.spool = Spool(edge.spool.path, edge.spool.max_bytes, clock.now_ms(), disk=disk)
        self._since_ms = clock.now_ms()
        self._boot = BOOT_ID.read_text().strip() if BOOT_ID.exists() else "unknown"
        self._uplink = Uplink(edge, self.spool, wire.encode(self.birth()), self._status)
        self._last_ms: dict[tuple[str, str], int] = {}
        self._failing: dict[str, int] = {}
        self.waiting = 0  # samples not settled when the agent ended

    def stop(self) -> None:
        self._stop.set()

    def run(self) -> None:
        """Sample and publish until stopped; then commit, and leave the rest in the spool."""
        hours = self.capacity_hours()
        log.info(
            "device %s/%s, sensors: %d, log %s; offline capacity %s",
            self._edge.tenant,
            self._edge.device,
            len(self._edge.sensors),
            self.spool.opening,
            units.in_words(hours * 3600),
        )
        waiting = self.spool.depth()[0]
        if waiting:
            log.info("%d samples of earlier openings wait for a receipt", waiting)
        self._uplink.start()
        threads = [
            threading.Thread(target=self._sample_bus, args=(name,), name=f"bus {name}") for name in self._edge.buses
        ]
        for thread in threads:
            thread.start()
        try:
            self._commit_until_stopped()
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()
            self._commit()
            self._uplink.stop()
            self.waiting = self.spool.depth()[0]
            self.spool.close()

    # --- what the device says of itself --------------------------------------------------------------------------

    def capacity_hours(self) -> float:
        """For how long the spool holds every sample of the sensors as configured, by the size of their rows."""
        rate = 0.0
        for sensor in self._edge.sensors:
            body = msgspec.json.encode([(sensor.station, c, "unit", 123.456, None) for c in sensor.channels.values()])
            rate += (len(body) + ROW_BYTES) / sensor.interval_s
        return self._edge.spool.max_bytes / rate / 3600 if rate else 0.0

    def birth(self) -> dict[str, object]:
        """Version, profiles by content hash, channels with unit and reporting contract, capacity."""
        channels = []
        for sensor in self._edge.sensors:
            profile = self._profiles[sensor.profile]
            for name, channel in sensor.channels.items():
                value = profile.value(name)
                unit = units.QUANTITIES[value.quantity].unit if value else ""
                channels.append(
                    {"station": sensor.station, "channel": channel, "unit": unit, "interval_s": sensor.interval_s}
                )
        used = sorted({s.profile for s in self._edge.sensors})
        return {
            "agent": __version__,
            "boot": self._boot,
            "profiles": {name: self._profiles[name].digest for name in used},
            "channels": channels,
            "spool": {"max_bytes": self._edge.spool.max_bytes, "hours": round(self.capacity_hours(), 1)},
            "commit_interval_s": self._edge.spool.commit_interval_s,
            "delivery": self._edge.delivery,
        }

    def _status(self, state: str, reason: str) -> bytes:
        return wire.encode(wire.DeviceStatus(state, self._boot, self._since_ms, reason))

    # --- sampling ----------------------------------------------------------------------------------------------

    def _sample_bus(self, name: str) -> None:
        """Read the sensors of one bus when each is due. A reading that was missed is not made up for."""
        configured = self._edge.buses[name]
        bus: Bus = BUSES[type(configured)](configured)
        start = self._clock.now_ms()
        due = {sensor.name: start for sensor in self._edge.sensors if sensor.bus == name}
        sensors = {sensor.name: sensor for sensor in self._edge.sensors}
        try:
            while due and not self._stop.is_set():
                next_name = min(due, key=due.__getitem__)
                if not self._clock.wait_until(due[next_name], self._stop):
                    break
                sensor = sensors[next_name]
                step = round(sensor.interval_s * 1000)
                late = self._clock.now_ms() - due[next_name]  # before the read, which a simulated clock may wait for
                self._sample(sensor, bus)
                due[next_name] += step * max(1, late // step + 1)
        finally:
            bus.close()

    def _sample(self, sensor: settings.Sensor, bus: Bus) -> None:
        profile = self._profiles[sensor.profile]
        at_ms = self._clock.now_ms()
        raw = bus.read(sensor.unit_id, profile)
        self._mark("read")
        values = dict.fromkeys(sensor.channels, raw) if isinstance(raw, FaultCode) else decode(profile, raw)
        self._note_failure(sensor, raw if isinstance(raw, FaultCode) else None)
        readings = []
        for name, channel in sensor.channels.items():
            value, declared = values[name], profile.value(name)
            assert declared is not None  # the configuration was checked
            unit = units.QUANTITIES[declared.quantity].unit
            if isinstance(value, FaultCode):
                readings.append(Reading(sensor.station, channel, unit, fault=value))
            else:
                readings.append(Reading(sensor.station, channel, unit, value=value))
        # Times of a channel rise strictly, whatever the clock does: a series has one value a millisecond.
        key = (sensor.station, sensor.name)
        at_ms = max(at_ms, self._last_ms.get(key, 0) + 1)
        self._last_ms[key] = at_ms
        sample = self.spool.append(at_ms, self._clock.sync_state(), readings)
        self._mark("spooled")
        self._uplink.live(sample)
        self._mark("published")

    def _note_failure(self, sensor: settings.Sensor, fault: FaultCode | None) -> None:
        """Say the first failure and the recovery with the count; what lies between is in the data."""
        failures = self._failing.get(sensor.name, 0)
        if fault is not None:
            if failures == 0:
                log.warning("sensor %s at %s: %s; a fault is sent instead", sensor.name, sensor.station, fault.sentence)
            self._failing[sensor.name] = failures + 1
        elif failures:
            log.info("sensor %s at %s answers again after %d failures", sensor.name, sensor.station, failures)
            self._failing[sensor.name] = 0

    # --- committing --------------------------------------------------------------------------------------------

    def _commit_until_stopped(self) -> None:
        while not self._stop.wait(self._edge.spool.commit_interval_s):
            self._commit()

    def _commit(self) -> None:
        """A card that refuses a commit is tried again; the samples stay in memory and may still go out live."""
        try:
            self.spool.commit()
        except sqlite3.Error as e:
            if not self._failing.get("spool"):
                log.error("the spool %s cannot be written (%s); samples wait in memory", self._edge.spool.path, e)
            self._failing["spool"] = self._failing.get("spool", 0) + 1
        else:
            self._mark("committed")
            if self._failing.get("spool"):
                log.info("the spool can be written again after %d failures", self._failing["spool"])
                self._failing["spool"] = 0
