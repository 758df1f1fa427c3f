"""Which samples make the next backlog pack: of which log, in which order, how many, and what its span may claim."""

from __future__ import annotations

from itertools import pairwise

from gateway import settings, wire
from gateway.edge.dating import Dates
from gateway.edge.flights import Failures, Flights
from gateway.edge.pace import PackSize, Rate, Window
from gateway.edge.spool import Spool
from gateway.model import Sample

UNSETTLED = 5000  # samples sent as backlog and not yet settled
HELD_BACK_S = 1.0  # before a sample without a date is looked at again


class Backlog:
    """Reads spool and flights; what it returns is to be published. `window` and `size` learn from what became of it."""

    def __init__(self, edge: settings.Edge, spool: Spool, flights: Flights, failures: Failures, dates: Dates) -> None:
        self._spool, self._flights, self._failures, self._dates = spool, flights, failures, dates
        self._newest = edge.backlog_order == "newest"
        self._most, self._packs = edge.pack_samples, edge.window_packs
        self.window, self.size, self._rate = Window(), PackSize(), Rate(edge.backlog_rate)

    def another_link(self) -> None:
        """A new connection: what was learned of the last one's link does not hold."""
        self.window = type(self.window)()

    def next(self, now: float, store: str, ages: bool) -> tuple[list[Sample], bytes] | None:
        """The next pack and its payload; None where there is none, or no room for one. `ages` false: samples that
        would carry their age stay, since it would be wrong by the time they arrive."""
        waiting = self._flights.waiting("backlog")
        if waiting and sum(f.size for f in waiting) + self.window.pack_bytes > self.window.bytes:
            return None
        if len(waiting) >= self._packs or self._flights.unsettled("backlog") + self._most > UNSETTLED:
            return None
        most = self._rate.room(self._most, now)
        logs = self._spool.logs() if most else []
        for name in reversed(logs) if self._newest else logs:
            pack = self._pack(name, most, store, now, ages)
            if pack is not None:
                self._rate.sent(len(pack[0]), now)
                return pack
        return None

    def _pack(self, name: str, most: int, store: str, now: float, ages: bool) -> tuple[list[Sample], bytes] | None:
        """The next samples of a log that are neither settled nor on their way, encoded with their span.

        The span may only cover numbers of which every held and unsettled one is in the pack: the bridge takes what
        a span lacks for gone. So a pack is a run without a sample on its way between, and its span begins after the
        last number below that is on its way, or held and left for later.
        """
        found = self._spool.unsettled(name, most + 1, self._flights.numbers(name), newest=self._newest)
        found = [sample for sample in map(self._dates.dated, found) if not self._held_back(sample, now, ages)]
        if not found:
            return None
        run = self._run(found[::-1] if self._newest else found, most)
        limit = min(self.size.limit, self.window.pack_bytes)
        while True:
            pack = sorted(run, key=lambda sample: sample.seq)
            payload = wire.encode_pack(pack, self._span(pack, found, store), self._dates.here())
            if len(payload) <= limit or len(run) == 1:
                return pack, payload
            run = run[: max(1, min(len(run) - 1, len(run) * limit // len(payload)))]

    def _held_back(self, sample: Sample, now: float, ages: bool) -> bool:
        """Whether it is not yet to be sent with its age: in no pack, and in no span."""
        if not self._dates.relative(sample) or (ages and not self._dates.waits_s(sample)):
            return False
        self._flights.hold((sample.log, sample.seq), now + HELD_BACK_S)
        return True

    def _span(self, pack: list[Sample], found: list[Sample], store: str) -> wire.Span:
        name, lowest = pack[0].log, pack[0].seq
        on_its_way = self._flights.numbers(name).before(lowest) or 0
        left = max((sample.seq for sample in found if sample.seq < lowest), default=0)
        first = max(self._spool.through(name), on_its_way, left) + 1
        return wire.Span(first, pack[-1].seq, store, self._spool.opening)

    def _run(self, found: list[Sample], most: int) -> list[Sample]:
        """How many of these, in the order in which they are to go, make one pack. A sample that failed in packs goes
        alone."""
        run = found[:1]
        busy = self._flights.numbers(run[0].log)
        for last, sample in pairwise(found[:most]):
            low, high = sorted((last.seq, sample.seq))
            between = busy.after(low)
            if self._alone(last) or self._alone(sample) or (between is not None and between < high):
                break
            run.append(sample)
        return run

    def _alone(self, sample: Sample) -> bool:
        return self._failures.suspect((sample.log, sample.seq))
