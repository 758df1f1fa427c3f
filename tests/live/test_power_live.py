"""Power cuts of real processes: an agent and a bridge run on a disk that records what was written and what was synced;
they are killed, their files become what such a disk may hold, and they start again.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from gateway.profiles import Profile
from simulators.faults import platter
from tests import servers
from tests.house import INTERVAL_S
from tests.live.test_spine import broker, house, profile  # noqa: F401 - fixtures

pytestmark = pytest.mark.live
COMMIT_S = 1.0  # of the agents of a test house


def test_power_cuts_of_bridge_and_device_cost_only_what_was_read_since_a_commit(
    tmp_path: Path,
    broker: servers.Server,  # noqa: F811
    profile: Profile,  # noqa: F811
) -> None:
    """A power cut of the bridge costs nothing; one of a device at most the reads since its last commit."""
    rng = random.Random(3)
    with house(tmp_path, profile, broker) as h:
        journals = {name: tmp_path / f"{name}.journal" for name in ("bridge", h.devices[0])}
        for name, journal in journals.items():
            h.start(name, "--record-disk", str(journal))
        for name in ("bridge", h.devices[0], "bridge", h.devices[0]):
            h.wait_stored(20)
            h.kill(name)
            platter.cut(journals[name], rng.randrange(1_000_000))
            h.start(name, "--record-disk", str(journals[name]))
        h.wait_stored(20)
        h.settle(allowed=2 * round(COMMIT_S / INTERVAL_S))
        account = h.account()
        assert account.duplicates == 0
        assert account.missing <= 2 * COMMIT_S / INTERVAL_S
        others = h.sql("SELECT kind FROM ranges WHERE kind NOT IN ('stored', 'lost_at_kill')")
        assert others == []
        assert "damaged" not in h.log("bridge") + h.log(h.devices[0])
