"""devices.jsonl: which devices were enrolled, revoked and replaced, when, by whom and why. A line for each act:

    {"at":"2026-11-23T04:12:09Z","event":"replaced","tenant":"takamatsu","device":"kasuga-01","by":"sato",
     "why":"card broken","stations":["kasuga-bridge"],"bundle":"5f0c…"}

Lines are only added, in order. No secret stands in it; `bundle` tells which bundle was made last, and so is in force.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

import msgspec

from gateway.errors import ConfigError, Problem

DEVICES = "devices.jsonl"
Key = tuple[str, str]  # tenant, device


class Act(StrEnum):
    """What was done with a device's right to connect."""

    ADDED = "added"
    REVOKED = "revoked"
    REPLACED = "replaced"


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One line. `at`: UTC, ISO 8601."""

    at: str
    event: Act
    tenant: str
    device: str
    by: str
    why: str = ""
    stations: list[str] = []
    bundle: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """How a device stands: its last event, when it was first enrolled, how often its place was taken by another."""

    last: Event
    first: str
    replaced: int = 0

    @property
    def state(self) -> str:
        """`enrolled` or `revoked`."""
        return "revoked" if self.last.event is Act.REVOKED else "enrolled"


def stamp(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read(data: bytes) -> list[Event]:
    """Every event in order. Raises ConfigError with every line that is none: what cannot be read is not guessed."""
    events, problems = [], []
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            event = msgspec.json.decode(line, type=Event)
            datetime.strptime(event.at, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
            events.append(event)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as e:
            message = f"is no record of a device ({str(e)[:120]}). Restore the line from a backup, or take it out"
            problems.append(Problem(DEVICES, number, 1, "", message))
    if problems:
        raise ConfigError(problems)
    return events


def line(event: Event) -> bytes:
    return msgspec.json.encode(event) + b"\n"


def records(events: Iterable[Event]) -> dict[Key, Record]:
    """How each device stands, in the order of their first events."""
    found: dict[Key, Record] = {}
    for event in events:
        key = (event.tenant, event.device)
        former = found.get(key)
        replaced = (former.replaced if former else 0) + (event.event is Act.REPLACED)
        found[key] = Record(event, former.first if former else event.at, replaced)
    return found
