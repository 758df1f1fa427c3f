"""What a service tells its supervisor: to a real socket, and only while every loop comes round."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.loops import Loop, Pulse
from gateway.systemd import Supervisor

Receive = Callable[[], list[str]]


@pytest.fixture(params=["path", "abstract"])
def listening(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Receive]]:
    """(what NOTIFY_SOCKET would say, what has arrived since)."""
    name = f"@suimon-{secrets.token_hex(8)}" if request.param == "abstract" else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind("\0" + name[1:] if name.startswith("@") else name)
        s.setblocking(False)

        def receive() -> list[str]:
            out = []
            while True:
                try:
                    out.append(s.recv(4096).decode())
                except BlockingIOError:
                    return out

        yield name, receive


def test_ready_alive_and_stopping_arrive(listening: tuple[str, Receive]) -> None:
    """Under a path as under an abstract name, in the words of sd_notify(3)."""
    address, receive = listening
    supervisor = Supervisor.of({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "30000000"})
    assert supervisor.watchdog_s == 30.0
    supervisor.ready("3 sensors")
    assert supervisor.alive(Pulse().stuck)
    supervisor.stopping()
    assert receive() == ["READY=1\nSTATUS=3 sensors", "WATCHDOG=1", "STOPPING=1"]


@pytest.mark.parametrize(
    ("environment", "watchdog_s"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "20000000"}, 20.0),
        ({"WATCHDOG_USEC": "20000000", "WATCHDOG_PID": str(os.getpid())}, 20.0),
        ({"WATCHDOG_USEC": "20000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_whose_watchdog_it_is(environment: dict[str, str], watchdog_s: float | None) -> None:
    """As long as the unit says, and only where it is meant for this process."""
    assert Supervisor.of(environment).watchdog_s == watchdog_s


def test_a_service_without_watchdog_sends_no_signs_of_life(listening: tuple[str, Receive]) -> None:
    """What nobody asked for is not sent."""
    address, receive = listening
    assert Supervisor(address).alive(Pulse().stuck)
    assert receive() == []


@pytest.mark.parametrize("address", [None, "/nonexistent/notify", "@suimon-nobody-listens"])
def test_nobody_listens(address: str | None) -> None:
    """Outside systemd, or when it does not answer, the service goes on."""
    supervisor = Supervisor(address, 30.0)
    supervisor.ready()
    assert supervisor.alive(Pulse().stuck)


def test_the_watchdog_is_fed_only_while_every_loop_comes_round(
    listening: tuple[str, Receive], caplog: pytest.LogCaptureFixture
) -> None:
    """One loop that is overdue is enough; it is told by name once, and its return too."""
    address, receive = listening
    caplog.set_level(logging.WARNING)
    now = 1000.0
    pulse = Pulse(lambda: now)
    supervisor = Supervisor(address, 30.0)
    pulse.beat("bus mast", 10.0)
    pulse.beat("uplink", 100.0)
    assert supervisor.alive(pulse.stuck)
    now = 1011.0
    assert not supervisor.alive(pulse.stuck)
    now = 1015.0
    assert not supervisor.alive(pulse.stuck)
    assert receive() == ["WATCHDOG=1"]
    pulse.beat("bus mast", 10.0)
    assert supervisor.alive(pulse.stuck)
    assert receive() == ["WATCHDOG=1"]
    assert [r.getMessage() for r in caplog.records] == [
        "the loop 'bus mast' is 1 s overdue; the watchdog is not fed until it comes round",
        "the loop 'bus mast' comes round again",
    ]


def test_what_ends_a_loop_is_kept_for_the_one_that_waits() -> None:
    """A thread that fails says why to whoever asks; one that ends in order says nothing."""
    done = threading.Event()
    good, bad = Loop("good", done.set), Loop("bad", lambda: [][1])
    for loop in (good, bad):
        loop.start()
        loop.join(10)
    assert done.is_set()
    assert good.died is None
    assert isinstance(bad.died, IndexError)
