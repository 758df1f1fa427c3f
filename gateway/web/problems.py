"""Errors of one shape (RFC 9457): what is wrong, and a code that scripts may go by."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.routing import Match

from gateway.errors import Unavailable
from gateway.web.who import PUBLIC, Who

TITLES = {
    400: "This request cannot be understood",
    401: "Say who you are",
    403: "You may not do this",
    404: "There is no such thing",
    405: "This cannot be done here",
    409: "This was refused",
    413: "This is too long",
    415: "This kind of content is not taken",
    422: "A value does not fit",
    429: "Too many requests",
    431: "The headers are too long",
    503: "Not available just now",
}


class ProblemBody(BaseModel):
    """`application/problem+json`. `refusal`: where the bridge refused an act, `code` (a word of the act codes in
    gateway/README.md) and `facts` (by name; names of stations, levels as {ja, en}, times as ms, lengths in hours)."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    refusal: dict[str, Any] | None = None


class Problem(Exception):
    """Ends a request. `code` is a word of a closed list (gateway/README.md). `foreign`: it asked for what is of
    another tenant, of which it is told nothing. `refusal`: the bridge's code and facts, where it gave them."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        headers: dict[str, str] | None = None,
        type_: str = "about:blank",
        foreign: bool = False,
        refusal: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail, self.headers, self.type = status, code, detail, headers or {}, type_
        self.foreign, self.refusal = foreign, refusal


def answer(
    status: int,
    code: str,
    detail: str,
    headers: dict[str, str] | None = None,
    type_: str = "about:blank",
    refusal: dict[str, Any] | None = None,
) -> Response:
    title = TITLES.get(status, "An error")
    body: dict[str, Any] = {"type": type_, "title": title, "status": status, "detail": detail, "code": code}
    body |= {"refusal": refusal} if refusal is not None else {}
    return Response(msgspec.json.encode(body), status, headers, "application/problem+json")


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For the OpenAPI document."""
    schema = {"application/problem+json": {"schema": ProblemBody.model_json_schema()}}
    return {status: {"description": TITLES[status], "content": schema} for status in statuses}


def _said(error: Any) -> str:
    where = ".".join(str(x) for x in error["loc"])
    return f"{where}: {error['msg']}"


METHODS = ("DELETE", "GET", "PATCH", "POST", "PUT")


def _allowed(request: Request) -> list[str]:
    """Of all routes of a path: the library names those of the first."""
    routes = request.app.routes
    return [m for m in METHODS if any(x.matches({**request.scope, "method": m})[0] is Match.FULL for x in routes)]


def _count(request: Request, e: Problem) -> None:
    """What was refused for whom it came from. Looking without being signed in is no try of anything."""
    who: Who = getattr(request.state, "who", PUBLIC)
    place = request.path_params.get("tenant") or request.headers.get("ngsild-tenant") or None
    foreign = e.status == 404 and (e.foreign or (place is not None and not who.sees(place)))
    looked = e.code == "unauthenticated" and request.method == "GET" and "authorization" not in request.headers
    if (e.status not in (401, 403, 429) and not foreign) or looked or e.code == "wrong_login":
        return  # a wrong password is in the audit
    route = request.scope.get("route")
    what = f"{request.method} {getattr(route, 'path', '')}"
    address = request.client.host if request.client is not None else ""
    request.app.state.site.accounts.refuse(who, address, what, "foreign_tenant" if foreign else e.code)


def install(app: FastAPI) -> None:
    """Every way out has the same shape."""

    @app.exception_handler(Problem)
    def problem(request: Request, e: Problem) -> Response:
        _count(request, e)
        return answer(e.status, e.code, e.detail, e.headers, e.type, e.refusal)

    @app.exception_handler(Unavailable)
    def unavailable(_: Request, e: Unavailable) -> Response:
        return answer(503, "unavailable", "the bridge's store cannot be read just now", {"Retry-After": "5"})

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, e: RequestValidationError) -> Response:
        if "/ngsi-ld/" in request.url.path:  # the standard has one answer for it
            detail = "; ".join(_said(x) for x in e.errors()[:5])[:1000]
            return answer(400, "invalid", detail, type_="https://uri.etsi.org/ngsi-ld/errors/BadRequestData")
        return answer(422, "invalid", "; ".join(_said(x) for x in e.errors()[:5])[:1000])

    @app.exception_handler(HTTPException)
    def http(request: Request, e: HTTPException) -> Response:
        codes = {404: "not_found", 405: "not_allowed", 413: "too_long"}
        headers = dict(e.headers or {})
        if e.status_code == 405:
            headers["Allow"] = ", ".join(_allowed(request))
        return answer(e.status_code, codes.get(e.status_code, "invalid"), str(e.detail), headers)
