"""What a medium answers: taken, or "will trying again help?", with a named reason."""

from __future__ import annotations

from typing import Protocol

from gateway.errors import MediumReason, Unavailable


class Refused(Exception):
    """The medium will not take this message, however often it is tried."""

    def __init__(self, reason: MediumReason, detail: str = "") -> None:
        self.reason = reason
        super().__init__(f"{reason}: {detail}" if detail else reason.value)


class Unreached(Unavailable):
    """It was not taken now; trying again may help. `wait_s`: no sooner than that, where the server said so."""

    def __init__(self, reason: MediumReason, detail: str = "", wait_s: float = 0.0) -> None:
        self.reason, self.wait_s = reason, wait_s
        super().__init__(f"{reason}: {detail}" if detail else reason.value)


class Medium(Protocol):
    """Delivers one notification. Returns when it was taken; raises Unreached where trying again may help, Refused
    where it will not. The same key may come again after a crash: it travels with the message where the medium can
    carry it."""

    def send(self, key: str, body: str) -> None: ...
