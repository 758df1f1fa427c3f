"""A provider of names on the loopback: OpenID Connect as its documents say, over real sockets. A test bends one thing
of what it says."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT, SECRET = "suimon", "held-by-the-house"
Json = dict[str, Any]


def new_key(kid: str = "one") -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": kid, "use": "sig"})


KEY = new_key()  # takes a while to make


class Provider:
    """`claims` changes what is signed, `signs` how; `person` is who sits at the browser."""

    def __init__(self) -> None:
        self.key = KEY
        self.published = [self.key]
        self.person: Json = {"sub": "4711", "preferred_username": "tanaka", "groups": ["flood-desk"]}
        self.beside: Json | None = None  # what userinfo says
        self.claims: Callable[[Json], Json] = lambda said: said
        self.signs: Callable[[Json], str] = self.signed
        self.facts: Json = {}
        self.asked: list[str] = []
        self.status = 200
        self.now_s = time.time
        self._codes: dict[str, Json] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.issuer = f"http://127.0.0.1:{self._server.server_address[1]}/city"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def signed(self, claims: Json) -> str:
        return jwt.encode({"alg": "RS256", "kid": self.key.kid}, claims, self.key)

    # --- what it answers: (status, body, header) -----------------------------------------------------------------

    def discovery(self, _: Json) -> tuple[int, Json, Json]:
        at = self.issuer
        known = {
            "issuer": at,
            "authorization_endpoint": f"{at}/authorize",
            "token_endpoint": f"{at}/token",
            "jwks_uri": f"{at}/keys",
            "userinfo_endpoint": f"{at}/me",
        }
        return self.status, known | self.facts, {}

    def keys(self, _: Json) -> tuple[int, Json, Json]:
        return 200, {"keys": [key.as_dict(private=False) for key in self.published]}, {}

    def authorize(self, q: Json) -> tuple[int, Json, Json]:
        """The person is signed in there already and agrees at once."""
        assert q["response_type"] == "code"
        assert q["code_challenge_method"] == "S256"
        assert "openid" in q["scope"].split()
        assert q["client_id"] == CLIENT
        code = secrets.token_urlsafe(8)
        self._codes[code] = q
        return 302, {}, {"Location": f"{q['redirect_uri']}?code={code}&state={quote(q['state'])}"}

    def token(self, q: Json) -> tuple[int, Json, Json]:
        begun = self._codes.pop(q.get("code", ""), None)  # once
        basic = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        challenge = base64.urlsafe_b64encode(hashlib.sha256(q.get("code_verifier", "").encode()).digest())
        if (
            begun is None
            or q["authorization"] != f"Basic {basic}"
            or challenge.rstrip(b"=").decode() != begun["code_challenge"]
            or q["redirect_uri"] != begun["redirect_uri"]
        ):
            return 400, {"error": "invalid_grant"}, {}
        now = int(self.now_s())
        said = {"iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": begun["nonce"]}
        told = self.signs(self.claims(said | self.person))
        return 200, {"access_token": "access", "token_type": "Bearer", "id_token": told}, {}

    def me(self, q: Json) -> tuple[int, Json, Json]:
        if q["authorization"] != "Bearer access" or self.beside is None:
            return 401, {}, {}
        return 200, self.beside, {}


def _handler(provider: Provider) -> type[BaseHTTPRequestHandler]:
    answers = {
        "/city/.well-known/openid-configuration": provider.discovery,
        "/city/keys": provider.keys,
        "/city/authorize": provider.authorize,
        "/city/token": provider.token,
        "/city/me": provider.me,
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(urlsplit(self.path).query)

        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers["Content-Length"])).decode())

        def _answer(self, said: str) -> None:
            path = urlsplit(self.path).path
            provider.asked.append(path.removeprefix("/city/"))
            q: Json = {k: v[0] for k, v in parse_qs(said).items()} | {
                "authorization": self.headers.get("Authorization", "")
            }
            status, body, headers = answers[path](q)
            data = json.dumps(body).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: object) -> None:
            """Tests are quiet."""

    return Handler


@contextlib.contextmanager
def provider() -> Iterator[Provider]:
    found = Provider()
    try:
        yield found
    finally:
        found.close()
