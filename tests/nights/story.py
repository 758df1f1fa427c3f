"""The language of the nights, one file each; times are of Japan, `25:10` is ten past one in the second night.

night 2026-09-16                                     the day that 00:00 begins
city FOLDER                                          the configuration; `city` where none is named
calm 0.40 from 00:00 to 06:00                        every station that no line speaks of measures this
STATION [CHANNEL] level 0.4 from 00:00 to 02:00 [to 3.1]   evenly between the two, at the channel's interval
STATION [CHANNEL] fault no_echo from 02:10 to 05:00
STATION silent from 02:10 to 05:00                   nothing is measured, nothing comes
STATION withheld from 02:10 to 03:30                 measured, and comes as backlog at the end
area NAME withheld from 02:10 to 05:00               a mobile network is down
bridge away from 03:00 to 03:20                      what was measured comes as live messages when it is back
bridge killed at 02:14
MEDIUM hangs from 02:00 to 04:00                     a medium or one recipient
thresholds at 24:00 FOLDER                           the bridge begins anew with another stations.yaml, in which
                                                     stations may have other names
at 02:07 acknowledge STATION by NAME                 what people do; `confirm reject close` with `basis B note "…"`,
at 02:07 mute STATION for 2h by NAME                 `maintenance STATION for 2h by NAME`,
at 02:07 drill STATION rank 4 by NAME                `drill end STATION by NAME`

want 02:00..02:03 ring RECIPIENT "words" …           a ring that its medium took; each ring must be wanted
want 02:00..02:03 told RECIPIENT "words" …           a notification that does not ring; others may come
want 02:30 STATION [CHANNEL] rank 4 fresh [held] [unconfirmed 5]
never "words"                                        in nothing that anybody is told
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from gateway import units
from gateway.bridge.wording import JST
from gateway.errors import FaultCode

TIME = r"(\d\d:\d\d)"
FROM_TO = rf"from {TIME} to {TIME}"
PLACE = r"(\S+)(?: (\w+))??"
WORDS = re.compile(r'"([^"]*)"')


def minutes(text: str) -> int:
    hours, _, rest = text.partition(":")
    return int(hours) * 60 + int(rest)


@dataclass(frozen=True)
class Course:
    """What one channel measures for a while: from `first` evenly to `last`, or a fault."""

    start: int
    end: int
    first: float
    last: float
    fault: FaultCode | None = None

    def at(self, minute: int) -> float | FaultCode:
        if self.fault is not None:
            return self.fault
        share = (minute - self.start) / max(1, self.end - self.start)
        return round(self.first + (self.last - self.first) * share, 2)


@dataclass(frozen=True)
class Act:
    """What a person does."""

    minute: int
    kind: str
    station: str
    by: str
    more: dict[str, object]


@dataclass(frozen=True)
class Want:
    """A notification that must come. `rings` None: either."""

    start: int
    end: int
    rings: bool
    recipient: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        times = f"{clock(self.start)}..{clock(self.end)}"
        return f"{times} {'ring' if self.rings else 'told'} {self.recipient} {' '.join(self.words)}"


@dataclass(frozen=True)
class State:
    minute: int
    station: str
    channel: str
    rank: int
    condition: str
    held: bool
    unconfirmed: int


@dataclass
class Story:
    """What the file says; times in minutes since 00:00."""

    path: Path
    begins_ms: int = 0
    folder: str = "city"
    calm: tuple[float, int, int] | None = None
    courses: dict[tuple[str, str], list[Course]] = field(default_factory=dict)
    silent: list[tuple[str, int, int]] = field(default_factory=list)
    withheld: list[tuple[str, int, int]] = field(default_factory=list)  # a station, or area:NAME
    away: list[tuple[int, int]] = field(default_factory=list)
    kills: list[int] = field(default_factory=list)
    hangs: list[tuple[str, int, int]] = field(default_factory=list)
    revised: dict[int, str] = field(default_factory=dict)
    acts: list[Act] = field(default_factory=list)
    answers: set[str] = field(default_factory=set)
    wants: list[Want] = field(default_factory=list)
    states: list[State] = field(default_factory=list)
    nevers: list[str] = field(default_factory=list)

    @property
    def begin(self) -> int:
        return self.calm[1] if self.calm else 0

    @property
    def end(self) -> int:
        ends = [c.end for cs in self.courses.values() for c in cs] + [w.end for w in self.wants]
        return max([*ends, *(s.minute for s in self.states), self.calm[2] if self.calm else 0])

    # --- one method for each kind of line --------------------------------------------------------------------

    def night(self, day: str) -> None:
        self.begins_ms = round(datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=JST).timestamp() * 1000)

    def city(self, folder: str) -> None:
        self.folder = folder

    def is_calm(self, value: str, start: str, end: str) -> None:
        self.calm = (float(value), minutes(start), minutes(end))

    def level(self, station: str, channel: str | None, first: str, start: str, end: str, last: str | None) -> None:
        course = Course(minutes(start), minutes(end), float(first), float(last or first))
        self.courses.setdefault((station, channel or "water_level"), []).append(course)

    def fault(self, station: str, channel: str | None, code: str, start: str, end: str) -> None:
        course = Course(minutes(start), minutes(end), 0, 0, FaultCode(code))
        self.courses.setdefault((station, channel or "water_level"), []).append(course)

    def is_silent(self, station: str, start: str, end: str) -> None:
        self.silent.append((station, minutes(start), minutes(end)))

    def is_withheld(self, station: str, start: str, end: str) -> None:
        self.withheld.append((station, minutes(start), minutes(end)))

    def area_withheld(self, area: str, start: str, end: str) -> None:
        self.withheld.append((f"area:{area}", minutes(start), minutes(end)))

    def is_away(self, start: str, end: str) -> None:
        self.away.append((minutes(start), minutes(end)))

    def killed(self, at: str) -> None:
        self.kills.append(minutes(at))

    def hang(self, medium: str, start: str, end: str) -> None:
        self.hangs.append((medium, minutes(start), minutes(end)))

    def revise(self, at: str, folder: str) -> None:
        self.revised[minutes(at)] = folder

    def seen(self, at: str, kind: str, station: str, by: str, more: str | None) -> None:
        said: dict[str, object] = {}
        if more:
            if basis := re.search(r"basis (\w+)", more):
                said["basis"] = basis[1]
            if note := WORDS.search(more):
                said["note"] = note[1]
        self.acts.append(Act(minutes(at), f"alert.{kind}", station, by, said))

    def suspend(self, at: str, kind: str, station: str, length: str, by: str) -> None:
        name = "alert.mute" if kind == "mute" else "maintenance.begin"
        self.acts.append(Act(minutes(at), name, station, by, {"for_s": units.seconds(length)}))

    def drill(self, at: str, station: str, rank: str, by: str) -> None:
        self.acts.append(Act(minutes(at), "drill.begin", station, by, {"rank": int(rank)}))

    def drill_ends(self, at: str, station: str, by: str) -> None:
        self.acts.append(Act(minutes(at), "drill.end", station, by, {}))

    def answer(self, recipient: str) -> None:
        self.answers.add(recipient)

    def want(self, start: str, end: str, kind: str, recipient: str, words: str) -> None:
        found = tuple(WORDS.findall(words))
        self.wants.append(Want(minutes(start), minutes(end), kind == "ring", recipient, found))

    def state(
        self, at: str, station: str, channel: str | None, rank: str, condition: str, held: str | None, claim: str | None
    ) -> None:
        self.states.append(
            State(minutes(at), station, channel or "water_level", int(rank), condition, bool(held), int(claim or 0))
        )

    def never(self, words: str) -> None:
        self.nevers.append(words)


GRAMMAR = [
    (re.compile(r"night (\S+)"), Story.night),
    (re.compile(r"city (\S+)"), Story.city),
    (re.compile(rf"calm (\S+) {FROM_TO}"), Story.is_calm),
    (re.compile(rf"{PLACE} level (\S+) {FROM_TO}(?: to (\S+))?"), Story.level),
    (re.compile(rf"{PLACE} fault (\w+) {FROM_TO}"), Story.fault),
    (re.compile(rf"(\S+) silent {FROM_TO}"), Story.is_silent),
    (re.compile(rf"(\S+) withheld {FROM_TO}"), Story.is_withheld),
    (re.compile(rf"area (\S+) withheld {FROM_TO}"), Story.area_withheld),
    (re.compile(rf"bridge away {FROM_TO}"), Story.is_away),
    (re.compile(rf"bridge killed at {TIME}"), Story.killed),
    (re.compile(rf"(\S+) hangs {FROM_TO}"), Story.hang),
    (re.compile(rf"thresholds at {TIME} (\S+)"), Story.revise),
    (re.compile(rf"at {TIME} (acknowledge|confirm|reject|close) (\S+) by (\S+)( .*)?"), Story.seen),
    (re.compile(rf"at {TIME} (mute|maintenance) (\S+) for (\S+) by (\S+)"), Story.suspend),
    (re.compile(rf"at {TIME} drill (\S+) rank (\d) by (\S+)"), Story.drill),
    (re.compile(rf"at {TIME} drill end (\S+) by (\S+)"), Story.drill_ends),
    (re.compile(r"(\S+) answers"), Story.answer),
    (re.compile(rf'want {TIME}\.\.{TIME} (ring|told) (\S+)((?: "[^"]*")+)'), Story.want),
    (re.compile(rf"want {TIME} {PLACE} rank (\d) (\w+)( held)?(?: unconfirmed (\d))?"), Story.state),
    (re.compile(r'never "([^"]*)"'), Story.never),
]


def clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def read(path: Path) -> Story:
    story = Story(path)
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        found = [(rule, match) for pattern, rule in GRAMMAR if (match := pattern.fullmatch(line.strip()))]
        assert len(found) == 1, f"{path.name}:{number}: {'not understood' if not found else 'ambiguous'}: {line}"
        rule, match = found[0]
        rule(story, *match.groups())  # type: ignore[operator]
    return story
