"""The ledger: which sequence numbers of a device are settled, per log, and the receipt that says so.

The rules are those of the wire contract (receipts, rules 1 to 5). A ledger that was committed is never changed
again: a batch works on copies and swaps them in after COMMIT, so that anyone may read a committed one at any time.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway import wire
from gateway.errors import GoneReason
from gateway.ranges import RangeSet

STORED = "stored"
REJECTED = "rejected"
REJECTED_NAMED = 16  # newest rejected ranges that a receipt names, for people


@dataclass(slots=True)
class LogLedger:
    """One log. `kinds` holds disjoint sets: stored, rejected, and one for each reason of being gone. `settled` is
    their union. `top` is the highest number known; `held` is the device's latest statement (oldest, next) or None
    where the log is no longer listed."""

    kinds: dict[str, RangeSet] = field(default_factory=dict)
    settled: RangeSet = field(default_factory=RangeSet)
    rejected: list[tuple[int, int, str]] = field(default_factory=list)
    top: int = 0
    held: tuple[int, int] | None = None

    def copy(self) -> LogLedger:
        kinds = {kind: ranges.copy() for kind, ranges in self.kinds.items()}
        return LogLedger(kinds, self.settled.copy(), self.rejected.copy(), self.top, self.held)

    def kind(self, name: str) -> RangeSet:
        return self.kinds.setdefault(name, RangeSet())

    def arrived(self, seq: int) -> bool:
        """Stored or rejected: a further copy is a duplicate."""
        return any(seq in self.kinds[k] for k in (STORED, REJECTED) if k in self.kinds)

    def settle(self, seq: int, kind: str) -> None:
        """A sample was stored or rejected. One that had been declared gone closes the gap."""
        if seq in self.settled:
            for name, ranges in self.kinds.items():
                if name not in (STORED, REJECTED):
                    ranges.remove(seq)
        self.kind(kind).add(seq)
        self.settled.add(seq)
        self.top = max(self.top, seq)

    def lose(self, a: int, b: int, reason: str) -> None:
        """Numbers that will not come, unless they are settled already."""
        for first, last in self.settled.missing(a, b):
            self.kind(reason).add(first, last)
            self.settled.add(first, last)

    def explain(self, a: int, b: int, reason: str) -> None:
        """Numbers that the device itself gave up, with its reason, also where ours was a guess."""
        guessed = self.kinds.get(GoneReason.LOST_AT_KILL)
        if guessed and reason != GoneReason.LOST_AT_KILL:
            for first, last in RangeSet(guessed.missing(a, b)).missing(a, b):  # what is guessed of them
                guessed.remove(first, last)
                self.kind(reason).add(first, last)
        self.lose(a, b, reason)

    def forget_gone(self) -> None:
        """A new opening computes afresh what is gone: an old card image may hold it again."""
        for name, ranges in self.kinds.items():
            if name not in (STORED, REJECTED):
                for a, b in list(ranges):
                    ranges.remove(a, b)
                    self.settled.remove(a, b)


class DeviceLedger:
    """All logs of one device, and its present opening."""

    def __init__(self) -> None:
        self.logs: dict[str, LogLedger] = {}
        self.opening: str | None = None
        self.changed: set[str] = set()  # logs of which this copy owns its entry

    def copy(self) -> DeviceLedger:
        """A working copy; entries are copied when they are first changed."""
        other = DeviceLedger()
        other.logs = self.logs.copy()
        other.opening = self.opening
        return other

    def log(self, name: str) -> LogLedger:
        """The entry of a log, to be changed."""
        if name not in self.changed:
            entry = self.logs.get(name)
            self.logs[name] = entry.copy() if entry else LogLedger()
            self.changed.add(name)
        return self.logs[name]

    def arrived(self, log: str, seq: int) -> bool:
        entry = self.logs.get(log)
        return entry is not None and entry.arrived(seq)

    def reject(self, log: str, seq: int, code: str) -> None:
        entry = self.log(log)
        entry.settle(seq, REJECTED)
        if entry.rejected and entry.rejected[-1][1] == seq - 1 and entry.rejected[-1][2] == code:
            entry.rejected[-1] = (entry.rejected[-1][0], seq, code)
        else:
            entry.rejected.append((seq, seq, code))
        del entry.rejected[:-REJECTED_NAMED]

    def accept(self, log: str, seq: int) -> None:
        """A sample is stored, perhaps one that had been rejected: its letter was replayed."""
        entry = self.log(log)
        if seq in entry.kind(REJECTED):
            entry.kind(REJECTED).remove(seq)
            named = [
                (part, code) for a, b, code in entry.rejected for part in ((a, min(b, seq - 1)), (max(a, seq + 1), b))
            ]
            entry.rejected = sorted({(a, b, code) for (a, b), code in named if a <= b})[-REJECTED_NAMED:]
        entry.settle(seq, STORED)

    def statement(self, said: wire.Statement) -> None:
        """Rule 4: numbers below oldest, and in a closed log from `next` on, are gone unless settled; so is all of a
        log that is no longer listed. A new opening computes everything afresh."""
        if said.opening != self.opening:
            for name in list(self.logs):
                self.log(name).forget_gone()
            self.opening = said.opening
        listed = {entry.log: entry for entry in said.logs}
        for name in self.logs:
            if name not in listed and self.logs[name].held is not None:
                self.log(name).held = None
        for name, entry in listed.items():
            ledger = self.log(name)
            ledger.held = (entry.oldest, entry.next)
            ledger.top = max(ledger.top, entry.next - 1)
            for a, b, reason in entry.gone:
                ledger.explain(a, min(b, ledger.top), _reason(reason))
            ledger.lose(1, entry.oldest - 1, GoneReason.LOST_AT_KILL)
            if name != said.opening:
                ledger.lose(entry.next, ledger.top, GoneReason.LOST_AT_KILL)
        for name, old in list(self.logs.items()):
            if old.held is None and old.settled.missing(1, old.top):
                self.log(name).lose(1, old.top, GoneReason.LOST_AT_KILL)

    def span(self, log: str, span: wire.Span, seen: set[int], store: str) -> None:
        """Rule 4: numbers of a span that its pack lacks are gone, if it was made for this store and opening."""
        if span.store != store or span.opening != self.opening or not 1 <= span.first <= span.last:
            return
        if span.last > max(seen, default=0):  # a span ends with its pack's last number
            return
        ledger = self.log(log)
        at = span.first
        for n in [*sorted(s for s in seen if span.first <= s <= span.last), span.last + 1]:
            if at < n:
                ledger.lose(at, n - 1, GoneReason.LOST_AT_KILL)
            at = n + 1

    def receipt(self, store: str, limit: int = wire.RECEIPT_RANGES) -> wire.Receipt | None:
        """The bridge's word on every log that the device lists, in at most `limit` ranges each; None before its first
        statement."""
        if self.opening is None:
            return None
        logs = []
        for name, ledger in self.logs.items():
            if ledger.held is None:
                continue
            through = ledger.settled.through()
            newest = ledger.settled.newest(limit, through)
            logs.append(wire.ReceiptLog(name, through, newest, ledger.rejected))
        return wire.Receipt(store, self.opening, logs)


def _reason(text: str) -> str:
    """The device's reason where it is one of the list, so that labels stay bounded."""
    return text if text in GoneReason._value2member_map_ else GoneReason.LOST_AT_KILL
