"""Reads the sensors of one bus, each when it is due. Whatever a sensor or its bus does becomes a fault in a sample.

What is due is reckoned by uptime: a wall clock that is set by an hour or by ten years brings no burst and no pause.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol, runtime_checkable

from gateway import settings, units
from gateway.clock import Clock
from gateway.edge.burst import middle
from gateway.edge.orders import Orders
from gateway.edge.raising import Raising
from gateway.edge.stamping import Stamp, Stamper
from gateway.errors import FaultCode
from gateway.model import Reading
from gateway.profiles import Decoded, Profile, Raw, decode

log = logging.getLogger(__name__)

WAIT_MARGIN_S = 60.0  # a loop that comes round this much later than it said is stuck

Take = Callable[[Stamp, Sequence[Reading], bool], None]  # when, what, whether at the raised interval


class Bus(Protocol):
    """How a sensor is read. Never raises for what a sensor or its bus does."""

    where: str  # for people: the address of the bus

    def patience_s(self, profile: Profile) -> float:
        """No read takes longer."""
        ...

    def read(self, sensor: settings.Sensor, profile: Profile) -> Raw | FaultCode: ...

    def close(self) -> None: ...


@runtime_checkable
class Telling(Protocol):
    """A bus that has something to say of a sensor between its readings."""

    def on_change(self, ring: Callable[[], None]) -> None:
        """`ring` is called, on any thread, where a sensor is to be read now."""
        ...

    def changed(self) -> Collection[str]:
        """The sensors that are to be read now."""
        ...


class Sampling:
    """The sensors of one bus. `run` on a thread of its own, so that a slow bus holds up no other."""

    def __init__(
        self,
        bus: Bus,
        sensors: Sequence[settings.Sensor],
        profiles: Mapping[str, Profile],
        clock: Clock,
        stamper: Stamper,
        take: Take,
        mark: Callable[[str], None] = lambda _: None,
        beat: Callable[[float], None] = lambda _: None,
        orders: Orders | None = None,
    ) -> None:
        """`take` is given each sample; `beat` hears, on every round, within how many seconds the next one comes;
        `orders` are those from afar, whose bell whoever stops it must ring; a bus that tells changes needs them."""
        self._orders = orders or Orders()
        self._bell = self._orders.bell() if orders else None
        self._telling = bus if isinstance(bus, Telling) else None
        if self._telling is not None and self._bell is not None:
            self._telling.on_change(self._bell.set)
        self._bus, self._sensors, self._profiles = bus, {s.name: s for s in sensors}, profiles
        self._clock, self._stamper, self._take, self._mark, self._beat = clock, stamper, take, mark, beat
        self._raising = {s.name: Raising(s.raised, profiles[s.profile]) for s in sensors}
        self._failing: dict[str, int] = {}
        self._power_ms: dict[str, int | None] = {}  # since when by uptime a sensor has had power, as far as we know
        self._stop = threading.Event()

    def run(self, stop: threading.Event) -> None:
        """Read until stopped. A reading that was missed is not made up for: a sensor slower than its interval is read
        again at the next multiple, and keeps no other waiting longer than one read."""
        due = dict.fromkeys(self._sensors, self._clock.uptime_ms())
        self._stop, self._power_ms = stop, dict(due)
        try:
            while due and not stop.is_set():
                name = min(due, key=due.__getitem__)
                self._beat(max(0, due[name] - self._clock.uptime_ms()) / 1000 + WAIT_MARGIN_S)
                if not self._clock.wait_uptime(due[name], self._bell or stop):
                    if self._bell is None or stop.is_set():
                        break
                    self._bell.clear()
                    due |= dict.fromkeys(self._wanted(due), self._clock.uptime_ms())
                    continue
                late = self._clock.uptime_ms() - due[name]  # before the read, which a simulated clock may wait for
                step = round(self._sample(self._sensors[name]) * 1000)
                due[name] += step * max(1, late // step + 1)
        finally:
            self._bus.close()

    def _wanted(self, sensors: Collection[str]) -> set[str]:
        """Those that are to be read now, by an order or because something changed at them."""
        changed = self._telling.changed() if self._telling is not None else ()
        return {*self._orders.due(sensors), *(name for name in changed if name in sensors)}

    def _sample(self, sensor: settings.Sensor) -> float:
        """Read once. Returns the seconds to the next read."""
        profile = self._profiles[sensor.profile]
        patience_s = self._bus.patience_s(profile) + profile.sampled.pause_s
        self._beat(sensor.burst * patience_s + WAIT_MARGIN_S)
        stamp = self._stamper.stamp(sensor.name)
        values, fault = self._values(sensor, profile)
        self._mark("read")
        self._note_failure(sensor, fault)
        raised = self._raise(sensor, values)
        readings = _readings(sensor, profile, values)
        if readings:
            self._take(stamp, readings, raised)
        self._orders.sampled(sensor.name, readings)
        own_s = sensor.raised.interval_s if raised and sensor.raised else sensor.interval_s
        return self._orders.interval_s(sensor.name, own_s, raised, self._clock.uptime_ms())

    def _values(self, sensor: settings.Sensor, profile: Profile) -> tuple[Decoded, FaultCode | None]:
        """The median of a burst, and why it broke off. A sensor that does not answer is not asked for the rest."""
        found, fault = list[Decoded](), None
        while len(found) < sensor.burst and fault is None and not (found and self._stop.is_set()):
            if found:
                self._clock.wait_uptime(self._clock.uptime_ms() + round(profile.sampled.pause_s * 1000), self._stop)
            raw = self._bus.read(sensor, profile)
            fault = raw if isinstance(raw, FaultCode) else None
            found.append(self._decoded(sensor, profile, raw))
        return middle(found, len(found) if fault is None else sensor.burst), fault

    def _decoded(self, sensor: settings.Sensor, profile: Profile, raw: Raw | FaultCode) -> Decoded:
        """What a reading says; nothing while the sensor warms up. One that did not answer may have lost its power."""
        now_ms = self._clock.uptime_ms()
        if isinstance(raw, FaultCode):
            self._power_ms[sensor.name] = None
            return dict.fromkeys((value.name for value in profile.values), raw)
        since = self._power_ms.get(sensor.name)
        if since is None:
            since = self._power_ms[sensor.name] = now_ms
        if now_ms - since < profile.sampled.warm_up_s * 1000:
            said = decode(profile, raw)  # that a count begins again is said once, and is true however cold it is
            lost, warm = FaultCode.COUNT_LOST, FaultCode.WARMING_UP
            return {value.name: lost if said.get(value.name) is lost else warm for value in profile.values}
        return decode(profile, raw) or dict.fromkeys((value.name for value in profile.values), FaultCode.MALFORMED)

    def _raise(self, sensor: settings.Sensor, values: Decoded) -> bool:
        """Whether this reading belongs to the raised interval, and the next one too."""
        raising = self._raising[sensor.name]
        before = raising.raised
        raised = raising.advance(values, self._clock.uptime_ms())
        if raised != before and sensor.raised is not None:
            every = units.in_words(sensor.raised.interval_s if raised else sensor.interval_s)
            log.info("sensor %s at %s is read every %s from now on", sensor.name, sensor.station, every)
        return raised

    def _note_failure(self, sensor: settings.Sensor, fault: FaultCode | None) -> None:
        """Say the first failure and the recovery with the count; what lies between is in the data."""
        failures = self._failing.get(sensor.name, 0)
        who = f"sensor {sensor.name} at {sensor.station}"
        if fault is not None:
            if failures == 0:
                where = f"bus {sensor.bus}, {self._bus.where}"
                log.warning("%s (%s): %s; a fault is sent instead", who, where, fault.sentence)
            self._failing[sensor.name] = failures + 1
        elif failures:
            log.info("%s answers again after %d failure%s", who, failures, "s" * (failures != 1))
            self._failing[sensor.name] = 0


def _readings(sensor: settings.Sensor, profile: Profile, values: Decoded) -> list[Reading]:
    """What was read, as the channels of the station; a value that the sensor left out is no reading."""
    readings = []
    for name, channel in sensor.channels.items():
        value, declared = values.get(name), profile.value(name)
        assert declared is not None  # the configuration was checked
        if value is None:
            continue
        unit = units.QUANTITIES[declared.quantity].unit
        if isinstance(value, FaultCode):
            readings.append(Reading(sensor.station, channel, unit, fault=value))
        else:
            readings.append(Reading(sensor.station, channel, unit, value=value))
    return readings
