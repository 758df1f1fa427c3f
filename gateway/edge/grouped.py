"""What one grouped commit of the spool makes durable, and what the logs are after it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gateway.edge.held import Gone, HeldLog
from gateway.errors import GoneReason
from gateway.model import ClockState, Sample
from gateway.ranges import RangeSet

Key = tuple[str, int]
Date = tuple[int, ClockState]


@dataclass(frozen=True, slots=True)
class Work:
    """Samples, dates, and numbers that memory gave up or that the broker acknowledged (delivery: puback)."""

    batch: list[Sample]
    dated: dict[Key, Date]
    dropped: RangeSet
    acknowledged: dict[str, RangeSet]

    def __bool__(self) -> bool:
        return bool(self.batch or self.dated or self.dropped or self.acknowledged)

    def changed(self, held: Mapping[str, HeldLog], opening: str) -> list[HeldLog]:
        """The logs that it changes, as they are after it."""
        changed: dict[str, HeldLog] = {}
        numbers = [s.seq for s in self.batch[-1:]] + [b for _, b in list(self.dropped)[-1:]]
        if numbers:
            lost: list[Gone] = [(a, b, GoneReason.NO_SPACE.value) for a, b in self.dropped]
            changed[opening] = held[opening].grown(max(numbers) + 1, lost)
        for name, ranges in self.acknowledged.items():
            entry = changed.get(name) or held.get(name)
            if entry is not None:
                changed[name] = entry.without(ranges, GoneReason.PUBACK)
        return list(changed.values())


def overflow(pending: Iterable[Sample], count: int, fragmented: bool) -> set[int]:
    """Numbers of so many pending samples that memory has no room for: the oldest that are not raised. Where those leave
    too many holes (`fragmented`), or all are raised, the oldest."""
    samples = list(pending)
    plain = [] if fragmented else [s.seq for s in samples if not s.raised]
    return set((plain or [s.seq for s in samples])[:count])
