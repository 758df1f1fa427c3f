"""Every bad input that was thought of or met, as a folder: `messages.jsonl` goes through the bridge's batch, message
by message, and what comes of it is compared with `expected.jsonl`. A bug becomes a folder named after it.

A message is `{"topic", "text" or "base64", "received_ms"}`. Expected are, after each message, its observations (what is
usual is left out), dead letters and transitions, and at the end the samples counted and each device's receipt.
"""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.bridge.work import Memory, Rules, Work
from gateway.errors import RejectCode
from gateway.model import ClockState, DeadLetter, Message, Observation, Transition
from tests.places import BRIDGE, REGISTRY

CASES = sorted(folder for folder in (Path(__file__).parent / "cases").iterdir() if folder.is_dir())
SMALL = replace(BRIDGE, max_payload=512)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def message(line: dict[str, Any]) -> Message:
    payload = line["text"].encode() if "text" in line else base64.b64decode(line["base64"])
    return Message(line["topic"], payload, line["received_ms"])


def shown(payload: bytes) -> str:
    return payload.decode("utf-8", "backslashreplace")


def of_observation(o: Observation) -> dict[str, Any]:
    out: dict[str, Any] = {
        "observation": f"{o.station}/{o.channel}", "log": o.log, "seq": o.seq, "at_ms": o.observed_ms,
        "value": o.value, "flag": int(o.flag),
    }  # fmt: skip
    out |= {"record": o.record} if o.record else {}
    out |= {"raw": o.raw} if o.raw != o.value else {}
    out |= {"tests": list(o.tests)} if o.tests else {}
    out |= {"fault": o.fault.value} if o.fault else {}
    return out | ({"clk": o.clk.value} if o.clk is not ClockState.SYNCED else {})


def of_letter(x: DeadLetter) -> dict[str, Any]:
    whose = {"log": x.log, "seq": x.seq, "record": x.record} if x.seq is not None else {}
    return {"letter": x.code.value, "device": f"{x.tenant}/{x.device}", **whose, "payload": shown(x.payload)}


def of_transition(t: Transition) -> dict[str, Any]:
    return {"transition": f"{t.station}/{t.channel}", "change": t.change.value, "from": t.from_rank, "to": t.to_rank,
            "confirmed": t.confirmed, "at_ms": t.at_ms}  # fmt: skip


def outcome(messages: list[Message]) -> Iterator[dict[str, Any]]:
    """What the bridge makes of the messages, one batch each."""
    memory, counts = Memory("s1"), Counter[str]()
    for m in messages:
        work = Work(memory, Rules(REGISTRY, SMALL, m.received_ms, m.received_ms + 300_000, None))
        work.take(m)
        yield from map(of_observation, work.observations)
        yield from map(of_letter, work.letters)
        yield from map(of_transition, work.transitions)
        counts += work.counts
        work.swap_in()
    yield {"samples": dict(sorted(counts.items()))}
    for device, ledger in sorted(memory.ledgers.items()):
        receipt = ledger.receipt(memory.store)
        if receipt is not None:
            yield {"device": "/".join(device), "receipt": json.loads(msgspec.json.encode(receipt))}


@pytest.mark.parametrize("folder", CASES, ids=lambda folder: folder.name)
def test_case(folder: Path) -> None:
    """The bridge makes of the folder's messages what the folder expects, and takes the next message after each."""
    got = list(outcome([message(line) for line in lines(folder / "messages.jsonl")]))
    assert got == lines(folder / "expected.jsonl"), "\n".join(json.dumps(line, ensure_ascii=False) for line in got)


def test_every_reject_of_a_message_has_a_case() -> None:
    """Each code that content alone can earn is shown by some folder."""
    shown_by = {line["letter"] for folder in CASES for line in lines(folder / "expected.jsonl") if "letter" in line}
    of_the_database = {RejectCode.UNSTORABLE, RejectCode.TIME_TAKEN, RejectCode.UNWRITABLE}
    of_others = {RejectCode.BAD_UPLINK}  # shown with the sources (`test_sources`)
    assert shown_by == set(RejectCode) - of_the_database - of_others
