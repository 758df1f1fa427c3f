"""What another configuration means for what is remembered: the alert of a station that was taken out of it ends, and is
said to have ended; the contract of a channel that is new, or has another one, begins now. Everything else is kept by
channel and simply goes on: a changed threshold is for `revision`, at the next sample.

Also at the first batch of a process, for what was taken out while it did not run. Done again it writes nothing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from msgspec import structs

from gateway import journal, reporting, settings
from gateway.bridge import notify, wording
from gateway.calling import Call
from gateway.channelstate import ChannelState
from gateway.episodes import Episode
from gateway.model import Change, Transition
from gateway.stations import Registry

Series = tuple[str, str, str]
Place = tuple[str, str]
UNKNOWN = {"ja": "不明", "en": "unknown"}


class Rules(Protocol):
    @property
    def registry(self) -> Registry: ...
    @property
    def bridge(self) -> settings.Bridge: ...
    @property
    def now_ms(self) -> int: ...


class Memory(Protocol):
    """`judged_by`: the registry that what is remembered was made to agree with; no mirror."""

    judged_by: Registry | None
    states: dict[Series, ChannelState]
    episodes: dict[Place, Episode]


class Batch(Protocol):
    """What is needed of the `Work` that is written into."""

    states: dict[Series, ChannelState]
    episodes: dict[Place, Episode]
    owed: list[notify.Owed]
    entries: list[journal.Entry]
    judged_by: Registry | None

    @property
    def memory(self) -> Memory: ...
    @property
    def rules(self) -> Rules: ...
    def state(self, series: Series) -> ChannelState: ...


def tick(work: Batch) -> None:
    """Make what is remembered agree with the configuration in force, once for each."""
    memory, registry = work.memory, work.rules.registry
    if memory.judged_by is registry:
        return
    gone = _forget(work, registry) | _end(work, registry)
    for tenant, station in sorted(gone):
        _publish(work, tenant, station)
    begun = memory.judged_by is not None and _begin(work, memory.judged_by, registry)
    work.judged_by = registry
    if not gone and not begun:
        memory.judged_by = registry  # nothing of it waits for a commit


def _forget(work: Batch, registry: Registry) -> set[Place]:
    """The states of channels that are watched no longer: should one come back, it begins anew. The stations among them
    that are configured no longer."""
    watched, gone = {(s.tenant, s.id, c.name) for s, c in registry.watched}, set[Place]()
    for series, state in work.memory.states.items():
        if series not in watched and state != ChannelState():
            work.states[series] = ChannelState()
            if registry.station(*series[:2]) is None:
                gone.add(series[:2])
    return gone


def _end(work: Batch, registry: Registry) -> set[Place]:
    """End what is open at stations that are configured no longer; whoever was told of it is told so."""
    gone, now = set[Place](), work.rules.now_ms
    for slot, e in {**work.memory.episodes, **work.episodes}.items():
        if e.kind == "cause" or e.closed_ms is not None or registry.station(e.tenant, e.station) is not None:
            continue
        work.episodes[slot] = replace(e, closed_ms=now)
        gone.add((e.tenant, e.station))
        drill = e.kind == "drill"
        t = Transition(e.tenant, e.station, "", e.id, Change.CLOSED, e.max_rank, 0, now, None, rings=False, drill=drill)
        body = _body(work, e.tenant, e.station, drill) | {"key": t.key, "episode": e.id, "change": t.change.value}
        calls = [Call(x.recipient, t, rings=False) for x in e.course.told]
        work.owed += notify.addressed(body, calls, work.rules.bridge, now)
    return gone


def _publish(work: Batch, tenant: str, station: str) -> None:
    """Nobody who reads only the alert topic takes an old rank, or calm, for the present."""
    if work.rules.bridge.alert_topic:
        key = f"{tenant}/{station}//removed/{work.rules.now_ms}"
        work.owed.append(notify.on_topic(_body(work, tenant, station, False) | {"key": key}, work.rules.now_ms))


def _body(work: Batch, tenant: str, station: str, drill: bool) -> dict[str, object]:
    before = work.memory.judged_by.station(tenant, station) if work.memory.judged_by else None
    names = (before.name_ja, before.name_en) if before else (station, station)
    (subject_ja, text_ja), (subject_en, text_en) = wording.removed(names, work.rules.now_ms, drill)
    return {
        "tenant": tenant,
        "station": station,
        "channel": "",
        "episode": "",
        "change": "removed",
        "rank": 0,
        "level": "",  # not normal: that is said of fresh data alone
        "level_table": work.rules.registry.levels.name,
        "name": UNKNOWN,
        "held": False,
        "condition": "unknown",
        "confirmed": True,
        "rings": False,
        "value": None,
        "observed_ms": work.rules.now_ms,
        "subject": {"ja": subject_ja, "en": subject_en},
        "text": {"ja": text_ja, "en": text_en},
        **({"drill": True} if drill else {}),
    }


def _begin(work: Batch, old: Registry, new: Registry) -> bool:
    """The contract of a channel that is new, has another one or another device begins now: until it has had its time,
    nothing that came before says that it is silent. What is lost already stays so, and is told no second time."""
    begun, now = False, work.rules.now_ms
    for station, channel in new.watched:
        before = old.station(station.tenant, station.id)
        was = next((c for c in before.watched if c.name == channel.name), None) if before else None
        if before and was and was.contract == channel.contract and before.device == station.device:
            continue
        series = (station.tenant, station.id, channel.name)
        state = work.state(series)
        if state.lost_ms is None and not reporting.fresh(state, channel, now):
            work.states[series] = structs.replace(state, since_ms=now)
            begun = True
    return begun
