"""Common causes of silence: which losses are one, and which stand alone. Pure.

A district's mobile network takes its stations one after the other, each as its own contract is broken. So a loss waits
until it is known whether it is alone, `LONGEST_MS` at most:

- Alone, as soon as so many of each of its groups have spoken since it should have, that none can be the cause; or when
  the time is up.
- One cause, where at least `LEAST` stations and more than half of a group's are down (a report of theirs is overdue),
  after `HOLD_BACK_MS`, so that its list is near complete. Of several groups it is the one that explains most and has
  fewest that still speak, then the most specific.

Two stations of one device are enough, and there a fault counts as silence: the device is dead.
"""

from __future__ import annotations

import hashlib
import heapq
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from gateway.stations import Group, Station

HOLD_BACK_MS = 2 * 60_000
LONGEST_MS = 10 * 60_000
LEFT_MS = 30 * 60_000  # so long a cause that is nearly over waits for the last ones
LEAST, LEAST_OF_DEVICE = 3, 2


@dataclass(frozen=True, slots=True)
class Standing:
    """How a station stands. `word_ms` is its newest word, 0 where there was none, `due_ms` when the next one was due;
    `mute`: nothing comes any more, `blind`: nothing usable; `speaks`: something came in time, `sees`: something usable;
    of a station that the bridge has not listened to long enough neither holds. `found_ms`: when its loss was found,
    None where nothing is lost, or where it was announced. `counts`: it is expected to speak (neither under maintenance,
    nor at rest, nor known to be lost)."""

    station: Station
    word_ms: int
    due_ms: int
    mute: bool
    blind: bool
    speaks: bool
    sees: bool
    found_ms: int | None = None
    counts: bool = True

    def down(self, group: Group) -> bool:
        return self.blind if of_device(group) else self.mute

    def up(self, group: Group) -> bool:
        return self.sees if of_device(group) else self.speaks


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is decided now: groups that failed with the stations that are down, and stations that are lost alone."""

    causes: list[tuple[Group, list[Standing]]] = field(default_factory=list)
    alone: list[Standing] = field(default_factory=list)


def of_device(group: Group) -> bool:
    return group[0][0] == "device"


def least(group: Group) -> int:
    return LEAST_OF_DEVICE if of_device(group) else LEAST


def text_of(group: Group) -> str:
    """The group as an episode names it: `area=北部|carrier=A`."""
    return "|".join(f"{kind}={name}" for kind, name in group)


def episode_id(group: Group, at_ms: int) -> str:
    """Made of facts, as the names of stations' episodes are."""
    kinds = "-".join(kind for kind, _ in group)
    digest = hashlib.sha256(text_of(group).encode()).hexdigest()[:8]
    return f"{kinds}-{digest}.{datetime.fromtimestamp(at_ms / 1000, UTC):%Y%m%dT%H%M%S}.{at_ms % 1000:03d}Z"


def judge(pending: Iterable[Standing], members: Callable[[Station, Group], Sequence[Standing]], now_ms: int) -> Verdict:
    """What becomes of the losses that wait. `members` are the stations that share a group with one, itself included.
    Each loss is in one cause, or alone, or waits on."""
    waiting = {(s.station.tenant, s.station.id): s for s in pending}
    ripe = {key for key, s in waiting.items() if _waited(s, now_ms) >= HOLD_BACK_MS}
    if not waiting:
        return Verdict()
    shared = _Shared(waiting, ripe, members)
    verdict = Verdict(shared.causes())
    for key in sorted(waiting.keys() - shared.taken):
        s = waiting[key]
        if _waited(s, now_ms) >= LONGEST_MS or shared.others_speak(s):
            verdict.alone.append(s)
    return verdict


def _waited(s: Standing, now_ms: int) -> int:
    """A clock that was put back holds nothing back."""
    waited = now_ms - (s.found_ms or 0)
    return waited if waited >= 0 else LONGEST_MS


Key = tuple[str, str]  # tenant, station


class _Shared:
    """The groups of the losses that wait, each looked through once and once more for each cause that takes of it."""

    def __init__(
        self, waiting: dict[Key, Standing], ripe: set[Key], members: Callable[[Station, Group], Sequence[Standing]]
    ) -> None:
        self.taken: set[Key] = set()
        self._ripe = ripe
        self._groups: dict[tuple[str, Group], Sequence[Standing]] = {}
        for (tenant, _), s in waiting.items():
            for group in s.station.groups:
                if s.down(group) and (tenant, group) not in self._groups:
                    self._groups[(tenant, group)] = members(s.station, group)
        self._words: dict[tuple[str, Group], list[int]] = {}

    def causes(self) -> list[tuple[Group, list[Standing]]]:
        """The best group first; what it takes is missing in the others, whose score can only fall by that."""
        heap = [(self._score(key), key) for key in self._groups]
        heap = [x for x in heap if x[0] is not None]
        heapq.heapify(heap)
        found = []
        while heap:
            score, key = heapq.heappop(heap)
            now = self._score(key)
            if now is None:
                continue
            if now != score:
                heapq.heappush(heap, (now, key))
                continue
            down = [s for s in self._left(key) if s.down(key[1])]
            self.taken |= {(s.station.tenant, s.station.id) for s in down}
            found.append((key[1], down))
        return found

    def _left(self, key: tuple[str, Group]) -> list[Standing]:
        there = self._groups[key]
        return [s for s in there if s.counts and (s.station.tenant, s.station.id) not in self.taken]

    def _score(self, key: tuple[str, Group]) -> tuple[int, int, int] | None:
        """Low is good: how many more are down than not, then how specific; None where it explains nothing."""
        there = self._left(key)
        down = [s for s in there if s.down(key[1])]
        if len(down) < least(key[1]) or 2 * len(down) <= len(there):
            return None
        if not any((s.station.tenant, s.station.id) in self._ripe for s in down):
            return None
        return len(there) - 2 * len(down), -len(key[1]), len(self._groups[key])

    def others_speak(self, s: Standing) -> bool:
        """Of each of its groups so many have spoken since this one should have, that it can not have failed."""
        for group in s.station.groups:
            key = (s.station.tenant, group)
            if not s.down(group) or len(self._groups[key]) < least(group):
                continue
            if key not in self._words:
                self._words[key] = sorted(x.word_ms for x in self._left(key) if not x.down(group))
            words, size = self._words[key], len(self._left(key))
            silent = size - (len(words) - bisect_left(words, s.due_ms))
            if silent >= least(group) and 2 * silent > size:
                return False
        return True


def eases(group: Group, members: Sequence[Standing], listed: set[str]) -> bool:
    """Whether a cause is nearly over: too few of its stations are left, or three quarters of the group speak again."""
    up = sum(s.up(group) for s in members if s.counts or s.station.id in listed)
    expected = sum(s.counts or s.station.id in listed for s in members)
    return len(listed) < least(group) or 4 * up >= 3 * expected
