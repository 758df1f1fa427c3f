"""How a station stands, for those who look for common causes: what came of it in time, and what did not."""

from __future__ import annotations

from typing import Protocol

from gateway.bridge.around import Around
from gateway.causes import Standing
from gateway.channelstate import ChannelState
from gateway.model import Condition
from gateway.stations import Channel, Station


class Rules(Protocol):
    @property
    def now_ms(self) -> int: ...
    @property
    def subscribed_ms(self) -> int | None: ...


class Batch(Protocol):
    @property
    def rules(self) -> Rules: ...
    def state(self, series: tuple[str, str, str]) -> ChannelState: ...


def standing(work: Batch, around: Around, station: Station, listed: bool) -> Standing:
    """`listed`: an open common cause has it."""
    rules = work.rules
    found = [(c, work.state((station.tenant, station.id, c.name))) for c in station.watched]
    overdue = [_overdue(c, s, rules, around.router_s(station.tenant, c.contract)) for c, s in found]
    heard = [s for c, s in found if _in_time(c, s, rules.now_ms)]
    waiting = [(c, s) for c, s in found if s.lost_ms is not None and not s.lost]
    known = listed or any(s.lost for _, s in found) or around.maintenance(station)
    expected = any(not (c.contract.rests(s.value) or c.contract.kind == "beacon") for c, s in found)
    faulty = [s.condition is Condition.FAULTY for _, s in found]
    silent = bool(found) and all(overdue)
    return Standing(
        station,
        word_ms=max((s.last_ms or 0 for _, s in found), default=0),
        due_ms=min(((s.usable_ms or s.last_ms or 0) + _ms(c.contract.due_s(s.value)) for c, s in waiting), default=0),
        mute=silent,
        blind=bool(found) and all(a or b for a, b in zip(overdue, faulty, strict=True)),
        speaks=bool(heard),
        sees=any(s.condition is Condition.FRESH for s in heard),
        found_ms=min((s.lost_seen_ms for _, s in waiting), default=None),
        counts=not known and (silent or bool(waiting) or expected),
    )


def _in_time(channel: Channel, state: ChannelState, now_ms: int) -> bool:
    """Something came that shows that the way is open; the last heartbeat of a gauge at rest does not."""
    contract = channel.contract
    fresh_s = contract.late_after_s if contract.rests(state.value) else contract.fresh_for_s(state.value)
    return state.last_ms is not None and now_ms - state.last_ms <= _ms(fresh_s)


def _overdue(channel: Channel, state: ChannelState, rules: Rules, router_s: float | None) -> bool:
    """Nothing came although the bridge listened. A beacon is not overdue while its router is heard: it may be wet."""
    contract = channel.contract
    if rules.subscribed_ms is None or router_s is not None or state.condition is Condition.MAINTENANCE:
        return False
    if rules.now_ms - max(rules.subscribed_ms, state.since_ms) <= _ms(contract.late_after_s):
        return False
    if state.last_ms is None:
        return state.condition is Condition.SILENT
    return rules.now_ms - state.last_ms > _ms(contract.fresh_for_s(state.value))


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
