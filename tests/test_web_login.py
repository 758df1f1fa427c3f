"""Signing in over HTTP: cookies, tokens, accounts, the audit, the provider of names; and what is refused to whom."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi.testclient import TestClient

from gateway import websettings
from gateway.web import acts, app
from gateway.web.accounts import Accounts
from gateway.web.asking import COOKIE
from gateway.web.login import STATE
from gateway.web.site import Site
from gateway.web.who import Role
from tests import oidcprovider, website
from tests.oidcprovider import CLIENT, SECRET
from tests.test_cli_journal import T0, House
from tests.webaccounts import BY, PASSWORD, Turned, accounts

PAGE = {"X-Suimon": "page"}
ACT = {"kind": "acknowledge", "tenant": "takamatsu", "episode": "x"}


@pytest.fixture
def clock() -> Turned:
    return Turned()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with House(tmp_path) as found:
        found.reads(0.0, 1.0)
        yield found


@pytest.fixture
def known(tmp_path: Path, clock: Turned) -> Iterator[Accounts]:
    (tmp_path / "own").mkdir()
    found = accounts(tmp_path / "own", clock)
    yield found
    found.close()


@pytest.fixture
def here(house: House, known: Accounts) -> Site:
    return website.site(house, known=known)  # type: ignore[arg-type]


def browser(site: Site, base: str = "http://flood.example", address: str = "192.0.2.7") -> TestClient:
    return beside(app.create(site), base, address)


def beside(served: Any, base: str = "http://flood.example", address: str = "192.0.2.7") -> TestClient:
    """Another browser of the same page."""
    return TestClient(
        served, base, headers=PAGE, client=(address, 50000), raise_server_exceptions=False, follow_redirects=False
    )


def login(to: TestClient, name: str, password: str = PASSWORD) -> Any:
    return to.post("/api/v1/login", json={"name": name, "password": password})


def signed_in(site: Site, name: str = "operator") -> TestClient:
    found = browser(site)
    assert login(found, name).status_code == 200
    return found


def with_token(site: Site, token: str) -> TestClient:
    found = browser(site)
    found.headers["Authorization"] = f"Bearer {token}"
    return found


def code(answer: Any) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return answer.status_code, answer.json()["code"]


# --- a browser -------------------------------------------------------------------------------------------------------


def test_signing_in_and_out(here: Site) -> None:
    """The page reads and acts by its cookie, until it is given up."""
    to = browser(here)
    assert code(to.get("/api/v1/me")) == (401, "unauthenticated")
    told = login(to, "operator").json()
    assert told == {
        "name": "operator",
        "role": "operator",
        "tenants": None,
        "via": "session",
        "scopes": ["act", "admin", "read"],
    }
    assert to.get("/api/v1/me").json() == told
    assert to.get("/api/v1/board").status_code == 200
    assert to.get("/api/v1/config").json()["you"] == {"name": "operator", "role": "operator", "via": "session"}
    kept = to.cookies[COOKIE]
    assert to.post("/api/v1/logout", json={}).status_code == 200
    assert COOKIE not in to.cookies
    to.cookies[COOKIE] = kept
    assert code(to.get("/api/v1/me")) == (401, "unauthenticated")
    assert to.post("/api/v1/logout", json={}).status_code == 200, "twice is no mistake"


@pytest.mark.parametrize(
    ("forwarded", "address", "path", "marks"),
    [
        ({}, "192.0.2.7", "", {"HttpOnly", "SameSite=strict", "Path=/"}),
        ({}, "192.0.2.7", "/flood", {"HttpOnly", "SameSite=strict", "Path=/flood"}),
        ("https", "10.0.0.5", "/flood", {"HttpOnly", "SameSite=strict", "Path=/flood", "Secure"}),
        ("http", "10.0.0.5", "", {"HttpOnly", "SameSite=strict", "Path=/"}),
        ("https", "10.0.0.6", "", {"HttpOnly", "SameSite=strict", "Path=/"}),
    ],
)
def test_the_cookie(house: House, known: Accounts, forwarded: str, address: str, path: str, marks: set[str]) -> None:
    """No script reads it, no foreign page sends it, and by https it stays there: as a trusted proxy says, nobody
    else."""
    website.add_web(house.folder, f"proxies: [10.0.0.5]\n{f'path: {path}' if path else ''}\n")
    to = browser(website.site(house, known=known), address=address)  # type: ignore[arg-type]
    if forwarded:
        to.headers |= {"X-Forwarded-For": "198.51.100.4", "X-Forwarded-Proto": forwarded}
    said = to.post(f"{path}/api/v1/login", json={"name": "viewer", "password": PASSWORD}).headers["set-cookie"]
    value, *rest = said.split("; ")
    assert value.startswith(f"{COOKIE}=")
    assert {x for x in rest if not x.startswith(("Max-Age", "expires"))} == marks
    assert "Max-Age=604800" in rest
    noted = known.audit.rows(limit=1)[0]
    assert noted.address == ("198.51.100.4" if address == "10.0.0.5" else address)


def test_who_is_not_let_in(here: Site, known: Accounts) -> None:
    """A wrong password, an unknown name and a disabled account are told apart by nobody outside."""
    known.members.change("viewer", BY, disabled=True)
    told = [login(browser(here, address=f"192.0.2.{n}"), *x) for n, x in enumerate((
        ("operator", "wrong wrong wrong"), ("nobody", PASSWORD), ("viewer", PASSWORD), ("machine\u0000", PASSWORD)
    ))]  # fmt: skip
    assert {code(x) for x in told} == {(401, "wrong_login")}
    assert len({x.content for x in told}) == 1
    assert not any("set-cookie" in x.headers for x in told)
    outcomes = [x.outcome for x in reversed(known.audit.rows(limit=4))]
    assert outcomes == ["wrong_password", "unknown_name", "disabled", "unknown_name"]


def test_guessing_waits(here: Site, clock: Turned) -> None:
    """And says for how long."""
    to = browser(here)
    for _ in range(4):
        assert code(login(to, "operator", "wrong wrong wrong")) == (401, "wrong_login")
    answer = login(to, "operator")
    assert (code(answer), answer.headers["retry-after"]) == ((429, "too_many"), "1")
    clock.passes(1)
    assert login(to, "operator").status_code == 200


def test_signing_in_without_end(here: Site) -> None:
    """Is slowed down before any password is looked at."""
    to = browser(here)
    found = [to.post("/api/v1/logout", json={}).status_code for _ in range(20)]
    assert found == [200] * 12 + [429] * 8
    assert code(login(to, "operator")) == (429, "too_many")


@pytest.mark.parametrize(
    "headers",
    [{"X-Suimon": ""}, {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": "http://["}, {"Origin": "x"}],
)
def test_foreign_pages(here: Site, headers: dict[str, str]) -> None:
    """Neither sign anybody in, nor out, nor act, nor make tokens: without the page's header, or from elsewhere."""
    to = signed_in(here)
    if not headers.get("X-Suimon", "x"):
        del to.headers["X-Suimon"]
        headers = {}
    asks: list[tuple[str, Any]] = [
        ("login", {"name": "operator", "password": PASSWORD}),
        ("logout", {}),
        ("acts", ACT),
        ("tokens", {"scope": "read", "days": 1}),
        ("password", {"password": PASSWORD, "new": "a new one that is long"}),
    ]
    for path, body in asks:
        assert code(to.post(f"/api/v1/{path}", json=body, headers=headers)) == (403, "cross_site"), path
    assert to.get("/api/v1/me").status_code == 200


@pytest.mark.parametrize("cookie", ["", "x", "x" * 43, "x" * 5000, "sui_0_0", "%00"])
def test_cookies_that_are_none(here: Site, cookie: str) -> None:
    """Are nobody's."""
    to = browser(here)
    to.cookies[COOKIE] = cookie
    assert code(to.get("/api/v1/board")) == (401, "unauthenticated")


def test_ones_own_password(here: Site) -> None:
    """By the old one; then every session is over."""
    to, beside = signed_in(here), signed_in(here)
    new = {"password": PASSWORD, "new": "a new one that is long"}
    assert code(to.post("/api/v1/password", json=new | {"password": "wrong"})) == (401, "wrong_login")
    short = to.post("/api/v1/password", json=new | {"new": "short"})
    assert (code(short), "12 characters" in short.text) == ((409, "refused"), True)
    assert to.post("/api/v1/password", json=new).status_code == 200
    for each in (to, beside):
        assert code(each.get("/api/v1/me")) == (401, "unauthenticated")
    assert code(login(to, "operator")) == (401, "wrong_login")
    assert login(to, "operator", "a new one that is long").status_code == 200


def test_without_accounts(house: House) -> None:
    """Nobody signs in, and that is said."""
    assert code(login(browser(website.site(house)), "operator")) == (503, "unavailable")


# --- who may what ----------------------------------------------------------------------------------------------------

ASKS: dict[str, Callable[[TestClient], Any]] = {
    "board": lambda to: to.get("/api/v1/board"),
    "journal": lambda to: to.get("/api/v1/journal"),
    "me": lambda to: to.get("/api/v1/me"),
    "own tokens": lambda to: to.get("/api/v1/tokens"),
    "new token": lambda to: to.post("/api/v1/tokens", json={"scope": "read", "days": 1}),
    "replay": lambda to: to.post("/api/v1/letters/replay", json={"ids": [1]}),
    "audit": lambda to: to.get("/api/v1/audit"),
    "accounts": lambda to: to.get("/api/v1/accounts"),
    "new account": lambda to: to.post("/api/v1/accounts", json={"name": "viewer", "role": "viewer"}),
    "disable": lambda to: to.patch("/api/v1/accounts/nobody", json={"disabled": True}),
    "sign out": lambda to: to.delete("/api/v1/accounts/nobody/sessions"),
}
# What each is answered; where it may, the answer is what the thing itself says (a letter that is not there: 404).
MAY = {
    "nobody": {},
    "viewer": {"board": 200, "journal": 200, "me": 200, "own tokens": 200, "new token": 200},
    "operator": {"board": 200, "journal": 200, "me": 200, "own tokens": 200, "new token": 200, "replay": 404},
    "administrator": {"board": 200, "journal": 200, "me": 200, "own tokens": 200, "new token": 200, "replay": 404,
                      "audit": 200, "accounts": 200, "new account": 409, "disable": 404, "sign out": 404},
    "elsewhere": {"board": 200, "journal": 200, "me": 200, "own tokens": 200, "new token": 200, "replay": 404,
                  "accounts": 200, "disable": 404, "sign out": 404},
    "token read": {"board": 200, "journal": 200, "me": 200},
    "token act": {"board": 200, "journal": 200, "me": 200, "replay": 404},
    "token admin": {"board": 200, "journal": 200, "me": 200, "replay": 404, "audit": 200, "accounts": 200,
                    "new account": 409, "disable": 404, "sign out": 404},
}  # fmt: skip


@pytest.mark.parametrize("who", MAY)
def test_who_may_what(here: Site, known: Accounts, who: str) -> None:
    """Each role and each scope, and everything that was not said is refused."""
    if who.startswith("token"):
        text, _ = known.tokens.make("administrator", who.split()[1], 1, BY)  # type: ignore[arg-type]
        to = with_token(here, text)
    else:
        to = browser(here) if who == "nobody" else signed_in(here, who)
    refusal = 401 if who == "nobody" else 403
    assert {name: ask(to).status_code for name, ask in ASKS.items()} == {x: MAY[who].get(x, refusal) for x in ASKS}


def test_an_act_is_in_the_audit(here: Site, known: Accounts, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asked the bridge for what, from where, as which request, and what it said so far."""
    monkeypatch.setattr(acts, "WAIT_S", 0.01)
    told = signed_in(here).post("/api/v1/acts", json=ACT | {"note": "見た"})
    assert told.json()["state"] == "asked"
    row = known.audit.rows(limit=1)[0]
    assert (row.who, row.via, row.address, row.what, row.outcome) == (
        "operator", "session", "192.0.2.7", "alert.acknowledge", "asked"
    )  # fmt: skip
    assert row.subject == f"takamatsu x request {told.json()['request']}"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "tokens", "GET, POST"),
        ("DELETE", "accounts", "GET, POST"),
        ("GET", "accounts/x", "PATCH"),
        ("POST", "me", "GET"),
    ],
)
def test_what_cannot_be_done_there(here: Site, method: str, path: str, allowed: str) -> None:
    """Says what can, by all routes of the path."""
    answer = browser(here).request(method, f"/api/v1/{path}")
    assert (code(answer), answer.headers["allow"]) == ((405, "not_allowed"), allowed)


# --- tokens ----------------------------------------------------------------------------------------------------------


def test_a_token_of_ones_own(here: Site, clock: Turned) -> None:
    """Made in the browser, shown once, used by a program, revoked."""
    to = signed_in(here)
    made = to.post("/api/v1/tokens", json={"scope": "act", "days": 30, "label": "GIS"}).json()
    (listed,) = to.get("/api/v1/tokens").json()["tokens"]
    assert listed == {k: v for k, v in made.items() if k != "token"}
    assert (listed["label"], listed["scope"], listed["used"], listed["revoked"]) == ("GIS", "act", None, None)
    program = with_token(here, made["token"])
    del program.headers["X-Suimon"]
    assert program.get("/api/v1/me").json()["scopes"] == ["act", "read"]
    assert program.post("/api/v1/letters/replay", json={"ids": [1]}).status_code == 404, "no header of the page's"
    assert to.get("/api/v1/tokens").json()["tokens"][0]["used"] is not None
    assert code(signed_in(here, "viewer").delete(f"/api/v1/tokens/{made['id']}")) == (409, "refused")
    assert to.delete(f"/api/v1/tokens/{made['id']}").status_code == 200
    assert code(program.get("/api/v1/me")) == (401, "unauthenticated")
    assert code(to.delete(f"/api/v1/tokens/{made['id']}")) == (409, "refused")
    for scope, days, status in (("admin", 30, 409), ("act", 367, 422), ("act", 0, 422), ("root", 1, 422)):
        assert to.post("/api/v1/tokens", json={"scope": scope, "days": days}).status_code == status
    assert code(to.post("/api/v1/tokens", json={"scope": "read", "days": 1, "tenants": []})) == (422, "invalid")


def test_tokens_that_are_none(here: Site, known: Accounts, clock: Turned, tmp_path: Path) -> None:
    """Wrong, expired, revoked, foreign, of somebody disabled, malformed: all the same clear answer, also where anybody
    may read."""
    good, kept = known.tokens.make("operator", "read", 10, BY)
    short, _ = known.tokens.make("viewer", "read", 1, BY)
    gone, revoked = known.tokens.make("operator", "read", 10, BY)
    known.tokens.revoke(revoked.id, BY)
    known.members.make("left", Role.VIEWER, BY, PASSWORD)
    left, _ = known.tokens.make("left", "read", 10, BY)
    known.members.change("left", BY, disabled=True)
    (tmp_path / "other").mkdir()
    other = accounts(tmp_path / "other", clock)
    foreign, _ = other.tokens.make("operator", "read", 10, BY)
    other.close()
    clock.passes(2 * 86_400)
    assert with_token(here, good).get("/api/v1/board").status_code == 200
    wrong = f"{good[:-3]}{'AAA' if good[-3:] != 'AAA' else 'BBB'}"
    for text in (wrong, short, gone, left, foreign, "", "x", f"sui_{kept.id}_", good * 100, "sui__", "Bearer"):
        answer = with_token(here, text).get("/api/v1/board")
        assert code(answer) == (401, "unauthenticated"), text
        assert answer.headers["www-authenticate"] == "Bearer"
        assert len(text) < 10 or text not in answer.text


# --- administrators --------------------------------------------------------------------------------------------------


def test_accounts(here: Site) -> None:
    """An administrator makes one, changes it, disables it; what is wrong with a password is said without it."""
    to = signed_in(here, "administrator")
    new = {"name": "Suzuki", "role": "operator", "password": "several words here", "tenants": ["takamatsu"]}
    made = to.post("/api/v1/accounts", json=new).json()
    assert (made["name"], made["role"], made["tenants"], made["machine"]) == (
        "suzuki",
        "operator",
        ["takamatsu"],
        False,
    )
    assert made in to.get("/api/v1/accounts").json()["accounts"]
    theirs = browser(here)
    assert login(theirs, "suzuki", new["password"]).json()["tenants"] == ["takamatsu"]  # type: ignore[arg-type]
    changed = to.patch("/api/v1/accounts/suzuki", json={"role": "viewer", "tenants": None}).json()
    assert (changed["role"], changed["tenants"], changed["disabled"]) == ("viewer", None, False)
    assert code(theirs.get("/api/v1/me")) == (401, "unauthenticated")
    assert to.patch("/api/v1/accounts/suzuki", json={"password": "other words this time"}).status_code == 200
    assert code(login(theirs, "suzuki", "several words here")) == (401, "wrong_login")
    assert login(theirs, "suzuki", "other words this time").status_code == 200
    assert to.delete("/api/v1/accounts/suzuki/sessions").json() == {"ended": 1}
    assert to.patch("/api/v1/accounts/suzuki", json={"disabled": True}).json()["disabled"] is True
    assert code(login(theirs, "suzuki", "other words this time")) == (401, "wrong_login")
    again = to.post("/api/v1/accounts", json=new | {"name": "tanaka", "password": "kurz"})
    assert (code(again), "kurz" in again.text) == ((409, "refused"), False)
    for bad in ({"role": "public"}, {"role": "root"}, {"tenants": ["Ä"]}, {"extra": 1}, {"password": 7}):
        assert code(to.post("/api/v1/accounts", json=new | {"name": "tanaka"} | bad)) == (422, "invalid"), bad
    machine = to.post("/api/v1/accounts", json={"name": "gis", "role": "viewer"}).json()
    assert machine["machine"] is True


def test_nobody_locks_themselves_out(here: Site) -> None:
    """Another administrator takes rights away, so one is always left."""
    to = signed_in(here, "administrator")
    for body in (
        {"disabled": True},
        {"role": "viewer"},
        {"tenants": ["takamatsu"]},
        {"password": "several words here"},
    ):
        assert code(to.patch("/api/v1/accounts/ADMINISTRATOR", json=body)) == (409, "refused")
    assert to.get("/api/v1/accounts").status_code == 200


def test_an_administrator_of_some_tenants(here: Site, known: Accounts) -> None:
    """Sees and gives rights within these alone, and of others learns nothing."""
    to = signed_in(here, "elsewhere")
    assert [x["name"] for x in to.get("/api/v1/accounts").json()["accounts"]] == ["elsewhere"]
    new = {"name": "theirs", "role": "administrator", "password": "several words here"}
    for tenants in (None, ["takamatsu"], ["elsewhere", "takamatsu"]):
        assert code(to.post("/api/v1/accounts", json=new | {"tenants": tenants})) == (403, "forbidden")
    assert to.post("/api/v1/accounts", json=new | {"tenants": ["elsewhere"]}).status_code == 200
    for tenants in (None, ["takamatsu"]):
        assert code(to.patch("/api/v1/accounts/theirs", json={"tenants": tenants})) == (403, "forbidden")
    hidden, none = (to.patch(f"/api/v1/accounts/{x}", json={"disabled": True}) for x in ("operator", "nobody"))
    assert (code(hidden), hidden.content) == ((404, "not_found"), none.content)
    assert code(to.delete("/api/v1/accounts/x@login.example/sessions")) == (404, "not_found")
    assert not known.members.account("operator").disabled


def test_the_audit(here: Site) -> None:
    """In pages, the newest first."""
    to = signed_in(here, "administrator")
    login(to, "operator", "wrong wrong wrong")
    rows, before = [], None
    while True:
        page = to.get("/api/v1/audit", params={"limit": 2, "hours": 24 * 700} | ({"before": before} if before else {}))
        rows += page.json()["rows"]
        before = page.json()["next"]
        if before is None:
            break
    assert [x["number"] for x in rows] == sorted((x["number"] for x in rows), reverse=True)
    assert (rows[0]["what"], rows[0]["subject"], rows[0]["outcome"]) == ("login", "operator", "wrong_password")
    assert len(rows) == 6


# --- the provider of names -------------------------------------------------------------------------------------------


@pytest.fixture
def there() -> Iterator[oidcprovider.Provider]:
    """It has our time."""
    with oidcprovider.provider() as found:
        found.now_s = lambda: T0 / 1000
        yield found


@pytest.fixture
def provided(house: House, known: Accounts, there: oidcprovider.Provider) -> Site:
    to = websettings.Oidc(there.issuer, CLIENT, SECRET, roles={"flood-desk": "operator"})
    return website.site(house, known=known, oidc=to, path="/flood")  # type: ignore[arg-type]


def away(to: TestClient) -> str:
    """Where the provider sends the browser back to: path and query."""
    begun = to.get("/flood/oidc/start")
    assert begun.status_code == 303
    back = urlsplit(httpx.get(begun.headers["location"]).headers["location"])
    assert f"{back.scheme}://{back.netloc}" == str(to.base_url).rstrip("/")
    return f"{back.path}?{back.query}"


def test_the_way_over_the_provider(provided: Site, known: Accounts) -> None:
    """Out and back, then signed in under the sub-path; by https both cookies stay there."""
    to = browser(provided, "https://flood.example")
    came = to.get(away(to))
    assert (came.status_code, came.headers["location"]) == (303, "/flood/")
    said = [x.lower() for x in came.headers.get_list("set-cookie")]
    session = next(x for x in said if x.startswith(COOKIE))
    assert all(mark in session for mark in ("httponly", "samesite=strict", "path=/flood", "secure", "max-age=43200"))
    assert STATE not in to.cookies
    me = to.get("/flood/api/v1/me").json()
    assert (me["role"], me["name"].partition("@")[0]) == ("operator", "tanaka")
    assert code(to.get("/flood/api/v1/tokens")) == (403, "forbidden"), "the provider does not say when somebody leaves"
    assert known.audit.rows(limit=1)[0].outcome == "done"
    boss = signed_in_at(provided, "administrator")
    assert boss.delete(f"/flood/api/v1/accounts/{me['name']}/sessions").json() == {"ended": 1}
    assert code(to.get("/flood/api/v1/me")) == (401, "unauthenticated")


def signed_in_at(site: Site, name: str) -> TestClient:
    found = browser(site)
    answer = found.post("/flood/api/v1/login", json={"name": name, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    return found


def test_a_return_that_is_not_this_browsers(provided: Site, known: Accounts) -> None:
    """Somebody else's, a second time, made up: a page that says so, and a row of the audit."""
    to = browser(provided)
    other, back = beside(to.app), away(to)
    for who, path in ((other, back), (to, back), (to, "/flood/oidc/return"), (to, "/flood/oidc/return?state=x&code=y")):
        answer = who.get(path)
        assert (answer.status_code, COOKIE in who.cookies) == (403, False)
        assert answer.headers["content-type"].startswith("text/html")
        assert known.audit.rows(limit=1)[0].outcome == "foreign_return"


def test_whom_the_provider_knows_without_a_role(provided: Site, known: Accounts, there: oidcprovider.Provider) -> None:
    """Is not let in; the audit has who it was, and no page shows what the provider says as a script."""
    there.person |= {"groups": ["choir"], "preferred_username": "<script>alert(1)</script>"}
    to = browser(provided)
    answer = to.get(away(to))
    assert (answer.status_code, "<script" in answer.text, COOKIE in to.cookies) == (403, False, False)
    row = known.audit.rows(limit=1)[0]
    assert (row.what, row.outcome, row.subject.startswith("<script>")) == ("login", "no_role", True)


def test_a_provider_that_is_not_there(house: House, known: Accounts) -> None:
    """Is said on a page; without one configured there is no such place."""
    assert code(browser(website.site(house, known=known)).get("/oidc/start")) == (404, "not_found")  # type: ignore[arg-type]
    to = websettings.Oidc("http://127.0.0.1:9", CLIENT, SECRET, roles={"x": "viewer"})
    answer = browser(website.site(house, known=known, oidc=to)).get("/oidc/start")  # type: ignore[arg-type]
    assert (answer.status_code, "does not answer" in answer.text) == (403, True)


# --- secrets ---------------------------------------------------------------------------------------------------------


def test_no_secret_is_told(
    provided: Site, known: Accounts, there: oidcprovider.Provider, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What people type and are given stands in no file, no log, no audit and no other answer than the one that gives
    it."""
    caplog.set_level(logging.DEBUG, "gateway")
    told: list[str] = []
    to = signed_in_at(provided, "administrator")
    session = to.cookies[COOKIE]
    made = to.post("/flood/api/v1/tokens", json={"scope": "read", "days": 1}).json()["token"]
    wrong, typed, new = "wrong-but-nearly-right", "typed-as-a-name", "a-new-password-1"
    for name, password in (("operator", wrong), (typed, "x"), (typed * 20, wrong)):
        told.append(to.post("/flood/api/v1/login", json={"name": name, "password": password}).text)
    told.append(to.post("/flood/api/v1/login", json={"name": typed, "password": [wrong]}).text)
    told.append(to.patch("/flood/api/v1/accounts/viewer", json={"password": new}).text)
    told.append(with_token(provided, made + "x").get("/flood/api/v1/me").text)
    visitor = browser(provided)
    begun = visitor.get("/flood/oidc/start")
    secret_of_browser = visitor.cookies[STATE]
    back = httpx.get(begun.headers["location"]).headers["location"]
    given = back.partition("code=")[2].partition("&")[0]
    there.signs = lambda claims: "no.token.atall"
    told.append(visitor.get(urlsplit(back).path + "?" + urlsplit(back).query).text)
    told += [to.get(f"/flood/api/v1/{x}").text for x in ("audit?hours=17000", "accounts", "tokens", "me", "config")]
    shown = "\n".join([*told, caplog.text]).encode()
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"administrator" in shown
    for secret in (session, made, made[17:], wrong, typed, new, PASSWORD, SECRET, secret_of_browser, given):
        assert secret.encode() not in shown, secret
        assert secret.encode() not in written, secret
