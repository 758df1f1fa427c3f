"""CAP documents and their Atom feed over HTTP. What is restricted is for staff; a drill is never for the public."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response

from gateway import capatom, settings, storefile
from gateway.capatom import Listed
from gateway.web.asking import Here, Reader
from gateway.web.problems import Problem
from gateway.web.rest import PROBLEMS, tagged
from gateway.web.site import Site, base_of
from gateway.web.who import Who

NAME = "feed.atom"
_DOCUMENT = "SELECT document, scope, status, tenant FROM cap WHERE identifier = ?"

Answers = dict[int | str, dict[str, Any]]
routes = APIRouter(prefix="/cap", responses=PROBLEMS)
ATOM: Answers = {200: {"description": "Atom (RFC 4287)", "content": {"application/atom+xml": {}}}}
CAP: Answers = {200: {"description": "CAP 1.2 (OASIS)", "content": {"application/cap+xml": {}}}}


@routes.get("/" + NAME, tags=["alerts"], responses=ATOM)
def feed(site: Here, request: Request, who: Reader) -> Response:
    """What was sent in the last 48 hours, newest first."""
    to = _cap(site)
    found = [x for x in capatom.listed(site.bridge.store, site.clock.now_ms()) if _may(who, x)]
    body = capatom.feed(found, to, NAME, f"{base_of(site, request)}/cap/").encode()
    return tagged(request, body, "application/atom+xml")


@routes.get("/{name}", tags=["alerts"], responses=CAP)
def document(
    site: Here, request: Request, name: Annotated[str, Path(pattern=r"^[A-Za-z0-9._:@-]{1,200}\.xml$")], who: Reader
) -> Response:
    """One document, as it was made."""
    _cap(site)
    identifier = name.removesuffix(".xml")
    for text, scope, status, tenant in storefile.rows(site.bridge.store, _DOCUMENT, (identifier,)):
        if _may(who, Listed(identifier, 0, status, "", scope, "", tenant)):
            return tagged(request, str(text).encode(), "application/cap+xml")
    raise Problem(404, "not_found", f"there is no document {identifier}")


def _cap(site: Site) -> settings.Cap:
    if site.bridge.cap is None:
        raise Problem(404, "not_found", "this house makes no CAP documents")
    return site.bridge.cap


def _may(who: Who, x: Listed) -> bool:
    return who.sees(x.tenant) and (who.staff or (x.scope == "Public" and x.status != "Exercise"))
