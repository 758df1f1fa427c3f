"""NGSI-LD for who reads: entities, types and attributes, and their temporal evolution (ETSI GS CIM 009). Errors as the
standard says."""

from __future__ import annotations

from collections.abc import Set
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Header, Path, Query, Request, Response

from gateway import instants, ngsigeo, ngsild, ngsiquery, seriesfile
from gateway.instants import iso
from gateway.ngsialert import ALERT
from gateway.ngsild import CONTEXT
from gateway.ngsiquery import BadQuery
from gateway.web import ngsialerts
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
NOT_DONE = {"scopeQ", "csf", "lang", "datasetId"}

Text = Annotated[str, Query(max_length=2000)]
Coordinates = Annotated[str, Query(max_length=60_000)]
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
    coordinates: Coordinates = "",
    geoproperty: Text = "location",
    limit: Limit = 1000,
    offset: Offset = 0,
    count: bool = False,
    options: Text = "",
    tenant: Tenant = "",
) -> Response:
    """Entities that fit; `limit=0&count=true` counts them."""
    if unheard := sorted(NOT_DONE & request.query_params.keys()):
        raise bad(f"{unheard[0]} is not done here: more would be answered than was asked for")
    try:
        fits = _fitting(type, id, idPattern, q, georel and (georel, geometry, coordinates, geoproperty))
    except BadQuery as e:
        raise bad(str(e)) from e
    found = [x for x in _all(site, who, tenant, _listed(type)) if all(test(x) for test in fits)]
    if attrs:
        names = _listed(attrs)
        found = [ngsild.only(x, names) for x in found if names & x.keys()]
    if limit == 0 and not count:
        raise bad("limit=0 is for count=true")
    page = [_as(x, options) for x in found[offset : offset + limit]]
    return _answer(request, page, _counted(request, len(found), limit, offset, count, options))


@routes.get("/entities/{entity}")
def entity(
    site: Here, request: Request, entity: Id, who: Reader, attrs: Text = "", options: Text = "", tenant: Tenant = ""
) -> Response:
    """One of them."""
    found = (
        ngsialerts.one(site, who, entity, tenant)
        if _is_alert(site, who, entity, tenant)
        else _station(site, who, entity, tenant)
    )
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
    found = [x for x in _all(site, who, tenant, {name}) if x["type"] == name]
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
    kinds = _listed(type)
    found = [
        x for x in _all(site, who, tenant, kinds) if (not kinds or x["type"] in kinds) and (not id or x["id"] in ids)
    ]
    page = [_went(site, who, x["id"], tenant, attrs, span, lastN, options) for x in found[offset : offset + limit]]
    return _answer(request, page, _counted(request, len(found), limit, offset, count, options))


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
    return _answer(request, _went(site, who, entity, tenant, attrs, span, lastN, options), {})


# --- parts -------------------------------------------------------------------------------------------------------


def _all(site: Site, who: Who, tenant: str, types: Set[str] = frozenset()) -> list[dict[str, Any]]:
    """Every entity that they may see, of that tenant where one is named; at least those of these types. Raises
    Problem."""
    _known(site, who, tenant)
    alerts = ngsialerts.listed(site, who, tenant) if not types or ALERT in types else []
    return [*(_stations(site, who, tenant) if types != {ALERT} else []), *alerts]


def _known(site: Site, who: Who, tenant: str) -> None:
    """Raises Problem for a tenant that is not theirs: whoever may not see it does not learn of it."""
    if tenant and (not who.sees(tenant) or all(t != tenant for t, _ in site.registry.stations)):
        raise Problem(404, "not_found", f"there is no tenant {tenant}", type_=f"{ERRORS}NonexistentTenant")


def _stations(site: Site, who: Who, tenant: str) -> list[dict[str, Any]]:
    board = site.boards.board()
    rows = sorted(site.boards.rows(who), key=lambda x: (x.station.tenant, x.station.order, x.station.id))
    mine = [x for x in rows if not tenant or x.station.tenant == tenant]
    return [ngsild.entity(x, board.latest, board.now_ms, who.staff) for x in mine]


def _station(site: Site, who: Who, entity: str, tenant: str) -> dict[str, Any] | None:
    return next((x for x in _stations(site, who, tenant) if x["id"] == entity), None)


def _is_alert(site: Site, who: Who, entity: str, tenant: str) -> bool:
    """Raises Problem for a tenant that is not theirs."""
    _known(site, who, tenant)
    return entity.startswith(f"urn:ngsi-ld:{ALERT}:")


def _fitting(
    types: str, ids: str, pattern: str, q: str, place: Literal[""] | tuple[str, str, str, str]
) -> list[ngsiquery.Test]:
    """What an entity must fit. Raises BadQuery."""
    tests: list[ngsiquery.Test] = []
    if types:
        kinds = _listed(types)
        tests.append(lambda x: x["type"] in kinds)
    if ids:
        named = _listed(ids)
        tests.append(lambda x: x["id"] in named)
    if pattern:
        wanted = ngsiquery.Pattern(pattern)
        tests.append(lambda x: wanted.found(x["id"]))
    if q:
        tests.append(ngsiquery.query(q))
    if place:
        georel, geometry, coordinates, attribute = place
        there = ngsigeo.relation(georel, geometry, coordinates)
        tests.append(lambda x: _point(x, attribute) is not None and there(_point(x, attribute)))
    return tests


def _point(x: dict[str, Any], attribute: str) -> Any:
    """(longitude, latitude) of a GeoProperty; None of anything else."""
    found = x.get(attribute)
    return tuple(found["value"]["coordinates"]) if isinstance(found, dict) and found["type"] == "GeoProperty" else None


def _counted(request: Request, total: int, limit: int, offset: int, count: bool, options: str) -> dict[str, str]:
    """The headers of a page: how many there are where it was asked, and where the pages beside it are (RFC 8288)."""
    found = {"NGSILD-Results-Count": str(total)} if count or "count" in _listed(options) else {}
    beside = {"prev": max(0, offset - limit) if offset and limit else None,
              "next": offset + limit if limit and offset + limit < total else None}  # fmt: skip
    links = []
    for rel, at in beside.items():
        if at is not None:
            url = request.url.include_query_params(offset=at, limit=limit)
            links.append(f'<{url.path}?{url.query}>; rel="{rel}"')
    return found | ({"Link": ", ".join(links)} if links else {})


def _listed(text: str) -> set[str]:
    return {x.strip() for x in text.split(",") if x.strip()}


def _as(x: dict[str, Any], options: str) -> dict[str, Any]:
    return ngsild.simplified(x) if _listed(options) & {"keyValues", "simplified"} else x


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


def _went(
    site: Site, who: Who, entity: str, tenant: str, attrs: str, span: tuple[int, int], most: int, options: str
) -> dict[str, Any]:
    """How one went on. Raises Problem."""
    if not _is_alert(site, who, entity, tenant):
        if _station(site, who, entity, tenant) is None:
            raise missing(entity)
        return _evolution(site, who, entity, attrs, span, most, options)
    found = ngsialerts.evolution(site, who, entity, tenant, span)
    if found is None:
        raise missing(entity)
    ranks = found.pop("rank", [])[-most:] if not attrs or "rank" in _listed(attrs) else []
    if "temporalValues" in _listed(options) and ranks:
        return found | {"rank": {"type": "Property", "values": [[x["value"], x["observedAt"]] for x in ranks]}}
    return found | ({"rank": ranks} if ranks else {})


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
    links = ", ".join(x for x in (LINK, headers.get("Link")) if x)
    return Response(msgspec.json.encode(body), 200, headers | {"Link": links}, "application/json")
