"""CAP documents in the store: made in the transaction of what they tell, from the chain that stands there."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import replace

import msgspec

from gateway import cap
from gateway.bridge import capping
from gateway.bridge.capping import Chain, Due, Open
from gateway.bridge.work import Work
from gateway.cap import Message, Reference

ORDER = "/order"
_CHAIN = "SELECT sender, identifier, sent_ms FROM cap WHERE tenant = ? AND chain = ? ORDER BY id DESC LIMIT ?"
_NEWEST = "SELECT station, episode, message FROM cap WHERE tenant = ? AND chain = ? ORDER BY id DESC LIMIT 1"
_INSERT = """INSERT INTO cap
 (identifier, sender, sent_ms, expires_ms, tenant, station, episode, chain, status, msg_type, scope, headline,
  ends, message, document) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"""
_OPEN = """SELECT tenant, chain, episode, expires_ms FROM cap
WHERE id IN (SELECT max(id) FROM cap GROUP BY tenant, chain) AND NOT ends"""
_OLD = "DELETE FROM cap WHERE id IN (SELECT id FROM cap WHERE sent_ms < ? ORDER BY sent_ms LIMIT 100)"


def write(db: sqlite3.Connection, work: Work) -> None:
    """Before the transitions themselves, by which is known what was already told."""
    to = work.rules.bridge.cap
    if to is None:
        return
    for due in capping.due(work, to):
        _insert(db, work, due)
    for chain in work.cap.renewals:
        _follow(db, work, chain, capping.renewed)
    for chain in capping.abandoned(work):
        _follow(db, work, chain, capping.unwatched, ends=True)
    if work.cap.chains:
        db.execute(_OLD, (work.rules.now_ms - round(work.rules.bridge.store_keep_s * 1000),))


def _insert(db: sqlite3.Connection, work: Work, due: Due) -> None:
    m, (tenant, chain) = due.message, due.chain
    if db.execute("SELECT 1 FROM cap WHERE identifier = ?", (m.identifier,)).fetchone():
        return
    before = [Reference(*row) for row in db.execute(_CHAIN, (*due.chain, cap.REFERENCES))]
    if m.msg_type == "Alert" and before:
        m = replace(m, msg_type="Update")
    if m.msg_type != "Alert" and not before:  # a chain so old that its documents are gone
        m = replace(m, msg_type="Alert")
    document = cap.render(m, tuple(reversed(before)))
    db.execute(
        _INSERT,
        (m.identifier, m.sender, m.sent_ms, m.expires_ms, tenant, due.station, due.episode, chain, m.status,
         m.msg_type, m.scope, cap.marked(m.headline, m.status == "Exercise"), due.ends,
         msgspec.json.encode(m).decode(), document),
    )  # fmt: skip
    work.cap.chains[due.chain] = None if due.ends else Open(m.expires_ms, due.episode, chain.endswith(ORDER))


def _follow(
    db: sqlite3.Connection, work: Work, chain: Chain, made: Callable[[Message, int], Message], *, ends: bool = False
) -> None:
    """The next of a chain, made from its newest."""
    found = db.execute(_NEWEST, chain).fetchone()
    if found is not None:
        station, episode, text = found
        following = made(msgspec.json.decode(text, type=Message), work.rules.now_ms)
        _insert(db, work, Due(chain, station, episode, following, ends))


def open_chains(db: sqlite3.Connection) -> dict[Chain, Open]:
    rows = db.execute(_OPEN)
    return {(t, chain): Open(expires, episode, chain.endswith(ORDER)) for t, chain, episode, expires in rows}
