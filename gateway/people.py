"""Who is called: roles, the members who hold them and when, and the plans by which roles are called. Pure.

A working day has two parts: office hours, and the night, which is the rest. So a moment is `weekday` (office hours of a
working day), `holiday` (the same hours of a Saturday, Sunday, holiday or closed day) or `night` (all other hours), and
a member is reachable in the parts that are theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone

from gateway.stations import Hazard, Station

JST = timezone(timedelta(hours=9))  # a city's days are Japan's
WEEKDAY, HOLIDAY, NIGHT = "weekday", "holiday", "night"
PARTS = frozenset({WEEKDAY, HOLIDAY, NIGHT})
DAY_MS = 86_400_000
OFFICE = (time(8, 30), time(17, 15))
WAIT_S, WAIT_CALM_S = 180.0, 600.0  # until the next role is called: at rank >= 4, and at rank 3


@dataclass(frozen=True, slots=True)
class Role:
    """`deputies` are roles that stand in where nobody of this one can be reached, and are called after all others."""

    id: str
    ja: str
    en: str
    wait_s: float | None = None
    deputies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Member:
    """A person in a role. `recipients` are addresses by their names (`mail:…`, or a recipient of bridge.yaml), all used
    at once; of a role those of the lowest `order` are called first, in the next round those after them. `until` is the
    last day."""

    role: str
    name: str
    recipients: tuple[str, ...]
    order: int = 1
    first: date | None = None
    until: date | None = None
    parts: frozenset[str] = PARTS

    def reachable(self, day: date, part: str) -> bool:
        begun = self.first is None or self.first <= day
        return begun and (self.until is None or day <= self.until) and part in self.parts


@dataclass(frozen=True, slots=True)
class Plan:
    """Who is called from `rank` on, in order, each after the one before has not acknowledged for its time, and who is
    only told. It holds for a station, a tenant, a hazard, or for all."""

    rank: int
    call: tuple[str, ...]
    inform: tuple[str, ...] = ()
    hazard: Hazard | None = None
    station: str | None = None
    wait_s: float | None = None
    rounds: int = 3
    tenant: str | None = None

    def fits(self, rank: int, station: str, hazard: Hazard, tenant: str) -> bool:
        here = self.station in (None, station) and self.tenant in (None, tenant)
        return here and self.rank <= rank and self.hazard in (None, hazard)

    @property
    def weight(self) -> tuple[int, bool, bool, bool]:
        """The highest rank holds, and of these the most specific."""
        return self.rank, self.station is not None, self.tenant is not None, self.hazard is not None


@dataclass(frozen=True, slots=True)
class People:
    """`closed` says whether a day is a holiday or one on which the office is closed (Saturdays and Sundays apart)."""

    roles: dict[str, Role]
    members: tuple[Member, ...]
    plans: tuple[Plan, ...]
    closed: Callable[[date], bool]
    office: tuple[time, time] = OFFICE

    def part(self, at_ms: int) -> tuple[date, str]:
        """The day in Japan, and which part of it a moment is."""
        at = datetime.fromtimestamp(at_ms / 1000, JST)
        if not self.office[0] <= at.time() < self.office[1]:
            return at.date(), NIGHT
        free = at.weekday() >= 5 or self.closed(at.date())
        return at.date(), HOLIDAY if free else WEEKDAY

    def plan(self, rank: int, station: str, hazard: Hazard, tenant: str) -> Plan | None:
        """The one that holds there at that rank."""
        found = [p for p in self.plans if p.fits(rank, station, hazard, tenant)]
        return max(found, key=lambda p: p.weight, default=None)

    def order(self, plan: Plan) -> tuple[str, ...]:
        """The roles that one round calls: those of the plan, then their deputies, each once."""
        deputies = (d for role in plan.call for d in self.roles[role].deputies)
        return tuple(dict.fromkeys((*plan.call, *deputies)))

    def reach(self, role: str, at_ms: int, round_: int = 0) -> tuple[Member, ...]:
        """Those of a role who are called in this round, or of the first deputy that has anybody; none where nobody
        can be reached."""
        day, part = self.part(at_ms)
        for name in (role, *self.roles[role].deputies):
            there = [m for m in self.members if m.role == name and m.reachable(day, part)]
            if there:
                orders = sorted({m.order for m in there})
                turn = orders[round_ % len(orders)]
                return tuple(m for m in there if m.order == turn)
        return ()

    def wait_s(self, plan: Plan, role: str, rank: int) -> float:
        """How long a role has to acknowledge."""
        own = plan.wait_s if plan.wait_s is not None else self.roles[role].wait_s
        return own if own is not None else WAIT_S if rank >= 4 else WAIT_CALM_S

    def all_recipients(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(r for m in self.members for r in m.recipients))

    def uncovered(self, from_ms: int, days: int = 30) -> Iterator[tuple[str, int]]:
        """(role, first moment) of each role that a plan calls and nobody holds at some time of the coming days.
        Who can be reached changes with the day and at the office's hours only, so one look at each is enough."""
        moments = [from_ms, *self._changes(from_ms, days)]
        for role in dict.fromkeys(r for p in self.plans for r in p.call):
            first = next((at for at in moments if not self.reach(role, at)), None)
            if first is not None:
                yield role, first

    def _changes(self, from_ms: int, days: int) -> Iterator[int]:
        midnight = datetime.combine(datetime.fromtimestamp(from_ms / 1000, JST).date(), time(), JST)
        for n in range(days + 1):
            for hour in (time(), *self.office):
                at = datetime.combine(midnight.date() + timedelta(days=n), hour, JST)
                at_ms = int(at.timestamp()) * 1000
                if from_ms < at_ms <= from_ms + days * DAY_MS:
                    yield at_ms


def in_office(people: People | None, at_ms: int) -> bool:
    """Whether it is office hours of a working day; without people.yaml of any Monday to Friday."""
    if people is not None:
        return people.part(at_ms)[1] == WEEKDAY
    at = datetime.fromtimestamp(at_ms / 1000, JST)
    return at.weekday() < 5 and OFFICE[0] <= at.time() < OFFICE[1]


def lacking(people: People, stations: list[Station]) -> list[Station]:
    """Stations for which no plan says whom rank 2 rings."""
    return [s for s in stations if people.plan(2, s.id, s.hazard, s.tenant) is None]
