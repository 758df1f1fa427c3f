"""What a service tells its supervisor, by the protocol of sd_notify(3): ready, still alive, stopping.

Nothing is told where nobody listens: outside systemd all of this does nothing.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections.abc import Callable, Mapping, Sequence

log = logging.getLogger(__name__)

Stuck = Callable[[], Sequence[tuple[str, float]]]  # (loop, seconds overdue) of each that did not come round


class Supervisor:
    """`address`: the socket that NOTIFY_SOCKET names, None where there is none. `watchdog_s`: without a sign of life
    for so long the supervisor starts the service anew; None: it does not watch."""

    def __init__(self, address: str | None = None, watchdog_s: float | None = None) -> None:
        self._address = address
        self.watchdog_s = watchdog_s
        self._stuck: tuple[str, ...] = ()

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Supervisor:
        """As the environment of a service says. A watchdog meant for another process is none of ours."""
        address = environment.get("NOTIFY_SOCKET") or None
        meant_for = environment.get("WATCHDOG_PID", str(os.getpid()))
        try:
            watchdog_s = int(environment.get("WATCHDOG_USEC", "0")) / 1e6
        except ValueError:
            watchdog_s = 0.0
        return cls(address, watchdog_s if watchdog_s > 0 and meant_for == str(os.getpid()) else None)

    def ready(self, status: str = "") -> None:
        """The service does its work from now on; `status` is one line for `systemctl status`."""
        self._tell("READY=1", *([f"STATUS={status}"] if status else []))

    def stopping(self) -> None:
        self._tell("STOPPING=1")

    def alive(self, stuck: Stuck) -> bool:
        """Feed the watchdog, but only while every loop comes round; which one does not is said once. Call it at
        least twice within `watchdog_s`. Whether all is well."""
        late = stuck()
        names = tuple(loop for loop, _ in late)
        for loop, seconds in late:
            if loop not in self._stuck:
                log.critical(
                    "the loop '%s' is %d s overdue; the watchdog is not fed until it comes round", loop, seconds
                )
        for loop in self._stuck:
            if loop not in names:
                log.warning("the loop '%s' comes round again", loop)
        self._stuck = names
        if not late and self.watchdog_s is not None:
            self._tell("WATCHDOG=1")
        return not late

    def _tell(self, *lines: str) -> None:
        if self._address is None:
            return
        # A name that begins with @ is in the abstract name space: a zero byte takes its place.
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        # A supervisor that does not listen is no reason to stop measuring; its watchdog draws its own conclusion.
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as s:
            s.settimeout(1.0)
            s.connect(address)
            s.sendall("\n".join(lines).encode())
