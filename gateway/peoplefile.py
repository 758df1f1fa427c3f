"""people.yaml and its members.csv -> people: who is called, in which order, and when they can be reached.

What a file alone cannot say is checked too: roles and stations that exist, a plan for every station from rank 2 on,
and, by `suimon check`, that somebody can be reached at every time of the coming 30 days.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from functools import cache
from pathlib import Path as FilePath

from gateway import schema, settings
from gateway.fields import did_you_mean, instead
from gateway.memberfile import Members
from gateway.people import JST, Member, People, Plan, Role, lacking
from gateway.stations import Registry
from gateway.validation import loosely, validate
from gateway.yamlfile import Document, Path

_OFFICE = re.compile(r"(\d{1,2}):(\d\d)\s*[-–~～〜]\s*(\d{1,2}):(\d\d)", re.ASCII)
_DAY = re.compile(r"(?:(\d{4})-)?(\d\d)-(\d\d)", re.ASCII)
_WEEKDAYS = "月火水木金土日"
Day = tuple[int | None, int, int]  # of one year, or of every


def people(
    document: Document, folder: FilePath, bridge: settings.Bridge, registry: Registry | None, now_ms: int | None
) -> settings.Bridge | None:
    """The bridge's settings with its people, their addresses among the recipients; None with a mistake. `now_ms`: also
    judge whether somebody can be reached from then on."""
    before = len(document.problems)
    row = validate(schema.People, document)
    judged = row or loosely(schema.People, document, ())
    roles = {str(name): _role(document, ("roles", name)) for name in document.mapping(("roles",))}
    stated = document.mapping(()).get("plans")
    plans = [_plan(document, ("plans", i)) for i in range(len(stated) if isinstance(stated, list) else 0)]
    _agree(document, roles, plans, registry)
    office = _office(document, judged.office if judged else None)
    closed = _closed(document, (judged.closed if judged else None) or [])
    members: list[Member] = []
    if judged and judged.members:
        known = {r.name: False for r in bridge.recipients} | dict.fromkeys(bridge.media, True)
        kinds = {name: medium.medium for name, medium in bridge.media.items()}
        reader = Members(folder / judged.members, judged.members, set(roles), known, kinds)
        members = reader.read()
        document.problems += reader.problems
    if len(document.problems) > before or row is None:
        return None
    good = tuple(plan for plan in plans if plan)
    found = People({k: r for k, r in roles.items() if r}, tuple(members), good, closed, office)
    _reaches(document, found, registry, now_ms)
    return replace(bridge, people=found, recipients=(*bridge.recipients, *_recipients(found, bridge)))


def _role(document: Document, path: Path) -> Role | None:
    row = validate(schema.RoleOfPeople, document, path)
    if row is None:
        return None
    return Role(str(path[-1]), row.name.ja, row.name.en, row.wait, tuple(row.deputies))


def _plan(document: Document, path: Path) -> Plan | None:
    row = validate(schema.PlanOfPeople, document, path)
    if row is None:
        return None
    call, inform = tuple(row.call), tuple(row.inform)
    return Plan(row.rank, call, inform, row.hazard, row.station, row.wait, row.rounds, row.tenant)


def _agree(
    document: Document, roles: dict[str, Role | None], plans: list[Plan | None], registry: Registry | None
) -> None:
    """What roles and plans name must be there, and no two plans may hold for the same."""
    for name, role in roles.items():
        for i, deputy in enumerate(role.deputies if role else ()):
            _known(document, ("roles", name, "deputies", i), deputy, [r for r in roles if r != name])
    stations = sorted({s.id for s in registry.stations.values()}) if registry else None
    tenants = sorted({s.tenant for s in registry.stations.values()}) if registry else None
    taken: dict[tuple[object, ...], int] = {}
    for i, plan in enumerate(plans):
        if plan is None:
            continue
        for key in ("call", "inform"):
            for n, name in enumerate(getattr(plan, key)):
                _known(document, ("plans", i, key, n), name, list(roles))
        if plan.station is not None and stations is not None and plan.station not in stations:
            near = did_you_mean(plan.station, stations)
            document.add(("plans", i, "station"), f"'{plan.station}' is not in stations.yaml{near}")
        if plan.tenant is not None and tenants is not None and plan.tenant not in tenants:
            message = f"no station of stations.yaml belongs to '{plan.tenant}'{instead(plan.tenant, tenants)}"
            document.add(("plans", i, "tenant"), message)
        other = taken.setdefault((plan.rank, plan.station, plan.tenant, plan.hazard), i)
        if other != i:
            message = f"this is for the same rank and the same places as plan {other + 1}. Which holds?"
            document.add(("plans", i), message, at_key=True)


def _known(document: Document, path: Path, name: str, roles: list[str]) -> None:
    if name not in roles:
        document.add(path, f"unknown role '{name}'{instead(name, sorted(roles))}")


def _office(document: Document, text: str | None) -> tuple[time, time]:
    found = _OFFICE.fullmatch(text or "08:30-17:15")
    try:
        first, minute, last, last_minute = (int(x) for x in found.groups()) if found else (0, 0, 0, 0)
        begin, end = time(first, minute), time(last, last_minute)
        if begin < end:
            return begin, end
    except ValueError:
        pass
    document.add(("office",), f"'{text}' are no office hours. Write them like '08:30-17:15'")
    return time(8, 30), time(17, 15)


def _closed(document: Document, entries: list[str]) -> Callable[[date], bool]:
    """Whether the office is closed on a day: a public holiday, or one of `closed` ('2026-06-01', '12-29..01-03')."""
    spans = [span for i, text in enumerate(entries) if (span := _span(document, ("closed", i), text))]
    if importlib.util.find_spec("jpholiday") is None:
        document.add((), "Japan's holidays are not installed. Install suimon with its part 'bridge'")
    return Closed(tuple(spans))


@cache
def _holiday(day: date) -> bool:
    import jpholiday

    return bool(jpholiday.is_holiday(day))


@dataclass(frozen=True, slots=True)
class Closed:
    """Whether the office is closed on a day. A value, so that people who were read again are the same people."""

    spans: tuple[tuple[Day, Day], ...]

    def __call__(self, day: date) -> bool:
        return any(_within(day, *span) for span in self.spans) or _holiday(day)


def _span(document: Document, path: Path, text: str) -> tuple[Day, Day] | None:
    first, dots, last = text.partition("..")
    days = [_day(x.strip()) for x in ((first, last) if dots else (first, first))]
    if days[0] is None or days[1] is None or (days[0][0] is None) != (days[1][0] is None):
        example = "'2026-06-01', '2026-12-29..2027-01-03', or for every year '12-29..01-03'"
        document.add(path, f"'{text}' is no day or span of days. Write {example}")
        return None
    if days[0][0] is not None and days[1] < days[0]:
        document.add(path, f"'{text}' ends before it begins")
        return None
    return days[0], days[1]


def _day(text: str) -> Day | None:
    found = _DAY.fullmatch(text)
    if not found:
        return None
    year, month, day = found.groups()
    try:
        date(int(year or 2024), int(month), int(day))
    except ValueError:
        return None
    return (int(year) if year else None), int(month), int(day)


def _within(day: date, first: Day, last: Day) -> bool:
    if first[0] is not None:
        return first <= (day.year, day.month, day.day) <= last
    at, begin, end = (day.month, day.day), first[1:], last[1:]
    return begin <= at <= end if begin <= end else at >= begin or at <= end


# --- whether anybody is reached


def _recipients(found: People, bridge: settings.Bridge) -> Iterator[settings.Recipient]:
    """An address of a member as a recipient of its own, in the medium that bridge.yaml describes."""
    own = {r.name for r in bridge.recipients}
    for address in found.all_recipients():
        if address not in own:
            medium, _, to = address.partition(":")
            yield replace(bridge.media[medium], name=address, to=to)


def _reaches(document: Document, found: People, registry: Registry | None, now_ms: int | None) -> None:
    for role in dict.fromkeys(r for p in found.plans for r in (*p.call, *p.inform)):
        if not any(m.role in (role, *found.roles[role].deputies) for m in found.members):
            document.add(("roles", role), "a plan needs this role, and nobody holds it. Add a member", at_key=True)
            return
    for station in lacking(found, list(registry.stations.values()) if registry else [])[:1]:
        role = next(iter(found.roles))
        message = f"no plan says whom rank 2 rings at {station.id}. Add for example '- {{rank: 2, call: [{role}]}}'"
        document.add(("plans",), message, at_key=True)
    if now_ms is not None:
        for role, at_ms in found.uncovered(now_ms):
            at = datetime.fromtimestamp(at_ms / 1000, JST)
            day, part = found.part(at_ms)
            when = f"{at:%Y-%m-%d} ({_WEEKDAYS[day.weekday()]}) {at:%H:%M}, {part}"
            message = f"nobody can be reached from {when}. Add a member or deputies for that time"
            document.add(("roles", role), message, at_key=True)
