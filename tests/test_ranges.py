"""Ranges against the plain set of numbers they stand for."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ranges import Range, RangeSet

NUMBER = st.integers(0, 40)
STEPS = st.lists(st.tuples(st.sampled_from(["add", "remove"]), NUMBER, NUMBER), max_size=25)


def follow(steps: list[tuple[str, int, int]]) -> tuple[RangeSet, set[int]]:
    """The same steps on ranges and on a set; a range from high to low is empty."""
    ranges, numbers = RangeSet(), set[int]()
    for what, a, b in steps:
        if what == "add":
            ranges.add(a, b)
            numbers |= set(range(a, b + 1))
        else:
            ranges.remove(a, b)
            numbers -= set(range(a, b + 1))
    return ranges, numbers


def ranges_of(numbers: set[int]) -> list[Range]:
    out: list[list[int]] = []
    for n in sorted(numbers):
        if out and out[-1][1] == n - 1:
            out[-1][1] = n
        else:
            out.append([n, n])
    return [(a, b) for a, b in out]


@given(STEPS)
def test_same_as_a_set(steps: list[tuple[str, int, int]]) -> None:
    """Members, number and form are those of a set, in rising order, never touching each other."""
    ranges, numbers = follow(steps)
    assert list(ranges) == ranges_of(numbers)
    assert all(b + 1 < c for (_, b), (c, _) in pairwise(ranges))
    assert [n for n in range(42) if n in ranges] == sorted(numbers)
    assert (ranges.count, len(ranges), bool(ranges)) == (len(numbers), len(ranges_of(numbers)), bool(numbers))
    assert ranges == RangeSet(ranges_of(numbers))
    assert ranges == ranges.copy()


@given(STEPS, NUMBER, NUMBER)
def test_missing(steps: list[tuple[str, int, int]], a: int, b: int) -> None:
    """What is missing of a stretch is the stretch without the set."""
    ranges, numbers = follow(steps)
    assert ranges.missing(a, b) == ranges_of(set(range(a, b + 1)) - numbers)


@given(STEPS)
def test_through(steps: list[tuple[str, int, int]]) -> None:
    """Through is the last number of the unbroken run from 1; 0 where 1 is not in it."""
    ranges, numbers = follow(steps)
    end = 0
    while end + 1 in numbers:
        end += 1
    assert ranges.through() == end


@given(STEPS, st.integers(1, 6))
def test_newest(steps: list[tuple[str, int, int]], limit: int) -> None:
    """The newest ranges above `through`: at most so many, the newest among them, in rising order."""
    ranges, numbers = follow(steps)
    above = [r for r in ranges_of(numbers) if r[0] > ranges.through()]
    assert ranges.newest(limit, ranges.through()) == above[-limit:]
    assert ranges.newest(0, 0) == []


@given(STEPS, STEPS)
def test_changes_keep_a_copy_on_disk(before: list[tuple[str, int, int]], after: list[tuple[str, int, int]]) -> None:
    """Whoever applies the changes to what was written before has what the set is now."""
    ranges, _ = follow(before)
    disk = dict(ranges)
    ranges.changes.clear()
    for what, a, b in after:
        if what == "add":
            ranges.add(a, b)
        else:
            ranges.remove(a, b)
    for start, end in ranges.changes.items():
        if end is None:
            disk.pop(start, None)
        else:
            disk[start] = end
    assert disk == dict(ranges)


@given(STEPS, STEPS)
def test_a_copy_is_independent(before: list[tuple[str, int, int]], after: list[tuple[str, int, int]]) -> None:
    """Work on a copy changes nothing of the original, and a copy begins without changes."""
    ranges, _ = follow(before)
    members, changes = list(ranges), dict(ranges.changes)
    copy = ranges.copy()
    assert copy.changes == {}
    for what, a, b in after:
        if what == "add":
            copy.add(a, b)
        else:
            copy.remove(a, b)
    assert list(ranges) == members
    assert ranges.changes == changes


@pytest.mark.parametrize(
    ("what", "numbers", "expected"),
    [
        ("neighbours join", [1, 2], [(1, 2)]),
        ("a number between two joins them", [1, 3, 2], [(1, 3)]),
        ("a gap of one stays", [1, 3], [(1, 1), (3, 3)]),
        ("twice is once", [5, 5], [(5, 5)]),
    ],
)
def test_single_numbers(what: str, numbers: list[int], expected: list[Range]) -> None:
    """Numbers arrive one by one and in any order."""
    ranges = RangeSet()
    for n in numbers:
        ranges.add(n)
    assert list(ranges) == expected, what


def test_a_set_made_of_ranges_has_no_changes() -> None:
    """What was read from disk need not be written there again; it equals no other thing and has no hash."""
    ranges = RangeSet([(4, 6), (1, 3)])
    assert (list(ranges), ranges.changes) == ([(1, 6)], {})
    assert ranges != [(1, 6)]
    assert repr(ranges) == "RangeSet([(1, 6)])"
    with pytest.raises(TypeError):
        hash(ranges)
