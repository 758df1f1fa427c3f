"""The nouns of web.db."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from gateway.web.who import Role, Who

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
NAME = re.compile(r"\w(?:[\w.\- ]{0,62}\w)?")  # without '@', which stands in the names of a provider

Scope = Literal["read", "act", "admin"]
MAY: dict[str, Role] = {"read": Role.VIEWER, "act": Role.OPERATOR, "admin": Role.ADMINISTRATOR}
EVERYTHING = frozenset(MAY)


class Declined(Exception):
    """What was asked cannot be; the sentence says why and holds no secret. `remedy`: what one types on the machine."""

    def __init__(self, sentence: str, remedy: str = "") -> None:
        super().__init__(sentence)
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class By:
    """Who does something, for the audit."""

    name: str
    via: str
    address: str = ""

    @staticmethod
    def who(who: Who, address: str) -> By:
        return By(who.name, who.via, address)


@dataclass(frozen=True, slots=True)
class Account:
    """`machine`: it has no password and cannot sign in; its tokens work. `tenants` None: all."""

    name: str
    display: str
    role: Role
    tenants: frozenset[str] | None
    disabled: bool
    machine: bool
    made_ms: int
    changed_ms: int


@dataclass(frozen=True, slots=True)
class Token:
    """What is kept of one: not the secret. `name` is the account that it acts for."""

    id: str
    name: str
    label: str
    scope: Scope
    tenants: frozenset[str] | None
    made_ms: int
    expires_ms: int
    used_ms: int | None
    revoked_ms: int | None


@dataclass(frozen=True, slots=True)
class Noted:
    """A row of the audit."""

    id: int
    at_ms: int
    who: str
    via: str
    address: str
    what: str
    subject: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """What somebody was refused, so many times within an hour. `what` is the first; without address and reason for
    others it is of all who are not told apart."""

    id: int
    first_ms: int
    last_ms: int
    address: str
    via: str
    who: str
    what: str
    code: str
    count: int


def spelled(name: str) -> str:
    """As names are kept: a phone that begins with a capital, or a full-width letter, is no other person."""
    return unicodedata.normalize("NFKC", name[:200]).strip().casefold()


def hash_of(secret: str) -> bytes:
    """Of 256 random bits; a password needs more (`passwords.py`)."""
    return hashlib.sha256(secret.encode()).digest()


def written(tenants: Collection[str] | None) -> str | None:
    return None if tenants is None else json.dumps(sorted(tenants))


def read(tenants: str | None) -> frozenset[str] | None:
    return None if tenants is None else frozenset(json.loads(tenants))


def both(a: frozenset[str] | None, b: frozenset[str] | None) -> frozenset[str] | None:
    return b if a is None else a if b is None else a & b


def said(tenants: Collection[str] | None) -> str:
    return "all tenants" if tenants is None else ", ".join(sorted(tenants)) or "no tenant"


def one_line(text: str, most: int = 100) -> str:
    """What every terminal and every file takes."""
    short = text if len(text) <= most else text[: most - 1] + "…"
    return "".join(x if x.isprintable() or x == "\u3000" else "\ufffd" for x in short)
