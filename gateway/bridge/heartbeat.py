"""Tells somebody outside that this bridge commits: a dead one can raise no alarm about itself, so a watcher elsewhere
must miss its sign. A sign leaves only after a commit of messages, never because a timer says so: one that runs and
receives nothing gives none.
"""

from __future__ import annotations

import http.client
import logging
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable

log = logging.getLogger(__name__)

TIMEOUT_S = 10.0


class Heartbeat:
    """`committed()` may be called at any rate; at most one GET leaves every `every_s`. A watcher that does not answer
    delays nothing and nobody; it is told once and its recovery too. The address, often a secret, is in no message."""

    def __init__(self, url: str, every_s: float, beat: Callable[[str, float], None] = lambda _loop, _s: None) -> None:
        self._url, self._every_s, self._beat = url, every_s, beat
        self._due, self._stop = threading.Event(), threading.Event()
        self._failures = 0
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def committed(self) -> None:
        """A batch of messages is safe."""
        self._due.set()

    def stop(self) -> None:
        self._stop.set()
        self._due.set()
        self._thread.join(1.0)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._beat("heartbeat", 60.0 + TIMEOUT_S)
            if not self._due.wait(30.0) or self._stop.is_set():
                continue
            self._due.clear()
            begun = time.monotonic()
            self._send()
            self._wait(begun + self._every_s)

    def _wait(self, until: float) -> None:
        while (left := until - time.monotonic()) > 0 and not self._stop.is_set():
            self._beat("heartbeat", 60.0 + TIMEOUT_S)
            self._stop.wait(min(left, 30.0))

    def _send(self) -> None:
        try:
            with urllib.request.urlopen(self._url, timeout=TIMEOUT_S):  # noqa: S310 - http(s) by configuration
                pass
        except urllib.error.HTTPError as e:
            e.close()
            self._failed(f"answered {e.code}")
        except (OSError, http.client.HTTPException, ValueError) as e:
            self._failed(type(getattr(e, "reason", e)).__name__)
        else:
            if self._failures:
                log.info("the heartbeat is heard again after %d failures", self._failures)
            self._failures = 0

    def _failed(self, why: str) -> None:
        if self._failures == 0:
            remedy = "Check heartbeat.url, and whether a firewall lets us out"
            log.warning("the heartbeat is not heard (%s); it is tried again after each commit. %s", why, remedy)
        self._failures += 1
