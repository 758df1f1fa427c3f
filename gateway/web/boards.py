"""The board as JSON, made once for everybody who looks: one read of the store serves all of a moment's visitors.

Three audiences: whoever operates sees everything of the tenants that are theirs; who only views sees the same; the
public sees neither names of people nor what is an aid for staff, nothing of a station under work, and no drill.
"""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from gateway import boardfile, bulletinstanding, calling, settings, storefile, websettings
from gateway.alertfile import Now
from gateway.alertrows import AlertRows
from gateway.board import Mark, Row
from gateway.boardfile import Board
from gateway.clock import Clock
from gateway.episodes import Episode
from gateway.instants import iso
from gateway.model import Condition
from gateway.stations import Registry, Threshold
from gateway.web.who import Who

MOMENT_S = 0.4  # a board as young as this is shown again
# What only people change, and what a reading changes: by it a stream knows that there is something to say.
_POSITION = """SELECT (SELECT coalesce(max(id), 0) FROM transitions), (SELECT coalesce(max(id), 0) FROM journal),
 (SELECT coalesce(max(done_ms), 0) FROM requests), (SELECT coalesce(max(id), 0) FROM observations),
 (SELECT count(*) FROM suspensions), (SELECT value FROM meta WHERE key = 'judged_by')"""
_BULLETINS = """SELECT id, at_ms, kind, tenant, station, by, body FROM journal
 WHERE at_ms > ? AND kind IN ('bulletin', 'manual') AND json_extract(body, '$.what') IN ('bulletin', 'order')
 ORDER BY at_ms DESC, id DESC LIMIT 2000"""
SHOWN = 40  # bulletins, and as many orders
BULLETIN_MS = 48 * 3_600_000
Others = tuple[list[dict[str, Any]], dict[str, Any] | None]  # bulletins and orders; how their feed stands


@dataclass(frozen=True, slots=True)
class Position:
    """How far the store is: `urgent` changes with what people must see at once, `readings` with every batch."""

    urgent: str
    readings: int
    judged_by: tuple[str, int] | None = None

    def __str__(self) -> str:
        return f"{self.urgent}.{self.readings}"


class Boards:
    """Thread-safe. Raises Unavailable where the store cannot be read."""

    def __init__(
        self, bridge: settings.Bridge, registry: Registry, web: websettings.Web, clock: Clock, edited: bool = False
    ) -> None:
        """`edited`: in the folder there are other stations, by which the bridge does not judge yet."""
        self._edited = edited
        self._bridge, self._registry, self._web, self._clock = bridge, registry, web, clock
        self._alerts = AlertRows(bridge, registry, iso)
        self._lock = threading.Lock()
        self._made = -MOMENT_S  # real time: a simulation's own runs faster than people look
        self._held: tuple[int, Board, Position, bool | None, Others] | None = None
        self._encoded: dict[object, bytes] = {}

    @functools.cached_property
    def _digest(self) -> str:
        return self._registry.digest()

    def position(self) -> Position:
        transitions, journal, asked, readings, suspended, judged = storefile.rows(self._bridge.store, _POSITION)[0]
        by = storefile.judging(judged) if judged is not None else None
        return Position(f"{transitions}.{journal}.{asked}.{suspended}.{by[1] if by else 0}", readings, by)

    def renew(self) -> None:
        """What was made before now is not shown again: something happened that people must see."""
        with self._lock:
            self._made = -MOMENT_S

    def board(self) -> Board:
        return self._moment()[1]

    def rows(self, who: Who) -> list[Row]:
        """Those whom they may see, the worst first."""
        return [x for x in self.board().rows if who.sees(x.station.tenant)]

    def encoded(self, who: Who) -> tuple[str, bytes]:
        """(position, JSON) for this audience; the same bytes for everybody in it, and for as long as a moment lasts."""
        with self._lock:
            at_ms, board, position, running, others = self._fresh()
            key = (who.tenants, who.staff)
            if key not in self._encoded:
                document = self._document(who, board, position, running, others)
                self._encoded[key] = msgspec.json.encode(document)
            return f"{position}.{at_ms}", self._encoded[key]

    def _moment(self) -> tuple[int, Board, Position, bool | None, Others]:
        with self._lock:
            return self._fresh()

    def _fresh(self) -> tuple[int, Board, Position, bool | None, Others]:
        if self._held is None or time.monotonic() - self._made >= MOMENT_S:
            now_ms = self._clock.now_ms()
            position = self.position()
            board = boardfile.read(self._bridge.store, self._registry, now_ms)
            said = self._bulletins(now_ms), self._feed(now_ms)
            self._held = (now_ms, board, position, storefile.running(self._bridge.store), said)
            self._made, self._encoded = time.monotonic(), {}
        return self._held

    # --- the document ----------------------------------------------------------------------------------------

    def _document(
        self, who: Who, board: Board, position: Position, running: bool | None, others: Others
    ) -> dict[str, Any]:
        mine = [e for e in board.episodes if who.sees(e.tenant) and (who.staff or e.kind != "drill")]
        muted = {(x.tenant, x.station): x.until_ms for x in board.suspensions if x.kind == "mute"}
        ours = {(e.tenant, e.station): e for e in mine if e.kind == "station"}
        document: dict[str, Any] = {
            "version": 1,
            "now": iso(board.now_ms),
            "position": str(position),
            "bridge": {"running": running, "committed": iso(board.received_ms)},
            "drill": any(e.kind == "drill" for e in mine),
            "stations": [
                self.station(x, who, ours, muted)
                for x in board.rows
                if who.sees(x.station.tenant) and (x.channel is not None or who.staff)
            ],
        }
        if who.staff:
            now = Now(mine, board.states, board.suspensions)
            listed = self._alerts.listed(now, board.now_ms)
            document["episodes"] = listed["episodes"]
            document["suspensions"] = [x for x in listed["suspensions"] if who.sees(x["tenant"])]
            by = position.judged_by
            other = by is not None and by[0] != self._digest
            document["configuration"] = {
                "edited": running is not False and (self._edited or other),
                "in_force": iso(by[1]) if by is not None else None,
            }
            bulletins, document["feed"] = others
            document["bulletins"] = _once(x for x in bulletins if not x["tenant"] or who.sees(x["tenant"]))
        return document

    def station(
        self,
        x: Row,
        who: Who,
        episodes: dict[tuple[str, str], Episode] | None = None,
        muted: dict[tuple[str, str], int] | None = None,
    ) -> dict[str, Any]:
        """One row as JSON."""
        s, key = x.station, (x.station.tenant, x.station.id)
        episode = (episodes or {}).get(key)
        hidden = x.condition is Condition.MAINTENANCE and not who.staff  # under work: nothing of it is published
        contract = x.channel.contract if x.channel is not None else None
        found: dict[str, Any] = {
            "tenant": s.tenant, "station": s.id, "name": {"ja": s.name_ja, "en": s.name_en},
            "river": s.river, "area": s.area, "hazard": s.hazard,
            "latitude": s.latitude, "longitude": s.longitude,
            "channel": x.channel.name if x.channel is not None else None,
            "quantity": x.channel.quantity if x.channel is not None else None,
            "unit": x.channel.unit if x.channel is not None else None,
            "contact": bool(x.channel is not None and x.channel.contact),
            "value": None if hidden else x.value,
            "observed": None if hidden else iso(x.observed_ms),
            "rank": x.rank, "unconfirmed": x.unconfirmed, "held": x.held,
            "condition": x.condition.value,
            "late_after_s": contract.fresh_for_s(x.value) if contract is not None else None,
            "flag": None if hidden else x.flag, "fault": x.fault,
            "level": {"key": x.level.key, "ja": x.level.ja, "en": x.level.en} if x.level is not None else None,
            "next": _mark(x.next), "over": _mark(x.reached),
            "change_10min": _round(x.change_10min), "change_1h": _round(x.change_1h),
            "rate_per_h": _round(x.per_h), "trend": x.trend,
            "falling_fast": x.falling_fast, "waiting": x.waiting, "blind": list(x.blind),
        }  # fmt: skip
        if who.staff:
            course = episode.course if episode is not None else None
            found |= {
                "minutes_to_next": round(x.to_next_min) if x.to_next_min is not None else None,
                "episode": episode.id if episode is not None else None,
                "acknowledged": bool(course is not None and not calling.unseen(course)),
                "muted_until": iso((muted or {}).get(key)),
            }
        links = self._web.links.get(key, ())
        found["links"] = [{"ja": link.ja, "en": link.en, "url": link.url} for link in links]
        return found

    def _bulletins(self, now_ms: int) -> list[dict[str, Any]]:
        """What was received or entered of others' bulletins and the mayor's orders, the newest first; of what is said
        anew, the newest issue."""
        found, lines, counts = [], set(), {"bulletin": 0, "order": 0}
        rows = storefile.rows(self._bridge.store, _BULLETINS, (now_ms - BULLETIN_MS,))
        for number, at_ms, _, tenant, station, by, body in rows:
            facts = msgspec.json.decode(body)
            received = facts.get("received")
            if received is not None:
                if (received["line"], tenant) in lines:
                    continue
                lines.add((received["line"], tenant))
            counts[facts["what"]] += 1
            if counts[facts["what"]] > SHOWN:
                continue
            of = received or {}
            found.append(
                {"number": number, "at": iso(at_ms), "kind": facts["what"], "drill": facts.get("drill") is True,
                 "ja": str(of.get("short") or facts.get("text", "")), "headline": str(of.get("headline", "")),
                 "by": by, "tenant": tenant, "station": station, "over": of.get("over") is True,
                 "source": "received" if received is not None else "entered"}
            )  # fmt: skip
        return found

    def _feed(self, now_ms: int) -> dict[str, Any] | None:
        """Whether bulletins are received now; None where nobody reads a feed of them."""
        if self._bridge.bulletins is None:
            return None
        x = bulletinstanding.read(self._bridge.store) or bulletinstanding.Standing()
        return {"heard": iso(x.heard_ms), "unheard": x.unheard(now_ms), "reason": x.reason}


def _once(bulletins: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """What was received for two tenants is one for whoever sees both."""
    found: dict[tuple[object, ...], dict[str, Any]] = {}
    for x in bulletins:
        own = x["number"] if x["source"] == "entered" else ""
        found.setdefault((x["at"], x["ja"], x["by"], own), x)
    return list(found.values())


def threshold(t: Threshold) -> dict[str, Any]:
    return {
        "level": t.level, "rank": t.rank, "value": t.value, "authority": t.authority, "basis": t.basis,
        "source": t.source, "valid_from": iso(t.valid_from_ms), "valid_to": iso(t.valid_to_ms),
    }  # fmt: skip


def _mark(mark: Mark | None) -> dict[str, Any] | None:
    if mark is None:
        return None
    level, t = mark.level, mark.threshold
    return {
        "key": level.key, "ja": level.ja, "en": level.en, "rank": t.rank, "value": t.value,
        "distance": _round(mark.distance), "authority": t.authority, "basis": t.basis,
    }  # fmt: skip


def _round(x: float | None) -> float | None:
    return None if x is None else round(x, 4)
