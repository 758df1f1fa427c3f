"""The device of the backlog benchmark, a process of its own: fills a spool as an agent of yesterday left it, opens it
anew, and sends while it samples. Arguments: port, spool, samples, live interval in seconds. Prints one JSON object.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from pathlib import Path

from gateway import settings
from gateway.edge.spool import Spool
from gateway.edge.uplink import Uplink
from gateway.model import ClockState, Reading
from gateway.ranges import RangeSet

PATIENCE_S = 300.0
LEAST_LIVE = 100  # live samples, so that a percentile is one
TENANT, DEVICE, STATION = "bench", "bench-edge", "bench"


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def fill(path: Path, samples: int) -> str:
    """The samples of the last days, one a second; the name of their log."""
    spool = Spool(path, 512_000_000, now_ms())
    start = now_ms() - samples * 1000
    for n in range(samples):
        reading = Reading(STATION, "water_level", "m", value=1 + n % 1000 / 1000)
        spool.append(start + n * 1000, ClockState.SYNCED, [reading])
        if n % 10_000 == 0:
            spool.commit()
    spool.close()
    return spool.opening


class Live:
    """Samples at an interval, as an agent does, and notes when the receipt of each was heard."""

    def __init__(self, spool: Spool, uplink: Uplink, interval_s: float) -> None:
        self._spool, self._uplink, self._interval_s = spool, uplink, interval_s
        self.stop = threading.Event()
        self.waits: list[float] = []
        self._read: dict[int, float] = {}
        self._threads = [threading.Thread(target=work) for work in (self._sample, self._commit, self._watch)]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        self.stop.set()
        for thread in self._threads:
            thread.join()

    def _sample(self) -> None:
        due = time.monotonic()
        while not self.stop.wait(max(0.0, due - time.monotonic())):
            due += self._interval_s
            at = time.monotonic()
            sample = self._spool.append(
                now_ms(), ClockState.SYNCED, [Reading(STATION, "water_level", "m", value=1.234)]
            )
            self._read[sample.seq] = at
            self._uplink.live(sample)

    def _commit(self) -> None:
        while not self.stop.wait(1.0):
            self._spool.commit()

    def _watch(self) -> None:
        while not self.stop.wait(0.005) or self._read:
            settled, now = self._spool.settled(self._spool.opening), time.monotonic()
            for seq in [n for n in self._read.copy() if n in settled]:
                self.waits.append(now - self._read.pop(seq))
            if self.stop.is_set() and any(now - at > PATIENCE_S for at in self._read.values()):
                return


def main() -> None:
    port, path, samples, interval_s = int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    old = fill(path, samples)
    spool = Spool(path, 512_000_000, now_ms())
    broker = settings.Broker("127.0.0.1", port)
    edge = settings.Edge(TENANT, DEVICE, broker, settings.Spool(path), {}, ())
    uplink = Uplink(edge, spool, b'{"agent":"bench"}', lambda state, reason: b'{"state":"%s"}' % state.encode())
    began, cpu = time.monotonic(), time.process_time()
    uplink.start()
    live = Live(spool, uplink, interval_s)
    while spool.settled(old) != RangeSet([(1, samples)]) and time.monotonic() - began < PATIENCE_S:
        time.sleep(0.05)
    drained_s = time.monotonic() - began
    cpu_s = time.process_time() - cpu
    settled = spool.settled(old).count
    while len(live.waits) < LEAST_LIVE:
        time.sleep(0.05)
    live.end()
    uplink.stop()
    spool.close()
    waits = sorted(live.waits)
    result = {
        "settled": settled,
        "drained_s": drained_s,
        "cpu_s": cpu_s,
        "live": len(waits),
        "live_median_s": waits[len(waits) // 2],
        "live_p99_s": waits[min(len(waits) - 1, len(waits) * 99 // 100)],
        "live_max_s": waits[-1],
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
