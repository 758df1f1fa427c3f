"""The page's own server: uvicorn on a socket that we bound, so that a taken port is told as a sentence."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import functools
import logging
import socket
from pathlib import Path

import uvicorn

from gateway import settings, websettings
from gateway.clock import Clock, SystemClock
from gateway.errors import Unavailable
from gateway.pastfile import NAME, PastFile
from gateway.pastrows import Past
from gateway.stations import Registry
from gateway.web import app
from gateway.web.accounts import Accounts
from gateway.web.ahead import Ahead
from gateway.web.events import Watcher
from gateway.web.following import Follower, Load
from gateway.web.patience import PATIENCE_S, Patient
from gateway.web.site import Site

CONNECTIONS = 1000
LAST_S = 1.0  # for what is under way when the page ends


def site_of(
    web: websettings.Web, bridge: settings.Bridge, registry: Registry, folder: Path, clock: Clock | None = None
) -> Site:
    """Raises Unavailable where the file of the accounts cannot be used."""
    clock = clock or SystemClock()
    accounts = Accounts(web.accounts, clock)
    accounts.only_of(web.oidc.issuer if web.oidc else "")
    past = Past(file=PastFile(web.accounts.with_name(NAME)))
    return Site(web, bridge, registry, folder, clock, accounts, past)


class Server:
    """Bound by `bind`, served by `run` until `stop`."""

    def __init__(
        self,
        site: Site,
        port: int | None = None,
        load: Load | None = None,
        connections: int = CONNECTIONS,
        patience_s: float = PATIENCE_S,
    ) -> None:
        """`load` reads the folder again where it has changed; None: never."""
        self._site = site
        self._app = app.create(site)
        self._follower = Follower(site, load, self._swap) if load is not None else None
        self._ahead = Ahead(site.past, site.bridge.store, site.clock)
        self._host, self._port = site.web.host, site.web.port if port is None else port
        self._socket: socket.socket | None = None
        config = uvicorn.Config(
            self._app,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,  # `app.Edge` believes whom web.yaml names
            h11_max_incomplete_event_size=app.MAX_HEADERS,
            http=functools.partial(Patient, patience_s=patience_s),  # type: ignore[arg-type] # makes the protocol
            ws="none",
            lifespan="off",
            limit_concurrency=connections,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=2,
        )
        self._server = _Quiet(config, self._app.state.watcher)

    def bind(self) -> None:
        """Raises Unavailable."""
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        bound = socket.socket(family, socket.SOCK_STREAM)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind((self._host, self._port))
        except OSError as e:
            bound.close()
            why = "another process has it" if e.errno == errno.EADDRINUSE else (e.strerror or "").lower()
            raise Unavailable(f"cannot serve the page at {self._host}:{self._port}: {why}") from e
        self._socket = bound

    @property
    def port(self) -> int:
        assert self._socket is not None
        return int(self._socket.getsockname()[1])

    @property
    def address(self) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self.port}{self._site.web.path}/"

    def run(self) -> None:
        assert self._socket is not None
        _spare_memory()
        if self._follower is not None:
            self._follower.start()
        self._ahead.start()
        self._server.run(sockets=[self._socket])
        if self._follower is not None:
            self._follower.stop()
        self._ahead.stop()
        self._site.past.close()
        self._site.accounts.close()
        logging.info("the page has stopped")

    def _swap(self, site: Site) -> None:
        if isinstance(site.accounts, Accounts):
            site.accounts.only_of(site.web.oidc.issuer if site.web.oidc else "")
        self._app.state.watcher.boards = site.boards
        self._app.state.site = site

    def stop(self) -> None:
        self._server.should_exit = True


_MMAP_THRESHOLD, _ARENA_MAX = -3, -8  # malloc.h


def _spare_memory() -> None:
    """Boards come and go, half a megabyte each, in many threads: glibc would keep some of that for every one of them
    (110 MB with 50 listeners instead of 94). Other C libraries have no such call."""
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_ARENA_MAX, 2)
        mallopt(_MMAP_THRESHOLD, 131_072)


class _Quiet(uvicorn.Server):
    """Signals are the command line's affair; event streams end with a word, and by force where nobody reads it."""

    def __init__(self, config: uvicorn.Config, watcher: Watcher) -> None:
        super().__init__(config)
        self._watcher = watcher

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._watcher.end()
        cut = asyncio.get_running_loop().call_later(LAST_S, self._cut)
        try:
            await super().shutdown(sockets)
        finally:
            cut.cancel()

    def _cut(self) -> None:
        """Whoever does not read what was begun for them: their part would wait until it is cancelled."""
        for connection in list(self.server_state.connections):
            if isinstance(connection, Patient) and connection.flow.write_paused:
                connection.transport.abort()

    def install_signal_handlers(self) -> None:
        return

    def capture_signals(self):  # type: ignore[no-untyped-def]
        return contextlib.nullcontext()
