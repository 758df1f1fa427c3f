"""What people do about alerts, as requests: acknowledge, confirm, reject, close, mute, maintenance, drills and tests of
the call. Each is validated, refused with a plain reason or done whole: states, episode, notifications and journal in
the transaction of its request. Asked twice it is done once.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from gateway import calling, channelstate, episodes, journal, judging
from gateway.bridge import testwords
from gateway.bridge.act import Act, Refused, Said
from gateway.bridge.notify import Owed
from gateway.bridge.rows import Answer, Asked
from gateway.bridge.telling import standing_of
from gateway.channelstate import ChannelState
from gateway.episodes import Episode, Suspension
from gateway.errors import ActCode
from gateway.model import Change
from gateway.stations import Channel, Station

HOUR_MS = 3_600_000
MUTE_MS, MAINTENANCE_MS, DRILL_MS = 12 * HOUR_MS, 30 * 24 * HOUR_MS, 12 * HOUR_MS  # at most
CLOSES_FREELY = 2  # the highest rank that data may show when an episode is closed without --force
Basis = Literal["camera", "patrol", "phone", "office"]


class Acknowledge(Said):
    """An episode, or its station; or a test of the alarm, and which of the recipients answers."""

    episode: str = ""
    test: str = ""
    recipient: str = ""


class Judge(Said):
    episode: str
    basis: Basis | None = None
    force: bool = False


class Suspend(Said):
    station: str
    for_s: float
    force: bool = False


class End(Said):
    station: str


class Drill(Said):
    """`every`: all roles of the plan are called at once."""

    station: str
    rank: int
    for_s: float = DRILL_MS / 1000
    every: bool = False


class Test(Said):
    """`recipients`: none are all."""

    recipients: tuple[str, ...] = ()


Done = dict[str, object]


# --- seen, and judged --------------------------------------------------------------------------------------------


def acknowledge(act: Act) -> Done:
    """Somebody has seen it: nobody else is called. It is no judgement."""
    said: Acknowledge = act.said(Acknowledge)
    if said.test:
        return _answer(act, said)
    e = act.episode(said.episode, said.tenant)
    if e is None:
        past = act.past(said.episode)
        why = f"{past.id} is closed already; there is nothing to acknowledge"
        raise Refused(ActCode.EPISODE_CLOSED, why, station=past.station)
    answer = {"episode": e.id, "station": e.station}
    if e.course.acknowledged_ms is not None and not calling.unseen(e.course):
        return {**answer, "already": True, "by": e.course.acknowledged_by, "at_ms": e.course.acknowledged_ms}
    act.put(replace(e, course=calling.acknowledged(e.course, act.by, act.now_ms)))
    act.note(journal.Kind.ACKNOWLEDGED, e, e.tenant, e.station, action="acknowledged", note=said.note, drill=_drill(e))
    return {**answer, "already": False, "by": act.by, "at_ms": act.now_ms}


def _drill(e: Episode) -> bool | None:
    return True if e.kind == "drill" else None


def _judged(act: Act, e: Episode, said: Judge, judgement: Literal["", "confirmed", "rejected"]) -> Episode:
    course = e.course if not calling.unseen(e.course) else calling.acknowledged(e.course, act.by, act.now_ms)
    course = replace(
        course, judgement=judgement, judged_ms=act.now_ms, judged_by=act.by, basis=said.basis or "", note=said.note
    )
    return replace(e, course=course)


def _to_be_judged(act: Act, said: Judge) -> Episode | None:
    """The open episode, None where it is past."""
    e = act.episode(said.episode, said.tenant)
    if e is not None and e.kind == "drill":
        why = f"{e.id}: a drill is not judged; end it with 'drill end'"
        raise Refused(ActCode.DRILL_NOT_JUDGED, why, station=e.station)
    if e is not None and e.kind != "station":
        raise Refused(ActCode.LOSS_NOT_JUDGED, f"{e.id}: it is about missing data", episode=e.id)
    if said.basis is None:
        raise Refused(ActCode.NO_BASIS, "say what it rests on: --basis camera, patrol, phone or office")
    return e


def confirm(act: Act) -> Done:
    """A person has seen the water: what is claimed stands. After a rejection it opens an episode anew."""
    said: Judge = act.said(Judge)
    e = _to_be_judged(act, said)
    past = act.past(said.episode) if e is None else e
    station = act.station_of(past)
    if station is None:
        why = f"station '{past.station}' is no longer in stations.yaml"
        raise Refused(ActCode.NO_STATION, why, station=past.station)
    claims = [(c, s) for c, s in act.channels(station) if s.unconfirmed > s.rank or (e is None and s.rejected)]
    if e is None:
        if not claims:
            why = f"{past.id} is closed, and nothing at {past.station} is claimed or was rejected"
            raise Refused(ActCode.NOTHING_CLAIMED, why, station=past.station)
        name = channelstate.episode_id(station.id, act.now_ms)
        e = Episode(station.tenant, station.id, name, act.now_ms, 0)
    if e.course.judgement == "confirmed" and not claims:
        return {"episode": e.id, "station": e.station, "already": True, "by": e.course.judged_by}
    e = _judged(act, e, said, "confirmed")
    rank = e.max_rank
    for channel, state in claims:
        new = judging.confirmed(state)
        act.set_state(station, channel, new)
        t = act.transition(e, Change.CONFIRMED, state.rank, new.rank, rings=True)
        e = act.tell(replace(t, channel=channel.name, value=state.value), e.reached(t))
        rank = max(rank, new.rank)
    if not claims:
        rank = standing_of(act.work.state, station)
        t = act.transition(e, Change.CONFIRMED, rank, rank, rings=False, value=_value(act.channels(station)))
        e = act.tell(t, e)
    _note_judgement(act, e, said, "confirmed", rank)
    return {"episode": e.id, "station": e.station, "already": False, "rank": rank}


def reject(act: Act) -> Done:
    """It was a false alarm: the episode ends, and everybody who was told is told so by the same medium."""
    said: Judge = act.said(Judge)
    e = _to_be_judged(act, said)
    if e is None:
        past = act.past(said.episode)
        if past.course.judgement == "rejected":
            return {"episode": past.id, "station": past.station, "already": True, "by": past.course.judged_by}
        why = f"{past.id} was closed and not rejected; a closed episode is not judged any more"
        raise Refused(ActCode.NOT_REJECTED, why, station=past.station)
    station = act.station_of(e)
    found = act.channels(station) if station else []
    worst = max(found, key=lambda x: judging.claim_of(x[1]), default=None)
    claim = judging.claim_of(worst[1]) if worst else 0
    from_rank = max(claim, e.highest, e.course.called)
    if from_rank == 0:
        raise Refused(ActCode.NO_LEVEL, f"{e.id} claims no level. Close it instead", station=e.station)
    for channel, state in found:
        if judging.claim_of(state):
            assert station is not None
            act.set_state(station, channel, judging.rejected(state))
    e = _judged(act, e, said, "rejected")
    t = act.transition(e, Change.REJECTED, from_rank, 0, rings=True, value=worst[1].value if worst else None)
    original = e.course.original
    if original is not None and original.rank == from_rank:
        t = replace(t, value=original.value, level=original.level or t.level)
    e = act.tell(t, e)
    act.put(replace(e, closed_ms=act.now_ms))
    _note_judgement(act, e, said, "rejected", from_rank)
    return {"episode": e.id, "station": e.station, "already": False, "corrected": len(e.course.told)}


def close(act: Act) -> Done:
    """The event is over. Refused while data show rank 3 or more, or claim it, unless it is forced with a reason."""
    said: Judge = act.said(Judge)
    e = act.episode(said.episode, said.tenant)
    if e is None:
        past = act.past(said.episode)
        return {"episode": past.id, "station": past.station, "already": True, "at_ms": past.closed_ms}
    if e.kind == "drill":
        return _end_drill(act, e)
    if e.kind == "cause":
        why = f"{e.id} ends when its stations are heard again. Acknowledge it; each station is closed by itself"
        raise Refused(ActCode.CAUSE_OPEN, why, episode=e.id)
    station = act.station_of(e)
    found = act.channels(station) if station else []
    _may_close(act, e, said, found)
    rank = max((s.rank for _, s in found), default=0)
    for channel, state in found:
        assert station is not None
        act.set_state(station, channel, judging.closed(state, channel.in_force(act.now_ms)))
    e = _judged(act, e, said, e.course.judgement)
    e = act.tell(act.transition(e, Change.CLOSED, rank, 0, rings=False, value=_value(found)), e)
    act.put(replace(e, closed_ms=act.now_ms))
    _note_judgement(act, e, said, "closed", rank)
    return {"episode": e.id, "station": e.station, "already": False, "at_ms": act.now_ms}


def _value(found: list[tuple[Channel, ChannelState]]) -> float | None:
    """The last value of the station's main channel."""
    return found[0][1].value if found else None


def _may_close(act: Act, e: Episode, said: Judge, found: list[tuple[Channel, ChannelState]]) -> None:
    for channel, state in found:
        shown = judging.fresh_rank(state, channel.in_force(act.now_ms))
        rank = max(shown, state.unconfirmed)
        if rank > CLOSES_FREELY and not (said.force and said.note):
            raise _stands(act, e, channel, state, rank)


def _stands(act: Act, e: Episode, channel: Channel, state: ChannelState, rank: int) -> Refused:
    """How a channel stands that shows or claims too much, and when it may be closed."""
    level = act.work.rules.registry.level(act.station_of(e), channel, rank)
    claimed = state.unconfirmed >= rank
    claims = "claims, unconfirmed," if claimed else ""
    of = f"{e.station} {channel.name}"
    otherwise = "reject it if it is false, or use --force with a --note that says why"
    about = {"station": e.station, "level": {"ja": level.ja, "en": level.en}, "claimed": claimed}
    if channel.contact:
        wet = f"{claims or 'reads'} wet{f' ({level.ja})' if channel.thresholds else ''}"
        why = f"{of} {wet}. Close it when it reads dry and somebody has been there, {otherwise}"
        return Refused(ActCode.STILL_WET, why, **about)
    value = "" if state.value is None else f", {state.value:.2f} {channel.unit}"
    why = f"{of} {claims or 'is above'} {level.ja}{value}. Close it when the level has fallen, {otherwise}"
    return Refused(ActCode.STILL_HIGH, why, value=state.value, unit=channel.unit, **about)


def _note_judgement(act: Act, e: Episode, said: Judge, action: str, rank: int) -> None:
    basis, forced = said.basis, said.force or None
    body = {"action": action, "rank": rank, "basis": basis, "note": said.note, "forced": forced}
    act.note(journal.Kind.JUDGED, e, e.tenant, e.station, **body)


# --- mutes and maintenance ---------------------------------------------------------------------------------------


def mute(act: Act) -> Done:
    """A station rings nobody until a rank above its present one comes."""
    said: Suspend = act.said(Suspend)
    station = act.station(said.station, said.tenant)
    return _suspend(act, said, station, "mute", MUTE_MS, standing_of(act.work.state, station))


def maintain(act: Act) -> Done:
    """A station is under work: what it sends is stored and marked, and alarms nobody."""
    said: Suspend = act.said(Suspend)
    station = act.station(said.station, said.tenant)
    rank = standing_of(act.work.state, station)
    if rank >= 2 and not (said.force and said.note):
        level = act.work.rules.registry.level(station, station.having(rank, act.now_ms), rank)
        why = f"{station.id} stands at {level.ja}. Use --force with a --note that says why it is false"
        raise Refused(ActCode.STANDS_HIGH, why, station=station.id, level={"ja": level.ja, "en": level.en})
    return _suspend(act, said, station, "maintenance", MAINTENANCE_MS, rank)


def _suspend(
    act: Act, said: Suspend, station: Station, kind: Literal["mute", "maintenance"], most_ms: int, rank: int
) -> Done:
    length_ms = round(said.for_s * 1000)
    if not 0 < length_ms <= most_ms:
        raise _span(said.for_s, most_ms, kind)
    key = (kind, station.tenant, station.id)
    until_ms, before = act.now_ms + length_ms, act.work.suspended(*key)
    since_ms = before.since_ms if before else act.now_ms
    x = Suspension(kind, station.tenant, station.id, since_ms, until_ms, act.by, said.note, rank)
    act.work.suspensions[key] = x
    if kind == "maintenance":
        act.work.alerts.telling.under_work(x, ended=False)
    body = {"kind": kind, "action": "prolong" if before else "begin", "until_ms": until_ms, "note": said.note}
    act.note(journal.Kind.SUSPENDED, None, station.tenant, station.id, **body)
    return {"station": station.id, "kind": kind, "until_ms": until_ms, "already": before is not None}


def _span(for_s: float, most_ms: int, kind: str) -> Refused:
    hours, most = for_s / 3600, most_ms // HOUR_MS
    why = f"{hours:g} h is not between 0 and {most} h, the longest {kind}"
    return Refused(ActCode.BAD_SPAN, why, hours=hours, most=most, kind=kind)


def unmute(act: Act) -> Done:
    return _unsuspend(act, "mute")


def end_maintenance(act: Act) -> Done:
    return _unsuspend(act, "maintenance")


def _unsuspend(act: Act, kind: str) -> Done:
    said: End = act.said(End)
    station = act.station(said.station, said.tenant)
    found = act.work.suspended(kind, station.tenant, station.id)
    if found is not None:
        act.work.alerts.telling.end(found, act.by, said.note or "asked")
    return {"station": station.id, "kind": kind, "already": found is None}


# --- drills ------------------------------------------------------------------------------------------------------


def begin_drill(act: Act) -> Done:
    """An exercise: the real call plan is walked, marked everywhere, beside whatever is real."""
    said: Drill = act.said(Drill)
    station = act.station(said.station, said.tenant)
    if not 2 <= said.rank <= 5:
        why = f"rank {said.rank} calls nobody. A drill is of rank 2 to 5"
        raise Refused(ActCode.BAD_RANK, why, rank=said.rank)
    if not 0 < said.for_s * 1000 <= DRILL_MS:
        raise _span(said.for_s, DRILL_MS, "drill")
    name = f"drill.{channelstate.episode_id(station.id, act.now_ms)}"
    course = episodes.Course(ends_ms=act.now_ms + round(said.for_s * 1000))
    e = Episode(station.tenant, station.id, name, act.now_ms, said.rank, kind="drill", course=course)
    going = act.work.episode(e.slot)
    if going is not None:
        return {"episode": going.id, "station": going.station, "already": True}
    channel = station.having(said.rank, act.now_ms)
    marks = channel.in_force(act.now_ms) if channel else ()
    value = next((t.value for t in marks if t.rank == said.rank), None)
    t = act.transition(e, Change.RISE, 0, said.rank, rings=True, value=value)
    e = act.tell(replace(t, channel=channel.name if channel else ""), e)
    if said.every:
        act.put(act.work.alerts.telling.call_everybody(e))
    level = act.work.rules.registry.level(station, channel, said.rank)
    body = {"action": "begin", "rank": said.rank, "name": {"ja": level.ja, "en": level.en}, "note": said.note}
    act.note(journal.Kind.DRILL, e, e.tenant, e.station, **body)
    return {"episode": e.id, "station": e.station, "already": False, "ends_ms": course.ends_ms}


def end_drill(act: Act) -> Done:
    said: End = act.said(End)
    station = act.station(said.station, said.tenant)
    going = act.work.episode((station.tenant, f"drill:{station.id}"))
    if going is None:
        return {"episode": "", "station": station.id, "already": True}
    return _end_drill(act, going)


def _end_drill(act: Act, e: Episode) -> Done:
    act.work.alerts.telling.end_drill(e, act.by)
    return {"episode": e.id, "station": e.station, "already": False}


# --- does the call reach anybody? --------------------------------------------------------------------------------


def test(act: Act) -> Done:
    """A message to everybody who may ever be called, marked as a test; who answers is asked by its name."""
    said: Test = act.said(Test)
    bridge = act.work.rules.bridge
    known = {r.name: r for r in bridge.recipients}
    for name in said.recipients:
        if name not in known:
            why = f"there is no recipient '{name}' in bridge.yaml or people.yaml"
            raise Refused(ActCode.NO_RECIPIENT, why, name=name)
    if not known:
        raise Refused(ActCode.NOBODY_TOLD, "nobody is configured to be told: bridge.yaml names no recipients")
    name = testwords.name(act.now_ms)
    for recipient in said.recipients or known:
        key = f"test/{name}/{recipient}"
        to = {"to": known[recipient].to} if known[recipient].to else {}
        body = json.dumps({"key": key, **to, **testwords.body(name, recipient, act.now_ms)}, ensure_ascii=False)
        act.work.owed.append(
            Owed(key, known[recipient].via or known[recipient].medium, recipient, body, act.now_ms, True)
        )
        act.work.tests.append(Asked(name, recipient))
    act.note(journal.Kind.DRILL, None, "", "", action="test", test=name, recipients=len(said.recipients or known))
    return {"test": name, "recipients": list(said.recipients or known)}


def _answer(act: Act, said: Acknowledge) -> Done:
    known = {r.name for r in act.work.rules.bridge.recipients}
    if said.recipient not in known:
        why = f"which recipient answers? '{said.recipient}' is none. Name one with --recipient"
        raise Refused(ActCode.NO_RECIPIENT, why, name=said.recipient)
    act.work.answers.append(Answer(said.test, said.recipient, act.by))
    body = {"action": "answered", "test": said.test, "recipient": said.recipient}
    act.note(journal.Kind.DRILL, None, "", "", **body)
    return {"test": said.test, "recipient": said.recipient, "by": act.by}


KINDS: dict[str, Callable[[Act], Done]] = {
    "alert.acknowledge": acknowledge,
    "alert.confirm": confirm,
    "alert.reject": reject,
    "alert.close": close,
    "alert.mute": mute,
    "alert.unmute": unmute,
    "alert.test": test,
    "maintenance.begin": maintain,
    "maintenance.end": end_maintenance,
    "drill.begin": begin_drill,
    "drill.end": end_drill,
}
