"""Who asks, by what a request brings: a token, a session, or the machine of a demonstration; and whether they may.

Whoever changes anything by a cookie or from this machine must bring a header that no foreign page can send, and come
from this page (cross-site request forgery).
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Callable
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from fastapi import Depends, Request

from gateway.web.problems import Problem
from gateway.web.site import Site
from gateway.web.who import PUBLIC, Role, Who

COOKIE = "suimon_session"
HEADER = "X-Suimon"
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
SCOPES = {Role.PUBLIC: "read", Role.VIEWER: "read", Role.OPERATOR: "act", Role.ADMINISTRATOR: "admin"}


def address_of(request: Request) -> str:
    return request.client.host if request.client is not None else ""


def who_asks(site: Site, request: Request) -> Who:
    """Raises Problem 401 for a token or session that is none (any more)."""
    given = request.headers.get("authorization", "")
    if given:
        kind, _, token = given.partition(" ")
        who = site.accounts.token(token.strip()) if kind.lower() == "bearer" else None
        if who is None:  # whoever asks is nobody; in the count of refusals stands whose token it was
            request.state.who = Who(site.accounts.whose(token.strip()), Role.PUBLIC, None, "token")
            raise Problem(401, "unauthenticated", "the token is unknown, expired or revoked", _CHALLENGE)
        return who
    cookie = request.cookies.get(COOKIE)
    if cookie and (who := site.accounts.session(cookie)) is not None:
        return who
    if site.web.loopback_operator and _at_this_machine(request):
        return Who("demo", Role.OPERATOR, None, "loopback")
    return PUBLIC


_CHALLENGE = {"WWW-Authenticate": "Bearer"}


def _at_this_machine(request: Request) -> bool:
    """By address and by name: a foreign name that was made to point here is not this machine."""
    try:
        near = ipaddress.ip_address(address_of(request)).is_loopback
    except ValueError:
        return False
    host = _split(f"//{request.headers.get('host', '')}").hostname
    return near and host in LOOPBACK_NAMES and "x-forwarded-for" not in request.headers


def site_here(request: Request) -> Site:
    found: Site = request.app.state.site
    return found


def needs(role: Role, act: bool = False, cost: float = 1.0) -> Callable[[Request], Who]:
    """A dependency: who asks, if they may. `act`: it changes something."""

    def found(request: Request) -> Who:
        site = site_here(request)
        try:
            who = request.state.who = who_asks(site, request)
        except Problem:
            _slowly(site, f"refused:{address_of(request)}", cost)
            raise
        _slowly(site, f"{who.via}:{who.name or address_of(request)}", cost)
        if who.role is Role.PUBLIC and (role > Role.PUBLIC or not site.web.public):
            raise Problem(401, "unauthenticated", "sign in, or send a token", _CHALLENGE)
        if who.role < role:
            raise Problem(403, "forbidden", f"this needs the role {role.name.lower()}; you are {who.role.name.lower()}")
        if who.via == "token" and SCOPES[role if act else Role.VIEWER] not in who.scopes:
            raise Problem(403, "forbidden", f"the token lacks the scope {SCOPES[role if act else Role.VIEWER]}")
        if act and who.via in ("session", "loopback"):
            from_here(request)
        return who

    return found


def _slowly(site: Site, key: str, cost: float) -> None:
    """Raises Problem 429 for who asks too often."""
    waits = site.accounts.allow(key, cost)
    if waits > 0:
        seconds = str(max(1, math.ceil(waits)))
        raise Problem(429, "too_many", f"too many requests; wait {seconds} s", {"Retry-After": seconds})


def _split(url: str) -> SplitResult:
    """Of nowhere, where it cannot be read."""
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


def from_here(request: Request) -> None:
    """Raises Problem 403 for a request that a foreign page may have caused."""
    origin = request.headers.get("origin")
    host = request.headers.get("host", "")
    if HEADER.lower() not in request.headers or (origin is not None and _split(origin).netloc != host):
        raise Problem(403, "cross_site", f"send it from the page itself, with the header {HEADER}")


Here = Annotated[Site, Depends(site_here)]
Address = Annotated[str, Depends(address_of)]  # of whoever asks
Reader = Annotated[Who, Depends(needs(Role.PUBLIC))]  # anybody, where the configuration opens it
Reading = Annotated[Who, Depends(needs(Role.PUBLIC, cost=2.0))]  # what costs more than a look
Staff = Annotated[Who, Depends(needs(Role.VIEWER))]
Heavy = Annotated[Who, Depends(needs(Role.VIEWER, cost=5.0))]
Operator = Annotated[Who, Depends(needs(Role.OPERATOR, act=True))]
Administrator = Annotated[Who, Depends(needs(Role.ADMINISTRATOR, act=True))]
Administers = Annotated[Who, Depends(needs(Role.ADMINISTRATOR))]  # looks at what only administrators see
Self = Annotated[Who, Depends(needs(Role.VIEWER, act=True))]  # changes what is one's own
