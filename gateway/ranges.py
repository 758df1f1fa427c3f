"""Sets of whole numbers kept as ranges: what a receipt, a spool statement and the ledger speak in."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

Range = tuple[int, int]  # both ends included


class RangeSet:
    """A set of integers as disjoint, non-adjacent ranges in rising order.

    `changes` collects what a copy on disk must do to follow: start -> end of a range that now exists, or None
    where the range that began there is no more.
    """

    __slots__ = ("_ends", "_starts", "changes")

    def __init__(self, ranges: Iterable[Range] = ()) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        self.changes: dict[int, int | None] = {}
        for a, b in ranges:
            self.add(a, b)
        self.changes.clear()

    def copy(self) -> RangeSet:
        """Same members, no changes recorded."""
        other = RangeSet()
        other._starts = self._starts.copy()
        other._ends = self._ends.copy()
        return other

    def __iter__(self) -> Iterator[Range]:
        return zip(self._starts, self._ends, strict=True)

    def __len__(self) -> int:
        """Number of ranges."""
        return len(self._starts)

    def __bool__(self) -> bool:
        return bool(self._starts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RangeSet) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def __contains__(self, n: int) -> bool:
        i = bisect_right(self._starts, n) - 1
        return i >= 0 and n <= self._ends[i]

    def __repr__(self) -> str:
        return f"RangeSet({list(self)})"

    @property
    def count(self) -> int:
        """Number of members."""
        return sum(self._ends) - sum(self._starts) + len(self._starts)

    def add(self, a: int, b: int | None = None) -> None:
        """Add a, or every number from a to b."""
        b = a if b is None else b
        if b < a:
            return
        # first range that could touch [a-1, b+1] .. last one
        i = bisect_left(self._ends, a - 1)
        j = bisect_right(self._starts, b + 1)
        if i < j:
            if self._starts[i] <= a and b <= self._ends[i]:
                return
            for start in self._starts[i:j]:
                self.changes[start] = None
            a, b = min(a, self._starts[i]), max(b, self._ends[j - 1])
        self._starts[i:j] = [a]
        self._ends[i:j] = [b]
        self.changes[a] = b

    def remove(self, a: int, b: int | None = None) -> None:
        """Take a, or every number from a to b, out."""
        b = a if b is None else b
        if b < a:
            return
        i = bisect_left(self._ends, a)
        j = bisect_right(self._starts, b)
        if i >= j:
            return
        left, right = (self._starts[i], a - 1), (b + 1, self._ends[j - 1])
        for start in self._starts[i:j]:
            self.changes[start] = None
        kept = [r for r in (left, right) if r[0] <= r[1]]
        self._starts[i:j] = [r[0] for r in kept]
        self._ends[i:j] = [r[1] for r in kept]
        self.changes.update(kept)

    def missing(self, a: int, b: int) -> list[Range]:
        """The ranges of [a, b] that are not in the set."""
        out: list[Range] = []
        at = a
        for i in range(bisect_left(self._ends, a), len(self._starts)):
            start, end = self._starts[i], self._ends[i]
            if start > b:
                break
            if start > at:
                out.append((at, start - 1))
            at = end + 1
        if at <= b:
            out.append((at, b))
        return out

    def before(self, n: int) -> int | None:
        """The greatest member below n."""
        i = bisect_left(self._starts, n) - 1
        return min(self._ends[i], n - 1) if i >= 0 else None

    def after(self, n: int) -> int | None:
        """The least member above n."""
        i = bisect_right(self._ends, n)
        return max(self._starts[i], n + 1) if i < len(self._starts) else None

    def through(self) -> int:
        """The largest n such that 1..n are all members; 0 if 1 is not."""
        return self._ends[0] if self._starts and self._starts[0] <= 1 else 0

    def newest(self, limit: int, above: int) -> list[Range]:
        """At most `limit` ranges beyond `above`, the newest ones, in rising order."""
        i = max(bisect_right(self._starts, above), len(self._starts) - limit)
        return list(zip(self._starts[i:], self._ends[i:], strict=True))
