"""The people's end of the house: a webhook receiver that writes down what it took. It is the witness of the alerts; no
part of the gateway writes to its log."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any

HANG_S = 20.0  # a hanging receiver lets go after this, should nobody set it right before


@dataclass(frozen=True, slots=True)
class Delivery:
    """One notification taken. `at` is monotonic seconds."""

    key: str
    at: float
    body: dict[str, Any]


class Receiver:
    """Listens on loopback while the `with` block runs. `mode`: `ok`, `refuses` (503, not taken), `hangs` (takes the
    request and never answers, not taken)."""

    def __init__(self, log: Path) -> None:
        self.deliveries: list[Delivery] = []
        self.mode = "ok"
        self._log, self._lock = log, threading.Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                key = self.headers["Idempotency-Key"]
                end = time.monotonic() + HANG_S
                if receiver.mode == "hangs":
                    while receiver.mode == "hangs" and time.monotonic() < end:
                        time.sleep(0.02)
                    self.close_connection = True
                    return
                if receiver.mode == "refuses":
                    self.send_error(503)
                    return
                receiver.take(key, json.loads(body))  # on record before the answer leaves
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                pass  # a bridge that was killed while it waited for the answer

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, name="webhook", daemon=True)

    def take(self, key: str, body: dict[str, Any]) -> None:
        delivery = Delivery(key, time.monotonic(), body)
        with self._lock, self._log.open("a") as log:
            log.write(json.dumps({"key": key, "at": delivery.at, "body": body}, ensure_ascii=False) + "\n")
            self.deliveries.append(delivery)

    def __enter__(self) -> Receiver:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.mode = "ok"
        self._server.shutdown()
        self._server.server_close()
