"""Commands to devices: published on the device's `cmd` topic until it answers or their time is over, under the same id,
so that the device does each once. What it answers is what the request is answered."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import msgspec

from gateway import wire
from gateway.model import Message
from gateway.wire import Command, CommandReply

log = logging.getLogger(__name__)

AGAIN_S = 20.0  # between two sends of the same command
MOST = 100  # commands under way
Answer = tuple[str, str]  # state of the request, and its JSON


class RemoteRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What `suimon remote` asks."""

    tenant: str
    device: str
    command: Command


@dataclass(slots=True)
class _Sent:
    """`news`: the device has said something that its request was not told yet."""

    request: int
    tenant: str
    device: str
    command: Command
    next_s: float = 0.0
    reply: CommandReply | None = None
    news: bool = False


class Commands:
    """Those under way, by the writer's thread alone. After a kill the requests are still there, and are sent again."""

    def __init__(
        self,
        publish: Callable[[str, bytes], bool],
        now_ms: Callable[[], int],
        steady_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._publish, self._now_ms, self._steady_s = publish, now_ms, steady_s
        self._sent: dict[int, _Sent] = {}

    def waits(self, request: int) -> bool:
        """Whether it is under way and there is nothing to do about it now."""
        x = self._sent.get(request)
        over = x is not None and self._now_ms() >= x.command.expires_ms
        return x is not None and not x.news and not over and self._steady_s() < x.next_s

    def look(self, request: int, said: RemoteRequest) -> Answer:
        """Send it where it is time to, and say how it stands."""
        x = self._sent.get(request)
        if x is None:
            if len(self._sent) >= MOST:
                return "refused", json.dumps({"reason": f"{MOST} commands are under way already; try again later"})
            x = self._sent[request] = _Sent(request, said.tenant, said.device, said.command)
        x.news = False
        if x.reply is not None and x.reply.state != "accepted":
            del self._sent[request]
            return "done", wire.encode(x.reply).decode()
        if self._now_ms() >= x.command.expires_ms:
            del self._sent[request]
            last = "it had accepted it" if x.reply else "it did not answer"
            return "refused", json.dumps({"reason": f"the time of the command is over; {last}"})
        stage = "accepted" if x.reply else "sent"
        if self._steady_s() >= x.next_s:
            x.next_s = self._steady_s() + AGAIN_S
            if not self._publish(wire.topic(x.tenant, x.device, "cmd"), wire.encode(x.command)):
                stage = "the broker is away"
        return "asked", json.dumps({"stage": stage, "at_s": round(self._steady_s())})

    def heard(self, messages: Iterable[Message]) -> None:
        """Replies of devices, among what was committed. Of each device only those to its own commands count."""
        if not self._sent:
            return
        for message in messages:
            address = wire.parse_topic(message.topic)
            if address is None or address[2] != "reply":
                continue
            try:
                reply = wire.decode_reply(message.payload)
            except ValueError as e:
                log.warning("a reply of %s/%s cannot be read: %s", *address[:2], str(e)[:200])
                continue
            for x in self._sent.values():
                if (x.tenant, x.device, x.command.id) == (address[0], address[1], reply.id):
                    x.reply, x.news = reply, True
