"""Delivers what is owed: a thread for each recipient that is owed something, so that a hanging medium delays nobody
else. "Sent" is recorded after the send; a crash between the two repeats a delivery with the same key, it never loses
one.
"""

from __future__ import annotations

import json
import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from gateway import settings, storefile
from gateway.bridge.handing import Handing
from gateway.bridge.media import Medium, Refused, Unreached
from gateway.bridge.notify import ALERT_TOPIC, Outcome, delayed
from gateway.disk import DISK, Disk
from gateway.errors import MediumReason, Unavailable
from gateway.people import JST

log = logging.getLogger(__name__)

BACKOFF_S = (1.0, 2.0, 5.0, 15.0, 60.0, 300.0)
GIVE_UP_AFTER_S = 24 * 3600.0
KEEP_S: dict[str, float] = {"voice": 30 * 60.0, "sms": 6 * 3600.0}  # a call about last night helps nobody
WAITED_MS = 60_000  # owed for longer: the medium was away, or is too slow for what it owes
LATE_MS = 10 * 60_000  # owed for longer: the message says so
STICK = 3  # tries of the same message before others have their turn: it may be this one that is not taken
# What a mistake in a medium, or in a package that it uses, ends in: that message is given up, the next one is not.
BROKEN = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RuntimeError, AssertionError)
AT_ONCE = 1000  # rows that are looked at
UNREADABLE_S = 5.0  # until the store is looked into again
IDLE_S = 30.0  # after which a thread with nothing to do ends
ABOVE_QUOTA = 4  # ranks that no quota of ours holds back


@dataclass(frozen=True, slots=True)
class Row:
    """A notification owed. `urgent`: it rings, so it goes before what is only told once something had to wait.
    `attempts` are those of earlier processes. What it says is read when it is sent."""

    id: int
    key: str
    owed_ms: int
    urgent: bool
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class Quota:
    """What a medium has sent of what it may, by the outbox: so it survives restarts."""

    medium: str
    allowed: settings.Quota
    store: Path
    disk: Disk = DISK
    ringing: bool = False  # only what rings costs anything: a phone that is not dialled

    def spent(self, now_ms: int) -> int:
        """Sent in the present day or month of Japan. Raises Unavailable where the store cannot be read."""
        since = self._since_ms(now_ms)
        query = storefile.RUNG_SINCE if self.ringing else storefile.SENT_SINCE
        return int(storefile.rows(self.store, query, (self.medium, since), self.disk)[0][0])

    def _since_ms(self, now_ms: int) -> int:
        day = datetime.fromtimestamp(now_ms / 1000, JST).replace(hour=0, minute=0, second=0, microsecond=0)
        begun = day.replace(day=1) if self.allowed.period == "month" else day
        return round(begun.timestamp() * 1000)


def quotas(bridge: settings.Bridge, disk: Disk = DISK) -> dict[str, Quota]:
    """By the name of the medium, or of the recipient that has one of its own."""
    named = {r.via or r.name: r for r in (*bridge.media.values(), *bridge.recipients)}
    return {name: Quota(name, r.quota, bridge.store, disk, r.medium == "voice") for name, r in named.items() if r.quota}


class Deliverer:
    """Delivers one recipient's part of the outbox. `report` hands outcomes to the bridge, which alone writes the store;
    until it has done so, `_done` keeps a row from being sent again.

    In order, as long as it is taken at once. Once something is not, or has waited, what rings goes first, the newest
    before the older, and is tried at once; the rest waits its turn. The thread lives while something is owed."""

    def __init__(
        self,
        name: str,
        medium: Medium,
        store: Path,
        report: Callable[[Outcome], None],
        now_ms: Callable[[], int],
        backoff_s: Sequence[float] = BACKOFF_S,
        disk: Disk = DISK,
        steady_s: Callable[[], float] = time.monotonic,
        quota: Quota | None = None,
        idle_s: float = IDLE_S,
        keep_s: float = GIVE_UP_AFTER_S,
        handing: Handing | None = None,
        via: str = "",
    ) -> None:
        self._handing, self._via = handing, via
        self._begun = dict(handing.begun) if handing else dict[int, int]()
        self.name, self._backoff_s, self._disk, self._quota, self._idle_s = name, backoff_s, disk, quota, idle_s
        self._medium, self._store, self._report, self._now_ms = medium, store, report, now_ms
        self._steady_s, self._down_since = steady_s, math.inf  # by a clock that nobody sets: since no try succeeded
        self._keep_s, self._failures = keep_s, 0
        self._done: set[int] = set()
        self._attempts: dict[int, int] = {}
        self._readable, self._started, self._retired, self._anew = True, False, False, False
        self._wake, self._stop, self._lock = threading.Event(), threading.Event(), threading.Lock()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Deliver from now on; before it, nothing is."""
        self._started = True

    def wake(self) -> None:
        """Something may be owed."""
        with self._lock:
            self._wake.set()
            dead = self._thread is None or not self._thread.is_alive()
            if self._started and dead and not self._stop.is_set():
                self._thread = threading.Thread(target=self._run, name=f"notify {self.name}", daemon=True)
                self._thread.start()

    def adopt(self, medium: Medium, quota: Quota | None, keep_s: float, via: str, anew: bool) -> None:
        """Deliver by another medium from the next message on; one that is under way ends by the one that it began
        with. `anew`: it differs, so what could not be delivered is tried again at once."""
        self._medium, self._quota, self._keep_s, self._via = medium, quota, keep_s, via
        self._retired = False
        if anew:
            self._anew = True
            self.wake()

    def retire(self) -> None:
        """Its recipient is configured no longer: what it is still owed is given up."""
        self._retired = True
        self.wake()

    @property
    def running(self) -> bool:
        return self._thread is not None

    def halt(self) -> None:
        """Begin no further delivery. Waits for nothing."""
        self._stop.set()
        self._wake.set()

    def stop(self, timeout_s: float = 5.0) -> None:
        self.halt()
        if (thread := self._thread) is not None:
            thread.join(timeout_s)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.clear()
            rows = self._owed()
            if rows and self._retired:
                for row in rows:
                    reason = str(Refused(MediumReason.REFUSED_ADDRESS, "configured no longer"))
                    self._finish(self._outcome(row, "given_up", self._attempts.get(row.id, row.attempts), reason))
            elif rows:
                self._send(rows)
            elif not self._wake.wait(self._idle_s if self._readable else UNREADABLE_S) and self._idle():
                return

    def _idle(self) -> bool:
        """Nothing came: the thread ends, unless somebody wakes it just now, or the store could not be looked into."""
        with self._lock:
            if self._wake.is_set() or not self._readable:
                return False
            self._thread = None
            return True

    def _owed(self) -> list[Row]:
        """Owed rows that were not sent by this process; none where the store cannot be read now."""
        try:
            rows = storefile.rows(self._store, storefile.OWED, (self.name, AT_ONCE), self._disk)
        except Unavailable as e:
            if self._readable:
                log.error("notifications to %s wait: %s", self.name, e)
            self._readable = False
            return []
        self._readable = True
        known = {row[0] for row in rows}
        self._done &= known
        self._attempts = {i: n for i, n in self._attempts.items() if i in known}
        return [Row(i, key, at, bool(rings), tried) for i, key, tried, at, rings in rows if i not in self._done]

    def _body(self, row: Row) -> str | None:
        """What it says; None where the store cannot be read now, or was put back meanwhile and has no such row."""
        try:
            found = storefile.rows(self._store, storefile.BODY, (row.id,), self._disk)
        except Unavailable as e:
            log.error("notifications to %s wait: %s", self.name, e)
            found = []
        self._readable = bool(found)
        return str(found[0][0]) if found else None

    def _send(self, rows: list[Row]) -> None:
        """One after the other, as long as each is taken and nothing new is owed; else the one whose turn it is."""
        if self._failures:
            self._try(self._next(rows))
            return
        for row in self._in_turn(rows):
            self._try(row)
            if self._stop.is_set() or self._failures or not self._readable or self._wake.is_set():
                return

    def _in_turn(self, rows: list[Row]) -> list[Row]:
        """In order; but where the oldest has waited, a medium that is back has much to take, and danger goes first."""
        if self._now_ms() - rows[0].owed_ms < WAITED_MS:
            return rows
        return sorted(rows, key=lambda row: (not row.urgent, -row.id if row.urgent else row.id))

    def _next(self, rows: list[Row]) -> Row:
        """After a failure: what rings and was not tried, the newest first; then what rings; then the rest in order.
        One that fails again and again makes room for others for a while."""

        def turn(row: Row) -> tuple[int, bool, int]:
            tried = self._attempts.get(row.id, 0)
            return tried // STICK, not row.urgent, -row.id if row.urgent else row.id

        untried = [row for row in rows if row.urgent and row.id not in self._attempts]
        return untried[-1] if untried else min(rows, key=turn)

    def _try(self, row: Row) -> None:
        body = self._body(row)
        if body is None:
            self._stop.wait(UNREADABLE_S)
            return
        attempts = self._attempts[row.id] = self._attempts.get(row.id, row.attempts) + 1
        try:
            self._within_quota(body)
            if self._handing:
                self._handing.begin(row.id)
            self._medium.send(row.key, self._as_late(row, body))
        except BROKEN as e:
            log.exception("notification to %s cannot be sent; given up (%s)", self.name, row.key)
            reason = f"{MediumReason.UNSENDABLE}: {type(e).__name__}"
            self._finish(self._outcome(row, "given_up", attempts, reason))
        except OSError as e:
            self._failed(row, attempts, Unreached(MediumReason.FAILED, type(e).__name__))
        except Refused as e:
            log.error("notification to %s refused: %s; given up (%s)", self.name, e, row.key)
            self._finish(self._outcome(row, "given_up", attempts, str(e)))
        except Unavailable as e:
            self._failed(row, attempts, e)
        else:
            self._down_since, self._failures = math.inf, 0
            if attempts > 1:
                log.info("notified %s after %d attempts", self.name, attempts)
            self._finish(self._outcome(row, "sent", attempts))

    def _outcome(
        self,
        row: Row,
        state: Literal["sent", "given_up", "retry"],
        attempts: int,
        reason: str | None = None,
        next_ms: int | None = None,
    ) -> Outcome:
        """What became of it, and of one that is sent how often earlier processes had handed it over before."""
        again = self._begun.pop(row.id, 0) if state == "sent" else 0
        if self._handing and state != "sent":
            self._handing.failed(row.id)
        return Outcome(row.id, state, attempts, reason, row.key, next_ms, self.name, again, self._via)

    def _as_late(self, row: Row, body: str) -> str:
        """The body, which says so where it comes long after it was owed."""
        late_ms = self._now_ms() - row.owed_ms
        return body if late_ms < LATE_MS or self.name == ALERT_TOPIC else delayed(body, late_ms // 60_000)

    def _within_quota(self, body: str) -> None:
        """Money is not spent on what may be read elsewhere; no quota of ours holds back a danger."""
        if self._quota is None or _rank(body) >= ABOVE_QUOTA:
            return
        spent, allowed = self._quota.spent(self._now_ms()), self._quota.allowed
        if spent >= allowed.count:
            raise Refused(MediumReason.OVER_QUOTA, f"{spent} of {allowed.count} a {allowed.period}")

    def _failed(self, row: Row, attempts: int, e: Unavailable) -> None:
        self._failures += 1
        if self._failures == 1:
            log.warning("cannot notify %s: %s; trying again", self.name, e)
        self._down_since = min(self._down_since, self._steady_s())
        past = [x for x in self._owed() if self._is_history(x.owed_ms)] if self._failures > len(self._backoff_s) else []
        for old in past:
            log.error("notification to %s given up, it is history: %s (%s)", self.name, e, old.key)
            tried = self._attempts.get(old.id, old.attempts)
            self._finish(self._outcome(old, "given_up", tried, str(e)))
        if row.id in self._done:
            return
        wait_s = self._backoff_s[min(self._failures, len(self._backoff_s)) - 1]
        wait_s = max(wait_s, e.wait_s) if isinstance(e, Unreached) else wait_s
        again_ms = self._now_ms() + round(wait_s * 1000)
        self._report(self._outcome(row, "retry", attempts, str(e), again_ms))
        self._pause(wait_s)

    def _pause(self, wait_s: float) -> None:
        """Until the next try is due, or something that rings is owed that has not been tried."""
        until = time.monotonic() + wait_s
        while not self._stop.is_set() and (left := until - time.monotonic()) > 0:
            if not self._wake.wait(left):
                return
            self._wake.clear()
            if self._retired or self._anew:
                self._anew = False
                return
            if any(row.urgent and row.id not in self._attempts for row in self._owed()):
                return

    def _is_history(self, owed_ms: int) -> bool:
        """Owed for a day (a call for half an hour), and tried for as long: a clock that is set forward gives up
        nothing."""
        tried_s = self._steady_s() - self._down_since
        return min((self._now_ms() - owed_ms) / 1000, tried_s) > self._keep_s

    def _finish(self, outcome: Outcome) -> None:
        self._done.add(outcome.outbox_id)
        self._report(outcome)


def _rank(body: str) -> int:
    about = json.loads(body)
    return max(about.get("rank") or 0, about.get("from_rank") or 0)


class Spending:
    """Whether a medium's quota is nearly or wholly spent, looked at once a minute."""

    EVERY_S = 60.0
    LOW = 0.8

    def __init__(self, found: dict[str, Quota], now_ms: Callable[[], int]) -> None:
        self._quotas, self._now_ms = found, now_ms
        self._next_s = 0.0
        self._low, self._spent = "", ""

    def look(self) -> tuple[str, str]:
        """(nearly spent, spent): the media concerned with their numbers; empty where there are none."""
        if self._quotas and time.monotonic() >= self._next_s:
            self._next_s = time.monotonic() + self.EVERY_S
            shares = dict[str, float]()
            for name, quota in self._quotas.items():
                try:
                    spent = quota.spent(self._now_ms())
                except Unavailable:
                    return self._low, self._spent
                shares[f"{name} {spent}/{quota.allowed.count}"] = spent / quota.allowed.count
            self._low = ", ".join(said for said, share in shares.items() if self.LOW <= share < 1)
            self._spent = ", ".join(said for said, share in shares.items() if share >= 1)
        return self._low, self._spent
