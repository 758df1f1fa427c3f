"""Episodes: one alert at one station from first rise or silence to its end, the unit of notifying and acknowledging.
Silences with a common cause are one episode with a list of stations. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from gateway.model import Change, Transition

EVER = 12
CLOSES_ALONE = 2  # the highest rank whose episode ends without a person


@dataclass(frozen=True, slots=True)
class Told:
    """A recipient who was told of an episode; `rang`: it rang there."""

    recipient: str
    rang: bool = False


@dataclass(frozen=True, slots=True)
class Calling:
    """How far the call of a rank is: about which transition, whose turn it is (the place in the plan's order, and the
    round), since when, and of whom it is not known that no medium reached them. `active` until somebody has
    acknowledged, the level has fallen, or the last round has ended."""

    rank: int
    transition: Transition
    since_ms: int
    turn: int = 0
    round: int = 0
    awaiting: tuple[str, ...] = ()
    active: bool = True


@dataclass(frozen=True, slots=True)
class Waiting:
    """A ring that is still owed, because a phone rings a bounded number of times; what it tells was delivered
    without. `again` as in `calling.Call`."""

    rank: int
    transition: Transition
    recipients: tuple[str, ...]
    again: str = ""


@dataclass(frozen=True, slots=True)
class Original:
    """What an alert said, for whoever has to take it back: which level of which rank, the value and when it was
    measured, and when people were told."""

    rank: int
    level: str
    value: float | None
    at_ms: int
    told_ms: int
    confirmed: bool = True


@dataclass(frozen=True, slots=True)
class Course:
    """What people were told about an episode, and what they have done. JSON in the store, so fields need defaults.

    `called` is the rank whose plan was called last, lowered when the level falls. `ends_ms`: a drill ends by itself.
    Of a common cause `ever` are the first EVER stations that it took, `most` how many it took at the most.
    `original`: the first notification of the highest rank that people were told of.
    `peak` and `peak_ms`: the highest good value of the station's main channel since the episode began, also where
    only backlog has shown it. `past`: the highest rank that backlog showed to have been reached, unconfirmed too."""

    acknowledged_ms: int | None = None
    acknowledged_by: str = ""
    judgement: Literal["", "confirmed", "rejected"] = ""
    group: str = ""  # of a common cause: what failed, and its stations
    stations: tuple[str, ...] = ()
    ever: tuple[str, ...] = ()
    most: int = 0
    judged_ms: int | None = None
    judged_by: str = ""
    basis: str = ""
    note: str = ""
    called: int = 0
    calling: Calling | None = None
    told: tuple[Told, ...] = ()
    waiting: tuple[Waiting, ...] = ()
    ends_ms: int | None = None
    peak: float | None = None
    peak_ms: int | None = None
    original: Original | None = None
    past: int = 0


@dataclass(frozen=True, slots=True)
class Episode:
    """`kind` cause: a common cause of silence, whose `station` is empty. `kind` drill: an exercise, beside whatever is
    real at the station."""

    tenant: str
    station: str
    id: str
    opened_ms: int
    max_rank: int
    closed_ms: int | None = None
    kind: Literal["station", "cause", "drill"] = "station"
    course: Course = Course()

    def taking(self, stations: tuple[str, ...]) -> Episode:
        """A common cause that takes these stations now."""
        ever = tuple(dict.fromkeys((*self.course.ever, *stations)))[:EVER]
        most = max(self.course.most, len(stations))
        return replace(self, course=replace(self.course, stations=stations, ever=ever, most=most))

    @property
    def slot(self) -> tuple[str, str]:
        """Where it stands among the open ones: one for each station, drill and common cause."""
        names = {"station": self.station, "drill": f"drill:{self.station}", "cause": f"cause:{self.course.group}"}
        return self.tenant, names[self.kind]

    def reached(self, t: Transition) -> Episode:
        """With the highest rank that it has come to; an unconfirmed one does not count."""
        found = replace(self, max_rank=max(self.max_rank, t.to_rank if t.confirmed else 0))
        if t.change is Change.PAST and t.to_rank > self.course.past:
            found = replace(found, course=replace(self.course, past=t.to_rank))
        return found

    @property
    def highest(self) -> int:
        """The highest rank that somebody has to answer for: what backlog showed cannot be confirmed by data any more,
        and does not go away by itself."""
        return max(self.max_rank, self.course.past)

    def with_peak(self, value: float, at_ms: int) -> Episode:
        """With a good value of its time; the very episode where that is no new peak."""
        peak = self.course.peak
        if at_ms < self.opened_ms or (peak is not None and value <= peak):
            return self
        return replace(self, course=replace(self.course, peak=value, peak_ms=at_ms))


def opened_by(t: Transition) -> Episode:
    """The episode that a transition begins."""
    return Episode(t.tenant, t.station, t.episode, t.at_ms, 0)


@dataclass(frozen=True, slots=True)
class Suspension:
    """A mute (rings nobody until a rank above `rank` comes) or maintenance (stored and marked, excluded from alarms) of
    a station. It ends by itself, a mute after 12 h at most."""

    kind: Literal["mute", "maintenance"]
    tenant: str
    station: str
    since_ms: int
    until_ms: int
    by: str
    note: str = ""
    rank: int = 0  # of the station when it was muted
