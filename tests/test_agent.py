"""The agent as a whole, its bus and transport in the hands of the test: what it leaves behind however it ends."""

from __future__ import annotations

import contextlib
import random
import re
import socket
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway import settings
from gateway.clock import SystemClock
from gateway.edge.agent import Agent
from gateway.edge.buses.modbus_tcp import ModbusTcp
from gateway.edge.sampling import Bus
from gateway.edge.spool import Spool
from gateway.edge.spoolfile import Damaged
from gateway.errors import FaultCode
from gateway.model import Sample
from gateway.profiles import Profile, Words
from gateway.ranges import RangeSet
from gateway.systemd import Supervisor
from tests.test_sampling import PROFILES, sensor
from tests.transport import FakeTransport
from tests.world import DEVICE, STATION, TENANT


class Answering:
    """A bus whose sensor always says the same; `then` is done at read number `at`, or at every one from then on."""

    where = "192.0.2.7:502"

    def __init__(self, at: int = 0, then: Callable[[], object] = lambda: None, again: bool = False) -> None:
        self._at, self._then, self._again = at, then, again
        self.reads = 0

    def patience_s(self, profile: Profile) -> float:
        return 1.0

    def read(self, sensor: settings.Sensor, profile: Profile) -> Words | FaultCode:
        self.reads += 1
        if self.reads == self._at or (self._again and self.reads > self._at):
            self._then()
        return FaultCode.NO_ECHO

    def close(self) -> None:
        pass


def edge(folder: Path, interval_s: float = 0.01, commit_s: float = 0.05, **changes: Any) -> settings.Edge:
    given: dict[str, Any] = {
        "tenant": TENANT,
        "device": DEVICE,
        "broker": settings.Broker(),
        "spool": settings.Spool(folder / "spool.db", commit_s),
        "buses": {"mast": settings.ModbusTcp("192.0.2.7")},
        "sensors": (sensor(interval_s),),
    }
    return settings.Edge(**(given | changes))


def agent_of(
    folder: Path, bus: Bus, supervisor: Supervisor | None = None, clock: SystemClock | None = None, **changes: Any
) -> Agent:
    return Agent(
        edge(folder, **changes),
        PROFILES,
        clock or SystemClock(),
        supervisor=supervisor,
        bus_of=lambda _: bus,
        connect=FakeTransport,
    )


def held(folder: Path) -> list[Sample]:
    """What is on the card, by a new opening."""
    spool = Spool(folder / "spool.db", 10**8, 0)
    try:
        return [s for name in spool.logs() for s in spool.unsettled(name, 10**6, RangeSet())]
    finally:
        spool.close()


def test_an_agent_that_is_stopped_leaves_every_read_on_the_card(tmp_path: Path) -> None:
    """Also those read since the last commit, here all of them."""
    bus = Answering(20, lambda: agent.stop())
    agent = agent_of(tmp_path, bus, commit_s=3600.0)
    agent.run()
    assert bus.reads == 20
    assert [s.seq for s in held(tmp_path)] == list(range(1, 21))
    assert agent.waiting == 20


def test_a_bus_thread_that_dies_ends_the_agent_and_costs_no_sample(tmp_path: Path) -> None:
    """A mistake of ours in one thread is raised by `run`, after what was read is on the card: no half of an agent runs
    on, and its supervisor starts it again."""

    def fail() -> None:
        raise ZeroDivisionError("a mistake of ours")

    bus = Answering(20, fail)
    agent = agent_of(tmp_path, bus, commit_s=3600.0)
    with pytest.raises(ZeroDivisionError, match="a mistake of ours"):
        agent.run()
    assert [s.seq for s in held(tmp_path)] == list(range(1, 20))


def spoil(path: Path) -> None:
    """The card loses the pages with the samples, and whoever has them in memory looks again."""
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(PASSIVE)")
        with path.open("r+b") as file:
            size = path.stat().st_size
            file.seek(8 * 4096)
            file.write(b"\xff" * (size - 8 * 4096))
        db.execute("CREATE TABLE IF NOT EXISTS touched (n)")
        db.execute("INSERT INTO touched VALUES (1)")
        db.commit()


def test_a_spool_that_is_damaged_while_running_ends_the_agent_and_the_next_start_begins_a_new_one(
    tmp_path: Path,
) -> None:
    """It does not run on without ever committing again: `run` raises, the file is set aside and what waited in memory
    moves to a new one, on which the next agent samples."""
    before = Spool(tmp_path / "spool.db", 10**8, 0)
    for _ in range(2000):
        before.append(0, SystemClock().sync_state(), [])
    before.commit()
    before.close()
    bus = Answering(5, lambda: spoil(tmp_path / "spool.db"), again=True)
    agent = agent_of(tmp_path, bus, interval_s=0.05)
    with pytest.raises(Damaged):
        agent.run()
    second = Answering(10, lambda: again.stop())
    again = agent_of(tmp_path, second)
    again.run()
    assert list(tmp_path.glob("spool.db.damaged-*"))
    found = held(tmp_path)
    assert [s.seq for s in found if s.log == again.spool.opening] == list(range(1, 11))
    assert [s for s in found if s.log == agent.spool.opening]


def test_the_supervisor_hears_ready_signs_of_life_and_the_end(tmp_path: Path) -> None:
    """In that order, over a real socket; the signs come while the agent turns."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(str(tmp_path / "notify"))
        s.settimeout(30)
        bus = Answering()
        agent = agent_of(tmp_path, bus, Supervisor(str(tmp_path / "notify"), 10.0))
        thread = threading.Thread(target=agent.run)
        thread.start()
        heard = [s.recv(4096).decode() for _ in range(3)]
        agent.stop()
        thread.join(30)
        while heard[-1] != "STOPPING=1":
            heard.append(s.recv(4096).decode())
    assert heard[0].startswith("READY=1")
    assert set(heard[1:-1]) == {"WATCHDOG=1"}


def test_the_birth_says_what_each_channel_promises(tmp_path: Path) -> None:
    """Interval and heartbeat of each; of a sensor with a raised interval that too, and on the channel that raises it
    the level."""
    raised = settings.Raised(10.0, (settings.Trigger("water_level", 1.5, 1.45),))
    agent = agent_of(tmp_path, Answering(), sensors=(sensor(60.0, raised=raised), sensor(300.0, "power")))
    birth = agent.birth()
    agent.spool.close()
    common = {"station": STATION, "interval_s": 60.0, "heartbeat_s": 60.0, "interval_raised_s": 10.0}
    assert birth["channels"] == [
        {**common, "channel": "water_level", "unit": "m", "raised_above": 1.5},
        {**common, "channel": "read_counter", "unit": "count"},
        {"station": STATION, "channel": "water_level", "unit": "m", "interval_s": 300.0, "heartbeat_s": 300.0},
        {"station": STATION, "channel": "read_counter", "unit": "count", "interval_s": 300.0, "heartbeat_s": 300.0},
    ]
    assert birth["boot"] == SystemClock().boot


def test_the_capacity_is_stated_for_calm_and_for_flood(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """In the birth in hours, in the log in words: the raised interval fills the card six times as fast, and health
    counts too."""
    caplog.set_level("INFO")
    raised = settings.Raised(10.0, (settings.Trigger("water_level", 1.5, 1.45),))
    bus = Answering(1, lambda: agent.stop())
    agent = agent_of(tmp_path, bus, sensors=(sensor(60.0, raised=raised),))
    calm, flood = agent.capacity_hours(), agent.capacity_hours(raised=True)
    assert calm == pytest.approx(6 * flood)
    spool = agent.birth()["spool"]
    assert isinstance(spool, dict)
    assert (spool["hours"], spool["hours_raised"]) == (round(calm, 1), round(flood, 1))
    agent.run()
    assert re.search(r"offline capacity \d+ d .*, \d+ d .* at the raised intervals", caplog.text)
    (tmp_path / "health").mkdir()
    with_health = agent_of(tmp_path / "health", bus, sensors=(sensor(60.0, raised=raised),), health_s=300.0)
    assert with_health.capacity_hours() < calm
    with_health.spool.close()


def test_a_device_says_how_it_is(tmp_path: Path) -> None:
    """Health travels as samples through the same spool, under the device's own name."""
    health: list[Sample] = []

    def look() -> None:
        found = agent.spool.unsettled(agent.spool.opening, 10**6, RangeSet())
        health.extend(s for s in found if s.readings[0].station == DEVICE)
        if health:
            agent.stop()

    bus = Answering(1, look, again=True)
    agent = agent_of(tmp_path, bus, health_s=0.05)
    agent.run()
    assert {"spool_depth", "disk_free", "uptime"} <= {r.channel for r in health[0].readings}


# --- a bus that hangs ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("peer", "faults"),
    [
        ("accepts and never answers", {FaultCode.NO_ANSWER}),
        ("does not even accept", {FaultCode.NO_ANSWER, FaultCode.BUS_ERROR}),  # the latter once its queue is full
        ("refuses", {FaultCode.BUS_ERROR}),
        ("answers without end", {FaultCode.NO_ANSWER}),
        ("closes at once", {FaultCode.NO_ANSWER, FaultCode.BUS_ERROR}),  # as it is noticed on writing or on reading
    ],
)
def test_a_hanging_bus_ends_in_its_time_out(peer: str, faults: set[FaultCode]) -> None:
    """Whatever a peer does with the connection, the read ends as a fault, and the next one begins anew."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        if peer != "refuses":
            listener.listen(1)
        stop = threading.Event()
        thread = threading.Thread(target=_serve, args=(listener, peer, stop))
        if peer not in ("refuses", "does not even accept"):
            thread.start()
        bus = ModbusTcp(settings.ModbusTcp("127.0.0.1", port, 0.2))
        assert bus.where == f"127.0.0.1:{port}"
        try:
            assert all(bus.read(sensor(), PROFILES["sim_river_gauge"]) in faults for _ in range(3))
        finally:
            bus.close()
            stop.set()
            if thread.is_alive():
                thread.join(10)


def _serve(listener: socket.socket, peer: str, stop: threading.Event) -> None:
    listener.settimeout(0.05)
    open_ = []
    while not stop.is_set():
        try:
            connection, _ = listener.accept()
        except TimeoutError:
            for c in open_:
                if peer == "answers without end":
                    try:
                        c.sendall(b"\x00")
                    except OSError:
                        open_.remove(c)
            continue
        if peer == "closes at once":
            connection.close()
        else:
            open_.append(connection)
    for c in open_:
        c.close()


def _anything(dice: random.Random, request: bytes) -> bytes:
    """Mostly a frame that fits the request, with any function and any content."""
    if dice.random() < 0.2:
        return dice.randbytes(dice.randrange(1, 40))
    function = dice.choice((3, 3, 0x83, 4, dice.randrange(256)))
    body = bytes([function]) + dice.randbytes(dice.choice((0, 1, 2, 5, 250)))
    unit = request[6:7] if dice.random() < 0.8 else dice.randbytes(1)
    return request[:4] + (len(body) + 1).to_bytes(2, "big") + unit + body


def test_what_a_peer_answers_is_never_more_than_a_fault() -> None:
    """Any bytes, whole frames with any content among them: a read returns words or a fault and never raises."""
    dice, stop = random.Random(7), threading.Event()

    def serve(listener: socket.socket) -> None:
        listener.settimeout(0.05)
        while not stop.is_set():
            with contextlib.suppress(OSError):
                connection, _ = listener.accept()
                with connection:
                    connection.settimeout(0.5)
                    while request := connection.recv(260):
                        connection.sendall(_anything(dice, request))

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(5)
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        bus = ModbusTcp(settings.ModbusTcp("127.0.0.1", listener.getsockname()[1], 0.02))
        try:
            for _ in range(300):
                assert isinstance(bus.read(sensor(), PROFILES["sim_river_gauge"]), FaultCode | dict)
        finally:
            stop.set()
            bus.close()
            thread.join(10)
