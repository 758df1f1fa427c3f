"""Alerts as scripts and the page read them: what is open, and one episode with everybody who was told. One shape for
the command line and the open interface."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from gateway import alertfile, calling, contacts, settings, storefile
from gateway.alertfile import Now
from gateway.channelstate import ChannelState
from gateway.episodes import Course, Episode
from gateway.errors import Unavailable
from gateway.judging import claim_of
from gateway.people import Plan
from gateway.stations import Registry, Station


@dataclass(frozen=True, slots=True)
class AlertRows:
    """`iso` writes a time: local for a terminal, UTC on the wire."""

    bridge: settings.Bridge
    registry: Registry
    iso: Callable[[int | None], str | None]

    def listed(self, now: Now, now_ms: int) -> dict[str, Any]:
        episodes = [self.described(now, e) for e in now.episodes]
        episodes.sort(
            key=lambda x: (x["drill"], -max(x["rank"], x["unconfirmed"]), x["acknowledged"] is not None, x["since"])
        )
        return {
            "version": 1,
            "now": self.iso(now_ms),
            "running": storefile.running(self.bridge.store),
            "episodes": episodes,
            "suspensions": [
                {"kind": x.kind, "tenant": x.tenant, "station": x.station, "since": self.iso(x.since_ms),
                 "until": self.iso(x.until_ms), "by": x.by, "note": x.note}
                for x in now.suspensions
            ],
            "rejected": [
                {"tenant": t, "station": s, "channel": c, "rank": state.rejected}
                for (t, s, c), state in sorted(now.states.items())
                if state.rejected
            ],
        }  # fmt: skip

    def described(self, now: Now, e: Episode) -> dict[str, Any]:
        station = self.registry.station(e.tenant, e.station)
        states = _states(now, e, station)
        worst = max(states, key=lambda x: (claim_of(x[1]), x[1].rank), default=None)
        drill = e.kind == "drill"
        rank = e.max_rank if drill else max((s.rank for _, s in states), default=0)
        claim = 0 if drill else max((s.unconfirmed for _, s in states if s.unconfirmed > rank), default=0)
        state = None if worst is None or drill else worst[1]
        mute = next(
            (x for x in now.suspensions if (x.kind, x.tenant, x.station) == ("mute", e.tenant, e.station)), None
        )
        channel = station.channels.get(worst[0]) if station and worst and not drill else None
        level = self.registry.level(station, channel, max(rank, claim))
        course = e.course
        seen = None if calling.unseen(course) else self._act(course.acknowledged_by, course.acknowledged_ms)
        return {
            "episode": e.id,
            "kind": e.kind,
            "drill": drill,
            "tenant": e.tenant,
            "station": e.station,
            "name": {"ja": station.name_ja, "en": station.name_en} if station else None,
            "cause": {"group": course.group, "stations": list(course.stations)} if e.kind == "cause" else None,
            "since": self.iso(e.opened_ms),
            "rank": rank,
            "unconfirmed": claim,
            "highest": e.max_rank,
            "level": {"key": level.key, "ja": level.ja, "en": level.en, "exceeded_ja": level.exceeded_ja or level.ja}
            if max(rank, claim) or _fresh(state) else None,  # "normal" for fresh data only
            "steps": self._steps(e, station),
            "channel": worst[0] if worst and not drill else None,
            "value": state.value if state else None,
            "unit": channel.unit if channel else None,
            "measured": self.iso(state.usable_ms) if state else None,
            "condition": state.condition.value if state else None,
            "held": bool(state and state.held),
            "contact": contacts.STANDS_JA if state and channel and contacts.waits(state, channel) else None,
            "acknowledged": seen,
            "judgement": {"what": _judged(e), "by": course.judged_by, "basis": course.basis, "note": course.note,
                          "at": self.iso(course.judged_ms)} if course.judged_by else None,
            "calling": self._calling(e, station),
            "told": len(course.told),
            "muted_until": self.iso(mute.until_ms) if mute and not drill else None,
        }  # fmt: skip

    def _steps(self, e: Episode, station: Station | None) -> list[dict[str, Any]]:
        """The steps of rain that were reached in an episode; they have no rank."""
        if station is None or not station.steps or e.kind == "drill":
            return []
        told = [(c, station.step(c.level)) for c in alertfile.changes(self.bridge.store, e) if c.change == "step"]
        return [
            {
                "key": c.level,
                "ja": step.name_ja,
                "en": step.name_en,
                "value": c.value,
                "unit": "mm",
                "at": self.iso(c.at_ms),
            }
            for c, step in told
            if step is not None
        ]

    def _act(self, by: str, at_ms: int | None) -> dict[str, Any] | None:
        return {"by": by, "at": self.iso(at_ms)} if at_ms is not None else None

    def _calling(self, e: Episode, station: Station | None) -> dict[str, Any] | None:
        """Whose turn it is, while nobody has acknowledged."""
        call: Any = e.course.calling
        if call is None:
            return None
        found: dict[str, Any] = {
            "rank": call.rank, "active": call.active, "since": self.iso(call.since_ms), "round": call.round + 1,
            "role": None, "recipients": list(call.awaiting),
        }  # fmt: skip
        plan = self._plan(call.rank, station)
        if plan is not None and self.bridge.people is not None:
            order = self.bridge.people.order(plan)
            role = self.bridge.people.roles[order[min(call.turn, len(order) - 1)]]
            found |= {"role": {"id": role.id, "ja": role.ja, "en": role.en}, "rounds": plan.rounds}
        return found

    def _plan(self, rank: int, station: Station | None) -> Plan | None:
        people = self.bridge.people
        return people.plan(rank, station.id, station.hazard, station.tenant) if people and station else None

    def shown(self, now: Now, name: str, tenant: str | None) -> dict[str, Any]:
        here = [e for e in now.episodes if name in (e.id, e.station)] or storefile.episodes(self.bridge.store, name)
        found = [e for e in here if tenant in (None, e.tenant)]
        if not found:
            raise Unavailable(f"there is no episode '{name}'. 'suimon alert list' shows what is open")
        if len({e.tenant for e in found}) > 1:
            raise Unavailable(f"'{name}' belongs to {', '.join(e.tenant for e in found)}: name one with --tenant")
        e = min(found, key=lambda e: (e.id != name, e.kind == "drill"))
        _changes, _told = alertfile.changes(self.bridge.store, e), alertfile.notified(self.bridge.store, e)
        return {
            "version": 1,
            "episode": self.described(now, e) | {"closed": self.iso(e.closed_ms)},
            "changes": [
                self.timed(asdict(c)) | {"unit": self._unit(e, c.channel)}
                for c in alertfile.changes(self.bridge.store, e)
            ],
            "notified": [
                self.timed(asdict(n)) | {"name": self.name(n.recipient)}
                for n in alertfile.notified(self.bridge.store, e)
            ],
            "told": self._told(e.course),
        }

    def _told(self, course: Course) -> list[dict[str, Any]]:
        return [{"recipient": x.recipient, "name": self.name(x.recipient), "rang": x.rang} for x in course.told]

    def _unit(self, e: Episode, name: str) -> str | None:
        station = self.registry.station(e.tenant, e.station)
        channel = station.channels.get(name) if station else None
        return channel.unit if channel else None

    def name(self, recipient: str) -> str | None:
        """Whose address it is, by people.yaml; None of a lamp, a screen, and who is no member any more."""
        found = dict.fromkeys(
            m.name for m in (self.bridge.people.members if self.bridge.people else ()) if recipient in m.recipients
        )
        return "・".join(found) or None

    def timed(self, row: dict[str, Any]) -> dict[str, Any]:
        """Milliseconds as times."""
        return {k.removesuffix("_ms"): self.iso(v) if k.endswith("_ms") else v for k, v in row.items()}


def _judged(e: Episode) -> str:
    """What the person did who spoke last: confirmed, rejected or closed."""
    closing = e.closed_ms is not None and e.course.judged_ms == e.closed_ms
    return "closed" if closing and e.course.judgement != "rejected" else e.course.judgement or "closed"


def _states(now: Now, e: Episode, station: Station | None) -> list[tuple[str, ChannelState]]:
    watched = [c.name for c in station.watched] if station else []
    return [(c, now.states[(e.tenant, e.station, c)]) for c in watched if (e.tenant, e.station, c) in now.states]


def _fresh(state: ChannelState | None) -> bool:
    return state is not None and state.condition.value == "fresh"
