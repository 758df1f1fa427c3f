"""How often somebody may: a bucket that refills for requests, delays that double for logins. In memory, bounded; a
restart forgets both, and takes longer than either gives away."""

from __future__ import annotations

import ipaddress
import threading
from collections import OrderedDict
from collections.abc import Callable

MOST = 20_000  # keys; the one unseen for longest goes
BURST, PER_SECOND = 120.0, 20.0
WRONG_BURST, WRONG_PER_SECOND = 100.0, 1 / 60  # sign-ins that failed, in the audit one by one
FREE = 3  # wrong passwords without a delay
NAME_MOST_S = 60.0  # of one name: short, because anybody can make somebody else wait
ADDRESS_MOST_S = 900.0
FORGOTTEN_S = 3600.0  # without a wrong password since


def network(address: str) -> str:
    """What one person holds: an IPv4 address, or the /64 of an IPv6 one; anything else as it is, shortened."""
    try:
        at = ipaddress.ip_address(address)
    except ValueError:
        return address[:100]
    if at.version == 4:
        return str(at)
    mapped = at.ipv4_mapped
    return str(mapped) if mapped is not None else str(ipaddress.ip_network((int(at) >> 64 << 64, 64)))


class Buckets:
    """Each key may `burst` at once and `per_second` in the long run. `now_s` only ever rises."""

    def __init__(self, now_s: Callable[[], float], burst: float = BURST, per_second: float = PER_SECOND) -> None:
        self._now_s, self._burst, self._per_second = now_s, burst, per_second
        self._lock = threading.Lock()
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()  # (what was left, when)

    def allow(self, key: str, cost: float = 1.0) -> float:
        """Seconds to wait; 0 where it may go, which is then paid for."""
        kind, _, rest = key.partition(":")
        key = f"{kind}:{network(rest)}"
        with self._lock:
            now = self._now_s()
            left, at = self._left.pop(key, (self._burst, now))
            left = min(self._burst, left + (now - at) * self._per_second)
            waits = max(0.0, (cost - left) / self._per_second)
            self._left[key] = (left if waits else left - cost, now)
            while len(self._left) > MOST:
                self._left.popitem(last=False)
            return waits


class Delays:
    """After `FREE` wrong passwords each next one doubles the wait, from a second to `most_s`."""

    def __init__(self, now_s: Callable[[], float], most_s: float) -> None:
        self._now_s, self._most_s = now_s, most_s
        self._lock = threading.Lock()
        self._wrong: OrderedDict[str, tuple[int, float]] = OrderedDict()  # (how many, when the last)

    def begin(self, key: str) -> float:
        """Seconds to wait; 0 where a try begins, which counts as wrong until it is `right`: many at once are many."""
        with self._lock:
            now = self._now_s()
            wrong, at = self._wrong.get(key, (0, now))
            if wrong > FREE:
                waits = at + min(self._most_s, 2.0 ** min(wrong - FREE - 1, 30)) - now
                if waits > 0:
                    return waits
            self._wrong.pop(key, None)
            self._wrong[key] = (1 if now - at > FORGOTTEN_S else wrong + 1, now)
            while len(self._wrong) > MOST:
                self._wrong.popitem(last=False)
            return 0.0

    def right(self, key: str) -> None:
        with self._lock:
            self._wrong.pop(key, None)

    def back(self, key: str) -> None:
        """The try was none: nobody looked at the password."""
        with self._lock:
            if key in self._wrong:
                wrong, at = self._wrong[key]
                self._wrong[key] = (wrong - 1, at)
