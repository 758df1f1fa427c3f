"""Signing in at a provider that knows the city's people: OpenID Connect, authorization code flow with PKCE.

What the provider signs is believed only where it is for us, for this sign-in and of now. Whoever has no group with a
role is not let in. Nothing is kept of the provider's tokens.
"""

from __future__ import annotations

import hmac
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx
from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri, prepare_token_request
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc import jwt
from joserfc.errors import ClaimError, JoseError
from joserfc.jwk import KeySet

from gateway import websettings
from gateway.clock import Clock
from gateway.errors import LoginReason
from gateway.web.accountrows import EVERYTHING, one_line
from gateway.web.who import Role, Who

# None that needs no key, none with a shared one: the provider's public key must not be taken for a secret.
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"]
PENDING_S = 600.0  # to type a password there
PENDING = 2000
KNOWN_S = 3600.0  # how long addresses and keys of the provider hold
AGAIN_S = 30.0  # keys are not asked for more often
LEEWAY_S = 60
TIMEOUT_S = 10.0
ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")


class NotAdmitted(Exception):
    def __init__(self, reason: LoginReason, subject: str = "") -> None:
        super().__init__(reason.sentence)
        self.reason, self.subject = reason, subject


@dataclass(frozen=True, slots=True)
class Started:
    """`url` is where the browser goes, `browser` what it alone knows until it comes back: a cookie."""

    url: str
    browser: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Pending:
    browser: str
    nonce: str
    verifier: str
    back: str
    began_s: float


class Provider:
    """Safe for threads. `client` is a seam: whom the tests trust."""

    def __init__(self, to: websettings.Oidc, clock: Clock, client: Callable[[], httpx.Client] | None = None) -> None:
        self.settings, self._clock = to, clock
        self._client = client or (lambda: httpx.Client(timeout=TIMEOUT_S))
        self._lock = threading.Lock()
        self._pending: OrderedDict[str, _Pending] = OrderedDict()
        self._facts: tuple[float, dict[str, Any]] | None = None
        self._keys: tuple[float, KeySet] | None = None

    def _up_s(self) -> float:
        return self._clock.uptime_ms() / 1000

    def start(self, back: str) -> Started:
        """`back` is the address that the provider sends the browser to. Raises NotAdmitted."""
        facts = self._discovered()
        state, nonce, verifier, browser = (secrets.token_urlsafe(32) for _ in range(4))
        with self._lock:
            self._pending[state] = _Pending(browser, nonce, verifier, back, self._up_s())
            while len(self._pending) > PENDING:
                self._pending.popitem(last=False)
        url = prepare_grant_uri(
            facts["authorization_endpoint"],
            self.settings.client_id,
            "code",
            redirect_uri=back,
            scope="openid profile",
            state=state,
            nonce=nonce,
            code_challenge=create_s256_code_challenge(verifier),
            code_challenge_method="S256",
        )
        return Started(str(url), browser)

    def finish(self, state: str, code: str, browser: str) -> Who:
        """Whom the provider names, with role and tenants by `websettings.Oidc`. Each state counts once, and only in the
        browser that began it. Raises NotAdmitted."""
        with self._lock:
            known = self._pending.pop(state, None)
        if known is None or self._up_s() - known.began_s > PENDING_S:
            raise NotAdmitted(LoginReason.FOREIGN_RETURN)
        if not hmac.compare_digest(known.browser.encode(), browser.encode("utf-8", "replace")):
            raise NotAdmitted(LoginReason.FOREIGN_RETURN)
        if not code:
            raise NotAdmitted(LoginReason.PROVIDER_REFUSED)
        told = self._exchanged(code, known)
        claims = self._claims(str(told.get("id_token", "")), known.nonce)
        if self.settings.claim not in claims:
            claims = self._more(claims, str(told.get("access_token", "")))
        return self._who(claims)

    # --- what the provider is asked ----------------------------------------------------------------------------------

    def _json(self, ask: Callable[[httpx.Client], httpx.Response]) -> dict[str, Any]:
        try:
            with self._client() as client:
                answer = ask(client)
            refused = 400 <= answer.status_code < 500
            found = answer.json() if answer.status_code == 200 else None
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as e:
            raise NotAdmitted(LoginReason.PROVIDER_UNREACHABLE) from e
        if not isinstance(found, dict):
            reason = LoginReason.PROVIDER_REFUSED if refused else LoginReason.PROVIDER_UNREACHABLE
            raise NotAdmitted(reason)
        return found

    def _discovered(self) -> dict[str, Any]:
        now = self._up_s()
        if self._facts is not None and now - self._facts[0] < KNOWN_S:
            return self._facts[1]
        issuer = self.settings.issuer
        found = self._json(lambda client: client.get(f"{issuer}/.well-known/openid-configuration"))
        ours = str(found.get("issuer", "")).rstrip("/") == issuer
        if not ours or not all(_near_or_safe(found.get(x), issuer) for x in ENDPOINTS):
            raise NotAdmitted(LoginReason.PROVIDER_UNREACHABLE)
        self._facts = (now, found)
        return found

    def _keyset(self, fresh: bool = False) -> KeySet:
        now, known = self._up_s(), self._keys
        if known is not None and now - known[0] < (AGAIN_S if fresh else KNOWN_S):
            return known[1]
        url = self._discovered()["jwks_uri"]
        found: Any = self._json(lambda client: client.get(url))
        try:
            keys = KeySet.import_key_set(found)
        except (JoseError, ValueError, KeyError, TypeError) as e:
            raise NotAdmitted(LoginReason.PROVIDER_UNREACHABLE) from e
        self._keys = (now, keys)
        return keys

    def _exchanged(self, code: str, known: _Pending) -> dict[str, Any]:
        facts = self._discovered()
        url, headers = facts["token_endpoint"], {"Content-Type": "application/x-www-form-urlencoded"}
        body = prepare_token_request(
            "authorization_code", redirect_uri=known.back, code=code, code_verifier=known.verifier
        )
        methods = facts.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        method = "none"
        if self.settings.secret:
            method = "client_secret_basic" if "client_secret_basic" in methods else "client_secret_post"
        auth = ClientAuth(self.settings.client_id, self.settings.secret or "", method)
        url, headers, body = auth.prepare("POST", url, headers, body)
        return self._json(lambda client: client.post(url, content=body, headers=headers))

    def _more(self, claims: dict[str, Any], access: str) -> dict[str, Any]:
        """With what the provider says beside the signed statement, of the same person."""
        url = self._discovered().get("userinfo_endpoint")
        if not access or not _near_or_safe(url, self.settings.issuer):
            return claims
        found = self._json(lambda client: client.get(str(url), headers={"Authorization": f"Bearer {access}"}))
        if found.get("sub") != claims["sub"]:
            raise NotAdmitted(LoginReason.BAD_CLAIMS)
        return {**found, **claims}

    # --- what is believed --------------------------------------------------------------------------------------------

    def _claims(self, token: str, nonce: str) -> dict[str, Any]:
        claims = self._signed(token)
        us = self.settings.client_id
        registry = jwt.JWTClaimsRegistry(
            now=self._clock.now_ms() // 1000,
            leeway=LEEWAY_S,
            iss={"essential": True, "value": str(self._discovered()["issuer"])},
            aud={"essential": True, "value": us},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
            nonce={"essential": True, "value": nonce},
        )
        try:
            registry.validate(claims)
        except ClaimError as e:
            raise NotAdmitted(LoginReason.BAD_CLAIMS) from e
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if claims.get("azp", None if several else us) != us or not isinstance(claims["nonce"], str):
            raise NotAdmitted(LoginReason.BAD_CLAIMS)
        return claims

    def _signed(self, token: str) -> dict[str, Any]:
        """Once more with new keys where it fails: a provider changes them."""
        for fresh in (False, True):
            try:
                return dict(jwt.decode(token, self._keyset(fresh), algorithms=ALGORITHMS).claims)
            except (JoseError, ValueError, TypeError):
                continue
        raise NotAdmitted(LoginReason.BAD_SIGNATURE)

    def _who(self, claims: dict[str, Any]) -> Who:
        name = self._name(claims)
        said = claims.get(self.settings.claim)
        values = {x for x in (said if isinstance(said, list) else [said]) if isinstance(x, str)}
        roles = [Role[role.upper()] for value, role in self.settings.roles.items() if value in values]
        if not roles:
            raise NotAdmitted(LoginReason.NO_ROLE, name)
        tenants = frozenset(tenant for value, tenant in self.settings.tenants.items() if value in values)
        if self.settings.tenants and not tenants:  # where tenants are kept apart nobody sees all by having none
            raise NotAdmitted(LoginReason.NO_TENANT, name)
        everywhere = not tenants or websettings.EVERY_TENANT in tenants
        return Who(name, max(roles), None if everywhere else tenants, "session", EVERYTHING)

    def _name(self, claims: dict[str, Any]) -> str:
        """Never that of a local account, which holds no '@'."""
        said = next(x for x in (claims.get("preferred_username"), claims["sub"]) if isinstance(x, str) and x)
        return f"{one_line(said)}@{urlsplit(self.settings.issuer).netloc}"


def _near_or_safe(url: object, issuer: str) -> bool:
    """By https, but at this machine where the provider is at it too."""
    if not isinstance(url, str):
        return False
    try:
        parts, home = urlsplit(url), urlsplit(issuer)
    except ValueError:
        return False
    return parts.scheme == "https" or (home.scheme == "http" and parts.hostname == home.hostname)
