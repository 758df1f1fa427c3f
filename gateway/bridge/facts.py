"""What there is to say of a transition, before it is said in a language: which sentence, which level, which threshold,
what was measured when, and where it is going."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from gateway.channelstate import ChannelState
from gateway.episodes import Course, Original
from gateway.model import Change, Transition
from gateway.raingauge import RainStep
from gateway.stations import Channel, Level, LevelTable, Station, Threshold, hazard_of, threshold_version
from gateway.tide import HighWater
from gateway.trend import minutes_to, trend_per_hour

OFFICIAL = "基準水位観測所"  # the basis on which alone a level is said to be equivalent to an alert level (警戒レベル)
_ALERT_LEVELS = ("caution", "evacuation", "danger", "overflow")
_NO_COURSE = Course()


class Said(StrEnum):
    """The sentences that there are: what happened, as people are told it."""

    RISE = "rise"  # a level of a 基準水位観測所
    REACHED = "reached"  # a level that the city goes by: a crisis-management gauge, a pole of its own
    SURGE = "surge"  # at a level that the tide had reached the sea stands higher than the tide explains
    WET = "wet"  # a contact
    BEACON = "beacon"  # a beacon went silent while its router is heard
    ABOVE_SPAN = "above_span"
    REFUTED = "refuted"  # a claim that was not borne out
    FALL = "fall"
    HELD = "held"
    HELD_BELOW = "held_below"  # by the rule of falls: the last value was below the level
    SILENT = "silent"
    FAULTY = "faulty"
    RESTORED = "restored"
    FAST_FALL = "fast_fall"
    PAST = "past"
    STEP = "step"
    THRESHOLDS = "thresholds"
    CONFIRMED = "confirmed"
    REJECTED = "rejected"
    CLOSED = "closed"
    DRILL_OVER = "drill_over"


LOST = (Said.HELD, Said.HELD_BELOW, Said.SILENT, Said.FAULTY)
BY_PEOPLE = (Said.CONFIRMED, Said.REJECTED, Said.CLOSED, Said.DRILL_OVER)
NO_THRESHOLD = (
    *(Said.STEP, Said.SILENT, Said.FAULTY, Said.RESTORED, Said.THRESHOLDS),
    *(Said.REJECTED, Said.CLOSED, Said.DRILL_OVER),
)
RISES = (Said.RISE, Said.REACHED, Said.SURGE, Said.WET, Said.BEACON, Said.ABOVE_SPAN)


@dataclass(frozen=True)
class Facts:
    """`state` is the channel's after the transition, `course` that of its episode, `late_ms` the age of an observation
    that came late and alarms all the same, `now_ms` when this is said; None where nobody is to be told what comes next.
    """

    t: Transition
    station: Station
    channel: Channel | None
    state: ChannelState
    levels: LevelTable
    late_ms: int | None = None
    course: Course = _NO_COURSE
    now_ms: int | None = None

    @cached_property
    def said(self) -> Said:
        t = self.t
        match t.change:
            case Change.RISE:
                return self._rise()
            case Change.FALL:
                return Said.FALL if t.confirmed else Said.REFUTED
            case Change.HELD:
                return Said.HELD_BELOW if self._below() else Said.HELD
            case Change.CLOSED if t.drill:
                return Said.DRILL_OVER
            case _:
                return Said(t.change.value)

    def _rise(self) -> Said:
        t, channel = self.t, self.channel
        if t.drill or channel is None:
            return self._reached()
        if t.value is None and channel.contract.kind == "beacon":
            return Said.BEACON
        if channel.contact:
            return Said.WET
        if channel.tide is not None and t.from_rank == t.to_rank and not channel.tide.alone(t.value, t.at_ms):
            return Said.SURGE
        span = channel.limits.sensor
        if not t.confirmed and t.value is not None and span is not None and t.value >= span[1]:
            return Said.ABOVE_SPAN
        return self._reached()

    def _reached(self) -> Said:
        own = self.threshold
        return Said.REACHED if own is not None and own.basis != OFFICIAL else Said.RISE

    @property
    def citys(self) -> bool:
        """A level that the city goes by, no official one: it is called so."""
        own = self.threshold
        return own is not None and own.basis != OFFICIAL and not self.contact

    @property
    def contact(self) -> bool:
        return self.channel is not None and self.channel.contact

    @property
    def unit(self) -> str:
        return self.channel.unit if self.channel is not None else "m"

    def _below(self) -> bool:
        """The rank stands by the rule of falls although the last value was below it."""
        t, marks = self.t, [x.value for x in self.marks if x.rank == self.t.to_rank]
        return bool(marks) and t.value is not None and t.value < min(marks)

    # --- levels ----------------------------------------------------------------------------------------------

    @cached_property
    def marks(self) -> tuple[Threshold, ...]:
        """The thresholds in force when it was observed."""
        return self.channel.in_force(self.t.at_ms) if self.channel is not None else ()

    @property
    def concerned(self) -> int:
        """The rank that it is about: of a fall the one that was left."""
        gone = self.t.change in (Change.FALL, Change.REJECTED, Change.CLOSED)
        return self.t.from_rank if gone else self.t.to_rank

    @cached_property
    def threshold(self) -> Threshold | None:
        """The one concerned."""
        own = [x for x in self.marks if x.rank == self.concerned]
        return next((x for x in own if x.level == self.t.level), own[0] if own else None)

    @property
    def named(self) -> Threshold | None:
        """The one that is named, with who set it."""
        return self.threshold if self.said not in NO_THRESHOLD else None

    @property
    def level(self) -> Level:
        """The level concerned, as it is called there."""
        return self.level_of(self.concerned, self.t.level)

    def level_of(self, rank: int, key: str = "") -> Level:
        own = [x for x in self.marks if x.rank == rank]
        mark = next((x for x in own if x.level == key), own[-1] if own else None)
        basis = mark.basis if mark else ""
        hazard = hazard_of(self.station, self.channel)
        found = self.levels.by_key(mark.level if mark else key, hazard, basis)
        known = found is not None and found.rank == rank
        return found if found is not None and known else self.levels.by_rank(rank, hazard, basis)

    @property
    def equivalent(self) -> bool:
        """Whether it may be called equivalent to an alert level: an official river gauge, not in doubt."""
        own = self.threshold
        official = own is not None and own.basis == OFFICIAL and own.level in _ALERT_LEVELS
        sure = self.t.confirmed and self.said in (Said.RISE, Said.CONFIRMED)
        return official and sure and not self.t.drill and self.station.hazard == "river" and self.concerned >= 2

    @property
    def version(self) -> str:
        """Of the thresholds by which it was judged."""
        return threshold_version(self.channel, self.t.at_ms) if self.channel is not None else ""

    @property
    def step(self) -> RainStep | None:
        return self.station.step(self.t.level) if self.t.of_step else None

    # --- what was measured -----------------------------------------------------------------------------------

    @property
    def value(self) -> float | None:
        if self.t.drill:
            return None
        if self.said is Said.REJECTED:  # what was false stands in `original`
            return self.state.value
        return self.t.value if self.t.value is not None or self.said not in BY_PEOPLE else self.state.value

    @property
    def measured_ms(self) -> int | None:
        """When the value was measured; of a lost channel that is its last usable one, not the fault."""
        if self.said in BY_PEOPLE and not self.t.drill:
            return self.state.usable_ms
        if self.said not in LOST:
            return self.t.at_ms
        return self.state.usable_ms if self.t.value is not None else None

    @property
    def per_hour(self) -> float | None:
        """The trend of what is current."""
        old = (*LOST, *BY_PEOPLE, Said.PAST, Said.WET, Said.BEACON, Said.STEP)
        if self.said in old or self.t.drill or self.since is not None:
            return None
        return trend_per_hour(self.state.recent)

    @cached_property
    def since(self) -> tuple[float, int, float | None] | None:
        """What was measured since: (value, when, trend), of an alert that is told later than it came about, to the next
        of the call or where a ring had to wait."""
        x = self.state
        told = self.said in (*RISES, Said.FAST_FALL) and not self.t.drill and not self.contact
        if not told or x.value is None or x.usable_ms is None or x.lost or x.usable_ms <= self.t.at_ms:
            return None
        return x.value, x.usable_ms, trend_per_hour(x.recent)

    @property
    def original(self) -> Original | None:
        """The notification that a correction takes back."""
        return self.course.original if self.said is Said.REJECTED else None

    @property
    def difference(self) -> float | None:
        """How far the value lies above the threshold concerned."""
        own = self.threshold
        told = self.said in (Said.RISE, Said.REACHED, Said.SURGE, Said.FALL, Said.HELD, Said.HELD_BELOW, Said.PAST)
        if not told or own is None or self.value is None or self.contact:
            return None
        return self.value - own.value

    def next(self) -> tuple[Level, Threshold, float] | None:
        """(the next higher level, its threshold, minutes until it is reached at the present rate). For staff only."""
        value = self.since[0] if self.since else self.value
        if self.now_ms is None or value is None or self.said not in (Said.RISE, Said.REACHED, Said.CONFIRMED):
            return None
        higher = [x for x in self.marks if x.value > value and x.rank > self.t.to_rank]
        if not higher:
            return None
        mark = min(higher, key=lambda x: x.value)
        minutes = minutes_to(mark.value, self.state.recent, self.now_ms)
        return None if minutes is None else (self.level_of(mark.rank, mark.level), mark, minutes)

    def tide(self) -> tuple[float, HighWater | None] | None:
        """(deviation from the astronomical tide, the next high water)."""
        if self.channel is None or self.channel.tide is None or self.value is None or self.said not in RISES:
            return None
        deviation = self.channel.tide.deviation(self.value, self.t.at_ms)
        return None if deviation is None else (deviation, self.channel.tide.next_high(self.t.at_ms))
