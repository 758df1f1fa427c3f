"""Accounts for the tests: a clock that a test turns, and a hash that takes no time."""

from __future__ import annotations

from pathlib import Path

from argon2 import PasswordHasher

from gateway.clock import SystemClock
from gateway.model import ClockState
from gateway.web.accountrows import By
from gateway.web.accounts import Accounts, Session
from gateway.web.passwords import Passwords
from gateway.web.who import Role

NOW = 1_764_000_000_000
PASSWORD = "ame ga furu yoru ni"
HERE = "192.0.2.7"
BY = By("root", "cli")


class Turned(SystemClock):
    def __init__(self) -> None:
        super().__init__()
        self.at_ms, self.up_ms, self.state = NOW, 1_000_000, ClockState.SYNCED

    def now_ms(self) -> int:
        return self.at_ms

    def uptime_ms(self) -> int:
        return self.up_ms

    def sync_state(self) -> ClockState:
        return self.state

    def passes(self, seconds: float) -> None:
        self.at_ms += round(seconds * 1000)
        self.up_ms += round(seconds * 1000)


def quick() -> Passwords:
    return Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


def accounts(folder: Path, clock: Turned | None = None) -> Accounts:
    """One account a role, all with the same password, and one that sees a tenant."""
    found = Accounts(folder / "web.db", clock or Turned(), quick())
    if not found.members.list():
        for role in (Role.VIEWER, Role.OPERATOR, Role.ADMINISTRATOR):
            found.members.make(role.name.lower(), role, BY, PASSWORD)
        found.members.make("elsewhere", Role.ADMINISTRATOR, BY, PASSWORD, ["elsewhere"])
    return found


def signed_in(to: Accounts, name: str = "operator", address: str = HERE) -> str:
    found = to.login(name, PASSWORD, address)
    assert isinstance(found, Session), found
    return found.text
