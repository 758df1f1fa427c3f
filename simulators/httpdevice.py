"""A simulated neighbour device that says JSON over HTTP: a real server of the standard library, which can be broken."""

from __future__ import annotations

import contextlib
import ssl
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

Broken = Literal["", "no_answer", "drips", "huge", "endless", "half", "hangs_up", "not_http", "fails", "moved"]


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """A caller that does not believe our certificate, or gave up: nothing to tell."""


class HttpDevice:
    """A device at `port` of the loopback, from construction until `close`. `says` is the body at each path; `wants` a
    header without which it refuses. All may be changed at any time. With `tls` it speaks nothing else."""

    def __init__(
        self, says: Mapping[str, bytes], wants: tuple[str, str] | None = None, tls: ssl.SSLContext | None = None
    ) -> None:
        self.says, self.wants = dict(says), wants
        self.broken: Broken = ""
        self.moved_to = ""  # where a device that is `moved` sends its callers
        self.asked: list[str] = []
        self.stopped = threading.Event()
        device = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                device.asked.append(self.path)
                with contextlib.suppress(OSError):  # the caller has given up
                    device.answer(self)
                self.close_connection = True

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
                """Nothing."""

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = False
        if tls is not None:  # the handshake is the handler's: one that hangs or fails keeps no other caller waiting
            line = self._server.socket
            self._server.socket = tls.wrap_socket(line, server_side=True, do_handshake_on_connect=False)
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="http device")
        self._thread.start()

    def close(self) -> None:
        self.stopped.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, to: BaseHTTPRequestHandler) -> None:
        body = self.says.get(to.path)
        if self.wants is not None and to.headers.get(self.wants[0]) != self.wants[1]:
            _send(to, 401, b"{}")
        elif body is None:
            _send(to, 404, b"{}")
        elif self.broken:
            self._break(to, body)
        else:
            _send(to, 200, body)

    def _break(self, to: BaseHTTPRequestHandler, body: bytes) -> None:
        match self.broken:
            case "no_answer":
                self.stopped.wait(30)
            case "drips":
                head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
                for byte in head + body:
                    if self.stopped.wait(0.05):
                        return
                    to.wfile.write(bytes([byte]))
            case "huge":
                to.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n" + b" " * 300_000)
            case "endless":
                to.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                while not self.stopped.is_set():
                    to.wfile.write(b"1000\r\n" + b" " * 4096 + b"\r\n")
            case "half":
                to.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body[: len(body) // 2])
            case "not_http":
                to.wfile.write(b"\xff\x00\xa5" * 40 + b"\r\n\r\n")
            case "fails":
                _send(to, 500, body)
            case "moved":
                _send(to, 302, body, {"Location": self.moved_to})


def _send(to: BaseHTTPRequestHandler, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
    to.send_response(status)
    for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
        to.send_header(name, value)
    to.send_header("Content-Length", str(len(body)))
    to.end_headers()
    to.wfile.write(body)
