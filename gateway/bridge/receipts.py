"""Sends receipts: due receipts are a set of devices, not a queue; the latest committed state wins. A receipt that
covers a live sample leaves at once, at most five a second per device; any other at most once a second.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from gateway import wire
from gateway.bridge.work import Device, Memory

LIVE_GAP_S = 0.2
OTHER_GAP_S = 1.0
IDLE_S = 60.0
STUCK_S = 30.0  # a round that takes longer hangs


class Receipts:
    """`publish(topic, payload)` returns whether the broker was given it; otherwise the receipt stays due."""

    def __init__(
        self,
        memory: Memory,
        publish: Callable[[str, bytes], bool],
        beat: Callable[[str, float], None] = lambda _loop, _s: None,
    ) -> None:
        """`beat(loop, within_s)` hears on each round by when the next one comes."""
        self._memory, self._publish, self._beat = memory, publish, beat
        self._due: dict[Device, float] = {}  # device -> earliest time to send
        self._sent: dict[Device, float] = {}
        self._changed = threading.Condition()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="receipts", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Send what is due, as far as the connection still takes it, and end."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._thread.join(5.0)

    def due(self, devices: dict[Device, bool]) -> None:
        """Only after COMMIT. True: a live sample waits for it."""
        if not devices:
            return
        now = time.monotonic()
        with self._changed:
            for device, live in devices.items():
                at = max(now, self._sent.get(device, -OTHER_GAP_S) + (LIVE_GAP_S if live else OTHER_GAP_S))
                self._due[device] = min(at, self._due.get(device, at))
            self._changed.notify_all()

    def _run(self) -> None:
        while True:
            self._beat("receipts", IDLE_S + STUCK_S)
            with self._changed:
                now = time.monotonic()
                ready = [d for d, at in self._due.items() if at <= now or self._stopped]
                if not ready:
                    if self._stopped:
                        return
                    self._changed.wait(min(self._due.values(), default=now + IDLE_S) - now)
                    continue
                for device in ready:
                    del self._due[device]
            for device in ready:
                self._send(device)

    def _send(self, device: Device) -> None:
        """Committed ledgers are never changed, only replaced, so this reads one without a lock."""
        ledger = self._memory.ledgers.get(device)
        receipt = ledger.receipt(self._memory.store) if ledger else None
        if receipt is None:
            return
        if self._publish(wire.topic(*device, "receipt"), wire.encode(receipt)):
            self._sent[device] = time.monotonic()
            return
        with self._changed:
            if not self._stopped:
                self._due.setdefault(device, time.monotonic() + OTHER_GAP_S)
