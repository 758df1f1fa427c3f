"""What the desk could know at a time: the rows of the journal that were recorded by then, folded to the state of each
channel, to the episodes that were open, and to who had acknowledged them. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from gateway.journal import Kind, Row
from gateway.model import Change

Place = tuple[str, str]  # tenant, station


@dataclass(slots=True)
class ChannelThen:
    """As in `channelstate.ChannelState`, as far as the journal tells it. `lost` is what it was lost to, empty while it
    was heard; `since_ms` when that was measured or found, `closed` that a person ended the event, after which only what
    data showed stood."""

    rank: int = 0
    unconfirmed: int = 0
    held: bool = False
    lost: str = ""
    since_ms: int | None = None
    closed: bool = False


@dataclass(slots=True)
class EpisodeThen:
    """An episode that was open."""

    id: str
    station: str
    since_ms: int
    drill: bool = False
    max_rank: int = 0
    stations: tuple[str, ...] = ()
    acknowledged_by: str = ""
    acknowledged_ms: int | None = None
    judged: str = ""
    judged_by: str = ""


@dataclass(slots=True)
class StationThen:
    """A place, and what was in force there. `suspended` is until when, by kind; `thresholds` the body of the row that
    said so last."""

    channels: dict[str, ChannelThen] = field(default_factory=dict)
    episodes: dict[str, EpisodeThen] = field(default_factory=dict)
    suspended: dict[str, tuple[int, str]] = field(default_factory=dict)
    thresholds: dict[str, Any] = field(default_factory=dict)

    @property
    def rank(self) -> int:
        return max((c.rank for c in self.channels.values()), default=0)


_OPENS_NONE = (Change.FALL, Change.RESTORED, Change.THRESHOLDS)

Known = dict[Place, StationThen]


def fold(rows: Iterable[Row], at_ms: int) -> Known:
    """The state after rows in the order in which they were recorded; later ones are passed over. Where the tenant's or
    the desk's own rows have no station, the place has none either."""
    known: Known = {}
    for row in rows:
        if row.recorded_ms <= at_ms:
            station = known.setdefault((row.tenant, row.station), StationThen())
            _apply(station, row, row.facts)
    for station in known.values():
        station.suspended = {kind: x for kind, x in station.suspended.items() if x[0] > at_ms}
    return known


def _apply(station: StationThen, row: Row, facts: dict[str, Any]) -> None:
    match row.kind:
        case Kind.TRANSITION:
            _transition(station, row, facts)
        case Kind.ACKNOWLEDGED if facts.get("action") == "acknowledged" and row.episode in station.episodes:
            episode = station.episodes[row.episode]
            episode.acknowledged_by, episode.acknowledged_ms = row.by, row.at_ms
        case Kind.JUDGED if facts.get("action") == "confirmed" and row.episode in station.episodes:
            episode = station.episodes[row.episode]
            episode.judged, episode.judged_by = "confirmed", row.by
        case Kind.JUDGED if facts.get("action") in ("rejected", "closed"):
            station.episodes.pop(row.episode, None)
        case Kind.ENDED:
            station.episodes.pop(row.episode, None)
        case Kind.DRILL if facts.get("action") == "end":
            station.episodes.pop(row.episode, None)
        case Kind.SUSPENDED if facts.get("action") == "end":
            station.suspended.pop(str(facts.get("kind")), None)
        case Kind.SUSPENDED:
            station.suspended[str(facts.get("kind"))] = (int(facts.get("until_ms") or 0), row.by)
        case Kind.THRESHOLDS:
            station.thresholds = facts


def _transition(station: StationThen, row: Row, facts: dict[str, Any]) -> None:
    change, to_rank, confirmed = facts["change"], int(facts["to_rank"]), bool(facts["confirmed"])
    over = change in (Change.REJECTED, Change.CLOSED)
    member = row.station != "" and bool(facts.get("stations"))  # of a common cause: that is opened and ended elsewhere
    if row.episode and not over and not member and (row.episode in station.episodes or change not in _OPENS_NONE):
        e = station.episodes.setdefault(row.episode, EpisodeThen(row.episode, row.station, row.at_ms))
        e.drill = bool(facts.get("drill"))
        e.max_rank = max(e.max_rank, to_rank if confirmed else 0)
        e.stations = tuple(facts.get("stations") or e.stations)
    if over:
        station.episodes.pop(row.episode, None)
    if facts.get("drill"):
        return
    name = str(facts.get("channel") or "")
    about = [station.channels.setdefault(name, ChannelThen())] if name else list(station.channels.values())
    for channel in about:
        _channel(channel, str(change), to_rank, confirmed, row.at_ms)


def _channel(c: ChannelThen, change: str, to_rank: int, confirmed: bool, at_ms: int) -> None:
    match change:
        case Change.RISE | Change.CONFIRMED if confirmed:
            c.rank, c.unconfirmed, c.closed = to_rank, 0, False
        case Change.RISE:
            c.unconfirmed = to_rank
        case Change.FALL if confirmed:
            c.rank = to_rank
        case Change.FALL:
            c.unconfirmed = 0
        case Change.HELD | Change.SILENT | Change.FAULTY:
            c.held, c.lost = change == Change.HELD, change
        case Change.REJECTED:
            c.rank, c.unconfirmed, c.held = 0, 0, False
        case Change.CLOSED:
            c.unconfirmed, c.held, c.closed = 0, False, True
        case Change.RESTORED:
            c.held, c.lost = False, ""
        case _:
            return
    if change in (Change.RISE, Change.FALL):  # a measurement: it is heard
        c.held, c.lost = False, ""
    c.since_ms = at_ms
