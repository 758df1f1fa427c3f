"""What every part of the page and the interface is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import BoundedSemaphore
from typing import Protocol
from urllib.parse import quote

from fastapi import Request

from gateway import settings, websettings
from gateway.clock import Clock
from gateway.pastrows import Past
from gateway.stations import Registry
from gateway.web.boards import Boards
from gateway.web.who import Who

WAITING = 10  # acts that wait for the bridge's answer at once, so that looks do not wait for these


class Accounts(Protocol):
    """Who is who: `accounts.Accounts`, or a stand-in where nobody has an account."""

    def session(self, text: str) -> Who | None: ...
    def token(self, text: str) -> Who | None: ...
    def whose(self, text: str) -> str: ...
    def allow(self, key: str, cost: float = 1.0) -> float: ...
    def note(self, who: Who, address: str, what: str, subject: str, outcome: str) -> None: ...
    def note_all(self, who: Who, address: str, rows: Sequence[tuple[str, str, str]]) -> None: ...
    def refuse(self, who: Who, address: str, what: str, code: str) -> None: ...
    def close(self) -> None: ...


class Nobody:
    """There are no accounts."""

    def session(self, text: str) -> Who | None:
        return None

    def token(self, text: str) -> Who | None:
        return None

    def whose(self, text: str) -> str:
        return ""

    def allow(self, key: str, cost: float = 1.0) -> float:
        return 0.0

    def note(self, who: Who, address: str, what: str, subject: str, outcome: str) -> None:
        """Into no audit."""

    def note_all(self, who: Who, address: str, rows: Sequence[tuple[str, str, str]]) -> None:
        """Into no audit."""

    def refuse(self, who: Who, address: str, what: str, code: str) -> None:
        """Into no count."""

    def close(self) -> None:
        """Nothing is open."""


@dataclass(frozen=True)
class Site:
    """One served house: settings of the page and of its bridge, the stations, and who is who."""

    web: websettings.Web
    bridge: settings.Bridge
    registry: Registry
    folder: Path
    clock: Clock
    accounts: Accounts = field(default_factory=Nobody)
    past: Past = field(default_factory=Past)
    waits: BoundedSemaphore = field(default_factory=lambda: BoundedSemaphore(WAITING))
    edited: bool = False  # in the folder there are other stations, by which the bridge does not judge yet
    boards: Boards = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "boards", Boards(self.bridge, self.registry, self.web, self.clock, self.edited))


def base_of(site: Site, request: Request) -> str:
    """The address that this house is reached at, without a slash at its end: as whoever asks knows it."""
    host = request.headers.get("host", "") or f"{site.web.host}:{site.web.port}"
    return f"{request.url.scheme}://{quote(host, safe='[]:.-')}{site.web.path}"
