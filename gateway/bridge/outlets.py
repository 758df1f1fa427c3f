"""What the bridge writes for others beside alerts and InfluxDB, each by a thread of its own: the CAP feed, the sheet on
paper, a context broker. None of them delays a batch, and each says why it waits."""

from __future__ import annotations

from collections.abc import Callable

from gateway import settings
from gateway.bridge.capfeed import Feed
from gateway.bridge.orion import Pusher, pusher
from gateway.bridge.papers import Papers
from gateway.bridge.work import Work
from gateway.disk import Disk
from gateway.errors import NoticeCode
from gateway.stations import Registry


class Outlets:
    """Those that the configuration names. `registry` is the one in force."""

    def __init__(
        self,
        bridge: settings.Bridge,
        registry: Callable[[], Registry],
        now_ms: Callable[[], int],
        disk: Disk,
        beat: Callable[[str, float], None] = lambda _loop, _s: None,
    ) -> None:
        self.feed = Feed(bridge.cap, bridge.store, now_ms, disk) if bridge.cap else None
        self.papers = Papers(bridge.paper, bridge.store, registry, now_ms, disk) if bridge.paper else None
        self.orion: Pusher | None = pusher(bridge, registry, now_ms, disk, beat)
        self._told = [
            (NoticeCode.CAP_WAITS, self.feed),
            (NoticeCode.PAPER_WAITS, self.papers),
            (NoticeCode.ORION_WAITS, self.orion),
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
