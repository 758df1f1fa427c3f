"""The nouns that travel through the gateway. Words as in the README's list: a *reading* is a value on the device,
an *observation* the same in canonical unit and datum with quality flags, at the bridge.

Times are UTC milliseconds since 1970 (`int`) everywhere inside; `_ms` in a name says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum

from gateway.errors import FaultCode, RejectCode


class Flag(IntEnum):
    """QARTOD flags (IOOS, Manual for Real-Time Quality Control of Water Level Data, v2.1)."""

    GOOD = 1
    NOT_EVALUATED = 2
    SUSPECT = 3
    FAIL = 4
    MISSING = 9


class ClockState(StrEnum):
    """How far the device's clock could be trusted when it stamped a sample."""

    SYNCED = "synced"
    HOLDOVER = "holdover"
    UNSYNCED = "unsynced"


@dataclass(frozen=True, slots=True)
class Reading:
    """One value on the device, in the canonical unit of its quantity, before any correction of the station.

    Exactly one of `value` and `fault` is set.
    """

    station: str
    channel: str
    unit: str
    value: float | None = None
    fault: FaultCode | None = None


@dataclass(frozen=True, slots=True)
class Moment:
    """When something was read by a clock that nobody sets: milliseconds since this boot. Only within the same boot can
    it be turned into an age."""

    boot: str
    uptime_ms: int


@dataclass(frozen=True, slots=True)
class Sample:
    """What a device read at one moment. Identity: (tenant, device, log, seq) alone.

    `moment` stands where the device's clock was not set at the reading: then `observed_ms` is only what that clock
    showed, and nothing is said about the true time until the sample is dated. `raised` marks a reading of the raised
    interval, which is given up last.
    """

    log: str
    seq: int
    observed_ms: int
    clk: ClockState
    readings: tuple[Reading, ...]
    moment: Moment | None = None
    raised: bool = False

    @property
    def begins(self) -> bool:
        """Whether a count begins again in it. Without it, what follows would be taken for more of the former count."""
        return any(reading.fault is FaultCode.COUNT_LOST for reading in self.readings)


@dataclass(frozen=True, slots=True)
class Observation:
    """A reading at the bridge: canonical unit, the station's datum, quality flag.

    `record` is the place of the reading in its sample, from 0. `raw` is the value before the station's correction
    and is never overwritten. `tests` names the quality tests that spoke (flag other than good).
    """

    tenant: str
    device: str
    station: str
    channel: str
    log: str | None
    seq: int | None
    record: int
    observed_ms: int
    received_ms: int
    raw: float | None
    value: float | None
    flag: Flag
    tests: tuple[str, ...] = ()
    fault: FaultCode | None = None
    clk: ClockState = ClockState.SYNCED
    alarm: Flag | None = None

    @property
    def for_alarm(self) -> Flag:
        return self.flag if self.alarm is None else self.alarm


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message, or one record of it, that will never be accepted as it is. Kept with its reason and payload."""

    tenant: str
    device: str
    topic: str
    code: RejectCode
    detail: str
    payload: bytes
    received_ms: int
    log: str | None = None
    seq: int | None = None
    record: int = 0


class Condition(StrEnum):
    """What is known of a channel now. "Normal" may be shown only for `fresh`."""

    UNKNOWN = "unknown"
    FRESH = "fresh"
    LATE = "late"
    SILENT = "silent"
    FAULTY = "faulty"
    MAINTENANCE = "maintenance"


class Change(StrEnum):
    """What happened to a channel: the kinds of transition."""

    RISE = "rise"
    FALL = "fall"
    HELD = "held"  # lost sight of the channel at rank >= 2: its last good rank stands
    SILENT = "silent"
    FAULTY = "faulty"
    RESTORED = "restored"  # data again after held, silent or faulty
    FAST_FALL = "fast_fall"  # fell faster than the site's recession allows: a breach, or the instrument
    PAST = "past"  # backlog shows that a level was exceeded while data were missing
    STEP = "step"  # a named step of rain, apart from ranks
    THRESHOLDS = "thresholds"  # other thresholds came into force while an episode was open: neither rings nor clears
    CONFIRMED = "confirmed"  # by a person
    REJECTED = "rejected"  # by a person: a false alarm
    CLOSED = "closed"  # by a person


@dataclass(frozen=True, slots=True)
class Transition:
    """One change of a channel's alert state. `at_ms` is when the deciding observation was made or, for silence,
    when the last one was; for what a person did, when that was. `level` is the key of the threshold concerned, in the
    level table; empty where there is none. `channel` is empty where a person spoke of the whole station. `marks`
    is what there is to say of a sum of rain: `incomplete`, `unverified`."""

    tenant: str
    station: str
    channel: str
    episode: str
    change: Change
    from_rank: int
    to_rank: int
    at_ms: int
    value: float | None
    confirmed: bool = True
    rings: bool = True
    level: str = ""
    drill: bool = False
    marks: tuple[str, ...] = ()

    @property
    def of_step(self) -> bool:
        """It is about a named step of rain, which has no rank; `level` is the key of the step."""
        return self.change is Change.STEP or (self.change is Change.PAST and self.to_rank == 0)

    @property
    def key(self) -> str:
        """(tenant, episode, transition): what was crossed, which way and when it was observed. Made of facts alone,
        so that a restored store or a replay arrives at the same key."""
        what = f"{self.change}-{self.from_rank}-{self.to_rank}{'' if self.confirmed else '-unconfirmed'}"
        what += f"-{self.level}" if self.of_step else ""  # two may be reached at once
        return f"{self.tenant}/{self.episode}/{self.channel}/{what}/{self.at_ms}"


@dataclass(frozen=True, slots=True)
class Message:
    """One MQTT message as it came, and when."""

    topic: str
    payload: bytes
    received_ms: int
    retained: bool = False
