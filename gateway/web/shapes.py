"""What the answers look like, for the OpenAPI document. The answers themselves are encoded as they are made: a schema
here costs nobody any time, and the tests compare the two."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from gateway.model import Change, Condition
from gateway.web.problems import documented

Schema = dict[str, Any]
TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
COUNT: Schema = {"type": "integer"}
YES: Schema = {"type": "boolean"}
TIME: Schema = {"type": "string", "format": "date-time"}
ANY: Schema = {"type": "object"}
RANK: Schema = {"type": "integer", "minimum": 0, "maximum": 5}
FLAG: Schema = {"enum": [1, 2, 3, 4, 9], "description": "QARTOD: good, not evaluated, suspect, fail, missing"}
CONDITION: Schema = {"enum": [x.value for x in Condition]}


def maybe(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def many(schema: Schema) -> Schema:
    return {"type": "array", "items": schema}


def one_of(*words: str) -> Schema:
    return {"enum": list(words)}


def fields(*, also: dict[str, Schema] | None = None, **always: Schema) -> Schema:
    """`also`: what is there for staff, or sometimes."""
    return {"type": "object", "properties": {**always, **(also or {})}, "required": sorted(always)}


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def features(properties: Schema) -> Schema:
    """RFC 7946."""
    point = fields(type=one_of("Point"), coordinates={**many(NUMBER), "minItems": 2, "maxItems": 2})
    one = fields(type=one_of("Feature"), id=TEXT, geometry=point, properties=properties)
    return fields(type=one_of("FeatureCollection"), features=many(one))


NAMES = fields(ja=TEXT, en=TEXT)
LINKS = many(fields(ja=TEXT, en=TEXT, url=TEXT))
MARK = fields(
    key=TEXT, ja=TEXT, en=TEXT, rank=RANK, value=NUMBER, distance=NUMBER, authority=TEXT, basis=TEXT
)  # fmt: skip
SUSPENSION = fields(
    kind=TEXT, tenant=TEXT, station=TEXT, since=maybe(TIME), until=maybe(TIME), by=TEXT, note=TEXT
)  # fmt: skip
BULLETIN = fields(
    number=COUNT, at=TIME, kind=TEXT, ja=TEXT, headline=TEXT, by=TEXT, tenant=TEXT, station=TEXT, source=TEXT,
    drill=YES, over=YES,
)  # fmt: skip
ACT = fields(request=COUNT, state=one_of("asked", "done"), answer=ANY)
CODE: Schema = {"type": "string", "description": "of the act codes in gateway/README.md; a later bridge may know more"}
REFUSED = fields(reason=TEXT, also={"code": CODE, "facts": ANY})  # an earlier bridge gave the reason alone
FATE: Schema = {"anyOf": [ACT, fields(request=maybe(COUNT), state=one_of("refused"), answer=REFUSED)]}
NOW = fields(
    tenant=TEXT, station=TEXT, name=NAMES, river=TEXT, area=TEXT, hazard=TEXT, latitude=NUMBER, longitude=NUMBER,
    channel=maybe(TEXT), quantity=maybe(TEXT), unit=maybe(TEXT), contact=YES, value=maybe(NUMBER), observed=maybe(TIME),
    rank=RANK, unconfirmed=RANK, held=YES, condition=CONDITION, late_after_s=maybe(NUMBER), flag=maybe(FLAG),
    fault=maybe(TEXT), level=maybe(fields(key=TEXT, ja=TEXT, en=TEXT)), next=maybe(MARK), over=maybe(MARK),
    change_10min=maybe(NUMBER), change_1h=maybe(NUMBER), rate_per_h=maybe(NUMBER),
    trend=maybe(one_of("up", "flat", "down")), falling_fast=YES, waiting=YES, blind=many(TEXT), links=LINKS,
    also={"minutes_to_next": maybe(COUNT), "episode": maybe(TEXT), "acknowledged": YES, "muted_until": maybe(TIME)},
)  # fmt: skip
CALLING = fields(
    rank=RANK, active=YES, since=TIME, round=COUNT, role=maybe(fields(id=TEXT, ja=TEXT, en=TEXT)),
    recipients=many(TEXT), also={"rounds": COUNT},
)  # fmt: skip
EPISODE = fields(
    episode=TEXT, kind=TEXT, drill=YES, tenant=TEXT, station=TEXT, name=maybe(NAMES),
    cause=maybe(fields(group=TEXT, stations=many(TEXT))), since=TIME, rank=RANK, unconfirmed=RANK, highest=RANK,
    level=maybe(fields(key=TEXT, ja=TEXT, en=TEXT, exceeded_ja=TEXT)),
    steps=many(fields(key=TEXT, ja=TEXT, en=TEXT, value=maybe(NUMBER), unit=TEXT, at=TIME)),
    channel=maybe(TEXT), value=maybe(NUMBER), unit=maybe(TEXT), measured=maybe(TIME), condition=maybe(CONDITION),
    held=YES, contact=maybe(TEXT), acknowledged=maybe(fields(by=TEXT, at=TIME)),
    judgement=maybe(fields(what=TEXT, by=TEXT, basis=TEXT, note=TEXT, at=maybe(TIME))), calling=maybe(ref("Calling")),
    told=COUNT, muted_until=maybe(TIME), also={"closed": maybe(TIME)},
)  # fmt: skip
CHANGE = fields(
    channel=TEXT, change={"enum": [x.value for x in Change]}, from_rank=RANK, to_rank=RANK, at=TIME,
    value=maybe(NUMBER), confirmed=YES, rings=YES, decided=TIME, key=TEXT, level=TEXT, unit=maybe(TEXT),
)  # fmt: skip
NOTIFIED = fields(
    key=TEXT, medium=TEXT, recipient=TEXT, state=one_of("owed", "sent", "given_up"), attempts=COUNT, reason=maybe(TEXT),
    owed=maybe(TIME), done=maybe(TIME), next=maybe(TIME), again=COUNT, name=maybe(TEXT),
)  # fmt: skip
THRESHOLD = fields(
    level=TEXT, rank=RANK, value=NUMBER, authority=TEXT, basis=TEXT, source=TEXT, valid_from=maybe(TIME),
    valid_to=maybe(TIME), ja=TEXT, en=TEXT,
)  # fmt: skip
CHANNEL = fields(
    channel=TEXT, quantity=TEXT, unit=TEXT, internal=YES, contact=YES, derived=maybe(TEXT), watched=YES,
    interval_s=NUMBER, thresholds=many(THRESHOLD),
)  # fmt: skip
STATION = fields(
    tenant=TEXT, station=TEXT, name=NAMES, latitude=NUMBER, longitude=NUMBER, datum=maybe(TEXT),
    gauge_zero=maybe(NUMBER), hazard=TEXT, river=TEXT, area=TEXT, channels=many(CHANNEL), links=LINKS,
    also={"device": TEXT, "now": ref("Now")},
)  # fmt: skip
LATEST = fields(
    tenant=TEXT, station=TEXT, channel=TEXT, quantity=TEXT, unit=TEXT, value=maybe(NUMBER), flag=FLAG,
    fault=maybe(TEXT), observed=TIME, received=TIME,
)  # fmt: skip
BOARD = fields(
    version=COUNT, now=TIME, position=TEXT, bridge=fields(running=maybe(YES), committed=maybe(TIME)), drill=YES,
    stations=many(ref("Now")),
    also={"episodes": many(ref("Episode")), "suspensions": many(SUSPENSION), "bulletins": many(BULLETIN),
          "feed": maybe(fields(heard=maybe(TIME), unheard=YES, reason=maybe(TEXT))),
          "configuration": fields(edited=YES, in_force=maybe(TIME))},
)  # fmt: skip
POINT: Schema = many(maybe(NUMBER)) | {
    "minItems": 5, "maxItems": 5,
    "description": "observed (ms since 1970), value, worst flag, least and greatest value of its span",
}  # fmt: skip
GAP: Schema = many({"anyOf": [COUNT, TEXT]}) | {
    "minItems": 3, "maxItems": 3,
    "description": "from, to (ms since 1970), why: silent, missing or a fault",
}  # fmt: skip
SERIES = fields(
    quantity=TEXT, unit=TEXT, resolution_ms=COUNT, oldest=maybe(TIME), history=YES, points=many(POINT), gaps=many(GAP),
    **{"from": TIME, "to": TIME},
)  # fmt: skip
OBSERVED = fields(
    observed=TIME, received=TIME, value=maybe(NUMBER), raw=maybe(NUMBER), flag=FLAG, flag_when_received=FLAG,
    fault=maybe(TEXT), tests=many(TEXT),
)  # fmt: skip
JOURNAL = fields(
    number=COUNT, at=TIME, recorded=TIME, kind=TEXT, kind_name=NAMES, tenant=TEXT, station=TEXT, episode=TEXT, by=TEXT,
    what=maybe(TEXT), text=NAMES, corrected_by=maybe(COUNT),
)  # fmt: skip
DEVICE = fields(
    tenant=TEXT, device=TEXT, stations=many(TEXT), state=TEXT, accounted=YES, agent=maybe({}), delivery=maybe({}),
    newest=maybe(TIME), statement=maybe(TIME),
    samples=fields(assigned=COUNT, stored=COUNT, rejected=COUNT, gone=COUNT, held=COUNT, unknown=COUNT),
    completeness=maybe({"type": "number", "minimum": 0, "maximum": 1}),
    spool=fields(used=maybe(NUMBER), hours=maybe(NUMBER)),
    health={"type": "object", "additionalProperties": fields(value=maybe(NUMBER), observed=TIME)},
)  # fmt: skip
HEALTH = fields(
    bridge=fields(running=maybe(YES), received=maybe(TIME)), influx=maybe(fields(behind=COUNT)),
    orion=maybe(fields(waiting=COUNT, since=maybe(TIME), reason=maybe(TEXT), answered=maybe(TIME),
                       refused={"type": "object", "additionalProperties": COUNT})),
    bulletins=maybe(fields(heard=maybe(TIME), unheard=YES, reason=maybe(TEXT), updated=maybe(TIME),
                           fates={"type": "object", "additionalProperties": COUNT})),
    store=fields(bytes=COUNT, ceiling=maybe(COUNT)),
    media=many(fields(medium=TEXT, owed=COUNT, oldest=maybe(TIME), attempts=COUNT, reason=maybe(TEXT))),
    notices=many(fields(code=TEXT, tenant=TEXT, device=TEXT, detail=maybe(TEXT), since=TIME)),
)  # fmt: skip
LETTER = fields(
    number=COUNT, tenant=TEXT, device=TEXT, topic=TEXT, code=TEXT, meaning=TEXT, detail=maybe(TEXT), received=TIME,
    count=COUNT, bytes=COUNT, log=maybe(TEXT), seq=maybe(COUNT), also={"remedy": maybe(TEXT), "payload": TEXT},
)  # fmt: skip
LEVEL = fields(
    rank=RANK, key=TEXT, ja=TEXT, en=TEXT, short_ja=TEXT, short_en=TEXT, exceeded_ja=TEXT, exceeded_en=TEXT,
    colour=TEXT, text=TEXT, shape=TEXT, size=NUMBER, ring=TEXT, hazard=TEXT, basis=TEXT,
)  # fmt: skip
ROLE = one_of("public", "viewer", "operator", "administrator")
CONFIG = fields(
    version=COUNT, title=NAMES, tiles=maybe(fields(url=TEXT, attribution=TEXT)), levels=many(LEVEL),
    centre=many(NUMBER), bounds=maybe(many(many(NUMBER))), you=fields(name=TEXT, role=ROLE, via=TEXT),
    login=fields(password=YES, oidc={}), demo=YES, staff=YES, public=YES,
)  # fmt: skip
YOU = fields(name=TEXT, role=ROLE, tenants=maybe(many(TEXT)), via=TEXT, scopes=many(TEXT))
ACCOUNT = fields(
    name=TEXT, display=TEXT, role=ROLE, tenants=maybe(many(TEXT)), disabled=YES, machine=YES, made=TIME,
    changed=maybe(TIME),
)  # fmt: skip
TOKEN = fields(
    id=TEXT, label=TEXT, scope=TEXT, tenants=maybe(many(TEXT)), made=TIME, expires=TIME, used=maybe(TIME),
    revoked=maybe(TIME), also={"token": TEXT},
)  # fmt: skip
AUDIT = fields(
    number=COUNT, at=TIME, who=TEXT, via=TEXT, address=TEXT, what=TEXT, subject=TEXT, outcome=TEXT
)  # fmt: skip
REFUSAL = fields(
    number=COUNT, first=TIME, last=TIME, who=TEXT, via=TEXT, address=TEXT, what=TEXT, code=TEXT, count=COUNT
)  # fmt: skip
MOVING = fields(tenant=TEXT, station=TEXT, name=NAMES, observed=TEXT)

NAMED: dict[str, Schema] = {
    "Board": BOARD, "Now": NOW, "Episode": EPISODE, "Calling": CALLING, "Change": CHANGE, "Notified": NOTIFIED,
    "Station": STATION, "Latest": LATEST, "Series": SERIES, "Journal": JOURNAL, "Device": DEVICE, "Health": HEALTH,
    "Letter": LETTER, "Config": CONFIG, "You": YOU, "Account": ACCOUNT, "Token": TOKEN, "Audit": AUDIT, "Act": ACT,
    "Fate": FATE, "Refusal": REFUSAL,
}  # fmt: skip
GEO = "application/geo+json"
NOTHING = fields()
OUTLINES = fields(type=one_of("FeatureCollection"), features=many(ANY)) | {"additionalProperties": True}  # a file's own
_CHANNEL = "/stations/{tenant}/{station}/channels/{channel}"
# ETSI GS CIM 009: beside id and type whatever properties there are; with its context in JSON-LD.
ENTITY = {**fields(id=TEXT, type=TEXT, also={"@context": TEXT}), "additionalProperties": True}
_NGSI, _LD = "/ngsi-ld/v1", "application/json,application/ld+json"

ANSWERS: dict[tuple[str, str], tuple[str, Schema]] = {
    ("get", "/board"): ("", ref("Board")),
    ("get", "/tenants"): ("", fields(tenants=many(TEXT))),
    ("get", "/stations"): ("", fields(stations=many(ref("Station")), count=COUNT, next=maybe(TEXT))),
    ("get", "/stations/{tenant}/{station}"): ("", ref("Station")),
    ("get", "/latest"): ("", fields(latest=many(ref("Latest")))),
    ("get", "/stations.geojson"): (GEO, features(ref("Now"))),
    ("get", "/moving.geojson"): (GEO, features(MOVING)),
    ("get", "/outlines"): (GEO, OUTLINES),
    ("get", "/episodes"): ("", fields(episodes=many(ref("Episode")), next=maybe(TEXT))),
    ("get", "/episodes/{tenant}/{episode}"): (
        "",
        fields(
            version=COUNT, episode=ref("Episode"), changes=many(ref("Change")), notified=many(ref("Notified")),
            told=many(fields(recipient=TEXT, name=maybe(TEXT), rang=YES)),
        ),
    ),
    ("get", f"{_CHANNEL}/series"): ("", ref("Series")),
    ("get", f"{_CHANNEL}/observations"): ("", fields(unit=TEXT, observations=many(OBSERVED), next=maybe(TIME))),
    ("get", f"{_CHANNEL}/series.csv"): ("text/csv", TEXT),
    ("get", "/events"): ("text/event-stream", TEXT),
    ("post", "/acts"): ("", ref("Act")),
    ("post", "/acts/acknowledge"): ("", fields(acts=many({"allOf": [ref("Fate"), fields(episode=TEXT)]}))),
    ("get", "/acts/{request}"): ("", ref("Fate")),
    ("get", "/journal"): ("", fields(rows=many(ref("Journal")))),
    ("get", "/config"): ("", ref("Config")),
    ("get", "/devices"): ("", fields(devices=many(ref("Device")))),
    ("get", "/health"): ("", ref("Health")),
    ("get", "/letters"): ("", fields(codes={"type": "object", "additionalProperties": COUNT},
                                     letters=many(ref("Letter")))),
    ("get", "/letters/{number}"): ("", ref("Letter")),
    ("post", "/letters/replay"): ("", ref("Act")),
    ("post", "/login"): ("", ref("You")),
    ("post", "/logout"): ("", NOTHING),
    ("get", "/me"): ("", ref("You")),
    ("post", "/password"): ("", NOTHING),
    ("get", "/tokens"): ("", fields(tokens=many(ref("Token")))),
    ("post", "/tokens"): ("", ref("Token")),
    ("delete", "/tokens/{id}"): ("", NOTHING),
    ("get", "/audit"): ("", fields(rows=many(ref("Audit")), next=maybe(COUNT))),
    ("get", "/audit/refused"): ("", fields(rows=many(ref("Refusal")), next=maybe(COUNT))),
    ("get", "/accounts"): ("", fields(accounts=many(ref("Account")))),
    ("post", "/accounts"): ("", ref("Account")),
    ("patch", "/accounts/{name}"): ("", ref("Account")),
    ("delete", "/accounts/{name}/sessions"): ("", fields(ended=COUNT)),
    ("get", "/catalogue.jsonld"): ("application/ld+json", ANY),
    ("get", "/cap/feed.atom"): ("application/atom+xml", TEXT),
    ("get", "/cap/{name}"): ("application/cap+xml", TEXT),
    ("get", f"{_NGSI}/entities"): (_LD, many(ENTITY)),
    ("get", f"{_NGSI}/entities/{{entity}}"): (_LD, ENTITY),
    ("get", f"{_NGSI}/types"): (_LD, fields(id=TEXT, type=TEXT, typeList=many(TEXT))),
    ("get", f"{_NGSI}/types/{{name}}"): (
        _LD, fields(id=TEXT, type=TEXT, typeName=TEXT, entityCount=COUNT,
                    attributeDetails=many(fields(id=TEXT, type=TEXT, attributeName=TEXT))),
    ),
    ("get", f"{_NGSI}/attributes"): (_LD, fields(id=TEXT, type=TEXT, attributeList=many(TEXT))),
    ("get", f"{_NGSI}/temporal/entities"): (_LD, many(ENTITY)),
    ("get", f"{_NGSI}/temporal/entities/{{entity}}"): (_LD, ENTITY),
}  # fmt: skip
# With an entity tag: who has the same already is told so.
TAGGED = ("/board", "/stations", "/stations/{tenant}/{station}", "/latest", "/stations.geojson", "/moving.geojson",
          "/outlines", f"{_CHANNEL}/series", "/catalogue.jsonld", "/cap/feed.atom", "/cap/{name}")  # fmt: skip
MIXED = ("/acts/acknowledge",)  # of whose parts not all were done
PREFIX = "/api/v1"


def install(app: FastAPI) -> None:
    """The document says what the answers look like."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        made = app.openapi_schema is None
        document = plain()
        if made:
            _add(document)
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def _add(document: dict[str, Any]) -> None:
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    assert not schemas.keys() & NAMED.keys(), "a body and an answer have one name"
    schemas.update(NAMED)
    for operations in document["paths"].values():
        for operation in operations.values():
            operation["responses"]["431"] = documented(431)[431]  # before any of them is asked (`app.Edge`)
    for (method, path), (media, schema) in ANSWERS.items():
        operations = document["paths"].get(PREFIX + path) or document["paths"].get(path) or {}
        operation = operations.get(method)
        if operation is None:
            continue
        kinds = (media or "application/json").split(",")
        operation["responses"]["200"] |= {"content": {kind: {"schema": schema} for kind in kinds}}
        if path in MIXED:
            content = operation["responses"]["200"]["content"]
            operation["responses"]["207"] = {"description": "Not all of it was done: each says", "content": content}
        if path in TAGGED:
            operation["responses"]["304"] = {"description": "As it was, by the entity tag that was sent"}
