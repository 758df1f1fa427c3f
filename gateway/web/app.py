"""The page and the interface put together: routes, what every answer carries, what is refused before any of them."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from fastapi import FastAPI, Response
from starlette.middleware.gzip import GZipMiddleware

from gateway import __version__, storefile
from gateway.web import acts, capfeed, catalogue, events, login, ngsi, ops, page, problems, rest, series, shapes, staff
from gateway.web.site import Site

MAX_BODY, MAX_HEADERS = 65_536, 32_768
DESCRIPTION = "Water levels and alerts of a city's gauges, with quality flags, and what is not known of them."
Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
PARTS = (
    *(rest.routes, series.routes, events.routes, acts.routes, ops.routes),
    *(login.routes, login.doors, staff.routes, capfeed.routes, catalogue.routes, ngsi.routes),
)


def create(site: Site) -> FastAPI:
    """The application. It opens nothing: whoever runs it binds the socket."""
    app = FastAPI(
        title=site.web.title_en,
        description=DESCRIPTION,
        version=__version__,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,  # it would come from a foreign host
        redoc_url=None,
    )
    app.state.site, app.state.watcher = site, events.Watcher(site.boards)
    problems.install(app)

    @app.get("/readyz", include_in_schema=False)
    def ready() -> Response:
        """200 where the store can be read."""
        storefile.rows(site.bridge.store, "SELECT value FROM meta WHERE key = 'store'")
        return Response("ready\n", media_type="text/plain")

    for part in PARTS:
        app.include_router(part)
    app.include_router(page.pages(site.web))
    shapes.install(app)
    app.add_middleware(GZipMiddleware, minimum_size=1024, compresslevel=5)
    app.add_middleware(Edge, site=site)
    return app


class Edge:
    """The outermost layer: the sub-path of a proxy, the caller's address behind one, bounds, and headers."""

    def __init__(self, app: Any, site: Site) -> None:
        self._app, self._prefix = app, site.web.path
        self._proxies = [ipaddress.ip_network(x) for x in site.web.proxies]
        self._headers = [
            (b"content-security-policy", page.policy(site.web.map.tiles).encode()),
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"no-referrer"),
            (b"cross-origin-opener-policy", b"same-origin"),
            (b"permissions-policy", b"geolocation=(), camera=(), microphone=()"),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        self._behind(scope)
        if self._prefix and not (scope["path"] == self._prefix or scope["path"].startswith(self._prefix + "/")):
            scope["path"] = self._prefix + scope["path"]  # a proxy that strips it, or whoever asks without one
            scope["raw_path"] = scope["path"].encode()
        scope["root_path"] = self._prefix
        headers = dict(scope["headers"])
        size = len(scope.get("raw_path") or b"") + len(scope["query_string"])
        if size + sum(len(name) + len(value) for name, value in scope["headers"]) > MAX_HEADERS:
            answer = problems.answer(431, "too_long", f"address and headers hold at most {MAX_HEADERS} bytes")
            await answer(scope, receive, self._adding(send, scope))
            return
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > MAX_BODY or b"chunked" in headers.get(b"transfer-encoding", b""):
            answer = problems.answer(413, "too_long", f"a request holds at most {MAX_BODY} bytes, and says how many")
            await answer(scope, receive, self._adding(send, scope))
            return
        await self._app(scope, receive, self._adding(send, scope))

    def _behind(self, scope: Scope) -> None:
        """The address and scheme that a trusted proxy states; nobody else is believed."""
        client = scope.get("client")
        headers = dict(scope["headers"])
        if client is None or b"x-forwarded-for" not in headers or not self._trusts(client[0]):
            return
        hops = [x.strip() for x in headers[b"x-forwarded-for"].decode("latin-1").split(",")]
        first = next((x for x in reversed(hops) if not self._trusts(x)), hops[0])
        scope["client"] = (first, 0)
        if headers.get(b"x-forwarded-proto") == b"https":
            scope["scheme"] = "https"

    def _trusts(self, address: str) -> bool:
        try:
            at = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(at in network for network in self._proxies)

    def _adding(self, send: Send, scope: Scope) -> Send:
        async def adding(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                own = list(message.get("headers", []))
                said = {name for name, _ in own}
                own += [x for x in self._headers if x[0] not in said]
                if b"cache-control" not in said:
                    own.append((b"cache-control", b"no-cache" if "/api/" not in scope["path"] else b"no-store"))
                message = {**message, "headers": own}
            await send(message)

        return adding
