"""The whole way with real processes, a real broker and real sensors, through the faults that the contract names.

The account is always the same: what the sensors logged that they served, against the store by SQL.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway import config
from gateway.profiles import Profile
from tests import servers
from tests.house import House, house

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def profile() -> Profile:
    return config.load_profiles(Path(__file__).parent, [])["sim_river_gauge"]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[servers.Server]:
    """mosquitto with its own defaults: 1000 queued messages, no persistence."""
    with servers.running(servers.mosquitto(tmp_path / "broker")) as server:
        yield server


def start_all(h: House) -> None:
    h.start("bridge")
    for device in h.devices:
        h.start(device)
    h.wait_stored(20)


def assert_closes(h: House) -> None:
    account = h.account()
    assert account.problems == ()
    assert (account.missing, account.duplicates) == (0, 0)
    assert account.sampled == account.stored


def test_nothing_is_missing_after_the_bridge_was_stopped_at_the_brokers_default_limits(
    tmp_path: Path, broker: servers.Server, profile: Profile
) -> None:
    """mosquitto acknowledges and drops what exceeds its 1000 queued messages; the receipts say what is missing, and
    the devices send it again."""
    with house(tmp_path, profile, broker, devices=3, interval_s=0.02) as h:
        start_all(h)
        h.stop("bridge")
        h.wait_served(2200)
        h.start("bridge")
        h.wait_stored(100)
        h.settle()
        assert_closes(h)
        backlog = h.sql("SELECT count(*) FROM observations WHERE received_ms - observed_ms > 3000")
        assert backlog[0][0] > 0
        assert h.sql("SELECT count(*) FROM ranges WHERE kind NOT IN ('stored', 'rejected')") == [(0,)]


@pytest.mark.parametrize("mark", ["taken:5", "committed:5", "acknowledged:5", "receipt:2"])
def test_a_bridge_killed_at_a_marked_point_loses_and_doubles_nothing(
    tmp_path: Path, broker: servers.Server, profile: Profile, mark: str
) -> None:
    """Before the commit the messages come again; between commit, PUBACK and receipt they come again and are known;
    a receipt that was lost once is due again with the next message."""
    with house(tmp_path, profile, broker) as h:
        h.start("bridge", "--crash-at", mark)
        h.start(h.devices[0])
        h.wait_dead("bridge")
        h.start("bridge")
        h.wait_stored(20)
        h.settle()
        assert_closes(h)


def test_a_device_killed_between_two_commits_loses_at_most_one_interval_of_reads(
    tmp_path: Path, broker: servers.Server, profile: Profile
) -> None:
    """What was read and neither spooled nor published when the device died is all that can be missing."""
    with house(tmp_path, profile, broker) as h:
        h.start("bridge")
        h.start(h.devices[0], "--crash-at", "spooled:40")
        h.wait_dead(h.devices[0])
        h.start(h.devices[0])
        h.wait_stored(20)
        h.settle(allowed=1)
        account = h.account()
        assert account.duplicates == 0
        assert account.missing <= 1  # numbered and not yet published: one read
        gone = h.sql("SELECT kind, sum(b - a + 1) FROM ranges WHERE kind <> 'stored' GROUP BY kind")
        assert gone in ([], [("lost_at_kill", 1)])


def test_a_device_stopped_while_the_broker_is_away_brings_its_readings_later(
    tmp_path: Path, broker: servers.Server, profile: Profile
) -> None:
    """No broker, no bridge, then a restart of the agent: the spool of the earlier opening is sent as backlog."""
    with house(tmp_path, profile, broker) as h:
        start_all(h)
        broker.stop(kill=True)
        h.wait_served(60)
        assert h.stop(h.devices[0]) == 0
        broker.start()
        h.start(h.devices[0])
        h.wait_stored(80)
        h.settle()
        assert_closes(h)


def test_a_card_put_back_from_an_earlier_moment_costs_only_what_was_on_it_alone(
    tmp_path: Path, broker: servers.Server, profile: Profile
) -> None:
    """The old card's numbers are never used again, so nothing is confused; what the bridge had stays, and what only
    the overwritten card held is missing and declared gone."""
    with house(tmp_path, profile, broker) as h:
        start_all(h)
        device, spool = h.devices[0], h.spool(h.devices[0])
        h.stop(device)
        shutil.copy(spool, tmp_path / "image.db")
        h.start(device)
        h.wait_stored(40)
        h.stop("bridge")  # from here on, only card and broker have it
        broker.stop(kill=True)
        h.wait_served(40)
        h.stop(device)
        only_there = unsettled_on(spool, h)
        shutil.copy(tmp_path / "image.db", spool)
        broker.start()
        h.start("bridge")
        h.start(device)
        h.wait_stored(40)
        h.settle(allowed=only_there)
        account = h.account()
        assert account.duplicates == 0
        assert 0 < account.missing == only_there


def unsettled_on(spool: Path, h: House) -> int:
    """Samples on the card that the store does not have."""
    db = sqlite3.connect(spool)
    on_card = set(db.execute("SELECT l.log, s.seq FROM samples s JOIN logs l ON l.id = s.log_id"))
    db.close()
    stored = set(h.sql("SELECT DISTINCT l.log, o.seq FROM observations o JOIN logs l ON l.id = o.log_id"))
    return len(on_card - stored)


@pytest.mark.parametrize("by_hand", [False, True])
def test_a_store_restored_from_a_backup_gets_back_what_the_cards_still_hold(
    tmp_path: Path, broker: servers.Server, profile: Profile, by_hand: bool
) -> None:
    """Restored by the command the store has a new name; copied back by hand it is known by receipts that go back.
    Either way the devices send again what it lacks."""
    with house(tmp_path, profile, broker) as h:
        start_all(h)
        copy = tmp_path / "backup.db"
        run_suimon("bridge", "backup", str(copy), "--config", str(h.configs["bridge"]))
        h.wait_stored(60)
        h.stop("bridge")
        if by_hand:
            for suffix in ("", "-wal", "-shm"):
                h.store.with_name(h.store.name + suffix).unlink(missing_ok=True)
            shutil.copy(copy, h.store)
        else:
            run_suimon("bridge", "restore", str(copy), "--config", str(h.configs["bridge"]))
        h.start("bridge")
        h.wait_stored(40)
        h.settle()
        assert_closes(h)


def test_an_agent_and_a_bridge_that_find_no_broker_wait_and_lose_nothing(
    tmp_path: Path, broker: servers.Server, profile: Profile
) -> None:
    """One message, retries, no traceback; when the broker comes, everything sampled meanwhile is stored."""
    broker.stop()
    with house(tmp_path, profile, broker) as h:
        h.start("bridge")
        h.start(h.devices[0])
        h.wait_served(60)
        broker.start()
        h.wait_stored(80)
        h.settle()
        assert_closes(h)
        for name in ("bridge", h.devices[0]):
            assert "Traceback" not in h.log(name)
        assert h.log(h.devices[0]).count("cannot reach MQTT broker") == 1


def test_a_sensor_that_stops_answering_sends_faults_and_the_agent_goes_on(
    tmp_path: Path, broker: servers.Server, profile: Profile
) -> None:
    """A fault travels as a row with flag 9 and no value; readings resume with the sensor."""
    from gateway.errors import FaultCode

    with house(tmp_path, profile, broker) as h:
        start_all(h)
        h.sensors[0].mode = FaultCode.REFUSED
        query = "SELECT count(*) FROM observations WHERE flag = 9 AND value IS NULL AND fault = 'refused'"
        servers.wait_for("faults in the store", lambda: h.sql(query)[0][0] > 3)  # type: ignore[operator]
        h.sensors[0].mode = None
        h.wait_stored(20)
        h.settle()
        assert_closes(h)
        assert h.log(h.devices[0]).count("answered with an exception") == 1


def run_suimon(*arguments: str) -> str:
    import subprocess
    import sys

    done = subprocess.run([sys.executable, "-m", "gateway", *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout
