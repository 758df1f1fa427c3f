"""A message that the database refuses alone."""

from __future__ import annotations

from collections.abc import Iterable

from gateway import pipeline, wire
from gateway.bridge.work import Memory, Rules, Work
from gateway.errors import RejectCode
from gateway.model import Message


def unstorable(messages: Iterable[Message], memory: Memory, rules: Rules) -> Work:
    """The work for a message that the database refuses alone: dead letters, and its samples settled as rejected."""
    work = Work(memory, rules)
    for message in messages:
        address = wire.parse_topic(message.topic)
        tenant, device = address[:2] if address else ("", "")
        work.letters.append(pipeline.letter(message, tenant, device, RejectCode.UNSTORABLE, "refused by the database"))
        if address and address[2] in ("data", "backlog") and rules.registry.knows_device(tenant, device):
            ledger = work.ledger((tenant, device))
            for sample in wire.decode_pack(message.payload).samples:
                new = not ledger.arrived(sample.log, sample.seq)
                if new:
                    ledger.reject(sample.log, sample.seq, RejectCode.UNSTORABLE)
                work.counts["received"] += 1
                work.counts["rejected" if new else "duplicate"] += 1
            work.due[(tenant, device)] = True
    return work
