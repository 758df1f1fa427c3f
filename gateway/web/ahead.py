"""The past is packed before somebody looks: quietly, a day of a channel at a time, so that the first look at a month of
any station is as quick as the second."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path

from gateway import storefile
from gateway.clock import Clock
from gateway.errors import Unavailable
from gateway.pastrows import DAY_MS, Past

log = logging.getLogger(__name__)
DAYS = 31
FIRST_S, AGAIN_S = 5.0, 3600.0
REST = 19  # times as long as a step took: a twentieth of one processor
LEAST_REST_S = 0.02
_CHANNELS = "SELECT id FROM channels ORDER BY id"


class Ahead:
    """`start` it once; `stop` waits for the step under way."""

    def __init__(
        self, past: Past, store: Path, clock: Clock, rest: float = REST, least_s: float = LEAST_REST_S
    ) -> None:
        self._past, self._store, self._clock = past, store, clock
        self._rest, self._least_s = rest, least_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="packing the past", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(5)

    def _run(self) -> None:
        wait = FIRST_S
        while not self._over.wait(wait):
            wait = AGAIN_S
            try:
                self.once()
            except Unavailable as e:  # there may be no store yet
                log.info("the past is not packed now: %s", e)
                wait = FIRST_S * 12

    def once(self) -> int:
        """All channels; how many days were packed. Raises Unavailable."""
        count, today = 0, self._clock.now_ms() // DAY_MS
        for (channel,) in storefile.rows(self._store, _CHANNELS):
            began = time.thread_time()
            for _ in self._past.ahead(self._store, channel, today - DAYS, today):
                count += 1
                if self._rested(time.thread_time() - began):
                    return count
                began = time.thread_time()
            if self._rested(time.thread_time() - began):
                return count
        return count

    def _rested(self, took_s: float) -> bool:
        """Whether it shall end."""
        return self._over.wait(max(self._least_s, took_s * self._rest))
