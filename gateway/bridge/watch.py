"""A window for those who watch the bridge: `/healthz` (its loops come round), `/readyz` (it can do its work) and
`/metrics`. On loopback unless configured otherwise; it shows no reading and no secret.
"""

from __future__ import annotations

import json
import logging
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from gateway.errors import Unavailable

log = logging.getLogger(__name__)

PATIENCE_S = 5.0  # with a client that sends or reads slowly
VISITORS = 8  # at once; beyond, a connection is closed, so that nobody fills the bridge with threads

CONTENT_TYPE = "text/plain; version=1.0.0; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Health:
    """Names of what was looked at, each with None where it is well, or what is wrong with it."""

    checks: Mapping[str, str | None]

    @property
    def well(self) -> bool:
        return not any(self.checks.values())

    def document(self) -> bytes:
        checks = {name: wrong or "ok" for name, wrong in self.checks.items()}
        return json.dumps({"version": 1, "ok": self.well, "checks": checks}, indent=1).encode()


Page = Callable[[], tuple[int, str, bytes]]  # status, content type, text


class _Handler(BaseHTTPRequestHandler):
    timeout = PATIENCE_S
    server_version, sys_version = "suimon", ""
    server: _Server

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def _answer(self, body: bool) -> None:
        pages = self.server.pages
        page = pages.get(self.path.partition("?")[0])
        status, kind, text = page() if page else (404, "text/plain", f"one of {', '.join(pages)}\n".encode())
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if body:
            self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """A scrape every few seconds is no news."""


class _Server(ThreadingHTTPServer):
    daemon_threads, block_on_close = True, False

    def __init__(self, address: tuple[str, int], pages: Mapping[str, Page]) -> None:
        self.pages, self._places = pages, threading.BoundedSemaphore(VISITORS)
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        log.debug("a visitor of %s went away", self.server_address, exc_info=True)


class Watch:
    """Serves until stopped. The three functions are called on threads of their own, one for each visitor."""

    def __init__(
        self,
        address: tuple[str, int],
        alive: Callable[[], Health],
        ready: Callable[[], Health],
        metrics: Callable[[], bytes],
    ) -> None:
        """Raises Unavailable where the address cannot be had."""
        pages: dict[str, Page] = {
            "/healthz": lambda: _health(alive()),
            "/readyz": lambda: _health(ready()),
            "/metrics": lambda: _metrics(metrics),
        }
        try:
            self._server = _Server(address, pages)
        except OSError as e:
            host, port = address
            remedy = "Name another port in bridge.yaml, watch.port"
            raise Unavailable(f"cannot listen on {host}:{port} ({e.strerror}). {remedy}") from e
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.2,), name="watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join(5.0)
        self._server.server_close()


def _health(health: Health) -> tuple[int, str, bytes]:
    return (200 if health.well else 503), "application/json", health.document()


def _metrics(metrics: Callable[[], bytes]) -> tuple[int, str, bytes]:
    try:
        return 200, CONTENT_TYPE, metrics()
    except ModuleNotFoundError as e:
        return 501, "text/plain", f"/metrics needs the package {e.name}: pip install 'suimon[bridge]'\n".encode()
    except Unavailable as e:
        return 503, "text/plain", f"{e}\n".encode()
