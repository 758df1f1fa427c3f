"""The journal in the store: written in the transaction of what it tells, each row bound to the one before."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace

from gateway import journal
from gateway.bridge import inforce
from gateway.bridge.notify import ALERT_TOPIC
from gateway.bridge.work import Place, Work
from gateway.journal import Entry, Kind, Row
from gateway.model import Change, Transition

_LAST = "SELECT id, hash FROM journal ORDER BY id DESC LIMIT 1"
_INSERT = "INSERT INTO journal VALUES (?,?,?,?,?,?,?,?,?,?)"
_IN_FORCE = """
SELECT tenant, station, body FROM journal
WHERE id IN (SELECT max(id) FROM journal WHERE kind = 'thresholds' GROUP BY tenant, station)"""

_EQUIPMENT = "SELECT tenant, station, body FROM journal WHERE kind = 'equipment'"


def write(db: sqlite3.Connection, work: Work) -> None:
    """Before the transitions themselves, because by these is known what was already told."""
    append(db, [*_told(db, work), *work.entries, *_ended(work), *_sent(db, work)], work.rules.now_ms)


def append(db: sqlite3.Connection, entries: list[Entry], recorded_ms: int) -> None:
    """Rows at the end of the chain."""
    if not entries:
        return
    number, previous = db.execute(_LAST).fetchone() or (0, journal.GENESIS)
    for e in entries:
        number += 1
        row = Row(number, e.at_ms, recorded_ms, e.kind.value, e.tenant, e.station, e.episode, e.by, e.text)
        previous = journal.link(previous, row)
        row = replace(row, hash=previous)
        db.execute(
            _INSERT,
            (row.number, row.at_ms, row.recorded_ms, row.kind, row.tenant, row.station, row.episode, row.by, row.body,
             row.hash),
        )  # fmt: skip


def _told(db: sqlite3.Connection, work: Work) -> list[Entry]:
    """The transitions of a batch, whoever made them. One that a store knows already is not told a second time."""
    if not work.transitions:
        return []
    registry = work.rules.registry
    decided = {(o.tenant, o.station, o.channel, o.observed_ms): o for o in work.observations}
    new: dict[str, Transition] = {}
    for t in work.transitions:
        if not db.execute("SELECT 1 FROM transitions WHERE key = ?", (t.key,)).fetchone():
            new.setdefault(t.key, t)
    shared = {e.id: e for e in work.episodes.values() if e.kind == "cause"}
    return [
        journal.of_transition(
            t,
            registry.station(t.tenant, t.station),
            registry.levels,
            decided.get((t.tenant, t.station, t.channel, t.at_ms)),
            shared.get(t.episode),
            {s.id: (s.name_ja, s.name_en) for s in registry.stations.values() if s.tenant == t.tenant}
            if t.episode in shared
            else None,
        )
        for t in new.values()
    ]


def _ended(work: Work) -> list[Entry]:
    """Episodes that ended without a person."""
    by_people = {t.episode for t in work.transitions if t.change in (Change.CLOSED, Change.REJECTED)}
    now = work.rules.now_ms
    return [
        Entry(now, Kind.ENDED, e.tenant, e.station, e.id, body={"max_rank": e.max_rank, "kind": e.kind})
        for e in work.episodes.values()
        if e.closed_ms is not None and e.id not in by_people
    ]


def _sent(db: sqlite3.Connection, work: Work) -> list[Entry]:
    """What became of notifications of alerts: to whom, by which medium, after how many attempts, and why not.
    Conditions of the house and tests of the call have lists of their own; what is tried again has no outcome yet."""
    now, out = work.rules.now_ms, []
    for job in work.jobs:
        if job.state == "retry":
            continue
        row = db.execute("SELECT key, medium, recipient, body FROM outbox WHERE id = ?", (job.outbox_id,)).fetchone()
        if row is None or row[2] == ALERT_TOPIC:  # the retained topic is a state, and reaches no person
            continue
        key, medium, recipient, text = row
        about = json.loads(text)
        if not about.get("episode"):
            continue
        said = {"key": key, "medium": medium, "recipient": recipient, "outcome": job.state, "attempts": job.attempts}
        body = {**said, "rings": about.get("rings", False), "subject": about.get("subject") or {}}
        body |= {"reason": job.reason} if job.reason else {}
        body |= {"who": who} if (who := _who(work, recipient)) else {}
        body |= {"drill": True} if str(about.get("episode")).startswith("drill.") else {}
        tenant, station, episode = (str(about.get(x) or "") for x in ("tenant", "station", "episode"))
        out.append(Entry(now, Kind.NOTIFICATION, tenant, station, episode, body=body))
    return out


def _who(work: Work, recipient: str) -> str:
    """Whose address it is now: in ten years nobody knows whose number that was."""
    people = work.rules.bridge.people
    return "・".join(dict.fromkeys(m.name for m in people.members if recipient in m.recipients)) if people else ""


def in_force(db: sqlite3.Connection) -> dict[Place, str]:
    """What the journal last said of the thresholds of each station, as digests."""
    return {(tenant, station): inforce.digest(body) for tenant, station, body in db.execute(_IN_FORCE)}


def equipment(db: sqlite3.Connection) -> set[inforce.Event]:
    """What the journal has said of sensors that were calibrated or replaced."""
    return {(tenant, station, inforce.digest(body)) for tenant, station, body in db.execute(_EQUIPMENT)}
