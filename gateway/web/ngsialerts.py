"""Alerts for the NGSI-LD routes: the open ones and those closed lately, for who may see episodes."""

from __future__ import annotations

from typing import Any

from gateway import alertfile, ngsialert, storefile
from gateway.alertrows import AlertRows
from gateway.errors import Unavailable
from gateway.instants import iso
from gateway.web.site import Site
from gateway.web.who import Who

LATELY_MS = 48 * 3_600_000  # how long a closed one stays among them; by its id it is found as long as the store has it
MOST = 1000
_EPISODES = f"""{storefile.EPISODE} WHERE kind = 'station' AND (closed_ms IS NULL OR closed_ms > ?)
 ORDER BY closed_ms IS NOT NULL, opened_ms DESC, tenant, id LIMIT {MOST}"""


def listed(site: Site, who: Who, tenant: str) -> list[dict[str, Any]]:
    """The open ones first, the newest of each first. Raises Unavailable."""
    if not who.staff:
        return []
    now_ms = site.clock.now_ms()
    now = alertfile.now(site.bridge.store, now_ms)
    rows = AlertRows(site.bridge, site.registry, iso)
    found = map(storefile.episode_of, storefile.rows(site.bridge.store, _EPISODES, (now_ms - LATELY_MS,)))
    mine = [e for e in found if who.sees(e.tenant) and tenant in ("", e.tenant)]
    told = [rows.described(now, e) | {"closed": iso(e.closed_ms)} for e in mine]
    return [
        ngsialert.entity(x, site.registry.station(x["tenant"], x["station"])) for x in told if ngsialert.is_alert(x)
    ]


def one(site: Site, who: Who, entity: str, tenant: str) -> dict[str, Any] | None:
    """However long ago it was closed. Raises Unavailable."""
    shown = _shown(site, who, entity, tenant)
    if shown is None:
        return None
    x = shown["episode"]
    return ngsialert.entity(x, site.registry.station(x["tenant"], x["station"]))


def evolution(site: Site, who: Who, entity: str, tenant: str, span: tuple[int, int]) -> dict[str, Any] | None:
    """Its changes within that time."""
    shown = _shown(site, who, entity, tenant)
    if shown is None:
        return None
    begin, end = iso(span[0]) or "", iso(span[1]) or ""
    return ngsialert.evolution(shown["episode"], [c for c in shown["changes"] if begin <= c["at"] < end])


def _shown(site: Site, who: Who, entity: str, tenant: str) -> dict[str, Any] | None:
    place = ngsialert.place_of(entity)
    if place is None or not who.staff or not who.sees(place[0]) or tenant not in ("", place[0]):
        return None
    now = alertfile.now(site.bridge.store, site.clock.now_ms())
    try:
        found = AlertRows(site.bridge, site.registry, iso).shown(now, place[1], place[0])
    except Unavailable:
        return None
    fits = found["episode"]["episode"] == place[1] and ngsialert.is_alert(found["episode"])
    return found if fits else None
