"""The page follows the configuration folder: what changes there and is right is shown from the next look on. What is
wrong changes nothing and is said once. Address, sub-path, store and accounts are fixed while it runs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from gateway import settings
from gateway.errors import ConfigError
from gateway.stations import Registry
from gateway.web.site import Site

log = logging.getLogger(__name__)
LOOK_S = 5.0
READ = ("*.yaml", "*.csv", "*.geojson", "device_profiles/*.yaml", "tides/*")
Load = Callable[[Path], tuple[settings.Web, settings.Bridge, Registry]]


def state_of(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """Names, times and sizes of what a configuration is made of."""
    found = []
    for pattern in READ:
        for path in folder.glob(pattern):
            try:
                facts = path.stat()
            except OSError:
                continue
            found.append((str(path), facts.st_mtime_ns, facts.st_size))
    return tuple(sorted(found))


class Follower:
    """`swap` is handed the new site."""

    def __init__(self, site: Site, load: Load, swap: Callable[[Site], None]) -> None:
        self._site, self._load, self._swap = site, load, swap
        self._known = state_of(site.folder)
        self._stop = threading.Event()

    def start(self) -> None:
        threading.Thread(target=self._run, name="configuration", daemon=True).start()

    def stop(self) -> None:
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.wait(LOOK_S):
            self.look()

    def look(self) -> bool:
        """Whether another configuration is shown from now on."""
        state = state_of(self._site.folder)
        if state == self._known:
            return False
        self._known = state
        try:
            web, bridge, registry = self._load(self._site.folder)
        except ConfigError as e:
            log.warning("the configuration has changed and is not taken over: %s", e)
            return False
        was = self._site
        web = replace(web, loopback_operator=was.web.loopback_operator)
        fixed = [
            name
            for name, a, b in (
                ("listen", (web.host, web.port), (was.web.host, was.web.port)),
                ("path", web.path, was.web.path),
                ("proxies", web.proxies, was.web.proxies),
                ("accounts", web.accounts, was.web.accounts),
                ("store", bridge.store, was.bridge.store),
            )
            if a != b
        ]
        if fixed:
            log.warning("%s changed, which is fixed while the page runs: restart it", ", ".join(fixed))
            return False
        self._site = Site(web, bridge, registry, was.folder, was.clock, was.accounts, was.past)
        self._swap(self._site)
        log.info("the page goes by the configuration as it stands now")
        return True
