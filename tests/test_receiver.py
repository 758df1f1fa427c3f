"""The receiver's memory: bounded for each session by itself, live first, batches that do not keep live waiting."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from gateway import wire
from gateway.bridge.receiver import BATCH_BYTES, BATCH_S, LEAST_BYTES, Receiver
from gateway.mqtt import Delivery
from tests import world
from tests.world import DEVICE, TENANT


class Held:
    """A receiver that never connects: the test stands for its network threads."""

    def __init__(self, limit: int = 2000) -> None:
        bridge = world.bridge(Path("unused"), max_held_bytes=limit, keepalive_s=0.02)
        self.heard: list[str] = []
        self.receiver = Receiver(bridge, lambda: 0, lambda: 0, lambda: None, lambda d: self.heard.append(d.topic))

    def arrive(self, queue: str, size: int, retained: bool = False) -> None:
        kind = "data" if queue == "live" else "backlog"
        delivery = Delivery(wire.topic(TENANT, DEVICE, kind), b"x" * size, retained, 1, 1, 0)
        self.receiver._arrived(queue, getattr(self.receiver, queue), delivery)

    def take(self) -> list[str]:
        arrivals = self.receiver.take(1000, 0)
        self.receiver.done(arrivals)
        return [a.queue for a in arrivals]


def test_backlog_takes_no_room_from_live(caplog: pytest.LogCaptureFixture) -> None:
    """Each session has its half; a full one is let go, which is said once and, when it flows again, with the count."""
    caplog.set_level(logging.INFO)
    held = Held()
    for _ in range(5):
        held.arrive("backlog", 1001)
    held.arrive("live", 10)
    assert held.receiver.held_bytes == 1011
    assert held.take() == ["live", "backlog"]
    assert held.receiver.held_bytes == 0
    said = [r.getMessage() for r in caplog.records]
    assert [x.split(";")[0] for x in said] == [
        "the backlog session holds 1001 bytes and none was stored for a while",
        "the backlog session flows again",
    ]
    assert said[1].endswith("it was let go 4 times")


def test_live_comes_first_and_backlog_in_small_batches() -> None:
    """A live message waits for one batch at most, however much backlog lies there."""
    held = Held(100_000_000)
    for _ in range(100):
        held.arrive("backlog", 10_000)
    held.arrive("live", 100)
    first = held.take()
    assert first[0] == "live"
    assert first.count("backlog") == 7  # 64 KiB to begin with
    assert held.take().count("backlog") > 7  # it took no time: more of it


@pytest.mark.parametrize(("took_s", "expected"), [(10 * BATCH_S, LEAST_BYTES), (0.0, BATCH_BYTES)])
def test_batches_follow_the_disk(took_s: float, expected: int) -> None:
    """A slow disk gets small batches of backlog, a fast one large ones, within bounds."""
    held = Held()
    for _ in range(50):
        held.receiver._pace(took_s)
    assert held.receiver._backlog_bytes == expected


def test_only_a_fresh_word_of_a_device_is_a_sign_of_life() -> None:
    """What the broker had retained says nothing of now; words among bridges are not messages of devices."""
    held = Held()
    held.arrive("live", 10, retained=True)
    held.receiver._arrived("live", held.receiver.live, Delivery(wire.BRIDGE_STATUS, b"{}", False, 0, 0, 0))
    assert held.receiver.unheard_for_s() == float("inf")
    assert held.heard == [wire.BRIDGE_STATUS]
    held.arrive("live", 10)
    assert held.receiver.unheard_for_s() < 60
    assert held.take() == ["live", "live"]


def test_a_paused_backlog_session_is_left_alone() -> None:
    """Its last messages are neither queued nor waited for: unacknowledged, they come again."""
    held = Held()
    held.arrive("backlog", 1001)
    held.receiver.pause_backlog(True)
    held.arrive("backlog", 1001)
    assert held.take() == ["backlog"]
