"""The bridge's log: what a person finds there, and how often."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from gateway import wire
from gateway.bridge.told import Told
from gateway.bridge.work import Memory
from gateway.model import Change, Transition
from tests import world
from tests.world import DEVICE, T0, TENANT, message, pack, sample


class Log:
    """A bridge whose commits are followed; `at` is seconds."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO)
        self._caplog, self.memory, self.at = caplog, Memory("s"), 0.0
        self._told = Told(lambda: self.at)

    def after(self, seconds: float, kind: str, payload: bytes) -> list[str]:
        """What is logged of one message."""
        self.at += seconds
        work = world.work(self.memory, world.bridge(Path("unused")))
        work.take(message(payload, kind))
        work.swap_in()
        self._caplog.clear()
        self._told.committed(work)
        return [r.getMessage() for r in self._caplog.records]


def test_a_common_cause_is_named_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """It has no station: the name of its episode says what failed."""
    caplog.set_level(logging.INFO)
    work = world.work(Memory("s"), world.bridge(Path("unused")))
    work.transitions.append(Transition(TENANT, "", "", "cause.area=south.1", Change.RESTORED, 0, 0, T0, None))
    Told().committed(work)
    assert caplog.records[0].getMessage().startswith("cause.area=south.1: restored, ")


def test_devices_come_and_go(caplog: pytest.LogCaptureFixture) -> None:
    """The first word and every change, not the repeated ones."""
    log = Log(caplog)
    online, offline = (
        wire.encode(wire.DeviceStatus(s, "b", 0, r)) for s, r in (("online", ""), ("offline", "cut off"))
    )
    assert log.after(0, "status", online) == [f"{TENANT}/{DEVICE} is online"]
    assert log.after(1, "status", online) == []
    assert log.after(1, "status", offline) == [f"{TENANT}/{DEVICE} is offline (cut off)"]
    assert log.after(1, "status", b"[1]") == []


def test_backlog_is_followed(caplog: pytest.LogCaptureFixture) -> None:
    """How many samples wait and how far they are in, once a minute, and that they are in; a few are no news."""
    log = Log(caplog)
    assert log.after(0, "spool", world.statement(1, 900)) == []
    assert log.after(60, "spool", world.statement(1, 4001)) == [
        f"{TENANT}/{DEVICE}: 4,000 samples of backlog waiting, 0 % in"
    ]
    log.after(1, "backlog", pack(*(sample(n, 1.0) for n in range(1, 1001))))
    assert log.after(5, "spool", world.statement(1, 4001)) == []
    assert log.after(60, "spool", world.statement(1, 4001)) == [
        f"{TENANT}/{DEVICE}: 3,000 samples of backlog waiting, 25 % in"
    ]
    log.after(1, "backlog", pack(*(sample(n, 1.0) for n in range(1001, 4001))))
    assert log.after(60, "spool", world.statement(1, 4001)) == [f"{TENANT}/{DEVICE}: its backlog is in"]
    assert log.after(60, "spool", world.statement(1, 4001)) == []


def test_dead_letters_are_told_once_of_each_kind(caplog: pytest.LogCaptureFixture) -> None:
    """A device that repeats its mistake fills no log."""
    log = Log(caplog)
    assert len(log.after(0, "data", b"no JSON")) == 1
    assert log.after(1, "data", b"no JSON either") == []
    assert len(log.after(1, "data", b'[{"n":"x"}]')) == 1
