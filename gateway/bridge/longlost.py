"""Stations that have given nothing usable for a day. In the calm that was told without a ring, perhaps in the night and
perhaps to nobody who could go there: so staff are told once more in working hours, without a ring, and when it is over.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Protocol

from gateway import settings
from gateway.channelstate import ChannelState
from gateway.errors import NoticeCode
from gateway.people import JST, in_office
from gateway.stations import Station

LONG_MS = 24 * 3_600_000
NAMED = 3  # stations of one device


class Rules(Protocol):
    @property
    def bridge(self) -> settings.Bridge: ...
    @property
    def now_ms(self) -> int: ...


class Batch(Protocol):
    """What is needed of the `Work` that is written into."""

    @property
    def rules(self) -> Rules: ...
    def told_of(self, code: NoticeCode) -> Iterable[tuple[str, str]]: ...
    def notice(self, code: NoticeCode, on: bool, tenant: str = "", device: str = "", detail: str = "") -> None: ...


def long(state: ChannelState, now_ms: int) -> bool:
    """Lost, told, and for a day already."""
    return state.lost and state.lost_ms is not None and now_ms - state.lost_ms >= LONG_MS


def tell(work: Batch, found: Iterable[tuple[Station, ChannelState]]) -> None:
    """`found`: the channels that are lost so long, but those of a common cause that lasts: it names them already."""
    now, code = work.rules.now_ms, NoticeCode.LONG_LOST
    lost: dict[tuple[str, str], dict[str, int | None]] = {}
    for station, state in found:
        there = lost.setdefault((station.tenant, station.device), {})
        there[station.id] = max(there.get(station.id) or 0, state.usable_ms or 0) or None
    told = set(work.told_of(code))
    if lost.keys() - told and in_office(work.rules.bridge.people, now):
        for (tenant, device), stations in lost.items():
            work.notice(code, True, tenant, device, _detail(stations))
    for tenant, device in told - lost.keys():
        work.notice(code, False, tenant, device)


def _detail(stations: dict[str, int | None]) -> str:
    """Names, and when the last of them was seen."""
    names = list(stations)
    more = f" +{len(names) - NAMED}" if len(names) > NAMED else ""
    last_ms = max((at for at in stations.values() if at), default=None)
    since = "" if last_ms is None else f" {datetime.fromtimestamp(last_ms / 1000, JST):%Y-%m-%d %H:%M}"
    return ", ".join(names[:NAMED]) + more + since
