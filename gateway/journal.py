"""The journal: an append-only chronology of what was known, said and done. Pure.

Each row is bound to the one before: its hash is SHA-256 over the hash before (64 hexadecimal digits, all zero before
the first row), a line feed, and the row as `canonical` writes it. Whoever has the hash of one row, from an export on
paper say, can tell whether any row up to it was changed, removed or put in later.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gateway.episodes import Episode
from gateway.model import Change, Observation, Transition
from gateway.stations import LevelTable, Station, Threshold, level_at, threshold_version

GENESIS = "0" * 64  # the hash before the first row


class Kind(StrEnum):
    """What a row of the journal tells."""

    TRANSITION = "transition"
    NOTIFICATION = "notification"
    ACKNOWLEDGED = "acknowledged"
    JUDGED = "judged"  # confirmed, rejected or closed by a person
    ENDED = "ended"  # an episode that ended by itself
    SUSPENDED = "suspended"  # mute and maintenance: begin and end
    DRILL = "drill"
    THRESHOLDS = "thresholds"
    BULLETIN = "bulletin"
    MANUAL = "manual"  # calls, patrols, camera, closures, orders of the mayor
    RELEASE = "release"  # a CAP message that a person released
    EQUIPMENT = "equipment"  # a sensor was calibrated or replaced
    STORE = "store"  # what became of the store itself: restored from a backup


class Manual(StrEnum):
    """What people may enter by hand. Each is a record of somebody's act or sight, never an act of ours."""

    CALL = "call"
    PATROL = "patrol"
    CAMERA = "camera"
    CLOSURE = "closure"  # the road manager's
    REOPENING = "reopening"  # the road manager's
    ORDER = "order"  # the mayor's
    BULLETIN = "bulletin"  # of the Meteorological Agency, as it was received
    HANDOVER = "handover"  # of the desk from one shift to the next
    SIGNED = "signed"  # the next shift has read it
    OTHER = "other"

    @property
    def ja(self) -> str:
        return _MANUAL[self][0]

    @property
    def en(self) -> str:
        return _MANUAL[self][1]


_MANUAL = {
    Manual.CALL: ("電話", "telephone call"),
    Manual.PATROL: ("巡回", "patrol"),
    Manual.CAMERA: ("カメラ", "camera"),
    Manual.CLOSURE: ("通行止め（道路管理者）", "road closed by its manager"),
    Manual.REOPENING: ("通行再開（道路管理者）", "road reopened by its manager"),
    Manual.ORDER: ("発令（市長）", "order of the mayor"),
    Manual.BULLETIN: ("気象庁情報の受信", "bulletin of the Meteorological Agency received"),
    Manual.HANDOVER: ("申し送り", "handing over the desk"),
    Manual.SIGNED: ("申し送りの確認", "taking over the desk"),
    Manual.OTHER: ("その他", "other"),
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One row. `at_ms` is when it happened, which a person may state later than it is recorded. `station` and
    `episode` are empty where it concerns none, `by` where no person did it. `body` holds plain JSON values."""

    at_ms: int
    kind: Kind
    tenant: str
    station: str = ""
    episode: str = ""
    by: str = ""
    body: Mapping[str, object] | None = None

    @property
    def text(self) -> str:
        """The body as it is stored."""
        return json.dumps(self.body or {}, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Row:
    """An entry as it stands in the store. Numbers begin at 1 and leave none out; the body is its text."""

    number: int
    at_ms: int
    recorded_ms: int
    kind: str
    tenant: str
    station: str
    episode: str
    by: str
    body: str
    hash: str = ""

    @property
    def facts(self) -> dict[str, Any]:
        found = json.loads(self.body)
        return found if isinstance(found, dict) else {}


def canonical(row: Row) -> bytes:
    """The row without its hash: one JSON array in the order of the columns, without spaces, in UTF-8."""
    columns = [row.number, row.at_ms, row.recorded_ms, row.kind, row.tenant, row.station, row.episode, row.by, row.body]
    return json.dumps(columns, ensure_ascii=False, separators=(",", ":")).encode()


def link(previous: str, row: Row) -> str:
    """The hash of a row that follows one with the hash `previous`."""
    return hashlib.sha256(previous.encode() + b"\n" + canonical(row)).hexdigest()


@dataclass(frozen=True, slots=True)
class Broken:
    """The first row at which the chain does not hold."""

    number: int
    why: str


def verify(rows: Iterable[Row], previous: str = GENESIS, number: int = 0) -> tuple[str, int] | Broken:
    """(hash, number) of the last of these rows, which follow the row `number` with the hash `previous`; or the first
    one that was changed, or that is missing."""
    for row in rows:
        if row.number != number + 1:
            return Broken(number + 1, "it is missing")
        if row.hash != link(previous, row):
            return Broken(row.number, "its hash is not that of what it says and of the row before")
        previous, number = row.hash, row.number
    return previous, number


# --- what the batch tells ------------------------------------------------------------------------------------------

_DOWN = (Change.FALL, Change.FAST_FALL, Change.REJECTED, Change.CLOSED)


def of_transition(
    t: Transition,
    station: Station | None,
    levels: LevelTable,
    o: Observation | None,
    cause: Episode | None = None,
    names: Mapping[str, tuple[str, str]] | None = None,
) -> Entry:
    """A change of a channel, with the level and the threshold that it was judged by, and the flag of the observation
    that decided it; of a common cause, what it is and whom it concerns, by the `names` (Japanese, English) that they
    had. `station` None: such a cause, or a station that
    is no longer configured."""
    crossed = t.from_rank if t.change in _DOWN else t.to_rank
    channel = station.about(t.channel, t.level) if station is not None else None
    level = level_at(levels, station, channel, crossed, t.level)
    marks = [x for x in channel.in_force(t.at_ms) if x.level == level.key] if channel else []
    body: dict[str, object] = {
        "key": t.key,
        "channel": t.channel,
        "change": t.change.value,
        "from_rank": t.from_rank,
        "to_rank": t.to_rank,
        "value": t.value,
        "unit": channel.unit if channel else "",
        "confirmed": t.confirmed,
        "rings": t.rings,
        "level": level.key,
        "name": {"ja": level.ja, "en": level.en},  # as it was called there then
        "table": levels.name,
    }
    if channel and channel.contact:
        body["contact"] = True
    if t.change is Change.STEP and station is not None and (step := station.step(t.level)) is not None:
        body["name"] = {"ja": step.name_ja, "en": step.name_en}
    if marks:
        body["threshold"] = described(marks[0])
    if channel:
        body["thresholds"] = threshold_version(channel, t.at_ms)
    if o is not None:
        body |= {"flag": int(o.flag), "tests": list(o.tests), "received_ms": o.received_ms}
        body |= {"fault": o.fault.value} if o.fault else {}
    if cause is not None:
        listed = cause.course.stations
        body |= {"group": cause.course.group, "stations": list(listed)}
        body["names"] = [list((names or {}).get(x, (x, x))) for x in listed]
    if t.drill:
        body["drill"] = True
    return Entry(t.at_ms, Kind.TRANSITION, t.tenant, t.station, t.episode, body=body)


def described(x: Threshold) -> dict[str, object]:
    """A threshold as plain values."""
    bounds = {"from_ms": x.valid_from_ms, "until_ms": x.valid_to_ms}
    said = {"level": x.level, "rank": x.rank, "value": x.value, "authority": x.authority, "basis": x.basis}
    return {**said, "source": x.source, **{k: v for k, v in bounds.items() if v is not None}}


def in_force(station: Station | None, levels: LevelTable, at_ms: int) -> dict[str, object]:
    """The thresholds of a station at a time, as the body of a row; none where it is no longer configured."""
    channels = {c.name: c for c in station.channels.values() if c.thresholds} if station else {}
    return {
        "table": levels.name,
        "channels": {
            name: {
                "unit": c.unit,
                "version": threshold_version(c, at_ms),
                "thresholds": [described(x) for x in c.in_force(at_ms)],
            }
            for name, c in channels.items()
        },
    }
