"""The bridge's signs of life: what it counts, whether its loops come round, and who is told: the supervisor, a watcher
outside, and those who look in through `watch`.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

from gateway import settings, storefile
from gateway.bridge.bulletins import Reader
from gateway.bridge.heartbeat import Heartbeat
from gateway.bridge.metrics import Look, Totals, text
from gateway.bridge.notify import media_of
from gateway.bridge.orion import Pusher
from gateway.bridge.receiver import Receiver
from gateway.bridge.reloading import Reloader
from gateway.bridge.room import Room
from gateway.bridge.watch import Health, Watch
from gateway.bridge.work import Memory, Work
from gateway.disk import Disk
from gateway.loops import Pulse
from gateway.stations import Registry
from gateway.systemd import Supervisor

WRITER_S = 60.0  # a commit that takes longer is a disk that hangs
FEED_S = 5.0  # at most so long between two signs to the supervisor

STATUSES = "SELECT tenant, device, status FROM devices"
OWED = "SELECT count(*) FROM outbox WHERE state = 'owed'"
WAITING = "SELECT coalesce(max(id), 0) FROM observations"


@dataclass(frozen=True, slots=True)
class Sight:
    """What the vitals look at. `position` is the row that InfluxDB has, None without InfluxDB; `believed` whether the
    bridge's clock is, `reloader` knows the configuration in force."""

    registry: Registry
    memory: Memory
    receiver: Receiver
    room: Room
    position: Callable[[], int | None]
    believed: Callable[[], bool]
    reloader: Reloader
    orion: Pusher | None = None
    bulletins: Reader | None = None


class Vitals:
    """Of one bridge. `round`, `committed` and `refused` are called by the writer; the rest by whoever looks."""

    def __init__(self, bridge: settings.Bridge, sight: Sight, supervisor: Supervisor, disk: Disk) -> None:
        """Raises Unavailable where the address to be watched at cannot be had."""
        self._bridge, self._sight, self._supervisor, self._disk = bridge, sight, supervisor, disk
        self.pulse = Pulse()
        self.totals = Totals()
        self._refusals = 0  # of the disk, since the start
        self._refused = False  # at the last try
        self._messages_s = 0.0
        self._fed = 0.0
        self.watch = Watch(bridge.watch, self.alive, self.ready, self.metrics) if bridge.watch else None
        to = bridge.heartbeat
        self._heartbeat = Heartbeat(to.url, to.every_s, self.pulse.beat) if to else None

    def start(self) -> None:
        """The bridge does its work from now on."""
        count = len(self._sight.registry.stations)
        self._supervisor.ready(f"{count} station{'s' * (count != 1)}")
        self.round()
        if self.watch:
            self.watch.start()
        if self._heartbeat:
            self._heartbeat.start()

    def stop(self) -> None:
        self._supervisor.stopping()
        if self.watch:
            self.watch.stop()
        if self._heartbeat:
            self._heartbeat.stop()

    # --- the writer ------------------------------------------------------------------------------------------

    def round(self) -> None:
        """The writer comes round. The supervisor is told from here alone: a writer that hangs says nothing."""
        self.pulse.beat("writer", WRITER_S)
        if time.monotonic() - self._fed >= min(FEED_S, (self._supervisor.watchdog_s or FEED_S) / 4):
            self._fed = time.monotonic()
            self._supervisor.alive(self.pulse.stuck)

    def committed(self, work: Work, took_s: float, messages: int) -> None:
        """Only after COMMIT returned."""
        self.totals = self.totals.after(work, took_s)
        self._refused = False
        if messages:
            self._messages_s = time.time()
            if self._heartbeat:
                self._heartbeat.committed()

    def refused(self) -> None:
        """The disk did not take a transaction; it is tried again."""
        self._refusals += 1
        self._refused = True

    def adopt(self, bridge: settings.Bridge, registry: Registry) -> None:
        """Another configuration is in force; where it is watched at stays as it is."""
        self._bridge, self._sight = bridge, replace(self._sight, registry=registry)

    # --- looks, on other threads -----------------------------------------------------------------------------

    def alive(self) -> Health:
        """Whether every loop comes round."""
        stuck = dict(self.pulse.stuck())
        names = sorted({*self.pulse.loops(), *stuck})
        return Health({name: f"{stuck[name]:.0f} s overdue" if name in stuck else None for name in names})

    def ready(self) -> Health:
        """Whether it can do its work: receive, and commit. InfluxDB is no part of that: alarms do not wait for it."""
        receiver = self._sight.receiver
        return Health(
            {
                "live": None if receiver.live.subscribed.is_set() else "not subscribed at the broker",
                "backlog": None
                if receiver.backlog.subscribed.is_set() or receiver.backlog_paused
                else "not subscribed at the broker",
                "store": "the disk refuses" if self._refused else None,
                **self.alive().checks,
            }
        )

    def metrics(self) -> bytes:
        """Raises Unavailable where the store cannot be read, ModuleNotFoundError without Prometheus' library."""
        return text(self.totals, self._look(), self._sight.memory)

    def _look(self) -> Look:
        sight = self._sight
        position = sight.position()
        stations: dict[tuple[str, str], int] = {}
        for (tenant, station, _), state in list(sight.memory.states.items()):
            place = (tenant, station)
            stations[place] = max(stations.get(place, 0), state.rank)
        return Look(
            commit_failures=self._refusals,
            committed_s=self._messages_s,
            connected={
                "live": sight.receiver.live.connected.is_set(),
                "backlog": sight.receiver.backlog.connected.is_set(),
            },
            held_bytes=sight.receiver.held_bytes,
            clock_believed=sight.believed(),
            devices=self._devices(),
            stations=Counter(stations.values()),
            owed=self._number(OWED),
            media=tuple(sorted(set(media_of(self._bridge).values()))),
            influx_waiting=max(0, self._number(WAITING) - position) if position is not None else 0,
            orion=(sight.orion.waiting, sight.orion.rejected) if sight.orion else (0, {}),
            bulletins=(sight.bulletins.failing is not None, sight.bulletins.fates) if sight.bulletins else (False, {}),
            room=sight.room.usage,
            pruned=sight.room.pruned,
            thinned=sight.room.thinned,
            configuration=sight.reloader.digest,
            configured_s=sight.reloader.in_force.since_ms / 1000,
            reloads=dict(sight.reloader.counts),
        )

    def _devices(self) -> Counter[str]:
        """Of the configured ones, by the last word of each."""
        rows = storefile.rows(self._bridge.store, STATUSES, disk=self._disk)
        said = {(tenant, device): status for tenant, device, status in rows}
        return Counter(_state(said.get(device)) for device in self._sight.registry.devices)

    def _number(self, sql: str) -> int:
        return int(storefile.rows(self._bridge.store, sql, disk=self._disk)[0][0])


def _state(status: str | None) -> str:
    """online, offline or unheard."""
    try:
        said = json.loads(status or "{}").get("state")
    except (ValueError, AttributeError):
        said = None
    return said if said in ("online", "offline") else "unheard"
