"""National lists of crisis gauges: each gauge is judged by its own levels, which come with each item.

A list gives no truth: nobody says which reading is a flood. What can be judged is what it must not lead to: a reading
older than its contract shown as current, and one more than two metres above the overflow level confirmed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from gateway.model import Change
from gateway.scoring import judging, site
from gateway.scoring.judging import Score
from gateway.scoring.playing import Player, Read
from gateway.stations import Contract, LevelTable, Limits, Registry, Station, Threshold

CONTRACT = Contract(600.0, 1200.0)  # every 2, 5 or 10 minutes above the start level; the list itself is minutes old
_DEEPEST_M = 50.0  # below the overflow level: what lies lower is no reading of a river


@dataclass(frozen=True, slots=True)
class Entry:
    """One gauge in one list."""

    shown_ms: int
    code: str
    name: str
    at_ms: int
    value: float
    warn: float | None
    overflow: float | None

    @property
    def implausible(self) -> bool:
        return self.overflow is not None and self.value > self.overflow + site.ABOVE_OVERFLOW_M


def score(entries: Sequence[Entry], table: LevelTable) -> Score:
    """The account of every gauge in the lists."""
    by_code: dict[str, list[Entry]] = {}
    for entry in sorted(entries, key=lambda e: e.shown_ms):
        by_code.setdefault(entry.code, []).append(entry)
    stations = {code: _station(code, found) for code, found in by_code.items()}
    player = Player(Registry(stations.values(), table), min(e.shown_ms for e in entries) - 1)
    false = confirmed = 0
    seq = 0
    for shown_ms, group in groupby(sorted(entries, key=lambda e: (e.shown_ms, e.code)), key=lambda e: e.shown_ms):
        here = list(group)
        reads = []
        for entry in here:
            seq += 1
            station = stations[entry.code]
            reads.append(Read(station, station.channels["water_level"], seq, entry.at_ms, entry.value))
        unlikely = {e.code for e in here if e.implausible}
        for t in player.step(shown_ms, reads):
            if t.change is Change.RISE and t.station in unlikely:
                false += 1
                confirmed += t.confirmed
    total = Score(false=false, false_confirmed=confirmed)
    for code, station in stations.items():
        channel = station.channels["water_level"]
        track = player.tracks[(station.tenant, code, channel.name)]
        part, _ = judging.judge((), channel, track)
        total += Score(flaps=part.flaps, unconfirmed=part.unconfirmed, stale_shown_as_current=track.stale)
    return total


def _station(code: str, entries: Iterable[Entry]) -> Station:
    """A station whose thresholds are those of each list from its time on."""
    marks: list[Threshold] = []
    highest: float | None = None
    current: tuple[float | None, float | None] | None = None
    for entry in entries:
        levels = (entry.warn, entry.overflow)
        if entry.overflow is not None:
            highest = max(highest if highest is not None else entry.overflow, entry.overflow)
        if levels == current:
            continue
        since_ms = None if current is None else entry.shown_ms
        current = levels
        marks = [_ended(t, entry.shown_ms) for t in marks]
        for key, rank, value in (("danger", 4, entry.warn), ("overflow", 5, entry.overflow)):
            if value is not None:
                marks.append(Threshold(key, rank, value, "", "危機管理型", "list", since_ms))
        name = entry.name
    user = None if highest is None else (highest - _DEEPEST_M, highest + site.ABOVE_OVERFLOW_M)
    return site.station(code, name, site.water_level(CONTRACT, Limits(user=user), tuple(marks)))


def _ended(t: Threshold, at_ms: int) -> Threshold:
    if t.valid_to_ms is not None:
        return t
    return Threshold(t.level, t.rank, t.value, t.authority, t.basis, t.source, t.valid_from_ms, at_ms)
