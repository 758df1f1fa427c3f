"""A broker that refuses large messages without a word. (mosquitto's `message_size_limit` acknowledges and drops them;
that takes minutes of time-outs and is tested on the uplink's own clock.)
"""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway import config
from tests import servers
from tests.house import house

pytestmark = pytest.mark.live

LIMIT = 4500  # less than a full pack of these samples, more than one alone


def test_packs_become_small_enough(tmp_path: Path) -> None:
    """mosquitto closes the connection at a packet that is too large. Backlog that gathered while the bridge was away
    arrives in packs that pass, each sample once."""
    profile = config.load_profiles(Path(__file__).parent, [])["sim_river_gauge"]
    with (
        servers.running(servers.mosquitto(tmp_path / "broker", f"max_packet_size {LIMIT}")) as broker,
        house(tmp_path, profile, broker, interval_s=0.01) as h,
    ):
        h.start("bridge")
        h.start(h.devices[0])
        h.wait_stored(20)
        h.stop("bridge")
        h.wait_served(3000)
        h.start("bridge")
        h.wait_stored(100)
        h.settle(timeout_s=120)
        account = h.account()
        assert (account.missing, account.duplicates, account.problems) == (0, 0, ())
        assert "they are made smaller" in h.log(h.devices[0])
