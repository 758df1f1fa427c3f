"""A served house for the tests of the page: a real store, a clock that we set, and whoever asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from gateway import config
from gateway.clock import SystemClock
from gateway.web import app
from gateway.web.site import Site
from gateway.web.who import Role, Who
from tests.test_cli_journal import T0, House

OPERATOR = Who("田中", Role.OPERATOR, None, "token", frozenset({"read", "act"}))
VIEWER = Who("viewer", Role.VIEWER, None, "token", frozenset({"read"}))
FOREIGN = Who("other", Role.ADMINISTRATOR, frozenset({"elsewhere"}), "token", frozenset({"read", "act", "admin"}))


class Stopped(SystemClock):
    """The wall clock stands where a test sets it."""

    def __init__(self, at_ms: int) -> None:
        super().__init__()
        self.at_ms = at_ms

    def now_ms(self) -> int:
        return self.at_ms


class Known:
    """Tokens by name; as many requests as they like, but of `slow`."""

    def __init__(self, **tokens: Who) -> None:
        self.noted: list[tuple[str, str, str, str, str]] = []
        self.refused: list[tuple[str, str, str, str]] = []
        self.tokens = {"operator": OPERATOR, "viewer": VIEWER, "foreign": FOREIGN} | tokens

    def session(self, text: str) -> Who | None:
        return self.tokens.get(text)

    def token(self, text: str) -> Who | None:
        return self.tokens.get(text)

    def whose(self, text: str) -> str:
        return ""

    def allow(self, key: str, cost: float = 1.0) -> float:
        return 2.5 if "slow" in key else 0.0

    def note(self, who: Who, address: str, what: str, subject: str, outcome: str) -> None:
        self.noted.append((who.name, address, what, subject, outcome))

    def note_all(self, who: Who, address: str, rows: Sequence[tuple[str, str, str]]) -> None:
        for row in rows:
            self.note(who, address, *row)

    def refuse(self, who: Who, address: str, what: str, code: str) -> None:
        self.refused.append((who.name, address, what, code))

    def close(self) -> None:
        """Nothing is open."""


def site(house: House, minutes: float = 0.0, known: Known | None = None, **changes: Any) -> Site:
    web, bridge, registry = config.load_web(house.folder)
    clock = Stopped(T0 + round(minutes * 60_000))
    return Site(replace(web, **changes), bridge, registry, house.folder, clock, known or Known())


def client(of: Site, token: str = "", address: str = "testclient") -> TestClient:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return TestClient(app.create(of), headers=headers, client=(address, 50000), raise_server_exceptions=False)


def add_web(folder: Path, text: str) -> None:
    (folder / "web.yaml").write_text("version: 1\n" + text)
