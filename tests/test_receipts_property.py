"""The receipts of the wire contract, as they are built: a random life of faults, and at the end the account closes.

The same faults as in the executable model of the rules (receipts_model.py in the design), thrown at the real spool,
uplink, work, store and ledger. More of them: `SUIMON_SEEDS=2000 pytest tests/test_receipts_property.py`; one of them:
`SUIMON_SEED=17`.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.bridge.ledger import STORED, DeviceLedger
from gateway.errors import GoneReason
from gateway.wire import Span, Statement, StatementLog
from tests.crash.power import Losing
from tests.forgetful import DEVICE, Bridge, Broker, Device, Key

STEPS = 350
SEEDS = int(os.environ.get("SUIMON_SEEDS", "40"))
ONE = os.environ.get("SUIMON_SEED")
VALUES = """SELECT l.log, o.seq, o.value FROM observations o JOIN logs l ON l.id = o.log_id"""


class Life:
    """Device, broker and bridge, with faults from one seed."""

    def __init__(self, folder: Path, seed: int, ranges: int, power: Callable[[], Losing | None] = lambda: None) -> None:
        self.rng = random.Random(seed)
        self.faults, self.mends = self.rng.choice([0.02, 0.05, 0.10]), self.rng.choice([0.02, 0.2])
        self.broker = Broker(self.rng)
        self.bridge = Bridge(folder, self.broker, ranges, power())
        self.device = Device(folder, self.broker, self.bridge, self.rng, self.rng.randrange(4, 30), power())
        self.powered = power() is not None
        self.bridge.backup()
        self.image = self.device.image()

    def step(self) -> None:
        rng, device, bridge = self.rng, self.device, self.bridge
        if rng.random() < self.faults:
            self.fault()
        if bridge.store is None and rng.random() < self.mends:
            bridge.up()
        if not device.transport.connected.is_set() and rng.random() < self.mends:
            self.broker.connect(device.transport)
        x = rng.random()
        if x < 0.35:
            device.sample()
        elif x < 0.50:
            device.commit(fails=rng.random() < 0.1)
        elif x < 0.67:
            device.turn(rng.choice([0.2, 2.0, 20.0]))
        elif x < 0.75:
            self.broker.deliver(share=rng.choice([0.3, 1.0]))
            device.turn(0.2)
        elif x < 0.88:
            bridge.take(device.ms, fails=rng.random() < 0.1, killed=rng.random() < 0.05)
        elif x < 0.95:
            bridge.receipt()
        elif x < 0.98:
            self.image = device.image()
        else:
            bridge.backup()

    def fault(self) -> None:
        rng, device, bridge = self.rng, self.device, self.bridge
        faults = [
            device.kill,
            lambda: device.put_back(self.image),
            self.broker.forget_queued,
            self.broker.forget_retained,
            bridge.die,
            bridge.up,
            bridge.restore,
            lambda: device.restart_with(rng.randrange(3, 30)),
            self.broker.disconnect,
            lambda: self.broker.connect(device.transport),
            lambda: device.turn(4000.0),
        ]
        if self.powered:
            faults += [device.power_cut, bridge.power_cut] * 4
        rng.choice(faults)()

    def rest(self) -> None:
        """No more faults, and room for every message: run until nothing is owed."""
        self.device.commit()
        self.broker.limit = float("inf")
        self.bridge.up()
        self.broker.connect(self.device.transport)
        for _ in range(400):
            self.round(20.0)
            if self.quiet():
                break
        else:
            raise AssertionError("I4: no rest")
        self.round(61.0)  # one more statement, so that the ledger has the device's latest word
        assert self.quiet()

    def round(self, seconds: float) -> None:
        self.broker.deliver()
        self.device.turn(seconds)
        while self.broker.live or self.broker.backlog:
            self.bridge.take(self.device.ms)
        self.bridge.receipt()
        self.broker.deliver()
        self.device.turn(0.0)

    def quiet(self) -> bool:
        waiting = [m for m in self.broker.live + self.broker.backlog if m.kind in ("data", "backlog")]
        return not waiting and all(self.device.spool.is_settled(*key) for key in self.device.held())

    # --- the account -----------------------------------------------------------------------------------------------

    def check(self) -> None:
        device, bridge = self.device, self.bridge
        fate: dict[Key, str] = {}
        for log, kind, n in bridge.numbers():
            assert (log, n) not in fate, f"{log} {n} is settled twice"
            fate[(log, n)] = kind
        stored = {key for key, kind in fate.items() if kind == "stored"}
        rejected = {key for key, kind in fate.items() if kind == "rejected"}
        values = bridge.rows(VALUES)
        assert len(values) == len({row[:2] for row in values}) == len(stored)
        for log, seq, value in values:
            assert device.truth[(log, seq)] == value, f"I1: {log} {seq} is stored with the value of another"
        assert stored == {row[:2] for row in values}
        assert rejected <= device.bad
        letters = bridge.rows("SELECT log, seq FROM dead_letters")
        assert rejected == set(letters)

        on_card = device.held()
        assert on_card <= stored | rejected, f"I2: on the card, not at the bridge: {on_card - stored - rejected}"
        lost = device.truth.keys() - stored - rejected
        excused = device.thinned | device.killed | device.overwritten | bridge.lost
        assert lost <= excused, f"I3: {lost - excused}"
        ledger = bridge.ledger()
        for name, entry in ledger.logs.items():
            assert not entry.settled.missing(1, entry.top), f"the account of {name} does not close: {entry}"
        for entry in device.spool.statement().logs:
            for a, b, reason in entry.gone:
                told = {n: fate.get((entry.log, n)) for n in range(a, b + 1)}
                assert set(told.values()) <= {"stored", "rejected", reason}, f"{entry.log}: not for its reason: {told}"
        for log, seq in lost - fate.keys():  # not even known to be missing: only of what was never committed or shown
            entry_or_none = ledger.logs.get(log)
            assert entry_or_none is None or seq > entry_or_none.top


def live(folder: Path, seed: int, ranges: int, power: Callable[[], Losing | None] = lambda: None) -> None:
    folder.mkdir()
    life = Life(folder, seed, ranges, power)
    for _ in range(STEPS):
        life.step()
    life.rest()
    life.check()
    assert DEVICE in life.bridge.memory.ledgers
    life.device.spool.close()
    life.bridge.die()


@pytest.mark.parametrize("ranges", [64, 2])
@pytest.mark.parametrize("seed", [int(ONE)] if ONE else range(SEEDS))
def test_the_account_closes_after_any_life(tmp_path: Path, seed: int, ranges: int) -> None:
    """Whatever is killed, dropped, put back or refused: nothing is stored that was not served, all that the card
    holds is at the bridge, all that is not is accounted for, and the device comes to rest. With receipts of at most
    64 and of at most 2 ranges."""
    live(tmp_path / "life", seed, ranges)


@pytest.mark.parametrize("seed", [int(ONE)] if ONE else range(SEEDS // 2))
def test_the_account_closes_on_disks_that_lose_power(tmp_path: Path, seed: int) -> None:
    """The same lives on recording disks, of which the power is cut at the device and at the bridge: each holds
    afterwards what it had committed, no more and no less, and at the end the account closes."""
    live(tmp_path / "life", seed, 64, Losing)


def test_the_reason_that_the_device_states_stands() -> None:
    """A span that overtakes the statement lets the bridge guess; the device's own word, when it comes, replaces the
    guess, and nothing that arrived."""
    ledger = DeviceLedger()
    ledger.statement(Statement("b", [StatementLog("a", 1, 20), StatementLog("b", 1, 1)]))
    ledger.log("a").settle(3, STORED)
    ledger.span("a", Span(1, 9, "s1", "b"), {8, 9}, "s1")
    gone = [(2, 6, "no_space"), (11, 12, "damaged")]
    ledger.statement(Statement("b", [StatementLog("a", 8, 20, gone), StatementLog("b", 1, 1)]))
    kinds = {kind: list(ranges) for kind, ranges in ledger.logs["a"].kinds.items()}
    assert kinds == {
        STORED: [(3, 3)],
        GoneReason.LOST_AT_KILL: [(1, 1), (7, 7)],
        GoneReason.NO_SPACE: [(2, 2), (4, 6)],
        GoneReason.DAMAGED: [(11, 12)],
    }
    assert list(ledger.logs["a"].settled) == [(1, 7), (11, 12)]
