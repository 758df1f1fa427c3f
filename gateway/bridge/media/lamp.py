"""A lamp or siren on the LAN: it shows the state of the house, not single notifications.

Each notification only says that something changed; what is shown is read from the store then: the highest rank of all
watched channels (an unconfirmed one from rank 4 on counts). So one that comes late, or twice, shows what is true now.
It is said again every minute, because a lamp forgets at a power cut, and silence changes nothing that is owed.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Sequence
from pathlib import Path

import msgspec

from gateway import settings, storefile
from gateway.bridge.media.answer import Refused, Unreached
from gateway.bridge.media.http import Answered, call, judged
from gateway.channelstate import ChannelState
from gateway.disk import DISK, Disk
from gateway.errors import MediumReason, Unavailable
from gateway.model import Condition

log = logging.getLogger(__name__)

UNCONFIRMED = 4  # from this rank on, what is not confirmed is shown too
EVERY_S = 60.0

Series = tuple[str, str, str]  # tenant, station, channel


class Lamp:
    """GET of the recipient's URL followed by what stands under the highest level reached; where that is 0 and something
    that is watched is not seen, by what stands under `lost`. `watched`: all others are stations of the past."""

    def __init__(
        self, to: settings.Recipient, store: Path, disk: Disk = DISK, watched: Collection[Series] | None = None
    ) -> None:
        self._to, self._store, self._disk, self._watched = to, store, disk, watched
        self._lock = threading.Lock()  # what was read first is shown first
        self.name = to.name

    def send(self, key: str, body: str) -> None:
        self.show()

    def show(self) -> None:
        """Show what is true now."""
        with self._lock:
            what = self._shown(self._states())
            if what is None:
                return  # below everything that it shows
            try:
                call(self._to.url + what, None, {}, self._to.timeout_s, method="GET")
            except Answered as e:
                raise judged(e) from None

    def _shown(self, states: list[ChannelState]) -> str | None:
        ranks = (max(s.rank, s.unconfirmed if s.unconfirmed >= UNCONFIRMED else 0) for s in states)
        rank = max(ranks, default=0)
        level = max((x for x in self._to.levels if x <= rank), default=None)
        blind = not states or any(s.condition is not Condition.FRESH for s in states)
        if blind and self._to.lost and not level:  # calm is shown only where everything is seen
            return self._to.lost
        return None if level is None else self._to.levels[level]

    def _states(self) -> list[ChannelState]:
        """Of what is watched; maintenance left out."""
        try:
            rows = storefile.rows(self._store, storefile.LATEST, (), self._disk)
        except Unavailable as e:
            raise Unreached(MediumReason.FAILED, str(e)) from None
        known: dict[Series, str] = {(tenant, station, channel): text for tenant, station, channel, _, text in rows}
        series = known if self._watched is None else self._watched
        found = (known.get(x) for x in series)
        states = [msgspec.json.decode(text, type=ChannelState) if text else ChannelState() for text in found]
        return [s for s in states if s.condition is not Condition.MAINTENANCE]


class Keeper:
    """Says to every lamp again what it is to show."""

    def __init__(self, lamps: Sequence[Lamp], every_s: float = EVERY_S) -> None:
        self._lamps, self._every_s = lamps, every_s
        self._failing = set[str]()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        if self._lamps and self._thread is None:
            self._thread = threading.Thread(target=self._run, name="lamps", daemon=True)
            self._thread.start()

    def halt(self) -> None:
        self._stop.set()

    def stop(self, timeout_s: float = 5.0) -> None:
        self.halt()
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._stop.is_set():
            for lamp in self._lamps:
                self._say(lamp)
            self._stop.wait(self._every_s)

    def _say(self, lamp: Lamp) -> None:
        try:
            lamp.show()
        except (Refused, Unavailable) as e:
            if lamp.name not in self._failing:
                log.warning("the lamp %s does not take what it is to show: %s", lamp.name, e)
            self._failing.add(lamp.name)
        else:
            if lamp.name in self._failing:
                log.info("the lamp %s takes what it is to show again", lamp.name)
            self._failing.discard(lamp.name)
