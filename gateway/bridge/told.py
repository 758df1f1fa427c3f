"""What a person reading the bridge's log must find: transitions, notices, the first dead letter of each kind, devices
that come and go, and how far their backlog is in. Memory is bounded by the devices of the registry and by MAX_KINDS.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from gateway import wire
from gateway.bridge import notices, noticewords
from gateway.bridge.metrics import held
from gateway.bridge.work import Device, Work

log = logging.getLogger(__name__)

MAX_KINDS = 1000  # of dead letters told once each
BACKLOG = 1000  # samples; fewer are no news
AGAIN_S = 60.0


class Told:
    """Follows the commits of one bridge."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._kinds: set[tuple[str, str, str]] = set()
        self._states: dict[Device, str] = {}
        self._waiting: dict[Device, int] = {}  # the most that a device's backlog was, while it comes in
        self._next: dict[Device, float] = {}

    def committed(self, work: Work) -> None:
        for t in work.transitions:
            value = "no value" if t.value is None else f"{t.value:.2f}"
            ranks = f"rank {t.from_rank} to {t.to_rank}"
            drill = "drill, " * t.drill
            # A common cause has no station; its episode's name says what failed.
            where = f"{t.station}/{t.channel}" if t.station else t.episode
            log.info("%s: %s%s, %s at %s (%s)", where, drill, t.change, ranks, value, t.key)
        for notice in work.notices.values():
            subject, _ = noticewords.english(notices.said(notice, work.rules.registry))
            log.log(logging.INFO if notice.ended_ms else logging.WARNING, "%s (%s)", subject, notice.key)
        for x in work.letters:
            kind = (x.tenant, x.device, x.code)
            if kind not in self._kinds and len(self._kinds) < MAX_KINDS:
                self._kinds.add(kind)
                whose, why = f"{x.tenant}/{x.device}", f"{x.code.sentence} ({x.detail})"
                log.warning("dead letter from %s: %s; further ones of this kind are only counted", whose, why)
        for note in work.notes:
            if note.kind == "status":
                self._status((note.tenant, note.device), note.text)
        for device in work.statements:
            self._backlog(device, work)

    def _status(self, device: Device, text: str) -> None:
        said = wire.decode_json(text.encode())
        state = str(said.get("state", ""))[:40] if isinstance(said, dict) else ""
        if not state or self._states.get(device) == state:
            return
        self._states[device] = state
        reason = str(said.get("reason") or "")[:100]
        log.info("%s/%s is %s%s", *device, state, f" ({reason})" if reason else "")

    def _backlog(self, device: Device, work: Work) -> None:
        """At its statements, at most once a minute."""
        now = self._now()
        if now < self._next.get(device, now):
            return
        self._next[device] = now + AGAIN_S
        waiting, most = held(work.ledgers[device]), self._waiting.get(device, 0)
        if waiting >= BACKLOG:
            self._waiting[device] = most = max(most, waiting)
            share = 1 - waiting / most
            log.info("%s/%s: %s samples of backlog waiting, %.0f %% in", *device, f"{waiting:,}", 100 * share)
        elif most:
            del self._waiting[device]
            log.info("%s/%s: its backlog is in", *device)
