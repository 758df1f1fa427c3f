"""NGSI-LD for who reads: entities, types and attributes, and their temporal evolution (ETSI GS CIM 009). Errors as the
standard says."""

from __future__ import annotations

import json as text_json
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Header, Path, Query, Request, Response

from gateway import instants, ngsild, seriesfile
from gateway.instants import iso
from gateway.ngsild import CONTEXT, BadQuery, Near
from gateway.web.asking import Here, Reader, Reading
from gateway.web.problems import Problem, documented
from gateway.web.rest import station_of
from gateway.web.site import Site
from gateway.web.who import Who

ERRORS = "https://uri.etsi.org/ngsi-ld/errors/"
LINK = f'<{CONTEXT}>; rel="http://www.w3.org/ns/json-ld#context"; type="application/ld+json"'
MOST_POINTS = 5000  # of one attribute
MOST_TEMPORAL = 20  # entities of a temporal query at once
NOT_TEMPORAL = {"q", "idPattern", "georel", "scopeQ", "aggrMethods"}

Text = Annotated[str, Query(max_length=2000)]
Limit = Annotated[int, Query(ge=0, le=1000)]
Offset = Annotated[int, Query(ge=0, le=1_000_000)]
Id = Annotated[str, Path(max_length=256)]
Tenant = Annotated[str, Header(alias="NGSILD-Tenant", max_length=64)]

routes = APIRouter(prefix="/ngsi-ld/v1", tags=["NGSI-LD"], responses=documented(400, 401, 403, 404, 413, 422, 429, 503))


def bad(detail: str) -> Problem:
    return Problem(400, "invalid", detail, type_=f"{ERRORS}BadRequestData")


def missing(entity: str) -> Problem:
    return Problem(404, "not_found", f"there is no entity {entity[:256]}", type_=f"{ERRORS}ResourceNotFound")


@routes.get("/entities/", include_in_schema=False)
@routes.get("/entities")
def entities(
    site: Here,
    request: Request,
    who: Reader,
    type: Text = "",  # noqa: A002 - the standard's name
    id: Text = "",  # noqa: A002
    idPattern: Text = "",  # noqa: N803
    attrs: Text = "",
    q: Text = "",
    georel: Text = "",
    geometry: Text = "",
    coordinates: Text = "",
    limit: Limit = 1000,
    offset: Offset = 0,
    count: bool = False,
    options: Text = "",
    tenant: Tenant = "",
) -> Response:
    """Entities that fit; `limit=0&count=true` counts them."""
    found = [x for x in _all(site, who, tenant) if not type or x["type"] in _listed(type)]
    try:
        if id:
            found = [x for x in found if x["id"] in _listed(id)]
        if idPattern:
            wanted = ngsild.pattern(idPattern)
            found = [x for x in found if wanted.search(x["id"])]
        if q:
            test = ngsild.query(q)
            found = [x for x in found if test(x)]
        if georel:
            near = _near(georel, geometry, coordinates)
            found = [x for x in found if near.holds(x)]
    except BadQuery as e:
        raise bad(str(e)) from e
    if attrs:
        names = _listed(attrs)
        found = [ngsild.only(x, names) for x in found if names & x.keys()]
    if limit == 0 and not count:
        raise bad("limit=0 is for count=true")
    headers = {"NGSILD-Results-Count": str(len(found))} if count or "count" in _listed(options) else {}
    return _answer(request, [_as(x, options) for x in found[offset : offset + limit]], headers)


@routes.get("/entities/{entity}")
def entity(
    site: Here, request: Request, entity: Id, who: Reader, attrs: Text = "", options: Text = "", tenant: Tenant = ""
) -> Response:
    """One of them."""
    found = next((x for x in _all(site, who, tenant) if x["id"] == entity), None)
    if found is None:
        raise missing(entity)
    return _answer(request, _as(ngsild.only(found, _listed(attrs)) if attrs else found, options), {})


@routes.get("/types")
def types(site: Here, request: Request, who: Reader, tenant: Tenant = "") -> Response:
    """The types that there are."""
    names = sorted({x["type"] for x in _all(site, who, tenant)})
    return _answer(
        request, {"id": "urn:ngsi-ld:EntityTypeList:suimon", "type": "EntityTypeList", "typeList": names}, {}
    )


@routes.get("/types/{name}")
def type_(site: Here, request: Request, name: Id, who: Reader, tenant: Tenant = "") -> Response:
    """One type: how many, and their attributes."""
    found = [x for x in _all(site, who, tenant) if x["type"] == name]
    if not found:
        raise missing(name)
    attributes = sorted({k for x in found for k in x} - {"id", "type"})
    listed = [{"id": k, "type": "Attribute", "attributeName": k} for k in attributes]
    body = {"id": name, "type": "EntityTypeInformation", "typeName": name, "entityCount": len(found)}
    return _answer(request, body | {"attributeDetails": listed}, {})


@routes.get("/attributes")
def attributes(site: Here, request: Request, who: Reader, tenant: Tenant = "") -> Response:
    """The attributes that there are."""
    names = sorted({k for x in _all(site, who, tenant) for k in x} - {"id", "type"})
    body = {"id": "urn:ngsi-ld:AttributeList:suimon", "type": "AttributeList", "attributeList": names}
    return _answer(request, body, {})


@routes.get("/temporal/entities")
def temporal(
    site: Here,
    request: Request,
    who: Reading,
    type: Text = "",  # noqa: A002
    id: Text = "",  # noqa: A002
    attrs: Text = "",
    timerel: Text = "",
    timeAt: Text = "",  # noqa: N803
    endTimeAt: Text = "",  # noqa: N803
    lastN: Annotated[int, Query(ge=1, le=MOST_POINTS)] = 1000,  # noqa: N803
    limit: Annotated[int, Query(ge=0, le=MOST_TEMPORAL)] = MOST_TEMPORAL,
    offset: Offset = 0,
    count: bool = False,
    options: Text = "",
    tenant: Tenant = "",
) -> Response:
    """How entities went on, the newest `lastN` values of each attribute."""
    if not (type or id or attrs):
        raise bad("say which: type, id or attrs")
    if unheard := sorted(NOT_TEMPORAL & request.query_params.keys()):
        raise bad(f"{unheard[0]} is not done here: more would be answered than was asked for")
    span = _span(site, timerel, timeAt, endTimeAt)
    ids = _listed(id)
    found = [
        x for x in _all(site, who, tenant) if (not type or x["type"] in _listed(type)) and (not id or x["id"] in ids)
    ]
    headers = {"NGSILD-Results-Count": str(len(found))} if count or "count" in _listed(options) else {}
    page = [_evolution(site, who, x["id"], attrs, span, lastN, options) for x in found[offset : offset + limit]]
    return _answer(request, page, headers)


@routes.get("/temporal/entities/{entity}")
def temporal_entity(
    site: Here,
    request: Request,
    entity: Id,
    who: Reading,
    attrs: Text = "",
    timerel: Text = "",
    timeAt: Text = "",  # noqa: N803
    endTimeAt: Text = "",  # noqa: N803
    lastN: Annotated[int, Query(ge=1, le=MOST_POINTS)] = 1000,  # noqa: N803
    options: Text = "",
    tenant: Tenant = "",
) -> Response:
    """How one went on."""
    span = _span(site, timerel, timeAt, endTimeAt)
    if not any(x["id"] == entity for x in _all(site, who, tenant)):
        raise missing(entity)
    return _answer(request, _evolution(site, who, entity, attrs, span, lastN, options), {})


# --- parts -------------------------------------------------------------------------------------------------------


def _all(site: Site, who: Who, tenant: str) -> list[dict[str, Any]]:
    """Every entity that they may see, of that tenant where one is named. Raises Problem for a tenant that is not
    theirs: whoever may not see it does not learn of it."""
    if tenant and (not who.sees(tenant) or all(t != tenant for t, _ in site.registry.stations)):
        raise Problem(404, "not_found", f"there is no tenant {tenant}", type_=f"{ERRORS}NonexistentTenant")
    board = site.boards.board()
    rows = sorted(site.boards.rows(who), key=lambda x: (x.station.tenant, x.station.order, x.station.id))
    mine = [x for x in rows if (not tenant or x.station.tenant == tenant) and x.channel is not None]
    return [ngsild.entity(x, board.latest, board.now_ms, who.staff) for x in mine]


def _listed(text: str) -> set[str]:
    return {x.strip() for x in text.split(",") if x.strip()}


def _as(x: dict[str, Any], options: str) -> dict[str, Any]:
    return ngsild.simplified(x) if _listed(options) & {"keyValues", "simplified"} else x


def _near(georel: str, geometry: str, coordinates: str) -> Near:
    """Raises BadQuery."""
    words = georel.split(";")
    name, _, metres = words[-1].partition("==")
    if words[0] != "near" or name != "maxDistance" or geometry != "Point":
        raise BadQuery(
            "georel is done as near;maxDistance==METRES with geometry=Point&coordinates=[longitude,latitude]"
        )
    try:
        longitude, latitude = map(float, text_json.loads(coordinates))
        near = Near(longitude, latitude, float(metres))
    except (ValueError, TypeError, OverflowError, RecursionError):
        raise BadQuery("coordinates are [longitude,latitude], the distance a number of metres") from None
    if not (abs(longitude) <= 180 and abs(latitude) <= 90 and near.metres >= 0):  # nor NaN, nor infinite
        raise BadQuery("a longitude lies within 180, a latitude within 90 degrees, the distance is not negative")
    return near


def _span(site: Site, timerel: str, at: str, end: str) -> tuple[int, int]:
    """Raises Problem 400."""
    now_ms = site.clock.now_ms() + 1
    if not timerel:
        return 0, now_ms
    try:
        at_ms = instants.parse(at)
        match timerel:
            case "before":
                return 0, at_ms
            case "after":
                return at_ms, now_ms
            case "between":
                return at_ms, instants.parse(end)
    except ValueError:
        raise bad("timeAt and endTimeAt are times with their offset, like 2026-11-24T03:00:00Z") from None
    raise bad("timerel is before, after or between")


def _evolution(
    site: Site, who: Who, entity: str, attrs: str, span: tuple[int, int], most: int, options: str
) -> dict[str, Any]:
    place = ngsild.place_of(entity)
    if place is None:
        raise missing(entity)
    station = station_of(site, who, place[1], place[2])
    found: dict[str, Any] = {"id": entity, "type": place[0]}
    for channel in station.channels.values():
        name, factor = ngsild.attribute_of(station, channel)
        if channel.internal or (attrs and name not in _listed(attrs)):
            continue
        key = (station.tenant, station.id, channel.name)
        rows = seriesfile.newest(site.bridge.store, key, *span, most, worked=who.staff)
        usable = [(at, value, flag) for at, value, flag, _ in rows if value is not None]
        if not usable:
            continue
        if "temporalValues" in _listed(options):
            values = [[round(value * factor, 9), iso(at)] for at, value, _ in usable]
            found[name] = {"type": "Property", "values": values}
        else:
            found[name] = [ngsild.number(value, channel, factor, at, flag) for at, value, flag in usable]
    return found


def _answer(request: Request, body: Any, headers: dict[str, str]) -> Response:
    """With its context in the body for JSON-LD, in a header for JSON."""
    if "application/ld+json" in request.headers.get("accept", ""):
        parts = [{"@context": CONTEXT, **x} for x in body] if isinstance(body, list) else {"@context": CONTEXT, **body}
        return Response(msgspec.json.encode(parts), 200, headers, "application/ld+json")
    return Response(msgspec.json.encode(body), 200, headers | {"Link": LINK}, "application/json")
