"""Signing in at a provider of names: a real one on the loopback, and what of it is not believed."""

from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc import jwt

from gateway import websettings
from gateway.clock import SystemClock
from gateway.errors import LoginReason
from gateway.web import oidc
from gateway.web.who import Role, Who
from tests import oidcprovider
from tests.oidcprovider import CLIENT, SECRET, Json, Provider, new_key

BACK = "https://flood.city.example/oidc/return"


@pytest.fixture
def there() -> Iterator[Provider]:
    with oidcprovider.provider() as found:
        yield found


class Moved(SystemClock):
    by_s = 0.0

    def uptime_ms(self) -> int:
        return super().uptime_ms() + round(self.by_s * 1000)


def here(there: Provider, **changes: Any) -> oidc.Provider:
    to = websettings.Oidc(
        there.issuer,
        CLIENT,
        SECRET,
        roles={"flood-desk": "operator", "everybody": "viewer", "it": "administrator"},
        tenants={"takamatsu-staff": "takamatsu", "marugame-staff": "marugame", "flood-desk": "*", "it": "*"},
    )
    return oidc.Provider(replace(to, **changes), Moved())


def went(started: oidc.Started) -> tuple[str, str]:
    """(state, code) that the provider sends the browser back with."""
    back = httpx.get(started.url)
    assert back.status_code == 302
    assert back.headers["Location"].startswith(BACK)
    q = parse_qs(urlsplit(back.headers["Location"]).query)
    return q["state"][0], q["code"][0]


def signs_in(ours: oidc.Provider) -> Who:
    started = ours.start(BACK)
    return ours.finish(*went(started), started.browser)


def refused(ours: oidc.Provider) -> LoginReason:
    with pytest.raises(oidc.NotAdmitted) as told:
        signs_in(ours)
    return told.value.reason


def test_signing_in(there: Provider) -> None:
    """The provider names the person, our configuration gives role and tenants; the name is never a local one's."""
    who = signs_in(here(there))
    assert (who.name.partition("@")[0], who.role, who.tenants, who.via) == ("tanaka", Role.OPERATOR, None, "session")
    assert "@" in who.name
    assert there.asked == [".well-known/openid-configuration", "authorize", "token", "keys"]


@pytest.mark.parametrize(
    ("groups", "role", "tenants"),
    [
        (["everybody", "it", "flood-desk"], Role.ADMINISTRATOR, None),
        ("it", Role.ADMINISTRATOR, None),
        (["everybody", "takamatsu-staff"], Role.VIEWER, {"takamatsu"}),
        (["everybody", "takamatsu-staff", "marugame-staff"], Role.VIEWER, {"takamatsu", "marugame"}),
        (["everybody", "marugame-staff", 7, None, {"it": 1}, ["it"]], Role.VIEWER, {"marugame"}),
    ],
)
def test_groups(there: Provider, groups: object, role: Role, tenants: set[str] | None) -> None:
    """The highest role counts, tenants add up."""
    there.person["groups"] = groups
    who = signs_in(here(there))
    assert (who.role, who.tenants) == (role, tenants)


def test_who_has_no_tenant_is_not_let_in(there: Provider) -> None:
    """Where tenants are kept apart nobody sees all by having none; where they are not, everybody sees all."""
    there.person["groups"] = "everybody"
    assert refused(here(there)) is LoginReason.NO_TENANT
    assert signs_in(here(there, tenants={})).tenants is None


@pytest.mark.parametrize(
    "groups", [[], ["choir"], "", None, 7, {"flood-desk": True}, [["flood-desk"]], "flood-desk,it"]
)
def test_who_has_no_role_is_not_let_in(there: Provider, groups: object) -> None:
    """Being known to the provider is not enough."""
    there.person["groups"] = groups
    assert refused(here(there)) is LoginReason.NO_ROLE


CLAIMS: dict[str, Callable[[Json], Json]] = {
    "another sign-in's nonce": lambda c: c | {"nonce": "x" * 43},
    "a list that holds the nonce": lambda c: c | {"nonce": [c["nonce"]]},
    "no nonce": lambda c: {k: v for k, v in c.items() if k != "nonce"},
    "another audience": lambda c: c | {"aud": "payroll"},
    "no audience": lambda c: {k: v for k, v in c.items() if k != "aud"},
    "an empty audience": lambda c: c | {"aud": []},
    "several audiences, for none in particular": lambda c: c | {"aud": [CLIENT, "payroll"]},
    "several audiences, for another": lambda c: c | {"aud": [CLIENT, "payroll"], "azp": "payroll"},
    "for another": lambda c: c | {"azp": "payroll"},
    "another issuer": lambda c: c | {"iss": "https://login.example"},
    "no issuer": lambda c: {k: v for k, v in c.items() if k != "iss"},
    "an hour old": lambda c: c | {"exp": c["exp"] - 3600, "iat": c["iat"] - 3600},
    "without an end": lambda c: {k: v for k, v in c.items() if k != "exp"},
    "an end that is no time": lambda c: c | {"exp": "2099"},
    "of tomorrow": lambda c: c | {"iat": c["iat"] + 86_400},
    "not yet valid": lambda c: c | {"nbf": c["iat"] + 86_400},
    "of nobody": lambda c: c | {"sub": ""},
    "of something": lambda c: c | {"sub": {"a": 1}},
}


@pytest.mark.parametrize("bent", CLAIMS)
def test_claims_that_are_not_believed(there: Provider, bent: str) -> None:
    """Signed well, but not for us, not for this sign-in, not of now."""
    there.claims = CLAIMS[bent]
    assert refused(here(there)) is LoginReason.BAD_CLAIMS


def test_several_audiences_for_us(there: Provider) -> None:
    """Are believed where the token says that it is for us."""
    there.claims = lambda c: c | {"aud": ["payroll", CLIENT], "azp": CLIENT}
    assert signs_in(here(there)).role is Role.OPERATOR


def b64(text: str) -> str:
    return urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def unsigned(claims: Json, alg: str = "none") -> str:
    return f"{b64(json.dumps({'alg': alg}))}.{b64(json.dumps(claims))}."


def by_secret(claims: Json, secret: bytes) -> str:
    """HS256, by hand: the library signs with no public key."""
    text = f"{b64(json.dumps({'alg': 'HS256', 'kid': 'one'}))}.{b64(json.dumps(claims))}"
    return f"{text}.{urlsafe_b64encode(hmac.digest(secret, text.encode(), 'sha256')).rstrip(b'=').decode()}"


def by_foreign_key(kid: str) -> Callable[[Json], str]:
    key = new_key(kid)
    return lambda claims: jwt.encode({"alg": "RS256", "kid": kid}, claims, key)


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "RS256", ""])
def test_unsigned(there: Provider, alg: str) -> None:
    """Whatever it calls itself."""
    there.signs = lambda claims: unsigned(claims, alg)
    assert refused(here(there)) is LoginReason.BAD_SIGNATURE


def test_signed_by_somebody_else(there: Provider) -> None:
    """By a key of the same name, of another, or with our secret or the public key as a shared one."""
    public, shared = there.key.as_pem(private=False), SECRET.encode()
    for signs in (
        by_foreign_key("one"),
        by_foreign_key("two"),
        lambda claims: by_secret(claims, public),
        lambda claims: by_secret(claims, shared),
        lambda claims: there.signed(claims)[:-8] + "AAAAAAAA",
        lambda claims: "",
        lambda claims: "a.b.c",
        lambda claims: "水位",
    ):
        there.signs = signs
        assert refused(here(there)) is LoginReason.BAD_SIGNATURE


def test_new_keys_are_asked_for(there: Provider) -> None:
    """A provider that has changed its key is believed at once, and not asked for each bad signature."""
    ours = here(there)
    assert signs_in(ours).name
    there.key = new_key("two")
    there.published = [there.key]
    clock = ours._clock
    assert isinstance(clock, Moved)
    clock.by_s += oidc.AGAIN_S
    assert signs_in(ours).name
    there.signs = by_foreign_key("three")
    asked = there.asked.count("keys")
    for _ in range(5):
        assert refused(ours) is LoginReason.BAD_SIGNATURE
    assert there.asked.count("keys") == asked


def test_a_return_counts_once(there: Provider) -> None:
    """Replayed, of another browser, made up, or late: not let in, and the code is not given away."""
    ours = here(there)
    started = ours.start(BACK)
    state, code = went(started)
    for browser in ("", "x" * 43, "\ud800"):
        other = ours.start(BACK)
        with pytest.raises(oidc.NotAdmitted) as told:
            ours.finish(*went(other), browser)
        assert told.value.reason is LoginReason.FOREIGN_RETURN
    assert ours.finish(state, code, started.browser).name
    for again in (state, "", "made-up"):
        with pytest.raises(oidc.NotAdmitted) as told:
            ours.finish(again, code, started.browser)
        assert told.value.reason is LoginReason.FOREIGN_RETURN
    late = ours.start(BACK)
    back = went(late)
    clock = ours._clock
    assert isinstance(clock, Moved)
    clock.by_s += oidc.PENDING_S + 1
    with pytest.raises(oidc.NotAdmitted) as told:
        ours.finish(*back, late.browser)
    assert told.value.reason is LoginReason.FOREIGN_RETURN
    assert there.asked.count("token") == 1


def test_a_stolen_code(there: Provider) -> None:
    """Into another sign-in: the provider sees by PKCE that it was not that one's."""
    ours = here(there)
    one, other = ours.start(BACK), ours.start(BACK)
    (_, code), (state, _) = went(one), went(other)
    with pytest.raises(oidc.NotAdmitted) as told:
        ours.finish(state, code, other.browser)
    assert told.value.reason is LoginReason.PROVIDER_REFUSED


def test_a_person_who_was_refused_there(there: Provider) -> None:
    """Comes back with a state and no code."""
    ours = here(there)
    started = ours.start(BACK)
    with pytest.raises(oidc.NotAdmitted) as told:
        ours.finish(went(started)[0], "", started.browser)
    assert told.value.reason is LoginReason.PROVIDER_REFUSED


def test_groups_that_stand_beside(there: Provider) -> None:
    """Where the signed statement lacks them; but only of the same person."""
    del there.person["groups"]
    there.beside = {"sub": "4711", "groups": ["it"]}
    assert signs_in(here(there)).role is Role.ADMINISTRATOR
    there.beside = {"sub": "4712", "groups": ["it"]}
    assert refused(here(there)) is LoginReason.BAD_CLAIMS


@pytest.mark.parametrize(
    "facts",
    [
        {"issuer": "https://login.example"},
        {"token_endpoint": "http://login.example/token"},
        {"jwks_uri": None},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"jwks_uri": "http://[broken"},
    ],
)
def test_a_provider_that_is_another(there: Provider, facts: Json) -> None:
    """It names another issuer, or sends secrets in the clear."""
    there.facts = facts
    assert refused(here(there)) is LoginReason.PROVIDER_UNREACHABLE


def test_a_provider_that_is_not_there(there: Provider) -> None:
    """Its being down is told as that; it is asked again the next time."""
    ours = here(there)
    there.status = 503
    assert refused(ours) is LoginReason.PROVIDER_UNREACHABLE
    there.status = 200
    assert signs_in(ours).name
    assert refused(here(there, issuer="http://127.0.0.1:9")) is LoginReason.PROVIDER_UNREACHABLE


def test_what_is_remembered_is_bounded(there: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever begins without end pushes out begun ones, and takes no memory."""
    ours = here(there)
    monkeypatch.setattr(oidc, "PENDING", 10)
    browsers = [ours.start(BACK).browser for _ in range(30)]
    assert len(set(browsers)) == 30
    assert len(ours._pending) == 10


def test_errors_hold_no_secret(there: Provider) -> None:
    """Neither code nor token nor our own secret."""
    ours = here(there)
    started = ours.start(BACK)
    state, code = went(started)
    there.signs = unsigned
    with pytest.raises(oidc.NotAdmitted) as told:
        ours.finish(state, code, started.browser)
    shown = f"{told.value!r} {told.value} {told.value.subject} {started!r} {ours.settings!r}"
    assert not [x for x in (code, state, started.browser, SECRET, "access") if x in shown.replace(started.url, "")]
