"""Takes messages from the broker in order, bounded, acknowledgements owed.

Two sessions, so that backlog can be held back without holding back live samples. What arrives waits in memory up to
a number of bytes; beyond it the network thread stops reading for a while and then lets the connection go, because a
paused session is lost after about two keepalives anyway. Nothing is lost by that: it was not acknowledged.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from gateway import settings, wire
from gateway.model import Message
from gateway.mqtt import Delivery, Session

log = logging.getLogger(__name__)

LIVE_KINDS = ("data", "spool", "birth", "status", "reply")


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message and the session to which its acknowledgement is owed."""

    message: Message
    delivery: Delivery
    session: Session


class Receiver:
    """The live and the backlog session of a bridge."""

    def __init__(
        self, bridge: settings.Bridge, store: str, now_ms: Callable[[], int], on_live_up: Callable[[Session], None]
    ) -> None:
        self._now_ms, self._limit = now_ms, bridge.max_held_bytes
        self._pause_s = bridge.broker.keepalive_s / 2
        self._held = 0
        self._ready = threading.Condition()
        self._queues: dict[str, deque[Arrival]] = {"live": deque(), "backlog": deque()}
        self._stopped = False
        self.subscribed_ms: int | None = None
        self._connected_s: float | None = None  # monotonic, as `_heard_s`
        self._heard_s = -math.inf  # the newest message that a device sent just now: not a retained one
        self._offline = wire.encode(wire.BridgeStatus("offline", store))
        self._on_live_up = on_live_up
        root = f"{wire.ROOT}/+/+"
        self.live = Session(
            bridge.broker,
            f"{bridge.client_id}-live",
            persistent=True,
            will=(wire.BRIDGE_STATUS, self._offline),
            subscribe=[f"{root}/{kind}" for kind in LIVE_KINDS],
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

    def start(self) -> None:
        self.live.start()
        self.backlog.start()

    def stop(self) -> None:
        with self._ready:
            self._stopped = True
            self._ready.notify_all()
        self.backlog.stop()
        self.live.stop(farewell=(wire.BRIDGE_STATUS, self._offline))

    def take(self, limit: int, timeout_s: float) -> list[Arrival]:
        """Up to `limit` messages, live ones first; waits for the first. They count as held until `done`."""
        with self._ready:
            if not any(self._queues.values()):
                self._ready.wait(timeout_s)
            out: list[Arrival] = []
            for queue in self._queues.values():
                while queue and len(out) < limit:
                    out.append(queue.popleft())
            return out

    def done(self, arrivals: list[Arrival]) -> None:
        """The batch is safe: acknowledge it in the order of arrival, and make room."""
        for arrival in arrivals:
            arrival.session.ack(arrival.delivery)
        with self._ready:
            self._held -= sum(len(a.delivery.payload) for a in arrivals)
            self._ready.notify_all()

    @property
    def held_bytes(self) -> int:
        """Of messages taken from the broker and not yet done."""
        return self._held

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

    def _up(self, session: Session) -> None:
        self.subscribed_ms, self._connected_s = self._now_ms(), time.monotonic()
        self._on_live_up(session)

    def _down(self) -> None:
        self.subscribed_ms = self._connected_s = None

    def _arrived(self, queue: str, session: Session, d: Delivery) -> None:
        with self._ready:
            waited = self._ready.wait_for(lambda: self._held <= self._limit or self._stopped, self._pause_s)
            if not waited:
                log.warning(
                    "the %s session holds %d bytes and none was stored for a while; letting it go", queue, self._held
                )
                session.drop()
                return
            if not d.retained:
                self._heard_s = time.monotonic()
            self._held += len(d.payload)
            message = Message(d.topic, d.payload, self._now_ms(), d.retained)
            self._queues[queue].append(Arrival(message, d, session))
            self._ready.notify_all()
