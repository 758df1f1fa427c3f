"""Takes messages from the broker in order, bounded, acknowledgements owed.

Two sessions, so that backlog can be held back without holding back live samples. What arrives waits in memory up to
a number of bytes, half of it for each session, so that backlog takes no room from live samples; beyond it the network
thread stops reading for a while and then lets the connection go, because a paused session is lost after about two
keepalives anyway. Nothing is lost by that: it was not acknowledged.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from gateway import settings, wire
from gateway.model import Message
from gateway.mqtt import Delivery, Session

log = logging.getLogger(__name__)

LIVE_KINDS = ("data", "spool", "birth", "status", "reply")
BATCH_BYTES = 524_288  # of one batch
LEAST_BYTES = 8192  # of backlog in one batch
BATCH_S = 0.2  # a live message waits for no more than one batch, so batches with backlog are made to last this long


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message and the session to which its acknowledgement is owed."""

    message: Message
    delivery: Delivery
    session: Session
    queue: str = "live"


@dataclass(slots=True)
class _Queue:
    """What arrived on one session. `held` counts bytes until they are stored; `let_go` how often in a row there was no
    room for too long."""

    waiting: deque[Arrival] = field(default_factory=deque)
    held: int = 0
    let_go: int = 0


class Receiver:
    """The live and the backlog session of a bridge."""

    def __init__(
        self,
        bridge: settings.Bridge,
        now_ms: Callable[[], int],
        uptime_ms: Callable[[], int],
        on_live_up: Callable[[], None],
        on_bridge: Callable[[Delivery], None],
    ) -> None:
        """`on_live_up` follows each connection of the live session, `on_bridge` each word of or to bridges; both on
        its network thread."""
        self._now_ms, self._uptime_ms, self._limit = now_ms, uptime_ms, bridge.max_held_bytes // 2
        self._pause_s = bridge.broker.keepalive_s / 2
        self._ready = threading.Condition()
        self._queues = {"live": _Queue(), "backlog": _Queue()}
        self._stopped = self.backlog_paused = False
        self._backlog_bytes, self._taken_s = 65_536.0, 0.0  # of backlog in a batch, by how long the last ones took
        self.listening_since_ms: int | None = None  # by `uptime_ms`, which nobody sets
        self._connected_s: float | None = None  # monotonic, as `_heard_s`
        self._heard_s = -math.inf  # the newest message that a device sent just now: not a retained one
        self._on_live_up, self._on_bridge = on_live_up, on_bridge
        root = f"{wire.ROOT}/+/+"
        self.live = Session(
            bridge.broker,
            f"{bridge.client_id}-live",
            persistent=True,
            subscribe=[*(f"{root}/{kind}" for kind in LIVE_KINDS), *(source.filter for source in bridge.sources)],
            listen=[wire.BRIDGE_STATUS, wire.BRIDGE_WHO],
            inflight=200,
            on_up=self._up,
            on_down=self._down,
            on_message=lambda d: self._arrived("live", self.live, d),
        )
        self.backlog = Session(
            bridge.broker,
            f"{bridge.client_id}-backlog",
            persistent=True,
            subscribe=[f"{root}/backlog"],
            level=logging.DEBUG,
            on_message=lambda d: self._arrived("backlog", self.backlog, d),
        )

    def start(self, will: bytes) -> None:
        """`will` is what the broker says of this bridge when it is cut off."""
        self.live.set_will((wire.BRIDGE_STATUS, will))
        self.live.start()
        if not self.backlog_paused:
            self.backlog.start()

    def stop(self, farewell: bytes | None) -> None:
        """None: another bridge has the place, and a farewell would speak for it."""
        with self._ready:
            self._stopped = True
            self._ready.notify_all()
        self.backlog.stop()
        self.live.stop(farewell=(wire.BRIDGE_STATUS, farewell) if farewell else None)

    def pause_backlog(self, on: bool) -> None:
        """End the backlog session for a while, or take it up again. What the devices sent already waits at the broker;
        they must be told, or the broker's queue fills and drops."""
        if on == self.backlog_paused:
            return
        with self._ready:
            self.backlog_paused = on
            self._ready.notify_all()
        if on:
            self.backlog.stop()
        else:
            self.backlog.start()

    def take(self, limit: int, timeout_s: float) -> list[Arrival]:
        """Up to `limit` messages and BATCH_BYTES, live ones first; waits for the first. They count as held until
        `done`."""
        with self._ready:
            if not any(queue.waiting for queue in self._queues.values()):
                self._ready.wait(timeout_s)
            out: list[Arrival] = []
            size = 0
            for name, queue in self._queues.items():
                most = BATCH_BYTES if name == "live" else min(BATCH_BYTES, size + self._backlog_bytes)
                while queue.waiting and len(out) < limit and size < most:
                    out.append(queue.waiting.popleft())
                    size += len(out[-1].delivery.payload)
            self._taken_s = time.monotonic()
            return out

    def done(self, arrivals: list[Arrival]) -> None:
        """The batch is safe: acknowledge it in the order of arrival, and make room."""
        for arrival in arrivals:
            arrival.session.ack(arrival.delivery)
        if any(arrival.queue == "backlog" for arrival in arrivals):
            self._pace(time.monotonic() - self._taken_s)
        with self._ready:
            for arrival in arrivals:
                self._queues[arrival.queue].held -= len(arrival.delivery.payload)
            for name, queue in self._queues.items():
                if queue.let_go and queue.held == 0:
                    log.info("the %s session flows again; it was let go %d times", name, queue.let_go)
                    queue.let_go = 0
            self._ready.notify_all()

    def _pace(self, took_s: float) -> None:
        """A slow disk gets small batches, a fast one large ones."""
        if took_s > BATCH_S:
            self._backlog_bytes = max(LEAST_BYTES, self._backlog_bytes / 2)
        elif took_s < BATCH_S / 2:
            self._backlog_bytes = min(BATCH_BYTES, self._backlog_bytes * 1.5)

    @property
    def held_bytes(self) -> int:
        """Of messages taken from the broker and not yet done."""
        return sum(queue.held for queue in self._queues.values())

    def connected_for_s(self) -> float | None:
        """How long there is a connection; None while there is none."""
        since = self._connected_s
        return None if since is None else time.monotonic() - since

    def unheard_for_s(self) -> float:
        """How long no device has sent anything; infinite where none has yet."""
        return time.monotonic() - self._heard_s

    def reconnect(self) -> None:
        """Connect and subscribe anew, in case the broker has forgotten what we asked for."""
        self.live.drop()
        self.backlog.drop()

    def wake(self) -> None:
        """Let `take` return early."""
        with self._ready:
            self._ready.notify_all()

    # --- network threads ---------------------------------------------------------------------------------------

    def _up(self, _: Session) -> None:
        self.listening_since_ms, self._connected_s = self._uptime_ms(), time.monotonic()
        self._on_live_up()

    def _down(self) -> None:
        self.listening_since_ms = self._connected_s = None

    def _arrived(self, queue: str, session: Session, d: Delivery) -> None:
        if d.topic in (wire.BRIDGE_STATUS, wire.BRIDGE_WHO):
            self._on_bridge(d)
            return
        own = self._queues[queue]
        with self._ready:
            if not self._ready.wait_for(lambda: own.held <= self._limit or self._ending(queue), self._pause_s):
                if not own.let_go:
                    text = "the %s session holds %d bytes and none was stored for a while; letting it go"
                    log.warning(text, queue, own.held)
                own.let_go += 1
                session.drop()
                return
            if own.held > self._limit:
                return  # the session ends; it comes again
            if not d.retained:
                self._heard_s = time.monotonic()
            own.held += len(d.payload)
            message = Message(d.topic, d.payload, self._now_ms(), d.retained)
            own.waiting.append(Arrival(message, d, session, queue))
            self._ready.notify_all()

    def _ending(self, queue: str) -> bool:
        return self._stopped or (queue == "backlog" and self.backlog_paused)
