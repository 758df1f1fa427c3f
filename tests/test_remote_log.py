"""What the bridge's log says of commands to devices: who asked what of whom, and what the device answered."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway import storefile, wire
from gateway.bridge.commanding import RemoteRequest
from gateway.bridge.requests import Requests
from gateway.bridge.store import Store
from gateway.bridge.work import Rules, Work
from gateway.model import Message
from gateway.wire import Command
from tests import world
from tests.test_remote import ID, SOON, Post, command
from tests.world import DEVICE, T0, TENANT


class Desk:
    """A bridge's requests, of which it can be told what its device answers."""

    def __init__(self, folder: Path) -> None:
        self.path, self.post = folder / "store.db", Post()
        self.store = Store(self.path)
        self.memory = self.store.load()
        self.requests = Requests(self.path, commands=self.post.commands)

    def asked(self, said: Command) -> int:
        body = msgspec.json.encode(RemoteRequest(TENANT, DEVICE, said)).decode()
        return storefile.ask(self.path, "remote", body, "tanaka", T0)

    def serve(self) -> None:
        def write(work: Work) -> None:
            self.store.commit(work)
            work.swap_in()

        rules = Rules(world.registry(), world.bridge(self.path), T0, None, None)
        self.requests.serve(self.memory, lambda: rules, write)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    found = Desk(tmp_path)
    yield found
    found.store.close()


@pytest.mark.parametrize(
    ("what", "reply", "told"),
    [
        ("it did it", {"detail": "every 10 s"}, 'done, {"id":"ID","state":"done","detail":"every 10 s"}'),
        ("it refused", {"state": "refused", "code": "not_allowed", "detail": "not in remote.allow"},
         'done, {"id":"ID","state":"refused","code":"not_allowed","detail":"not in remote.allow"}'),
        ("it told readings", {"data": {"readings": ["water_level 1.234 m"]}}, 'done, {"id":"ID","state":"done"}'),
        ("it said no more", None,
         'refused, {"reason":"the time of the command is over; it had accepted it"}'),
    ],
)  # fmt: skip
def test_the_log_tells_who_asked_what_and_what_a_device_answered(
    desk: Desk, caplog: pytest.LogCaptureFixture, what: str, reply: dict[str, Any] | None, told: str
) -> None:
    """One line at the end, none on the way: who, which command, which device, its answer; of the data that it sent
    and of what was sent to it nothing, for logs leave the house."""
    with caplog.at_level(logging.INFO, "gateway.bridge"):
        request = desk.asked(command("interval", interval_s=10.0, for_s=7200.0))
        desk.serve()
        desk.post.hear(state="accepted")
        desk.serve()
        assert caplog.messages == []
        if reply is None:
            desk.post.now_ms = SOON
        else:
            desk.post.hear(**reply)
        desk.serve()
    state, answer = storefile.answer(desk.path, request)
    assert state in ("done", "refused")
    expected = f"tanaka asked for remote interval of {TENANT}/{DEVICE}: {told.replace('ID', ID)}"
    assert caplog.messages == [expected], what
    if reply and "data" in reply:
        assert json.loads(answer or "")["data"] == reply["data"]  # whoever asked has it


def test_a_reply_that_cannot_be_read_is_told_with_its_device(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """While a command is under way; and the answer that follows is taken."""
    desk.asked(command())
    desk.serve()
    desk.post.commands.heard([Message(wire.topic(TENANT, DEVICE, "reply"), b"{", T0)])
    assert [m.partition(":")[0] for m in caplog.messages] == [f"a reply of {TENANT}/{DEVICE} cannot be read"]
    with caplog.at_level(logging.INFO, "gateway.bridge"):
        desk.post.hear()
        desk.serve()
    assert caplog.messages[-1].startswith(f"tanaka asked for remote {command().command} of {TENANT}/{DEVICE}: done, ")
