"""How much backlog is sent at once: enough to keep the link full, and never so much that a live sample waits behind it.
Pure: sizes in bytes, times in monotonic seconds, all given.
"""

from __future__ import annotations

import math

PACK_BYTES = 65_536  # of one backlog message, well below what brokers and the bridge accept
PACK_S = 0.5  # one pack keeps the link busy no longer than this
QUEUE_S = 0.25  # what our own packs may add to the round trip
FIRST_BYTES, LEAST_BYTES, MOST_BYTES = 4096, 1024, 1_048_576
PACKS = 4  # that fill a window
BASE_S = 300.0  # the shortest round trip counts for one to two times this long
STRIKES = 3
AGAIN_S, AGAIN_MAX_S = 600.0, 86_400.0  # before a size that was refused is tried again


class Window:
    """Bytes of backlog without a PUBACK. It grows while the round trip stays near the shortest one seen, which is that
    of the bare link, and shrinks as our own queue lengthens it: the window becomes what the link holds, whatever its
    length and width, and the queue that a live sample meets stays about `QUEUE_S`. A pack that only queues behind our
    own would never show the bare link, so at first and every five minutes one small pack goes alone."""

    def __init__(self) -> None:
        self._bytes = float(FIRST_BYTES)
        self._starting = True  # doubling each round trip until a queue shows
        self._bases = [math.inf, math.inf]  # shortest round trip since the last small pack, and before it
        self._alone_from: float | None = -math.inf  # since when only a small pack may go
        self._alone_next = math.inf
        self._ramp = float(LEAST_BYTES)  # after the small pack: not a whole window in one burst
        self._smooth_s: float | None = None

    @property
    def bytes(self) -> int:
        return LEAST_BYTES if self._alone_from is not None else int(min(self._bytes, self._ramp))

    @property
    def pack_bytes(self) -> int:
        """Some packs fill the window, so that the link never idles; and none takes longer than `PACK_S`."""
        most = self.bytes / PACKS
        if self._smooth_s:
            most = min(most, self._bytes / self._smooth_s * PACK_S)
        return max(LEAST_BYTES // PACKS, int(most))

    def live(self, round_trip_s: float) -> None:
        """A live sample's PUBACK: its round trip is one of the bare link, or longer."""
        self._bases[0] = min(self._bases[0], round_trip_s)

    def taken(self, size: int, round_trip_s: float, under_way: int, now: float) -> None:
        """A pack's PUBACK, with the bytes that were under way before it, its own included."""
        self._bases[0] = min(self._bases[0], round_trip_s)
        if self._alone_from is not None:
            if now - round_trip_s >= self._alone_from:  # it was the small one
                self._alone_from, self._alone_next, self._ramp = None, now + BASE_S, float(LEAST_BYTES)
            return
        self._ramp = min(self._ramp + size, MOST_BYTES)
        smooth = self._smooth_s
        self._smooth_s = round_trip_s if smooth is None else smooth + (round_trip_s - smooth) / 8
        own_s = self._smooth_s * min(1.0, size / self._bytes)  # its own time on the link is no queue
        room = 1 - (round_trip_s - own_s - min(self._bases)) / QUEUE_S  # 1: no queue; 0: as long as it may be
        if room < 0.5:
            self._starting = False
        if room <= 0 or under_way + size >= self._bytes:  # else the window was not what held us back
            step = size if self._starting else min(max(room, -4.0), 1.0) * size / 4
            self._bytes = min(max(self._bytes + step, LEAST_BYTES), MOST_BYTES)
        if now >= self._alone_next:
            self._alone_from, self._bases = now, [math.inf, self._bases[0]]


class PackSize:
    """How large a pack may be, since brokers refuse large ones without a word: by closing the connection, or by taking
    and dropping them. Three signs of that, with no pack as large arriving between, halve it, down to single samples;
    what arrives doubles it. A size that was refused is tried again after ten minutes, then later and later.

    Only the size follows from these signs, never a sample's fate: a bad link shows the same."""

    def __init__(self) -> None:
        self.limit = PACK_BYTES
        self._strikes = 0
        self._struck = math.inf  # the smallest pack of the strikes
        self._refused = math.inf
        self._again_at, self._again_s = 0.0, AGAIN_S

    def strike(self, size: int, now: float) -> bool:
        """A pack of this size did not get through. Whether the size was lowered for it."""
        self._strikes += 1
        self._struck = min(self._struck, size)
        if self._strikes < STRIKES:
            return False
        self._refused = self._struck
        self.limit = max(1, min(self.limit, int(self._refused)) // 2)
        self._again_at, self._again_s = now + self._again_s, min(self._again_s * 2, AGAIN_MAX_S)
        self._strikes, self._struck = 0, math.inf
        return True

    def arrived(self, size: int, now: float) -> None:
        """A receipt settled a pack of this size."""
        if size >= self._struck:
            self._strikes, self._struck = 0, math.inf
        if size >= self._refused:
            self._refused, self._again_s = math.inf, AGAIN_S
        if size * 2 > self.limit:  # as large as it could be
            self.limit = min(self.limit * 2, PACK_BYTES) if now >= self._again_at else self.limit


class Rate:
    """At most so many samples of backlog a second; None: no limit."""

    def __init__(self, per_s: float | None) -> None:
        self._per_s = per_s
        self._free_at = 0.0

    def room(self, most: int, now: float) -> int:
        """How many may go now: at most a second's worth in one pack."""
        if self._per_s is None:
            return most
        return min(most, max(1, int(self._per_s))) if now >= self._free_at else 0

    def sent(self, samples: int, now: float) -> None:
        if self._per_s is not None:
            self._free_at = max(self._free_at, now - 1.0) + samples / self._per_s
