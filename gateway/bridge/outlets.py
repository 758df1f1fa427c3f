"""What the bridge does for others beside alerts and InfluxDB, each by a thread of its own: the CAP feed, the sheet on
paper, a context broker, and the bulletins of others that it reads. None of them delays a batch, and each says why it
waits."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

from gateway import bulletinstanding, orionstanding, settings, storefile
from gateway.bridge import bulletins
from gateway.bridge.bulletins import Reader
from gateway.bridge.capfeed import Feed
from gateway.bridge.orion import Made, Pusher, pusher
from gateway.bridge.papers import Papers
from gateway.bridge.work import Work
from gateway.disk import Disk
from gateway.errors import NoticeCode
from gateway.orionstanding import Standing
from gateway.stations import Registry

MADE = "orion_made"
NOTED_MS = 60_000  # how often it is noted that the broker answered, and nothing else


class Outlets:
    """Those that the configuration names. `registry` is the one in force."""

    def __init__(
        self,
        bridge: settings.Bridge,
        registry: Callable[[], Registry],
        now_ms: Callable[[], int],
        disk: Disk,
        beat: Callable[[str, float], None] = lambda _loop, _s: None,
        keep: Callable[[str, str], bool] = lambda _key, _text: True,
    ) -> None:
        """`keep` writes a word of the store's table `meta`; called by the writer alone."""
        self._keep, self._now_ms = keep, now_ms
        self._store, self._disk = bridge.store, disk
        self._standing, self._stood_ms = Standing(), 0
        self.feed = Feed(bridge.cap, bridge.store, now_ms, disk) if bridge.cap else None
        self.papers = Papers(bridge.paper, bridge.store, registry, now_ms, disk) if bridge.paper else None
        self.orion: Pusher | None = pusher(bridge, registry, now_ms, disk, beat, _made(bridge, disk))
        self._made: Made = self.orion.made if self.orion is not None else {}
        self.bulletins: Reader | None = bulletins.reader(bridge, now_ms, disk, beat)
        self._heard, self._heard_ms = bulletinstanding.Standing(), 0
        self._read: dict[str, int] = {}
        self._told = [
            (NoticeCode.CAP_WAITS, self.feed),
            (NoticeCode.PAPER_WAITS, self.papers),
            (NoticeCode.ORION_WAITS, self.orion),
            (NoticeCode.BULLETINS_UNHEARD, self.bulletins),
        ]

    def start(self) -> None:
        for _, outlet in self._told:
            if outlet is not None:
                outlet.start()

    def stop(self) -> None:
        for _, outlet in self._told:
            if outlet is not None:
                outlet.stop()

    def documents(self) -> None:
        """There may be a new CAP document."""
        if self.feed is not None:
            self.feed.wake()

    def conditions(self, work: Work) -> None:
        for code, outlet in self._told:
            if outlet is not None:
                work.notice(code, outlet.failing is not None, detail=outlet.failing or "")
        if self.orion is not None:
            self._note(self.orion)
        if self.bulletins is not None:
            self._receive(self.bulletins, work)

    def _note(self, orion: Pusher) -> None:
        """Into the store: how the push stands, for other processes, and what stands at the broker, for the next."""
        if orion.made is not self._made:
            made = orion.made
            if self._keep(MADE, json.dumps(made)):
                self._made = made
        new, now_ms = orion.standing, self._now_ms()
        other = replace(new, answer_ms=None) != replace(self._standing, answer_ms=None)
        due = other or (new != self._standing and abs(now_ms - self._stood_ms) >= NOTED_MS)
        if due and self._keep(orionstanding.KEY, orionstanding.text(new)):
            self._standing, self._stood_ms = new, now_ms

    def _receive(self, reader: Reader, work: Work) -> None:
        """Bulletins into the journal, and once they stand there, that they were read; how the reading stands."""
        if waiting := reader.waiting():
            there = bulletins.standing_rows(self._store, waiting, self._disk)
            reader.settle(there)
            work.entries.extend(row for key, row in waiting.items() if key not in there)
        if (read := reader.read()) != self._read and self._keep(bulletinstanding.READ, json.dumps(read)):
            self._read = read
        new, now_ms = reader.standing, self._now_ms()
        other = replace(new, heard_ms=None) != replace(self._heard, heard_ms=None)
        due = other or (new != self._heard and abs(now_ms - self._heard_ms) >= NOTED_MS)
        if due and self._keep(bulletinstanding.KEY, bulletinstanding.text(new)):
            self._heard, self._heard_ms = new, now_ms


def _made(bridge: settings.Bridge, disk: Disk) -> Made:
    """What stood at the broker by us when the bridge before ended."""
    if bridge.orion is None:
        return {}
    found = storefile.rows(bridge.store, "SELECT value FROM meta WHERE key = ?", (MADE,), disk)
    made: Made = json.loads(found[0][0]) if found else {}
    return made
