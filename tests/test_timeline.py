"""Flood stories in virtual time. Each file of `timeline/` is one, in a small language:

    station NAME interval DURATION grace DURATION
    threshold LEVEL METRES
    at HH:MM level 2.1 | suspect 7.5 | failed 39.33 | fault no_echo   [arriving HH:MM]
    every DURATION from HH:MM to HH:MM level 1.0 [to 2.0]             [arriving HH:MM]   evenly between the two
    away from HH:MM to HH:MM                                          the bridge is not running
    want between HH:MM and HH:MM "rise 0->2"                          a transition, when it is decided
    want at HH:MM rank 2 fresh [held]                                 the state at the end of that minute

Every transition must be wanted, in the order of the file, and every wanted one must come. The clock ticks once a
minute; what arrives later than it was measured arrives as backlog does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gateway import units
from gateway.alerting import advance
from gateway.channelstate import ChannelState
from gateway.errors import FaultCode
from gateway.model import Condition, Flag, Observation, Transition
from gateway.reporting import tick
from gateway.stations import Contract, Station, Threshold
from tests.places import MINUTE, T0, TEN_MINUTES, graded, threshold

STORIES = sorted((Path(__file__).parent / "timeline").glob("*.txt"))
FLAGS = {"level": Flag.GOOD, "suspect": Flag.SUSPECT, "failed": Flag.FAIL}


def minutes(text: str) -> int:
    hours, _, rest = text.partition(":")
    return int(hours) * 60 + int(rest)


@dataclass(frozen=True)
class Event:
    """Something measured at a minute that arrives at another."""

    made: float
    arrives: float
    value: float | None
    flag: Flag
    fault: FaultCode | None


@dataclass
class Story:
    """What the file says."""

    contract: Contract = TEN_MINUTES
    thresholds: list[Threshold] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    away: list[tuple[int, int]] = field(default_factory=list)
    wants: list[tuple[int, int, str]] = field(default_factory=list)
    states: list[tuple[int, int, Condition, bool]] = field(default_factory=list)

    def station(self, interval: str, grace: str) -> None:
        self.contract = Contract(units.seconds(interval), units.seconds(grace))

    def threshold(self, level: str, value: str) -> None:
        self.thresholds.append(threshold(level, float(value)))

    def at(self, when: str, kind: str, what: str, arriving: str | None) -> None:
        made = minutes(when)
        arrives = minutes(arriving) if arriving else made
        if kind == "fault":
            self.events.append(Event(made, arrives, None, Flag.MISSING, FaultCode(what)))
        else:
            self.events.append(Event(made, arrives, float(what), FLAGS[kind], None))

    def every(self, step: str, start: str, end: str, first: str, last: str | None, arriving: str | None) -> None:
        a, b, by = minutes(start), minutes(end), units.seconds(step) / 60
        count = round((b - a) / by)
        low, high = float(first), float(last or first)
        for i in range(count + 1):
            made = a + i * by
            value = round(low + (high - low) * i / count, 3)
            self.events.append(Event(made, minutes(arriving) if arriving else made, value, Flag.GOOD, None))

    def gone(self, start: str, end: str) -> None:
        self.away.append((minutes(start), minutes(end)))

    def want(self, start: str, end: str, text: str) -> None:
        self.wants.append((minutes(start), minutes(end), text))

    def state(self, when: str, rank: str, condition: str, held: str | None) -> None:
        self.states.append((minutes(when), int(rank), Condition(condition), held is not None))


TIME = r"(\d\d:\d\d)"
ARRIVING = rf"(?: arriving {TIME})?"
GRAMMAR = [
    (re.compile(r"station \S+ interval (\S+) grace (\S+)"), Story.station),
    (re.compile(r"threshold (\S+) (\S+)"), Story.threshold),
    (re.compile(rf"at {TIME} (level|suspect|failed|fault) (\S+){ARRIVING}"), Story.at),
    (re.compile(rf"every (\S+) from {TIME} to {TIME} level (\S+)(?: to (\S+))?{ARRIVING}"), Story.every),
    (re.compile(rf"away from {TIME} to {TIME}"), Story.gone),
    (re.compile(rf'want between {TIME} and {TIME} "(.+)"'), Story.want),
    (re.compile(rf"want at {TIME} rank (\d) (\w+)( held)?"), Story.state),
]


def read(path: Path) -> Story:
    story = Story()
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        found = [(rule, match) for pattern, rule in GRAMMAR if (match := pattern.fullmatch(line.strip()))]
        assert len(found) == 1, f"{path.name}:{number}: not understood: {line}"
        rule, match = found[0]
        rule(story, *match.groups())  # type: ignore[operator]
    return story


def say(t: Transition) -> str:
    ranks = f"{t.from_rank}->{t.to_rank}" if t.from_rank != t.to_rank else f"{t.to_rank}"
    return f"{t.change} {ranks}{'' if t.confirmed else ' unconfirmed'}{'' if t.rings else ' quiet'}"


@dataclass
class Telling:
    """A story as it happens."""

    place: Station
    state: ChannelState = field(default_factory=ChannelState)
    said: list[tuple[float, str]] = field(default_factory=list)
    since: int | None = T0 - 1000 * MINUTE

    def observe(self, e: Event) -> None:
        channel = self.place.channels["water_level"]
        at, now = T0 + round(e.made * MINUTE), T0 + round(e.arrives * MINUTE)
        o = Observation(
            "kagawa", "gw-1", "kamogawa", "water_level", "a1", 1, 0, at, now, e.value, e.value, e.flag, (), e.fault
        )
        self.state, out = advance(self.state, o, self.place, channel, now, None)
        self.said += [(e.arrives, say(t)) for t in out]

    def pass_to(self, minute: int) -> None:
        channel = self.place.channels["water_level"]
        self.state, out = tick(self.state, self.place, channel, T0 + minute * MINUTE, self.since, None)
        self.said += [(minute, say(t)) for t in out]


@pytest.mark.parametrize("path", STORIES, ids=lambda path: path.stem)
def test_story(path: Path) -> None:
    """Exactly the wanted transitions come, in their order and time, and the states between them are as told."""
    story = read(path)
    telling = Telling(graded(*story.thresholds, contract=story.contract))
    waiting = sorted(story.events, key=lambda e: (e.arrives, e.made))
    end = max([e.arrives for e in waiting] + [w[1] for w in story.wants] + [s[0] for s in story.states])
    for minute in range(int(end) + 1):
        if any(a <= minute < b for a, b in story.away):
            telling.since = T0 + (minute + 1) * MINUTE  # subscribed again when it is back
            continue
        while waiting and waiting[0].arrives < minute + 1:
            telling.observe(waiting.pop(0))
        telling.pass_to(minute)
        for when, rank, condition, held in story.states:
            if when == minute:
                got = (telling.state.rank, telling.state.condition, telling.state.held)
                assert got == (rank, condition, held), f"{path.name}: at {minute // 60:02}:{minute % 60:02}"
    told = "\n".join(f"{int(m) // 60:02}:{int(m) % 60:02} {text}" for m, text in telling.said)
    assert [text for _, text in telling.said] == [text for _, _, text in story.wants], told
    for (minute, text), (start, until, _) in zip(telling.said, story.wants, strict=True):
        assert start <= minute <= until, f"{text} came at {int(minute) // 60:02}:{int(minute) % 60:02}"


def test_there_are_stories() -> None:
    """The folder was found, and each story wants something."""
    assert len(STORIES) >= 5
    assert all(read(path).wants for path in STORIES)
