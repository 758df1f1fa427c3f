"""Who moves virtual time. A scaled clock runs by itself and only wants to be stopped at the end; a stepped one
moves when every sensor has been read, so a flood runs as fast as the agents can sample and no sample is skipped.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

from gateway.clock import SimClock

WINDOW = 2  # reads of a station that may be on their way to the store
PATIENCE_S = 5.0  # real time; for a store that does not confirm, or for the last of several agents
_IMPATIENCE_S = 0.2  # for a store that has just used up the patience
_POLL_S = 0.003
_STUCK_S = 10.0


class Turns:
    """Counts what the sensors were asked. Used within one event loop."""

    def __init__(self, stations: Sequence[str]) -> None:
        self.stations = frozenset(stations)
        self.served = 0
        self.asked: set[str] = set()  # since the last `clear`
        self._news = asyncio.Event()

    def note(self, station: str, served: bool) -> None:
        self.asked.add(station)
        self.served += served
        self._news.set()

    async def news(self, patience_s: float | None = None) -> bool:
        """Waits for the next turn. False: none came in time."""
        self._news.clear()
        try:
            await asyncio.wait_for(self._news.wait(), patience_s)
        except TimeoutError:
            return False
        return True


class Pace(Protocol):
    """Moves or stops the clock while the sensors are read."""

    def __call__(self, turns: Turns) -> Awaitable[None]: ...


def until(clock: SimClock, end_ms: int) -> Pace:
    """The clock stops at that virtual time."""

    async def pace(turns: Turns) -> None:
        clock.freeze(end_ms)

    return pace


def after_reads(clock: SimClock, reads: int) -> Pace:
    """The clock stops when so many reads were served."""

    async def pace(turns: Turns) -> None:
        while turns.served < reads:
            await turns.news()
        clock.freeze()

    return pace


def stepping(clock: SimClock, times_ms: Sequence[int], stored_count: Callable[[], int] | None = None) -> Pace:
    """A stepped clock goes from time to time, each time when all sensors were asked, and stops at the last.

    With `stored_count`, only while at most WINDOW reads a station are not yet confirmed by it: otherwise the clock
    would run away from the bridge, and what arrives there would be too old to raise an alert."""

    async def pace(turns: Turns) -> None:
        confirmation = Confirmation(stored_count) if stored_count else None
        stuck = _Stuck()
        for at_ms in times_ms:
            clock.advance_to(at_ms)
            turns.asked.clear()
            await _all_asked(turns, lambda: stuck.tell(clock))
            if confirmation:
                await confirmation.wait(turns.served - WINDOW * len(turns.stations))
        clock.freeze()

    return pace


async def _all_asked(turns: Turns, stuck: Callable[[], None]) -> None:
    """The first asker is waited for as long as it takes, the others a while longer: one agent that is down must not
    stop time for the rest."""
    while not turns.asked:
        if not await turns.news(_STUCK_S):
            stuck()
    deadline = time.monotonic() + PATIENCE_S
    while not turns.asked >= turns.stations:
        if not await turns.news(deadline - time.monotonic()):
            return


class _Stuck:
    """Says once that time stands because nobody reads: the agents are down, or due later than the next step."""

    def __init__(self) -> None:
        self._told = False

    def tell(self, clock: SimClock) -> None:
        if clock.started and not self._told:
            self._told = True
            at = datetime.fromtimestamp(clock.now_ms() / 1000, UTC)
            print(f"virtual time waits at {at:%Y-%m-%d %H:%M:%S} UTC for a sensor to be read", file=sys.stderr)


class Confirmation:
    """Waits for the store, and not for ever: a bridge that is down is part of what a simulation shows."""

    def __init__(self, stored_count: Callable[[], int], patience_s: float = PATIENCE_S) -> None:
        self._stored_count = stored_count
        self._patience_s = patience_s
        self._gave_up_at: int | None = None

    async def wait(self, wanted: int) -> bool:
        """Until the store holds so many; False if time went on without it. After giving up once, the next waits are
        short until the store moves again."""
        stored = self._stored_count()
        patience = _IMPATIENCE_S if stored == self._gave_up_at else self._patience_s
        deadline = time.monotonic() + min(patience, self._patience_s)
        while stored < wanted:
            if time.monotonic() > deadline:
                self._gave_up_at = stored
                return False
            await asyncio.sleep(_POLL_S)
            stored = self._stored_count()
        return True


class StoreCount:
    """Asks another process' SQLite file for one number. While the file is not there yet, locked or being replaced,
    the last answer stands. Every call opens and closes the file: no SELECT stays open, no old file is held."""

    def __init__(self, path: Path, sql: str) -> None:
        self._uri = f"file:{quote(str(path.absolute()))}?mode=ro"
        self._sql = sql
        self._last = 0

    def __call__(self) -> int:
        try:
            with closing(sqlite3.connect(self._uri, uri=True, timeout=0)) as db:
                row = db.execute(self._sql).fetchone()
        except sqlite3.Error:
            return self._last
        self._last = int(row[0] or 0) if row else self._last
        return self._last
