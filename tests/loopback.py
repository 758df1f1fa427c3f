"""A server of the loopback that answers as a test wants: for what no real server would say."""

from __future__ import annotations

import contextlib
import socket
import threading


class Loopback:
    """At `port` of the loopback from construction until `close`, one connection after the other. A subclass says what
    happens on one: `answer` sends and returns; then nothing more is sent, and what the caller still says is read until
    it closes, so that what was sent is not taken back by a reset."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._serve, name="loopback")
        self._thread.start()

    def answer(self, line: socket.socket) -> None:
        raise NotImplementedError

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                line, _ = self._listener.accept()
                with line, contextlib.suppress(OSError):  # the caller has had enough
                    self.answer(line)
                    while line.recv(4096):
                        pass
