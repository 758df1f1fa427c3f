"""A served house for Schemathesis: a bridge that answers requests in a thread, accounts of every role, and the OpenAPI
document with every object closed, so that a key that it does not name is told."""

from __future__ import annotations

import threading
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import schemathesis
from fastapi import FastAPI

from gateway import config
from gateway.bridge.requests import Requests
from gateway.storefile import rows
from gateway.web import app
from gateway.web.accounts import Accounts
from gateway.web.asking import COOKIE
from gateway.web.site import Site
from tests import webaccounts
from tests.test_cli_journal import MINUTE, STATION, T0, House
from tests.webaccounts import signed_in
from tests.website import Stopped, add_web

WEB = (
    "public: true\nlinks:\n  kasuga-bridge: [{ja: 川の防災情報, en: River information, url: 'https://example.org/'}]\n"
)


class Freely(Accounts):
    """As many requests as one likes."""

    def allow(self, key: str, cost: float = 1.0) -> float:
        return 0.0


def risen(house: House) -> None:
    """A river that rises to its danger level within two hours."""
    for n in range(13):
        house.reads(10.0 * n, 1.0 + n / 6)


class Bridge(threading.Thread):
    """Owns the store and applies what the page asks for, after the readings of a story; once so many wait."""

    def __init__(self, folder: Path, story: Callable[[House], None] = risen, least: int = 1) -> None:
        super().__init__(name="bridge", daemon=True)
        self._folder, self._story, self._least = folder, story, least
        self._begun, self._over = threading.Event(), threading.Event()
        self._well = False
        self.start()
        assert self._begun.wait(60)

    def run(self) -> None:
        try:
            with House(self._folder) as house:
                self._story(house)
                assert house.memory is not None
                self._begun.set()
                while not self._over.wait(0.005):
                    ((waiting,),) = rows(house.bridge.store, "SELECT count(*) FROM requests WHERE state = 'asked'")
                    if waiting < self._least:
                        continue
                    Requests(house.bridge.store).serve(house.memory, lambda: house.work(121).rules, house.write)
            self._well = True
        finally:
            self._begun.set()

    def stop(self) -> None:
        self._over.set()
        self.join(30)
        assert self._well


class Served:
    """`operations` are those of the document but the endless one."""

    def __init__(self, folder: Path) -> None:
        add_web(folder, WEB)
        self.bridge = Bridge(folder)
        plain = webaccounts.accounts(folder)
        plain.close()
        self._clock = webaccounts.Turned()
        self.accounts = Freely(folder / "web.db", self._clock, webaccounts.quick())
        web, bridge, registry = config.load_web(folder)
        site = Site(web, bridge, registry, folder, Stopped(T0 + 121 * MINUTE), self.accounts)
        self.app: FastAPI = app.create(site)
        self.schema = schemathesis.openapi.from_dict(closed(self.app.openapi()))
        self.schema.app = self.app
        self.schema.config.base_url = "http://testserver"
        found = [x.ok() for x in self.schema.get_all_operations()]
        self.operations = [x for x in found if not x.path.endswith("/events")]
        (open_,) = site.boards.board().episodes
        self.known = {"tenant": "takamatsu", "station": STATION, "channel": "water_level", "episode": open_.id}

    def headers(self, name: str) -> dict[str, str]:
        """Of a browser that is signed in as that account; of nobody without one."""
        self._clock.passes(1)
        said = {"X-Suimon": "1"}
        return said | {"Cookie": f"{COOKIE}={signed_in(self.accounts, name)}"} if name else said

    def close(self) -> None:
        self.bridge.stop()
        self.accounts.close()


def closed(document: dict[str, Any]) -> dict[str, Any]:
    """A copy whose objects have the keys that they name and no others."""

    def close(x: Any) -> None:
        if isinstance(x, dict):
            if "properties" in x:
                x.setdefault("additionalProperties", False)
            if "allOf" in x:  # each part would refuse the keys of the others
                return
            for inner in x.values():
                close(inner)
        elif isinstance(x, list):
            for inner in x:
                close(inner)

    found = deepcopy(document)
    close({name: s for name, s in found["components"]["schemas"].items() if name not in ("Act", "Fate")})
    for methods in found["paths"].values():
        for operation in methods.values():
            for status in ("200", "207"):
                close(operation["responses"].get(status, {}))
    return found
