"""What waits in memory for the spool's next grouped commit, what that makes durable, and what the logs are after it."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from gateway.edge.held import Gone, HeldLog
from gateway.errors import GoneReason
from gateway.model import ClockState, Moment, Reading, Sample
from gateway.ranges import RangeSet

log = logging.getLogger(__name__)

MAX_PENDING = 50_000  # samples in memory while the card refuses: 30 MB, or 14 hours at one sample a second
PENDING_HOLES = 100

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


class Pending:
    """What waits in memory for the next commit. Its lock is held for a moment only: a slow card must not keep a sensor
    from being read."""

    def __init__(self, opening: str, most: int = MAX_PENDING) -> None:
        self._opening, self._most, self.seq = opening, most, 0
        self._lock = threading.Lock()
        self._samples: deque[Sample] = deque()
        self._dropped = RangeSet()  # numbers of samples that memory had no room for
        self._dated: dict[Key, Date] = {}  # not yet on the card
        self._acknowledged: dict[str, RangeSet] = {}  # to be deleted (delivery: puback)

    def __iter__(self) -> Iterator[Sample]:
        with self._lock:
            return iter(list(self._samples))

    def __len__(self) -> int:
        return len(self._samples)

    def append(
        self, observed_ms: int, clk: ClockState, readings: Iterable[Reading], moment: Moment | None, raised: bool
    ) -> Sample:
        with self._lock:
            self.seq += 1
            sample = Sample(self._opening, self.seq, observed_ms, clk, tuple(readings), moment, raised)
            self._samples.append(sample)
            if len(self._samples) > self._most:
                self._overflow()
            return sample

    def _overflow(self) -> None:
        """The card refuses for so long that memory is full: the oldest samples that are not raised are given up, and
        declared once the card works again; one in which a count begins only where all are such. A few at once, so
        that most samples cost nothing."""
        if not self._dropped:
            log.error("%d samples wait in memory and the card refuses: the oldest are given up", len(self._samples))
        spare = self._samples if len(self._dropped) >= PENDING_HOLES else [s for s in self._samples if not s.begins]
        plain = [s.seq for s in spare if not s.raised] if spare is not self._samples else []
        chosen = set((plain or [s.seq for s in spare or self._samples])[: max(1, self._most // 100)])
        for seq in chosen:
            self._dropped.add(seq)
        self._samples = deque(s for s in self._samples if s.seq not in chosen)

    def date(self, name: str, seq: int, observed_ms: int, clk: ClockState) -> None:
        """The first date stands."""
        with self._lock:
            self._dated.setdefault((name, seq), (observed_ms, clk))

    def as_dated(self, sample: Sample) -> Sample:
        """With the date that was given to it and is not on the card yet."""
        date = self._dated.get((sample.log, sample.seq)) if sample.moment is not None else None
        return replace(sample, observed_ms=date[0], clk=date[1], moment=None) if date else sample

    def acknowledge(self, name: str, seq: int) -> None:
        with self._lock:
            ranges = self._acknowledged.setdefault(name, RangeSet())
            ranges.add(seq)
            ranges.changes.clear()

    def work(self) -> Work:
        """What the next commit is to make durable."""
        with self._lock:
            batch = [self.as_dated(sample) for sample in self._samples]
            acknowledged = {name: ranges.copy() for name, ranges in self._acknowledged.items()}
            return Work(batch, self._dated.copy(), self._dropped.copy(), acknowledged)

    def written(self, work: Work, upto: int) -> None:
        """A commit made `work` durable, to that number. What came while it wrote is the next one's."""
        with self._lock:
            while self._samples and self._samples[0].seq <= upto:
                self._samples.popleft()
            if work.dropped:
                log.error("%d samples were given up while the card refused; declared gone", work.dropped.count)
            self._dropped.remove(1, upto)
            self._dropped.changes.clear()
            for key in work.dated:
                del self._dated[key]
            for name, ranges in work.acknowledged.items():
                for a, b in ranges:
                    self._acknowledged[name].remove(a, b)
                self._acknowledged[name].changes.clear()
                if not self._acknowledged[name]:
                    del self._acknowledged[name]
