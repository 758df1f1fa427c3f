"""Reads of how the stations stand: one call for all of them, and one for each."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Path, Query, Request, Response

from gateway import alertfile, boardfile, storefile, units
from gateway.alertrows import AlertRows
from gateway.errors import Unavailable
from gateway.instants import iso
from gateway.stations import Channel, Station
from gateway.web.asking import Here, Reader, Staff
from gateway.web.boards import threshold
from gateway.web.problems import Problem, documented
from gateway.web.site import Site
from gateway.web.who import Who

NAME = r"^[a-z0-9][a-z0-9._-]{0,63}$"
Tenant = Annotated[str, Path(pattern=NAME, description="Owner of the station.")]
Name = Annotated[str, Path(pattern=NAME, description="Name of the station.")]
Limit = Annotated[int, Query(ge=1, le=1000, description="How many at most.")]
BEFORE = r"^$|^[0-9]{1,18}(/.+)?$"
MOVING = ("latitude", "longitude")
PROBLEMS = documented(400, 401, 403, 404, 413, 422, 429, 503)
# Several end in one millisecond: by time alone a page would leave out what stands on its edge.
_CLOSED = f"""{storefile.EPISODE} WHERE closed_ms IS NOT NULL AND (closed_ms, tenant, id) < (?1, ?2, ?3)
 AND (?4 IS NULL OR tenant IN (SELECT value FROM json_each(?4)))
 ORDER BY closed_ms DESC, tenant DESC, id DESC LIMIT ?5"""  # noqa: S608 - ours
# Where something is that moves: the newest of both coordinates, which is internal and for staff alone.
_POSITIONS = """SELECT c.tenant, c.station, c.quantity, o.observed_ms, o.value FROM channels c
 CROSS JOIN observations o
 WHERE o.id = (SELECT id FROM observations WHERE channel_id = c.id ORDER BY observed_ms DESC LIMIT 1)
 AND c.quantity IN ('latitude', 'longitude') AND o.value IS NOT NULL"""


def json(body: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(body), status, None, "application/json")


def tagged(request: Request, body: bytes, media: str = "application/json") -> Response:
    """With an entity tag: who has the same already is told so."""
    tag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache", "Vary": "Authorization, Cookie"}
    given = [x.strip().removeprefix("W/") for x in request.headers.get("if-none-match", "").split(",")]
    if tag in given:
        return Response(None, 304, headers)
    return Response(body, 200, headers, media)


def station_of(site: Site, who: Who, tenant: str, name: str) -> Station:
    """Raises Problem 404 also for a station of another tenant: whoever may not see it does not learn of it."""
    found = site.registry.station(tenant, name)
    if found is None or not who.sees(tenant) or (not who.staff and not open_channels(found, who)):
        raise Problem(404, "not_found", f"there is no station {tenant}/{name}")
    return found


def open_channels(station: Station, who: Who) -> list[Channel]:
    """What of it they may see: what is internal is for staff."""
    return [c for c in station.channels.values() if who.staff or not c.internal]


routes = APIRouter(prefix="/api/v1", responses=PROBLEMS)


@routes.get("/board", tags=["stations"])
def board(site: Here, request: Request, who: Reader) -> Response:
    """How every station stands, the worst first, and for staff what is open."""
    return tagged(request, site.boards.encoded(who)[1])


@routes.get("/tenants", tags=["stations"])
def tenants(site: Here, who: Reader) -> Response:
    """The owners of stations."""
    names = sorted({t for t, _ in site.registry.stations if who.sees(t)})
    return json({"tenants": names})


@routes.get("/stations", tags=["stations"])
def stations(
    site: Here,
    request: Request,
    who: Reader,
    limit: Limit = 1000,
    after: Annotated[str, Query(max_length=130, description="`next` of the page before.")] = "",
) -> Response:
    """Stations with their channels and thresholds, by tenant and name, in pages."""
    known = sorted(k for k, s in site.registry.stations.items() if who.sees(k[0]) and _shows(s, who))
    rest_ = [k for k in known if "/".join(k) > after]
    page = [_station(site, site.registry.stations[k], who) for k in rest_[:limit]]
    onward = "/".join(rest_[limit - 1]) if len(rest_) > limit else None
    return tagged(request, msgspec.json.encode({"stations": page, "count": len(known), "next": onward}))


@routes.get("/stations/{tenant}/{station}", tags=["stations"])
def station(site: Here, request: Request, tenant: Tenant, station: Name, who: Reader) -> Response:
    """One station: channels, thresholds, links, and how it stands."""
    found = station_of(site, who, tenant, station)
    now = next(x for x in site.boards.rows(who) if x.station is found)
    body = _station(site, found, who) | {"now": site.boards.station(now, who)}
    return tagged(request, msgspec.json.encode(body))


@routes.get("/latest", tags=["values"])
def latest(site: Here, request: Request, who: Reader) -> Response:
    """The newest observation of every channel that may leave, of all stations in one call."""
    return tagged(request, msgspec.json.encode({"latest": _latest(site, who)}))


@routes.get("/stations.geojson", tags=["stations"])
def geojson(site: Here, request: Request, who: Reader) -> Response:
    """The same as points (RFC 7946; longitude first)."""
    features = [
        {"type": "Feature", "id": f"{x.station.tenant}/{x.station.id}",
         "geometry": {"type": "Point", "coordinates": [x.station.longitude, x.station.latitude]},
         "properties": site.boards.station(x, who)}
        for x in site.boards.rows(who) if x.channel is not None or who.staff
    ]  # fmt: skip
    body = msgspec.json.encode({"type": "FeatureCollection", "features": features})
    return tagged(request, body, "application/geo+json")


@routes.get("/moving.geojson", tags=["stations"])
def moving(site: Here, request: Request, who: Staff) -> Response:
    """Where vehicles and other moving things are. For staff: it is where people are."""
    body = msgspec.json.encode({"type": "FeatureCollection", "features": _moving(site, who)})
    return tagged(request, body, "application/geo+json")


@routes.get("/outlines", tags=["stations"])
def outlines(site: Here, request: Request, who: Reader) -> Response:
    """Rivers and areas as the configuration draws them (GeoJSON)."""
    file = site.web.map.outlines
    try:
        body = file.read_bytes() if file is not None else b'{"type":"FeatureCollection","features":[]}'
    except OSError as e:
        raise Unavailable("the outlines cannot be read") from e
    return tagged(request, body, "application/geo+json")


@routes.get("/episodes", tags=["alerts"])
def episodes(
    site: Here,
    who: Staff,
    state: Literal["open", "closed"] = "open",
    limit: Limit = 100,
    before: Annotated[str, Query(pattern=BEFORE, max_length=260, description="`next` of the page before.")] = "",
) -> Response:
    """Alerts: those that are open, or closed ones, the newest first."""
    now_ms = site.clock.now_ms()
    now = alertfile.now(site.bridge.store, now_ms)
    rows = AlertRows(site.bridge, site.registry, iso)
    if state == "open":
        mine = [e for e in now.episodes if who.sees(e.tenant)]
        return json({"episodes": [rows.described(now, e) for e in mine], "next": None})
    time, _, place = before.partition("/")
    tenants = None if who.tenants is None else msgspec.json.encode(sorted(who.tenants)).decode()
    after = (int(time or 2**62), *place.partition("/")[::2], tenants, limit)
    found = [storefile.episode_of(x) for x in storefile.rows(site.bridge.store, _CLOSED, after)]
    listed = [rows.described(now, e) | {"closed": iso(e.closed_ms)} for e in found]
    last = found[-1] if len(found) == limit else None
    return json({"episodes": listed, "next": last and f"{last.closed_ms}/{last.tenant}/{last.id}"})


@routes.get("/episodes/{tenant}/{episode}", tags=["alerts"])
def episode(site: Here, tenant: Tenant, episode: Annotated[str, Path(max_length=160)], who: Staff) -> Response:
    """One alert: what changed, who was told and when."""
    now = alertfile.now(site.bridge.store, site.clock.now_ms())
    try:
        found = AlertRows(site.bridge, site.registry, iso).shown(now, episode, tenant)
    except Unavailable:
        found = None
    if found is None or not who.sees(tenant) or found["episode"]["episode"] != episode:
        raise Problem(404, "not_found", f"there is no episode {tenant}/{episode}")
    return json(found)


def _shows(station: Station, who: Who) -> bool:
    return who.staff or bool(open_channels(station, who))


def _station(site: Site, s: Station, who: Who) -> dict[str, Any]:
    return {
        "tenant": s.tenant, "station": s.id, "name": {"ja": s.name_ja, "en": s.name_en},
        "latitude": s.latitude, "longitude": s.longitude, "datum": s.datum, "gauge_zero": s.gauge_zero,
        "hazard": s.hazard, "river": s.river, "area": s.area,
        **({"device": s.device} if who.staff else {}),
        "channels": [_channel(site, s, c) for c in open_channels(s, who)],
        "links": [{"ja": x.ja, "en": x.en, "url": x.url} for x in site.web.links.get((s.tenant, s.id), ())],
    }  # fmt: skip


def _channel(site: Site, s: Station, c: Channel) -> dict[str, Any]:
    quantity = units.QUANTITIES[c.quantity]
    marks = []
    for t in c.in_force(site.clock.now_ms()):
        level = site.registry.level(s, c, t.rank, t.level)
        marks.append(threshold(t) | {"ja": level.ja, "en": level.en})
    return {
        "channel": c.name, "quantity": c.quantity, "unit": quantity.unit, "internal": c.internal,
        "contact": c.contact, "derived": c.derived or None, "watched": c in s.watched,
        "interval_s": c.contract.interval_s, "thresholds": marks,
    }  # fmt: skip


def _latest(site: Site, who: Who) -> list[dict[str, Any]]:
    working = set() if who.staff else boardfile.working(site.bridge.store, site.clock.now_ms())
    found = []
    for (tenant, station, channel), x in boardfile.latest(site.bridge.store, site.registry).items():
        known = site.registry.channel(tenant, station, channel)
        if known is None or not who.sees(tenant) or (tenant, station) in working:
            continue
        if not who.staff and site.registry.station(tenant, station) is None:
            continue  # what a device says of itself
        found.append(
            {"tenant": tenant, "station": station, "channel": channel, "quantity": known.quantity, "unit": known.unit,
             "value": x.value, "flag": x.flag, "fault": x.fault, "observed": iso(x.observed_ms),
             "received": iso(x.received_ms)}
        )  # fmt: skip
    return found


def _moving(site: Site, who: Who) -> list[dict[str, Any]]:
    places: dict[tuple[str, str], dict[str, tuple[int, float]]] = {}
    for tenant, station, quantity, at_ms, value in storefile.rows(site.bridge.store, _POSITIONS):
        places.setdefault((tenant, station), {})[quantity] = (at_ms, value)
    features = []
    for (tenant, name), at in places.items():
        station = site.registry.station(tenant, name)
        if station is None or not who.sees(tenant) or set(at) != set(MOVING):
            continue
        point = [at["longitude"][1], at["latitude"][1]]
        facts = {"tenant": tenant, "station": name, "name": {"ja": station.name_ja, "en": station.name_en}}
        facts["observed"] = iso(min(at_ms for at_ms, _ in at.values())) or ""
        geometry = {"type": "Point", "coordinates": point}
        features.append({"type": "Feature", "id": f"{tenant}/{name}", "geometry": geometry, "properties": facts})
    return features
