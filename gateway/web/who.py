"""Who asks, and what they may."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

Via = Literal["public", "session", "token", "loopback"]


class Role(IntEnum):
    """Each may what those before may."""

    PUBLIC = 0
    VIEWER = 1
    OPERATOR = 2
    ADMINISTRATOR = 3


@dataclass(frozen=True, slots=True)
class Who:
    """`tenants` None: all. `via` is by what they are known: `loopback` is whoever sits at the machine of a
    demonstration. `scopes` are those of a token; a person has all that the role has."""

    name: str
    role: Role
    tenants: frozenset[str] | None = None
    via: Via = "public"
    scopes: frozenset[str] = frozenset()

    def sees(self, tenant: str) -> bool:
        return self.tenants is None or tenant in self.tenants

    @property
    def staff(self) -> bool:
        return self.role >= Role.VIEWER


PUBLIC = Who("", Role.PUBLIC)
