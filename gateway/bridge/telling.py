"""Who is told of the transitions of one batch, and whom the passing of time calls next. It writes courses, phones and
what is owed into the `Work` of the batch; the rules are `gateway.calling`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Protocol

from gateway import calling, journal, settings
from gateway.bridge import causewords, notify
from gateway.calling import Call, Directory, Moment, Phones, Place
from gateway.channelstate import ChannelState
from gateway.episodes import Course, Episode, Suspension
from gateway.model import Change, Transition
from gateway.stations import Registry, Station

Slot = tuple[str, str]


class Rules(Protocol):
    """What is needed of `work.Rules`."""

    @property
    def registry(self) -> Registry: ...
    @property
    def bridge(self) -> settings.Bridge: ...
    @property
    def now_ms(self) -> int: ...


class Memory(Protocol):
    """What is needed of `work.Memory`."""

    @property
    def episodes(self) -> Mapping[Slot, Episode]: ...
    @property
    def suspensions(self) -> Mapping[tuple[str, str, str], Suspension]: ...


class Batch(Protocol):
    """What is needed of the `Work` that is written into."""

    episodes: dict[Slot, Episode]
    suspensions: dict[tuple[str, str, str], Suspension | None]
    owed: list[notify.Owed]
    transitions: list[Transition]
    entries: list[journal.Entry]

    @property
    def memory(self) -> Memory: ...
    @property
    def rules(self) -> Rules: ...
    @property
    def phones(self) -> Phones: ...
    def state(self, series: tuple[str, str, str]) -> ChannelState: ...
    def suspended(self, kind: str, tenant: str, station: str) -> Suspension | None: ...


def directory(bridge: settings.Bridge) -> Directory:
    """Members' addresses are recipients too; the others are those of bridge.yaml that no member has."""
    taken = set(bridge.people.all_recipients()) if bridge.people else set()
    return Directory(bridge.people, {r.name: r.min_rank for r in bridge.recipients if r.name not in taken})


class Telling:
    """The calls of one batch."""

    def __init__(self, work: Batch) -> None:
        self._work = work
        self._rang: dict[tuple[str, str], tuple[int, int]] = {}  # recipient and water -> place in owed, rank

    # --- transitions -----------------------------------------------------------------------------------------

    def transition(self, t: Transition, episode: Episode, topic: bool = True) -> Episode:
        """Owe what a transition owes; the episode after that. A station that is no longer configured owes nothing."""
        at = self._moment(episode, t)
        if at is None:
            return episode
        course, calls = calling.tell(t, episode.course, at, self._work.phones)
        self._owe(t, episode, at.place, calls, topic and not t.drill)
        return replace(episode, course=course)

    def _moment(self, episode: Episode, t: Transition | None = None) -> Moment | None:
        rules, work = self._work.rules, self._work
        station = rules.registry.station(episode.tenant, episode.station)
        if station is None and episode.kind != "cause":
            return None
        place = place_of(episode, station)
        drill = episode.kind == "drill"
        muted = station is not None and not drill and self._muted(episode, t)
        standing = 0 if drill else standing_of(work.state, station)
        return Moment(directory(rules.bridge), place, rules.now_ms, standing, muted)

    def _muted(self, episode: Episode, t: Transition | None) -> bool:
        """Whether a mute, or maintenance, keeps it from ringing. What is worse than what was muted ends the mute."""
        if self._work.suspended("maintenance", episode.tenant, episode.station) is not None:
            return True
        mute = self._work.suspended("mute", episode.tenant, episode.station)
        if mute is None:
            return False
        if t is not None and t.rings and t.change is not Change.FALL:
            anew = t.change in (Change.HELD, Change.FAST_FALL) and calling.urgency(t) >= 3
            if anew or t.to_rank > mute.rank:
                self.end(mute, "", f"rank {calling.urgency(t)}")
                return False
        return True

    def _owe(self, t: Transition, episode: Episode, place: Place, calls: list[Call], topic: bool) -> None:
        work, rules = self._work, self._work.rules
        station = rules.registry.station(t.tenant, t.station)
        channel = station.about(t.channel, t.level) if station is not None else None
        first = len(work.owed)
        if episode.kind == "cause":
            about = causewords.said(t, episode, rules.registry, work.state)
            work.owed += causewords.owed(about, rules.bridge, rules.now_ms, calls)
        elif station is not None and channel is not None:
            # A drill says nothing of what is real there.
            state = ChannelState() if t.drill else work.state((t.tenant, t.station, channel.name))
            work.owed += notify.owed(
                t,
                station,
                channel,
                state,
                rules.registry.levels,
                rules.bridge,
                rules.now_ms,
                calls,
                topic,
                episode.course,
            )
        for i, owed in enumerate(work.owed[first:], first):
            if owed.rings and t.change is not Change.REJECTED:
                self._worst_first((owed.recipient, place.water), i, calling.urgency(t))

    def _worst_first(self, phone: tuple[str, str], place: int, rank: int) -> None:
        """Of what rings at one phone for one water in this batch only the worst does: nothing is on its way yet."""
        before = self._rang.get(phone)
        if before is not None and before[1] < rank:
            self._work.owed[before[0]] = notify.quietly(self._work.owed[before[0]])
        self._rang[phone] = (place, rank)

    # --- time ------------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """End what has lasted its time, call the next roles, and let rings follow that were owed."""
        work, now = self._work, self._work.rules.now_ms
        for key, suspension in work.memory.suspensions.items():
            if suspension.until_ms <= now and key not in work.suspensions:
                self.end(suspension, "", "its time")
        for slot, episode in list(self._open()):
            if episode.course.ends_ms is not None and episode.course.ends_ms <= now:
                self.end_drill(episode, "")
            elif episode.course.calling is not None and episode.course.calling.active:
                self._advance(slot, episode)
        self._ring_later()

    def call_everybody(self, episode: Episode) -> Episode:
        """Every role of the first round at once, without waiting for anybody."""
        while (about := episode.course.calling) is not None and about.active and about.round == 0:
            waiting = replace(episode, course=replace(episode.course, calling=replace(about, awaiting=())))
            at = self._moment(waiting)
            if at is None:
                break
            course, calls = calling.advance(waiting.course, at, self._work.phones)
            if course.calling is None or course.calling.round > 0 or not course.calling.active:
                break
            episode = replace(episode, course=course)
            self._owe(about.transition, episode, at.place, calls, topic=False)
        return episode

    def end_drill(self, episode: Episode, by: str) -> None:
        """A drill is over, by a person or by its time; whoever was told is told."""
        work, now = self._work, self._work.rules.now_ms
        station = work.rules.registry.station(episode.tenant, episode.station)
        rank, level = episode.max_rank, called(work.rules.registry, station, episode.max_rank, now)
        place = (episode.tenant, episode.station, "", episode.id)
        t = Transition(*place, Change.CLOSED, rank, 0, now, None, rings=False, level=level, drill=True)
        work.transitions.append(t)
        work.episodes[episode.slot] = replace(self.transition(t, episode), closed_ms=now)
        body = {"action": "end", "why": "asked" if by else "its time"}
        work.entries.append(
            journal.Entry(now, journal.Kind.DRILL, episode.tenant, episode.station, episode.id, by, body)
        )

    def _advance(self, slot: Slot, episode: Episode) -> None:
        at = self._moment(episode)
        if at is None:
            return
        about = episode.course.calling
        course, calls = calling.advance(episode.course, at, self._work.phones)
        if course is episode.course:
            return
        self._work.episodes[slot] = replace(episode, course=course)
        assert about is not None
        self._owe(about.transition, episode, at.place, calls, topic=False)
        if course.calling is not None and not course.calling.active:
            body: dict[str, object] = {"action": "nobody acknowledged", "rank": about.rank}
            rung = [call.recipient for call in calls if call.rings]
            body |= {"rounds": course.calling.round + 1, "rang": rung}
            body |= {"drill": True} if episode.kind == "drill" else {}
            kind = journal.Kind.ACKNOWLEDGED
            now = self._work.rules.now_ms
            self._work.entries.append(journal.Entry(now, kind, episode.tenant, episode.station, episode.id, body=body))

    def _ring_later(self) -> None:
        """What waits for a phone: one ring for all of it."""
        waiting = {slot: e for slot, e in self._open() if e.course.waiting}
        if not waiting:
            return
        work, registry = self._work, self._work.rules.registry
        courses: dict[Slot, tuple[Course, Place]] = {}
        for slot, e in waiting.items():
            if not any(work.suspended(kind, e.tenant, e.station) for kind in ("mute", "maintenance")):
                courses[slot] = (e.course, place_of(e, registry.station(e.tenant, e.station)))
        for name in sorted(calling.owing(course for course, _ in courses.values())):
            changed, call = calling.ring_later(name, courses, work.rules.now_ms, work.phones)
            for slot, course in changed.items():
                courses[slot] = (course, courses[slot][1])
                work.episodes[slot] = replace(waiting[slot], course=course)
            if call is not None:
                t = call.transition
                about = next(e for e in waiting.values() if e.id == t.episode and e.tenant == t.tenant)
                self._owe(t, about, courses[about.slot][1], [call], topic=False)

    def _open(self) -> Iterator[tuple[Slot, Episode]]:
        """The open episodes, as this batch leaves them."""
        for slot, episode in {**self._work.memory.episodes, **self._work.episodes}.items():
            if episode.closed_ms is None:
                yield slot, episode

    # --- what media and people say ---------------------------------------------------------------------------

    def given_up(self, key: str) -> None:
        """The medium of a notification gave up: its recipient was not reached."""
        for slot, episode in self._open():
            about = episode.course.calling
            if about is None or not about.active or not key.startswith(f"{about.transition.key}/"):
                continue
            recipient = key.removeprefix(f"{about.transition.key}/").partition("/")[0]
            course = calling.unreached(episode.course, about.transition.key, recipient)
            if course is not episode.course:
                self._work.episodes[slot] = replace(episode, course=course)

    def under_work(self, x: Suspension, ended: bool) -> None:
        """The station's alert topic says that it is under maintenance, or is watched again."""
        work, rules = self._work, self._work.rules
        station = rules.registry.station(x.tenant, x.station)
        if station is None or not rules.bridge.alert_topic:
            return
        work.owed.append(notify.under_work(station, x, ended, rules.registry.levels, rules.now_ms))

    def end(self, suspension: Suspension, by: str, why: str) -> None:
        """End a mute or maintenance."""
        work, x = self._work, suspension
        work.suspensions[(x.kind, x.tenant, x.station)] = None
        if x.kind == "maintenance":
            self.under_work(x, ended=True)
        body = {"kind": x.kind, "action": "end", "since_ms": x.since_ms, "why": why}
        now = work.rules.now_ms
        work.entries.append(journal.Entry(now, journal.Kind.SUSPENDED, x.tenant, x.station, by=by, body=body))


def place_of(episode: Episode, station: Station | None) -> Place:
    if station is None:
        return Place("", "river", f"cause:{episode.course.group}", episode.tenant)
    water = f"{episode.tenant}/{station.river or station.id}"
    return Place(station.id, station.hazard, water, episode.tenant)


def called(registry: Registry, station: Station | None, rank: int, at_ms: int) -> str:
    """The key of the level of a rank as the station itself has it, of whichever of its channels has it."""
    channel = station.having(rank, at_ms) if station is not None else None
    return registry.level(station, channel, rank).key


def standing_of(state: Callable[[tuple[str, str, str]], ChannelState], station: Station | None) -> int:
    """The highest rank of a station's channels, an unconfirmed one of rank >= 4 included."""
    if station is None:
        return 0
    found = [state((station.tenant, station.id, c.name)) for c in station.watched]
    return max((max(s.rank, s.unconfirmed if s.unconfirmed >= 4 else 0) for s in found), default=0)
