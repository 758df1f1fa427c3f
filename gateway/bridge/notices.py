"""Conditions of the house itself that staff are told of, when they begin and when they end: who is told, after how
long, and what is owed. What the words are stands in `noticewords`.

A condition is told only when it has lasted, and its end only when it has stayed away: one that flaps rings once.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from gateway import settings
from gateway.bridge import noticewords
from gateway.bridge.notify import Owed
from gateway.errors import NoticeCode
from gateway.stations import Registry

Condition = tuple[NoticeCode, str, str]  # code, tenant, device; without tenant and device it is the bridge's own


@dataclass(frozen=True, slots=True)
class Telling:
    """How long a condition must last before it is told, and stay away before its end is; whether the beginning rings
    (the end never does)."""

    begin_s: float
    end_s: float
    rings: bool


# What rings puts readings or alarms in danger now; the rest can wait for the morning. `no_data` is measured where it
# is found (five minutes), so it is told at once. Conditions of a device arrive with its statements, one a minute.
TELLING: dict[NoticeCode, Telling] = {
    NoticeCode.SPOOL_DAMAGED: Telling(0, 60, False),
    NoticeCode.SPOOL_HALF: Telling(0, 600, False),
    NoticeCode.SPOOL_NEARLY_FULL: Telling(0, 600, True),
    NoticeCode.SPOOL_THINNED: Telling(0, 600, True),
    NoticeCode.CARD_REFUSES: Telling(90, 90, True),
    NoticeCode.DEVICE_CLOCK: Telling(300, 60, False),
    NoticeCode.CONTRACT_DIFFERS: Telling(0, 0, False),
    NoticeCode.BRIDGE_CLOCK: Telling(60, 60, False),
    NoticeCode.NO_BROKER: Telling(120, 10, True),
    NoticeCode.NO_DATA: Telling(0, 60, True),
    NoticeCode.STORE_NEARLY_FULL: Telling(0, 600, False),
    NoticeCode.STORE_FULL: Telling(0, 600, True),
    NoticeCode.DISK_FULL: Telling(0, 60, True),
    NoticeCode.LONG_LOST: Telling(0, 0, False),
    NoticeCode.RAIN_UNVERIFIED: Telling(0, 0, False),
    NoticeCode.TIDE_TABLE_ENDS: Telling(0, 0, False),
    NoticeCode.INFLUX_WAITS: Telling(600, 60, False),
    NoticeCode.ORION_WAITS: Telling(600, 60, False),
    NoticeCode.BULLETINS_UNHEARD: Telling(600, 60, False),
    NoticeCode.QUOTA_LOW: Telling(0, 600, False),
    NoticeCode.QUOTA_SPENT: Telling(0, 600, True),
    NoticeCode.CAP_WAITS: Telling(600, 60, False),
    NoticeCode.PAPER_WAITS: Telling(600, 60, False),
}

# What a device may say of itself; of the others a statement cannot speak.
FROM_DEVICES = frozenset(
    {
        NoticeCode.SPOOL_DAMAGED,
        NoticeCode.SPOOL_HALF,
        NoticeCode.SPOOL_NEARLY_FULL,
        NoticeCode.SPOOL_THINNED,
        NoticeCode.CARD_REFUSES,
        NoticeCode.DEVICE_CLOCK,
    }
)

WITH_SHARE = frozenset({NoticeCode.SPOOL_HALF, NoticeCode.SPOOL_NEARLY_FULL, NoticeCode.SPOOL_THINNED})


@dataclass(frozen=True, slots=True)
class Notice:
    """A condition that staff were told of. `ended_ms` is None while it lasts. `detail` is a value with its unit, the
    same in both languages, or empty."""

    code: NoticeCode
    tenant: str
    device: str
    detail: str
    since_ms: int
    ended_ms: int | None = None

    @property
    def condition(self) -> Condition:
        return self.code, self.tenant, self.device

    @property
    def key(self) -> str:
        """Made of facts, as the keys of alerts are."""
        return f"notice/{self.code}/{self.tenant}/{self.device}/{self.since_ms}"

    def ended(self, at_ms: int) -> Notice:
        return replace(self, ended_ms=at_ms)


@dataclass(frozen=True, slots=True)
class Pending:
    """A change that has not lasted long enough to be told. `steady_ms` is on a clock that nobody sets."""

    on: bool
    detail: str
    since_ms: int
    steady_ms: int

    def lasted(self, code: NoticeCode, steady_ms: int) -> bool:
        telling = TELLING[code]
        return steady_ms - self.steady_ms >= 1000 * (telling.begin_s if self.on else telling.end_s)


DATED = (NoticeCode.RAIN_UNVERIFIED, NoticeCode.TIDE_TABLE_ENDS)  # their detail begins with the station


def said(notice: Notice, registry: Registry) -> noticewords.Said:
    """The notice as its words need it."""
    stations, detail = registry.devices.get((notice.tenant, notice.device), []), notice.detail
    if notice.code in DATED:  # of one station of the device: 'mure 2026-12-31'
        name, _, day = detail.partition(" ")
        if own := [s for s in stations if s.id == name]:
            stations, detail = own, day
    return noticewords.Said(notice.code, notice.device, stations, detail, notice.since_ms, notice.ended_ms)


def owed(notice: Notice, registry: Registry, bridge: settings.Bridge, now_ms: int) -> list[Owed]:
    """What its beginning, or its end, owes to the recipients who want notices. The alert topic gets none: it is for
    the world."""
    state = "begins" if notice.ended_ms is None else "ends"
    rings = notice.ended_ms is None and TELLING[notice.code].rings
    told = said(notice, registry)
    (subject_ja, text_ja), (subject_en, text_en) = noticewords.japanese(told), noticewords.english(told)
    body = {
        "key": f"{notice.key}/{state}",
        "notice": notice.code.value,
        "state": state,
        "tenant": notice.tenant,
        "device": notice.device,
        "detail": notice.detail,
        "since_ms": notice.since_ms,
        "ended_ms": notice.ended_ms,
        "rings": rings,
        "subject": {"ja": subject_ja, "en": subject_en},
        "text": {"ja": text_ja, "en": text_en},
    }
    text = json.dumps(body, ensure_ascii=False)
    return [
        Owed(f"{notice.key}/{state}/{r.name}", r.via or r.medium, r.name, text, now_ms, rings, r.medium == "voice")
        for r in bridge.recipients
        if r.notices
    ]
