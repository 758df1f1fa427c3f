"""Accounts, tokens and the audit, as their owner or an administrator handles them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from gateway.instants import iso
from gateway.web.accountrows import Account, By, Declined, Scope, Token
from gateway.web.asking import Address, Administers, Administrator, Here, Self, Staff
from gateway.web.login import Password, book, declined, local
from gateway.web.problems import Problem, documented
from gateway.web.rest import NAME, PROBLEMS, json
from gateway.web.site import Site
from gateway.web.who import Role, Who

Tenants = Annotated[list[Annotated[str, Field(pattern=NAME)]], Field(min_length=1, max_length=100)] | None
RoleName = Literal["viewer", "operator", "administrator"]
TokenId = Annotated[str, Path(alias="id", pattern=r"^[0-9a-f]{12}$")]
Named = Annotated[str, Path(max_length=200)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class NewToken(_Body):
    """`tenants` null: those of the account."""

    scope: Scope
    days: Annotated[float, Field(ge=1, le=366)]
    label: Annotated[str, Field(max_length=100)] = ""
    tenants: Tenants = None


class NewAccount(_Body):
    """`password` null: for machines, by tokens alone. `tenants` null: all."""

    name: Annotated[str, Field(max_length=200)]
    role: RoleName
    password: Password | None = None
    tenants: Tenants = None
    display: Annotated[str, Field(max_length=100)] = ""


class AccountChange(_Body):
    """What is left out stays as it is."""

    role: RoleName | None = None
    tenants: Tenants = None
    disabled: bool | None = None
    password: Password | None = None


routes = APIRouter(prefix="/api/v1", responses=PROBLEMS, tags=["accounts"])


# --- one's own tokens ------------------------------------------------------------------------------------------------


@routes.get("/tokens")
def tokens(site: Here, who: Staff) -> Response:
    """One's own, the newest first; of the tokens themselves only the id is known."""
    return json({"tokens": [_token(x) for x in local(site, who).tokens.list(who.name)]})


@routes.post("/tokens", responses=documented(409))
def make_token(site: Here, body: NewToken, who: Self, address: Address) -> Response:
    """`token` is shown this once."""
    by = By.who(who, address)
    try:
        text, made = local(site, who).tokens.make(who.name, body.scope, body.days, by, body.label, body.tenants)
    except Declined as e:
        raise declined(e) from e
    return json({"token": text} | _token(made))


@routes.delete("/tokens/{id}", responses=documented(409))
def revoke(site: Here, id_: TokenId, who: Self, address: Address) -> Response:
    """At once, and for good."""
    try:
        local(site, who).tokens.revoke(id_, By.who(who, address), owner=who.name)
    except Declined as e:
        raise declined(e) from e
    return json({})


def _token(x: Token) -> dict[str, Any]:
    tenants = None if x.tenants is None else sorted(x.tenants)
    return {"id": x.id, "label": x.label, "scope": x.scope, "tenants": tenants, "made": iso(x.made_ms),
            "expires": iso(x.expires_ms), "used": iso(x.used_ms), "revoked": iso(x.revoked_ms)}  # fmt: skip


# --- for administrators ----------------------------------------------------------------------------------------------


@routes.get("/audit")
def audit(
    site: Here,
    who: Administers,
    hours: Annotated[float, Query(gt=0, le=24 * 800)] = 24.0 * 30,
    before: Annotated[int | None, Query(ge=1, le=2**62)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> Response:
    """Who did what, the newest first; `next` is `before` of the page after. It is of the whole house."""
    if who.tenants is not None:
        raise Problem(403, "forbidden", "this is for administrators of all tenants")
    since = site.clock.now_ms() - round(hours * 3_600_000)
    rows = book(site).audit.rows(since, before, limit)
    found = [
        {"number": x.id, "at": iso(x.at_ms), "who": x.who, "via": x.via, "address": x.address, "what": x.what,
         "subject": x.subject, "outcome": x.outcome}
        for x in rows
    ]  # fmt: skip
    return json({"rows": found, "next": rows[-1].id if len(rows) == limit else None})


@routes.get("/audit/refused")
def refused(
    site: Here,
    who: Administers,
    hours: Annotated[float, Query(gt=0, le=24 * 800)] = 24.0 * 30,
    before: Annotated[int | None, Query(ge=1, le=2**62)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> Response:
    """Who was refused what, counted by the hour, source and reason; the newest first, as `/audit`."""
    if who.tenants is not None:
        raise Problem(403, "forbidden", "this is for administrators of all tenants")
    rows = book(site).refusals.rows(site.clock.now_ms() - round(hours * 3_600_000), before, limit)
    found = [
        {"number": x.id, "first": iso(x.first_ms), "last": iso(x.last_ms), "who": x.who, "via": x.via,
         "address": x.address, "what": x.what, "code": x.code, "count": x.count}
        for x in rows
    ]  # fmt: skip
    return json({"rows": found, "next": rows[-1].id if len(rows) == limit else None})


@routes.get("/accounts")
def accounts(site: Here, who: Administers) -> Response:
    """Those within one's own tenants."""
    return json({"accounts": [_account(x) for x in book(site).members.list() if _within(who, x.tenants)]})


@routes.post("/accounts", responses=documented(409))
def make(site: Here, body: NewAccount, who: Administrator, address: Address) -> Response:
    """A new one."""
    _only_within(who, body.tenants)
    by = By.who(who, address)
    role = Role[body.role.upper()]
    try:
        made = book(site).members.make(body.name, role, by, body.password, body.tenants, body.display)
    except Declined as e:
        raise declined(e) from e
    return json(_account(made))


@routes.patch("/accounts/{name}", responses=documented(409))
def change(site: Here, name: Named, body: AccountChange, who: Administrator, address: Address) -> Response:
    """Role, tenants, password, whether it is disabled. Whoever is signed in with it must do so again."""
    was = _there(site, who, name)
    given = body.model_fields_set
    if was.name == who.name:
        raise Problem(409, "refused", "another administrator changes yours; your password is changed by /password")
    if "tenants" in given:
        _only_within(who, body.tenants)
    members, by = book(site).members, By.who(who, address)
    role = None if body.role is None else Role[body.role.upper()]
    try:
        if body.password is not None:
            members.set_password(was.name, body.password, by)
        if role is not None or body.disabled is not None or "tenants" in given:
            members.change(was.name, by, role, (body.tenants,) if "tenants" in given else None, body.disabled)
        return json(_account(members.account(was.name)))
    except Declined as e:
        raise declined(e) from e


@routes.delete("/accounts/{name}/sessions")
def sign_out(site: Here, name: Named, who: Administrator, address: Address) -> Response:
    """Everywhere; also somebody whom the provider knows (NAME@PROVIDER), for an administrator of all tenants."""
    if not ("@" in name and who.tenants is None):
        name = _there(site, who, name).name
    return json({"ended": book(site).sign_out(name, By.who(who, address))})


def _within(who: Who, tenants: frozenset[str] | None) -> bool:
    return who.tenants is None or (tenants is not None and tenants <= who.tenants)


def _only_within(who: Who, tenants: list[str] | None) -> None:
    if not _within(who, None if tenants is None else frozenset(tenants)):
        raise Problem(403, "forbidden", "an administrator of some tenants gives rights in these alone")


def _there(site: Site, who: Who, name: str) -> Account:
    """Raises Problem 404 also for one outside the tenants of whoever asks."""
    try:
        found = book(site).members.account(name)
    except Declined as e:
        raise Problem(404, "not_found", str(e)) from e
    if not _within(who, found.tenants):
        raise Problem(404, "not_found", "there is no account of that name", foreign=True)
    return found


def _account(x: Account) -> dict[str, Any]:
    tenants = None if x.tenants is None else sorted(x.tenants)
    return {
        "name": x.name,
        "display": x.display,
        "role": x.role.name.lower(),
        "tenants": tenants,
        "disabled": x.disabled,
        "machine": x.machine,
        "made": iso(x.made_ms),
        "changed": iso(x.changed_ms),
    }
