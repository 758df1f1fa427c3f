"""Flood stories in virtual time. Each file of `timeline/` is one, in a small language:

    station NAME interval DURATION grace DURATION
    threshold LEVEL METRES [until HH:MM | from HH:MM]
    limits rise METRES fall METRES top METRES                         an hour; the top of the sensor's span
    storm from HH:MM to HH:MM                                         rain or a neighbour supports a rise
    confirmed at HH:MM                                                by a person
    at HH:MM level 2.1 | suspect 7.5 | failed 39.33 | fault no_echo   [arriving HH:MM]
    every DURATION from HH:MM to HH:MM level 1.0 [to 2.0]             [arriving HH:MM]   evenly between the two
    every DURATION from HH:MM to HH:MM fault no_echo
    away from HH:MM to HH:MM                                          the bridge is not running
    want between HH:MM and HH:MM "rise 0->2"                          a transition, when it is decided
    want at HH:MM rank 2 fresh [held] [unconfirmed 5]                               the state at the end of that minute

Every transition must be wanted, in the order of the file, and every wanted one must come. The clock ticks once a
minute; what arrives later than it was measured arrives as backlog does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gateway import units
from gateway.alerting import advance, settle
from gateway.channelstate import ALONE, ChannelState, Context, Known
from gateway.errors import FaultCode
from gateway.judging import confirmed
from gateway.model import Condition, Flag, Observation, Transition
from gateway.reporting import tick
from gateway.stations import Contract, Limits, Station, Threshold
from tests.gauges import say
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
    states: list[tuple[int, int, Condition, bool, int]] = field(default_factory=list)
    limits: Limits | None = None
    storms: list[tuple[int, int]] = field(default_factory=list)
    judged: list[int] = field(default_factory=list)

    def station(self, interval: str, grace: str) -> None:
        self.contract = Contract(units.seconds(interval), units.seconds(grace))

    def threshold(self, level: str, value: str, until: str | None, begins: str | None) -> None:
        dates = [T0 + minutes(x) * MINUTE if x else None for x in (begins, until)]
        self.thresholds.append(threshold(level, float(value), *dates))

    def limit(self, rise: str, fall: str, top: str) -> None:
        self.limits = Limits((-0.5, float(top)), None, float(rise), float(fall))

    def storm(self, start: str, end: str) -> None:
        self.storms.append((minutes(start), minutes(end)))

    def confirm(self, when: str) -> None:
        self.judged.append(minutes(when))

    def context(self, minute: float) -> Context:
        storm = any(a <= minute < b for a, b in self.storms)
        return Context(Known(support=storm, witnessed=True)) if self.storms else ALONE

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

    def faults(self, step: str, start: str, end: str, code: str) -> None:
        for i in range(round((minutes(end) - minutes(start)) * 60 / units.seconds(step)) + 1):
            made = minutes(start) + i * units.seconds(step) / 60
            self.events.append(Event(made, made, None, Flag.MISSING, FaultCode(code)))

    def gone(self, start: str, end: str) -> None:
        self.away.append((minutes(start), minutes(end)))

    def want(self, start: str, end: str, text: str) -> None:
        self.wants.append((minutes(start), minutes(end), text))

    def state(self, when: str, rank: str, condition: str, held: str | None, claim: str | None) -> None:
        self.states.append((minutes(when), int(rank), Condition(condition), held is not None, int(claim or 0)))


TIME = r"(\d\d:\d\d)"
ARRIVING = rf"(?: arriving {TIME})?"
GRAMMAR = [
    (re.compile(r"station \S+ interval (\S+) grace (\S+)"), Story.station),
    (re.compile(rf"threshold (\S+) (\S+)(?: until {TIME})?(?: from {TIME})?"), Story.threshold),
    (re.compile(r"limits rise (\S+) fall (\S+) top (\S+)"), Story.limit),
    (re.compile(rf"storm from {TIME} to {TIME}"), Story.storm),
    (re.compile(rf"confirmed at {TIME}"), Story.confirm),
    (re.compile(rf"at {TIME} (level|suspect|failed|fault) (\S+){ARRIVING}"), Story.at),
    (re.compile(rf"every (\S+) from {TIME} to {TIME} level (\S+)(?: to (\S+))?{ARRIVING}"), Story.every),
    (re.compile(rf"every (\S+) from {TIME} to {TIME} fault (\S+)"), Story.faults),
    (re.compile(rf"away from {TIME} to {TIME}"), Story.gone),
    (re.compile(rf'want between {TIME} and {TIME} "(.+)"'), Story.want),
    (re.compile(rf"want at {TIME} rank (\d) (\w+)( held)?(?: unconfirmed (\d))?"), Story.state),
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


@dataclass
class Telling:
    """A story as it happens."""

    place: Station
    state: ChannelState = field(default_factory=ChannelState)
    said: list[tuple[float, str]] = field(default_factory=list)
    since: int | None = T0 - 1000 * MINUTE
    episode: str | None = None

    def take(self, minute: float, out: list[Transition]) -> None:
        """An episode is open from the first transition on, as far as the alert logic asks."""
        self.said += [(minute, say(t)) for t in out]
        self.episode = self.episode or (out[0].episode if out else None)

    def observe(self, e: Event, context: Context) -> None:
        channel = self.place.channels["water_level"]
        at, now = T0 + round(e.made * MINUTE), T0 + round(e.arrives * MINUTE)
        o = Observation(
            "kagawa", "gw-1", "kamogawa", "water_level", "a1", 1, 0, at, now, e.value, e.value, e.flag, (), e.fault
        )
        self.state, out = advance(self.state, o, self.place, channel, now, self.episode, context)
        self.take(e.arrives, out)

    def pass_to(self, minute: int) -> None:
        channel = self.place.channels["water_level"]
        now = T0 + minute * MINUTE
        self.state, out = settle(self.state, self.place, channel, now, self.episode)
        self.take(minute, out)
        self.state, out = tick(self.state, self.place, channel, now, self.since, self.episode)
        self.take(minute, out)


@pytest.mark.parametrize("path", STORIES, ids=lambda path: path.stem)
def test_story(path: Path) -> None:
    """Exactly the wanted transitions come, in their order and time, and the states between them are as told."""
    story = read(path)
    telling = Telling(graded(*story.thresholds, contract=story.contract, limits=story.limits))
    waiting = sorted(story.events, key=lambda e: (e.arrives, e.made))
    end = max([e.arrives for e in waiting] + [w[1] for w in story.wants] + [s[0] for s in story.states])
    for minute in range(int(end) + 1):
        if any(a <= minute < b for a, b in story.away):
            telling.since = T0 + (minute + 1) * MINUTE  # subscribed again when it is back
            continue
        while waiting and waiting[0].arrives < minute + 1:
            telling.observe(waiting.pop(0), story.context(minute))
        telling.pass_to(minute)
        if minute in story.judged:
            telling.state = confirmed(telling.state)
        for when, *wanted in story.states:
            if when == minute:
                s = telling.state
                got = [s.rank, s.condition, s.held, s.unconfirmed]
                assert got == wanted, f"{path.name}: at {minute // 60:02}:{minute % 60:02}"
    told = "\n".join(f"{int(m) // 60:02}:{int(m) % 60:02} {text}" for m, text in telling.said)
    assert [text for _, text in telling.said] == [text for _, _, text in story.wants], told
    for (minute, text), (start, until, _) in zip(telling.said, story.wants, strict=True):
        assert start <= minute <= until, f"{text} came at {int(minute) // 60:02}:{int(minute) % 60:02}"


def test_there_are_stories() -> None:
    """The folder was found, and each story wants something."""
    assert len(STORIES) >= 11
    assert all(read(path).wants for path in STORIES)
