"""When the device's clock concerns staff."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from gateway import settings, wire
from gateway.edge.clockwatch import UNSET_S, ClockWatch
from gateway.edge.spool import Spool
from gateway.edge.uplink import Uplink
from gateway.model import ClockState
from tests.clocks import S, Set, SetClock
from tests.transport import FakeTransport
from tests.world import DEVICE, TENANT

OWN, OTHER = "7d1f9c2ab4e0", "000000000001"
CLOCK = ["device_clock"]
UNSYNCED = ClockState.UNSYNCED


def test_a_clock_that_is_not_set_is_a_notice_after_a_minute() -> None:
    """Not at once: a start takes a while to be dated; and no longer than it lasts."""
    clock = SetClock([Set(200 * S, 0)], state=UNSYNCED)
    watch = ClockWatch(clock, OWN)
    found = []
    for _ in range(20):
        found.append((clock.uptime_ms() // S - 60, watch.notices() == CLOCK))
        clock.pass_(10 * S)
    assert [after for after, told in found if told] == [70, 80, 90, 100, 110, 120, 130]
    assert UNSET_S == 60


@pytest.mark.parametrize(
    ("what", "log", "through", "settled", "rejected", "expected"),
    [
        ("all is stored", OWN, 5, [], [], []),
        ("the newest is refused", OWN, 0, [(3, 7)], [(5, 7, "time_future")], CLOCK),
        ("all up to the newest", OWN, 7, [], [(1, 7, "time_future")], CLOCK),
        ("a newer one is taken", OWN, 8, [], [(1, 7, "time_future")], []),
        ("refused for something else", OWN, 7, [], [(7, 7, "unknown_channel")], []),
        ("of an earlier opening", OTHER, 7, [], [(7, 7, "time_future")], []),
    ],
)
def test_a_clock_that_is_ahead(
    what: str,
    log: str,
    through: int,
    settled: list[tuple[int, int]],
    rejected: list[tuple[int, int, str]],
    expected: list[str],
) -> None:
    """What the bridge did with the newest sample decides."""
    watch = ClockWatch(SetClock(), OWN)
    watch.heard(wire.Receipt("s1", OWN, [wire.ReceiptLog(log, through, settled, rejected)]))
    assert watch.notices() == expected, what


def test_it_is_told_once_and_its_end_too(caplog: pytest.LogCaptureFixture) -> None:
    """However many samples are refused."""
    caplog.set_level(logging.INFO)
    watch = ClockWatch(SetClock(), OWN)
    for through in (1, 2, 3, 4):
        refused = [(1, min(through, 3), "time_future")]
        watch.heard(wire.Receipt("s1", OWN, [wire.ReceiptLog(OWN, through, [], refused)]))
    assert [r.getMessage() for r in caplog.records] == [
        "the bridge refuses sample 1: its time lies in the future. Set this device's clock",
        "the bridge takes this device's times again",
    ]


def test_a_change_makes_a_statement_due_at_once(tmp_path: Path) -> None:
    """It names what lasts; while nothing changes, statements keep their pace."""
    clock, spool = SetClock(), Spool(tmp_path / "spool.db", 10**8, 0)
    edge = settings.Edge(TENANT, DEVICE, settings.Broker(), settings.Spool(tmp_path / "spool.db"), {}, ())
    watch = ClockWatch(clock, spool.opening)
    uplink = Uplink(edge, spool, b"{}", lambda *_: b"{}", connect=FakeTransport, now=lambda: 1000.0, conditions=watch)
    transport = uplink.session
    assert isinstance(transport, FakeTransport)

    def stated() -> list[list[str]]:
        uplink.step()
        return [wire.decode_statement(m.payload).notices for m in transport.take("spool")]

    def receipt(*rejected: tuple[int, int, str]) -> None:
        entry = wire.ReceiptLog(spool.opening, 9, [], list(rejected))
        message = wire.encode(wire.Receipt("s1", spool.opening, [entry]))
        transport.deliver(wire.topic(TENANT, DEVICE, "receipt"), message)

    transport.up()
    transport.deliver(wire.BRIDGE_STATUS, wire.encode(wire.BridgeStatus("online", "s1")))
    assert stated() == [[]]
    assert stated() == []
    receipt((9, 9, "time_future"))
    assert stated() == [CLOCK]
    assert stated() == []
    receipt()
    assert stated() == [[]]
    spool.close()
