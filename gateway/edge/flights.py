"""What is on its way: each message that was published and whose samples no receipt settled yet. Book-keeping only; the
uplink decides. Times are given, in monotonic seconds.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from gateway.model import Sample
from gateway.ranges import RangeSet

FAILURES = 3  # sends of a pack, and then of a sample alone, that receipts passed over
REMEMBERED = 10_000  # samples of which failures are counted; beyond, the oldest count is forgotten, never a sample

Key = tuple[str, int]  # log, seq


@dataclass(slots=True, eq=False)
class Flight:
    """One message. `order` rises with each publish, `settle_by` is None until the PUBACK, `keys` loses what landed."""

    kind: str
    mid: int
    order: int
    size: int
    sent: float
    patience_s: float
    keys: set[Key]
    alone: bool
    tried: frozenset[Key]  # what it carried
    samples: tuple[Sample, ...] = ()  # of a live one, to publish it once more where its connection was lost
    settle_by: float | None = None
    answered: bool = False  # a receipt came after the PUBACK, and did not settle all of it


class Flights:
    """Every message without its receipt, by sample, by message id until the PUBACK, and as numbers by log. A sample
    may also be *held back*: on no way at all until a time, and in no pack and no span before."""

    def __init__(self) -> None:
        self.order = 0
        self._by_key: dict[Key, Flight] = {}
        self._by_mid: dict[int, Flight] = {}
        self._held: dict[Key, float] = {}
        self._numbers: dict[str, RangeSet] = {}

    def __contains__(self, key: Key) -> bool:
        return key in self._by_key or key in self._held

    def __len__(self) -> int:
        """Samples on their way."""
        return len(self._by_key)

    def keys(self) -> set[Key]:
        """Samples on their way or held back."""
        return self._by_key.keys() | self._held.keys()

    def all(self) -> list[Flight]:
        """In the order of their publishing."""
        return sorted(set(self._by_key.values()), key=lambda flight: flight.order)

    def numbers(self, name: str) -> RangeSet:
        """Numbers of a log that are on their way or held back; not to be changed."""
        return self._numbers.get(name) or RangeSet()

    def waiting(self, kind: str) -> list[Flight]:
        """Without their PUBACK."""
        return [flight for flight in self._by_mid.values() if flight.kind == kind]

    def stalled(self, since: float) -> bool:
        """Whether something was published before that time and has no PUBACK yet."""
        return any(flight.sent < since for flight in self._by_mid.values())

    def unsettled(self, kind: str) -> int:
        """Samples without their receipt."""
        return sum(1 for flight in self._by_key.values() if flight.kind == kind)

    def add(self, kind: str, mid: int, samples: Iterable[Sample], size: int, now: float, patience_s: float) -> Flight:
        self.order += 1
        keys = {(s.log, s.seq) for s in samples}
        flight = Flight(kind, mid, self.order, size, now, patience_s, keys, len(keys) == 1, frozenset(keys))
        for key in keys:
            self._by_key[key] = flight
            self._numbers.setdefault(key[0], RangeSet()).add(key[1])
        self._by_mid[mid] = flight
        return flight

    def taken(self, mid: int, now: float) -> Flight | None:
        """PUBACK. None for a message without samples, or of an earlier connection."""
        flight = self._by_mid.pop(mid, None)
        if flight is not None:
            flight.settle_by = now + flight.patience_s
            flight.samples = ()
        return flight

    def land(self, key: Key) -> Flight:
        """This sample's flight is over, one way or another."""
        flight = self._by_key.pop(key)
        flight.keys.discard(key)
        self._rest(key)
        if not flight.keys and self._by_mid.get(flight.mid) is flight:
            flight.samples = ()
        return flight

    def land_all(self, flight: Flight) -> None:
        for key in list(flight.keys):
            self.land(key)

    def lost(self, order: int) -> list[Flight]:
        """The connection is gone, and with it what was published up to `order` and has no PUBACK, oldest first."""
        gone = sorted((f for f in self._by_mid.values() if f.order <= order), key=lambda flight: flight.order)
        for flight in gone:
            del self._by_mid[flight.mid]
            self.land_all(flight)
        return gone

    def overdue(self, now: float) -> list[Flight]:
        found = {f for f in self._by_key.values() if f.settle_by is not None and f.settle_by <= now}
        return sorted(found, key=lambda flight: flight.order)

    # --- held back -----------------------------------------------------------------------------------------------

    def hold(self, key: Key, until: float) -> None:
        self._held[key] = until
        self._numbers.setdefault(key[0], RangeSet()).add(key[1])

    def release(self, key: Key) -> None:
        if self._held.pop(key, None) is not None:
            self._rest(key)

    def release_due(self, now: float) -> None:
        for key in [key for key, until in self._held.items() if until <= now]:
            self.release(key)

    def _rest(self, key: Key) -> None:
        numbers = self._numbers[key[0]]
        numbers.remove(key[1])
        numbers.changes.clear()  # they are for a copy on disk; here they would only grow
        if not numbers:
            del self._numbers[key[0]]


class Failures:
    """Sends of a sample that receipts passed over: in packs, then alone. Bounded; forgetting makes only patient."""

    def __init__(self) -> None:
        self._counts: OrderedDict[Key, list[int]] = OrderedDict()

    def count(self, key: Key, alone: bool) -> int:
        """One more; how many of this sort."""
        counts = self._counts.setdefault(key, [0, 0])
        self._counts.move_to_end(key)
        if len(self._counts) > REMEMBERED:
            self._counts.popitem(last=False)
        sort = int(alone and self.suspect(key))
        counts[sort] += 1
        return counts[sort]

    def suspect(self, key: Key) -> bool:
        """To be sent alone."""
        counts = self._counts.get(key)
        return counts is not None and counts[0] >= FAILURES

    def hopeless(self, key: Key) -> bool:
        """To be set aside."""
        counts = self._counts.get(key)
        return counts is not None and counts[1] >= FAILURES

    def forget(self, key: Key) -> None:
        self._counts.pop(key, None)

    def __len__(self) -> int:
        return len(self._counts)
