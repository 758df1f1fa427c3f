"""A transport without a network: it stands where the uplink's MQTT session stands. The test is the broker."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway import settings, wire
from gateway.edge.uplink import Transport
from gateway.mqtt import Delivery


@dataclass(frozen=True, slots=True)
class Published:
    """A message as it was handed over."""

    mid: int
    topic: str
    payload: bytes
    retain: bool

    @property
    def kind(self) -> str:
        return self.topic.rpartition("/")[2]

    @property
    def pack(self) -> wire.Pack:
        return wire.decode_pack(self.payload)

    @property
    def numbers(self) -> list[int]:
        """The sequence numbers in a pack."""
        return [sample.seq for sample in self.pack.samples]


class FakeTransport:
    """Keeps what is published in `sent`, in order, for the test to take, acknowledge or lose."""

    def __init__(
        self,
        broker: settings.Broker,
        client_id: str,
        *,
        will: tuple[str, bytes],
        subscribe: Sequence[str],
        inflight: int,
        resend: bool,
        on_up: Callable[[Transport], None],
        on_message: Callable[[Delivery], None],
        on_published: Callable[[int], None],
    ) -> None:
        assert not resend  # a lost connection takes with it what had no PUBACK
        self.client_id, self.will, self.subscribed = client_id, will, list(subscribe)
        self._on_up, self._on_message, self._on_published = on_up, on_message, on_published
        self.connected = threading.Event()
        self.started = self.stopped = False
        self.sent: list[Published] = []
        self.acknowledged: list[int] = []
        self._mids = self._deliveries = 0

    # --- what the uplink calls ---------------------------------------------------------------------------------------

    def start(self) -> None:
        self.started = True

    def stop(self, farewell: tuple[str, bytes] | None = None) -> None:
        if farewell is not None:
            self.publish(*farewell, retain=True)
        self.stopped = True
        self.connected.clear()

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> int | None:
        if not self.connected.is_set():
            return None
        self._mids += 1
        self.sent.append(Published(self._mids, topic, payload, retain))
        return self._mids

    def ack(self, delivery: Delivery) -> None:
        self.acknowledged.append(delivery.mid)

    # --- what the test does ------------------------------------------------------------------------------------------

    def up(self) -> None:
        self.connected.set()
        self._on_up(self)

    def down(self) -> None:
        self.connected.clear()

    def puback(self, *mids: int) -> None:
        for mid in mids:
            self._on_published(mid)

    def deliver(self, topic: str, payload: bytes, retained: bool = False) -> None:
        self._deliveries += 1
        self._on_message(Delivery(topic, payload, retained, self._deliveries, 1, 1))

    def take(self, kind: str | None = None) -> list[Published]:
        """What was published since, of one kind or of all; it is taken out."""
        found = [m for m in self.sent if kind in (None, m.kind)]
        self.sent = [m for m in self.sent if kind not in (None, m.kind)]
        return found
