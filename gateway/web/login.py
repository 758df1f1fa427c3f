"""Signing in and out: by name and password, or at the provider of names that web.yaml tells of."""

from __future__ import annotations

import html
import math
import threading
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, ConfigDict, Field

from gateway.web.accountrows import Declined
from gateway.web.accounts import Accounts, Refused, Session
from gateway.web.asking import COOKIE, Address, Here, Self, Staff, address_of, from_here
from gateway.web.problems import Problem, documented
from gateway.web.rest import PROBLEMS, json
from gateway.web.site import Site
from gateway.web.who import Who

if TYPE_CHECKING:
    from gateway.web import oidc  # 16 MB, for those who have a provider: loaded at the first sign-in there

STATE = "suimon_oidc"
COST = 10.0  # of a try to sign in, in requests
Password = Annotated[str, Field(max_length=1000)]


class Login(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    name: Annotated[str, Field(max_length=200)]
    password: Password


class NewPassword(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    password: Password
    new: Password


def book(site: Site) -> Accounts:
    """Raises Problem 503 where the page runs without accounts."""
    if not isinstance(site.accounts, Accounts):
        raise Problem(503, "unavailable", "there are no accounts here")
    return site.accounts


def local(site: Site, who: Who) -> Accounts:
    """For what belongs to a person with an account here. Raises Problem 403 for programs and whom a provider knows:
    a token makes no tokens, and a provider does not say when somebody leaves."""
    if who.via != "session" or "@" in who.name:
        raise Problem(403, "forbidden", "this is for whoever signed in with a name and a password of this house")
    return book(site)


def declined(e: Declined) -> Problem:
    return Problem(409, "refused", str(e))


def you(who: Who) -> dict[str, Any]:
    tenants = None if who.tenants is None else sorted(who.tenants)
    return {
        "name": who.name,
        "role": who.role.name.lower(),
        "tenants": tenants,
        "via": who.via,
        "scopes": sorted(who.scopes),
    }


routes = APIRouter(prefix="/api/v1", responses=PROBLEMS)


@routes.post("/login", tags=["accounts"])
def login(site: Here, request: Request, body: Login) -> Response:
    """By name and password; the session is a cookie. After three wrong ones each next takes longer."""
    from_here(request)
    _slowly(site, request)
    found = book(site).login(body.name, body.password, address_of(request))
    if isinstance(found, Refused):
        raise _refused(found)
    answer = json(you(found.who))
    _remember(site, request, answer, found)
    return answer


@routes.post("/logout", tags=["accounts"])
def logout(site: Here, request: Request) -> Response:
    """The session of this browser ends."""
    from_here(request)
    _slowly(site, request)
    if cookie := request.cookies.get(COOKIE):
        book(site).logout(cookie, address_of(request))
    answer = json({})
    answer.delete_cookie(COOKIE, path=_path(site), httponly=True, samesite="strict")
    return answer


@routes.get("/me", tags=["accounts"])
def me(who: Staff) -> Response:
    """Who asks, and what they may."""
    return json(you(who))


@routes.post("/password", tags=["accounts"], responses=documented(409))
def password(site: Here, body: NewPassword, who: Self, address: Address) -> Response:
    """One's own, by the old one. Every session of the account ends."""
    try:
        found = local(site, who).change_password(who, body.password, body.new, address)
    except Declined as e:
        raise declined(e) from e
    if found is not None:
        raise _refused(found)
    return json({})


def _refused(found: Refused) -> Problem:
    if found.reason == "wrong":
        return Problem(401, "wrong_login", "name or password is wrong")
    seconds = str(max(1, math.ceil(found.seconds)))
    why = "several passwords were wrong" if found.reason == "wait" else "many sign in at this moment"
    return Problem(429, "too_many", f"{why}; try again in {seconds} s", {"Retry-After": seconds})


def _slowly(site: Site, request: Request) -> None:
    waits = site.accounts.allow(f"login:{address_of(request)}", COST)
    if waits > 0:
        seconds = str(max(1, math.ceil(waits)))
        raise Problem(429, "too_many", f"too many requests; wait {seconds} s", {"Retry-After": seconds})


def _path(site: Site) -> str:
    return site.web.path or "/"


def _remember(site: Site, request: Request, answer: Response, session: Session) -> None:
    """The scheme is the proxy's where that is trusted (`app.Edge`)."""
    answer.set_cookie(
        COOKIE,
        session.text,
        max_age=session.longest_s,
        path=_path(site),
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )


# --- at a provider -------------------------------------------------------------------------------------------------

doors = APIRouter(prefix="/oidc", include_in_schema=False)
_making = threading.Lock()
_NOT_KEPT = {"Cache-Control": "no-store"}
Given = Annotated[str, Query(max_length=4000)]


def provider_of(site: Site, request: Request) -> oidc.Provider:
    """The one of this process, as web.yaml tells of it now. Raises Problem 404."""
    if site.web.oidc is None:
        raise Problem(404, "not_found", "no provider of names is configured")
    from gateway.web import oidc

    state = request.app.state
    with _making:
        known: oidc.Provider | None = getattr(state, "provider", None)
        if known is None or known.settings != site.web.oidc:
            known = state.provider = oidc.Provider(site.web.oidc, site.clock)
        return known


@doors.get("/start")
def start(site: Here, request: Request) -> Response:
    """To the provider. What comes back counts only in this browser, which a cookie knows again; `lax`, because the
    provider's page is a foreign one."""
    _slowly(site, request)
    provider = provider_of(site, request)
    from gateway.web import oidc

    back = f"{request.url.scheme}://{request.headers.get('host', '')}{site.web.path}/oidc/return"
    try:
        begun = provider.start(back)
    except oidc.NotAdmitted as e:
        return _failed(site, request, e)
    answer = RedirectResponse(begun.url, 303, _NOT_KEPT)
    secure = request.url.scheme == "https"
    at = f"{site.web.path}/oidc"
    answer.set_cookie(STATE, begun.browser, int(oidc.PENDING_S), path=at, secure=secure, httponly=True, samesite="lax")
    return answer


@doors.get("/return")
def back(site: Here, request: Request, state: Given = "", code: Given = "") -> Response:
    """From the provider, to the page."""
    _slowly(site, request)
    provider = provider_of(site, request)
    from gateway.web import oidc

    try:
        who = provider.finish(state, code, request.cookies.get(STATE, ""))
    except oidc.NotAdmitted as e:
        return _failed(site, request, e)
    session = book(site).admit(who, provider.settings.issuer, address_of(request))
    answer = RedirectResponse(f"{site.web.path}/", 303, _NOT_KEPT)
    answer.delete_cookie(STATE, path=f"{site.web.path}/oidc")
    _remember(site, request, answer, session)
    return answer


_FAILED = """<!doctype html><html lang="ja"><meta charset="utf-8"><title>ログインできません / Could not log in</title>
<h1>ログインできません<br><span lang="en">Could not log in</span></h1>
<p lang="en">{why}.</p><p><a href="{page}">{title}</a></p></html>
"""


def _failed(site: Site, request: Request, e: oidc.NotAdmitted) -> Response:
    """For a person's eyes: it is a page that the browser was sent to."""
    book(site).failed(address_of(request), e.subject, e.reason)
    page = html.escape(f"{site.web.path}/")
    text = _FAILED.format(why=html.escape(e.reason.sentence), page=page, title=html.escape(site.web.title_ja))
    return Response(text, 403, _NOT_KEPT, media_type="text/html; charset=utf-8")
