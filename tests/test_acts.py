"""What people do about alerts: in the store, in memory after its commit, and after a restart."""

from __future__ import annotations

from pathlib import Path

from gateway.bridge.store import Store
from gateway.episodes import Suspension
from tests import world
from tests.world import STATION, T0, TENANT

HOUR = 3_600_000
MUTE = Suspension("mute", TENANT, STATION, T0, T0 + HOUR, "tanaka", "patrol is there", 3)


def test_a_suspension_is_kept_until_it_ends(tmp_path: Path) -> None:
    """A mute is in force from its commit on, after a restart too, and never beyond its end."""
    bridge, key = world.bridge(tmp_path / "store.db"), ("mute", TENANT, STATION)
    store = Store(bridge.store)
    memory = store.load()
    work = world.work(memory, bridge)
    work.suspensions[key] = MUTE
    assert work.suspended(*key) == MUTE
    assert world.work(memory, bridge).suspended(*key) is None
    store.commit(work)
    work.swap_in()
    store.close()
    store = Store(bridge.store)
    memory = store.load()
    assert world.work(memory, bridge, T0 + HOUR - 1).suspended(*key) == MUTE
    assert world.work(memory, bridge, T0 + HOUR).suspended(*key) is None
    assert world.work(memory, bridge).suspended("maintenance", TENANT, STATION) is None
    work = world.work(memory, bridge, T0 + HOUR)
    work.suspensions[key] = None
    store.commit(work)
    work.swap_in()
    assert memory.suspensions == {} == store.load().suspensions
    store.close()
