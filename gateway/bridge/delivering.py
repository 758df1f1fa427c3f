"""Everybody who delivers: one deliverer for each recipient that is configured, the lamps, and what media may spend.
Another configuration is taken over while they run: what is owed stays, in its order, with what is known of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from pathlib import Path

from gateway import settings
from gateway.bridge import notify
from gateway.bridge.delivery import GIVE_UP_AFTER_S, KEEP_S, Deliverer, Spending, quotas
from gateway.bridge.handing import Handing
from gateway.bridge.media import AlertTopic, Keeper, Lamp, Medium, medium_of
from gateway.bridge.notify import ALERT_TOPIC, Outcome
from gateway.disk import Disk
from gateway.stations import Registry


class Deliverers:
    """Of one bridge; called by the writer."""

    def __init__(
        self,
        store: Path,
        topic: AlertTopic,
        report: Callable[[Outcome], None],
        now_ms: Callable[[], int],
        disk: Disk,
    ) -> None:
        self._store, self._topic, self._report, self._now_ms, self._disk = store, topic, report, now_ms, disk
        self._handing = Handing.beside(store)
        self._all: dict[str, Deliverer] = {}  # those that retired too: one may still be at its last delivery
        self._known: dict[str, settings.Recipient] = {}
        self._lamps = Keeper([])
        self._started = False
        self.spending = Spending({}, now_ms)

    def adopt(self, bridge: settings.Bridge, registry: Registry) -> None:
        """Deliver as this configuration says from the next message on. A recipient that is configured no longer
        retires. Everything is made before anything is changed."""
        allowed = quotas(bridge, self._disk)
        watched = {(s.tenant, s.id, c.name) for s, c in registry.watched}
        media: dict[str, Medium] = {
            r.name: medium_of(r, self._store, self._disk, watched) for r in bridge.recipients
        } | ({ALERT_TOPIC: self._topic} if bridge.alert_topic else {})
        via, by_name = notify.media_of(bridge), {r.name: r for r in bridge.recipients}
        for name in self._all.keys() - media.keys():
            self._all[name].retire()
        for name, medium in media.items():
            to = by_name.get(name)
            keep_s = KEEP_S.get(to.medium, GIVE_UP_AFTER_S) if to else math.inf  # a state is never history
            quota = allowed.get(to.via or name) if to else None
            if (known := self._all.get(name)) is not None:
                known.adopt(medium, quota, keep_s, via[name], anew=to != self._known.get(name))
                continue
            self._all[name] = Deliverer(
                name,
                medium,
                self._store,
                self._report,
                self._now_ms,
                quota=quota,
                keep_s=keep_s,
                via=via[name],
                disk=self._disk,
                handing=self._handing,
            )
        self._known = by_name
        self._lamps.halt()
        self._lamps = Keeper([m for m in media.values() if isinstance(m, Lamp)])
        self.spending = Spending(allowed, self._now_ms)
        if self._started:
            self.start()

    def start(self) -> None:
        self._started = True
        for deliverer in self._all.values():
            deliverer.start()
            deliverer.wake()
        self._lamps.start()

    def wake(self, names: Collection[str]) -> None:
        for name in names:
            if (deliverer := self._all.get(name)) is not None:
                deliverer.wake()

    def halt(self) -> None:
        """Begin no further delivery. Waits for nothing."""
        for deliverer in self._all.values():
            deliverer.halt()
        self._lamps.halt()

    def stop(self) -> None:
        for deliverer in self._all.values():
            deliverer.stop()
        self._lamps.stop()
