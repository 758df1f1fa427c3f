"""A neighbour device that says JSON over HTTP: a data logger, an inverter, a web endpoint of ESPHome.

One request on a connection of its own for each reading, so that nothing of an earlier one can be taken for this one's
(HTTP/1.1, RFC 9112). The time-out is that of the whole: a device that drips a byte a second does not keep the thread. A
redirect is not followed: what was configured is asked, and the secret goes to no other host.
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import time

from gateway import mqtt, settings
from gateway.errors import FaultCode
from gateway.profiles import Profile

MAX_BYTES = 262_144  # of an answer, with its headers
PIECE = 16_384


class _Dripping(io.RawIOBase):
    """A connection as a file that ends at a deadline, and after too many bytes."""

    def __init__(self, line: socket.socket, deadline: float) -> None:
        self._line, self._deadline, self._left = line, deadline, MAX_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        self._line.settimeout(_left(self._deadline))
        count = self._line.recv_into(buffer, min(len(buffer), PIECE))
        self._left -= count
        if self._left < 0:
            raise http.client.HTTPException("the answer is too long")
        return count


class _Line:
    """What `HTTPResponse` wants of a socket."""

    def __init__(self, line: socket.socket, deadline: float) -> None:
        self._file = io.BufferedReader(_Dripping(line, deadline))

    def makefile(self, _mode: str) -> io.BufferedReader[_Dripping]:
        return self._file


class Http:
    """A bus. Not for several threads at once."""

    def __init__(self, bus: settings.Http) -> None:
        self.where = f"{bus.host}:{bus.port}"
        self._bus = bus
        self._context: ssl.SSLContext | None = None

    def patience_s(self, profile: Profile) -> float:
        """To look up the name, which is the system's and not ours to end, and for the whole."""
        return 2 * self._bus.timeout_s + 10.0

    def read(self, sensor: settings.Sensor, profile: Profile) -> bytes | FaultCode:
        """The body of the answer, or why there is none."""
        deadline = time.monotonic() + self._bus.timeout_s
        try:
            line = self._connected(deadline)
        except (OSError, ValueError):  # unreachable, a certificate that is not believed; a name that is none
            return FaultCode.BUS_ERROR
        try:
            with line:
                line.settimeout(_left(deadline))
                line.sendall(self._request(sensor.address or profile.asked.path))
                return _answer(line, deadline)
        except (TimeoutError, http.client.RemoteDisconnected):
            return FaultCode.NO_ANSWER
        except (OSError, http.client.HTTPException, ValueError):  # closed early, not HTTP, too long
            return FaultCode.MALFORMED

    def _connected(self, deadline: float) -> socket.socket:
        """Raises OSError, also where the deadline came first."""
        line = _dialled(self._bus.host, self._bus.port, deadline)
        if self._bus.tls is None:
            return line
        try:
            self._context = self._context or mqtt.tls_context(self._bus.tls)
            line.settimeout(_left(deadline))
            return self._context.wrap_socket(line, server_hostname=self._bus.host)
        except BaseException:
            line.close()
            raise

    def _request(self, path: str) -> bytes:
        host = f"[{self._bus.host}]" if ":" in self._bus.host else self._bus.host
        lines = [
            f"GET {path} HTTP/1.1",
            f"Host: {host}:{self._bus.port}",
            "Accept: application/json",
            "Accept-Encoding: identity",
            "Connection: close",
            "User-Agent: suimon",
            *([": ".join(self._bus.header)] if self._bus.header else []),
        ]
        return "\r\n".join([*lines, "", ""]).encode()

    def close(self) -> None:
        """Nothing stays open between two readings."""


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _dialled(host: str, port: int, deadline: float) -> socket.socket:
    """A connection to the first address of the host that answers."""
    why: OSError = TimeoutError()
    for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        line = socket.socket(family, kind, protocol)
        try:
            line.settimeout(_left(deadline))
            line.connect(address)
            return line
        except OSError as e:
            line.close()
            why = e
    raise why


def _answer(line: socket.socket, deadline: float) -> bytes | FaultCode:
    response = http.client.HTTPResponse(_Line(line, deadline), method="GET")  # type: ignore[arg-type]
    response.begin()
    if response.status >= 500:
        return FaultCode.SENSOR_ERROR
    if not 200 <= response.status < 300:
        return FaultCode.REFUSED
    body = b""
    while piece := response.read(PIECE):
        body += piece
    return FaultCode.MALFORMED if response.length else body  # cut off before the length that was announced
