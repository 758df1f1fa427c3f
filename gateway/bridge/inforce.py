"""Which thresholds are in force, in the journal: for each station at the first start, and once at each change, be it of
the configuration or because a date has come. Compared with what the journal last said, so a restart says nothing. So
it is with what was done to sensors: once it has come into force, under its own time.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Protocol

from gateway import journal
from gateway.stations import Registry

AT_ONCE = 500  # stations looked at in one batch, so that a start with many delays nothing

Place = tuple[str, str]  # tenant, station
Event = tuple[str, str, str]  # tenant, station, digest of what was said
NEVER = 1 << 62


@dataclass(slots=True)
class InForce:
    """`recorded` and `events` mirror what the journal says, as digests. The rest is no mirror: what is still to be
    looked at, by which registry, and between which times nothing changes."""

    recorded: dict[Place, str] = field(default_factory=dict)
    events: set[Event] = field(default_factory=set)
    todo: list[Place] = field(default_factory=list)
    equipped: list[tuple[Event, journal.Entry]] = field(default_factory=list)
    registry: Registry | None = None
    since_ms: int = 0
    until_ms: int = 0


class Rules(Protocol):
    @property
    def registry(self) -> Registry: ...
    @property
    def now_ms(self) -> int: ...
    @property
    def future_ms(self) -> int | None: ...


class Batch(Protocol):
    """What is needed of the `Work` that is written into."""

    entries: list[journal.Entry]
    in_force: dict[Place, str]
    events: set[Event]

    @property
    def rules(self) -> Rules: ...


def digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()[:32]


def tick(work: Batch, known: InForce) -> None:
    """Say what is in force where the journal says otherwise. While the clock is not believed nobody knows what is."""
    rules = work.rules
    registry, now = rules.registry, rules.now_ms
    if rules.future_ms is None:
        return
    if registry is not known.registry or not known.since_ms <= now < known.until_ms:
        known.registry, (known.since_ms, known.until_ms) = registry, _bounds(registry, now)
        graded = {place for place, s in registry.stations.items() if any(c.thresholds for c in s.channels.values())}
        known.todo = sorted(graded | known.recorded.keys(), reverse=True)
        known.equipped = _equipped(registry, now)
    for event, entry in known.equipped[:AT_ONCE]:
        if event not in known.events:
            work.entries.append(entry)
            work.events.add(event)
    known.equipped = [x for x in known.equipped if x[0] not in known.events]  # until it is committed
    left = []
    for place in (known.todo.pop() for _ in range(min(AT_ONCE, len(known.todo)))):
        station = registry.station(*place)
        entry = journal.Entry(
            now, journal.Kind.THRESHOLDS, *place, body=journal.in_force(station, registry.levels, now)
        )
        said = digest(entry.text)
        if known.recorded.get(place) != said:
            work.entries.append(entry)
            work.in_force[place] = said
            left.append(place)  # until it is committed, and seen to be so
    known.todo[:0] = left


def swap_in(work: Batch, known: InForce) -> None:
    """After the commit."""
    known.recorded.update(work.in_force)
    known.events |= work.events


def _equipped(registry: Registry, now: int) -> list[tuple[Event, journal.Entry]]:
    """What was done to sensors up to now, the oldest first."""
    entries = [
        journal.Entry(at, journal.Kind.EQUIPMENT, *place, body={"channel": channel.name, "unit": channel.unit, **said})
        for place, station in registry.stations.items()
        for channel in station.channels.values()
        for at, said in channel.equipment.events(now)
    ]
    entries.sort(key=lambda entry: (entry.at_ms, entry.tenant, entry.station, entry.text))
    return [((x.tenant, x.station, digest(x.text)), x) for x in entries]


def _bounds(registry: Registry, now: int) -> tuple[int, int]:
    """Since when, and until when (excluded), what is in force is the present."""
    dates = {
        at
        for station in registry.stations.values()
        for channel in station.channels.values()
        for x in channel.thresholds
        for at in (x.valid_from_ms, x.valid_to_ms)
        if at is not None
    }
    equipped = [c.equipment for s in registry.stations.values() for c in s.channels.values()]
    dates |= {x.from_ms for e in equipped for x in e.calibrations} | {x.at_ms for e in equipped for x in e.replaced}
    return max((at for at in dates if at <= now), default=-NEVER), min((at for at in dates if at > now), default=NEVER)
