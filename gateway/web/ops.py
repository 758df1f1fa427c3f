"""How the house itself stands: devices with their completeness, dead letters, health; and what the page must know to
draw itself."""

from __future__ import annotations

import json as text_json
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from gateway import boardfile, bulletinstanding, gapfile, gaps, letterfile, letters, orionstanding, storefile
from gateway.errors import RejectCode
from gateway.instants import iso
from gateway.letterfile import Choice
from gateway.stations import HEALTH_CHANNELS
from gateway.web.acts import asked
from gateway.web.asking import Address, Heavy, Here, Operator, Staff, who_asks
from gateway.web.problems import Problem, documented
from gateway.web.rest import PROBLEMS, json
from gateway.web.site import Site
from gateway.web.who import Role, Who

SHOWN_BYTES = 2000
_DEVICES = "SELECT tenant, device, statement_ms, used, hours, status, birth FROM devices"
_NOTICES = "SELECT code, tenant, device, detail, since_ms FROM notices WHERE ended_ms IS NULL ORDER BY since_ms, id"
_OWED = """SELECT medium, count(*), min(owed_ms), max(attempts), max(reason) FROM outbox WHERE state = 'owed'
 GROUP BY medium ORDER BY medium"""
_BEHIND = """SELECT coalesce((SELECT max(id) FROM observations), 0)
 - coalesce((SELECT position FROM cursors WHERE name = 'influx'), 0)"""


class Replay(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    ids: Annotated[list[Annotated[int, Field(ge=1, le=2**62)]], Field(min_length=1, max_length=200)]


routes = APIRouter(prefix="/api/v1", responses=PROBLEMS)


@routes.get("/config", tags=["page"])
def config(site: Here, request: Request) -> Response:
    """What the page draws itself by: names, levels, map, and who asks. Served to everybody."""
    try:
        who = who_asks(site, request)
    except Problem:
        who = Who("", Role.PUBLIC)
    return json(_config(site, who))


@routes.get("/devices", tags=["operations"])
def devices(site: Here, who: Heavy) -> Response:
    """Every device: what became of its samples, and how it says it is."""
    return json({"devices": _devices(site, who)})


@routes.get("/health", tags=["operations"])
def health(site: Here, who: Staff) -> Response:
    """The house itself: bridge, broker, InfluxDB, media, and every condition that lasts."""
    return json(_health(site, who))


@routes.get("/letters", tags=["operations"])
def dead(site: Here, who: Staff, limit: Annotated[int, Query(ge=1, le=500)] = 100) -> Response:
    """Dead letters, the newest, and how many there are of each reason."""
    counts = dict(storefile.rows(site.bridge.store, storefile.LETTERS))
    newest = letterfile.newest(site.bridge.store)
    page, _ = letterfile.page(site.bridge.store, Choice(through=newest), max(0, newest - 4 * limit), 4 * limit)
    mine = [x for x in page if who.sees(x.tenant)][-limit:]
    return json({"codes": counts if who.tenants is None else {}, "letters": [_letter(x) for x in reversed(mine)]})


@routes.get("/letters/{number}", tags=["operations"])
def letter(site: Here, number: Annotated[int, Path(ge=1, le=2**62)], who: Staff) -> Response:
    """One of them: what it holds and what would make it acceptable."""
    found, _ = letterfile.page(site.bridge.store, Choice(ids=[number]))
    if not found or not who.sees(found[0].tenant):
        raise Problem(404, "not_found", f"there is no dead letter {number}", foreign=bool(found))
    x = found[0]
    shown = (x.payload or b"")[:SHOWN_BYTES].decode("utf-8", "replace")
    return json(_letter(x) | {"remedy": letters.remedy(x, site.registry), "payload": shown})


@routes.post("/letters/replay", tags=["operations"], responses=documented(409))
def replay(site: Here, body: Replay, who: Operator, address: Address) -> Response:
    """Have the bridge take letters again, once what spoiled them is mended."""
    found, _ = letterfile.page(site.bridge.store, Choice(ids=body.ids), limit=len(body.ids))
    if len(found) < len(set(body.ids)) or any(not who.sees(x.tenant) for x in found):
        foreign = any(not who.sees(x.tenant) for x in found)
        raise Problem(404, "not_found", "not all of these letters are there", foreign=foreign)
    said = {"choice": {"ids": body.ids}, "configuration": site.registry.digest()}
    return json(asked(site, who, "letters.replay", said, address))


def _config(site: Site, who: Who) -> dict[str, Any]:
    web, places = site.web, [(s.latitude, s.longitude) for s in site.registry.stations.values()]
    centre = [sum(x) / len(places) for x in zip(*places, strict=True)] if places else [34.34, 134.05]
    return {
        "version": 1,
        "title": {"ja": web.title_ja, "en": web.title_en},
        "tiles": {"url": web.map.tiles, "attribution": web.map.attribution} if web.map.tiles else None,
        "levels": [
            {"rank": x.rank, "key": x.key, "ja": x.ja, "en": x.en, "short_ja": x.short_ja or x.ja,
             "short_en": x.short_en or x.en, "exceeded_ja": x.exceeded_ja or x.ja, "exceeded_en": x.exceeded_en or x.en,
             "colour": x.colour, "text": x.text, "shape": x.shape, "size": x.size, "ring": x.ring,
             "hazard": x.hazard, "basis": x.basis}
            for x in site.registry.levels.levels
        ],
        "centre": centre,
        "bounds": _bounds(places),
        "you": {"name": who.name, "role": who.role.name.lower(), "via": who.via},
        "login": {"password": not web.loopback_operator, "oidc": web.oidc.name or True if web.oidc else False},
        "demo": web.loopback_operator,
        "staff": who.staff,
        "public": web.public,
    }  # fmt: skip


def _bounds(places: list[tuple[float, float]]) -> list[list[float]] | None:
    if not places:
        return None
    south, west = (min(x) for x in zip(*places, strict=True))
    north, east = (max(x) for x in zip(*places, strict=True))
    return [[south, west], [north, east]]


def _devices(site: Site, who: Who) -> list[dict[str, Any]]:
    ledger = gapfile.read(site.bridge.store, site.registry)
    said = {(t, d): rest for t, d, *rest in storefile.rows(site.bridge.store, _DEVICES)}
    own = boardfile.health(site.bridge.store, site.registry)
    found = []
    for key in sorted({*site.registry.devices, *said}):
        tenant, device = key
        if not who.sees(tenant):
            continue
        statement_ms, used, hours, status, birth = said.get(key, (None, None, None, None, None))
        account = gaps.account(x for x in ledger.logs if x.whose == key)
        assigned = account.stored + account.rejected + account.gone + account.held + account.unknown
        born = _facts(birth)
        found.append(
            {"tenant": tenant, "device": device, "stations": list(gaps.stations_of(site.registry, key)),
             "state": str(_facts(status).get("state") or "unknown"), "accounted": key not in ledger.unaccounted,
             "agent": born.get("agent"), "delivery": born.get("delivery"),
             "newest": iso(ledger.newest.get(key)), "statement": iso(statement_ms),
             "samples": {"assigned": assigned, "stored": account.stored, "rejected": account.rejected,
                         "gone": account.gone, "held": account.held, "unknown": account.unknown},
             "completeness": account.stored / assigned if assigned else None,
             "spool": {"used": used, "hours": hours},
             "health": {name: {"value": x.value, "observed": iso(x.observed_ms)}
                        for name in HEALTH_CHANNELS if (x := own.get((tenant, device, name))) is not None}}
        )  # fmt: skip
    return found


def _facts(text: str | None) -> dict[str, Any]:
    """What a device said of itself; as it came, so it may be anything."""
    try:
        said = text_json.loads(text or "{}")
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _health(site: Site, who: Who) -> dict[str, Any]:
    store = site.bridge.store
    board = site.boards.board()
    behind = storefile.rows(store, _BEHIND)[0][0]
    notices = storefile.rows(store, _NOTICES)
    return {
        "bridge": {"running": storefile.running(store), "received": iso(board.received_ms)},
        "influx": {"behind": int(behind)} if site.bridge.influx else None,
        "orion": _orion(site),
        "bulletins": _bulletins(site),
        "store": {"bytes": _size(site), "ceiling": site.bridge.store_max_bytes},
        "media": [
            {"medium": medium, "owed": n, "oldest": iso(at), "attempts": tried, "reason": why}
            for medium, n, at, tried, why in storefile.rows(store, _OWED)
        ],
        "notices": [
            {"code": code, "tenant": t, "device": d, "detail": detail, "since": iso(at)}
            for code, t, d, detail, at in notices
            if not t or who.sees(t)
        ],
    }


def _orion(site: Site) -> dict[str, Any] | None:
    if site.bridge.orion is None:
        return None
    x = orionstanding.read(site.bridge.store) or orionstanding.Standing()
    refused = {str(status): n for status, n in x.refused}
    return {"waiting": x.waiting, "since": iso(x.since_ms), "reason": x.reason, "answered": iso(x.answer_ms),
            "refused": refused}  # fmt: skip


def _bulletins(site: Site) -> dict[str, Any] | None:
    if site.bridge.bulletins is None:
        return None
    x = bulletinstanding.read(site.bridge.store) or bulletinstanding.Standing()
    unheard = x.unheard(site.clock.now_ms())
    return {"heard": iso(x.heard_ms), "unheard": unheard, "reason": x.reason, "updated": iso(x.updated_ms),
            "fates": x.fates}  # fmt: skip


def _size(site: Site) -> int:
    parts = (site.bridge.store, site.bridge.store.with_name(site.bridge.store.name + "-wal"))
    return sum(part.stat().st_size for part in parts if part.exists())


def _letter(x: letters.Letter) -> dict[str, Any]:
    return {
        "number": x.id, "tenant": x.tenant, "device": x.device, "topic": x.topic, "code": x.code.value,
        "meaning": RejectCode(x.code).sentence, "detail": x.detail, "received": iso(x.received_ms), "count": x.count,
        "bytes": x.bytes, "log": x.log, "seq": x.seq,
    }  # fmt: skip
