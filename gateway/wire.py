"""The wire contract, version 1: topics, SenML packs, receipts, spool statements. Nothing else knows their form."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from gateway.senml import (
    LOG,
    MAX_INTEGER,
    NAME,
    RELATIVE_TIME,
    Pack,
    Span,
    WireRecord,
    WireReject,
    WireSample,
    decode_pack,
    encode_alone,
    encode_pack,
)

__all__ = [
    "RELATIVE_TIME",
    "Pack",
    "Span",
    "WireRecord",
    "WireReject",
    "WireSample",
    "decode_pack",
    "encode_alone",
    "encode_pack",
]

ROOT = "suimon/v1"
BRIDGE_STATUS = f"{ROOT}/_bridge/status"
BRIDGE_WHO = f"{ROOT}/_bridge/who"  # a newcomer asks; a bridge that is there announces itself
FROM_DEVICE = ("data", "backlog", "spool", "birth", "status", "reply")
TO_DEVICE = ("receipt", "cmd")
RECEIPT_RANGES = 64
COMMAND_ID = re.compile(r"[0-9a-zA-Z]{8,40}")
T = TypeVar("T")


def topic(tenant: str, device: str, kind: str) -> str:
    return f"{ROOT}/{tenant}/{device}/{kind}"


def alert_topic(tenant: str, station: str) -> str:
    return f"{ROOT}/{tenant}/_alerts/{station}"


def parse_topic(text: str) -> tuple[str, str, str] | None:
    """(tenant, device, kind) of a device's topic, None for any other."""
    parts = text.split("/")
    if len(parts) != 5 or parts[0] != "suimon" or parts[1] != "v1" or parts[4] not in FROM_DEVICE:
        return None
    tenant, device = parts[2], parts[3]
    return (tenant, device, parts[4]) if NAME.fullmatch(tenant) and NAME.fullmatch(device) else None


# --- receipts, spool statements, presence -----------------------------------------------------------------------


class ReceiptLog(msgspec.Struct, frozen=True):
    log: str
    through: int
    settled: list[tuple[int, int]] = []
    rejected: list[tuple[int, int, str]] = []


class Receipt(msgspec.Struct, frozen=True):
    """The bridge's word, per device and log, of what is settled."""

    store: str
    opening: str
    logs: list[ReceiptLog]


class StatementLog(msgspec.Struct, frozen=True):
    log: str
    oldest: int
    next: int
    gone: list[tuple[int, int, str]] = []


class Statement(msgspec.Struct, frozen=True):
    """What the device still holds, per log, and the present opening. `notices`: codes of what lasts there and concerns
    staff; `used`: the share of the spool that unsettled samples fill; `hours`: how long it can still be offline."""

    opening: str
    logs: list[StatementLog]
    notices: list[str] = []
    used: float | None = None
    hours: float | None = None


class BridgeStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    """The bridge's presence. `instance` names this run of it, `term` its place: of two that meet the higher one stays.
    `backlog` is "paused" while devices are to keep theirs."""

    state: str
    store: str
    instance: str = ""
    term: int = 0
    backlog: str = ""


class DeviceStatus(msgspec.Struct, frozen=True):
    state: str
    boot: str
    since_ms: int
    reason: str = ""


class Command(msgspec.Struct, frozen=True):
    """On `cmd`, never retained: what a device is to do, once, before `expires_ms`. `id` stays when it is repeated."""

    id: str
    command: str
    expires_ms: int
    args: dict[str, Any] = {}


class CommandReply(msgspec.Struct, frozen=True, omit_defaults=True):
    """On `reply`: `accepted` (under way), `refused` with a `CommandCode`, or `done`."""

    id: str
    state: str
    code: str = ""
    detail: str = ""
    data: dict[str, Any] = {}


encode = msgspec.json.encode
_decode_command = msgspec.json.Decoder(Command).decode
_decode_reply = msgspec.json.Decoder(CommandReply).decode
_decode_receipt = msgspec.json.Decoder(Receipt).decode
decode_bridge_status = msgspec.json.Decoder(BridgeStatus).decode
_decode_statement = msgspec.json.Decoder(Statement).decode


def _read(decode: Callable[[bytes], T], payload: bytes) -> T:
    try:
        return decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
        raise ValueError(str(e)[:200]) from None


def decode_receipt(payload: bytes) -> Receipt:
    """Raises ValueError where it is not a receipt or its numbers cannot be."""
    receipt = _read(_decode_receipt, payload)
    for entry in receipt.logs:
        if not 0 <= entry.through < MAX_INTEGER or any(not 1 <= a <= b < MAX_INTEGER for a, b in entry.settled):
            raise ValueError(f"log {entry.log[:64]!r}: settled numbers that cannot be")
    return receipt


def decode_statement(payload: bytes) -> Statement:
    """Raises ValueError where it is not a statement or its numbers cannot be."""
    statement = _read(_decode_statement, payload)
    if not LOG.fullmatch(statement.opening) or not any(e.log == statement.opening for e in statement.logs):
        raise ValueError("the opening's own log is not listed")
    for entry in statement.logs:
        if not LOG.fullmatch(entry.log) or not 1 <= entry.oldest <= entry.next < MAX_INTEGER:
            raise ValueError(f"log {entry.log[:64]!r}: oldest {entry.oldest}, next {entry.next}")
        if any(not 1 <= a <= b < MAX_INTEGER for a, b, _ in entry.gone):
            raise ValueError(f"log {entry.log[:64]!r}: a range of gone numbers cannot be")
    return statement


def decode_command(payload: bytes) -> Command:
    """Raises ValueError where it is none."""
    command = _read(_decode_command, payload)
    if not COMMAND_ID.fullmatch(command.id):
        raise ValueError("the id is not 8 to 40 letters and digits")
    return command


def decode_reply(payload: bytes) -> CommandReply:
    """Raises ValueError where it is none."""
    reply = _read(_decode_reply, payload)
    if reply.state not in ("accepted", "refused", "done"):
        raise ValueError(f"unknown state {reply.state[:20]!r}")
    return reply


def decode_json(payload: bytes) -> Any:
    """Any JSON document, for what is kept as it came. Raises ValueError."""
    return _read(msgspec.json.decode, payload)
