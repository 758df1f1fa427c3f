"""The page follows the configuration folder: what changes there and is right is shown from the next look on, stations
once the bridge judges by them. What is wrong changes nothing and is said once. Address, sub-path, store and accounts
are fixed while it runs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from gateway import settings, storefile, websettings
from gateway.errors import ConfigError, Unavailable
from gateway.stations import Registry
from gateway.web.site import Site

log = logging.getLogger(__name__)
LOOK_S = 5.0
READ = ("*.yaml", "*.csv", "*.geojson", "device_profiles/*.yaml", "tides/*")
Load = Callable[[Path], tuple[websettings.Web, settings.Bridge, Registry]]


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
    """`swap` is handed the new site. Stations by which the running bridge does not judge yet wait for it: what is shown
    is what alarms go by, and that there is an edit."""

    def __init__(self, site: Site, load: Load, swap: Callable[[Site], None]) -> None:
        self._site, self._load, self._swap = site, load, swap
        self._known = state_of(site.folder)
        self._read: tuple[websettings.Web, settings.Bridge, Registry] | None = None  # what waits
        self._failed = False
        self._stop = threading.Event()

    def start(self) -> None:
        threading.Thread(target=self._run, name="configuration", daemon=True).start()

    def stop(self) -> None:
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.wait(LOOK_S):
            self.once()

    def once(self) -> None:
        """As `look`; what it cannot read or take over is told once and tried again."""
        try:
            self.look()
        except (Unavailable, OSError, ValueError, LookupError, TypeError, AttributeError) as e:
            if not self._failed:
                log.warning("the configuration cannot be looked at (%s: %s); it is tried again", type(e).__name__, e)
            self._failed = True
        else:
            self._failed = False

    def look(self) -> bool:
        """Whether another configuration is shown from now on, or that there is one."""
        state = state_of(self._site.folder)
        new = state != self._known
        if new:
            self._known, self._read = state, self._loaded()
        if self._read is None:
            return False
        (web, bridge, registry), was = self._read, self._site
        waits = self._waits(registry)
        if waits and not new:
            return False
        if waits:
            bridge, registry = was.bridge, was.registry
        else:
            self._read = None
        self._site = Site(web, bridge, registry, was.folder, was.clock, was.accounts, was.past, was.waits, waits)
        self._swap(self._site)
        what = "its stations once the bridge has reloaded it" if waits else "as it stands now"
        log.info("the page goes by the configuration, %s", what)
        return True

    def _waits(self, registry: Registry) -> bool:
        """Whether the bridge judges by what is shown, and not by this."""
        store = self._site.bridge.store
        try:
            by = storefile.judged_by(store)
        except Unavailable:
            return self._site.edited  # as before: a restore is under way
        if by is None or storefile.running(store) is False:
            return False
        return by[0] == self._site.registry.digest() != registry.digest()

    def _loaded(self) -> tuple[websettings.Web, settings.Bridge, Registry] | None:
        """None where it is not taken over, which is said."""
        try:
            web, bridge, registry = self._load(self._site.folder)
        except ConfigError as e:
            log.warning("the configuration has changed and is not taken over: %s", e)
            return None
        was = self._site
        web = replace(web, loopback_operator=was.web.loopback_operator)
        fixed = [
            name
            for name, a, b in (
                ("listen", (web.host, web.port), (was.web.host, was.web.port)),
                ("path", web.path, was.web.path),
                ("proxies", web.proxies, was.web.proxies),
                ("map.tiles", web.map.tiles, was.web.map.tiles),  # stands in the page's policy
                ("accounts", web.accounts, was.web.accounts),
                ("store", bridge.store, was.bridge.store),
            )
            if a != b
        ]
        if fixed:
            log.warning("%s changed, which is fixed while the page runs: restart it", ", ".join(fixed))
            return None
        return web, bridge, registry
